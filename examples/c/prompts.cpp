// The stream of prompts.c through the C++ wrapper, with what a game may do beside it: a change taken back, a snapshot restored. The same hashes.
//
//     prompts MODEL CODEC FRAMES PROMPT [FRAME:WAY[:CHUNKS] PROMPT]...
//
// MODEL and CODEC may be one bundle, and a PROMPT the name of one that it stores.
#include "causeway.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>

static std::uint64_t hash(const std::vector<std::uint8_t> &bytes) {
    std::uint64_t hash = 0xcbf29ce484222325u;
    for (auto byte : bytes) hash = (hash ^ byte) * 0x100000001b3u;
    return hash;
}

/// Rows of `width` floats, little endian, as `causeway embed` makes them (docs/embedding.md).
static std::vector<float> load(const char *path, std::uint32_t width) {
    std::ifstream file(path, std::ios::binary | std::ios::ate);
    if (!file) throw std::runtime_error(std::string(path) + ": cannot be read");
    auto bytes = static_cast<std::size_t>(file.tellg());
    if (bytes == 0 || bytes % (sizeof(float) * width)) throw std::runtime_error(std::string(path) + ": not rows of floats");
    std::vector<float> values(bytes / sizeof(float));
    file.seekg(0).read(reinterpret_cast<char *>(values.data()), static_cast<std::streamsize>(bytes));
    return values;
}

/// Understands FRAME:WAY[:CHUNKS].
static CwCondition when(const char *text) {
    auto change = causeway::make<CwCondition>();
    std::istringstream parts(text);
    std::string frame, way, chunks = "1";
    std::getline(parts, frame, ':');
    std::getline(parts, way, ':');
    std::getline(parts, chunks, ':');
    change.frame = std::stoull(frame);
    change.chunks = static_cast<std::uint32_t>(std::stoul(chunks));
    if (way == "recache") change.way = CW_WAY_RECACHE;
    else if (way == "reset") change.way = CW_WAY_RESET;
    else if (way != "keep") throw std::runtime_error(way + " is no way; there are keep, recache and reset");
    return change;
}

int main(int argc, char **argv) try {
    if (argc < 5 || argc % 2 == 0) {
        std::fprintf(stderr, "usage: prompts MODEL CODEC FRAMES PROMPT [FRAME:WAY[:CHUNKS] PROMPT]...\n");
        return 2;
    }
    auto device = causeway::Device::cpu();
    auto model = causeway::Model::open(argv[1]), codec = causeway::Model::open(argv[2]);
    auto about = model.info();
    auto width = about.prompt_width;
    auto names = model.prompts();
    if (!model.reads_prompts()) return std::fprintf(stderr, "%s reads no prompts\n", argv[1]), 1;

    std::vector<std::vector<float>> prompts;
    std::vector<CwCondition> changes;
    auto options = causeway::make<CwSessionOptions>();
    options.seed = 7;
    for (int i = 4; i < argc; i += 2) {
        auto stored = std::find(names.begin(), names.end(), argv[i]) != names.end();
        prompts.push_back(stored ? std::vector<float>() : load(argv[i], width));
        changes.push_back(i == 4 ? causeway::make<CwCondition>() : when(argv[i - 1]));
        changes.back().kind = CW_CONDITION_PROMPT;
        changes.back().index = static_cast<std::uint32_t>(changes.size()) - 1;
        auto rows = stored ? about.prompt_rows : static_cast<std::uint32_t>(prompts.back().size() / width);
        if (rows > options.prompt_rows) options.prompt_rows = rows;
        if (changes.back().way == CW_WAY_RECACHE) options.recache = 1;
    }
    options.prompt_slots = static_cast<std::uint32_t>(prompts.size());
    causeway::Session session(device, model, codec, options);
    for (std::uint32_t slot = 0; slot < prompts.size(); slot++) {
        auto stored = std::find(names.begin(), names.end(), argv[4 + 2 * slot]);
        if (stored == names.end()) session.prompt(slot, prompts[slot], width);
        else session.load_prompt(slot, model, static_cast<std::uint32_t>(stored - names.begin()));
    }
    for (auto &change : changes) session.condition(change);

    auto made = session.info();
    std::vector<std::uint8_t> pixels(std::size_t{4} * made.width * made.height);
    for (int n = 0; n < std::atoi(argv[3]); n++) {
        if (n % 5 == 2) {
            // What happens between a snapshot and its restoration leaves no trace, nor does a change that is taken back.
            auto saved = session.snapshot();
            session.say(0, CW_WAY_RESET);
            for (int i = 0; i < 30; i++) session.pump(500);
            session.restore(saved);
            if (!session.withdraw(session.say(0, CW_WAY_RESET))) throw std::runtime_error("a change that waits was not given back");
        }
        while (session.pump(2000) != CW_FRAME) {
        }
        auto receipt = session.frame(pixels.data(), pixels.size());
        if (!receipt) return std::fprintf(stderr, "no frame\n"), 1;
        std::printf("%u %016llx\n", static_cast<unsigned>(receipt->frame), static_cast<unsigned long long>(hash(pixels)));
    }
} catch (const std::exception &error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
}
