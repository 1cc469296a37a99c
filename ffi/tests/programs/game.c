/* A game from a bundle: what it is told, by name; then pictures while keys and mouse change in each of them, of which the hashes are printed.
 *
 *     game BUNDLE PICTURES */
#include "program.h"

enum { MOST = 12, ENTRIES = 6 };

static uint8_t pixels[1 << 16];

/* What is pressed in each picture of a chunk: forward in every other one, and the mouse to one side, ahead, to the other. */
static void press(CwSession *session, uint32_t rows, uint64_t *ticket) {
    float actions[MOST][ENTRIES] = {{0}};
    uint32_t n;
    for (n = 0; n < rows; n++) {
        actions[n][0] = (float)(n % 2);
        actions[n][5] = 0.1f * ((float)(n % 3) - 1);
    }
    EXPECT(cw_session_set_actions(session, actions[0], rows, ENTRIES, ticket), CW_OK, "");
}

int main(int argc, char **argv) {
    CwSessionOptions options = {.struct_size = sizeof options};
    CwModelInfo info = {.struct_size = sizeof info};
    CwSessionInfo made = {.struct_size = sizeof made};
    CwImage image = {.struct_size = sizeof image, .pixels = pixels, .bytes = sizeof pixels};
    CwReceipt receipt = {.struct_size = sizeof receipt};
    CwCondition picture = {.struct_size = sizeof picture, .kind = CW_CONDITION_PROMPT};
    CwDevice *device = processor(0);
    CwModel *model = NULL;
    CwSession *session = NULL;
    uint64_t ticket = 0, newest = 0;
    uint32_t n, next = 0, pictures = argc == 3 ? (uint32_t)atoi(argv[2]) : 0;

    if (!pictures) return fprintf(stderr, "usage: game BUNDLE PICTURES\n"), 2;
    EXPECT(cw_model_open_path(argv[1], strlen(argv[1]), &model), CW_OK, "");
    EXPECT(cw_model_info(model, &info), CW_OK, "");
    if (!(info.holds & CW_HOLDS_STARTS) || !(info.takes & CW_TAKES_ACTIONS) || info.actions != ENTRIES || info.prompts != 1)
        failures++, fprintf(stderr, "holds %u, takes %u, %u actions\n", info.holds, info.takes, info.actions);
    for (n = 0; n < info.actions; n++) {
        char name[64];
        EXPECT(cw_model_action_name(model, n, name, sizeof name, NULL), CW_OK, "");
        printf("%s%s", name, n + 1 < info.actions ? " " : "\n");
    }

    EXPECT(cw_session_options_init(&options), CW_OK, "");
    options.seed = 7;
    EXPECT(cw_session_create(device, model, &options, &session), CW_OK, "");
    EXPECT(cw_session_info(session, &made), CW_OK, "");
    EXPECT(cw_session_load_prompt(session, 0, model, 0), CW_OK, "");
    EXPECT(cw_session_queue_condition(session, &picture, NULL), CW_OK, "");
    for (n = 0; n < pictures; n++) {
        CwStatus status;
        if (n == next) {
            /* The stream's first latent frame makes one picture, all others four. */
            uint32_t rows = n ? 12 : 9;
            press(session, rows, &newest);
            next = n + rows;
        }
        while ((status = cw_session_pump(session, 2000)) == CW_PENDING) {}
        EXPECT(status, CW_FRAME, "");
        EXPECT(cw_session_poll_frame(session, &image, &receipt), CW_OK, "");
        if (receipt.action_ticket < ticket || receipt.action_ticket > newest) failures++, fprintf(stderr, "picture %u: action %u\n", n, (unsigned)receipt.action_ticket);
        ticket = receipt.action_ticket;
        printf("%u %016llx\n", n, (unsigned long long)hash(pixels, (size_t)made.width * made.height * 4));
    }
    if (ticket != newest) failures++, fprintf(stderr, "the newest action was never shown\n");
    cw_session_destroy(session);
    /* Without its picture there is nothing to begin from, and that is said. */
    options.start = CW_START_EMPTY;
    EXPECT(cw_session_create(device, model, &options, &session), CW_ERROR_ARGUMENT, "picture");
    cw_model_destroy(model);
    cw_device_destroy(device);
    return failures != 0;
}
