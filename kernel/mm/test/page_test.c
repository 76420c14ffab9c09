// The page allocator: counting, orders, exhaustion, wrong frees, several CPUs.
// links: kernel/mm/page_alloc.c kernel/mm/page_buddy.c kernel/mm/page_release.c kernel/mm/page_cpu_cache.c kernel/mm/page_debug.c
#include <stdlib.h>
#include <string.h>

#include "kernel/mm/page.h"
#include "kernel/mm/page_buddy.h"
#include "kernel/mm/page_cpu_cache.h"
#include "tests/unit/kernel_host.h"
#include "tests/unit/machine_host.h"
#include "tests/unit/unit.h"

#define MIB (1ul << 20)
#define GIB (1ul << 30)
#define MANY 100000

// A small machine as QEMU describes one: conventional memory, a gap, the rest.
static const struct mem_range small_machine[] = {{0x1000, 0x9e000}, {0x100000, 63 * MIB}};

static void start(const struct mem_range *ranges, unsigned count, uint32_t cpu_number) {
    const struct mem_range *last = &ranges[count - 1];

    host_memory_init(align_up(last->base + last->size, 4 * MIB));
    host_cpus_init(cpu_number);
    memset(&page_heap, 0, sizeof(page_heap));
    spin_init(&page_heap.lock, "page heap");
    page_alloc_init(ranges, count);
    for (uint32_t i = 0; i < cpu_number; i++) {
        page_cpu_init(&cpus[i]);
        cpus[i].pages->count = 0;
    }
}

static void start_small(void) {
    start(small_machine, ARRAY_SIZE(small_machine), 1);
}

// Everything free and joined again as far as it can be: what a second run over the same memory finds.
static void check_all_free(uint64_t expected) {
    struct page_stats stats;

    page_drain_caches();
    page_get_stats(&stats);
    CHECK_EQ(stats.free, expected);
    CHECK_EQ(stats.cached, 0);
    CHECK_EQ(page_free_count(), expected);
}

TEST(init_counts_all_memory) {
    struct page_stats stats;

    start_small();
    page_get_stats(&stats);
    // 64 MiB less the first page and the gap below 1 MiB, less 1 MiB of page array.
    CHECK_EQ(stats.total, 0x9e + 63 * 256 - 256);
    CHECK_EQ(stats.array, 256);
    CHECK_EQ(stats.free, stats.total);
    CHECK_EQ(stats.unreleased, stats.total);
    CHECK(page_is_ram(paddr(0x1000)));
    CHECK(!page_is_ram(paddr(0)));
    CHECK(!page_is_ram(paddr(0xa0000)));
    CHECK(page_is_ram(paddr(64 * MIB - 1)));
    CHECK(!page_is_ram(paddr(64 * MIB)));
}

TEST(init_touches_no_more_at_eight_gib) {
    static const struct mem_range large[] = {{0x1000, 0x9e000}, {0x100000, 2 * GIB - MIB}, {4 * GIB, 6 * GIB}};
    struct page_stats stats;

    start(large, ARRAY_SIZE(large), 1);
    page_get_stats(&stats);
    CHECK_EQ(stats.unreleased, stats.free);
    // The array covers 10 GiB, but the 2 GiB hole's part of it is ordinary memory.
    CHECK_EQ(stats.array, 8 * GIB / 64 / PAGE_SIZE);
    for (int i = 0; i < 100; i++) {
        struct page *page = page_alloc(0);

        CHECK(page != NULL);
        CHECK(page_is_ram(page_to_phys(page)));
        memset(page_to_virt(page), 0xaa, PAGE_SIZE);
    }
    page_get_stats(&stats);
    CHECK_EQ(stats.free - stats.unreleased, PAGE_BLOCK_PAGES - 100);
}

TEST(low_memory_is_below_4_gib) {
    static const struct mem_range large[] = {{0x100000, 512 * MIB - MIB}, {4 * GIB, 64 * MIB}};
    struct page *pages[3];

    start(large, ARRAY_SIZE(large), 1);
    pages[0] = page_alloc(0);
    pages[1] = page_alloc(PAGE_ALLOC_LOW);
    pages[2] = page_alloc_block(3, PAGE_ALLOC_LOW);
    CHECK(pages[0] != NULL && pages[1] != NULL && pages[2] != NULL);
    CHECK(page_to_phys(pages[0]).v >= 4 * GIB);
    CHECK(page_to_phys(pages[1]).v < 4 * GIB);
    CHECK(page_to_phys(pages[2]).v < 4 * GIB);
    // When high memory is gone, the low one is used for all.
    for (int i = 0; i < 17000; i++) CHECK(page_alloc(0) != NULL);
}

TEST(zeroed_page_is_zero) {
    struct page *page;
    uint64_t *words;

    start_small();
    page = page_alloc(0);
    CHECK(page != NULL);
    memset(page_to_virt(page), 0xff, PAGE_SIZE);
    page_free(page);
    page = page_alloc(PAGE_ALLOC_ZERO);
    words = page_to_virt(page);
    for (size_t i = 0; i < PAGE_SIZE / 8; i++) CHECK_EQ(words[i], 0);
    CHECK_EQ(page->type, PAGE_USED);
    CHECK_EQ(page->refs, 1);
}

