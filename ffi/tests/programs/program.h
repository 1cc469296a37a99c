/* What programs of the tests share: calls that must come to something, calls that must not fail, what was said, hashes. */
#ifndef PROGRAM_H
#define PROGRAM_H

#include "causeway.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the program should end with, if any. */
static int failures;

/* `part` of the sentence that an error comes with. */
static inline void expect(CwStatus found, CwStatus wanted, const char *part, const char *what, int line) {
    char text[512];
    cw_last_error(text, sizeof text, NULL);
    if (found != wanted || (found < 0 && !strstr(text, part))) {
        fprintf(stderr, "line %d: %s came to %s (%s), expected %s\n", line, what, cw_status_name(found), text, cw_status_name(wanted));
        failures++;
    }
}
#define EXPECT(call, wanted, part) expect(call, wanted, part, #call, __LINE__)

/* Ends the program. */
static inline int failed(const char *what) {
    char text[512];
    cw_last_error(text, sizeof text, NULL);
    fprintf(stderr, "%s: %s\n", what, text);
    exit(1);
}

/* Prints the status, and the sentence of an error. */
static inline void said(const char *what, CwStatus status) {
    char text[512];
    cw_last_error(text, sizeof text, NULL);
    printf("%s: %s: %s\n", what, cw_status_name(status), status < 0 ? text : "");
}

/* A device on the processor; 0 threads for all. */
static inline CwDevice *processor(uint32_t threads) {
    CwDeviceOptions on = {.struct_size = sizeof on};
    CwDevice *device = NULL;
    EXPECT(cw_device_options_init(&on), CW_OK, "");
    on.kind = CW_DEVICE_CPU;
    on.threads = threads;
    EXPECT(cw_device_create(&on, &device), CW_OK, "");
    return device;
}

static inline uint64_t hash(const void *bytes, size_t count) {
    const uint8_t *at = bytes;
    uint64_t hash = 0xcbf29ce484222325u;
    while (count--) hash = (hash ^ *at++) * 0x100000001b3u;
    return hash;
}

#endif
