// A game of prompts (tests/src/tour.rs): stored and typed ones, a saved game, an end by force, and on from the file.
//     tour PLUGIN BUNDLE SCRIPT SAVE [ENCODER]
// Ticks must not allocate.
#include "Stage.h"

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <sstream>

// What this thread allocated, outside of the engine's code.
static thread_local std::size_t allocated = 0;

void *operator new(std::size_t bytes) {
    if (EngineWork::depth == 0) allocated += bytes;
    if (void *memory = std::malloc(bytes)) return memory;
    std::abort();
}
void operator delete(void *memory) noexcept { std::free(memory); }
void operator delete(void *memory, std::size_t) noexcept { std::free(memory); }

struct Line {
    int64 frame;
    std::string what, prompt;
};

static bool Save(const UCausewayWorldComponent &world, const std::string &path) {
    const TArray<uint8> game = world.Save();
    std::ofstream file(path + ".new", std::ios::binary);
    file.write(reinterpret_cast<const char *>(game.GetData()), game.Num());
    file.close();
    return game.Num() > 0 && file && std::rename((path + ".new").c_str(), path.c_str()) == 0;
}

static bool Tell(Stage &stage, const Line &line) {
    int64 told = 0;
    stage.world.OnPrompt.listener = [&told](int64 ticket) { told = ticket; };
    // The script waits for what it says, so that it always shows in the same frame.
    stage.world.SetPaused(true);
    const bool says = line.what == "say";
    if (!(says ? stage.world.Say(Text(line.prompt.c_str())) : stage.world.Prompt(std::atoi(line.prompt.c_str())))) return false;
    if (says && stage.world.SayProgress() >= 1) return false;
    for (int tick = 0; told == 0 && tick < 1000000; tick++) stage.Tick();
    stage.world.SetPaused(false);
    stage.world.OnPrompt.listener = nullptr;
    return told != 0;
}

int main(int argc, char **argv) {
    if (argc < 5) return std::cerr << "usage: tour PLUGIN BUNDLE SCRIPT SAVE [ENCODER]\n", 2;
    std::ifstream script(argv[3]);
    std::string text;
    std::vector<Line> lines;
    int frames = 0, more = 0;
    Stage stage(argv[1]);
    script >> stage.world.Seed >> frames >> more;
    std::getline(script, text);
    while (std::getline(script, text)) {
        Line line;
        std::istringstream words(text);
        words >> line.frame >> line.what >> std::ws;
        std::getline(words, line.prompt);
        lines.push_back(line);
    }
    stage.world.ModelFile = Text(argv[2]);
    if (argc > 5) stage.world.EncoderFile = Text(argv[5]);
    // A game that is there is loaded before the world is.
    std::ifstream saved(argv[4], std::ios::binary);
    const bool goesOn = saved.good();
    if (goesOn) {
        const std::string bytes((std::istreambuf_iterator<char>(saved)), std::istreambuf_iterator<char>());
        TArray<uint8> game;
        for (const char byte : bytes) game.Add(static_cast<uint8>(byte));
        if (!stage.world.Load(game)) return 1;
    }
    if (!stage.Begin()) return 1;
    // The first frame's number is known only of a new game.
    int64 next = goesOn ? -1 : 0;
    for (int played = 0; played < 1000; played++) {
        if (played == (goesOn ? more : frames)) {
            if (goesOn) return 0;
            if (!Save(stage.world, argv[4])) return 1;
            std::printf("saved\n");
            std::fflush(stdout);
        }
        for (const Line &line : lines)
            if (line.frame == next && !Tell(stage, line)) return 1;
        allocated = 0;
        if (!stage.Frame()) return 1;
        if (allocated != 0) return std::cerr << "a frame allocated " << allocated << " bytes\n", 1;
        const auto hash = static_cast<unsigned long long>(Hash(stage.world.Texture->shown));
        std::printf("%d %016llx\n", static_cast<int>(stage.number), hash);
        next = stage.number + 1;
    }
    return 1;
}
