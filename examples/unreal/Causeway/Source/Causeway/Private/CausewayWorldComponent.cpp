#include "CausewayWorldComponent.h"

#include "CausewayModule.h"
#include "CausewayTeller.h"
#include "CausewayUpload.h"
#include "Engine/GameInstance.h"
#include "Engine/Texture2D.h"
#include "Engine/World.h"
#include "Math/UnrealMathUtility.h"
#include "Misc/Paths.h"
#include "RHITypes.h"
#include "Serialization/Archive.h"

namespace
{
	FString FullPath(const FString& File)
	{
		return FPaths::ConvertRelativePathToFull(FPaths::IsRelative(File) ? FPaths::Combine(FPaths::ProjectContentDir(), File) : File);
	}
}

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
	CwDevice* On = Shared->Device(Device);
	CwModel* Model = On ? Shared->Model(FullPath(ModelFile)) : nullptr;
	if (!Model) return false;

	CwModelInfo Info{};
	Info.struct_size = sizeof(Info);
	CwSessionOptions Options{};
	Options.struct_size = sizeof(Options);
	if (!Ok(cw_model_info(Model, &Info)) || !Ok(cw_session_options_init(&Options))) return false;
	Options.seed = static_cast<uint32>(Seed);
	Options.pace = bKeepPace ? CW_PACE_HELD : CW_PACE_OFF;
	Options.governor = bKeepPace ? 1 : 0;
	const bool bPrompts = (Info.takes & CW_TAKES_PROMPT) != 0;
	if (bPrompts)
	{
		// A bundle has both in one file. What is told shows at once.
		Options.codec = Model;
		Options.recache = 1;
	}
	// The handle comes at once; ticks, or the library's thread, do the work.
	if (!Ok(cw_session_create_begin(On, Model, &Options, &Session))) return false;
	CwSessionInfo Made{};
	Made.struct_size = sizeof(Made);
	if (!Ok(cw_session_info(Session, &Made))) return false;

	Teller = new FCausewayTeller;
	if (!EncoderFile.IsEmpty())
	{
		CwTextOptions How{};
		How.struct_size = sizeof(How);
		How.most_rows = Info.prompt_rows;
		CwModel* Encoder = Shared->Model(FullPath(EncoderFile));
		if (!Encoder || !Ok(cw_text_create(On, Encoder, &How, &Teller->Text))) return false;
	}
	Teller->Prompts = causeway::Teller(Session, Model, Teller->Text);
	bTold = !bPrompts;

	Actions.Empty();
	Events.Empty();
	Prompts.Empty();
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
	for (uint32 Index = 0; Index < Info.prompts; Index++)
	{
		cw_model_prompt_name(Model, Index, Name, sizeof(Name), nullptr);
		Prompts.Add(FString(UTF8_TO_TCHAR(Name)));
	}
	Action.SetNumZeroed(Actions.Num());
	Width = static_cast<int32>(Made.width);
	Height = static_cast<int32>(Made.height);
	for (FCausewayUpload*& Upload : Uploads) Upload = new FCausewayUpload(Width, Height);
	Texture = UTexture2D::CreateTransient(Width, Height, PF_B8G8R8A8);
	Texture->SRGB = true;
	Texture->UpdateResource();

	// The library's thread would not wait for a first prompt.
	return !bOwnThread || !bTold || Ok(cw_session_start_worker(Session));
}

void UCausewayWorldComponent::Close()
{
	// Waits for one slice of the worker at most. Without a session there may be no library to call.
	if (Session) cw_session_destroy(Session);
	Session = nullptr;
	delete Teller;
	Teller = nullptr;
	for (FCausewayUpload*& Upload : Uploads)
	{
		FCausewayUpload::Leave(Upload);
		Upload = nullptr;
	}
	Texture = nullptr;
	bThere = bTold = bShown = false;
}

bool UCausewayWorldComponent::IsThere()
{
	if (bThere) return true;
	bool bWell = (bOwnThread && bTold) || Ok(cw_session_pump(Session, static_cast<uint32>(1000.0f * Budget)));
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
		const TArray<uint8> Game = MoveTemp(Saved);
		Saved.Empty();
		if (Game.Num() > 0) Load(Game);
		else Ok(cw_session_reset(Session, static_cast<uint32>(Seed)));
		if (bPause) SetPaused(true);
		// A stream of prompts begins with the first one, where the game has not said another one.
		if (!bTold && !Teller->Prompts.waits()) Teller->Prompts.tell(0);
	}
	// It plays from the game's next tick on, so that the game has the first word.
	return false;
}

void UCausewayWorldComponent::TickComponent(float DeltaTime, ELevelTick TickType, FActorComponentTickFunction* ThisTickFunction)
{
	Super::TickComponent(DeltaTime, TickType, ThisTickFunction);
	if (!Session || !IsThere()) return;
	uint32 Micros = static_cast<uint32>(1000.0f * Budget);
	if (Teller->Prompts.encodes()) Micros /= 2;
	Tell(Micros);
	if (!Session || !bTold) return;
	bool bWell = Action.Num() == 0 || Ok(cw_session_set_action(Session, Action.GetData(), static_cast<uint32>(Action.Num()), nullptr));
	if (bWell && !bOwnThread) bWell = Ok(cw_session_pump(Session, Micros));

	// Where the render thread has not read the last ones yet the frame waits in the session.
	FCausewayUpload* Upload = FreeUpload();
	CwImage Image{};
	Image.struct_size = sizeof(Image);
	Image.format = CW_FORMAT_BGRA8;
	CwReceipt Taken{};
	Taken.struct_size = sizeof(Taken);
	int32 Status = CW_PENDING;
	if (bWell && Upload)
	{
		Image.pixels = Upload->Pixels.GetData();
		Image.bytes = static_cast<size_t>(Upload->Pixels.Num());
		Status = cw_session_poll_frame(Session, &Image, &Taken);
	}
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
	bShown = true;
	if (Texture->GetResource())
	{
		Upload->Give();
		Texture->UpdateTextureRegions(0, 1, Upload, Width * 4, 4, Upload->Pixels.GetData(), &FCausewayUpload::Return);
	}
	OnFrame.Broadcast(Texture, Receipt);
}

