// SLUB: layout, misuse, exhaustion, objects that wander between CPUs.
// links: kernel/mm/slub.c kernel/mm/slub_slab.c kernel/mm/slub_slow.c kernel/mm/slub_share.c kernel/mm/slub_cache.c kernel/mm/slub_debug.c kernel/mm/page_alloc.c kernel/mm/page_buddy.c kernel/mm/page_release.c kernel/mm/page_cpu_cache.c kernel/mm/page_debug.c
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/mm/page_buddy.h"
#include "kernel/mm/page_cpu_cache.h"
#include "kernel/mm/slub_internal.h"
#include "tests/unit/kernel_host.h"
#include "tests/unit/machine_host.h"
#include "tests/unit/unit.h"

#define MIB (1ul << 20)

static const struct mem_range machine[] = {{0x100000, 63 * MIB}};
static struct kmem_cache cache;

// A machine with a cache of `size`-byte objects. Returns the pages that are free then.
static uint64_t start(uint32_t cpu_number, size_t size, size_t align) {
    host_memory_init(64 * MIB);
    host_cpus_init(cpu_number);
    memset(&page_heap, 0, sizeof(page_heap));
    spin_init(&page_heap.lock, "page heap");
    page_alloc_init(machine, 1);
    slub_cache_count = 0;
    for (uint32_t i = 0; i < cpu_number; i++) {
        page_cpu_init(&cpus[i]);
        cpus[i].pages->count = 0;
    }
    slub_init();
    for (uint32_t i = 1; i < cpu_number; i++) CHECK_EQ(slub_cpu_init(&cpus[i]), 0);
    slub_cache_init(&cache, "test", size, align);
    return page_free_count();
}

static void check_nothing_left(uint64_t free_pages) {
    struct slub_stats stats;

    slub_shrink_all();
    for (unsigned i = 0; slub_get_stats(i, &stats); i++) {
        if (stats.live != 0 || stats.slabs != 0)
            unit_fail(__FILE__, __LINE__, "%s: %llu live, %llu slabs", stats.name, (unsigned long long)stats.live,
                      (unsigned long long)stats.slabs);
    }
    CHECK_EQ(page_free_count(), free_pages);
}

TEST(classes_cover_all_sizes) {
    start(1, 64, 0);
    for (size_t size = 1; size <= KMALLOC_MAX_SIZE; size++) {
        unsigned class = kmalloc_class(size);

        CHECK(class < KMALLOC_CLASSES);
        CHECK(kmalloc_class_size(class) >= size);
        CHECK(class == 0 || kmalloc_class_size(class - 1) < size);
        CHECK_EQ(kmalloc_caches[class].object_size, kmalloc_class_size(class));
    }
    CHECK_EQ(kmalloc_class(KMALLOC_MAX_SIZE), KMALLOC_CLASSES - 1);
}

TEST(objects_are_apart_and_aligned) {
    static unsigned char *objects[3000];
    static const size_t sizes[] = {8, 24, 64, 100, 640, 2040, 4096, 8192};

    for (size_t s = 0; s < ARRAY_SIZE(sizes); s++) {
        size_t align = 1ul << (3 + s % 5);
        size_t count = sizes[s] > 4000 ? 500 : ARRAY_SIZE(objects);
        uint64_t before = start(1, sizes[s], align);

        for (size_t i = 0; i < count; i++) {
            objects[i] = slub_alloc(&cache);
            CHECK(objects[i] != NULL);
            CHECK(is_aligned((uint64_t)objects[i], align));
            memset(objects[i], (int)i, sizes[s]);
        }
        CHECK_EQ(slub_live_objects(&cache), count);
        for (size_t i = 0; i < count; i++) {
            CHECK(objects[i][0] == (unsigned char)i && objects[i][sizes[s] - 1] == (unsigned char)i);
            slub_free(&cache, objects[i]);
        }
        check_nothing_left(before);
    }
}

TEST(kmalloc_serves_small_and_large) {
    static const size_t sizes[] = {1, 16, 17, 64, 65, 1000, 4096, 8192, 8193, 100000, 4 * MIB};
    uint64_t before = start(1, 64, 0);
    void *objects[ARRAY_SIZE(sizes)];

    CHECK(kmalloc(0) == NULL);
    CHECK(kmalloc(4 * MIB + 1) == NULL);
    CHECK(kmalloc(SIZE_MAX) == NULL);
    CHECK(kcalloc(SIZE_MAX / 2, 3) == NULL);
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        objects[i] = kzalloc(sizes[i]);
        CHECK(objects[i] != NULL);
        CHECK(is_aligned((uint64_t)objects[i], sizes[i] % 64 == 0 ? 64 : 16));
        CHECK_EQ(kmalloc_usable_size(objects[i]), kmalloc_round_up(sizes[i]));
        CHECK(kmalloc_usable_size(objects[i]) >= sizes[i]);
        for (size_t at = 0; at < sizes[i]; at++) CHECK(((char *)objects[i])[at] == 0);
        memset(objects[i], 0x5a, sizes[i]);
    }
    kfree(NULL);
    kfree_bulk(objects, ARRAY_SIZE(objects));
    check_nothing_left(before);
}

