/* A world at its pace on a clock of the host's, quality that changes, and what is refused of both. Prints a line for each.
 *
 *     pace WORLD */
#include "program.h"

static uint64_t now;

static uint64_t clock_of_ours(void *user) {
    (void)user;
    return now;
}

static CwSession *create(CwDevice *device, CwModel *model, uint32_t pace, uint32_t governor) {
    CwSessionOptions options = {.struct_size = sizeof options};
    CwSession *session = NULL;
    if (cw_session_options_init(&options) < 0) failed("options");
    options.pace = pace, options.governor = governor, options.clock = clock_of_ours, options.start = CW_START_EMPTY;
    if (cw_session_create(device, model, &options, &session) < 0) failed("create");
    return session;
}

/* Pumps, `node` microseconds for each operator, until a frame can be polled; returns when that was. */
static CwReceipt frame(CwSession *session, uint64_t node) {
    CwReceipt receipt = {.struct_size = sizeof receipt};
    CwStatus status;
    CwStats before = {.struct_size = sizeof before}, after = {.struct_size = sizeof after};
    while ((status = cw_session_poll_frame(session, NULL, &receipt)) == CW_PENDING) {
        if (cw_session_stats(session, &before) < 0) failed("stats");
        if (cw_session_pump(session, 0) < 0) failed("pump");
        if (cw_session_stats(session, &after) < 0) failed("stats");
        /* Where it has nothing to do, a millisecond passes. */
        now += after.nodes > before.nodes ? node * (after.nodes - before.nodes) : 1000;
    }
    if (status < 0) failed("poll");
    return receipt;
}

int main(int argc, char **argv) {
    CwDeviceOptions on = {.struct_size = sizeof on, .kind = CW_DEVICE_CPU, .threads = 1};
    CwSessionOptions options = {.struct_size = sizeof options};
    CwDevice *device = NULL;
    CwModel *model = NULL;
    CwSession *session, *wrong = NULL;
    CwReceipt receipt, last;
    unsigned n;

    if (argc != 2) return fprintf(stderr, "usage: pace WORLD\n"), 2;
    if (cw_device_create(&on, &device) < 0) failed("device");
    if (cw_model_open_path(argv[1], strlen(argv[1]), &model) < 0) failed("model");

    /* 20 pictures per second, each of which takes no time: begun on time, and given when it is ready or when it should be shown. */
    for (n = 0; n < 2; n++) {
        session = create(device, model, n ? CW_PACE_HELD : CW_PACE_WORLD, 0);
        now = 0, last = frame(session, 0);
        while (last.frame < 20) {
            receipt = frame(session, 0);
            if (receipt.frame != last.frame + 1 || receipt.chunk != receipt.frame || receipt.pictures != 1) failed("order");
            if (receipt.began < 50000 * receipt.frame || receipt.began > 50000 * receipt.frame + 2000) failed("begun");
            if (receipt.present < receipt.ready || receipt.present > receipt.ready + 50000) failed("present");
            if (n && now < receipt.present) failed("held");
            last = receipt;
        }
        cw_session_destroy(session);
    }
    puts("pace: kept");

    session = create(device, model, CW_PACE_OFF, 0);
    said("fewer steps", cw_session_set_quality(session, 2, -1, 4));
    receipt = frame(session, 0);
    printf("made with: %u %u %u\n", receipt.steps, receipt.route, receipt.window);
    said("no such steps", cw_session_set_quality(session, 3, -1, -1));
    said("no such route", cw_session_set_quality(session, -1, 1, -1));
    said("no such window", cw_session_set_quality(session, -1, -1, 1000));
    said("no number", cw_session_set_quality(session, -2, -1, -1));
    receipt = frame(session, 0);
    printf("made with: %u %u %u\n", receipt.steps, receipt.route, receipt.window);
    cw_session_destroy(session);

    /* A millisecond for each operator is too much for four steps. */
    session = create(device, model, CW_PACE_WORLD, 1);
    for (n = 0; n < 20; n++) receipt = frame(session, 1000);
    printf("governed: %s\n", receipt.steps == 2 ? "two steps" : "no");
    cw_session_destroy(session);

    if (cw_session_options_init(&options) < 0) failed("options");
    options.pace = 3;
    said("no such pace", cw_session_create(device, model, &options, &wrong));
    options.pace = 0, options.governor = 2;
    said("no such governor", cw_session_create(device, model, &options, &wrong));
    options.governor = 0, options.most_route = 100;
    said("too long a route", cw_session_create(device, model, &options, &wrong));
    cw_model_destroy(model);
    cw_device_destroy(device);
    return 0;
}
