/* Programs of every version of the interface, as far as structs have grown: what lies behind a caller's struct is not read and not written.
 * Prints, for each version, its sizes and a hash of the pictures.
 *
 *     sizes MODEL */
#include "causeway.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Bytes of the structs that have grown, as callers of that version have them. */
static const struct { int version; uint32_t options, model, session; } versions[] = {
    {1, 80, 56, 64},
    {3, 88, 56, 64},
    {CW_ABI_VERSION, sizeof(CwSessionOptions), sizeof(CwModelInfo), sizeof(CwSessionInfo)},
};

/* A caller's memory: a struct of `size` bytes at its beginning, garbage behind it. */
static union { unsigned char bytes[512]; uint32_t struct_size; CwSessionOptions options; CwModelInfo model; CwSessionInfo session; } own;

static void *begin(uint32_t size) {
    memset(own.bytes, 0xee, sizeof own.bytes);
    memset(own.bytes, 0, size);
    own.struct_size = size;
    return own.bytes;
}

static int touched(uint32_t size) {
    uint32_t i;
    for (i = size; i < sizeof own.bytes; i++)
        if (own.bytes[i] != 0xee) return fprintf(stderr, "byte %u of a struct of %u was written\n", i, size), 1;
    return own.struct_size != size;
}

static int failed(const char *what) {
    char text[512];
    cw_last_error(text, sizeof text, NULL);
    fprintf(stderr, "%s: %s\n", what, text);
    return 1;
}

int main(int argc, char **argv) {
    static uint8_t pixels[1 << 20];
    CwImage image = {.struct_size = sizeof image, .pixels = pixels, .bytes = sizeof pixels};
    CwDeviceOptions on = {.struct_size = sizeof on, .kind = CW_DEVICE_CPU};
    CwDevice *device = NULL;
    CwModel *model = NULL;
    size_t n;
    int frame;

    if (argc < 2) return fprintf(stderr, "usage: sizes MODEL\n"), 2;
    if (cw_device_create(&on, &device) < 0 || cw_model_open_path(argv[1], strlen(argv[1]), &model) < 0) return failed("model");
    for (n = 0; n < sizeof versions / sizeof *versions; n++) {
        uint64_t hash = 0xcbf29ce484222325u;
        CwSession *session = NULL;
        size_t i, bytes;
        if (cw_model_info(model, begin(versions[n].model)) < 0 || touched(versions[n].model)) return failed("model");
        bytes = (size_t)4 * own.model.width * own.model.height;
        if (cw_session_options_init(begin(versions[n].options)) < 0 || touched(versions[n].options)) return failed("options");
        own.options.seed = 7;
        if (cw_session_create(device, model, (void *)own.bytes, &session) < 0) return failed("session");
        if (cw_session_info(session, begin(versions[n].session)) < 0 || touched(versions[n].session)) return failed("session");
        for (frame = 0; frame < 6; frame++) {
            CwStatus status;
            while ((status = cw_session_pump(session, 2000)) != CW_FRAME)
                if (status < 0) return failed("pump");
            if (cw_session_poll_frame(session, &image, NULL) != CW_OK) return failed("frame");
            for (i = 0; i < bytes; i++) hash = (hash ^ pixels[i]) * 0x100000001b3u;
        }
        printf("%d %u %016llx\n", versions[n].version, versions[n].options, (unsigned long long)hash);
        cw_session_destroy(session);
    }
    cw_model_destroy(model);
    cw_device_destroy(device);
    return 0;
}
