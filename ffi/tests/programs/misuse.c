/* Everything a host can do wrong, each answered by an error. Run as it is, under valgrind and with the address sanitizer.
 *
 *     misuse MODEL */
#include "causeway.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failures;

static void expect(CwStatus found, CwStatus wanted, const char *what, int line) {
    char text[512];
    size_t length = 0;
    cw_last_error(text, sizeof text, &length);
    if (found != wanted || (found < 0 && length == 0)) {
        fprintf(stderr, "line %d: %s came to %d (%s), expected %d\n", line, what, (int)found, text, (int)wanted);
        failures++;
    }
}
#define EXPECT(call, wanted) expect(call, wanted, #call, __LINE__)

static CwDevice *device;
static CwModel *model;
static CwSession *session;
static float action[8];
static uint8_t pixels[1 << 20];

static void handles(void) {
    char on_stack[64] = {0};
    uint64_t numbers[] = {1, 2, 3, 7, 0x1000, 0xffffffffu, ~(uint64_t)0, 0x8000000000000001u};
    CwModelInfo info = {.struct_size = sizeof info};
    CwSession *ended = NULL;
    CwModel *none = (CwModel *)1;
    size_t i;
    EXPECT(cw_session_pump(NULL, 0), CW_ERROR_HANDLE);
    EXPECT(cw_session_pump((CwSession *)(void *)on_stack, 0), CW_ERROR_HANDLE);
    EXPECT(cw_session_pump((CwSession *)(void *)(on_stack + 1), 0), CW_ERROR_HANDLE);
    EXPECT(cw_session_pump((CwSession *)model, 0), CW_ERROR_HANDLE);
    EXPECT(cw_session_pump((CwSession *)device, 0), CW_ERROR_HANDLE);
    EXPECT(cw_model_info((CwModel *)session, &info), CW_ERROR_HANDLE);
    EXPECT(cw_device_destroy((CwDevice *)model), CW_ERROR_HANDLE);
    EXPECT(cw_session_destroy((CwSession *)(void *)on_stack), CW_ERROR_HANDLE);
    for (i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        EXPECT(cw_session_pump((CwSession *)(uintptr_t)numbers[i], 0), CW_ERROR_HANDLE);
        EXPECT(cw_session_destroy((CwSession *)(uintptr_t)numbers[i]), CW_ERROR_HANDLE);
        EXPECT(cw_handle_error((void *)(uintptr_t)numbers[i], NULL, 0, NULL), CW_ERROR_HANDLE);
    }
    EXPECT(cw_session_create(device, model, NULL, &ended), CW_OK);
    EXPECT(cw_session_destroy(ended), CW_OK);
    EXPECT(cw_session_destroy(ended), CW_ERROR_HANDLE);
    EXPECT(cw_session_pump(ended, 1000), CW_ERROR_HANDLE);
    EXPECT(cw_session_set_action(ended, action, 5, NULL), CW_ERROR_HANDLE);
    EXPECT(cw_session_start_worker(ended), CW_ERROR_HANDLE);
    EXPECT(cw_session_destroy(NULL), CW_OK);
    EXPECT(cw_model_destroy(NULL), CW_OK);
    EXPECT(cw_device_destroy(NULL), CW_OK);
    EXPECT(cw_session_create(device, NULL, NULL, &ended), CW_ERROR_HANDLE);
    EXPECT(cw_session_create(NULL, model, NULL, &ended), CW_ERROR_HANDLE);
    EXPECT(cw_session_create(device, model, NULL, NULL), CW_ERROR_ARGUMENT);
    EXPECT(cw_model_open_path("no such file", 12, &none), CW_ERROR_IO);
    if (none != NULL) failures++, fprintf(stderr, "a failed open left a handle\n");
}

