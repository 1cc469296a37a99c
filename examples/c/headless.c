/* Plays a script without a window and prints a hash of every frame: the frames of the Rust interface, exactly (ffi/tests/clients.rs).
 *
 *     headless MODEL [FRAMES] [strict | gpu [NAME]]         strict: the same on every machine, slowly; gpu: on the best, or one with this in its name */
#include "causeway.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failed(const char *what) {
    char text[512];
    cw_last_error(text, sizeof text, NULL);
    fprintf(stderr, "%s: %s\n", what, text);
    return 1;
}

/* FNV-1a. */
static uint64_t hash(const uint8_t *bytes, size_t count) {
    uint64_t hash = 0xcbf29ce484222325u;
    size_t i;
    for (i = 0; i < count; i++) hash = (hash ^ bytes[i]) * 0x100000001b3u;
    return hash;
}

int main(int argc, char **argv) {
    CwDeviceOptions on = {.struct_size = sizeof on};
    CwSessionOptions options = {.struct_size = sizeof options};
    CwModelInfo info = {.struct_size = sizeof info};
    CwImage image = {.struct_size = sizeof image};
    CwReceipt receipt = {.struct_size = sizeof receipt};
    CwDevice *device = NULL;
    CwModel *model = NULL;
    CwSession *session = NULL;
    float *action;
    unsigned n, frames = argc > 2 ? (unsigned)atoi(argv[2]) : 10;

    if (argc < 2) return fprintf(stderr, "usage: headless MODEL [FRAMES] [strict | gpu [NAME]]\n"), 2;
    if (cw_device_options_init(&on) < 0) return failed("options");
    on.kind = argc > 3 && strcmp(argv[3], "gpu") == 0 ? CW_DEVICE_GPU : CW_DEVICE_CPU;
    if (on.kind == CW_DEVICE_GPU && argc > 4) on.adapter = argv[4], on.adapter_length = strlen(argv[4]);
    on.strict = argc > 3 && strcmp(argv[3], "strict") == 0;
    if (cw_device_create(&on, &device) < 0) return failed("device");
    if (cw_model_open_path(argv[1], strlen(argv[1]), &model) < 0) return failed("model");
    if (cw_model_info(model, &info) < 0) return failed("model");
    if (cw_session_options_init(&options) < 0) return failed("options");
    options.seed = 7;
    if (cw_session_create(device, model, &options, &session) < 0) return failed("session");
    cw_model_destroy(model);

    image.bytes = (size_t)4 * info.width * info.height;
    image.pixels = malloc(image.bytes);
    action = malloc(info.actions * sizeof *action);
    if (!image.pixels || !action) return fprintf(stderr, "no memory\n"), 1;
    for (n = 0; n < frames; n++) {
        CwStatus status;
        /* Three frames of each action; another event from time to time. */
        memset(action, 0, info.actions * sizeof *action);
        if (info.actions) action[n / 3 % info.actions] = 1.0f;
        if (cw_session_set_action(session, action, info.actions, NULL) < 0) return failed("action");
        if (n % 7 == 4 && cw_session_queue_event(session, n / 7 % info.events, 0, NULL) < 0) return failed("event");
        while ((status = cw_session_pump(session, 2000)) != CW_FRAME)
            if (status < 0) return failed("pump");
        if (cw_session_poll_frame(session, &image, &receipt) != CW_OK) return failed("frame");
        printf("%u %016llx\n", (unsigned)receipt.frame, (unsigned long long)hash(image.pixels, image.bytes));
    }
    cw_session_destroy(session);
    cw_device_destroy(device);
    free(image.pixels);
    free(action);
    return 0;
}
