/* Prompts of a game: those that a bundle stores, and words that the player types, encoded a little in every frame.
 *
 * Of the session's prompts it uses the first slot. A prompt comes in force with the next chunk; told while an earlier one still waits for its
 * chunk, it follows that one. */
#ifndef PROMPTS_H
#define PROMPTS_H

#include "causeway.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Most bytes of a line that is typed. */
#define LINE 512

struct prompts {
    const CwModel *model;
    CwText *text; /* NULL where there is no encoder. */
    float *rows;
    size_t capacity;
    uint32_t stored; /* How many the model's file has. */
    int index;       /* A stored one that is to be told, or -1. */
    int encodes, words;
    int told; /* A stream of prompts does not begin before one is told. */
    int typing;
    char line[LINE];
};

/* Prepares for a session of `model`; `encoder` may be NULL. What fails is an error as of any other call. */
static CwStatus prompts_open(struct prompts *all, const CwDevice *device, const CwModel *model, const char *encoder) {
    CwModelInfo info = {.struct_size = sizeof info};
    CwTextOptions how = {.struct_size = sizeof how};
    CwModel *file = NULL;
    CwStatus status = cw_model_info(model, &info);
    memset(all, 0, sizeof *all);
    all->model = model;
    all->stored = info.prompts;
    all->index = -1;
    all->told = !(info.takes & CW_TAKES_PROMPT);
    if (status < 0 || !encoder) return status;
    how.most_rows = info.prompt_rows;
    all->capacity = (size_t)info.prompt_rows * info.prompt_width;
    all->rows = malloc(all->capacity * sizeof *all->rows);
    if (!all->rows) return CW_ERROR_OUT_OF_MEMORY;
    status = cw_model_open_path(encoder, strlen(encoder), &file);
    if (status >= 0) status = cw_text_create(device, file, &how, &all->text);
    cw_model_destroy(file);
    return status;
}

static void prompts_close(struct prompts *all) {
    cw_text_destroy(all->text);
    free(all->rows);
}

/* Something is on its way to the session. */
static int prompts_wait(const struct prompts *all) { return all->encodes || all->words || all->index >= 0; }

/* Tells a prompt that the file stores. */
static void prompts_tell(struct prompts *all, uint32_t index) {
    if (index < all->stored) all->index = (int)index, all->words = 0;
}

/* Tells the words of the line. */
static CwStatus prompts_say(struct prompts *all) {
    CwStatus status = cw_text_begin(all->text, all->line, strlen(all->line));
    all->encodes = status >= 0;
    all->words = 0;
    return status;
}

/* Adds what was typed to the line, or takes its last letter away (NULL). */
static void prompts_type(struct prompts *all, const char *letters) {
    size_t length = strlen(all->line);
    if (letters && length + strlen(letters) < LINE) strcat(all->line, letters);
    if (letters || !length) return;
    /* UTF-8: what continues a letter goes with it. */
    while (--length && (all->line[length] & 0xc0) == 0x80) {}
    all->line[length] = 0;
}

/* Gives up what is on its way, and says why; a script ends with it. */
static void prompts_forget(struct prompts *all, int end) {
    char why[512];
    cw_last_error(why, sizeof why, NULL);
    fprintf(stderr, "prompt: %s\n", why);
    if (end) exit(1);
    all->encodes = all->words = 0;
    all->index = -1;
}

/* Encodes for about so many microseconds, and gives the session what it should be told. */
static CwStatus prompts_pump(struct prompts *all, CwSession *session, uint32_t budget) {
    CwCondition change = {.struct_size = sizeof change, .kind = CW_CONDITION_PROMPT, .way = CW_WAY_RECACHE};
    CwStatus status;
    uint32_t rows = 0, width = 0;
    if (all->encodes) {
        if ((status = cw_text_pump(all->text, budget)) != CW_OK) {
            all->encodes = status >= 0;
            return status;
        }
        all->encodes = 0, all->words = 1, all->index = -1;
    }
    if (all->words) {
        if ((status = cw_text_rows(all->text, all->rows, all->capacity, &rows, &width)) == CW_OK)
            status = cw_session_set_prompt(session, 0, all->rows, rows, width);
    } else if (all->index >= 0) {
        status = cw_session_load_prompt(session, 0, all->model, (uint32_t)all->index);
    } else {
        return CW_OK;
    }
    /* The one before it waits for its chunk. */
    if (status == CW_ERROR_STATE || status == CW_PENDING) return CW_PENDING;
    all->words = 0, all->index = -1;
    if (status >= 0) status = cw_session_queue_condition(session, &change, NULL);
    all->told = all->told || status >= 0;
    return status;
}

#endif