/* What needs a Vulkan device of the host's is refused before it is looked at. */
#ifdef WITHOUT_VULKAN
#define NO_INSTANCE CW_ERROR_UNSUPPORTED
#else
#define NO_INSTANCE CW_ERROR_ARGUMENT
#endif
static void vulkan(void) {
    CwVulkanHost host = {.struct_size = sizeof host, .api_version = 0xffffffffu};
    CwVulkanNeeds needs = {.struct_size = sizeof needs};
    CwVulkanDevice its = {.struct_size = sizeof its};
    CwVulkanImage image = {.struct_size = sizeof image, .image = 1, .layout_after = 1, .width = 4096, .height = 4096};
    CwVulkan *none = (CwVulkan *)1;
    CwDevice *other = NULL;
    EXPECT(cw_vulkan_create(&host, NULL), CW_ERROR_ARGUMENT);
    EXPECT(cw_vulkan_create(NULL, &none), CW_ERROR_ARGUMENT);
    EXPECT(cw_vulkan_create(&host, &none), NO_INSTANCE);
    if (none != NULL) failures++, fprintf(stderr, "a failed create left a handle\n");
    EXPECT(cw_vulkan_needs(NULL, &needs), CW_ERROR_HANDLE);
    EXPECT(cw_vulkan_needs((CwVulkan *)session, &needs), CW_ERROR_HANDLE);
    EXPECT(cw_vulkan_device_create((CwVulkan *)device, &its, &other), CW_ERROR_HANDLE);
    EXPECT(cw_vulkan_destroy(NULL), CW_OK);
    EXPECT(cw_vulkan_destroy((CwVulkan *)model), CW_ERROR_HANDLE);
    /* The worker before may have filled the queue, and then pumping makes no frame. */
    while (cw_session_poll_frame(session, NULL, NULL) == CW_OK) {}
    while (cw_session_pump(session, 100000) != CW_FRAME) {}
    EXPECT(cw_session_poll_image(session, &image, NULL), CW_ERROR_UNSUPPORTED);
    image.x = 0xffffffffu;
    EXPECT(cw_session_poll_image(session, &image, NULL), CW_ERROR_ARGUMENT);
    image.x = 0, image.layout_after = 0;
    EXPECT(cw_session_poll_image(session, &image, NULL), CW_ERROR_ARGUMENT);
    image.struct_size = 8;
    EXPECT(cw_session_poll_image(session, &image, NULL), CW_ERROR_STRUCT_SIZE);
    /* None of it cost the frame. */
    EXPECT(cw_session_poll_frame(session, NULL, NULL), CW_OK);
}

