#include "apps/fs/memory/memory.h"

#include <stdlib.h>
#include <time.h>

#define NODES_MAX 1000000u

static struct slot {
    struct node *node;            // NULL: free
    uint32_t uses, next_free;     // uses: of this place by nodes before
} *slots;
static uint32_t slot_count, slot_room, first_free, node_count;  // place 0 is nobody's: it ends the list of free ones

bool nodes_begin(void) {
    slot_count = 1;
    return node_make(FS_DIRECTORY | 0755) != NULL;
}

struct node *node_find(uint64_t number) {
    const uint32_t place = (uint32_t)number;
    return place < slot_count && slots[place].uses == (uint32_t)(number >> 32) ? slots[place].node : NULL;
}

static uint32_t take_place(void) {
    if (first_free != 0) {
        const uint32_t place = first_free;
        first_free = slots[place].next_free;
        return place;
    }
    if (slot_count >= slot_room) {
        const uint32_t room = slot_room != 0 ? 2 * slot_room : 256;
        struct slot *grown = realloc(slots, room * sizeof *slots);
        if (grown == NULL) return 0;
        slots = grown;
        slot_room = room;
        slots[0] = (struct slot){0};
    }
    slots[slot_count] = (struct slot){0};
    return slot_count++;
}

void node_touch(struct node *n, bool content) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    n->attr.ctime = (uint64_t)now.tv_sec;
    n->attr.ctimensec = (uint32_t)now.tv_nsec;
    if (!content) return;
    n->attr.mtime = n->attr.ctime;
    n->attr.mtimensec = n->attr.ctimensec;
}

struct node *node_make(uint32_t mode) {
    struct node *n = node_count < NODES_MAX ? calloc(1, sizeof *n) : NULL;
    const uint32_t place = n != NULL ? take_place() : 0;
    if (place == 0) {
        free(n);
        return NULL;
    }
    slots[place].node = n;
    node_count++;
    n->attr = (struct fuse_attr){.ino = place | (uint64_t)slots[place].uses << 32, .mode = mode, .blksize = PAGE_BYTES,
                                 .nlink = FS_TYPE(mode) == FS_DIRECTORY ? 2 : 1};
    node_touch(n, true);
    n->attr.atime = n->attr.mtime;
    n->attr.atimensec = n->attr.mtimensec;
    return n;
}

void node_settle(struct node *n) {
    const uint32_t place = (uint32_t)n->attr.ino;
    if (n->attr.nlink != 0 || n->lookups != 0 || n->attr.ino == FUSE_ROOT) return;
    data_resize(n, 0);
    extended_clear(n);
    free(n->pages);
    free(n->target);
    free(n);
    slots[place] = (struct slot){.uses = slots[place].uses + 1, .next_free = first_free};
    first_free = place;
    node_count--;
}

uint64_t nodes_free(void) { return NODES_MAX - node_count; }
