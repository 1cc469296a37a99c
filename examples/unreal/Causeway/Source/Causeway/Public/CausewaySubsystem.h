#pragma once

#include "CoreMinimal.h"
#include "Subsystems/GameInstanceSubsystem.h"

#include "CausewaySubsystem.generated.h"

struct CwDevice;
struct CwModel;

/** Where to compute. */
UENUM(BlueprintType)
enum class ECausewayDevice : uint8
{
	/** A hardware GPU if there is one that fits, else the CPU. */
	Auto,
	Cpu,
	Gpu,
};

/** What the worlds of a game share: one device of each kind, and every model file opened once. */
UCLASS()
class CAUSEWAY_API UCausewaySubsystem : public UGameInstanceSubsystem
{
	GENERATED_BODY()

public:
	virtual void Initialize(FSubsystemCollectionBase& Collection) override;
	virtual void Deinitialize() override;

	/** The device, opened at its first use; null if none fits, with the reason in the log. */
	CwDevice* Device(ECausewayDevice Kind);

	/** The model, opened at its first use; null if the file is not one, with the reason in the log. */
	CwModel* Model(const FString& Path);

	/** Text of the library's last error on this thread. */
	static FString LastError();

private:
	bool bLoaded = false;
	TMap<uint8, CwDevice*> Devices;
	TMap<FString, CwModel*> Models;
};
