// The engine's heap: blocks keep what is written to them, come back, and do not pile up between threads.
// links: user/wasmhost/heap.c
#include "user/wasmhost/heap.h"

#include "tests/unit/unit.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define BLOCKS 3000u
#define MOST 5000u

static struct held {
    uint8_t *at;
    size_t size, align;
    uint8_t value;
} held[BLOCKS];

static bool keeps(const struct held *h) {
    for (size_t i = 0; i < h->size; i++)
        if (h->at[i] != h->value) return false;
    return (uintptr_t)h->at % h->align == 0;
}

static void fill(struct held *h) {
    h->value = (uint8_t)unit_random();
    memset(h->at, h->value, h->size);
}

// Mostly small, some large, some with a wide alignment.
static void take(struct held *h) {
    h->size = unit_random() % 8 == 0 ? 1 + unit_random() % MOST : 1 + unit_random() % 600;
    h->align = 1ull << (unit_random() % 16 == 0 ? unit_random() % 13 : unit_random() % 5);
    h->at = unit_random() % 2 ? kpio_heap_take(h->size, h->align) : kpio_heap_take_zeroed(h->size, h->align);
    CHECK(h->at != NULL);
    fill(h);
}

static void resize(struct held *h) {
    size_t wanted = 1 + unit_random() % (h->size * 2 + 40), kept = h->size < wanted ? h->size : wanted;
    h->at = kpio_heap_resize(h->at, h->size, h->align, wanted);
    CHECK(h->at != NULL);
    h->size = kept;
    CHECK(keeps(h));
    h->size = wanted;
    fill(h);
}

static void give(struct held *h) {
    kpio_heap_give(h->at, h->size, h->align);
    *h = (struct held){0};
}

TEST(blocks_keep_what_is_written_to_them) {
    for (unsigned step = 0; step < 200000; step++) {
        struct held *h = &held[unit_random() % BLOCKS];
        if (h->at == NULL) {
            take(h);
            continue;
        }
        CHECK(keeps(h));
        if (unit_random() % 3 == 0)
            resize(h);
        else
            give(h);
    }
    for (unsigned i = 0; i < BLOCKS; i++) {
        if (held[i].at == NULL) continue;
        CHECK(keeps(&held[i]));
        give(&held[i]);
    }
}

TEST(zeroed_blocks_are_zero_where_they_were_used_before) {
    for (size_t size = 1; size <= 600; size++) {
        uint8_t *block = kpio_heap_take(size, 8);
        memset(block, 0xff, size);
        kpio_heap_give(block, size, 8);
        block = kpio_heap_take_zeroed(size, 8);
        for (size_t i = 0; i < size; i++) CHECK_EQ(block[i], 0);
        kpio_heap_give(block, size, 8);
    }
}

TEST(a_block_within_its_class_stays_where_it_is) {
    void *block = kpio_heap_take(33, 8);
    CHECK(kpio_heap_resize(block, 33, 8, 48) == block);
    CHECK(kpio_heap_resize(block, 48, 8, 34) == block);
    kpio_heap_give(block, 34, 8);
    CHECK(kpio_heap_take(40, 16) == block);
    kpio_heap_give(block, 40, 16);
}

// ---- between threads --------------------------------------------------------------------------------------------------------------

#define PASSED 1000u
#define ROUNDS 200u

static void *passed[PASSED];

static void *take_all(void *context) {
    for (unsigned i = 0; i < PASSED; i++) {
        passed[i] = kpio_heap_take(100, 8);
        memset(passed[i], (int)i, 100);
    }
    return context;
}

static void *give_all(void *context) {
    for (unsigned i = 0; i < PASSED; i++) kpio_heap_give(passed[i], 100, 8);
    return context;
}

static void in_thread(void *(*run)(void *)) {
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, run, NULL), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

static int compare(const void *a, const void *b) {
    uintptr_t x = *(const uintptr_t *)a, y = *(const uintptr_t *)b;
    return (x > y) - (x < y);
}

static void *seen[ROUNDS * PASSED];

static unsigned count_different(void) {
    unsigned different = 0;
    qsort(seen, ROUNDS * PASSED, sizeof seen[0], compare);
    for (unsigned i = 0; i < ROUNDS * PASSED; i++) different += i == 0 || seen[i] != seen[i - 1];
    return different;
}

static void passes_on(void (*first)(void *(*)(void *)), void (*second)(void *(*)(void *))) {
    for (unsigned round = 0; round < ROUNDS; round++) {
        first(take_all);
        memcpy(&seen[round * PASSED], passed, sizeof passed);
        second(give_all);
    }
    CHECK(count_different() < 2 * PASSED);  // and not ROUNDS times as many
}

static void here(void *(*run)(void *)) { (void)run(NULL); }

TEST(what_one_thread_takes_and_another_gives_comes_back) {
    passes_on(here, in_thread);
    passes_on(in_thread, here);
}

TEST(a_thread_that_ends_leaves_what_it_had) { passes_on(in_thread, in_thread); }
