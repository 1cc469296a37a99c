/* Plays a world in a window: arrow keys or WASD walk, space attacks, 1 to 9 switch events, backspace begins anew, escape ends.
 *
 *     play MODEL [SCRIPT PICTURE.bmp]
 *
 * With a script (tests/data/walk.txt) the keys come from there, on the CPU: it prints number and hash of every frame and saves what
 * the window shows at the end. */
#include "causeway.h"

#include <SDL.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a game gives us of each of its frames, microseconds. */
#define BUDGET 8000
/* Width of the window, pixels. */
#define WIDTH 512

static const struct {
    const char *action;
    SDL_Scancode keys[2];
} KEYS[] = {
    {"forward", {SDL_SCANCODE_UP, SDL_SCANCODE_W}},   {"back", {SDL_SCANCODE_DOWN, SDL_SCANCODE_S}},
    {"left", {SDL_SCANCODE_LEFT, SDL_SCANCODE_A}},    {"right", {SDL_SCANCODE_RIGHT, SDL_SCANCODE_D}},
    {"attack", {SDL_SCANCODE_SPACE, SDL_SCANCODE_SPACE}},
};

static void fail(const char *what, const char *why) {
    fprintf(stderr, "%s: %s\n", what, why);
    exit(1);
}

/* Passes outcomes on and ends the program at an error. */
static CwStatus check(CwStatus status, const char *what) {
    char text[512];
    if (status >= 0) return status;
    cw_last_error(text, sizeof text, NULL);
    fail(what, text);
    return status;
}

/* FNV-1a. */
static uint64_t hash(const uint8_t *bytes, size_t count) {
    uint64_t hash = 0xcbf29ce484222325u;
    while (count--) hash = (hash ^ *bytes++) * 0x100000001b3u;
    return hash;
}

/* The action vector of the keys that are down. */
static void keyboard(const CwModel *model, float *action, uint32_t count) {
    const Uint8 *down = SDL_GetKeyboardState(NULL);
    char name[64];
    uint32_t i, k;
    for (i = 0; i < count; i++) {
        check(cw_model_action_name(model, i, name, sizeof name, NULL), "action name");
        for (action[i] = 0, k = 0; k < SDL_arraysize(KEYS); k++)
            if (!strcmp(name, KEYS[k].action)) action[i] = down[KEYS[k].keys[0]] || down[KEYS[k].keys[1]];
    }
}

/* The next line of the script; 0 at its end. */
static int read_line(FILE *script, float *action, uint32_t count, int *event) {
    uint32_t i;
    for (i = 0; i < count; i++)
        if (fscanf(script, "%f", &action[i]) != 1) return 0;
    return fscanf(script, "%d", event) == 1;
}

/* Saves what the window will show. */
static void save(SDL_Renderer *renderer, const char *path) {
    int width, height;
    SDL_Surface *shot;
    SDL_GetRendererOutputSize(renderer, &width, &height);
    shot = SDL_CreateRGBSurfaceWithFormat(0, width, height, 24, SDL_PIXELFORMAT_BGR24);
    if (!shot || SDL_RenderReadPixels(renderer, NULL, SDL_PIXELFORMAT_BGR24, shot->pixels, shot->pitch) || SDL_SaveBMP(shot, path))
        fail(path, SDL_GetError());
    SDL_FreeSurface(shot);
}

int main(int argc, char **argv) {
    CwDeviceOptions on = {.struct_size = sizeof on};
    CwSessionOptions options = {.struct_size = sizeof options};
    CwModelInfo info = {.struct_size = sizeof info};
    CwImage image = {.struct_size = sizeof image};
    CwReceipt receipt = {.struct_size = sizeof receipt};
    CwDevice *device;
    CwModel *model;
    CwSession *session;
    SDL_Window *window;
    SDL_Renderer *renderer;
    SDL_Texture *texture;
    FILE *script = argc > 3 ? fopen(argv[2], "r") : NULL;
    int frames = 0, event = -1, running = 1;
    float *action;
    Uint64 due = 0;

    if (argc < 2 || (argc > 2 && !script)) fail("usage", "play MODEL [SCRIPT PICTURE.bmp]");
    check(cw_device_options_init(&on), "device");
    if (script) on.kind = CW_DEVICE_CPU;
    check(cw_device_create(&on, &device), "device");
    check(cw_model_open_path(argv[1], strlen(argv[1]), &model), "model");
    check(cw_model_info(model, &info), "model");
    check(cw_session_options_init(&options), "session");
    if (script && fscanf(script, "%" SCNu64 "%d", &options.seed, &frames) != 2) fail(argv[2], "no seed");
    options.queue = info.chunk; /* What is made ahead of its time shows old keys. */
    check(cw_session_create(device, model, &options, &session), "session");

    if (SDL_Init(SDL_INIT_VIDEO)) fail("SDL", SDL_GetError());
    window = SDL_CreateWindow("Causeway", SDL_WINDOWPOS_UNDEFINED, SDL_WINDOWPOS_UNDEFINED,
                              WIDTH, WIDTH * (int)info.height / (int)info.width, 0);
    renderer = SDL_CreateRenderer(window, -1, script ? SDL_RENDERER_SOFTWARE : SDL_RENDERER_PRESENTVSYNC);
    texture = SDL_CreateTexture(renderer, SDL_PIXELFORMAT_RGBA32, SDL_TEXTUREACCESS_STREAMING, (int)info.width, (int)info.height);
    image.bytes = (size_t)4 * info.width * info.height;
    image.pixels = malloc(image.bytes);
    action = calloc(info.actions + 1, sizeof *action);
    if (!texture || !image.pixels || !action) fail("window", SDL_GetError());

    while (running) {
        SDL_Event input;
        while (SDL_PollEvent(&input)) {
            SDL_Keycode key = input.type == SDL_KEYDOWN ? input.key.keysym.sym : 0;
            if (input.type == SDL_QUIT || key == SDLK_ESCAPE) running = 0;
            if (key == SDLK_BACKSPACE) check(cw_session_reset(session, SDL_GetTicks64()), "reset");
            if (key >= SDLK_1 && key <= SDLK_9 && (uint32_t)(key - SDLK_1) < info.events) event = key - SDLK_1;
        }
        if (!script) keyboard(model, action, info.actions);
        else if (!read_line(script, action, info.actions, &event)) break;
        check(cw_session_set_action(session, action, info.actions, NULL), "action");
        if (event >= 0) check(cw_session_queue_event(session, (uint32_t)event, 0, NULL), "event");
        event = -1;
        check(cw_session_pump(session, BUDGET), "pump");
        if (script) {
            while (check(cw_session_poll_frame(session, &image, &receipt), "frame") == CW_PENDING)
                check(cw_session_pump(session, BUDGET), "pump");
            printf("%u %016" PRIx64 "\n", (unsigned)receipt.frame, hash(image.pixels, image.bytes));
        } else if (SDL_GetTicks64() >= due && check(cw_session_poll_frame(session, &image, &receipt), "frame") == CW_OK) {
            due = SDL_GetTicks64() + (Uint64)(1000 / info.fps); /* The world has its own pace: the next one waits till then. */
        }
        SDL_UpdateTexture(texture, NULL, image.pixels, (int)info.width * 4);
        SDL_RenderCopy(renderer, texture, NULL, NULL);
        if (script && --frames == 0) save(renderer, argv[3]);
        SDL_RenderPresent(renderer);
    }
    cw_session_destroy(session);
    cw_model_destroy(model);
    cw_device_destroy(device);
    free(image.pixels);
    free(action);
    SDL_Quit();
    return 0;
}
