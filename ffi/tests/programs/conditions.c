/* What hosts can get wrong about codecs, prompts and changes of condition. Prints what each is answered with, a line each:
 * what was done: status: sentence. Then the picture that comes is printed as a hash, for nothing of it may have had an effect.
 *
 *     conditions WORLD MODEL CODEC TEXT_ENCODER */
#include "causeway.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void say(const char *what, CwStatus status) {
    char text[512] = "";
    if (status < 0) cw_last_error(text, sizeof text, NULL);
    printf("%s: %s: %s\n", what, cw_status_name(status), text);
}

static CwDevice *device;
static CwModel *world, *model, *codec, *text_encoder;
static float numbers[24 * 17];

static CwModel *opened(const char *path) {
    CwModel *file = NULL;
    if (cw_model_open_path(path, strlen(path), &file) < 0) say(path, CW_ERROR_IO), exit(1);
    return file;
}

/* A session of `of` with one option that is not as it should be. */
static CwSessionOptions options;
static void create(const char *what, CwModel *of) {
    CwSession *session = NULL;
    CwSessionInfo info = {.struct_size = sizeof info};
    CwStatus status = cw_session_create(device, of, &options, &session);
    say(what, status);
    /* The query says the same. */
    if (cw_session_query(device, of, &options, &info) != status) printf("%s: the query says something else\n", what);
    cw_session_destroy(session);
    options = (CwSessionOptions){.struct_size = sizeof options};
    cw_session_options_init(&options);
    options.codec = codec;
}

static CwSession *session_of(CwModel *of, float guidance) {
    CwSession *session = NULL;
    options.guidance = guidance;
    options.prompt_slots = of == model ? 2 : 0;
    if (of == world) options.codec = NULL;
    if (cw_session_create(device, of, &options, &session) < 0) say("session", CW_ERROR_STATE), exit(1);
    options.guidance = 0, options.prompt_slots = 0, options.codec = codec;
    return session;
}

static CwCondition condition;
static uint64_t queue(const char *what, CwSession *session) {
    uint64_t ticket = 0;
    CwStatus status = cw_session_queue_condition(session, &condition, &ticket);
    if (what) say(what, status);
    condition = (CwCondition){.struct_size = sizeof condition};
    return ticket;
}

static CwStatus pump(CwSession *session) {
    CwStatus status;
    while ((status = cw_session_pump(session, 2000)) == CW_PENDING) {}
    return status;
}