TEST(exhaustion_finds_every_page_and_gives_it_back) {
    static struct page *pages[MANY];
    uint64_t before, taken = 0;

    start_small();
    before = page_free_count();
    while ((pages[taken] = page_alloc(0)) != NULL) taken++;
    CHECK_EQ(taken, before - page_heap.reserve);
    CHECK(page_alloc_block(1, 0) == NULL);
    CHECK(page_alloc(PAGE_ALLOC_ZERO) == NULL);
    // The reserve is for those who free memory.
    while ((pages[taken] = page_alloc(PAGE_ALLOC_RESERVE)) != NULL) taken++;
    CHECK_EQ(taken, before);
    CHECK_EQ(page_free_count(), 0);
    for (uint64_t i = 0; i < taken; i++) page_free(pages[i]);
    check_all_free(before);
    // And all of it in the largest blocks possible.
    for (unsigned i = 0; i < 14; i++) CHECK(page_alloc_block(PAGE_MAX_ORDER, PAGE_ALLOC_RESERVE) != NULL);
}

TEST(blocks_are_aligned_and_apart) {
    struct page *blocks[PAGE_MAX_ORDER + 1];
    uint64_t before;

    start_small();
    before = page_free_count();
    for (unsigned order = 0; order <= PAGE_MAX_ORDER; order++) {
        blocks[order] = page_alloc_block(order, 0);
        CHECK(blocks[order] != NULL);
        CHECK(is_aligned(page_number(blocks[order]), 1ul << order));
        memset(page_to_virt(blocks[order]), (int)order, PAGE_SIZE << order);
    }
    for (unsigned order = 0; order <= PAGE_MAX_ORDER; order++) {
        const unsigned char *bytes = page_to_virt(blocks[order]);

        CHECK(bytes[0] == order && bytes[(PAGE_SIZE << order) - 1] == order);
        page_free_block(blocks[order], order);
    }
    check_all_free(before);
}

TEST(contiguous_gives_back_the_tail) {
    struct page *runs[8];
    uint64_t before;

    start_small();
    before = page_free_count();
    CHECK(page_alloc_contiguous(0, 0) == NULL);
    CHECK(page_alloc_contiguous(PAGE_BLOCK_PAGES + 1, 0) == NULL);
    for (size_t i = 0; i < 8; i++) {
        runs[i] = page_alloc_contiguous(3 + 37 * i, PAGE_ALLOC_ZERO);
        CHECK(runs[i] != NULL);
    }
    CHECK_EQ(page_free_count(), before - 8 * 3 - 37 * 28);
    for (size_t i = 0; i < 8; i++) page_free_contiguous(runs[i], 3 + 37 * i);
    check_all_free(before);
}

TEST(split_block_is_freed_page_by_page) {
    struct page *block;
    uint64_t before;

    start_small();
    before = page_free_count();
    block = page_alloc_block(9, 0);
    CHECK(block != NULL);
    page_split_block(block, 9);
    for (size_t i = 0; i < 512; i++) page_free(&block[(i * 37) % 512]);
    check_all_free(before);
}

TEST(wrong_frees_panic) {
    struct page *page, *block;

    start_small();
    page = page_alloc(0);
    block = page_alloc_block(2, 0);
    CHECK(page != NULL && block != NULL);
    CHECK_PANICS(page_free(block));
    CHECK_PANICS(page_free_block(block, 3));
    page_free(page);
    CHECK_PANICS(page_free(page));
    page = page_alloc(0);
    page_set_type(page, PAGE_USED, PAGE_VMO);
    CHECK_PANICS(page_free(page));
    CHECK_PANICS(page_set_type(page, PAGE_USED, PAGE_TABLE));
    page_free_block(block, 2);
    CHECK_PANICS(page_free_block(block, 2));
}

TEST(late_release_adds_memory) {
    uint64_t before;

    start_small();
    before = page_free_count();
    // The gap between the ranges, as if the boot archive had been there.
    CHECK_EQ(page_release_range((struct mem_range){0xa0000, 0x60000}), 0x60);
    CHECK_EQ(page_free_count(), before + 0x60);
    CHECK(page_is_ram(paddr(0xa0000)));
    for (uint64_t i = 0; i < before + 0x60; i++) CHECK(page_alloc(PAGE_ALLOC_RESERVE) != NULL);
    CHECK(page_alloc(PAGE_ALLOC_RESERVE) == NULL);
}

TEST(set_aside_is_never_allocated) {
    struct mem_range aside[4];
    uint64_t before, size = 0, taken = 0;
    unsigned count;
    struct page *page;

    start_small();
    before = page_free_count();
    count = page_set_aside(15 * MIB, aside, 4);
    CHECK(count >= 1);
    for (unsigned i = 0; i < count; i++) {
        CHECK(is_aligned(aside[i].base | aside[i].size, 4 * MIB));
        size += aside[i].size;
    }
    CHECK_EQ(size, 16 * MIB);
    CHECK_EQ(page_free_count(), before - 16 * 256);
    while ((page = page_alloc(PAGE_ALLOC_RESERVE)) != NULL) {
        uint64_t at = page_to_phys(page).v;

        for (unsigned i = 0; i < count; i++) CHECK(at < aside[i].base || at >= aside[i].base + aside[i].size);
        taken++;
    }
    CHECK_EQ(taken, before - 16 * 256);
}