static void structs(void) {
    CwSessionOptions options = {.struct_size = sizeof options};
    CwDeviceOptions on = {.struct_size = 8};
    CwModelInfo info = {.struct_size = 3};
    CwImage image = {.struct_size = sizeof image};
    CwReceipt receipt = {.struct_size = sizeof receipt};
    CwReader reader = {.struct_size = sizeof reader};
    CwSessionInfo what = {.struct_size = sizeof what};
    uint64_t whole;
    CwDevice *other = NULL;
    CwModel *read = NULL;
    CwSession *none = NULL;
    EXPECT(cw_session_options_init(NULL), CW_ERROR_ARGUMENT);
    EXPECT(cw_device_options_init(&on), CW_ERROR_STRUCT_SIZE);
    EXPECT(cw_device_create(&on, &other), CW_ERROR_STRUCT_SIZE);
    EXPECT(cw_model_info(model, &info), CW_ERROR_STRUCT_SIZE);
    info.struct_size = 0xffffffffu;
    EXPECT(cw_model_info(model, &info), CW_ERROR_STRUCT_SIZE);
    EXPECT(cw_model_info(model, NULL), CW_ERROR_ARGUMENT);
    EXPECT(cw_session_options_init(&options), CW_OK);
    options.window = -2;
    EXPECT(cw_session_create(device, model, &options, &none), CW_ERROR_ARGUMENT);
    options.window = 1 << 30;
    EXPECT(cw_session_create(device, model, &options, &none), CW_ERROR_OPTION);
    options.window = -1, options.queue = 0;
    EXPECT(cw_session_create(device, model, &options, &none), CW_ERROR_ARGUMENT);
    options.queue = 0xffffffffu;
    EXPECT(cw_session_query(device, model, &options, &what), CW_ERROR_ARGUMENT);
    options.queue = 2, options.memory_cap = 1000;
    EXPECT(cw_session_create(device, model, &options, &none), CW_ERROR_MEMORY_CAP);
    options.memory_cap = 0, options.kv = 4;
    EXPECT(cw_session_create(device, model, &options, &none), CW_ERROR_ARGUMENT);
    options.kv = CW_KV_F32;
    EXPECT(cw_session_query(device, model, &options, &what), CW_OK);
    options.kv = CW_KV_AUTO, whole = what.state_bytes;
    EXPECT(cw_session_query(device, model, &options, &what), CW_OK);
    EXPECT(what.state_bytes == whole, 1);
    options.kv = CW_KV_Q8;
    EXPECT(cw_session_query(device, model, &options, &what), CW_OK);
    EXPECT(what.state_bytes < whole, 1);
    options.kv = CW_KV_F32, options.start = 99;
    EXPECT(cw_session_create(device, model, &options, &none), CW_ERROR_ARGUMENT);
    options.start = CW_START_IMAGE;
    EXPECT(cw_session_create(device, model, &options, &none), CW_ERROR_ARGUMENT);
    options.start_pixels = pixels, options.start_bytes = 12;
    EXPECT(cw_session_create(device, model, &options, &none), CW_ERROR_ARGUMENT);
    options.start_bytes = (size_t)-1;
    EXPECT(cw_session_create(device, model, &options, &none), CW_ERROR_ARGUMENT);
    EXPECT(cw_session_poll_frame(session, &image, &receipt), CW_ERROR_ARGUMENT);
    image.pixels = pixels, image.bytes = 10;
    EXPECT(cw_session_poll_frame(session, &image, &receipt), CW_ERROR_BUFFER_TOO_SMALL);
    image.bytes = sizeof pixels, image.row_pitch = 5;
    EXPECT(cw_session_poll_frame(session, &image, &receipt), CW_ERROR_ARGUMENT);
    image.row_pitch = (size_t)-1;
    EXPECT(cw_session_poll_frame(session, &image, &receipt), CW_ERROR_BUFFER_TOO_SMALL);
    image.row_pitch = 0, image.format = 77;
    EXPECT(cw_session_poll_frame(session, &image, &receipt), CW_ERROR_ARGUMENT);
    image.format = 0, image.flags = 1u << 31;
    EXPECT(cw_session_poll_frame(session, &image, &receipt), CW_ERROR_ARGUMENT);
    image.flags = 0, receipt.struct_size = 2;
    EXPECT(cw_session_poll_frame(session, &image, &receipt), CW_ERROR_STRUCT_SIZE);
    EXPECT(cw_model_open_reader(&reader, &read), CW_ERROR_ARGUMENT);
    EXPECT(cw_model_open_memory(NULL, 100, 0, &read), CW_ERROR_ARGUMENT);
    EXPECT(cw_model_open_memory(pixels, 100, CW_MEMORY_COPY, &read), CW_ERROR_MODEL);
    EXPECT(cw_model_open_memory(pixels, (size_t)-1, 0, &read), CW_ERROR_ARGUMENT);
    EXPECT(cw_model_open_memory(pixels, 100, 6, &read), CW_ERROR_ARGUMENT);
    EXPECT(cw_model_open_fd(-1, 0, 10, &read), CW_ERROR_ARGUMENT);
    EXPECT(cw_model_open_fd(9999, 0, 10, &read), CW_ERROR_IO);
    EXPECT(cw_model_open_path("\xff\xfe", 2, &read), CW_ERROR_ARGUMENT);
    EXPECT(cw_model_open_path("x", (size_t)-1, &read), CW_ERROR_ARGUMENT);
}

static void values(void) {
    static const uint8_t garbage[100];
    size_t needed = 0;
    float bad[5] = {0};
    int i;
    EXPECT(cw_session_set_action(session, NULL, 5, NULL), CW_ERROR_ARGUMENT);
    EXPECT(cw_session_set_action(session, action, 3, NULL), CW_ERROR_ARGUMENT);
    EXPECT(cw_session_set_action(session, action, 0xffffffffu, NULL), CW_ERROR_ARGUMENT);
    memset(bad, 0xff, sizeof bad);
    EXPECT(cw_session_set_action(session, bad, 5, NULL), CW_ERROR_ARGUMENT);
    EXPECT(cw_session_queue_event(session, 1000, 0, NULL), CW_ERROR_ARGUMENT);
    for (i = 0; i < 64; i++) EXPECT(cw_session_queue_event(session, 0, (uint64_t)-1, NULL), CW_OK);
    EXPECT(cw_session_queue_event(session, 0, 0, NULL), CW_ERROR_EVENTS_FULL);
    EXPECT(cw_session_restore(session, garbage, sizeof garbage), CW_ERROR_SNAPSHOT);
    EXPECT(cw_session_restore(session, garbage, (size_t)-1), CW_ERROR_ARGUMENT);
    EXPECT(cw_session_restore(session, NULL, 9), CW_ERROR_ARGUMENT);
    EXPECT(cw_session_snapshot(session, pixels, 10, &needed), CW_ERROR_BUFFER_TOO_SMALL);
    EXPECT(cw_session_snapshot(session, pixels, 10, NULL), CW_ERROR_ARGUMENT);
    EXPECT(cw_session_set_start_image(session, pixels, 3), CW_ERROR_ARGUMENT);
    EXPECT(cw_set_allocator(NULL), CW_ERROR_ARGUMENT);
    EXPECT(cw_set_log(NULL, NULL, 0), CW_OK);
    EXPECT(cw_session_start_worker(session), CW_OK);
    EXPECT(cw_session_start_worker(session), CW_ERROR_STATE);
    EXPECT(cw_session_pump(session, 100), CW_ERROR_STATE);
    EXPECT(cw_session_stop_worker(session), CW_OK);
    EXPECT(cw_session_stop_worker(session), CW_OK);
}

