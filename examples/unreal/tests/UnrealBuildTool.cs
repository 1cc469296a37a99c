// What the plugin's build rules use of UnrealBuildTool, declared to compile them. Not Unreal's sources.
using System.Collections.Generic;

namespace UnrealBuildTool
{
    public sealed class UnrealTargetPlatform
    {
        readonly string name;
        UnrealTargetPlatform(string name) { this.name = name; }
        public static readonly UnrealTargetPlatform Win64 = new UnrealTargetPlatform("Win64");
        public static readonly UnrealTargetPlatform Linux = new UnrealTargetPlatform("Linux");
        public static readonly UnrealTargetPlatform LinuxArm64 = new UnrealTargetPlatform("LinuxArm64");
        public static readonly UnrealTargetPlatform Mac = new UnrealTargetPlatform("Mac");
        public override string ToString() { return name; }
    }

    public class ReadOnlyTargetRules
    {
        public UnrealTargetPlatform Platform { get; set; }
    }

    public sealed class RuntimeDependencyList
    {
        public readonly List<string> Sources = new List<string>();
        public void Add(string path, string source) { Sources.Add(source); }
    }

    public class ModuleRules
    {
        public enum ModuleType { CPlusPlus, External }
        public enum PCHUsageMode { Default, UseExplicitOrSharedPCHs }

        public ModuleRules(ReadOnlyTargetRules target) { }
        public ModuleType Type;
        public PCHUsageMode PCHUsage;
        public string ModuleDirectory { get { return Directory; } }
        public static string Directory;
        public readonly List<string> PublicSystemIncludePaths = new List<string>(), PublicAdditionalLibraries = new List<string>();
        public readonly List<string> PublicDelayLoadDLLs = new List<string>();
        public readonly List<string> PublicDependencyModuleNames = new List<string>(), PrivateDependencyModuleNames = new List<string>();
        public readonly RuntimeDependencyList RuntimeDependencies = new RuntimeDependencyList();
    }
}
