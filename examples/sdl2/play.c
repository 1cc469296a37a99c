/* Plays a world in a window: arrow keys or WASD walk, space attacks, 1 to 9 switch events, F5 saves the game and F9 loads it, backspace begins anew,
 * escape ends.
 *
 *     play MODEL [SCRIPT PICTURE.bmp]
 *
 * With a script (tests/data/walk.txt) the keys come from there, on the CPU: it prints number and hash of every frame and saves what
 * the window shows at the end; then it saves the game to PICTURE.bmp.save, forgets the world, and goes on from the file. */
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

/* A bar for as much of a world's creation as is done: kernels of a GPU are its second half. */
static void bar(SDL_Renderer *renderer, const CwProgress *progress, int gpu) {
    float share = progress->total ? (float)progress->done / (float)progress->total : 0;
    SDL_Rect done = {0, 0, 0, 0}, all;
    SDL_GetRendererOutputSize(renderer, &all.w, &all.h);
    if (gpu) share = progress->stage == CW_STAGE_PIPELINES ? 0.5f + share / 2 : share / 2;
    done.w = (int)((float)all.w * share);
    done.y = all.h / 2 - 8, done.h = 16;
    SDL_SetRenderDrawColor(renderer, 0, 0, 0, 255);
    SDL_RenderClear(renderer);
    SDL_SetRenderDrawColor(renderer, 200, 160, 90, 255);
    SDL_RenderFillRect(renderer, &done);
    SDL_RenderPresent(renderer);
}

/* The game goes to a file, or comes from one; 0, and a sentence, where it does not, and nothing has changed then. */
static int save_game(CwSession *session, const char *path) {
    size_t bytes = 0;
    FILE *file;
    void *saved;
    int well;
    check(cw_session_save(session, NULL, 0, &bytes), "save");
    saved = malloc(bytes);
    file = saved ? fopen(path, "wb") : NULL;
    well = file && cw_session_save(session, saved, bytes, &bytes) >= 0 && fwrite(saved, 1, bytes, file) == bytes;
    if (file && fclose(file)) well = 0;
    if (!well) fprintf(stderr, "%s: the game was not saved\n", path);
    free(saved);
    return well;
}

static int load_game(CwSession *session, const CwSessionInfo *info, const char *path) {
    void *saved = malloc((size_t)info->save_bytes);
    FILE *file = fopen(path, "rb");
    size_t bytes = file && saved ? fread(saved, 1, (size_t)info->save_bytes, file) : 0;
    char text[512] = "there is none";
    if (file && cw_session_load(session, saved, bytes) < 0) cw_last_error(text, sizeof text, NULL);
    else if (file) text[0] = 0;
    if (text[0]) fprintf(stderr, "%s: %s\n", path, text);
    if (file) fclose(file);
    free(saved);
    return !text[0];
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
    CwSessionInfo session_info = {.struct_size = sizeof session_info};
    CwProgress progress = {.struct_size = sizeof progress};

    if (argc < 2 || (argc > 2 && !script)) fail("usage", "play MODEL [SCRIPT PICTURE.bmp]");
    check(cw_device_options_init(&on), "device");
    if (script) on.kind = CW_DEVICE_CPU;
    check(cw_device_create(&on, &device), "device");
    check(cw_model_open_path(argv[1], strlen(argv[1]), &model), "model");
    check(cw_model_info(model, &info), "model");
    check(cw_session_options_init(&options), "session");
    if (script && fscanf(script, "%" SCNu64 "%d", &options.seed, &frames) != 2) fail(argv[2], "no seed");
    options.queue = info.chunk; /* What is made ahead of its time shows old keys. */
    /* Frames come at the world's own pace, and in fewer steps where the machine is too slow; a script asks for each. */
    options.pace = script ? CW_PACE_OFF : CW_PACE_HELD;
    options.governor = !script;
    check(cw_session_create_begin(device, model, &options, &session), "session");
    check(cw_session_info(session, &session_info), "session");

    if (SDL_Init(SDL_INIT_VIDEO)) fail("SDL", SDL_GetError());
    window = SDL_CreateWindow("Causeway", SDL_WINDOWPOS_UNDEFINED, SDL_WINDOWPOS_UNDEFINED,
                              WIDTH, WIDTH * (int)info.height / (int)info.width, 0);
    renderer = SDL_CreateRenderer(window, -1, script ? SDL_RENDERER_SOFTWARE : SDL_RENDERER_PRESENTVSYNC);
    texture = SDL_CreateTexture(renderer, SDL_PIXELFORMAT_RGBA32, SDL_TEXTUREACCESS_STREAMING, (int)info.width, (int)info.height);
    image.bytes = (size_t)4 * info.width * info.height;
    image.pixels = malloc(image.bytes);
    action = calloc(info.actions + 1, sizeof *action);
    if (!texture || !image.pixels || !action) fail("window", SDL_GetError());

    /* It is created a little in every frame of the window. */
    while (running && check(cw_session_progress(session, &progress), "session") == CW_OK && progress.stage != CW_STAGE_READY) {
        SDL_Event input;
        while (SDL_PollEvent(&input)) running = running && input.type != SDL_QUIT;
        check(cw_session_pump(session, BUDGET), "session");
        bar(renderer, &progress, session_info.device == CW_DEVICE_GPU);
    }
    while (running) {
        SDL_Event input;
        while (SDL_PollEvent(&input)) {
            SDL_Keycode key = input.type == SDL_KEYDOWN ? input.key.keysym.sym : 0;
            if (input.type == SDL_QUIT || key == SDLK_ESCAPE) running = 0;
            if (key == SDLK_BACKSPACE) check(cw_session_reset(session, SDL_GetTicks64()), "reset");
            if (key == SDLK_F5) save_game(session, "world.save");
            if (key == SDLK_F9) load_game(session, &session_info, "world.save");
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
        } else {
            check(cw_session_poll_frame(session, &image, &receipt), "frame");
        }
        SDL_UpdateTexture(texture, NULL, image.pixels, (int)info.width * 4);
        SDL_RenderCopy(renderer, texture, NULL, NULL);
        if (script && --frames == 0) save(renderer, argv[3]);
        SDL_RenderPresent(renderer);
    }
    if (script) {
        char path[1024];
        uint64_t frame = receipt.frame;
        snprintf(path, sizeof path, "%s.save", argv[3]);
        if (!save_game(session, path)) return 1;
        check(cw_session_reset(session, 1), "reset");
        if (!load_game(session, &session_info, path)) return 1;
        while (check(cw_session_poll_frame(session, &image, &receipt), "frame") == CW_PENDING)
            check(cw_session_pump(session, BUDGET), "pump");
        /* A frame that was shown before it was remembered is made again. */
        if (receipt.frame < frame) fail(path, "it does not go on where it was");
    }
    cw_session_destroy(session);
    cw_model_destroy(model);
    cw_device_destroy(device);
    free(image.pixels);
    free(action);
    SDL_Quit();
    return 0;
}