int main(int argc, char **argv) {
    static uint8_t pixels[1 << 20];
    CwDeviceOptions on = {.struct_size = sizeof on, .kind = CW_DEVICE_CPU, .threads = 1};
    CwImage image = {.struct_size = sizeof image, .pixels = pixels, .bytes = sizeof pixels};
    CwSession *stream, *guided, *rooms;
    CwModel *gone;
    float mix[4] = {0};
    uint64_t ticket, hash = 0xcbf29ce484222325u;
    size_t i;

    if (argc != 5) return fprintf(stderr, "usage: conditions WORLD MODEL CODEC TEXT_ENCODER\n"), 2;
    if (cw_device_create(&on, &device) < 0) return say("device", CW_ERROR_DEVICE), 1;
    world = opened(argv[1]), model = opened(argv[2]), codec = opened(argv[3]), text_encoder = opened(argv[4]);
    gone = opened(argv[3]);
    cw_model_destroy(gone);
    for (i = 0; i < sizeof numbers / sizeof *numbers; i++) numbers[i] = 0.5f;
    options.struct_size = sizeof options;
    cw_session_options_init(&options);
    condition.struct_size = sizeof condition;

    options.codec = NULL, create("no codec", model);
    options.codec = model, create("a denoiser for a codec", model);
    options.codec = text_encoder, create("a text encoder for a codec", model);
    options.codec = (const CwModel *)(const void *)device, create("a device for a codec", model);
    options.codec = gone, create("a codec that was closed", model);
    create("a codec for a world", world);
    create("a session of a codec", codec);
    create("a session of a text encoder", text_encoder);
    options.width = 64, create("width without height", model);
    options.height = 64, create("height without width", model);
    options.width = 50, options.height = 32, create("a width between two patches", model);
    options.codec = NULL, options.width = 640, options.height = 480, create("another size of a world", world);
    options.sampler = 4, create("sampler", model);
    options.sampler = CW_SAMPLER_EULER, options.sampler_steps = 1001, create("sampler steps", model);
    options.output = 1, create("output", model);
    options.recache = 2, create("recache", model);
    options.prompt_slots = 1025, create("prompt slots", model);
    options.prompt_rows = 17, create("prompt rows", model);
    options.codec = NULL, options.prompt_slots = 1, create("prompt slots of a world", world);
    options.guidance = NAN, create("guidance", model);
    options.codec = NULL, options.guidance = 3, create("guidance of a world", world);
    options.chunk = 5000, create("chunk", model);
    options.first_chunk = 4, create("first chunk", model);
    options.start = CW_START_IMAGE, options.start_pixels = pixels, options.start_bytes = 4 * 48 * 32, create("a picture without an encoder", model);

    rooms = session_of(world, 0), stream = session_of(model, 0), guided = session_of(model, 3);
    say("pump without a prompt", pump(stream));
    say("prompt of another width", cw_session_set_prompt(stream, 0, numbers, 2, 23));
    say("prompt of no width", cw_session_set_prompt(stream, 0, numbers, 2, 0));
    say("prompt of too many rows", cw_session_set_prompt(stream, 0, numbers, 17, 24));
    say("prompt of absurd size", cw_session_set_prompt(stream, 0, numbers, 0xffffffffu, 0xffffffffu));
    say("no prompt", cw_session_set_prompt(stream, 0, NULL, 2, 24));
    say("slot of a prompt", cw_session_set_prompt(stream, 2, numbers, 2, 24));
    say("prompt of a world", cw_session_set_prompt(rooms, 0, numbers, 2, 24));
    numbers[25] = INFINITY;
    say("prompt that is no number", cw_session_set_prompt(stream, 0, numbers, 2, 24));
    numbers[25] = 0.5f;

    say("no condition", cw_session_queue_condition(stream, NULL, NULL));
    condition.struct_size = 8, queue("condition of a wrong size", stream);
    condition.kind = 4, queue("kind", stream);
    condition.kind = CW_CONDITION_PROMPT, condition.way = 4, queue("way", stream);
    condition.kind = CW_CONDITION_PROMPT, condition.sink = 2, queue("sink", stream);
    condition.kind = CW_CONDITION_PROMPT, condition.way = CW_WAY_RECACHE, queue("recache without the option", stream);
    condition.kind = CW_CONDITION_PROMPT, condition.index = 2, queue("slot of a change", stream);
    condition.kind = CW_CONDITION_NEGATIVE, queue("negative prompt without guidance", stream);
    condition.kind = CW_CONDITION_EVENT, queue("event of a model without", stream);
    condition.kind = CW_CONDITION_PROMPT, queue("prompt in a world", rooms);
    condition.kind = CW_CONDITION_EVENT, condition.index = 3, queue("event that there is not", rooms);
    mix[0] = 1.5f, mix[1] = 0.5f;
    condition.kind = CW_CONDITION_MIX, condition.weights = mix, condition.weight_count = 3, queue("mix of sum 2", rooms);
    mix[0] = 1.5f, mix[1] = -0.5f;
    condition.kind = CW_CONDITION_MIX, condition.weights = mix, condition.weight_count = 3, queue("mix below 0", rooms);
    mix[0] = 1, mix[1] = NAN;
    condition.kind = CW_CONDITION_MIX, condition.weights = mix, condition.weight_count = 3, queue("mix that is no number", rooms);
    condition.kind = CW_CONDITION_MIX, condition.weights = mix, condition.weight_count = 4, queue("mix of too many", rooms);
    condition.kind = CW_CONDITION_MIX, condition.weight_count = 3, queue("mix of nothing", rooms);
    say("event by the old call", cw_session_queue_event(stream, 0, 0, NULL));
    say("action of a model without", cw_session_set_action(stream, mix, 1, NULL));
    say("start picture without an encoder", cw_session_set_start_image(stream, pixels, 4 * 48 * 32));

    say("prompt", cw_session_set_prompt(stream, 0, numbers, 2, 24));
    say("other prompt", cw_session_set_prompt(stream, 1, numbers, 1, 24));
    condition.kind = CW_CONDITION_PROMPT, ticket = queue(NULL, stream);
    say("slot in use", cw_session_set_prompt(stream, 0, numbers, 2, 24));
    condition.kind = CW_CONDITION_PROMPT, condition.index = 1;
    say("withdraw", cw_session_withdraw(stream, queue(NULL, stream)));
    say("slot that was given back", cw_session_set_prompt(stream, 1, numbers, 1, 24));
    say("frame", pump(stream));
    say("slot in use no more", cw_session_set_prompt(stream, 0, numbers + 24, 1, 24));
    say("withdraw what is in force", cw_session_withdraw(stream, ticket));
    say("withdraw what there is not", cw_session_withdraw(stream, 1000));
    condition.kind = CW_CONDITION_PROMPT, condition.index = 1, condition.frame = 1000, ticket = queue(NULL, stream);
    say("picture", cw_session_poll_frame(stream, &image, NULL));
    /* Now it waits inside the session. */
    say("frame", pump(stream));
    say("slot in use inside", cw_session_set_prompt(stream, 1, numbers, 1, 24));
    say("withdraw inside", cw_session_withdraw(stream, ticket));
    say("withdraw twice", cw_session_withdraw(stream, ticket));
    for (i = 0; i < 64; i++) condition.kind = CW_CONDITION_PROMPT, condition.index = 1, condition.frame = 1000, queue(NULL, stream);
    condition.kind = CW_CONDITION_PROMPT, queue("too many", stream);

    cw_session_set_prompt(guided, 0, numbers, 2, 24);
    condition.kind = CW_CONDITION_PROMPT, queue(NULL, guided);
    say("pump without a negative prompt", pump(guided));

    for (i = 0; i < (size_t)4 * 48 * 32; i++) hash = (hash ^ pixels[i]) * 0x100000001b3u;
    printf("%016llx\n", (unsigned long long)hash);
    cw_shutdown();
    return 0;
}
