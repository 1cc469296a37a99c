/* Sessions that are created by pumps or by a worker thread: what they answer meanwhile, what they play then, and that they may be destroyed at any
 * moment. Prints the median times of the query and of the call that begins, in microseconds.
 *
 * Of a STUDENT only these, for a stream of latents, and the most bytes of its saved games.
 *
 *     begin WORLD
 *     begin STUDENT student */
#include "program.h"

#include <pthread.h>
#include <time.h>

#define TIMES 21

static CwDevice *device;
static CwModel *model;
static CwSessionOptions *options;

static double micros(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return 1e6 * (double)now.tv_sec + 1e-3 * (double)now.tv_nsec;
}

static int rising(const void *a, const void *b) { return *(const double *)a < *(const double *)b ? -1 : 1; }

static CwSession *begun(void) {
    CwSession *session = NULL;
    if (cw_session_create_begin(device, model, options, &session) != CW_OK || !session) failed("begin");
    return session;
}

/* FNV-1a of the pixels of the next frame. */
static uint64_t frame(CwSession *session, int pump) {
    static unsigned char pixels[1 << 20];
    CwImage image = {.struct_size = sizeof image, .pixels = pixels, .bytes = sizeof pixels};
    CwReceipt receipt = {.struct_size = sizeof receipt};
    struct timespec rest = {0, 100000};
    CwStatus status;
    uint64_t hash = 0xcbf29ce484222325u;
    size_t i;
    while ((status = cw_session_poll_frame(session, &image, &receipt)) == CW_PENDING) {
        if (pump && cw_session_pump(session, 500) < 0) failed("pump");
        if (!pump) nanosleep(&rest, NULL);
    }
    if (status < 0) failed("poll");
    for (i = 0; i < 4 * (size_t)receipt.width * receipt.height; i++) hash = (hash ^ pixels[i]) * 0x100000001b3u;
    return hash;
}

static CwSession *shared;
static volatile int going;

/* Starts and stops the worker as often as it can. */
static void *restless(void *unused) {
    while (going) {
        CwStatus started = cw_session_start_worker(shared), stopped = cw_session_stop_worker(shared);
        if (started < 0 && started != CW_ERROR_STATE && started != CW_ERROR_BUSY) failed("a restless start");
        if (stopped < 0) failed("a restless stop");
    }
    return unused;
}

/* Is inside the session as often as it can. */
static void *curious(void *unused) {
    CwStats stats = {.struct_size = sizeof stats};
    while (going)
        if (cw_session_stats(shared, &stats) < CW_ERROR_STATE) failed("curious");
    return unused;
}

/* A session that two threads treat so from its beginning on still gives its first frame, by a worker or by pumps, and can be ended. */
static void treated(void *(*by)(void *), int worker, uint64_t hash) {
    pthread_t threads[2];
    struct timespec rest = {0, 3000000};
    shared = begun(), going = 1;
    if (pthread_create(&threads[0], NULL, by, NULL) || pthread_create(&threads[1], NULL, by, NULL)) failed("threads");
    if (worker && cw_session_start_worker(shared) < 0) failed("start");
    nanosleep(&rest, NULL);
    if (worker && frame(shared, 0) != hash) failed("a frame of the worker");
    going = 0;
    pthread_join(threads[0], NULL), pthread_join(threads[1], NULL);
    if (!worker && (cw_session_stop_worker(shared) < 0 || frame(shared, 1) != hash)) failed("a frame");
    if (cw_session_destroy(shared) < 0) failed("destroy");
}

