#include "user/liblinux/heap.h"

#include "lib/string.h"
#include "lib/util.h"
#include "user/liblinux/lock.h"
#include "user/liblinux/memory.h"

#define CLASS_MIN 5u
#define CHUNK 65536u

static unsigned class_of(uint64_t size) { return size <= 1u << CLASS_MIN ? 0 : log2_ceil(size) - CLASS_MIN; }

// What is left of the last chunk goes to the free lists, largest pieces first.
static void keep_rest(struct lx_space *space) {
    while (space->heap_left >= 1u << CLASS_MIN) {
        unsigned class_ = MIN(log2_floor(space->heap_left), log2_floor(CHUNK)) - CLASS_MIN;
        uint64_t bytes = 1ull << (class_ + CLASS_MIN);
        *(void **)space->heap_chunk = space->heap_free[class_];
        space->heap_free[class_] = space->heap_chunk;
        space->heap_chunk += bytes;
        space->heap_left -= bytes;
    }
}

static void *take_fresh(struct lx_space *space, uint64_t bytes) {
    if (space->heap_left < bytes) {
        int64_t chunk = lx_map_own(space, CHUNK);
        if (chunk < 0) return NULL;
        keep_rest(space);
        space->heap_chunk = (char *)chunk;
        space->heap_left = CHUNK;
    }
    void *block = space->heap_chunk;
    space->heap_chunk += bytes;
    space->heap_left -= bytes;
    return block;
}

void *lx_alloc(struct lx_space *space, uint64_t size) {
    if (size > LX_HEAP_MAX) return NULL;
    unsigned class_ = class_of(size);
    uint64_t bytes = 1ull << (class_ + CLASS_MIN);
    lx_lock(&space->heap_lock);
    void *block = space->heap_free[class_];
    if (block != NULL) space->heap_free[class_] = *(void **)block;
    else block = take_fresh(space, bytes);
    lx_unlock(&space->heap_lock);
    return block == NULL ? NULL : memset(block, 0, bytes);
}

void lx_free(struct lx_space *space, void *block, uint64_t size) {
    if (block == NULL) return;
    unsigned class_ = class_of(size);
    lx_lock(&space->heap_lock);
    *(void **)block = space->heap_free[class_];
    space->heap_free[class_] = block;
    lx_unlock(&space->heap_lock);
}