/* A clock of the host's that lets the test see when a pump is under way. */
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turned = PTHREAD_COND_INITIALIZER;
static int inside, leave, watching;

static uint64_t gated_clock(void *user) {
    uint64_t *now = user;
    pthread_mutex_lock(&gate);
    inside = 1;
    pthread_cond_broadcast(&turned);
    while (watching && !leave) pthread_cond_wait(&turned, &gate);
    pthread_mutex_unlock(&gate);
    return *now += 10;
}

static void *pump(void *what) {
    static CwStatus status;
    status = cw_session_pump(what, 1000);
    return &status;
}

/* Two threads in one session, and a session destroyed while one is inside: `gated_clock` holds the pump still meanwhile. */
static void threads(void) {
    CwSessionOptions options = {.struct_size = sizeof options};
    CwSession *shared = NULL;
    pthread_t thread;
    uint64_t now = 0;
    size_t needed;
    void *status;
    int destroyed;
    EXPECT(cw_session_options_init(&options), CW_OK);
    options.clock = gated_clock, options.clock_user = &now;
    for (destroyed = 0; destroyed < 2; destroyed++) {
        watching = leave = inside = 0;
        EXPECT(cw_session_create(device, model, &options, &shared), CW_OK);
        inside = 0, watching = 1;
        pthread_create(&thread, NULL, pump, shared);
        pthread_mutex_lock(&gate);
        while (!inside) pthread_cond_wait(&turned, &gate);
        pthread_mutex_unlock(&gate);
        EXPECT(cw_session_pump(shared, 100), CW_ERROR_BUSY);
        EXPECT(cw_session_snapshot(shared, NULL, 0, &needed), CW_ERROR_BUSY);
        EXPECT(cw_session_reset(shared, 1), CW_ERROR_BUSY);
        EXPECT(cw_session_set_action(shared, action, 5, NULL), CW_OK);
        EXPECT(cw_session_queue_event(shared, 0, 0, NULL), CW_OK);
        EXPECT(cw_session_poll_frame(shared, NULL, NULL), CW_PENDING);
        if (destroyed) EXPECT(cw_session_destroy(shared), CW_OK);
        pthread_mutex_lock(&gate);
        leave = 1;
        pthread_cond_broadcast(&turned);
        pthread_mutex_unlock(&gate);
        pthread_join(thread, &status);
        /* The start frame may be ready already. */
        if (destroyed || *(CwStatus *)status != CW_FRAME)
            EXPECT(*(CwStatus *)status, destroyed ? CW_ERROR_DESTROYED : CW_PENDING);
        EXPECT(cw_session_destroy(shared), destroyed ? CW_ERROR_HANDLE : CW_OK);
    }
}

int main(int argc, char **argv) {
    CwDeviceOptions on = {.struct_size = sizeof on};
    if (argc < 2) return fprintf(stderr, "usage: misuse MODEL\n"), 2;
    EXPECT(cw_device_options_init(&on), CW_OK);
    on.kind = CW_DEVICE_CPU, on.threads = 2;
    EXPECT(cw_device_create(&on, &device), CW_OK);
    EXPECT(cw_model_open_path(argv[1], strlen(argv[1]), &model), CW_OK);
    EXPECT(cw_session_create(device, model, NULL, &session), CW_OK);
    handles();
    structs();
    values();
    vulkan();
    threads();
    /* A worker thread at the end of the program's interest in it. */
    EXPECT(cw_session_start_worker(session), CW_OK);
    EXPECT(cw_shutdown(), CW_OK);
    EXPECT(cw_session_pump(session, 0), CW_ERROR_HANDLE);
    EXPECT(cw_model_destroy(model), CW_ERROR_HANDLE);
    printf("%d failures\n", failures);
    return failures != 0;
}