static struct page *hoard[64];
static unsigned hoarded;

static size_t give_hoard(size_t wanted) {
    size_t freed = 0;

    while (freed < wanted && hoarded != 0) {
        page_free(hoard[--hoarded]);
        freed++;
    }
    return freed;
}

TEST(reclaimers_are_asked_last) {
    static struct page_reclaimer reclaimer = {.reclaim = give_hoard};

    start_small();
    for (hoarded = 0; hoarded < 64; hoarded++) hoard[hoarded] = page_alloc(0);
    page_reclaimer_register(&reclaimer);
    while (page_free_count() > page_heap.reserve) CHECK(page_alloc(0) != NULL);
    CHECK_EQ(hoarded, 64);
    for (int i = 0; i < 64; i++) CHECK(page_alloc(0) != NULL);
    CHECK_EQ(hoarded, 0);
    CHECK(page_alloc(0) == NULL);
}

TEST(pages_cached_by_other_cpus_are_found) {
    static struct page *pages[MANY];
    uint64_t before, taken = 0;

    start(small_machine, ARRAY_SIZE(small_machine), 4);
    before = page_free_count();
    for (uint32_t i = 0; i < 4; i++) {
        unit_become_cpu(i);
        page_free(page_alloc(0));
    }
    unit_become_cpu(0);
    CHECK(page_cpu_caches_count() > 64);
    while ((pages[taken] = page_alloc(PAGE_ALLOC_RESERVE)) != NULL) taken++;
    CHECK_EQ(taken, before);
    for (uint64_t i = 0; i < taken; i++) page_free(pages[i]);
    check_all_free(before);
}

// A model of what is allocated: one byte per page, so that overlaps show.
static unsigned char used[16384];

static void mark(struct page *page, size_t count, unsigned char expected, unsigned char fresh) {
    for (size_t i = 0; i < count; i++) {
        CHECK_EQ(used[page_number(page) + i], expected);
        used[page_number(page) + i] = fresh;
    }
}

TEST(random_operations_match_a_model) {
    static struct {
        struct page *page;
        unsigned order;
        size_t count;
    } held[2000];
    struct host_random random = {7};
    uint64_t before, pages_held = 0;
    size_t count = 0;

    start_small();
    memset(used, 0, sizeof(used));
    before = page_free_count();
    for (int step = 0; step < 40000; step++) {
        uint64_t choice = host_random_below(&random, 100);

        if (choice < 50 && count < ARRAY_SIZE(held)) {
            unsigned order = choice < 35 ? 0 : (unsigned)host_random_below(&random, PAGE_MAX_ORDER + 1);
            bool run = choice >= 45;
            size_t wanted = run ? 1 + host_random_below(&random, 1ul << order) : 1ul << order;
            struct page *page = run ? page_alloc_contiguous(wanted, 0) : page_alloc_block(order, 0);

            if (page == NULL) continue;
            mark(page, wanted, 0, 1);
            held[count].page = page;
            held[count].order = run ? UINT32_MAX : order;
            held[count++].count = wanted;
            pages_held += wanted;
        } else if (count != 0) {
            size_t i = host_random_below(&random, count);

            mark(held[i].page, held[i].count, 1, 0);
            if (held[i].order == UINT32_MAX)
                page_free_contiguous(held[i].page, held[i].count);
            else
                page_free_block(held[i].page, held[i].order);
            pages_held -= held[i].count;
            held[i] = held[--count];
        }
        if (step % 1000 == 0) CHECK_EQ(page_free_count(), before - pages_held);
    }
    while (count != 0) {
        count--;
        if (held[count].order == UINT32_MAX)
            page_free_contiguous(held[count].page, held[count].count);
        else
            page_free_block(held[count].page, held[count].order);
    }
    check_all_free(before);
}

static void storm(uint32_t id) {
    struct host_random random = {id};
    struct page *pages[200];
    size_t count = 0;

    for (int step = 0; step < 20000; step++) {
        if (count < 200 && host_random_below(&random, 2) == 0) {
            struct page *page = page_alloc(0);

            if (page != NULL) {
                *(uint64_t *)page_to_virt(page) = (uint64_t)page;
                pages[count++] = page;
            }
        } else if (count != 0) {
            struct page *page = pages[--count];

            if (*(uint64_t *)page_to_virt(page) != (uint64_t)page) abort();
            page_free(page);
        }
        if (step % 500 == 0) page_drain_caches();
        host_cpu_poll();
    }
    while (count != 0) page_free(pages[--count]);
}

TEST(storm_on_four_cpus) {
    uint64_t before;

    start(small_machine, ARRAY_SIZE(small_machine), 4);
    before = page_free_count();
    host_cpus_run(storm);
    unit_become_cpu(0);
    check_all_free(before);
}