TEST(misuse_panics) {
    void *first, *second, *other;

    start(1, 64, 0);
    first = slub_alloc(&cache);
    second = slub_alloc(&cache);
    other = kmalloc(64);
    CHECK_PANICS(slub_free(&cache, other));
    CHECK_PANICS(kfree((char *)page_to_virt(page_alloc(0)) + 64));
    slub_free(&cache, first);
    CHECK_PANICS(slub_free(&cache, first));
    if (CONFIG_DEBUG) {
        slub_free(&cache, second);
        CHECK_PANICS(slub_free(&cache, first));
        CHECK_PANICS(slub_free(&cache, (char *)slub_alloc(&cache) + 8));
    }
}

static void alloc_and_drop(int count) {
    while (count-- > 0) CHECK(slub_alloc(&cache) != NULL);
}

TEST(overwritten_free_list_panics) {
    char *objects[3];

    start(1, 64, 0);
    for (int i = 0; i < 3; i++) objects[i] = slub_alloc(&cache);
    for (int i = 0; i < 3; i++) slub_free(&cache, objects[i]);
    // A use after free that hits the link: the second allocation from here would be somewhere else.
    memset(objects[2] + cache.link_offset, 0x41, 8);
    CHECK_PANICS(alloc_and_drop(2));
}

TEST(debug_finds_writes_out_of_place) {
    char *object;

    if (!CONFIG_DEBUG) return;
    start(1, 40, 0);
    object = slub_alloc(&cache);
    object[40] = 1;
    CHECK_PANICS(slub_free(&cache, object));
    start(1, 40, 0);
    object = slub_alloc(&cache);
    slub_free(&cache, object);
    object[0] = 1;
    CHECK_PANICS(alloc_and_drop(1));
}

TEST(exhaustion_and_back) {
    static void *objects[70000];
    uint64_t before = start(1, 1000, 0);
    size_t count = 0;
    void *object;

    while ((object = slub_alloc(&cache)) != NULL) objects[count++] = object;
    CHECK(count > 40000);
    CHECK(page_free_count() <= page_heap.reserve + 1);
    CHECK(kmalloc(16) == NULL);
    for (size_t i = 0; i < count; i++) slub_free(&cache, objects[i * 7919 % count]);
    check_nothing_left(before);
}

TEST(free_slabs_are_reclaimed_for_others) {
    static void *objects[1000];
    uint64_t before = start(1, 64, 0);
    uint64_t count = 0;

    for (size_t i = 0; i < 1000; i++) objects[i] = slub_alloc(&cache);
    for (size_t i = 0; i < 1000; i++) slub_free(&cache, objects[i]);
    CHECK(page_free_count() < before);
    while (page_alloc(PAGE_ALLOC_RESERVE) != NULL) count++;
    CHECK_EQ(count, before);
}

TEST(frees_on_another_cpu_come_home) {
    static void *objects[5000];
    uint64_t before = start(2, 64, 0);

    for (int round = 0; round < 5; round++) {
        unit_become_cpu(0);
        for (size_t i = 0; i < ARRAY_SIZE(objects); i++) CHECK((objects[i] = slub_alloc(&cache)) != NULL);
        unit_become_cpu(1);
        for (size_t i = 0; i < ARRAY_SIZE(objects); i++) slub_free(&cache, objects[i * 3 % ARRAY_SIZE(objects)]);
    }
    CHECK_EQ(slub_live_objects(&cache), 0);
    // What came back by mail was used again: no more slabs than one round needs.
    CHECK(slub_slabs(&cache) <= ARRAY_SIZE(objects) / cache.objects + 2);
    check_nothing_left(before);
}

