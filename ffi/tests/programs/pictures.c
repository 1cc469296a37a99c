/* A picture of another form and size becomes the newest frame: prints a hash of it and of the frames behind it.
 *
 *     pictures MODEL PICTURE WIDTH HEIGHT      PICTURE: RGB8, rows from the bottom, 7 bytes of padding behind each */
#include "program.h"

static uint8_t pixels[64 * 64 * 4];

static CwReceipt frame(CwSession *session) {
    CwReceipt receipt = {.struct_size = sizeof receipt};
    CwImage image = {.struct_size = sizeof image, .pixels = pixels, .bytes = sizeof pixels};
    CwStatus status;
    while ((status = cw_session_pump(session, 2000)) == CW_PENDING) {}
    EXPECT(status, CW_FRAME, "");
    EXPECT(cw_session_poll_frame(session, &image, &receipt), CW_OK, "");
    printf("%016llx\n", (unsigned long long)hash(pixels, sizeof pixels));
    return receipt;
}

int main(int argc, char **argv) {
    CwSessionOptions options = {.struct_size = sizeof options};
    CwPicture picture = {.struct_size = sizeof picture, .format = CW_FORMAT_RGB8, .flags = CW_IMAGE_FLIP_Y, .fit = CW_FIT_CROP, .when = CW_PICTURE_NOW};
    CwPicture wrong;
    CwReceipt receipt;
    CwDevice *device = processor(1);
    CwModel *model = NULL;
    CwSession *session = NULL;
    FILE *file = argc == 5 ? fopen(argv[2], "rb") : NULL;
    uint8_t *bytes = malloc(1 << 20);
    uint64_t ticket = 0;
    int n;

    if (!file || !bytes) return fprintf(stderr, "usage: pictures MODEL PICTURE WIDTH HEIGHT\n"), 2;
    picture.bytes = fread(bytes, 1, 1 << 20, file);
    fclose(file);
    /* Exactly as long as it says: valgrind sees what reads on. */
    bytes = realloc(bytes, picture.bytes);
    picture.pixels = bytes;
    picture.width = (uint32_t)atoi(argv[3]);
    picture.height = (uint32_t)atoi(argv[4]);
    picture.row_pitch = picture.width * 3 + 7;
    EXPECT(cw_model_open_path(argv[1], strlen(argv[1]), &model), CW_OK, "");
    EXPECT(cw_session_options_init(&options), CW_OK, "");
    options.seed = 7;
    EXPECT(cw_session_create(device, model, &options, &session), CW_OK, "");

    EXPECT(cw_session_set_picture(session, NULL, NULL), CW_ERROR_ARGUMENT, "NULL");
    wrong = picture, wrong.fit = CW_FIT_EXACT;
    EXPECT(cw_session_set_picture(session, &wrong, NULL), CW_ERROR_ARGUMENT, "the stream's are 64 x 64");
    wrong = picture, wrong.fit = 3;
    EXPECT(cw_session_set_picture(session, &wrong, NULL), CW_ERROR_ARGUMENT, "`fit` is 3");
    wrong = picture, wrong.when = 2;
    EXPECT(cw_session_set_picture(session, &wrong, NULL), CW_ERROR_ARGUMENT, "`when` is 2");
    wrong = picture, wrong.format = 9;
    EXPECT(cw_session_set_picture(session, &wrong, NULL), CW_ERROR_ARGUMENT, "9 is no pixel format");
    wrong = picture, wrong.flags = 4;
    EXPECT(cw_session_set_picture(session, &wrong, NULL), CW_ERROR_ARGUMENT, "unknown flags");
    wrong = picture, wrong.width = 0;
    EXPECT(cw_session_set_picture(session, &wrong, NULL), CW_ERROR_ARGUMENT, "sides of 1 to 16384");
    wrong = picture, wrong.height = 16385;
    EXPECT(cw_session_set_picture(session, &wrong, NULL), CW_ERROR_ARGUMENT, "sides of 1 to 16384");
    wrong = picture, wrong.row_pitch = 5;
    EXPECT(cw_session_set_picture(session, &wrong, NULL), CW_ERROR_ARGUMENT, "the row pitch is 5");
    wrong = picture, wrong.bytes = wrong.bytes - 8;
    EXPECT(cw_session_set_picture(session, &wrong, NULL), CW_ERROR_ARGUMENT, "do not fit");
    wrong = picture, wrong.row_pitch = (size_t)-1;
    EXPECT(cw_session_set_picture(session, &wrong, NULL), CW_ERROR_ARGUMENT, "do not fit");
    wrong = picture, wrong.repeat = 1025;
    EXPECT(cw_session_set_picture(session, &wrong, NULL), CW_ERROR_ARGUMENT, "1025 latent frames");
    wrong = picture, wrong.struct_size = 3;
    EXPECT(cw_session_set_picture(session, &wrong, NULL), CW_ERROR_STRUCT_SIZE, "");

    for (n = 0; n < 6; n++) frame(session);
    EXPECT(cw_session_set_picture(session, &picture, &ticket), CW_OK, "");
    for (n = 0; n < 4; n++) {
        receipt = frame(session);
        if (receipt.event_ticket != ticket || receipt.first_of_event != (n == 0)) failures++, fprintf(stderr, "frame %d shows %u\n", n, (unsigned)receipt.event_ticket);
    }
    /* And as what the stream starts from. */
    picture.when = CW_PICTURE_START;
    EXPECT(cw_session_set_picture(session, &picture, NULL), CW_OK, "");
    EXPECT(cw_session_reset(session, 7), CW_OK, "");
    for (n = 0; n < 2; n++) frame(session);
    cw_session_destroy(session);
    cw_model_destroy(model);
    cw_device_destroy(device);
    free(bytes);
    return failures != 0;
}
