using UnrealBuildTool;

/// <summary>The plugin's runtime module.</summary>
public class Causeway : ModuleRules
{
	public Causeway(ReadOnlyTargetRules Target) : base(Target)
	{
		PCHUsage = PCHUsageMode.UseExplicitOrSharedPCHs;
		PublicDependencyModuleNames.AddRange(new string[] { "Core", "CoreUObject", "Engine", "CausewayLibrary" });
		PrivateDependencyModuleNames.AddRange(new string[] { "Projects", "RHI" });
	}
}
