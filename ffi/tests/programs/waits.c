/* A worker that begins before the stream has a prompt, a reset before the first frame, what a file says of its prompts, gates.
 *
 *     waits BUNDLE */
#include "program.h"

#include <time.h>

static float values[1 << 16];

/* The next latent frame, which a worker makes, or pumps do. */
static CwStatus next(CwSession *session, int pump, CwReceipt *receipt) {
    struct timespec rest = {0, 1000000};
    CwStatus status;
    while ((status = cw_session_poll_latents(session, values, sizeof values / sizeof *values, receipt)) == CW_PENDING) {
        if (pump && (status = cw_session_pump(session, 2000)) < 0) return status;
        if (!pump) nanosleep(&rest, NULL);
    }
    return status;
}

int main(int argc, char **argv) {
    CwSessionOptions options = {.struct_size = sizeof options};
    CwProgress progress = {.struct_size = sizeof progress};
    CwReceipt receipt = {.struct_size = sizeof receipt};
    CwCondition change = {.struct_size = sizeof change, .kind = CW_CONDITION_PROMPT};
    struct timespec rest = {0, 20000000};
    CwDevice *device = processor(0);
    CwModel *model = NULL;
    CwSession *session = NULL;
    uint32_t rows = 7, width = 7;
    uint64_t with, without;
    int n;

    if (argc != 2) return fprintf(stderr, "usage: waits BUNDLE\n"), 2;
    EXPECT(cw_model_open_path(argv[1], strlen(argv[1]), &model), CW_OK, "");

    /* What the file says of its prompts. */
    EXPECT(cw_model_prompt_rows(model, 0, &rows, &width), CW_OK, "");
    printf("%u %u", rows, width);
    EXPECT(cw_model_prompt_rows(model, 1, &rows, &width), CW_OK, "");
    printf(" %u %u\n", rows, width);
    EXPECT(cw_model_prompt_rows(model, 2, &rows, &width), CW_ERROR_ARGUMENT, "there is no prompt 2; this file stores 2");
    EXPECT(cw_model_prompt_rows(model, 0, NULL, &width), CW_ERROR_ARGUMENT, "NULL");
    EXPECT(cw_model_prompt_rows(model, 0, &rows, NULL), CW_ERROR_ARGUMENT, "NULL");

    /* A worker that begins with the creation waits for a prompt as for anything else. */
    EXPECT(cw_session_options_init(&options), CW_OK, "");
    options.output = CW_OUTPUT_LATENTS;
    EXPECT(cw_session_create_begin(device, model, &options, &session), CW_OK, "");
    EXPECT(cw_session_start_worker(session), CW_OK, "");
    do {
        EXPECT(cw_session_progress(session, &progress), CW_OK, "");
        nanosleep(&rest, NULL);
    } while (progress.stage != CW_STAGE_READY);
    for (n = 0; n < 5; n++, nanosleep(&rest, NULL))
        EXPECT(cw_session_poll_latents(session, values, sizeof values / sizeof *values, &receipt), CW_PENDING, "");
    EXPECT(cw_session_load_prompt(session, 0, model, 0), CW_OK, "");
    EXPECT(cw_session_queue_condition(session, &change, NULL), CW_OK, "");
    EXPECT(next(session, 0, &receipt), CW_OK, "");
    with = hash(values, 1024);
    EXPECT(cw_session_destroy(session), CW_OK, "");

    /* A stream that begins anew before it began keeps what it was going to be told. */
    EXPECT(cw_session_create(device, model, &options, &session), CW_OK, "");
    EXPECT(cw_session_pump(session, 100), CW_ERROR_STATE, "was given none");
    EXPECT(cw_session_load_prompt(session, 0, model, 1), CW_OK, "");
    EXPECT(cw_session_queue_condition(session, &change, NULL), CW_OK, "");
    EXPECT(cw_session_pump(session, 100), CW_PENDING, "");
    EXPECT(cw_session_reset(session, options.seed), CW_OK, "");
    EXPECT(cw_session_load_prompt(session, 0, model, 0), CW_OK, "");
    EXPECT(cw_session_queue_condition(session, &change, NULL), CW_OK, "");
    EXPECT(cw_session_reset(session, options.seed), CW_OK, "");
    EXPECT(next(session, 1, &receipt), CW_OK, "");
    without = hash(values, 1024);
    EXPECT(cw_session_destroy(session), CW_OK, "");

    EXPECT(cw_session_create(device, model, &options, &session), CW_OK, "");
    EXPECT(cw_session_load_prompt(session, 0, model, 0), CW_OK, "");
    EXPECT(cw_session_queue_condition(session, &change, NULL), CW_OK, "");
    EXPECT(cw_session_reset(session, options.seed), CW_OK, "");
    EXPECT(next(session, 1, &receipt), CW_OK, "");
    if (hash(values, 1024) != with) failures++, fprintf(stderr, "another prompt than the first\n");
    /* What was in force before the second one stays so: the second was waiting, and is dropped. */
    if (without == with) failures++, fprintf(stderr, "a change that waited was not dropped\n");
    EXPECT(cw_session_destroy(session), CW_OK, "");

    options.gate = 3;
    EXPECT(cw_session_create(device, model, &options, &session), CW_ERROR_ARGUMENT, "3 is no gate; there are CW_GATE_REPORT, _HOLD and _NEAR");
    cw_model_destroy(model);
    cw_device_destroy(device);
    return failures != 0;
}
