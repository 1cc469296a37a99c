#pragma once

#include "Components/ActorComponent.h"
#include "CoreMinimal.h"
#include "CausewaySubsystem.h"

#include "CausewayWorldComponent.generated.h"

class UTexture2D;
struct CwSession;

/** What a frame is the first to show. */
USTRUCT(BlueprintType)
struct CAUSEWAY_API FCausewayReceipt
{
	GENERATED_BODY()

	/** Number of the frame in the stream, from 0. */
	UPROPERTY(BlueprintReadOnly, Category = "Causeway")
	int64 Frame = 0;

	/** Event in force. */
	UPROPERTY(BlueprintReadOnly, Category = "Causeway")
	int32 Event = 0;

	/** Ticket of the newest action the frame was made with. */
	UPROPERTY(BlueprintReadOnly, Category = "Causeway")
	int64 ActionTicket = 0;

	/** Ticket of the newest event the frame was made under. */
	UPROPERTY(BlueprintReadOnly, Category = "Causeway")
	int64 EventTicket = 0;
};

DECLARE_DYNAMIC_MULTICAST_DELEGATE_TwoParams(FCausewayFrame, UTexture2D*, Texture, const FCausewayReceipt&, Receipt);

/** A neural world on a texture: actions and events go in, frames come out. */
UCLASS(ClassGroup = (Causeway), meta = (BlueprintSpawnableComponent))
class CAUSEWAY_API UCausewayWorldComponent : public UActorComponent
{
	GENERATED_BODY()

public:
	UCausewayWorldComponent();

	/** Model file, relative to the project's content folder or absolute. */
	UPROPERTY(EditAnywhere, BlueprintReadWrite, Category = "Causeway")
	FString ModelFile = TEXT("Causeway/rooms.safetensors");

	UPROPERTY(EditAnywhere, BlueprintReadWrite, Category = "Causeway")
	ECausewayDevice Device = ECausewayDevice::Auto;

	/** One seed and the same actions give the same frames. */
	UPROPERTY(EditAnywhere, BlueprintReadWrite, Category = "Causeway")
	int32 Seed = 0;

	/** The library works on a thread of its own; otherwise every tick does, within the budget. */
	UPROPERTY(EditAnywhere, BlueprintReadWrite, Category = "Causeway")
	bool bOwnThread = true;

	/** Milliseconds of each tick. */
	UPROPERTY(EditAnywhere, BlueprintReadWrite, Category = "Causeway", meta = (ClampMin = "0.1", EditCondition = "!bOwnThread"))
	float Budget = 2.0f;

	/** The frames; null until play begins. */
	UPROPERTY(BlueprintReadOnly, Transient, Category = "Causeway")
	TObjectPtr<UTexture2D> Texture;

	/** After every new frame. */
	UPROPERTY(BlueprintAssignable, Category = "Causeway")
	FCausewayFrame OnFrame;

	/** Sets one entry of the action vector by its name in the model, until it is set again. False if the model has none of that name. */
	UFUNCTION(BlueprintCallable, Category = "Causeway")
	bool SetAction(const FString& Name, float Value);

	/** Queues an event by its name for the next chunk. The ticket that receipts name, or -1 if the model has none of that name. */
	UFUNCTION(BlueprintCallable, Category = "Causeway")
	int64 QueueEvent(const FString& Name);

	/** Names of the model's actions, or of its events. */
	UFUNCTION(BlueprintPure, Category = "Causeway")
	TArray<FString> ActionNames() const { return Actions; }
	UFUNCTION(BlueprintPure, Category = "Causeway")
	TArray<FString> EventNames() const { return Events; }

	UFUNCTION(BlueprintCallable, Category = "Causeway")
	void SetPaused(bool bPaused);

	/** Begins anew with this seed. */
	UFUNCTION(BlueprintCallable, Category = "Causeway")
	void Restart(int32 NewSeed);

	/** Everything that determines the future, for a USaveGame's array of bytes; empty without a world. */
	UFUNCTION(BlueprintCallable, Category = "Causeway")
	TArray<uint8> Snapshot() const;

	/** Goes back to a snapshot of the same model. */
	UFUNCTION(BlueprintCallable, Category = "Causeway")
	bool Restore(const TArray<uint8>& Bytes);

	/** Save games that archive whole actors (ArIsSaveGame) take the snapshot along. */
	virtual void Serialize(FArchive& Ar) override;

	virtual void BeginPlay() override;
	virtual void EndPlay(const EEndPlayReason::Type Reason) override;
	virtual void TickComponent(float DeltaTime, ELevelTick TickType, FActorComponentTickFunction* ThisTickFunction) override;

private:
	bool Open();
	void Close();
	void Upload(const FCausewayReceipt& Receipt);
	bool Ok(int32 Status) const;

	CwSession* Session = nullptr;
	TArray<FString> Actions;
	TArray<FString> Events;
	TArray<float> Action;
	TArray<uint8> Pixels;
	TArray<uint8> Saved;
	int32 Width = 0;
	int32 Height = 0;
};
