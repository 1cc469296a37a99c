// A prompt in words through causeway.hpp, with exceptions or without:  words MODEL CODEC ENCODER WORDS
#include "causeway.hpp"

#include <cstdio>

static std::uint64_t hash(const void *bytes, std::size_t count) {
    std::uint64_t hash = 0xcbf29ce484222325u;
    for (auto *at = static_cast<const std::uint8_t *>(bytes); count--;) hash = (hash ^ *at++) * 0x100000001b3u;
    return hash;
}

static int wrong(const char *what) { return std::fprintf(stderr, "%s\n", what), 1; }

/// The status that a call fails with.
template <class Call> static CwStatus status(Call call) {
#ifdef CAUSEWAY_NO_EXCEPTIONS
    call();
    return causeway::failed();
#else
    try {
        call();
    } catch (const causeway::Error &error) {
        return error.status();
    }
    return CW_OK;
#endif
}

int main(int argc, char **argv) {
    if (argc != 5) return wrong("usage: words MODEL CODEC ENCODER WORDS");
    auto device = causeway::Device::cpu();
    auto model = causeway::Model::open(argv[1]), codec = causeway::Model::open(argv[2]), encoder = causeway::Model::open(argv[3]);
    auto how = causeway::make<CwTextOptions>();
    how.most_rows = model.info().prompt_rows;
    auto info = causeway::Text::query(device, encoder, how);
    if (info.width != model.info().prompt_width || info.most_rows != how.most_rows || info.total_bytes == 0) return wrong("query");
    if (status([&] { causeway::Text none(device, model, how); }) != CW_ERROR_ARGUMENT) return wrong("an encoder of a world");

    causeway::Text text(device, encoder, how);
    if (status([&] { text.pump(0); }) != CW_ERROR_STATE || status([&] { text.rows(); }) != CW_ERROR_STATE) return wrong("nothing was begun");
    if (status([&] { text.begin("\xff"); }) != CW_ERROR_ARGUMENT) return wrong("what is not UTF-8");
    text.begin(argv[4]);
    while (!text.pump(200)) {
        if (text.progress().stage == CW_STAGE_READY) return wrong("ready before it is");
    }
    if (text.progress().stage != CW_STAGE_READY || text.progress().done != text.progress().total) return wrong("progress");
    auto rows = text.rows();
    auto count = static_cast<unsigned>(rows.size() / info.width);
    std::vector<float> again(rows.size());
    if (text.rows(again.data(), again.size()) != count || again != rows) return wrong("rows");
    if (status([&] { text.rows(again.data(), again.size() - 1); }) != CW_ERROR_BUFFER_TOO_SMALL) return wrong("too little room");
    std::printf("%u %u %016llx\n", count, info.width, static_cast<unsigned long long>(hash(rows.data(), rows.size() * sizeof(float))));

    auto options = causeway::make<CwSessionOptions>();
    options.seed = 7, options.recache = 1;
    causeway::Session session(device, model, codec, options);
    // The same words through what tells a session while a game goes on.
    causeway::Teller teller(session.get(), model.get(), text.get());
    if (teller.tell(0) || teller.waits() || teller.progress() != 1) return wrong("a prompt that is not stored");
    teller.say("two foxes");
    teller.pump(0);
    if (!teller.encodes() || !(teller.progress() < 1)) return wrong("ready at once");
    teller.say(argv[4]);
    while (teller.pump(200) == CW_PENDING) {}
    if (teller.waits() || teller.ticket() == 0) return wrong("not told");
    // A second one waits until the first one's chunk has begun.
    teller.say("two foxes");
    while (teller.encodes()) teller.pump(1000);
    if (teller.pump(0) != CW_PENDING || !teller.waits()) return wrong("its slot is in use");
    auto made = session.info();
    std::vector<std::uint8_t> pixels(std::size_t{4} * made.width * made.height);
    for (int n = 0; n < 5; n++) {
        while (!session.frame(pixels.data(), pixels.size())) session.pump(2000);
        std::printf("%016llx\n", static_cast<unsigned long long>(hash(pixels.data(), pixels.size())));
    }
}
