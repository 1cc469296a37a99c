using System.IO;
using UnrealBuildTool;

/// <summary>The built library and its header. assemble.py puts them beside this file.</summary>
public class CausewayLibrary : ModuleRules
{
	public CausewayLibrary(ReadOnlyTargetRules Target) : base(Target)
	{
		Type = ModuleType.External;
		PublicSystemIncludePaths.Add(Path.Combine(ModuleDirectory, "include"));
		string Folder = Path.Combine(ModuleDirectory, "lib", Target.Platform.ToString());
		if (Target.Platform == UnrealTargetPlatform.Win64)
		{
			// Loaded by the module itself, from the plugin's folder and not from wherever Windows looks.
			PublicAdditionalLibraries.Add(Path.Combine(Folder, "causeway.dll.lib"));
			PublicDelayLoadDLLs.Add("causeway.dll");
			RuntimeDependencies.Add("$(PluginDir)/Binaries/Win64/causeway.dll", Path.Combine(Folder, "causeway.dll"));
		}
		else if (Target.Platform == UnrealTargetPlatform.Linux || Target.Platform == UnrealTargetPlatform.LinuxArm64)
		{
			PublicAdditionalLibraries.Add(Path.Combine(Folder, "libcauseway.so"));
			PublicDelayLoadDLLs.Add("libcauseway.so");
			RuntimeDependencies.Add("$(PluginDir)/Binaries/" + Target.Platform + "/libcauseway.so", Path.Combine(Folder, "libcauseway.so"));
		}
		else if (Target.Platform == UnrealTargetPlatform.Mac)
		{
			PublicAdditionalLibraries.Add(Path.Combine(Folder, "libcauseway.dylib"));
			PublicDelayLoadDLLs.Add("libcauseway.dylib");
			RuntimeDependencies.Add("$(PluginDir)/Binaries/Mac/libcauseway.dylib", Path.Combine(Folder, "libcauseway.dylib"));
		}
	}
}
