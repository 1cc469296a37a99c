/* A host allocator that refuses its n-th request, for every n: each time some call says so, nothing crashes, nothing is lost.
 *
 *     refusals MODEL [STEP] */
#include "causeway.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned long requests, refuse_at, live;

static void *allocate(void *user, size_t bytes, size_t alignment) {
    (void)user;
    void *memory = NULL;
    if (++requests == refuse_at) return NULL;
    if (posix_memalign(&memory, alignment < sizeof(void *) ? sizeof(void *) : alignment, bytes)) return NULL;
    live++;
    return memory;
}

static void release(void *user, void *memory, size_t bytes, size_t alignment) {
    (void)user, (void)bytes, (void)alignment;
    live--;
    free(memory);
}

static unsigned char *file;
static size_t length;
static int refused, failures;

/* Notes a refusal; anything else that is not an outcome is a failure. */
static int said(CwStatus status, const char *what) {
    char text[256];
    if (status >= 0) return 1;
    if (status == CW_ERROR_OUT_OF_MEMORY) return refused++, 0;
    cw_last_error(text, sizeof text, NULL);
    fprintf(stderr, "request %lu refused: %s came to %d, %s\n", refuse_at, what, (int)status, text);
    failures++;
    return 0;
}
#define SAID(call) said(call, #call)

/* A whole life: everything that allocates. */
static void live_once(void) {
    static unsigned char saved[8 << 20];
    CwDeviceOptions on = {.struct_size = sizeof on};
    CwModelInfo info = {.struct_size = sizeof info};
    CwSessionInfo need = {.struct_size = sizeof need};
    CwDevice *device = NULL;
    CwModel *model = NULL;
    CwSession *session = NULL;
    float action[64] = {1};
    size_t bytes;
    int i;
    SAID(cw_device_options_init(&on));
    on.kind = CW_DEVICE_CPU, on.threads = 1;
    if (SAID(cw_device_create(&on, &device)) && SAID(cw_model_open_memory(file, length, CW_MEMORY_COPY, &model)) &&
        SAID(cw_model_info(model, &info)) && SAID(cw_session_query(device, model, NULL, &need)) &&
        SAID(cw_session_create(device, model, NULL, &session))) {
        SAID(cw_session_set_action(session, action, info.actions, NULL));
        SAID(cw_session_queue_event(session, info.events - 1, 0, NULL));
        for (i = 0; i < 40; i++) SAID(cw_session_pump(session, 300));
        if (SAID(cw_session_snapshot(session, saved, sizeof saved, &bytes))) SAID(cw_session_restore(session, saved, bytes));
        SAID(cw_session_poll_frame(session, NULL, NULL));
        SAID(cw_session_start_worker(session));
        SAID(cw_session_stop_worker(session));
    }
    SAID(cw_session_destroy(session));
    SAID(cw_model_destroy(model));
    SAID(cw_device_destroy(device));
    SAID(cw_shutdown());
}

int main(int argc, char **argv) {
    CwAllocator allocator = {.struct_size = sizeof allocator, .allocate = allocate, .release = release};
    unsigned long all, at, kept, step = argc > 2 ? (unsigned long)atol(argv[2]) : 1;
    FILE *from = argc > 1 ? fopen(argv[1], "rb") : NULL;
    if (!from) return fprintf(stderr, "usage: refusals MODEL [STEP]\n"), 2;
    file = malloc(64 << 20);
    length = fread(file, 1, 64 << 20, from);
    fclose(from);
    if (cw_set_allocator(&allocator) != CW_OK) return fprintf(stderr, "the allocator was not taken\n"), 1;
    /* The first life also makes what the process keeps: the table of handles, for one. */
    live_once();
    if (cw_set_allocator(&allocator) != CW_ERROR_STATE) return fprintf(stderr, "the allocator was taken twice\n"), 1;
    kept = live, requests = 0;
    live_once();
    all = requests;
    for (at = 1; at <= all; at += step) {
        int before = refused;
        requests = 0, refuse_at = at;
        live_once();
        /* Later requests of a life may depend on time (the worker's), so the last few may not come. */
        if (refused == before && requests >= at) failures++, fprintf(stderr, "request %lu was refused, and nobody said so\n", at);
        if (live > kept) failures++, fprintf(stderr, "request %lu refused: %lu blocks lost\n", at, live - kept), kept = live;
    }
    printf("%lu requests, %d said so, %d failures\n", all, refused, failures);
    free(file);
    return failures != 0;
}
