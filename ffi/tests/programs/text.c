/* A prompt in words becomes rows while a game goes on, and a world shows it.
 *
 *     text MODEL CODEC ENCODER BARE TOKENIZER STREAM WORDS
 *
 * BARE is an encoder without a tokenizer, TOKENIZER one in a file of its own. */
#include "program.h"

static float rows[1 << 16];
static uint8_t pixels[1 << 20], tokenizer[1 << 20];

static void encode(CwText *text, const char *words, CwProgress *progress) {
    CwStatus status;
    uint64_t pumps = 0;
    EXPECT(cw_text_begin(text, words, strlen(words)), CW_OK, "");
    while ((status = cw_text_pump(text, 0)) == CW_PENDING) {
        uint64_t done = progress->done;
        pumps++;
        EXPECT(cw_text_progress(text, progress), CW_OK, "");
        if (progress->done > progress->total || (done > progress->done && pumps > 1)) failures++, fprintf(stderr, "progress goes back\n");
    }
    EXPECT(status, CW_OK, "");
    EXPECT(cw_text_progress(text, progress), CW_OK, "");
    if (progress->stage != CW_STAGE_READY || progress->done != progress->total || pumps < 10) {
        failures++, fprintf(stderr, "ended at %llu of %llu after %llu pumps\n", (unsigned long long)progress->done, (unsigned long long)progress->total, (unsigned long long)pumps);
    }
}

