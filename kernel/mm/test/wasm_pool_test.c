// The WASM pool: promises are kept, pages come zeroed, accounts agree, broken blocks join again.
// links: kernel/mm/wasm_pool.c kernel/mm/page_alloc.c kernel/mm/page_buddy.c kernel/mm/page_release.c kernel/mm/page_cpu_cache.c kernel/mm/page_debug.c
#include "kernel/mm/wasm_pool.h"

#include <string.h>

#include "kernel/mm/page_buddy.h"
#include "kernel/mm/page_cpu_cache.h"
#include "tests/unit/machine_host.h"
#include "tests/unit/unit.h"

#define MIB (1ul << 20)
#define POOL_SIZE (24 * MIB)

static const struct mem_range machine[] = {{0x100000, 63 * MIB}};

static struct page *take_large(struct wasm_account *account) {
    struct pool_block *mine = NULL;
    bool dirty = false;
    struct page *page = wasm_pool_take_large(account, &dirty);

    if (!dirty) return page;
    CHECK(page == NULL);
    while (wasm_pool_clean_step(&mine)) continue;
    return wasm_pool_take_large(account, &dirty);
}

static void give_large(struct wasm_account *account, struct page *page) {
    for (size_t i = 0; i < WASM_POOL_BLOCK_PAGES; i++) wasm_pool_give_small(account, page + i);
}

// The pool is made once, as at boot; each case leaves it empty.
static void start(void) {
    static bool started;

    if (started) return;
    started = true;
    host_memory_init(64 * MIB);
    host_cpus_init(1);
    spin_init(&page_heap.lock, "page heap");
    page_alloc_init(machine, 1);
    wasm_pool_init(POOL_SIZE - MIB);
}

static void check_empty(void) {
    struct wasm_pool_stats stats;

    wasm_pool_get_stats(&stats);
    CHECK_EQ(stats.size, POOL_SIZE);
    CHECK_EQ(stats.reserved, 0);
    CHECK_EQ(stats.taken, 0);
}

static bool is_zero(struct page *page, size_t count) {
    const uint64_t *words = page_to_virt(page);

    for (size_t i = 0; i < count * PAGE_SIZE / 8; i++) {
        if (words[i] != 0) return false;
    }
    return true;
}

TEST(promise_is_bounded) {
    struct wasm_account account = {.limit = 8 * MIB}, other = {.limit = UINT64_MAX};

    start();
    CHECK(!wasm_pool_reserve(&account, 9 * MIB));
    CHECK(wasm_pool_reserve(&account, 8 * MIB));
    CHECK(!wasm_pool_reserve(&account, PAGE_SIZE));
    CHECK(!wasm_pool_reserve(&other, 17 * MIB));
    CHECK(!wasm_pool_reserve(&other, UINT64_MAX & ~PAGE_MASK));
    CHECK(wasm_pool_reserve(&other, 16 * MIB));
    CHECK(wasm_pool_take_small(&(struct wasm_account){.limit = MIB}) == NULL);
    wasm_pool_unreserve(&account, 8 * MIB);
    wasm_pool_unreserve(&other, 16 * MIB);
    check_empty();
}

TEST(every_promised_page_is_there_and_zero) {
    static struct page *pages[POOL_SIZE / PAGE_SIZE];
    struct wasm_account account = {.limit = POOL_SIZE};

    start();
    CHECK(wasm_pool_reserve(&account, POOL_SIZE));
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < ARRAY_SIZE(pages); i++) {
            pages[i] = wasm_pool_take_small(&account);
            CHECK(pages[i] != NULL && is_zero(pages[i], 1));
            memset(page_to_virt(pages[i]), 0xff, PAGE_SIZE);
        }
        CHECK(wasm_pool_take_small(&account) == NULL);
        CHECK_EQ(account.current, POOL_SIZE);
        for (size_t i = 0; i < ARRAY_SIZE(pages); i++)
            wasm_pool_give_small(&account, pages[i * 1021 % ARRAY_SIZE(pages)]);
        CHECK_EQ(account.current, 0);
        // All blocks are whole again.
        for (size_t i = 0; i < POOL_SIZE / LARGE_PAGE_SIZE; i++) {
            pages[i] = take_large(&account);
            CHECK(pages[i] != NULL && is_zero(pages[i], WASM_POOL_BLOCK_PAGES));
            memset(page_to_virt(pages[i]), 0xee, LARGE_PAGE_SIZE);
        }
        CHECK(take_large(&account) == NULL);
        for (size_t i = 0; i < POOL_SIZE / LARGE_PAGE_SIZE; i++) give_large(&account, pages[i]);
    }
    CHECK_EQ(account.peak, POOL_SIZE);
    wasm_pool_unreserve(&account, POOL_SIZE);
    check_empty();
}