FCausewayUpload* UCausewayWorldComponent::FreeUpload()
{
	for (FCausewayUpload* Upload : Uploads)
	{
		if (Upload->IsFree()) return Upload;
	}
	return nullptr;
}

void UCausewayWorldComponent::Tell(uint32 Micros)
{
	if (!Teller->Prompts.waits()) return;
	if (!Ok(Teller->Prompts.pump(Micros)))
	{
		// What was said is lost, the world is not.
		Teller->Prompts.forget();
	}
	else if (!Teller->Prompts.waits() && Begin())
	{
		OnPrompt.Broadcast(static_cast<int64>(Teller->Prompts.ticket()));
	}
}

bool UCausewayWorldComponent::Begin()
{
	if (!bTold && bOwnThread && !Ok(cw_session_start_worker(Session)))
	{
		Close();
		return false;
	}
	bTold = true;
	return true;
}

bool UCausewayWorldComponent::Remembered()
{
	// What it was about to be told is given up; what it goes on from knows what to show.
	Teller->Prompts.forget();
	return Begin();
}

bool UCausewayWorldComponent::Prompt(int32 Index)
{
	return Session && Index >= 0 && Teller->Prompts.tell(static_cast<uint32>(Index));
}

bool UCausewayWorldComponent::Say(const FString& Words)
{
	if (!Session) return false;
	if (!Teller->Text)
	{
		UE_LOG(LogCauseway, Error, TEXT("a prompt in words needs a text encoder: EncoderFile"));
		return false;
	}
	const FTCHARToUTF8 Text(*Words);
	return Ok(Teller->Prompts.say({Text.Get(), static_cast<size_t>(Text.Length())}));
}

float UCausewayWorldComponent::SayProgress() const
{
	return Session ? Teller->Prompts.progress() : 1.0f;
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
	if (!bThere) return;
	Ok(cw_session_reset(Session, static_cast<uint32>(Seed)));
	// A first prompt that waited for its chunk was dropped.
	if (!bShown) Teller->Prompts.tell(0);
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

template <class TBytes>
bool UCausewayWorldComponent::Written(TBytes& Bytes, uint64 Most, int32 (*Write)(CwSession*, void*, size_t, size_t*)) const
{
	using FSize = decltype(Bytes.Num());
	Bytes.Empty();
	if (!bThere) return false;
	if (Most > static_cast<uint64>(TNumericLimits<FSize>::Max()))
	{
		UE_LOG(LogCauseway, Error, TEXT("an array of blueprints cannot hold so many bytes: SnapshotInto can"));
		return false;
	}
	size_t Needed = 0;
	Bytes.SetNumUninitialized(static_cast<FSize>(Most));
	const bool bWritten = Ok(Write(Session, Bytes.GetData(), static_cast<size_t>(Bytes.Num()), &Needed));
	Bytes.SetNum(bWritten ? static_cast<FSize>(Needed) : 0);
	return bWritten;
}

TArray<uint8> UCausewayWorldComponent::Snapshot() const
{
	CwSessionInfo Info{};
	Info.struct_size = sizeof(Info);
	TArray<uint8> Bytes;
	if (bThere && Ok(cw_session_info(Session, &Info))) Written(Bytes, Info.snapshot_bytes, cw_session_snapshot);
	return Bytes;
}

bool UCausewayWorldComponent::SnapshotInto(TArray64<uint8>& Bytes) const
{
	CwSessionInfo Info{};
	Info.struct_size = sizeof(Info);
	return bThere && Ok(cw_session_info(Session, &Info)) && Written(Bytes, Info.snapshot_bytes, cw_session_snapshot);
}

bool UCausewayWorldComponent::Restore(const TArray<uint8>& Bytes)
{
	return bThere && Ok(cw_session_restore(Session, Bytes.GetData(), static_cast<size_t>(Bytes.Num()))) && Remembered();
}

bool UCausewayWorldComponent::RestoreFrom(const TArray64<uint8>& Bytes)
{
	return bThere && Ok(cw_session_restore(Session, Bytes.GetData(), static_cast<size_t>(Bytes.Num()))) && Remembered();
}

TArray<uint8> UCausewayWorldComponent::Save() const
{
	// A game that waits to be loaded is the world's.
	if (!bThere) return Saved;
	CwSessionInfo Info{};
	Info.struct_size = sizeof(Info);
	TArray<uint8> Bytes;
	if (Ok(cw_session_info(Session, &Info))) Written(Bytes, Info.save_bytes, cw_session_save);
	return Bytes;
}

bool UCausewayWorldComponent::Load(const TArray<uint8>& Bytes)
{
	if (bThere) return Ok(cw_session_load(Session, Bytes.GetData(), static_cast<size_t>(Bytes.Num()))) && Remembered();
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
