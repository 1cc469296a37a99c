// Drives the component as Unreal would:  play PLUGIN MODEL SCRIPT
// Plays the script and prints number and hash of every frame on the texture; half-way it goes through a snapshot, at the end through a save game.
#include "CausewayModule.h"
#include "CausewayWorldComponent.h"

#include <fstream>
#include <iostream>

static FString Text(const char *text) { return UTF8_TO_TCHAR(text); }

// FNV-1a of the frame as R, G, B, A.
static std::uint64_t Hash(const std::vector<uint8> &bgra) {
    std::uint64_t hash = 0xcbf29ce484222325u;
    for (std::size_t i = 0; i < bgra.size(); i += 4)
        for (int channel : {2, 1, 0, 3}) hash = (hash ^ bgra[i + static_cast<std::size_t>(channel)]) * 0x100000001b3u;
    return hash;
}

int main(int argc, char **argv) {
    if (argc < 4) return std::cerr << "usage: play PLUGIN MODEL SCRIPT\n", 2;
    IPluginManager::Get().plugin->base = Text(argv[1]);
    FModuleManager::Module().StartupModule();

    UCausewaySubsystem shared;
    FSubsystemCollectionBase none;
    shared.Initialize(none);
    UGameInstance game;
    game.subsystem = &shared;
    UWorld level;
    level.game = &game;
    UCausewayWorldComponent world;
    world.world = &level;

    std::ifstream script(argv[3]);
    int frames = 0;
    script >> world.Seed >> frames;
    world.ModelFile = Text(argv[2]);
    world.Device = ECausewayDevice::Cpu;
    world.bOwnThread = false;
    world.bKeepPace = false;
    bool fresh = false;
    std::uint64_t hash = 0;
    int64 number = -1;
    world.OnFrame.listener = [&](UTexture2D *texture, const FCausewayReceipt &receipt) {
        fresh = true;
        hash = Hash(texture->shown);
        number = receipt.Frame;
    };
    // The world is created in ticks.
    const auto begin = [&world] {
        world.BeginPlay();
        float before = 0;
        for (int tick = 0; world.Texture && world.Progress() < 1 && tick < 1000000; tick++) {
            if (world.Progress() < before) return false;
            before = world.Progress();
            world.TickComponent(0, LEVELTICK_All, nullptr);
        }
        return world.Texture && world.Progress() == 1;
    };
    // Bounded, because a world that failed ticks without frames.
    const auto frame = [&world, &fresh] {
        fresh = false;
        for (int tick = 0; !fresh && tick < 1000000; tick++) world.TickComponent(0, LEVELTICK_All, nullptr);
        return fresh;
    };
    if (!begin()) return 1;
    for (int n = 0; n < frames; n++) {
        if (n == frames / 2) {
            const TArray<uint8> snapshot = world.Snapshot();
            world.EndPlay(EEndPlayReason::Quit);
            if (!begin() || !world.Restore(snapshot)) return 1;
        }
        const TArray<FString> actions = world.ActionNames(), events = world.EventNames();
        for (int32 i = 0; i < actions.Num(); i++) {
            float value = 0;
            script >> value;
            world.SetAction(actions[i], value);
        }
        int event = -1;
        script >> event;
        if (event >= 0 && world.QueueEvent(events[event]) < 0) return 1;
        if (!frame()) return 1;
        std::printf("%d %016llx\n", static_cast<int>(number), static_cast<unsigned long long>(hash));
    }
    TArray<uint8> file;
    FArchive save(file, false), load(file, true);
    world.Serialize(save);
    world.EndPlay(EEndPlayReason::Quit);
    world.Serialize(load);
    // A frame that was shown before it was remembered is made again.
    if (!begin() || !frame() || number < frames - 1) return 1;
    if (world.SetAction(TEXT("fly"), 1) || world.QueueEvent(TEXT("doomsday")) != -1) return 1;
    world.EndPlay(EEndPlayReason::Quit);
    shared.Deinitialize();
    FModuleManager::Module().ShutdownModule();
    return 0;
}
