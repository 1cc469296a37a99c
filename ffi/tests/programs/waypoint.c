/* A world of buttons and a mouse from a picture: buttons are found by name, receipts say when each is seen, a second picture comes on the way.
 * Prints a hash of every picture.
 *
 *     waypoint BUNDLE PICTURE PICTURES      PICTURE: RGBA8 of the stream's size */
#include "program.h"

enum { MOST = 300, CHUNK = 4, PLACED = 12 };

static uint8_t pixels[1 << 16], start[1 << 16];
static float actions[MOST];

static uint32_t entry(const CwModel *model, uint32_t actions, const char *wanted) {
    char name[64];
    uint32_t n;
    for (n = 0; n < actions; n++) {
        EXPECT(cw_model_action_name(model, n, name, sizeof name, NULL), CW_OK, "");
        if (!strcmp(name, wanted)) return n;
    }
    failures++, fprintf(stderr, "no action is called %s\n", wanted);
    return 0;
}

int main(int argc, char **argv) {
    CwSessionOptions options = {.struct_size = sizeof options};
    CwModelInfo info = {.struct_size = sizeof info};
    CwSessionInfo made = {.struct_size = sizeof made};
    CwImage image = {.struct_size = sizeof image, .pixels = pixels, .bytes = sizeof pixels};
    CwReceipt receipt = {.struct_size = sizeof receipt};
    CwPicture picture = {.struct_size = sizeof picture, .pixels = start, .format = CW_FORMAT_RGBA8, .fit = CW_FIT_EXACT, .when = CW_PICTURE_NOW};
    CwDevice *device = processor(0);
    CwModel *model = NULL;
    CwSession *session = NULL;
    FILE *file = argc == 4 ? fopen(argv[2], "rb") : NULL;
    uint32_t n, button, look, pictures = argc == 4 ? (uint32_t)atoi(argv[3]) : 0;

    if (!file || !pictures) return fprintf(stderr, "usage: waypoint BUNDLE PICTURE PICTURES\n"), 2;
    picture.bytes = fread(start, 1, sizeof start, file);
    fclose(file);
    EXPECT(cw_model_open_path(argv[1], strlen(argv[1]), &model), CW_OK, "");
    EXPECT(cw_model_info(model, &info), CW_OK, "");
    if (!(info.takes & CW_TAKES_ACTIONS) || !(info.takes & CW_TAKES_PICTURE) || info.actions > MOST)
        failures++, fprintf(stderr, "takes %u, %u actions\n", info.takes, info.actions);
    button = entry(model, info.actions, "MOUSE1");
    look = entry(model, info.actions, "mouse_x");

    EXPECT(cw_session_options_init(&options), CW_OK, "");
    options.seed = 7;
    options.start = CW_START_EMPTY;
    EXPECT(cw_session_create(device, model, &options, &session), CW_OK, "");
    EXPECT(cw_session_info(session, &made), CW_OK, "");
    picture.width = made.width, picture.height = made.height;
    EXPECT(cw_session_set_picture(session, &picture, NULL), CW_OK, "");
    for (n = 0; n < pictures; n++) {
        CwStatus status;
        uint64_t ticket = 0;
        if (n == PLACED) EXPECT(cw_session_set_picture(session, &picture, NULL), CW_OK, "");
        if (n % CHUNK == 0) {
            actions[button] = (float)(n / CHUNK % 2);
            actions[look] = 0.25f * ((float)(n / CHUNK % 3) - 1);
            EXPECT(cw_session_set_action(session, actions, info.actions, &ticket), CW_OK, "");
        }
        while ((status = cw_session_pump(session, 2000)) == CW_PENDING) {}
        EXPECT(status, CW_FRAME, "");
        EXPECT(cw_session_poll_frame(session, &image, &receipt), CW_OK, "");
        /* A picture of the host's is told nothing; else what was set before a chunk shows in its first picture. */
        if (ticket && n != 0 && n != PLACED && receipt.action_ticket != ticket)
            failures++, fprintf(stderr, "picture %u: action %u of %u\n", n, (unsigned)receipt.action_ticket, (unsigned)ticket);
        printf("%u %016llx\n", n, (unsigned long long)hash(pixels, (size_t)made.width * made.height * 4));
    }
    /* What cannot be is a sentence, and the stream goes on. */
    actions[button] = 1e20f;
    EXPECT(cw_session_set_action(session, actions, info.actions, NULL), CW_ERROR_ARGUMENT, "");
    EXPECT(cw_session_set_action(session, actions, info.actions - 1, NULL), CW_ERROR_ARGUMENT, "");
    cw_session_destroy(session);
    cw_model_destroy(model);
    cw_device_destroy(device);
    return failures != 0;
}