int main(int argc, char **argv) {
    CwDeviceOptions on = {.struct_size = sizeof on, .kind = CW_DEVICE_CPU, .threads = 1};
    CwSessionInfo info = {.struct_size = sizeof info}, told = {.struct_size = sizeof told};
    CwProgress progress = {.struct_size = sizeof progress}, before;
    CwStats stats = {.struct_size = sizeof stats};
    CwSessionOptions student = {.struct_size = sizeof student};
    CwSession *session, *plain = NULL;
    double queries[TIMES], begins[TIMES];
    unsigned rounds = 0, n, at;
    float action[16] = {0};
    uint64_t ticket = 7, hashes[4];
    char text[512];

    if (argc != 2 && argc != 3) return fprintf(stderr, "usage: begin MODEL [student]\n"), 2;
    if (argc == 3) {
        if (cw_session_options_init(&student) < 0) failed("options");
        student.output = CW_OUTPUT_LATENTS, student.recache = 1;
        options = &student;
    }
    if (cw_device_create(&on, &device) < 0) failed("device");
    if (cw_model_open_path(argv[1], strlen(argv[1]), &model) < 0) failed("model");

    /* What it takes to begin, and to be destroyed right then. */
    for (n = 0; n < TIMES; n++) {
        double start = micros();
        if (cw_session_query(device, model, options, &info) < 0) failed("query");
        queries[n] = micros() - start, start = micros();
        session = begun();
        begins[n] = micros() - start;
        if (cw_session_destroy(session) < 0) failed("destroy");
    }
    qsort(queries, TIMES, sizeof *queries, rising), qsort(begins, TIMES, sizeof *begins, rising);
    printf("%.1f %.1f\n", queries[TIMES / 2], begins[TIMES / 2]);
    if (options) return printf("%llu\n", (unsigned long long)info.save_bytes), 0;

    /* Until it is there it answers that it is not. */
    session = begun();
    if (cw_session_progress(session, &progress) < 0 || progress.stage != CW_STAGE_WEIGHTS) failed("progress");
    if (cw_session_info(session, &told) < 0 || told.total_bytes != info.total_bytes) failed("info");
    if (cw_session_set_action(session, action, 5, &ticket) != CW_PENDING || ticket != 7) failed("action");
    if (cw_session_poll_frame(session, NULL, NULL) != CW_PENDING || cw_session_pause(session) != CW_PENDING) failed("poll");
    if (cw_session_stats(session, &stats) != CW_PENDING || cw_session_reset(session, 1) != CW_PENDING) failed("stats");
    if (cw_session_set_quality(session, 1, -1, -1) != CW_PENDING || cw_session_cancel(session) != CW_PENDING) failed("quality");
    cw_last_error(text, sizeof text, NULL);
    if (!strstr(text, "being created")) failed("its sentence");
    do {
        before = progress;
        if (cw_session_pump(session, 0) != CW_PENDING) failed("pump");
        if (cw_session_progress(session, &progress) < 0) failed("progress");
        if (progress.stage == before.stage && progress.done < before.done) failed("it went back");
        rounds++;
    } while (progress.stage != CW_STAGE_READY);
    if (progress.done != progress.total || rounds < 3) failed("its end");

    /* Then it is a session as any other. */
    if (cw_session_create(device, model, NULL, &plain) < 0) failed("create");
    for (n = 0; n < 4; n++) {
        hashes[n] = frame(plain, 1);
        if (frame(session, 1) != hashes[n]) failed("another frame");
    }
    cw_session_destroy(plain), cw_session_destroy(session);

    /* A worker creates it and pumps it, is stopped and started anywhere, and is destroyed anywhere. */
    session = begun();
    if (cw_session_start_worker(session) < 0) failed("start");
    if (cw_session_pump(session, 0) != CW_ERROR_STATE || cw_session_start_worker(session) != CW_ERROR_STATE) failed("worker");
    for (n = 0; n < 4; n++) {
        if (frame(session, 0) != hashes[n]) failed("another frame of the worker");
        if (cw_session_stop_worker(session) < 0 || cw_session_start_worker(session) < 0) failed("stop and start");
    }
    cw_session_destroy(session);
    session = begun();
    for (n = 0; n < 20; n++)
        if (cw_session_start_worker(session) < 0 || cw_session_stop_worker(session) < 0) failed("start and stop");
    if (frame(session, 1) != hashes[0]) failed("a frame after the worker");
    cw_session_destroy(session);
    for (at = 0; at < 2 * rounds; at++) {
        session = begun();
        if (at % 2 && cw_session_start_worker(session) < 0) failed("start");
        for (n = 0; n < at / 2 && !(at % 2); n++)
            if (cw_session_pump(session, 0) < 0) failed("pump");
        if (cw_session_destroy(session) < 0) failed("destroy");
    }

    for (n = 0; n < 20; n++) treated(restless, 0, hashes[0]), treated(curious, 1, hashes[0]);

    /* The files may go once it is begun. */
    session = begun();
    cw_model_destroy(model), cw_device_destroy(device);
    if (frame(session, 1) != hashes[0]) failed("a frame without the model");
    return cw_session_destroy(session) == CW_OK ? 0 : failed("destroy");
}
