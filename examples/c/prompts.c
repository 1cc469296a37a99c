/* Plays a text-to-video student without a window: a prompt, then at each switch another one; prints a hash of every frame. The frames are
 * those of the Rust interface and of `causeway generate`, exactly (ffi/tests/clients.rs, tests/tests/hosts/prompts.rs).
 *
 *     prompts MODEL CODEC FRAMES PROMPT [FRAME:WAY[:CHUNKS] PROMPT]...
 *
 * MODEL and CODEC are files that `causeway convert` made. PROMPT is a plain file of 32-bit floats, little endian, rows of
 * CwModelInfo.prompt_width. `causeway embed` makes such numbers of words; docs/embedding.md takes them out of its file. From picture
 * FRAME on the next prompt is in force; WAY is keep, recache or reset; it comes in equal parts over CHUNKS chunks. */
#include "causeway.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 16 };

struct prompt {
    float *values;
    uint32_t rows;
    CwCondition change;
};

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

/* Reads a whole prompt; 0 if it is not one of rows of `width`. */
static int load(const char *path, uint32_t width, uint32_t most, struct prompt *prompt) {
    FILE *file = fopen(path, "rb");
    size_t numbers;
    if (!file) return 0;
    /* One row more than there may be, to see that there are no more. */
    prompt->values = malloc(sizeof(float) * width * (most + 1));
    numbers = prompt->values ? fread(prompt->values, sizeof(float), (size_t)width * (most + 1), file) : 0;
    fclose(file);
    prompt->rows = (uint32_t)(numbers / width);
    return numbers > 0 && numbers % width == 0 && prompt->rows <= most;
}

/* Understands FRAME:WAY[:CHUNKS]; 0 if it is something else. */
static int when(const char *text, CwCondition *change) {
    static const char *const ways[] = {"keep", "recache", "reset"};
    char way[16];
    unsigned long frame;
    unsigned chunks = 1;
    if (sscanf(text, "%lu:%15[a-z]:%u", &frame, way, &chunks) < 2) return 0;
    change->frame = frame;
    change->chunks = chunks;
    for (change->way = CW_WAY_KEEP; change->way <= CW_WAY_RESET; change->way++)
        if (!strcmp(way, ways[change->way])) return 1;
    return 0;
}

int main(int argc, char **argv) {
    CwDeviceOptions on = {.struct_size = sizeof on};
    CwSessionOptions options = {.struct_size = sizeof options};
    CwModelInfo info = {.struct_size = sizeof info};
    CwSessionInfo made = {.struct_size = sizeof made};
    CwImage image = {.struct_size = sizeof image};
    CwReceipt receipt = {.struct_size = sizeof receipt};
    CwDevice *device = NULL;
    CwModel *model = NULL, *codec = NULL;
    CwSession *session = NULL;
    struct prompt prompts[MOST] = {{0}};
    uint32_t i, count = argc > 4 ? (uint32_t)(argc - 3) / 2 : 0;
    unsigned n;

    if (!count || count > MOST || argc % 2 == 0) {
        fprintf(stderr, "usage: prompts MODEL CODEC FRAMES PROMPT [FRAME:WAY[:CHUNKS] PROMPT]...\n");
        return 2;
    }
    if (cw_device_options_init(&on) < 0) return failed("options");
    on.kind = CW_DEVICE_CPU;
    if (cw_device_create(&on, &device) < 0) return failed("device");
    if (cw_model_open_path(argv[1], strlen(argv[1]), &model) < 0) return failed(argv[1]);
    if (cw_model_open_path(argv[2], strlen(argv[2]), &codec) < 0) return failed(argv[2]);
    if (cw_model_info(model, &info) < 0) return failed("model");
    if (!(info.takes & CW_TAKES_PROMPT)) return fprintf(stderr, "%s reads no prompts\n", argv[1]), 1;

    /* Memory is kept for as many rows as the longest prompt has, and for as many prompts as there are. */
    if (cw_session_options_init(&options) < 0) return failed("options");
    options.seed = 7;
    options.codec = codec;
    options.prompt_slots = count;
    for (i = 0; i < count; i++) {
        CwCondition *change = &prompts[i].change;
        change->struct_size = sizeof *change;
        change->kind = CW_CONDITION_PROMPT;
        change->index = i;
        if (i && !when(argv[3 + 2 * i], change)) return fprintf(stderr, "%s: expected FRAME:WAY[:CHUNKS]\n", argv[3 + 2 * i]), 2;
        if (!load(argv[4 + 2 * i], info.prompt_width, info.prompt_rows, &prompts[i])) {
            fprintf(stderr, "%s: expected 1 to %u rows of %u floats\n", argv[4 + 2 * i], info.prompt_rows, info.prompt_width);
            return 1;
        }
        if (prompts[i].rows > options.prompt_rows) options.prompt_rows = prompts[i].rows;
        if (change->way == CW_WAY_RECACHE) options.recache = 1;
    }
    if (cw_session_create(device, model, &options, &session) < 0) return failed("session");
    cw_model_destroy(model);
    cw_model_destroy(codec);

    /* All that will be said can be said now: each change waits for its picture. A game says it when it happens, with frame 0. */
    for (i = 0; i < count; i++) {
        if (cw_session_set_prompt(session, i, prompts[i].values, prompts[i].rows, info.prompt_width) < 0) return failed("prompt");
        if (cw_session_queue_condition(session, &prompts[i].change, NULL) < 0) return failed("condition");
        free(prompts[i].values);
    }

    if (cw_session_info(session, &made) < 0) return failed("session");
    image.bytes = (size_t)4 * made.width * made.height;
    image.pixels = malloc(image.bytes);
    if (!image.pixels) return fprintf(stderr, "no memory\n"), 1;
    for (n = 0; n < (unsigned)atoi(argv[3]); n++) {
        CwStatus status;
        while ((status = cw_session_pump(session, 2000)) != CW_FRAME)
            if (status < 0) return failed("pump");
        if (cw_session_poll_frame(session, &image, &receipt) != CW_OK) return failed("frame");
        printf("%u %016llx\n", (unsigned)receipt.frame, (unsigned long long)hash(image.pixels, image.bytes));
    }
    cw_session_destroy(session);
    cw_device_destroy(device);
    free(image.pixels);
    return 0;
}
