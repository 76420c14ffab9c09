#include "user/libkpio/heap.h"

#include "lib/string.h"
#include "lib/util.h"
#include "user/libkpio/startup.h"
#include "user/libkpio/thread.h"

// Every block has a header that names its size class; freed blocks are kept by class. Blocks from LARGE on are mappings
// of their own and go back to the kernel.
struct block {
    uint64_t class_;        // log2 of the whole size, or the bytes of a mapping of its own
    struct block *next;     // while free
};
#define CLASS_MIN 5u
#define CLASS_MAX 17u
#define LARGE (1ull << CLASS_MAX)
#define CHUNK (1ull << 18)

static struct mutex lock;
static struct block *free_blocks[CLASS_MAX + 1];
static char *chunk;
static uint64_t chunk_left;

static void *pages_map(uint64_t size) {
    int64_t vmo = kpio_vmo_create(size, 0);
    if (vmo < 0) return NULL;
    int64_t address = kpio_aspace_map(startup_handle("aspace"), (kpio_handle)vmo, 0, size, KPIO_MAP_READ | KPIO_MAP_WRITE, 0);
    (void)kpio_handle_close((uint64_t)vmo);
    return address < 0 ? NULL : (void *)address;
}

static struct block *block_take(unsigned class_) {
    uint64_t size = 1ull << class_;
    struct block *block = free_blocks[class_];
    if (block != NULL) {
        free_blocks[class_] = block->next;
        return block;
    }
    if (chunk_left < size) {
        char *fresh = pages_map(CHUNK);
        if (fresh == NULL) return NULL;
        chunk = fresh;
        chunk_left = CHUNK;
    }
    block = (struct block *)chunk;
    chunk += size;
    chunk_left -= size;
    return block;
}

void *heap_alloc(size_t size) {
    uint64_t whole;
    if (!checked_add(size, sizeof(struct block), &whole) || !checked_align_up(whole, 16, &whole)) return NULL;
    if (whole > LARGE) {
        whole = align_up(whole, 4096);
        struct block *own = pages_map(whole);
        if (own == NULL) return NULL;
        own->class_ = whole;
        return own + 1;
    }
    unsigned class_ = MAX(log2_ceil(whole), CLASS_MIN);
    mutex_lock(&lock);
    struct block *block = block_take(class_);
    mutex_unlock(&lock);
    if (block == NULL) return NULL;
    block->class_ = class_;
    block->next = NULL;
    return memset(block + 1, 0, (1ull << class_) - sizeof(*block));
}

void heap_free(void *memory) {
    if (memory == NULL) return;
    struct block *block = (struct block *)memory - 1;
    if (block->class_ > CLASS_MAX) {
        (void)kpio_aspace_unmap(startup_handle("aspace"), (uint64_t)block, block->class_);
        return;
    }
    mutex_lock(&lock);
    block->next = free_blocks[block->class_];
    free_blocks[block->class_] = block;
    mutex_unlock(&lock);
}
