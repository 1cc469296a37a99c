#include "CausewayModule.h"

#include "HAL/PlatformProcess.h"
#include "Interfaces/IPluginManager.h"
#include "Misc/Paths.h"

#include "causeway.h"

DEFINE_LOG_CATEGORY(LogCauseway);

namespace
{
	const TCHAR* LibraryFile()
	{
#if PLATFORM_WINDOWS
		return TEXT("Binaries/Win64/causeway.dll");
#elif PLATFORM_MAC
		return TEXT("Binaries/Mac/libcauseway.dylib");
#elif PLATFORM_CPU_ARM_FAMILY
		return TEXT("Binaries/LinuxArm64/libcauseway.so");
#else
		return TEXT("Binaries/Linux/libcauseway.so");
#endif
	}
}

void FCausewayModule::StartupModule()
{
	const FString Folder = IPluginManager::Get().FindPlugin(TEXT("Causeway"))->GetBaseDir();
	// Delay-loaded: by its full path, before the first call of it.
	Library = FPlatformProcess::GetDllHandle(*FPaths::Combine(Folder, LibraryFile()));
	if (!Library)
	{
		UE_LOG(LogCauseway, Error, TEXT("the library is not in %s"), *FPaths::Combine(Folder, LibraryFile()));
		return;
	}
	if (cw_abi_version() < CW_ABI_VERSION)
	{
		UE_LOG(LogCauseway, Error, TEXT("the library is older than the plugin"));
	}
}

void FCausewayModule::ShutdownModule()
{
	if (!Library) return;
	// Ends every thread of the library, so that none runs in code that is unloaded.
	cw_shutdown();
	FPlatformProcess::FreeDllHandle(Library);
	Library = nullptr;
}

IMPLEMENT_MODULE(FCausewayModule, Causeway)
