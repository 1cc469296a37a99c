/* What a script does instead of a player. Its first line holds a seed and a number of frames. For a world of actions a line a frame follows: the
 * actions, and an event or -1. For one of prompts the first line also holds the frames of a game that goes on, and lines follow of what is told
 * from a frame on: `FRAME tell N`, a stored prompt, or `FRAME say WORDS`, which are typed. */
#ifndef SCRIPT_H
#define SCRIPT_H

#include "prompts.h"

#include <SDL.h>
#include <inttypes.h>
#include <stdio.h>

struct script {
    FILE *file; /* NULL: somebody plays. */
    int prompts;
    uint64_t seed;
    int frames, more;
    /* The next line of prompts. */
    uint64_t frame;
    char what[8], words[LINE];
    int lines;
};

static void script_line(struct script *script) {
    script->lines = fscanf(script->file, "%" SCNu64 " %7s %511[^\n]", &script->frame, script->what, script->words) == 3;
}

/* 0 where there is no such script. */
static int script_open(struct script *script, const char *path, int prompts) {
    memset(script, 0, sizeof *script);
    script->prompts = prompts;
    script->file = fopen(path, "r");
    if (!script->file || fscanf(script->file, "%" SCNu64 "%d", &script->seed, &script->frames) != 2) return 0;
    if (prompts && fscanf(script->file, "%d", &script->more) != 1) return 0;
    if (prompts) script_line(script);
    return 1;
}

/* The next frame's actions and event; 0 at the end. */
static int script_walk(struct script *script, float *action, uint32_t count, int *event) {
    uint32_t i;
    for (i = 0; i < count; i++)
        if (fscanf(script->file, "%f", &action[i]) != 1) return 0;
    return fscanf(script->file, "%d", event) == 1;
}

static void press(SDL_Keycode key) {
    SDL_Event event;
    memset(&event, 0, sizeof event);
    event.type = SDL_KEYDOWN;
    event.key.keysym.sym = key;
    SDL_PushEvent(&event);
}

/* Presses the keys of a player who tells what the script tells before frame `next`. */
static void script_tell(struct script *script, uint64_t next) {
    for (; script->lines && script->frame <= next; script_line(script)) {
        const char *at = script->words;
        if (script->frame < next) continue;
        if (strcmp(script->what, "say")) {
            press(SDLK_1 + atoi(at));
            continue;
        }
        press(SDLK_RETURN);
        while (*at) {
            SDL_Event event;
            size_t length = 1;
            memset(&event, 0, sizeof event);
            event.type = SDL_TEXTINPUT;
            /* A letter at a time. */
            while ((at[length] & 0xc0) == 0x80) length++;
            memcpy(event.text.text, at, length);
            SDL_PushEvent(&event);
            at += length;
        }
        press(SDLK_RETURN);
    }
}

#endif
