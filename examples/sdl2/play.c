/* Plays a world in a window: arrow keys or WASD walk, space attacks, 1 to 9 switch events, or prompts that the file stores; return begins a line
 * that says one, where there is a text encoder, and says it. F5 saves the game and F9 loads it, backspace begins anew, escape ends.
 *
 *     play MODEL [ENCODER]
 *     play MODEL SCRIPT OUT [ENCODER]
 *
 * With a script, which script.h describes, the keys come from there, on the CPU: it prints number and hash of every frame. After a script of
 * actions OUT shows the window, a BMP, and OUT.save is a saved game from which it went on. In a script of prompts OUT is the saved game: a new
 * game is saved there when its frames are played, and goes on until it is killed; where there is an OUT the game goes on from it. */
#include "causeway.h"
#include "prompts.h"
#include "saves.h"
#include "script.h"

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

/* A bar for as much as is done. */
static void bar(SDL_Renderer *renderer, float share) {
    SDL_Rect done = {0, 0, 0, 16}, all;
    SDL_GetRendererOutputSize(renderer, &all.w, &all.h);
    done.w = (int)((float)all.w * share);
    done.y = all.h / 2 - 8;
    SDL_SetRenderDrawColor(renderer, 200, 160, 90, 255);
    SDL_RenderFillRect(renderer, &done);
}

