/* Games saved and loaded through the C interface, prompts loaded from a bundle, rows of actions. Prints how alike the next picture is, in decibels,
 * and the sentences of what is refused.
 *
 *     saves WORLD OTHER */
#include "program.h"

#define MOST (1 << 22)

/* Plays until the session is between chunks again after `frames` pictures; the last one is in `pixels`. */
static void play(CwSession *session, unsigned frames, unsigned char *pixels, size_t bytes) {
    CwImage image = {.struct_size = sizeof image, .pixels = pixels, .bytes = bytes};
    CwReceipt receipt = {.struct_size = sizeof receipt};
    CwStats before = {.struct_size = sizeof before}, now = {.struct_size = sizeof now};

    while (frames--) {
        CwStatus status = CW_PENDING;
        if (cw_session_stats(session, &before) < 0) failed("stats");
        do {
            if (cw_session_pump(session, 1) < 0) failed("pump");
            if (status != CW_OK && (status = cw_session_poll_frame(session, &image, &receipt)) < 0) failed("poll");
            if (cw_session_stats(session, &now) < 0) failed("stats");
        } while (status != CW_OK || now.position == before.position);
    }
}

int main(int argc, char **argv) {
    CwDeviceOptions on = {.struct_size = sizeof on, .kind = CW_DEVICE_CPU, .threads = 1};
    CwSessionOptions options = {.struct_size = sizeof options};
    CwSessionInfo info = {.struct_size = sizeof info};
    CwModelInfo of = {.struct_size = sizeof of};
    CwDevice *device = NULL;
    CwModel *model = NULL, *another = NULL;
    CwSession *session = NULL, *other = NULL, *strange = NULL;
    static unsigned char saved[MOST], snapshot[MOST], exact[MOST], found[MOST];
    static float rows[64];
    size_t needed = 0, bytes, length, i;
    double square = 0;

    if (argc != 3) return fprintf(stderr, "usage: saves WORLD OTHER\n"), 2;
    if (cw_device_create(&on, &device) < 0) failed("device");
    if (cw_model_open_path(argv[1], strlen(argv[1]), &model) < 0) failed("model");
    if (cw_model_open_path(argv[2], strlen(argv[2]), &another) < 0) failed("other model");
    if (cw_model_info(model, &of) < 0 || cw_session_options_init(&options) < 0) failed("options");
    if (cw_session_create(device, model, &options, &session) < 0) failed("session");
    options.kv = CW_KV_F16;
    if (cw_session_create(device, model, &options, &other) < 0) failed("other session");
    if (cw_session_create(device, another, &options, &strange) < 0) failed("strange session");
    if (cw_session_info(session, &info) < 0) failed("info");
    bytes = 4 * (size_t)info.width * info.height;

    play(session, 4, exact, bytes);
    said("too little memory", cw_session_save(session, saved, 10, &needed));
    if (cw_session_save(session, NULL, 0, &needed) < 0 || needed > info.save_bytes) failed("size");
    if (cw_session_save(session, saved, sizeof saved, &length) < 0 || length != needed) failed("save");
    said("loaded", cw_session_load(other, saved, length));
    play(session, 1, exact, bytes);
    play(other, 1, found, bytes);
    for (i = 0; i < bytes; i++) square += ((double)exact[i] - found[i]) * ((double)exact[i] - found[i]);
    /* 40 dB: a mean square of 255^2 / 10^4. */
    printf("likeness %s\n", square * 10000 <= 255.0 * 255.0 * bytes ? "above 40" : "below 40");

    said("other weights", cw_session_load(strange, saved, length));
    saved[length / 2] ^= 1;
    said("damaged", cw_session_load(other, saved, length));
    saved[length / 2] ^= 1;
    saved[6] = 9;
    said("newer", cw_session_load(other, saved, length));
    said("short", cw_session_load(other, saved, 7));
    if (cw_session_snapshot(session, snapshot, sizeof snapshot, &needed) < 0) failed("snapshot");
    said("a snapshot", cw_session_load(other, snapshot, needed));
    snapshot[20] ^= 4;
    said("damaged frames of a snapshot", cw_session_restore(session, snapshot, needed));
    snapshot[20] ^= 4;
    snapshot[needed - 5] ^= 4;
    said("damaged state of a snapshot", cw_session_restore(session, snapshot, needed));
    snapshot[needed - 5] ^= 4;
    said("the same as it was", cw_session_restore(session, snapshot, needed));

    said("a row", cw_session_set_actions(session, rows, 1, of.actions, NULL));
    said("too many rows", cw_session_set_actions(session, rows, 2, of.actions, NULL));
    said("rows of another length", cw_session_set_actions(session, rows, 2, of.actions + 1, NULL));
    said("no rows", cw_session_set_actions(session, rows, 0, of.actions, NULL));
    rows[0] = 1e20f;
    said("beyond all measure", cw_session_set_action(session, rows, of.actions, NULL));
    said("a prompt of no bundle", cw_session_load_prompt(session, 0, model, 0));

    cw_session_destroy(strange);
    cw_session_destroy(other);
    cw_session_destroy(session);
    cw_model_destroy(another);
    cw_model_destroy(model);
    cw_device_destroy(device);
    return 0;
}
