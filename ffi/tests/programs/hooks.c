/* Hosts whose hooks call back, clocks that run backwards, events that wait for a reset, caps, and a model file that is cut short.
 *
 *     hooks MODEL COPY      COPY is a copy of MODEL, which is cut short */
#include "causeway.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int failures;

static const char *last(void) {
    static __thread char text[600];
    cw_last_error(text, sizeof text, NULL);
    return text;
}

static void expect(int good, const char *what, int line) {
    if (!good) fprintf(stderr, "line %d: not so: %s (%s)\n", line, what, last()), failures++;
}
#define EXPECT(condition) expect(condition, #condition, __LINE__)

static CwDevice *device;
static CwModel *model;

static CwSession *create(CwDevice *on, CwSessionOptions *options) {
    CwSession *session = NULL;
    EXPECT(cw_session_create(on, model, options, &session) == CW_OK);
    return session;
}

static CwSessionOptions defaults(void) {
    CwSessionOptions options = {.struct_size = sizeof options};
    EXPECT(cw_session_options_init(&options) == CW_OK);
    return options;
}

static uint64_t micros(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

/* The next frame's receipt; how many pumps it took. */
static CwReceipt frame(CwSession *session, uint32_t budget, long *pumps) {
    CwReceipt receipt = {.struct_size = sizeof receipt};
    CwStatus status;
    do status = cw_session_pump(session, budget), ++*pumps; while (status == CW_PENDING);
    EXPECT(status == CW_FRAME || status == CW_FULL);
    EXPECT(cw_session_poll_frame(session, NULL, &receipt) == CW_OK);
    return receipt;
}

/* Which call a hook makes of which session, whether it was begun and is over, and what came of it. */
static CwSession *target;
static int kind;
static volatile int begun, over;
static volatile CwStatus answer;

static void call_back(void) {
    CwStats stats = {.struct_size = sizeof stats};
    float none[5] = {0};
    size_t needed = 0;
    if (!target || begun) return;
    begun = 1; /* no call of the call's own hooks */
    switch (kind) {
    case 0: answer = cw_session_stats(target, &stats); break;
    case 1: answer = cw_session_snapshot(target, NULL, 0, &needed); break;
    case 2: answer = cw_session_pump(target, 100); break;
    case 3: answer = cw_session_reset(target, 1); break;
    case 4: answer = cw_session_stop_worker(target); break;
    case 5: answer = cw_session_start_worker(target); break;
    case 6: answer = cw_session_set_action(target, none, 5, NULL); break;
    case 7: answer = cw_session_pause(target); cw_session_resume(target); break;
    case 8: answer = cw_session_poll_frame(target, NULL, NULL); break;
    case 9: answer = cw_session_destroy(target); break;
    }
    over = 1;
}

static uint64_t calling_clock(void *user) {
    (void)user;
    call_back();
    return micros();
}

static void calling_jobs(void *user, uint32_t count, CwTask task, void *context) {
    uint32_t i;
    (void)user;
    call_back();
    for (i = 0; i < count; i++) task(context, i);
}

/* Statuses that are right for the kinds above, by a pump and by a worker thread. */
static int right(CwStatus status, int worker) {
    switch (kind) {
    case 0: case 1: case 3: return status == CW_ERROR_BUSY;
    case 2: return status == (worker ? CW_ERROR_STATE : CW_ERROR_BUSY);
    case 4: return status == (worker ? CW_ERROR_BUSY : CW_OK);
    case 5: return status == CW_ERROR_BUSY;
    case 8: return status == CW_PENDING || status == CW_OK;
    default: return status == CW_OK;
    }
}

static void reentry(void) {
    CwDeviceOptions with_jobs = {.struct_size = sizeof with_jobs};
    CwDevice *jobs = NULL;
    int hook, worker;
    EXPECT(cw_device_options_init(&with_jobs) == CW_OK);
    with_jobs.kind = CW_DEVICE_CPU, with_jobs.threads = 2, with_jobs.parallel_for = calling_jobs;
    EXPECT(cw_device_create(&with_jobs, &jobs) == CW_OK);
    for (hook = 0; hook < 2; hook++)
        for (worker = 0; worker < 2; worker++)
            for (kind = 0; kind < 10; kind++) {
                CwSessionOptions options = defaults();
                CwSession *session;
                CwStatus ended;
                int turns = 0;
                if (hook == 0) options.clock = calling_clock;
                target = NULL, begun = over = 0, answer = -1000;
                session = create(hook ? jobs : device, &options);
                target = session;
                if (worker) {
                    EXPECT(cw_session_start_worker(session) == CW_OK);
                    while (!over && turns++ < 20000) usleep(1000);
                } else {
                    while (!over && turns++ < 1000) cw_session_pump(session, 1000);
                }
                if (!right(answer, worker)) {
                    fprintf(stderr, "call %d from the %s of a %s came to %d\n", kind, hook ? "jobs" : "clock", worker ? "worker" : "pump", (int)answer);
                    failures++;
                }
                ended = cw_session_destroy(session);
                EXPECT(ended == (kind == 9 ? CW_ERROR_HANDLE : CW_OK));
                target = NULL;
            }
    /* A worker that was destroyed by its own hook ends by itself; its hooks may run until then. */
    usleep(200 * 1000);
    EXPECT(cw_device_destroy(jobs) == CW_OK);
}

static uint64_t now;
static int mode;
static uint64_t odd_clock(void *user) {
    (void)user;
    switch (mode) {
    case 0: return now -= 1000;
    case 1: return UINT64_MAX;
    case 2: return now = now * 6364136223846793005u + 1442695040888963407u;
    default: return now % 3 ? (now += 1) : (now -= 500);
    }
}

static void clocks(void) {
    for (mode = 0; mode < 4; mode++) {
        CwSessionOptions options = defaults();
        CwSession *session;
        uint32_t budgets[] = {0, 2000, UINT32_MAX};
        int i, k;
        now = 1000000000;
        options.clock = odd_clock;
        session = create(device, &options);
        for (i = 0; i < 3; i++)
            for (k = 0; k < 4; k++) {
                long pumps = 0;
                CwReceipt receipt = frame(session, budgets[i], &pumps);
                EXPECT(receipt.ready >= receipt.began);
                /* Backwards means spent: a pump does not go on for ever. */
                if (mode == 0) EXPECT(pumps > 1);
            }
        EXPECT(cw_session_destroy(session) == CW_OK);
    }
}

static void events(void) {
    CwSession *session = create(device, NULL);
    uint64_t before = 0, after = 0;
    long pumps = 0;
    int i, taken = 0;
    for (i = 0; i < 200; i++) taken += cw_session_queue_event(session, 2, 20, NULL) == CW_OK;
    cw_session_pump(session, 0);
    for (i = 0; i < 200; i++) taken += cw_session_queue_event(session, 2, 3, &before) == CW_OK;
    EXPECT(taken == 128);
    EXPECT(cw_session_reset(session, 1) == CW_OK);
    for (i = 0; i < 24; i++) {
        CwReceipt receipt = frame(session, 1000000, &pumps);
        EXPECT(receipt.frame == (uint64_t)i && !receipt.first_of_event);
    }
    /* All room is there again, and tickets count on. */
    for (i = 0; i < 64; i++) EXPECT(cw_session_queue_event(session, 1, 1000, &after) == CW_OK);
    EXPECT(after == before + 64);
    EXPECT(cw_session_destroy(session) == CW_OK);
}

static void caps(void) {
    CwSessionOptions options = defaults();
    CwSessionInfo info = {.struct_size = sizeof info};
    CwSession *session = NULL;
    char needs[64], cap[64];
    EXPECT(cw_session_query(device, model, &options, &info) == CW_OK);
    options.memory_cap = info.total_bytes;
    session = create(device, &options);
    EXPECT(cw_session_destroy(session) == CW_OK);
    for (options.memory_cap = info.total_bytes - 1; options.memory_cap > 0; options.memory_cap /= 1000) {
        snprintf(needs, sizeof needs, "needs %" PRIu64 " bytes", info.total_bytes);
        snprintf(cap, sizeof cap, "cap is %" PRIu64, options.memory_cap);
        EXPECT(cw_session_create(device, model, &options, &session) == CW_ERROR_MEMORY_CAP);
        EXPECT(strstr(last(), needs) && strstr(last(), cap));
    }
}

/* A file that is cut between opening and creating a session, and one in use. */
static void cut(const char *path) {
    CwModel *copy = NULL;
    CwSession *living = NULL, *none = NULL;
    long pumps = 0;
    EXPECT(cw_model_open_path(path, strlen(path), &copy) == CW_OK);
    EXPECT(cw_session_create(device, copy, NULL, &living) == CW_OK);
    EXPECT(truncate(path, 4096) == 0);
    EXPECT(cw_session_create(device, copy, NULL, &none) == CW_ERROR_IO);
    EXPECT(none == NULL && strstr(last(), "4096 bytes now") != NULL);
    frame(living, 1000000, &pumps);
    EXPECT(cw_session_reset(living, 4) == CW_OK);
    frame(living, 1000000, &pumps);
    EXPECT(truncate(path, 0) == 0);
    EXPECT(cw_session_create(device, copy, NULL, &none) == CW_ERROR_IO);
    EXPECT(cw_model_destroy(copy) == CW_OK);
    EXPECT(cw_session_destroy(living) == CW_OK);
    EXPECT(cw_model_open_path(path, strlen(path), &copy) == CW_ERROR_MODEL);
    EXPECT(cw_model_open_path("/", 1, &copy) == CW_ERROR_IO);
}

int main(int argc, char **argv) {
    CwDeviceOptions on = {.struct_size = sizeof on};
    if (argc < 3) return fprintf(stderr, "usage: hooks MODEL COPY\n"), 2;
    alarm(120); /* a deadlock is a failure */
    EXPECT(cw_device_options_init(&on) == CW_OK);
    on.kind = CW_DEVICE_CPU, on.threads = 2;
    EXPECT(cw_device_create(&on, &device) == CW_OK);
    EXPECT(cw_model_open_path(argv[1], strlen(argv[1]), &model) == CW_OK);
    reentry();
    clocks();
    events();
    caps();
    cut(argv[2]);
    EXPECT(cw_shutdown() == CW_OK);
    printf("%d failures\n", failures);
    return failures != 0;
}
