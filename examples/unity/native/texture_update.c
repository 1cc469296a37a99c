/* Pixels for Unity's custom texture update, which asks for them on the render thread (CommandBuffer.IssuePluginCustomTextureUpdateV2).
 *
 * The main thread writes a frame to a slot's back buffer and publishes it; the render thread takes the newest published one. With three
 * buffers neither ever waits for the other's copy. A slot's memory stays when it is closed, for the next frames of that size: the render
 * thread may still be reading it. */
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#ifdef _WIN32
#define EXPORT __declspec(dllexport)
#define UNITY_CALL __stdcall
#else
#define EXPORT __attribute__((visibility("default")))
#define UNITY_CALL
#endif

/* What Unity passes to the callback: the numbers of the two events and the layout of the parameters, as its documentation has them. */
enum { UPDATE_BEGIN_V2 = 9 };
typedef struct {
    void *pixels;
    intptr_t texture;
    uint32_t slot;
    int32_t format;
    uint32_t width, height, bytes_per_pixel;
} Update;

/* Slot 0 is none. */
enum { SLOTS = 65 };
static struct {
    /* Guards the rest; held for a few instructions only. */
    atomic_flag lock;
    int open, fresh;
    size_t bytes;
    uint8_t *back, *middle, *front;
} slots[SLOTS];

static void lock(uint32_t slot) {
    while (atomic_flag_test_and_set_explicit(&slots[slot].lock, memory_order_acquire)) {
    }
}

static void unlock(uint32_t slot) { atomic_flag_clear_explicit(&slots[slot].lock, memory_order_release); }

static void swap(uint8_t **a, uint8_t **b) {
    uint8_t *t = *a;
    *a = *b;
    *b = t;
}

/* A slot for frames of `bytes` bytes, or 0 if there is none or no memory. Main thread. */
EXPORT uint32_t cwu_open(size_t bytes) {
    uint32_t slot;
    /* A closed one of this size, or one that was never used. */
    for (slot = 1; slot < SLOTS && (slots[slot].open || (slots[slot].bytes && slots[slot].bytes != bytes)); slot++) {
    }
    if (slot == SLOTS || bytes == 0) return 0;
    if (!slots[slot].bytes) {
        uint8_t *memory = calloc(3, bytes);
        if (!memory) return 0;
        lock(slot);
        slots[slot].back = memory, slots[slot].middle = memory + bytes, slots[slot].front = memory + 2 * bytes;
        slots[slot].bytes = bytes;
        unlock(slot);
    }
    lock(slot);
    slots[slot].open = 1, slots[slot].fresh = 0;
    unlock(slot);
    return slot;
}

/* Where the next frame is to be written. Main thread. */
EXPORT void *cwu_back(uint32_t slot) { return slot < SLOTS && slots[slot].open ? slots[slot].back : NULL; }

/* The frame at `cwu_back` is whole. Main thread. */
EXPORT void cwu_publish(uint32_t slot) {
    if (slot >= SLOTS || !slots[slot].open) return;
    lock(slot);
    swap(&slots[slot].back, &slots[slot].middle);
    slots[slot].fresh = 1;
    unlock(slot);
}

/* Gives a slot back. Main thread. */
EXPORT void cwu_close(uint32_t slot) {
    if (slot >= SLOTS) return;
    lock(slot);
    slots[slot].open = 0;
    unlock(slot);
}

static void UNITY_CALL update(int event, void *data) {
    Update *asked = data;
    uint32_t slot;
    if (event != UPDATE_BEGIN_V2) return;
    slot = asked->slot;
    asked->pixels = NULL;
    if (slot >= SLOTS) return;
    lock(slot);
    if (slots[slot].open && slots[slot].bytes == (size_t)asked->width * asked->height * asked->bytes_per_pixel) {
        if (slots[slot].fresh) swap(&slots[slot].middle, &slots[slot].front);
        slots[slot].fresh = 0;
        asked->pixels = slots[slot].front;
    }
    unlock(slot);
}

/* The callback for IssuePluginCustomTextureUpdateV2; the slot is its user data. */
EXPORT void *cwu_callback(void) { return (void *)(uintptr_t)update; }
