/* Changes that are queued and taken back while a worker thread pumps: each is in force or taken back, and nobody waits for ever.
 *
 *     withdraw MODEL CODEC PROMPT */
#include "causeway.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void stuck(int signal) {
    static const char text[] = "a call came to no end\n";
    (void)signal;
    (void)!write(2, text, sizeof text - 1);
    _exit(1);
}

static int failed(const char *what) {
    char text[512];
    cw_last_error(text, sizeof text, NULL);
    fprintf(stderr, "%s: %s\n", what, text);
    return 1;
}

int main(int argc, char **argv) {
    CwDeviceOptions on = {.struct_size = sizeof on, .kind = CW_DEVICE_CPU, .threads = 1};
    CwSessionOptions options = {.struct_size = sizeof options};
    CwModelInfo info = {.struct_size = sizeof info};
    CwReceipt receipt = {.struct_size = sizeof receipt};
    CwDevice *device = NULL;
    CwModel *model = NULL, *codec = NULL;
    CwSession *session = NULL;
    static float prompt[1 << 16];
    unsigned taken = 0, in_force = 0, n;
    uint32_t rows;
    FILE *file = argc == 4 ? fopen(argv[3], "rb") : NULL;
    size_t count;

    if (!file) return fprintf(stderr, "usage: withdraw MODEL CODEC PROMPT\n"), 2;
    count = fread(prompt, sizeof *prompt, sizeof prompt / sizeof *prompt, file);
    fclose(file);
    signal(SIGALRM, stuck);
    alarm(120);
    if (cw_device_create(&on, &device) < 0) return failed("device");
    if (cw_model_open_path(argv[1], strlen(argv[1]), &model) < 0) return failed("model");
    if (cw_model_open_path(argv[2], strlen(argv[2]), &codec) < 0) return failed("codec");
    if (cw_model_info(model, &info) < 0 || cw_session_options_init(&options) < 0) return failed("options");
    rows = (uint32_t)(count / info.prompt_width);
    options.codec = codec;
    options.prompt_slots = 2;
    if (cw_session_create(device, model, &options, &session) < 0) return failed("session");
    for (n = 0; n < 2; n++) {
        CwCondition change = {.struct_size = sizeof change, .kind = CW_CONDITION_PROMPT};
        if (cw_session_set_prompt(session, n, prompt, rows, info.prompt_width) < 0) return failed("prompt");
        if (!n && cw_session_queue_condition(session, &change, NULL) < 0) return failed("condition");
    }
    if (cw_session_start_worker(session) < 0) return failed("worker");
    for (n = 0; n < 2000; n++) {
        /* Every second one waits for long, so that the worker has it when it is taken back. */
        CwCondition change = {.struct_size = sizeof change, .kind = CW_CONDITION_PROMPT, .index = 1, .frame = n % 2 ? 1000000 : 0};
        CwStatus status;
        uint64_t ticket;
        if (cw_session_queue_condition(session, &change, &ticket) < 0) return failed("condition");
        if (n % 3) usleep(n % 300);
        status = cw_session_withdraw(session, ticket);
        if (status == CW_OK) taken++;
        else if (status == CW_ERROR_STATE) in_force++;
        else return failed("withdraw");
        if (n % 2 && status != CW_OK) return failed("a change of a far picture was not taken back");
        if (cw_session_withdraw(session, ticket) != CW_ERROR_STATE) return failed("a change was taken back twice");
        while (cw_session_poll_frame(session, NULL, &receipt) == CW_OK) {}
    }
    if (cw_session_stop_worker(session) < 0) return failed("stop");
    fprintf(stderr, "%u taken back, %u in force, %u pictures\n", taken, in_force, (unsigned)receipt.frame + 1);
    cw_session_destroy(session);
    cw_model_destroy(codec);
    cw_model_destroy(model);
    cw_device_destroy(device);
    return taken < 1000 || !receipt.frame;
}
