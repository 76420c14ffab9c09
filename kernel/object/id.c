#include "kernel/object/id.h"

#include "abi/gen/errors.h"
#include "kernel/core/assert.h"
#include "kernel/mm/slub.h"

#define ID_CHUNK_BITS 9
#define ID_CHUNK (1u << ID_CHUNK_BITS)
#define ID_MAX (1u << ID_INDEX_BITS)
#define ID_CHUNKS (ID_MAX / ID_CHUNK)
#define ID_GENERATIONS (1u << (ID_BITS - ID_INDEX_BITS))
#define ID_STEP 256  // empty entries that id_next looks at in one go
#define NO_INDEX UINT32_MAX

// 16 bytes. Free entries form a queue, so that a number comes back as late as possible.
struct id_entry {
    uintptr_t object_or_next;  // object, or next free index << 1 | 1
    uint32_t generation;
};

static struct id_entry *chunks[ID_CHUNKS];  // filled on demand, never freed
static struct spinlock id_lock = SPINLOCK_INIT("object ids");
static uint32_t first_free = NO_INDEX, last_free = NO_INDEX, used_end;

static struct id_entry *entry_at(uint32_t index) {
    return &chunks[index >> ID_CHUNK_BITS][index & (ID_CHUNK - 1)];
}

// Adds the entries of one more chunk to the queue of free ones. The caller holds the lock.
static int grow_locked(void) {
    if (used_end == ID_MAX) return -ENFILE;
    struct id_entry *chunk = kzalloc(ID_CHUNK * sizeof(struct id_entry));
    if (chunk == NULL) return -ENOMEM;
    for (uint32_t i = 0; i < ID_CHUNK; i++) {
        uint64_t next = i + 1 < ID_CHUNK ? used_end + i + 1 : NO_INDEX;
        chunk[i].object_or_next = next << 1 | 1;
    }
    __atomic_store_n(&chunks[used_end >> ID_CHUNK_BITS], chunk, __ATOMIC_RELEASE);
    if (last_free == NO_INDEX) first_free = used_end;
    else entry_at(last_free)->object_or_next = (uint64_t)used_end << 1 | 1;
    last_free = used_end + ID_CHUNK - 1;
    __atomic_store_n(&used_end, used_end + ID_CHUNK, __ATOMIC_RELEASE);
    return 0;
}

int id_alloc(struct object *o) {
    spin_lock(&id_lock);
    // One entry stays free, so that the queue never runs empty and what is given back goes behind another.
    if (first_free == last_free) {
        int error = grow_locked();
        if (error != 0) {
            spin_unlock(&id_lock);
            return error;
        }
    }
    uint32_t index = first_free;
    struct id_entry *e = entry_at(index);
    first_free = (uint32_t)(e->object_or_next >> 1);
    o->id = (uint64_t)e->generation << ID_INDEX_BITS | index;
    if (index == 0 && e->generation == 0) {  // id 0 means none
        e->generation = 1;
        o->id = 1ull << ID_INDEX_BITS;
    }
    __atomic_store_n(&e->object_or_next, (uintptr_t)o, __ATOMIC_RELEASE);
    spin_unlock(&id_lock);
    return 0;
}

void id_free(struct object *o) {
    uint32_t index = o->id & (ID_MAX - 1);
    spin_lock(&id_lock);
    struct id_entry *e = entry_at(index);
    verify(e->object_or_next == (uintptr_t)o);
    e->generation = (e->generation + 1) % ID_GENERATIONS;
    if (index == 0 && e->generation == 0) e->generation = 1;
    __atomic_store_n(&e->object_or_next, (uint64_t)NO_INDEX << 1 | 1, __ATOMIC_RELAXED);
    entry_at(last_free)->object_or_next = (uint64_t)index << 1 | 1;
    last_free = index;
    spin_unlock(&id_lock);
}

static struct object *object_at(uint32_t index) {
    struct id_entry *chunk = __atomic_load_n(&chunks[index >> ID_CHUNK_BITS], __ATOMIC_ACQUIRE);
    if (chunk == NULL) return NULL;
    uintptr_t seen = __atomic_load_n(&chunk[index & (ID_CHUNK - 1)].object_or_next, __ATOMIC_ACQUIRE);
    return (seen & 1) != 0 ? NULL : (struct object *)seen;
}

struct object *id_find(uint64_t id) {
    if (id >= ID_LIMIT) return NULL;
    struct object *o = object_at(id & (ID_MAX - 1));
    return o != NULL && o->id == id ? o : NULL;
}

struct object *id_next(uint32_t *cursor, bool *more) {
    uint32_t end = __atomic_load_n(&used_end, __ATOMIC_ACQUIRE);
    for (unsigned steps = 0; steps < ID_STEP; steps++) {
        if (*cursor >= end) return *more = false, NULL;
        struct object *o = object_at((*cursor)++);
        if (o != NULL) return o;
    }
    *more = true;
    return NULL;
}
