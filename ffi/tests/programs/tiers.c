/* Kernels of a tier that a host asks for, and the ring that a GPU gets by itself: prints a hash of each frame.
 *
 *     tiers MODEL TIER FRAMES      TIER: CW_TIER_... */
#include "program.h"

int main(int argc, char **argv) {
    CwDeviceOptions on = {.struct_size = sizeof on};
    CwSessionOptions options = {.struct_size = sizeof options};
    CwSessionInfo what = {.struct_size = sizeof what};
    CwDevice *device = NULL;
    CwModel *model = NULL;
    CwSession *session = NULL;
    uint8_t *pixels;
    uint64_t halves, floats;
    size_t bytes;
    int n;

    if (argc != 4) return fprintf(stderr, "usage: tiers MODEL TIER FRAMES\n"), 2;
    EXPECT(cw_device_options_init(&on), CW_OK, "");
    if (on.tier != CW_TIER_AUTO) failures++, fprintf(stderr, "the tier is %u by default\n", on.tier);
    on.kind = CW_DEVICE_GPU;
    on.tier = 77;
    EXPECT(cw_device_create(&on, &device), CW_ERROR_ARGUMENT, "77 is no tier of kernels");
    on.tier = (uint32_t)atoi(argv[2]);
    if (cw_device_create(&on, &device) != CW_OK) failed("no device");
    if (cw_model_open_path(argv[1], strlen(argv[1]), &model) != CW_OK) failed("no model");
    EXPECT(cw_session_options_init(&options), CW_OK, "");
    options.seed = 7;
    options.kv = CW_KV_F32;
    EXPECT(cw_session_query(device, model, &options, &what), CW_OK, "");
    floats = what.state_bytes;
    options.kv = CW_KV_F16;
    EXPECT(cw_session_query(device, model, &options, &what), CW_OK, "");
    halves = what.state_bytes;
    options.kv = CW_KV_AUTO;
    EXPECT(cw_session_query(device, model, &options, &what), CW_OK, "");
    if (what.state_bytes != halves || halves >= floats) {
        fprintf(stderr, "%llu bytes of state, %llu in half precision, %llu in f32\n", (unsigned long long)what.state_bytes,
                (unsigned long long)halves, (unsigned long long)floats);
        failures++;
    }
    if (cw_session_create(device, model, &options, &session) != CW_OK) failed("no session");
    bytes = (size_t)what.width * what.height * 4;
    pixels = malloc(bytes);
    for (n = 0; n < atoi(argv[3]); n++) {
        CwImage image = {.struct_size = sizeof image, .pixels = pixels, .bytes = bytes};
        CwReceipt receipt = {.struct_size = sizeof receipt};
        CwStatus status;
        while ((status = cw_session_pump(session, 2000)) == CW_PENDING) {}
        EXPECT(status, CW_FRAME, "");
        EXPECT(cw_session_poll_frame(session, &image, &receipt), CW_OK, "");
        printf("%016llx\n", (unsigned long long)hash(pixels, bytes));
    }
    free(pixels);
    cw_session_destroy(session);
    cw_model_destroy(model);
    cw_device_destroy(device);
    return failures != 0;
}
