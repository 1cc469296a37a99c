/* A session that gives latent frames: prints a hash of each, and shows that calls which are refused lose none.
 *
 *     latents MODEL CODEC PROMPT FRAMES */
#include "program.h"

static float prompt[1 << 16], values[1 << 16];
static uint8_t pixels[1 << 20];

static CwSession *begin(CwDevice *device, CwModel *model, CwSessionOptions *options, uint32_t rows, uint32_t width) {
    CwSession *session = NULL;
    CwCondition change = {.struct_size = sizeof change, .kind = CW_CONDITION_PROMPT};
    options->seed = 7;
    EXPECT(cw_session_create(device, model, options, &session), CW_OK, "");
    EXPECT(cw_session_set_prompt(session, 0, prompt, rows, width), CW_OK, "");
    EXPECT(cw_session_queue_condition(session, &change, NULL), CW_OK, "");
    return session;
}

static void wait_for_frame(CwSession *session) {
    CwStatus status;
    while ((status = cw_session_pump(session, 2000)) == CW_PENDING) {}
    EXPECT(status, CW_FRAME, "");
}

int main(int argc, char **argv) {
    CwSessionOptions options = {.struct_size = sizeof options};
    CwModelInfo info = {.struct_size = sizeof info};
    CwSessionInfo made = {.struct_size = sizeof made};
    CwImage image = {.struct_size = sizeof image, .pixels = pixels, .bytes = sizeof pixels};
    CwReceipt receipt = {.struct_size = sizeof receipt}, odd = {.struct_size = 2};
    CwDevice *device = processor(0);
    CwModel *model = NULL, *codec = NULL;
    CwSession *session;
    FILE *file = argc == 5 ? fopen(argv[3], "rb") : NULL;
    uint32_t rows, n;
    size_t count;

    if (!file) return fprintf(stderr, "usage: latents MODEL CODEC PROMPT FRAMES\n"), 2;
    count = fread(prompt, sizeof *prompt, sizeof prompt / sizeof *prompt, file);
    fclose(file);
    EXPECT(cw_model_open_path(argv[1], strlen(argv[1]), &model), CW_OK, "");
    EXPECT(cw_model_open_path(argv[2], strlen(argv[2]), &codec), CW_OK, "");
    EXPECT(cw_model_info(model, &info), CW_OK, "");
    rows = (uint32_t)(count / info.prompt_width);

    EXPECT(cw_session_options_init(&options), CW_OK, "");
    options.output = CW_OUTPUT_LATENTS;
    session = begin(device, model, &options, rows, info.prompt_width);
    EXPECT(cw_session_info(session, &made), CW_OK, "");
    count = (size_t)made.latent_channels * made.latent_height * made.latent_width;
    EXPECT(cw_session_poll_latents(session, values, count, &receipt), CW_PENDING, "");
    for (n = 0; n < (uint32_t)atoi(argv[4]); n++) {
        wait_for_frame(session);
        EXPECT(cw_session_poll_frame(session, &image, &receipt), CW_ERROR_STATE, "cw_session_poll_latents");
        EXPECT(cw_session_poll_latents(session, values, count - 1, &receipt), CW_ERROR_BUFFER_TOO_SMALL, "numbers");
        EXPECT(cw_session_poll_latents(session, NULL, 0, &receipt), CW_ERROR_BUFFER_TOO_SMALL, "numbers");
        EXPECT(cw_session_poll_latents(session, NULL, count, &receipt), CW_ERROR_ARGUMENT, "NULL");
        EXPECT(cw_session_poll_latents(session, values, count, &odd), CW_ERROR_STRUCT_SIZE, "struct_size");
        EXPECT(cw_session_poll_latents((CwSession *)(void *)model, values, count, &receipt), CW_ERROR_HANDLE, "");
        EXPECT(cw_session_poll_latents(session, values, sizeof values / sizeof *values, n % 2 ? NULL : &receipt), CW_OK, "");
        if (n % 2 == 0 && receipt.frame != n) failures++, fprintf(stderr, "latent frame %u came as %u\n", n, (unsigned)receipt.frame);
        printf("%u %016llx\n", n, (unsigned long long)hash(values, count * sizeof *values));
    }
    EXPECT(cw_session_destroy(session), CW_OK, "");

    /* The other way round. */
    options.output = CW_OUTPUT_PIXELS;
    options.codec = codec;
    session = begin(device, model, &options, rows, info.prompt_width);
    wait_for_frame(session);
    EXPECT(cw_session_poll_latents(session, values, sizeof values / sizeof *values, &receipt), CW_ERROR_STATE, "cw_session_poll_frame");
    EXPECT(cw_session_poll_frame(session, &image, &receipt), CW_OK, "");
    if (receipt.frame != 0) failures++, fprintf(stderr, "a picture was lost\n");
    EXPECT(cw_session_destroy(session), CW_OK, "");
    cw_model_destroy(codec);
    cw_model_destroy(model);
    cw_device_destroy(device);
    return failures != 0;
}
