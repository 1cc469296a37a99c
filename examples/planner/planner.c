/* A planner in a dream: it looks for a view by playing ahead. From one snapshot it plays 16 lists of moves to their ends, in as few denoise steps as
 * the world has, takes the first move of the list that came nearest to the view, and begins again from there. Prints in how many starts it arrives, and in how many play at random does
 * within as many moves.
 *
 *     planner MODEL [STARTS] */
#include "causeway.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Lists of moves that are played ahead, moves of a list, moves in all, and frames of a move. */
#define LISTS 16
#define AHEAD 3
#define MOVES 5
#define FRAMES 5
/* Moves before a start's view, which others lead to from there. */
#define WANDER 4
/* From this likeness on, decibels, the view is reached. */
#define REACHED 28.0

static CwSession *session;
static CwModelInfo info = {.struct_size = sizeof info};
static float *action;
/* The actions that walk, by their numbers. */
static uint32_t walks[16], walk_count;
static uint64_t state = 1;

static CwStatus check(CwStatus status, const char *what) {
    char text[512];
    if (status >= 0) return status;
    cw_last_error(text, sizeof text, NULL);
    fprintf(stderr, "%s: %s\n", what, text);
    exit(1);
}

static void *memory(size_t bytes) {
    void *at = malloc(bytes);
    if (!at) fprintf(stderr, "no memory\n"), exit(1);
    return at;
}

/* xorshift64*: the same dreams on every machine. */
static uint32_t any(uint32_t below) {
    state ^= state >> 12, state ^= state << 25, state ^= state >> 27;
    return (uint32_t)((state * 0x2545f4914f6cdd1du >> 33) % below);
}

/* One move; the last frame of it is in `pixels`. */
static void move(uint32_t which, uint8_t *pixels) {
    CwImage image = {.struct_size = sizeof image, .pixels = pixels, .bytes = (size_t)4 * info.width * info.height};
    int frame;
    memset(action, 0, info.actions * sizeof *action);
    action[which] = 1;
    check(cw_session_set_action(session, action, info.actions, NULL), "action");
    for (frame = 0; frame < FRAMES; frame++)
        while (check(cw_session_poll_frame(session, &image, NULL), "frame") == CW_PENDING)
            check(cw_session_pump(session, 100000), "pump");
}

/* How alike two views are, in decibels. */
static double likeness(const uint8_t *a, const uint8_t *b) {
    size_t i, count = (size_t)4 * info.width * info.height;
    double sum = 1e-9;
    for (i = 0; i < count; i++) sum += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
    return 10 * log10(255.0 * 255.0 * (double)count / sum);
}

/* Where the session is; the memory is the caller's. */
static size_t here(void *snapshot, size_t capacity) {
    size_t needed = 0;
    check(cw_session_snapshot(session, snapshot, capacity, &needed), "snapshot");
    return needed;
}

static void back(const void *snapshot, size_t bytes) { check(cw_session_restore(session, snapshot, bytes), "restore"); }

/* The first move of the list that comes nearest to the view. */
static uint32_t planned(const uint8_t *view, uint8_t *pixels, void *snapshot, size_t capacity) {
    size_t bytes = here(snapshot, capacity);
    uint32_t list, best = walks[0];
    double nearest = -1;
    for (list = 0; list < LISTS; list++) {
        uint32_t at, first = 0;
        /* Going back brings the old quality, too. A world without such a list plans with what it has. */
        cw_session_set_quality(session, 1, -1, -1);
        for (at = 0; at < AHEAD; at++) {
            uint32_t which = walks[any(walk_count)];
            double like;
            if (at == 0) first = which;
            move(which, pixels);
            /* Of two ways to the same view the shorter one. */
            like = likeness(pixels, view) - 0.1 * at;
            if (like > nearest) nearest = like, best = first;
        }
        back(snapshot, bytes);
    }
    return best;
}

int main(int argc, char **argv) {
    static const char *const NAMES[] = {"forward", "back", "left", "right"};
    CwDeviceOptions on = {.struct_size = sizeof on};
    CwSessionInfo holds = {.struct_size = sizeof holds};
    CwDevice *device;
    CwModel *model;
    uint8_t *view, *pixels;
    void *start, *now;
    int starts = argc > 2 ? atoi(argv[2]) : 32, n, arrived[2] = {0, 0};
    uint32_t i, k;

    if (argc < 2) return fprintf(stderr, "usage: planner MODEL [STARTS]\n"), 2;
    check(cw_device_options_init(&on), "device");
    check(cw_device_create(&on, &device), "device");
    check(cw_model_open_path(argv[1], strlen(argv[1]), &model), "model");
    check(cw_model_info(model, &info), "model");
    check(cw_session_create(device, model, NULL, &session), "session");
    check(cw_session_info(session, &holds), "session");
    for (i = 0; i < info.actions; i++) {
        char name[64];
        check(cw_model_action_name(model, i, name, sizeof name, NULL), "action name");
        for (k = 0; k < 4; k++)
            if (!strcmp(name, NAMES[k])) walks[walk_count++] = i;
    }
    if (walk_count == 0) return fprintf(stderr, "this world has no action that walks\n"), 1;
    action = memory((info.actions + 1) * sizeof *action);
    view = memory((size_t)4 * info.width * info.height), pixels = memory((size_t)4 * info.width * info.height);
    start = memory((size_t)holds.snapshot_bytes), now = memory((size_t)holds.snapshot_bytes);

    for (n = 0; n < starts; n++) {
        size_t bytes;
        int by;
        check(cw_session_reset(session, (uint64_t)n), "reset");
        for (i = 0; i < WANDER; i++) move(walks[any(walk_count)], pixels);
        bytes = here(start, (size_t)holds.snapshot_bytes);
        /* Some moves from here there is a view. */
        for (i = 0; i < AHEAD; i++) move(walks[any(walk_count)], view);
        for (by = 0; by < 2; by++) {
            back(start, bytes);
            for (i = 0; i < MOVES; i++) {
                uint32_t which = by ? walks[any(walk_count)] : planned(view, pixels, now, (size_t)holds.snapshot_bytes);
                move(which, pixels);
                if (likeness(pixels, view) >= REACHED) {
                    arrived[by]++;
                    break;
                }
            }
        }
        fprintf(stderr, "\r%d of %d", n + 1, starts);
    }
    fprintf(stderr, "\n");
    printf("planned %d, at random %d, of %d starts\n", arrived[0], arrived[1], starts);
    cw_session_destroy(session);
    cw_model_destroy(model);
    cw_device_destroy(device);
    free(action), free(view), free(pixels), free(start), free(now);
    return 0;
}
