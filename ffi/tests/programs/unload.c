/* A host that unloads the library while a worker thread is in it, and loads it again.
 *
 *     unload LIBRARY MODEL */
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

int main(int argc, char **argv) {
    CwDeviceOptions on = {.struct_size = sizeof on, .kind = CW_DEVICE_CPU, .threads = 2, .adapter_index = -1};
    CwDevice *device;
    CwModel *model;
    CwSession *session;
    CwReceipt receipt = {.struct_size = sizeof receipt};
    int frames = 0;
    if (argc < 3 || load(argv[1])) return 2;
    if (cw_device_create_(&on, &device) < 0) return 3;
    if (cw_model_open_path_(argv[2], strlen(argv[2]), &model) < 0) return 4;
    if (cw_session_create_(device, model, NULL, &session) < 0) return 5;
    if (cw_session_start_worker_(session) < 0) return 6;
    dlclose(library);
    rest();
    if (load(argv[1])) return 7;
    while (frames < 5) {
        CwStatus status = cw_session_poll_frame_(session, NULL, &receipt);
        if (status < 0) return 8;
        if (status == CW_OK) frames++; else rest();
    }
    if (cw_shutdown_() != CW_OK) return 9;
    dlclose(library);
    if (load(argv[1])) return 10;
    if (cw_session_pump_(session, 0) != CW_ERROR_HANDLE) return 11;
    printf("%d frames\n", frames);
    return 0;
}
