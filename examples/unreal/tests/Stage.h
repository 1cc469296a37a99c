// A component in a level of a game, driven as Unreal would.
#pragma once

#include "CausewayModule.h"
#include "CausewayWorldComponent.h"

inline FString Text(const char *text) { return UTF8_TO_TCHAR(text); }

// FNV-1a of the frame as R, G, B, A.
inline std::uint64_t Hash(const std::vector<uint8> &bgra) {
    std::uint64_t hash = 0xcbf29ce484222325u;
    for (std::size_t i = 0; i < bgra.size(); i += 4)
        for (int channel : {2, 1, 0, 3}) hash = (hash ^ bgra[i + static_cast<std::size_t>(channel)]) * 0x100000001b3u;
    return hash;
}

struct Stage {
    explicit Stage(const char *plugin) {
        IPluginManager::Get().plugin->base = Text(plugin);
        FModuleManager::Module().StartupModule();
        FSubsystemCollectionBase none;
        shared.Initialize(none);
        game.subsystem = &shared;
        level.game = &game;
        world.world = &level;
        world.Device = ECausewayDevice::Cpu;
        world.bOwnThread = false;
        world.bKeepPace = false;
        world.OnFrame.listener = [this](UTexture2D *, const FCausewayReceipt &receipt) {
            fresh = true;
            number = receipt.Frame;
        };
    }

    ~Stage() {
        world.EndPlay(EEndPlayReason::Quit);
        shared.Deinitialize();
        FModuleManager::Module().ShutdownModule();
    }

    void Tick() { world.TickComponent(0, LEVELTICK_All, nullptr); }

    // The world is created in ticks.
    bool Begin() {
        world.BeginPlay();
        float before = 0;
        for (int tick = 0; world.Texture && world.Progress() < 1 && tick < 1000000; tick++) {
            if (world.Progress() < before) return false;
            before = world.Progress();
            Tick();
        }
        return world.Texture && world.Progress() == 1;
    }

    // Bounded, because a world that failed ticks without frames.
    bool Frame() {
        fresh = false;
        for (int tick = 0; !fresh && tick < 1000000; tick++) Tick();
        if (fresh) world.Texture->Render();
        return fresh;
    }

    UCausewaySubsystem shared;
    UGameInstance game;
    UWorld level;
    UCausewayWorldComponent world;
    bool fresh = false;
    int64 number = -1;
};
