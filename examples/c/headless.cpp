// The script of headless.c through the C++ wrapper, with a snapshot taken and restored on the way: the same hashes.
//
//     headless MODEL [FRAMES]
#include "causeway.hpp"

#include <cstdio>
#include <cstdlib>

static std::uint64_t hash(const std::vector<std::uint8_t> &bytes) {
    std::uint64_t hash = 0xcbf29ce484222325u;
    for (auto byte : bytes) hash = (hash ^ byte) * 0x100000001b3u;
    return hash;
}

int main(int argc, char **argv) try {
    if (argc < 2) return std::fprintf(stderr, "usage: headless MODEL [FRAMES]\n"), 2;
    unsigned frames = argc > 2 ? static_cast<unsigned>(std::atoi(argv[2])) : 10;
    auto device = causeway::Device::cpu();
    auto model = causeway::Model::open(argv[1]);
    auto info = model.info();
    auto options = causeway::make<CwSessionOptions>();
    options.seed = 7;
    causeway::Session session(device, model, options);
    std::vector<std::uint8_t> pixels(std::size_t{4} * info.width * info.height);
    for (unsigned n = 0; n < frames; n++) {
        std::vector<float> action(info.actions);
        action[n / 3 % info.actions] = 1;
        session.action(action);
        if (n % 7 == 4) session.event(n / 7 % info.events);
        if (n % 5 == 2) {
            // What happens between a snapshot and its restoration leaves no trace.
            auto saved = session.snapshot();
            for (int i = 0; i < 30; i++) session.pump(500);
            session.restore(saved);
        }
        while (session.pump(2000) != CW_FRAME) {
        }
        auto receipt = session.frame(pixels.data(), pixels.size());
        if (!receipt) return std::fprintf(stderr, "no frame\n"), 1;
        std::printf("%u %016llx\n", static_cast<unsigned>(receipt->frame), static_cast<unsigned long long>(hash(pixels)));
    }
} catch (const causeway::Error &error) {
    std::fprintf(stderr, "error %d: %s\n", error.status(), error.what());
    return 1;
}