TEST(pool_in_pieces_gives_small_pages_only) {
    static struct page *pages[POOL_SIZE / PAGE_SIZE];
    struct wasm_account account = {.limit = POOL_SIZE};
    size_t kept = 0;

    start();
    CHECK(wasm_pool_reserve(&account, POOL_SIZE));
    for (size_t i = 0; i < ARRAY_SIZE(pages); i++) pages[i] = wasm_pool_take_small(&account);
    // One page of every block stays.
    for (size_t i = 0; i < ARRAY_SIZE(pages); i++) {
        if (page_number(pages[i]) % WASM_POOL_BLOCK_PAGES == 77)
            pages[kept++] = pages[i];
        else
            wasm_pool_give_small(&account, pages[i]);
    }
    CHECK_EQ(kept, POOL_SIZE / LARGE_PAGE_SIZE);
    CHECK(take_large(&account) == NULL);
    for (size_t i = kept; i < ARRAY_SIZE(pages); i++) {
        pages[i] = wasm_pool_take_small(&account);
        CHECK(pages[i] != NULL && is_zero(pages[i], 1));
    }
    for (size_t i = 0; i < ARRAY_SIZE(pages); i++) wasm_pool_give_small(&account, pages[i]);
    wasm_pool_unreserve(&account, POOL_SIZE);
    check_empty();
}

TEST(large_page_comes_back_in_small_ones) {
    struct wasm_account account = {.limit = POOL_SIZE};
    struct page *large;

    start();
    CHECK(wasm_pool_reserve(&account, 4 * MIB));
    large = take_large(&account);
    CHECK(large != NULL && page_number(large) % WASM_POOL_BLOCK_PAGES == 0);
    memset(page_to_virt(large), 0xdd, LARGE_PAGE_SIZE);
    give_large(&account, large);
    CHECK_EQ(account.current, 0);
    wasm_pool_unreserve(&account, 4 * MIB);
    check_empty();
}

// Nothing of a block that is being zeroed is lost to anybody between two steps.
TEST(what_is_being_zeroed_can_be_taken) {
    static struct page *pages[POOL_SIZE / PAGE_SIZE];
    struct wasm_account account = {.limit = POOL_SIZE};
    struct pool_block *mine = NULL, *other = NULL;
    struct wasm_pool_stats stats;
    bool dirty;

    start();
    CHECK(wasm_pool_reserve(&account, POOL_SIZE));
    CHECK(wasm_pool_take_large(&account, &dirty) == NULL && dirty);
    CHECK(wasm_pool_clean_step(&mine) && wasm_pool_clean_step(&other));
    for (size_t i = 0; i < ARRAY_SIZE(pages); i++) {
        pages[i] = wasm_pool_take_small(&account);
        CHECK(pages[i] != NULL && is_zero(pages[i], 1));
        memset(page_to_virt(pages[i]), 0xff, PAGE_SIZE);
    }
    CHECK(!wasm_pool_clean_step(&mine) && !wasm_pool_clean_step(&other));
    CHECK(wasm_pool_take_large(&account, &dirty) == NULL && !dirty);
    for (size_t i = 0; i < ARRAY_SIZE(pages); i++) wasm_pool_give_small(&account, pages[i]);
    // Steps of both sizes end with the block.
    CHECK(wasm_pool_idle_step() && wasm_pool_clean_step(&mine));
    while (wasm_pool_clean_step(&mine)) continue;
    wasm_pool_get_stats(&stats);
    CHECK_EQ(stats.zeroed_blocks, 1);
    pages[0] = wasm_pool_take_large(&account, &dirty);
    CHECK(pages[0] != NULL && is_zero(pages[0], WASM_POOL_BLOCK_PAGES));
    give_large(&account, pages[0]);
    wasm_pool_unreserve(&account, POOL_SIZE);
    check_empty();
}

TEST(idle_zeroes_ahead_in_bounded_steps) {
    struct wasm_account account = {.limit = POOL_SIZE};
    struct wasm_pool_stats stats;
    struct page *page;
    unsigned steps = 0;

    start();
    CHECK(wasm_pool_reserve(&account, POOL_SIZE));
    for (int i = 0; i < 100; i++) CHECK(wasm_pool_idle_step());
    page = take_large(&account);
    CHECK(page != NULL && is_zero(page, WASM_POOL_BLOCK_PAGES));
    memset(page_to_virt(page), 1, LARGE_PAGE_SIZE);
    give_large(&account, page);
    while (wasm_pool_idle_step()) steps++;
    CHECK(steps > 100 && steps <= POOL_SIZE / (8 * PAGE_SIZE));
    wasm_pool_get_stats(&stats);
    CHECK_EQ(stats.zeroed_blocks, POOL_SIZE / LARGE_PAGE_SIZE);
    for (size_t i = 0; i < POOL_SIZE / LARGE_PAGE_SIZE; i++) {
        page = take_large(&account);
        CHECK(page != NULL && is_zero(page, WASM_POOL_BLOCK_PAGES));
        give_large(&account, page);
        page = wasm_pool_take_small(&account);
        wasm_pool_give_small(&account, page);
    }
    wasm_pool_unreserve(&account, POOL_SIZE);
    check_empty();
}

// The last case: a panic leaves the pool's lock held.
TEST(giving_twice_panics) {
    struct wasm_account account = {.limit = POOL_SIZE};
    struct page *pages[2];

    start();
    CHECK(wasm_pool_reserve(&account, MIB));
    pages[0] = wasm_pool_take_small(&account);
    pages[1] = wasm_pool_take_small(&account);
    wasm_pool_give_small(&account, pages[0]);
    CHECK_PANICS(wasm_pool_give_small(&account, pages[0]));
}
