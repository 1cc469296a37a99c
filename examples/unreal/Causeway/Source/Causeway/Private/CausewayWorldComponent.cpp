#include "CausewayWorldComponent.h"

#include "CausewayModule.h"
#include "Engine/GameInstance.h"
#include "Engine/Texture2D.h"
#include "Engine/World.h"
#include "Math/UnrealMathUtility.h"
#include "Misc/Paths.h"
#include "RHITypes.h"
#include "Serialization/Archive.h"

#include "causeway.h"

UCausewayWorldComponent::UCausewayWorldComponent()
{
	PrimaryComponentTick.bCanEverTick = true;
}

bool UCausewayWorldComponent::Ok(int32 Status) const
{
	if (Status >= 0) return true;
	UE_LOG(LogCauseway, Error, TEXT("%s: %s"), *GetName(), *UCausewaySubsystem::LastError());
	return false;
}

void UCausewayWorldComponent::BeginPlay()
{
	Super::BeginPlay();
	if (!Open()) Close();
}

void UCausewayWorldComponent::EndPlay(const EEndPlayReason::Type Reason)
{
	Close();
	Super::EndPlay(Reason);
}

bool UCausewayWorldComponent::Open()
{
	const UGameInstance* Game = GetWorld() ? GetWorld()->GetGameInstance() : nullptr;
	UCausewaySubsystem* Shared = Game ? Game->GetSubsystem<UCausewaySubsystem>() : nullptr;
	if (!Shared) return false;
	const FString Path = FPaths::IsRelative(ModelFile) ? FPaths::Combine(FPaths::ProjectContentDir(), ModelFile) : ModelFile;
	CwDevice* On = Shared->Device(Device);
	CwModel* Model = On ? Shared->Model(FPaths::ConvertRelativePathToFull(Path)) : nullptr;
	if (!Model) return false;

	CwModelInfo Info{};
	Info.struct_size = sizeof(Info);
	CwSessionOptions Options{};
	Options.struct_size = sizeof(Options);
	if (!Ok(cw_model_info(Model, &Info)) || !Ok(cw_session_options_init(&Options))) return false;
	Options.seed = static_cast<uint32>(Seed);
	Options.pace = bKeepPace ? CW_PACE_HELD : CW_PACE_OFF;
	Options.governor = bKeepPace ? 1 : 0;
	// The handle comes at once; ticks, or the library's thread, do the work.
	if (!Ok(cw_session_create_begin(On, Model, &Options, &Session))) return false;

	Actions.Empty();
	Events.Empty();
	char Name[128];
	for (uint32 Index = 0; Index < Info.actions; Index++)
	{
		cw_model_action_name(Model, Index, Name, sizeof(Name), nullptr);
		Actions.Add(FString(UTF8_TO_TCHAR(Name)));
	}
	for (uint32 Index = 0; Index < Info.events; Index++)
	{
		cw_model_event_name(Model, Index, Name, sizeof(Name), nullptr);
		Events.Add(FString(UTF8_TO_TCHAR(Name)));
	}
	Action.SetNumZeroed(Actions.Num());
	Width = static_cast<int32>(Info.width);
	Height = static_cast<int32>(Info.height);
	Pixels.SetNumZeroed(Width * Height * 4);
	Texture = UTexture2D::CreateTransient(Width, Height, PF_B8G8R8A8);
	Texture->SRGB = true;
	Texture->UpdateResource();

	return !bOwnThread || Ok(cw_session_start_worker(Session));
}

void UCausewayWorldComponent::Close()
{
	// Waits for one slice of the worker at most. Without a session there may be no library to call.
	if (Session) cw_session_destroy(Session);
	Session = nullptr;
	Texture = nullptr;
	bThere = false;
}

bool UCausewayWorldComponent::IsThere()
{
	if (bThere) return true;
	bool bWell = bOwnThread || Ok(cw_session_pump(Session, static_cast<uint32>(1000.0f * Budget)));
	// What creating it failed of is told here too, where the library's thread does it.
	CwProgress Now{};
	Now.struct_size = sizeof(Now);
	if (!bWell || !Ok(cw_session_progress(Session, &Now)))
	{
		Close();
		return false;
	}
	if (Now.stage == CW_STAGE_READY)
	{
		bThere = true;
		if (Saved.Num() > 0) Load(Saved);
		else Restart(Seed);
		Saved.Empty();
		if (bPause) SetPaused(true);
	}
	// It plays from the game's next tick on, so that the game has the first word.
	return false;
}

void UCausewayWorldComponent::TickComponent(float DeltaTime, ELevelTick TickType, FActorComponentTickFunction* ThisTickFunction)
{
	Super::TickComponent(DeltaTime, TickType, ThisTickFunction);
	if (!Session || !IsThere()) return;
	bool bWell = Ok(cw_session_set_action(Session, Action.GetData(), static_cast<uint32>(Action.Num()), nullptr));
	if (bWell && !bOwnThread) bWell = Ok(cw_session_pump(Session, static_cast<uint32>(1000.0f * Budget)));

	CwImage Image{};
	Image.struct_size = sizeof(Image);
	Image.format = CW_FORMAT_BGRA8;
	Image.pixels = Pixels.GetData();
	Image.bytes = static_cast<size_t>(Pixels.Num());
	CwReceipt Taken{};
	Taken.struct_size = sizeof(Taken);
	const int32 Status = bWell ? cw_session_poll_frame(Session, &Image, &Taken) : CW_PENDING;
	if (!bWell || !Ok(Status))
	{
		// Once, not every tick: nothing gets better by itself.
		Close();
		return;
	}
	if (Status != CW_OK) return;
	FCausewayReceipt Receipt;
	Receipt.Frame = static_cast<int64>(Taken.frame);
	Receipt.Event = static_cast<int32>(Taken.event);
	Receipt.ActionTicket = static_cast<int64>(Taken.action_ticket);
	Receipt.EventTicket = static_cast<int64>(Taken.event_ticket);
	Upload(Receipt);
}

