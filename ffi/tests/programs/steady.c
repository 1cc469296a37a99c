/* Counts what the library asks the host's allocator for while it plays: nothing, once it has begun. A student is told another prompt now and
 * then, by recaches and in parts.
 *
 *     steady MODEL FRAMES [CODEC PROMPT BUNDLE] */
#include "causeway.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned long requests;

static void *allocate(void *user, size_t bytes, size_t alignment) {
    void *memory = NULL;
    (void)user;
    __atomic_add_fetch(&requests, 1, __ATOMIC_RELAXED);
    return posix_memalign(&memory, alignment, bytes) ? NULL : memory;
}

static void release(void *user, void *memory, size_t bytes, size_t alignment) {
    (void)user, (void)bytes, (void)alignment;
    free(memory);
}

static float numbers[1 << 16];
static size_t count;

static CwModel *bundle;

/* Another prompt in the slot that is free, from memory or from a file; a change to it in two parts, and one that is taken back. */
static int say(CwSession *session, const CwModelInfo *info, int n) {
    CwCondition change = {.struct_size = sizeof change, .kind = CW_CONDITION_PROMPT, .way = CW_WAY_RECACHE, .chunks = 2};
    uint64_t ticket;
    change.index = n & 1;
    if (n % 4 < 2 ? cw_session_set_prompt(session, change.index, numbers + n % 3, (uint32_t)(count / info->prompt_width) - 1, info->prompt_width) < 0
                  : cw_session_load_prompt(session, change.index, bundle, (uint32_t)n % 2) < 0)
        return 0;
    if (cw_session_queue_condition(session, &change, NULL) < 0) return 0;
    change.frame = 1000000;
    return cw_session_queue_condition(session, &change, &ticket) == CW_OK && cw_session_withdraw(session, ticket) == CW_OK;
}

int main(int argc, char **argv) {
    static unsigned char pixels[4 << 20];
    CwSessionOptions options = {.struct_size = sizeof options};
    CwModel *codec = NULL;
    CwAllocator allocator = {.struct_size = sizeof allocator, .allocate = allocate, .release = release};
    CwDeviceOptions on = {.struct_size = sizeof on};
    CwImage image = {.struct_size = sizeof image, .pixels = pixels, .bytes = sizeof pixels};
    CwReceipt receipt = {.struct_size = sizeof receipt};
    CwModelInfo info = {.struct_size = sizeof info};
    CwDevice *device;
    CwModel *model;
    CwSession *session;
    float action[64] = {1}, actions[256] = {0};
    uint32_t rows;
    unsigned long before = 0;
    int n, frames = argc > 2 ? atoi(argv[2]) : 100;
    if (argc < 2 || cw_set_allocator(&allocator) < 0 || cw_device_options_init(&on) < 0) return 2;
    on.kind = CW_DEVICE_CPU, on.threads = 2;
    if (cw_device_create(&on, &device) < 0) return 3;
    if (cw_model_open_path(argv[1], strlen(argv[1]), &model) < 0 || cw_model_info(model, &info) < 0) return 4;
    if (cw_session_options_init(&options) < 0) return 5;
    if (argc > 5) {
        FILE *file = fopen(argv[4], "rb");
        if (!file || cw_model_open_path(argv[5], strlen(argv[5]), &bundle) < 0 || cw_model_open_path(argv[3], strlen(argv[3]), &codec) < 0) return 5;
        count = fread(numbers, sizeof *numbers, sizeof numbers / sizeof *numbers, file);
        fclose(file);
        options.codec = codec, options.prompt_slots = 2, options.recache = 1;
    }
    if (cw_session_create(device, model, &options, &session) < 0) return 5;
    for (n = -20; n < frames; n++) {
        if (n == 0) before = requests;
        action[0] = n % 2 ? 1.0f : 0.0f;
        /* As many rows as a latent frame has pictures, or one action. */
        rows = n % 3 && info.actions ? info.pictures : 1;
        actions[(rows - 1) * info.actions] = action[0];
        if (cw_session_set_actions(session, actions, rows, info.actions, NULL) < 0) return 6;
        if (n % 5 == 0 && cw_session_set_action(session, action, info.actions, NULL) < 0) return 6;
        if (info.events && n % 9 == 0 && cw_session_queue_event(session, (unsigned)abs(n) % info.events, 0, NULL) < 0) return 7;
        if (codec && (n + 20) % 36 == 0 && !say(session, &info, (n + 20) / 36)) return 9;
        while (cw_session_poll_frame(session, &image, &receipt) != CW_OK)
            if (cw_session_pump(session, 500) < 0) return 8;
    }
    printf("%lu\n", requests - before);
    return 0;
}
