// causeway.hpp in a program without exceptions and without run-time types, as engines build theirs:  no_exceptions MODEL
#include "causeway.hpp"

#include <cstdio>

static int wrong(const char *what) {
    std::fprintf(stderr, "%s\n", what);
    return 1;
}

int main(int argc, char **argv) {
    if (argc != 2) return wrong("usage: no_exceptions MODEL");
    auto device = causeway::Device::cpu(1);
    auto missing = causeway::Model::open("no such file");
    if (missing || causeway::failed() != CW_ERROR_IO || causeway::failed() != CW_OK) return wrong("a file that is not there");
    // What holds nothing fails, and does nothing else.
    causeway::Session nothing(device, missing);
    if (nothing || causeway::failed() != CW_ERROR_HANDLE) return wrong("a session of no model");
    nothing.pump(1000);
    if (nothing.frame(nullptr, 0) || !nothing.save().empty() || causeway::failed() != CW_ERROR_HANDLE) return wrong("no session");
    if (!missing.actions().empty()) return wrong("names of no model");
    causeway::failed();
    auto model = causeway::Model::open(argv[1]);
    auto session = causeway::Session::begin(device, model);
    if (!session) return wrong("a session");
    while (session.progress().stage != CW_STAGE_READY) session.pump(500);
    session.action({0, 0, 0});
    if (causeway::failed() != CW_ERROR_ARGUMENT) return wrong("an action that is too short");
    session.quality(2);
    std::vector<unsigned char> pixels(4 * session.info().width * session.info().height);
    std::optional<CwReceipt> receipt;
    while (!receipt) session.pump(1000), receipt = session.frame(pixels.data(), pixels.size());
    if (causeway::failed() != CW_OK || receipt->frame != 0) return wrong("a frame");
    session.load(session.save());
    return causeway::failed() == CW_OK ? 0 : wrong("a saved game");
}