TEST(shared_slabs_are_adopted) {
    static void *objects[20000];
    uint64_t before = start(2, 128, 0);
    uint64_t slabs;

    for (size_t i = 0; i < ARRAY_SIZE(objects); i++) objects[i] = slub_alloc(&cache);
    // Every slab keeps one object, so CPU 0 gets too many partial ones and shares most.
    for (size_t i = 0; i < ARRAY_SIZE(objects); i++) {
        if (i % cache.objects != 0) slub_free(&cache, objects[i]);
    }
    slabs = slub_slabs(&cache);
    CHECK(cache.partial_count > slabs / 2);
    unit_become_cpu(1);
    for (size_t i = 0; i < ARRAY_SIZE(objects) / 2; i++) {
        if (i % cache.objects != 0) objects[i] = slub_alloc(&cache);
    }
    CHECK_EQ(slub_slabs(&cache), slabs);
    for (size_t i = 0; i < ARRAY_SIZE(objects); i++) {
        if (i % cache.objects == 0 || i < ARRAY_SIZE(objects) / 2) slub_free(&cache, objects[i]);
    }
    check_nothing_left(before);
}

TEST(random_operations_match_a_model) {
    static struct {
        unsigned char *data;
        size_t size;
        unsigned char mark;
    } held[3000];
    uint64_t before = start(3, 200, 8);
    struct host_random random = {11};
    size_t count = 0;

    for (int step = 0; step < 200000; step++) {
        unit_become_cpu((uint32_t)host_random_below(&random, 3));
        if (host_random_below(&random, 100) < 51 && count < ARRAY_SIZE(held)) {
            size_t size = host_random_below(&random, 30) == 0 ? 1 + host_random_below(&random, 20000)
                                                              : 1 + host_random_below(&random, 300);

            held[count].data = kmalloc(size);
            if (held[count].data == NULL) continue;
            held[count].size = size;
            held[count].mark = (unsigned char)host_random(&random);
            memset(held[count].data, held[count].mark, size);
            count++;
        } else if (count != 0) {
            size_t i = host_random_below(&random, count);

            CHECK(held[i].data[0] == held[i].mark && held[i].data[held[i].size - 1] == held[i].mark);
            kfree(held[i].data);
            held[i] = held[--count];
        }
        if (host_random_below(&random, 5000) == 0) slub_shrink_all();
    }
    while (count != 0) kfree(held[--count].data);
    unit_become_cpu(0);
    check_nothing_left(before);
}

// Objects wander between threads through this; each holds its own address.
static void *exchange[64];

static void storm(uint32_t id) {
    struct host_random random = {id};

    for (int step = 0; step < 60000; step++) {
        void **object = host_random_below(&random, 2) == 0 ? slub_alloc(&cache) : NULL;
        void **got;

        if (object != NULL) *object = object;
        got = __atomic_exchange_n(&exchange[host_random_below(&random, ARRAY_SIZE(exchange))], object, __ATOMIC_ACQ_REL);
        if (got != NULL) {
            if (*got != got) abort();
            slub_free(&cache, got);
        }
        if (host_random_below(&random, 2000) == 0) slub_shrink_all();
        host_cpu_poll();
    }
}

// Producers and consumers: all frees are remote, and slabs change their owner.
static void *queue[4][256];

static void bursts(uint32_t id) {
    struct host_random random = {id + 100};
    uint32_t next = (id + 1) % 4;

    for (int round = 0; round < 100; round++) {
        for (size_t i = 0; i < 256; i++) {
            void **object = slub_alloc(&cache);

            if (object == NULL) continue;
            *object = object;
            while (__atomic_load_n(&queue[next][i], __ATOMIC_ACQUIRE) != NULL) {
                // Own queue first, or all would wait for each other.
                for (size_t k = 0; k < 256; k++) {
                    void **got = __atomic_exchange_n(&queue[id][k], NULL, __ATOMIC_ACQ_REL);

                    if (got == NULL) continue;
                    if (*got != got) abort();
                    slub_free(&cache, got);
                }
                cpu_relax();
                if (host_random_below(&random, 3) == 0) break;
            }
            object = __atomic_exchange_n(&queue[next][i], object, __ATOMIC_ACQ_REL);
            if (object != NULL) slub_free(&cache, object);
        }
        if (round % 50 == 0) slub_shrink_all();
        host_cpu_poll();
    }
}

static void empty_queues(void **slots, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (slots[i] != NULL) slub_free(&cache, slots[i]);
        slots[i] = NULL;
    }
}

TEST(storm_on_four_cpus) {
    uint64_t before = start(4, 96, 0);

    host_cpus_run(storm);
    unit_become_cpu(0);
    empty_queues(exchange, ARRAY_SIZE(exchange));
    check_nothing_left(before);
}

TEST(remote_bursts_on_four_cpus) {
    uint64_t before = start(4, 320, 64);

    host_cpus_run(bursts);
    unit_become_cpu(0);
    empty_queues(&queue[0][0], 4 * 256);
    check_nothing_left(before);
}
