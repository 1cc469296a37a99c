/* A host that unloads the library while its threads are at work, never calls `cw_shutdown`, and loads it again, over and over.
 *
 *     unload LIBRARY MODEL [gone]      with `gone` the library must have left the process each time */
#include "causeway.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static void *library;

/* ISO C knows no way from an object's address to a function's; POSIX says that this is one. */
#define LOAD(name)                                                         \
    do {                                                                   \
        *(void **)&name##_ = dlsym(library, #name);                        \
        if (!name##_) return fprintf(stderr, "no %s\n", #name), 1;         \
    } while (0)

static CwStatus (*cw_device_create_)(const CwDeviceOptions *, CwDevice **);
static CwStatus (*cw_model_open_path_)(const char *, size_t, CwModel **);
static CwStatus (*cw_session_create_)(const CwDevice *, const CwModel *, const CwSessionOptions *, CwSession **);
static CwStatus (*cw_session_start_worker_)(CwSession *);
static CwStatus (*cw_session_poll_frame_)(CwSession *, const CwImage *, CwReceipt *);
static CwStatus (*cw_session_pump_)(CwSession *, uint32_t);
static CwStatus (*cw_shutdown_)(void);

static int load(const char *path) {
    library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library) return fprintf(stderr, "%s\n", dlerror()), 1;
    LOAD(cw_device_create);
    LOAD(cw_model_open_path);
    LOAD(cw_session_create);
    LOAD(cw_session_start_worker);
    LOAD(cw_session_poll_frame);
    LOAD(cw_session_pump);
    LOAD(cw_shutdown);
    return 0;
}

static void rest(void) {
    struct timespec time = {0, 100 * 1000 * 1000};
    nanosleep(&time, NULL);
}

/* Threads of this process, and whether the library is mapped; -1 if the system does not tell. */
static int threads(void) {
    char line[256];
    int count = -1;
    FILE *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof line, file)) sscanf(line, "Threads: %d", &count);
    if (file) fclose(file);
    return count;
}

static int mapped(void) {
    char line[512];
    int found = 0;
    FILE *file = fopen("/proc/self/maps", "r");
    while (file && fgets(line, sizeof line, file)) found |= strstr(line, "libcauseway") != NULL;
    if (file) fclose(file);
    return found;
}

static long resident(void) {
    long size = 0, pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file || fscanf(file, "%ld %ld", &size, &pages) != 2) pages = 0;
    if (file) fclose(file);
    return pages * 4;
}

static CwSession *session;

/* A world with a worker that has made a frame. */
static int play(const char *library_path, const char *model_path) {
    CwDeviceOptions on = {.struct_size = sizeof on, .kind = CW_DEVICE_CPU, .threads = 2, .adapter_index = -1};
    CwDevice *device;
    CwModel *model;
    CwReceipt receipt = {.struct_size = sizeof receipt};
    CwStatus status;
    if (load(library_path)) return 3;
    if (cw_device_create_(&on, &device) < 0) return 4;
    if (cw_model_open_path_(model_path, strlen(model_path), &model) < 0) return 5;
    if (cw_session_create_(device, model, NULL, &session) < 0) return 6;
    if (cw_session_start_worker_(session) < 0) return 7;
    while ((status = cw_session_poll_frame_(session, NULL, &receipt)) == CW_PENDING) rest();
    return status == CW_OK ? 0 : 8;
}

int main(int argc, char **argv) {
    int cycle, failed, gone = argc > 3 && !strcmp(argv[3], "gone");
    long before = 0;
    if (argc < 3) return 2;
    for (cycle = 0; cycle < 12; cycle++) {
        if ((failed = play(argv[1], argv[2]))) return failed;
        /* Once properly, else not. */
        if (cycle == 5 && cw_shutdown_() != CW_OK) return 9;
        dlclose(library);
        if (gone && threads() != 1) return fprintf(stderr, "%d threads are left\n", threads()), 10;
        if (gone && mapped()) return fprintf(stderr, "the library is still there\n"), 11;
        if (cycle == 2) before = resident();
    }
    if (gone && resident() - before > 4000) return fprintf(stderr, "%ld kB more\n", resident() - before), 12;
    if (load(argv[1])) return 13;
    if (gone && cw_session_pump_(session, 0) != CW_ERROR_HANDLE) return 14;
    dlclose(library);
    /* A process that ends with a thread of the library at work. */
    if ((failed = play(argv[1], argv[2]))) return failed;
    printf("%d cycles, %ld kB more\n", cycle, resident() - before);
    return 0;
}
