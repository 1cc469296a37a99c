#pragma once

#include "Components/ActorComponent.h"
#include "CoreMinimal.h"
#include "CausewaySubsystem.h"

#include "CausewayWorldComponent.generated.h"

class UTexture2D;
struct CwSession;
struct FCausewayTeller;
struct FCausewayUpload;

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

DECLARE_DYNAMIC_MULTICAST_DELEGATE_OneParam(FCausewayPrompt, int64, Ticket);

/** A neural world on a texture: actions, events and prompts go in, frames come out. */
UCLASS(ClassGroup = (Causeway), meta = (BlueprintSpawnableComponent))
class CAUSEWAY_API UCausewayWorldComponent : public UActorComponent
{
	GENERATED_BODY()

public:
	UCausewayWorldComponent();

	/** Model file, relative to the project's content folder or absolute. */
	UPROPERTY(EditAnywhere, BlueprintReadWrite, Category = "Causeway")
	FString ModelFile = TEXT("Causeway/rooms.safetensors");

	/** A text encoder, for prompts in words, relative to the project's content folder or absolute; empty for none. */
	UPROPERTY(EditAnywhere, BlueprintReadWrite, Category = "Causeway")
	FString EncoderFile;

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

	/** Frames come at the world's own pace, made in fewer steps where the machine is too slow for it. */
	UPROPERTY(EditAnywhere, BlueprintReadWrite, Category = "Causeway")
	bool bKeepPace = true;

	/** The frames; null until play begins. */
	UPROPERTY(BlueprintReadOnly, Transient, Category = "Causeway")
	TObjectPtr<UTexture2D> Texture;

	/** After every new frame. */
	UPROPERTY(BlueprintAssignable, Category = "Causeway")
	FCausewayFrame OnFrame;

	/** When the world was told a prompt, with the ticket that receipts name from the first frame under it on. */
	UPROPERTY(BlueprintAssignable, Category = "Causeway")
	FCausewayPrompt OnPrompt;

	/** Sets one entry of the action vector by its name in the model, until it is set again. False if the model has none of that name. */
	UFUNCTION(BlueprintCallable, Category = "Causeway")
	bool SetAction(const FString& Name, float Value);

	/** Queues an event by its name for the next chunk. The ticket that receipts name, or -1 if the model has none of that name. */
	UFUNCTION(BlueprintCallable, Category = "Causeway")
	int64 QueueEvent(const FString& Name);

	/** Tells the world a prompt that its file stores, by its number in PromptNames; before it is there, once it is. */
	UFUNCTION(BlueprintCallable, Category = "Causeway")
	bool Prompt(int32 Index);

	/** Tells the world words, once they are encoded; needs an EncoderFile. */
	UFUNCTION(BlueprintCallable, Category = "Causeway")
	bool Say(const FString& Words);

	/** How far words on their way to the world are, from 0 to 1: for a progress bar. 1 where there are none. */
	UFUNCTION(BlueprintPure, Category = "Causeway")
	float SayProgress() const;

	/** Names of the model's actions, of its events, of the prompts that its file stores. */
	UFUNCTION(BlueprintPure, Category = "Causeway")
	TArray<FString> ActionNames() const { return Actions; }
	UFUNCTION(BlueprintPure, Category = "Causeway")
	TArray<FString> EventNames() const { return Events; }
	UFUNCTION(BlueprintPure, Category = "Causeway")
	TArray<FString> PromptNames() const { return Prompts; }

	UFUNCTION(BlueprintCallable, Category = "Causeway")
	void SetPaused(bool bPaused);

	/** Begins anew with this seed. */
	UFUNCTION(BlueprintCallable, Category = "Causeway")
	void Restart(int32 NewSeed);

	/** How far the creation of the world is, from 0 to 1: for a progress bar. Until it is 1 actions and events are not taken. */
	UFUNCTION(BlueprintPure, Category = "Causeway")
	float Progress() const;

	/** Denoise steps, history frames per query and window from the next chunk on; -1 leaves a value. */
	UFUNCTION(BlueprintCallable, Category = "Causeway")
	bool SetQuality(int32 Steps, int32 Route, int32 Window);

	/** A saved game, for a USaveGame's array of bytes: small, for any device and later versions; empty without a world. */
	UFUNCTION(BlueprintCallable, Category = "Causeway")
	TArray<uint8> Save() const;

	/** Goes on from a saved game of the same model; before the world is there, once it is. */
	UFUNCTION(BlueprintCallable, Category = "Causeway")
	bool Load(const TArray<uint8>& Bytes);

	/**
	 * Everything that determines the future, for rewinding: of this model, device and build of the library; empty without a world. An array of
	 * blueprints holds less than 2 GiB; code takes SnapshotInto for any size.
	 */
	UFUNCTION(BlueprintCallable, Category = "Causeway")
	TArray<uint8> Snapshot() const;

	/** Goes back to a snapshot. */
	UFUNCTION(BlueprintCallable, Category = "Causeway")
	bool Restore(const TArray<uint8>& Bytes);

	/** The same, of any size. */
	bool SnapshotInto(TArray64<uint8>& Bytes) const;
	bool RestoreFrom(const TArray64<uint8>& Bytes);

	/** Save games that archive whole actors (ArIsSaveGame) take the saved game along. */
	virtual void Serialize(FArchive& Ar) override;

	virtual void BeginPlay() override;
	virtual void EndPlay(const EEndPlayReason::Type Reason) override;
	virtual void TickComponent(float DeltaTime, ELevelTick TickType, FActorComponentTickFunction* ThisTickFunction) override;

private:
	bool Open();
	bool IsThere();
	/** The stream knows what to show. */
	bool Begin();
	void Tell(uint32 Micros);
	template <class TBytes> bool Written(TBytes& Bytes, uint64 Most, int32 (*Write)(CwSession*, void*, size_t, size_t*)) const;
	bool Remembered();
	void Close();
	FCausewayUpload* FreeUpload();
	bool Ok(int32 Status) const;

	/** Buffers that the render thread reads, in turn. */
	static constexpr int32 UploadCount = 3;

	CwSession* Session = nullptr;
	FCausewayTeller* Teller = nullptr;
	TArray<FString> Actions;
	TArray<FString> Events;
	TArray<FString> Prompts;
	TArray<float> Action;
	FCausewayUpload* Uploads[UploadCount] = {};
	TArray<uint8> Saved;
	bool bThere = false;
	bool bTold = false;
	bool bShown = false;
	bool bPause = false;
	int32 Width = 0;
	int32 Height = 0;
};
