/* Saved games in files. Both answer 0, and say why, where it does not go, and nothing has changed then. */
#ifndef SAVES_H
#define SAVES_H

#include "causeway.h"

#include <stdio.h>
#include <stdlib.h>

/* A game that was saved before is not lost if this one does not come to its end. */
static int save_game(CwSession *session, const char *path) {
    size_t bytes = 0;
    char fresh[1024];
    FILE *file = NULL;
    void *saved = NULL;
    int well = snprintf(fresh, sizeof fresh, "%s.new", path) < (int)sizeof fresh && cw_session_save(session, NULL, 0, &bytes) >= 0;
    if (well) saved = malloc(bytes);
    if (saved) file = fopen(fresh, "wb");
    well = file && cw_session_save(session, saved, bytes, &bytes) >= 0 && fwrite(saved, 1, bytes, file) == bytes;
    if (file && fclose(file)) well = 0;
#ifdef _WIN32
    if (well) remove(path); /* There a file does not take another one's name. */
#endif
    if (well && rename(fresh, path)) well = 0;
    if (!well) fprintf(stderr, "%s: the game was not saved\n", path);
    free(saved);
    return well;
}

static int load_game(CwSession *session, const char *path) {
    CwSessionInfo info = {.struct_size = sizeof info};
    void *saved = cw_session_info(session, &info) < 0 ? NULL : malloc((size_t)info.save_bytes);
    FILE *file = saved ? fopen(path, "rb") : NULL;
    size_t bytes = file ? fread(saved, 1, (size_t)info.save_bytes, file) : 0;
    char text[512] = "there is none";
    if (file && cw_session_load(session, saved, bytes) < 0) cw_last_error(text, sizeof text, NULL);
    else if (file) text[0] = 0;
    if (text[0]) fprintf(stderr, "%s: %s\n", path, text);
    if (file) fclose(file);
    free(saved);
    return !text[0];
}

#endif
