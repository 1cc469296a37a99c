using System;
using System.IO;
using System.Linq;
using UnrealBuildTool;

// Evaluates the build rules for one of Unreal's platforms and fails if they name a file that the assembled plugin lacks:
//     Rules FOLDER-OF-THE-LIBRARY-MODULE [Linux | LinuxArm64]
static class Rules
{
    static void Main(string[] arguments)
    {
        ModuleRules.Directory = arguments[0];
        var target = new ReadOnlyTargetRules { Platform = arguments.Length > 1 && arguments[1] == "LinuxArm64" ? UnrealTargetPlatform.LinuxArm64 : UnrealTargetPlatform.Linux };
        var library = new CausewayLibrary(target);
        if (!new global::Causeway(target).PublicDependencyModuleNames.Contains("CausewayLibrary")) throw new Exception("the library is not used");
        var files = library.PublicAdditionalLibraries.Concat(library.RuntimeDependencies.Sources).ToArray();
        foreach (var file in files.Concat(library.PublicSystemIncludePaths.Select(folder => Path.Combine(folder, "causeway.h"))))
        {
            if (!File.Exists(file)) throw new Exception(file + " is missing");
        }
        Console.WriteLine(files.Length);
    }
}
