#include "CausewaySubsystem.h"

#include "CausewayModule.h"

#include "causeway.h"

void UCausewaySubsystem::Initialize(FSubsystemCollectionBase& Collection)
{
	Super::Initialize(Collection);
	bLoaded = FModuleManager::GetModuleChecked<FCausewayModule>(TEXT("Causeway")).IsLoaded();
}

void UCausewaySubsystem::Deinitialize()
{
	// Sessions keep what they use of both.
	for (const auto& Pair : Models) cw_model_destroy(Pair.Value);
	for (const auto& Pair : Devices) cw_device_destroy(Pair.Value);
	Models.Empty();
	Devices.Empty();
	Super::Deinitialize();
}

CwDevice* UCausewaySubsystem::Device(ECausewayDevice Kind)
{
	if (!bLoaded) return nullptr;
	if (CwDevice** Found = Devices.Find(static_cast<uint8>(Kind))) return *Found;
	CwDeviceOptions Options{};
	Options.struct_size = sizeof(Options);
	CwDevice* Opened = nullptr;
	cw_device_options_init(&Options);
	Options.kind = Kind == ECausewayDevice::Cpu ? CW_DEVICE_CPU : Kind == ECausewayDevice::Gpu ? CW_DEVICE_GPU : CW_DEVICE_AUTO;
	if (cw_device_create(&Options, &Opened) < 0)
	{
		UE_LOG(LogCauseway, Error, TEXT("no device: %s"), *LastError());
		return nullptr;
	}
	return Devices.Add(static_cast<uint8>(Kind), Opened);
}

CwModel* UCausewaySubsystem::Model(const FString& Path)
{
	if (!bLoaded) return nullptr;
	if (CwModel** Found = Models.Find(Path)) return *Found;
	const FTCHARToUTF8 Text(*Path);
	CwModel* Opened = nullptr;
	if (cw_model_open_path(Text.Get(), Text.Length(), &Opened) < 0)
	{
		UE_LOG(LogCauseway, Error, TEXT("%s: %s"), *Path, *LastError());
		return nullptr;
	}
	return Models.Add(Path, Opened);
}

FString UCausewaySubsystem::LastError()
{
	char Text[512];
	cw_last_error(Text, sizeof(Text), nullptr);
	return FString(UTF8_TO_TCHAR(Text));
}
