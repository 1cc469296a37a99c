// Drives the component as Unreal would:  play PLUGIN MODEL SCRIPT
// Plays the script and prints number and hash of every frame on the texture; half-way it goes through a snapshot, at the end through a save game.
#include "Stage.h"

#include <fstream>
#include <iostream>

int main(int argc, char **argv) {
    if (argc < 4) return std::cerr << "usage: play PLUGIN MODEL SCRIPT\n", 2;
    Stage stage(argv[1]);
    UCausewayWorldComponent &world = stage.world;
    std::ifstream script(argv[3]);
    int frames = 0;
    script >> world.Seed >> frames;
    world.ModelFile = Text(argv[2]);
    if (!stage.Begin()) return 1;
    for (int n = 0; n < frames; n++) {
        if (n == frames / 2) {
            const TArray<uint8> snapshot = world.Snapshot();
            TArray64<uint8> large;
            if (!world.SnapshotInto(large) || large.Num() != snapshot.Num()) return 1;
            world.EndPlay(EEndPlayReason::Quit);
            if (!stage.Begin() || !world.Restore(snapshot) || !world.RestoreFrom(large)) return 1;
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
        if (!stage.Frame()) return 1;
        const auto hash = static_cast<unsigned long long>(Hash(world.Texture->shown));
        std::printf("%d %016llx\n", static_cast<int>(stage.number), hash);
    }
    TArray<uint8> file;
    FArchive save(file, false), load(file, true);
    world.Serialize(save);
    world.EndPlay(EEndPlayReason::Quit);
    world.Serialize(load);
    // A frame that was shown before it was remembered is made again.
    if (!stage.Begin() || !stage.Frame() || stage.number < frames - 1) return 1;
    if (world.SetAction(TEXT("fly"), 1) || world.QueueEvent(TEXT("doomsday")) != -1) return 1;
    if (world.Prompt(0) || world.Say(TEXT("two foxes")) || world.PromptNames().Num() != 0) return 1;
    // While the render thread reads none the world waits; what it was given it may read after the component has gone.
    UTexture2D *texture = world.Texture;
    for (int tick = 0; tick < 1000 && texture->render.size() < 3; tick++) stage.Tick();
    stage.fresh = false;
    for (int tick = 0; tick < 200; tick++) stage.Tick();
    if (stage.fresh || texture->render.size() != 3) return 1;
    world.EndPlay(EEndPlayReason::Quit);
    texture->Render();
    return 0;
}