/* How much of a world's creation is done: kernels of a GPU are its second half. */
static float created(const CwProgress *progress, int gpu) {
    float share = progress->total ? (float)progress->done / (float)progress->total : 0;
    if (!gpu) return share;
    return progress->stage == CW_STAGE_PIPELINES ? 0.5f + share / 2 : share / 2;
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

/* A game and what the player did to it. */
struct game {
    CwModel *model;
    CwSession *session;
    SDL_Window *window;
    struct prompts prompts;
    const char *save;
    uint32_t events;
    int event, running;
};

static void type(struct game *game, SDL_Keycode key) {
    struct prompts *prompts = &game->prompts;
    if (key == SDLK_RETURN && prompts_say(prompts) < 0) prompts_forget(prompts, 0);
    if (key == SDLK_BACKSPACE) prompts_type(prompts, NULL);
    if (key != SDLK_RETURN && key != SDLK_ESCAPE) return;
    prompts->typing = 0;
    SDL_StopTextInput();
    SDL_SetWindowTitle(game->window, "Causeway");
}

static void press_key(struct game *game, SDL_Keycode key) {
    uint32_t number = (uint32_t)(key - SDLK_1);
    if (key == SDLK_ESCAPE) game->running = 0;
    if (key == SDLK_BACKSPACE) check(cw_session_reset(game->session, SDL_GetTicks64()), "reset");
    if (key == SDLK_F5) save_game(game->session, game->save);
    if (key == SDLK_F9 && load_game(game->session, game->save)) game->prompts.told = 1;
    if (number < 9 && number < game->events) game->event = (int)number;
    if (number < 9) prompts_tell(&game->prompts, number);
    if (key == SDLK_RETURN && game->prompts.text) {
        game->prompts.typing = 1;
        game->prompts.line[0] = 0;
        SDL_StartTextInput();
    }
}

static void listen(struct game *game) {
    SDL_Event input;
    while (SDL_PollEvent(&input)) {
        int typing = game->prompts.typing;
        if (input.type == SDL_QUIT) game->running = 0;
        if (input.type == SDL_TEXTINPUT && typing) prompts_type(&game->prompts, input.text.text);
        if (input.type == SDL_KEYDOWN && typing) type(game, input.key.keysym.sym);
        if (input.type == SDL_KEYDOWN && !typing) press_key(game, input.key.keysym.sym);
        if (game->prompts.typing) SDL_SetWindowTitle(game->window, game->prompts.line);
    }
}

/* After a script of actions: the game goes to a file, is forgotten, and goes on from there. */
static void come_back(CwSession *session, CwImage *image, CwReceipt *receipt, const char *picture) {
    char path[1024];
    uint64_t frame = receipt->frame;
    snprintf(path, sizeof path, "%s.save", picture);
    if (!save_game(session, path)) exit(1);
    check(cw_session_reset(session, 1), "reset");
    if (!load_game(session, path)) exit(1);
    while (check(cw_session_poll_frame(session, image, receipt), "frame") == CW_PENDING) check(cw_session_pump(session, BUDGET), "pump");
    /* A frame that was shown before it was remembered is made again. */
    if (receipt->frame < frame) fail(path, "it does not go on where it was");
}

int main(int argc, char **argv) {
    CwDeviceOptions on = {.struct_size = sizeof on};
    CwSessionOptions options = {.struct_size = sizeof options};
    CwModelInfo info = {.struct_size = sizeof info};
    CwSessionInfo made = {.struct_size = sizeof made};
    CwProgress progress = {.struct_size = sizeof progress};
    CwImage image = {.struct_size = sizeof image};
    CwReceipt receipt = {.struct_size = sizeof receipt};
    CwDevice *device;
    SDL_Renderer *renderer;
    SDL_Texture *texture;
    struct game game = {.save = "world.save", .event = -1, .running = 1};
    struct script script = {.file = NULL};
    const char *encoder = argc == 3 ? argv[2] : argc == 5 ? argv[4] : NULL;
    int fresh = 1, played = 0, goes_on = 0;
    uint64_t next = 0;
    float *action;

    if (argc < 2 || argc > 5) fail("usage", "play MODEL [ENCODER], or play MODEL SCRIPT OUT [ENCODER]");
    check(cw_device_options_init(&on), "device");
    if (argc > 3) on.kind = CW_DEVICE_CPU;
    check(cw_device_create(&on, &device), "device");
    check(cw_model_open_path(argv[1], strlen(argv[1]), &game.model), "model");
    check(cw_model_info(game.model, &info), "model");
    game.events = info.events;
    if (argc > 3 && !script_open(&script, argv[2], info.takes & CW_TAKES_PROMPT)) fail(argv[2], "no script");
    check(cw_session_options_init(&options), "session");
    options.seed = script.seed;
    if (info.takes & CW_TAKES_PROMPT) {
        options.codec = game.model; /* A bundle: both are in one file. */
        options.recache = 1;        /* What is told shows at once. */
    } else {
        options.queue = info.chunk; /* What is made ahead of its time shows old keys. */
    }
    /* Frames come at the world's own pace, and in fewer steps where the machine is too slow; a script asks for each. */
    options.pace = script.file ? CW_PACE_OFF : CW_PACE_HELD;
    options.governor = !script.file;
    check(cw_session_create_begin(device, game.model, &options, &game.session), "session");
    check(cw_session_info(game.session, &made), "session");
    check(prompts_open(&game.prompts, device, game.model, encoder), "text encoder");

    if (SDL_Init(SDL_INIT_VIDEO)) fail("SDL", SDL_GetError());
    SDL_StopTextInput();
    game.window = SDL_CreateWindow("Causeway", SDL_WINDOWPOS_UNDEFINED, SDL_WINDOWPOS_UNDEFINED, WIDTH, WIDTH * (int)made.height / (int)made.width, 0);
    renderer = SDL_CreateRenderer(game.window, -1, script.file ? SDL_RENDERER_SOFTWARE : SDL_RENDERER_PRESENTVSYNC);
    texture = SDL_CreateTexture(renderer, SDL_PIXELFORMAT_RGBA32, SDL_TEXTUREACCESS_STREAMING, (int)made.width, (int)made.height);
    image.bytes = (size_t)4 * made.width * made.height;
    image.pixels = malloc(image.bytes);
    action = calloc(info.actions + 1, sizeof *action);
    if (!texture || !image.pixels || !action) fail("window", SDL_GetError());

    /* It is created a little in every frame of the window. */
    while (game.running && check(cw_session_progress(game.session, &progress), "session") == CW_OK && progress.stage != CW_STAGE_READY) {
        SDL_Event input;
        while (SDL_PollEvent(&input)) game.running = game.running && input.type != SDL_QUIT;
        check(cw_session_pump(game.session, BUDGET), "session");
        SDL_SetRenderDrawColor(renderer, 0, 0, 0, 255);
        SDL_RenderClear(renderer);
        bar(renderer, created(&progress, made.device == CW_DEVICE_GPU));
        SDL_RenderPresent(renderer);
    }
    if (script.prompts) {
        FILE *saved = fopen(game.save = argv[3], "rb");
        goes_on = saved != NULL;
        if (saved) fclose(saved);
        if (goes_on && !load_game(game.session, game.save)) return 1;
        if (goes_on) script.frames = script.more, game.prompts.told = 1;
    } else if (info.takes & CW_TAKES_PROMPT) {
        prompts_tell(&game.prompts, 0); /* A stream of prompts begins with one. */
    }
    while (game.running) {
        if (script.prompts && fresh) {
            if (played == script.frames && goes_on) break;
            if (played == script.frames) {
                if (!save_game(game.session, game.save)) return 1;
                printf("saved\n");
                fflush(stdout);
            }
            if (played == script.frames + 1000) fail(argv[2], "nobody ended the game");
            if (!goes_on || played) script_tell(&script, next);
        } else if (script.file && fresh && !script_walk(&script, action, info.actions, &game.event)) {
            break;
        }
        listen(&game);
        if (!script.file && !game.prompts.typing) keyboard(game.model, action, info.actions);
        if (info.actions) check(cw_session_set_action(game.session, action, info.actions, NULL), "action");
        if (game.event >= 0) check(cw_session_queue_event(game.session, (uint32_t)game.event, 0, NULL), "event");
        game.event = -1;
        /* What was said is lost then, the game is not. */
        if (prompts_pump(&game.prompts, game.session, BUDGET / 2) < 0) prompts_forget(&game.prompts, script.file != NULL);
        /* A script waits for what it says, so that it always shows in the same frame; a player's game goes on. */
        if (game.prompts.told && (!script.file || !prompts_wait(&game.prompts))) check(cw_session_pump(game.session, BUDGET), "pump");
        fresh = check(cw_session_poll_frame(game.session, &image, &receipt), "frame") == CW_OK;
        if (script.file && !fresh) continue;
        if (fresh) next = receipt.frame + 1, played++;
        if (script.file) printf("%u %016" PRIx64 "\n", (unsigned)receipt.frame, hash(image.pixels, image.bytes));
        SDL_UpdateTexture(texture, NULL, image.pixels, (int)made.width * 4);
        SDL_RenderCopy(renderer, texture, NULL, NULL);
        if (game.prompts.encodes && check(cw_text_progress(game.prompts.text, &progress), "text") == CW_OK)
            bar(renderer, (float)progress.done / (float)progress.total);
        if (script.file && !script.prompts && played == script.frames) save(renderer, argv[3]);
        SDL_RenderPresent(renderer);
    }
    if (script.file && !script.prompts) come_back(game.session, &image, &receipt, argv[3]);
    cw_session_destroy(game.session);
    prompts_close(&game.prompts);
    cw_model_destroy(game.model);
    cw_device_destroy(device);
    free(image.pixels);
    free(action);
    SDL_Quit();
    return 0;
}
