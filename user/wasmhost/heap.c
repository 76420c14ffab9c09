// Blocks of up to SMALL bytes come in classes of UNIT bytes. A thread has a list of free ones for each class and a piece of fresh memory
// from which it cuts new ones. What a thread has too many of it hands to all threads, and all of it when it ends, so that blocks which
// one thread takes and another gives back do not pile up. Memory that was cut up stays so.
#include "user/wasmhost/heap.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define UNIT 16u
#define SMALL 512u
#define CLASSES (SMALL / UNIT)
#define PIECE (32u << 10)  // of fresh memory
#define BATCH 32u          // blocks handed over at once
#define MANY (2 * BATCH)   // free ones of a class that a thread keeps

struct block {
    struct block *next;
};

struct thread_heap {
    struct block *free[CLASSES];
    unsigned count[CLASSES];
    uint8_t *fresh, *end;  // fresh memory that is left
    bool known;            // its end will be told
};

static _Thread_local struct thread_heap mine;

// What belongs to no thread. A list is looked at without the lock, to see that it is empty.
static struct {
    pthread_mutex_t lock;
    struct block *free[CLASSES];
} shared = {.lock = PTHREAD_MUTEX_INITIALIZER};

static pthread_key_t ends;
static pthread_once_t ends_made = PTHREAD_ONCE_INIT;
static bool ends_told;

static bool is_small(size_t size, size_t align) { return size <= SMALL && align <= UNIT; }
static unsigned class_of(size_t size) { return (unsigned)((size - 1) / UNIT); }
static size_t bytes_of(unsigned class) { return (size_t)(class + 1) * UNIT; }

// ---- between threads --------------------------------------------------------------------------------------------------------------

// The first `count` of the thread's free ones, or all if there are fewer.
static void hand_over(unsigned class, unsigned count) {
    struct block *first = mine.free[class], *last = first;
    if (first == NULL) return;
    unsigned moved = 1;
    for (; moved < count && last->next != NULL; moved++) last = last->next;
    mine.free[class] = last->next;
    mine.count[class] -= moved;
    pthread_mutex_lock(&shared.lock);
    last->next = shared.free[class];
    __atomic_store_n(&shared.free[class], first, __ATOMIC_RELAXED);
    pthread_mutex_unlock(&shared.lock);
}

// Up to a batch of what others handed over becomes the thread's.
static void fetch(unsigned class) {
    pthread_mutex_lock(&shared.lock);
    struct block *first = shared.free[class], *last = first;
    unsigned moved = first != NULL;
    for (; moved != 0 && moved < BATCH && last->next != NULL; moved++) last = last->next;
    if (first != NULL) __atomic_store_n(&shared.free[class], last->next, __ATOMIC_RELAXED);
    pthread_mutex_unlock(&shared.lock);
    if (first == NULL) return;
    last->next = mine.free[class];
    mine.free[class] = first;
    mine.count[class] += moved;
}

static void keep_rest(void);

static void thread_ended(void *context) {
    (void)context;
    mine.known = false;  // what runs after this may take and give again, and is told then
    keep_rest();
    for (unsigned class = 0; class < CLASSES; class ++) hand_over(class, UINT32_MAX);
}

static void make_ends(void) { ends_told = pthread_key_create(&ends, thread_ended) == 0; }

// Without a key, which a process has a thousand of, the blocks of threads that end are lost, no more.
static void know_thread(void) {
    mine.known = true;
    (void)pthread_once(&ends_made, make_ends);
    if (ends_told) (void)pthread_setspecific(ends, &mine);
}

// ---- small blocks -----------------------------------------------------------------------------------------------------------------

static void put(struct block *block, unsigned class) {
    block->next = mine.free[class];
    mine.free[class] = block;
    mine.count[class]++;
}

// What is left of the fresh memory becomes blocks.
static void keep_rest(void) {
    while (mine.fresh != mine.end) {
        size_t left = (size_t)(mine.end - mine.fresh);
        unsigned class = class_of(left < SMALL ? left : SMALL);
        put((struct block *)mine.fresh, class);
        mine.fresh += bytes_of(class);
    }
}

static bool have_fresh(size_t bytes) {
    if ((size_t)(mine.end - mine.fresh) >= bytes) return true;
    uint8_t *piece = malloc(PIECE);
    if (piece == NULL) return false;
    keep_rest();
    mine.fresh = piece;
    mine.end = piece + PIECE;
    return true;
}

// Where the thread has no free one.
static void *take_slowly(unsigned class) {
    if (!mine.known) know_thread();
    if (__atomic_load_n(&shared.free[class], __ATOMIC_RELAXED) != NULL) fetch(class);
    struct block *block = mine.free[class];
    if (block != NULL) {
        mine.free[class] = block->next;
        mine.count[class]--;
        return block;
    }
    if (!have_fresh(bytes_of(class))) return NULL;
    void *cut = mine.fresh;
    mine.fresh += bytes_of(class);
    return cut;
}

static void *take_large(size_t size, size_t align) {
    void *block;
    if (align <= UNIT) return malloc(size);
    return posix_memalign(&block, align, size) == 0 ? block : NULL;
}

void *kpio_heap_take(size_t size, size_t align) {
    if (!is_small(size, align)) return take_large(size, align);
    unsigned class = class_of(size);
    struct block *block = mine.free[class];
    if (block == NULL) return take_slowly(class);
    mine.free[class] = block->next;
    mine.count[class]--;
    return block;
}

void *kpio_heap_take_zeroed(size_t size, size_t align) {
    if (size > SMALL && align <= UNIT) return calloc(1, size);  // fresh pages are not touched
    void *block = kpio_heap_take(size, align);
    return block != NULL ? memset(block, 0, size) : NULL;
}

void kpio_heap_give(void *block, size_t size, size_t align) {
    if (!is_small(size, align)) {
        free(block);
        return;
    }
    unsigned class = class_of(size);
    put(block, class);
    if (mine.count[class] <= MANY) return;
    if (!mine.known) know_thread();
    hand_over(class, BATCH);
}

void *kpio_heap_resize(void *block, size_t size, size_t align, size_t wanted) {
    bool was_small = is_small(size, align), small = is_small(wanted, align);
    if (was_small && small && class_of(size) == class_of(wanted)) return block;
    if (!was_small && !small && align <= UNIT) return realloc(block, wanted);
    void *other = kpio_heap_take(wanted, align);
    if (other == NULL) return NULL;
    memcpy(other, block, size < wanted ? size : wanted);
    kpio_heap_give(block, size, align);
    return other;
}