int main(int argc, char **argv) {
    CwSessionOptions options = {.struct_size = sizeof options};
    CwTextOptions how = {.struct_size = sizeof how};
    CwTextInfo info = {.struct_size = sizeof info};
    CwModelInfo file = {.struct_size = sizeof file};
    CwProgress progress = {.struct_size = sizeof progress};
    CwImage image = {.struct_size = sizeof image, .pixels = pixels, .bytes = sizeof pixels};
    CwCondition change = {.struct_size = sizeof change, .kind = CW_CONDITION_PROMPT};
    CwDevice *device = processor(0);
    CwModel *model = NULL, *codec = NULL, *encoder = NULL, *bare = NULL;
    CwSession *session = NULL;
    CwText *text = NULL;
    FILE *read = argc == 8 ? fopen(argv[5], "rb") : NULL;
    uint32_t count = 9, width = 9;
    uint64_t needed;
    size_t length;
    int frames;

    if (!read) return fprintf(stderr, "usage: text MODEL CODEC ENCODER BARE TOKENIZER STREAM WORDS\n"), 2;
    length = how.tokenizer_bytes = fread(tokenizer, 1, sizeof tokenizer, read);
    fclose(read);
    EXPECT(cw_model_open_path(argv[1], strlen(argv[1]), &model), CW_OK, "");
    EXPECT(cw_model_open_path(argv[2], strlen(argv[2]), &codec), CW_OK, "");
    EXPECT(cw_model_open_path(argv[3], strlen(argv[3]), &encoder), CW_OK, "");
    EXPECT(cw_model_open_path(argv[4], strlen(argv[4]), &bare), CW_OK, "");
    EXPECT(cw_model_info(encoder, &file), CW_OK, "");
    if (file.holds != (CW_HOLDS_TEXT_ENCODER | CW_HOLDS_TOKENIZER)) failures++, fprintf(stderr, "holds %u\n", file.holds);

    /* What cannot be, said before anything is made. */
    how.stream = 2;
    EXPECT(cw_text_create(device, encoder, &how, &text), CW_ERROR_ARGUMENT, "`stream` is 2");
    how.stream = (uint32_t)atoi(argv[6]);
    EXPECT(cw_text_create(device, model, &how, &text), CW_ERROR_ARGUMENT, "no text encoder");
    EXPECT(cw_text_create(device, bare, &how, &text), CW_ERROR_ARGUMENT, "no tokenizer");
    EXPECT(cw_text_query(device, bare, NULL, &info), CW_ERROR_ARGUMENT, "no tokenizer");
    how.tokenizer = tokenizer;
    how.tokenizer_bytes /= 2;
    EXPECT(cw_text_create(device, bare, &how, &text), CW_ERROR_MODEL, "tokenizer.json");
    how.tokenizer_bytes = length;
    how.tokenizer = NULL;
    how.most_rows = 513;
    EXPECT(cw_text_query(device, encoder, &how, &info), CW_ERROR_ARGUMENT, "513 tokens, expected 1 to 512");
    how.most_rows = 16;
    EXPECT(cw_text_query(device, encoder, &how, &info), CW_OK, "");
    if (info.width != 24 || info.most_rows != 16 || !(info.seconds_per_prompt > 0) || !(info.seconds_per_prompt < 60)) {
        failures++, fprintf(stderr, "%u numbers, %u rows, %g s\n", info.width, info.most_rows, info.seconds_per_prompt);
    }
    if (!info.first_read_bytes || info.read_bytes_per_prompt != (how.stream ? info.first_read_bytes : 0)) {
        failures++, fprintf(stderr, "reads %llu, then %llu\n", (unsigned long long)info.first_read_bytes, (unsigned long long)info.read_bytes_per_prompt);
    }
    needed = info.total_bytes;
    how.memory_cap = needed - 1;
    EXPECT(cw_text_create(device, encoder, &how, &text), CW_ERROR_MEMORY_CAP, "the memory cap is");
    how.memory_cap = needed;
    if (text) failures++, fprintf(stderr, "a refused encoder has a handle\n");
    EXPECT(cw_text_create(device, encoder, &how, &text), CW_OK, "");
    EXPECT(cw_model_destroy(encoder), CW_OK, "");
    EXPECT(cw_text_pump(text, 100), CW_ERROR_STATE, "no prompt");
    EXPECT(cw_text_rows(text, rows, 1, &count, &width), CW_ERROR_STATE, "no prompt");
    EXPECT(cw_text_progress(text, &progress), CW_OK, "");
    if (progress.total || count != 9) failures++, fprintf(stderr, "something was begun\n");
    EXPECT(cw_text_begin(text, "\xff", 1), CW_ERROR_ARGUMENT, "UTF-8");
    EXPECT(cw_text_begin(text, (const char *)tokenizer, 65537), CW_ERROR_ARGUMENT, "");
    EXPECT(cw_text_pump((CwText *)(void *)model, 100), CW_ERROR_HANDLE, "a model was given where a text encoder was expected");

    /* Another prompt half-way, and one that is far too long. */
    EXPECT(cw_text_begin(text, "a blue fox", 10), CW_OK, "");
    EXPECT(cw_text_pump(text, 0), CW_PENDING, "");
    {
        static char many[4000];
        memset(many, 'a', sizeof many);
        for (size_t n = 1; n < sizeof many; n += 2) many[n] = ' ';
        EXPECT(cw_text_begin(text, many, sizeof many), CW_OK, "");
        while (cw_text_pump(text, 2000) == CW_PENDING) {}
        EXPECT(cw_text_rows(text, NULL, 0, &count, &width), CW_ERROR_BUFFER_TOO_SMALL, "384 numbers");
    }
    encode(text, argv[7], &progress);
    EXPECT(cw_text_rows(text, NULL, 0, &count, &width), CW_ERROR_BUFFER_TOO_SMALL, "numbers");
    EXPECT(cw_text_rows(text, rows, (size_t)count * width - 1, &count, &width), CW_ERROR_BUFFER_TOO_SMALL, "numbers");
    EXPECT(cw_text_rows(text, rows, sizeof rows / sizeof *rows, &count, &width), CW_OK, "");
    printf("%u %u %016llx\n", count, width, (unsigned long long)hash(rows, (size_t)count * width * sizeof *rows));

    /* With the tokenizer apart: the same rows. */
    {
        CwText *other = NULL;
        how.tokenizer = tokenizer;
        how.memory_cap = 0;
        EXPECT(cw_text_create(device, bare, &how, &other), CW_OK, "");
        encode(other, argv[7], &progress);
        EXPECT(cw_text_rows(other, rows, sizeof rows / sizeof *rows, &count, &width), CW_OK, "");
        printf("%u %u %016llx\n", count, width, (unsigned long long)hash(rows, (size_t)count * width * sizeof *rows));
        EXPECT(cw_text_destroy(other), CW_OK, "");
        EXPECT(cw_text_pump(other, 0), CW_ERROR_HANDLE, "this text encoder was destroyed");
    }

    EXPECT(cw_session_options_init(&options), CW_OK, "");
    options.seed = 7;
    options.codec = codec;
    EXPECT(cw_session_create(device, model, &options, &session), CW_OK, "");
    EXPECT(cw_session_set_prompt(session, 0, rows, count, width), CW_OK, "");
    EXPECT(cw_session_queue_condition(session, &change, NULL), CW_OK, "");
    /* Words are encoded while the world plays. */
    EXPECT(cw_text_begin(text, "a red fox", 9), CW_OK, "");
    for (frames = 0; frames < 5; frames++) {
        CwReceipt receipt = {.struct_size = sizeof receipt};
        CwStatus status;
        while ((status = cw_session_pump(session, 2000)) == CW_PENDING) EXPECT(cw_text_pump(text, 100) < 0, 0, "");
        EXPECT(status, CW_FRAME, "");
        EXPECT(cw_session_poll_frame(session, &image, &receipt), CW_OK, "");
        printf("%016llx\n", (unsigned long long)hash(pixels, (size_t)48 * 32 * 4));
    }
    EXPECT(cw_text_begin(text, "given up", 8), CW_OK, "");
    EXPECT(cw_text_pump(text, 0), CW_PENDING, "");
    EXPECT(cw_text_destroy(text), CW_OK, "");
    EXPECT(cw_text_destroy(NULL), CW_OK, "");
    cw_session_destroy(session);
    cw_model_destroy(bare);
    cw_model_destroy(codec);
    cw_model_destroy(model);
    cw_device_destroy(device);
    return failures != 0;
}