void UCausewayWorldComponent::Upload(const FCausewayReceipt& Receipt)
{
	// The render thread copies later, so it gets bytes and region of its own, which it gives back.
	uint8* Copy = new uint8[Pixels.Num()];
	FMemory::Memcpy(Copy, Pixels.GetData(), Pixels.Num());
	FUpdateTextureRegion2D* Region = new FUpdateTextureRegion2D(0, 0, 0, 0, Width, Height);
	Texture->UpdateTextureRegions(0, 1, Region, Width * 4, 4, Copy, [](uint8* Bytes, const FUpdateTextureRegion2D* Regions) {
		delete[] Bytes;
		delete Regions;
	});
	OnFrame.Broadcast(Texture, Receipt);
}

bool UCausewayWorldComponent::SetAction(const FString& Name, float Value)
{
	const int32 Index = Actions.IndexOfByKey(Name);
	if (Index == INDEX_NONE || !Session) return false;
	Action[Index] = Value;
	return true;
}

int64 UCausewayWorldComponent::QueueEvent(const FString& Name)
{
	const int32 Index = Events.IndexOfByKey(Name);
	uint64_t Ticket = 0;
	if (Index == INDEX_NONE || !bThere || !Ok(cw_session_queue_event(Session, static_cast<uint32>(Index), 0, &Ticket))) return -1;
	return static_cast<int64>(Ticket);
}

void UCausewayWorldComponent::SetPaused(bool bPaused)
{
	bPause = bPaused;
	if (bThere) Ok(bPaused ? cw_session_pause(Session) : cw_session_resume(Session));
}

void UCausewayWorldComponent::Restart(int32 NewSeed)
{
	Seed = NewSeed;
	Saved.Empty();
	if (bThere) Ok(cw_session_reset(Session, static_cast<uint32>(Seed)));
}

float UCausewayWorldComponent::Progress() const
{
	CwProgress Now{};
	Now.struct_size = sizeof(Now);
	if (bThere || !Session || !Ok(cw_session_progress(Session, &Now))) return bThere ? 1.0f : 0.0f;
	const float Share = Now.total > 0 ? static_cast<float>(Now.done) / static_cast<float>(Now.total) : 0.0f;
	// Kernels of a GPU are the second half.
	CwSessionInfo Info{};
	Info.struct_size = sizeof(Info);
	if (!Ok(cw_session_info(Session, &Info)) || Info.device != CW_DEVICE_GPU) return FMath::Min(0.99f, Share);
	return FMath::Min(0.99f, Now.stage == CW_STAGE_PIPELINES ? 0.5f + Share / 2 : Share / 2);
}

bool UCausewayWorldComponent::SetQuality(int32 Steps, int32 Route, int32 Window)
{
	return bThere && Ok(cw_session_set_quality(Session, Steps, Route, Window));
}

TArray<uint8> UCausewayWorldComponent::Written(uint64 Most, int32 (*Write)(CwSession*, void*, size_t, size_t*)) const
{
	TArray<uint8> Bytes;
	if (!bThere) return Bytes;
	size_t Needed = 0;
	// An array of Unreal's has at most so many.
	Bytes.SetNumZeroed(static_cast<int32>(FMath::Min(Most, static_cast<uint64>(MAX_int32))));
	const bool bWritten = Ok(Write(Session, Bytes.GetData(), static_cast<size_t>(Bytes.Num()), &Needed));
	Bytes.SetNum(bWritten ? static_cast<int32>(Needed) : 0);
	return Bytes;
}

TArray<uint8> UCausewayWorldComponent::Snapshot() const
{
	CwSessionInfo Info{};
	Info.struct_size = sizeof(Info);
	return Session && Ok(cw_session_info(Session, &Info)) ? Written(Info.snapshot_bytes, cw_session_snapshot) : TArray<uint8>();
}

bool UCausewayWorldComponent::Restore(const TArray<uint8>& Bytes)
{
	return bThere && Ok(cw_session_restore(Session, Bytes.GetData(), static_cast<size_t>(Bytes.Num())));
}

TArray<uint8> UCausewayWorldComponent::Save() const
{
	// A game that waits to be loaded is the world's.
	if (!bThere) return Saved;
	CwSessionInfo Info{};
	Info.struct_size = sizeof(Info);
	return Session && Ok(cw_session_info(Session, &Info)) ? Written(Info.save_bytes, cw_session_save) : TArray<uint8>();
}

bool UCausewayWorldComponent::Load(const TArray<uint8>& Bytes)
{
	if (bThere) return Ok(cw_session_load(Session, Bytes.GetData(), static_cast<size_t>(Bytes.Num())));
	Saved = Bytes;
	return true;
}

void UCausewayWorldComponent::Serialize(FArchive& Ar)
{
	Super::Serialize(Ar);
	if (!Ar.IsSaveGame()) return;
	TArray<uint8> Bytes;
	if (Ar.IsSaving()) Bytes = Save();
	Ar << Bytes;
	if (Ar.IsLoading() && Bytes.Num() > 0) Load(Bytes);
}
