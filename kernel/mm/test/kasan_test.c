// KASAN's shadow: which bytes may be touched as pages and objects come and go. The compiler's checks are not part of it.
#undef CONFIG_KASAN
#define CONFIG_KASAN 1
#include "kernel/mm/kasan.c"
#include "kernel/mm/slub.c"
#include "kernel/mm/slub_slab.c"
#include "kernel/mm/slub_slow.c"
#include "kernel/mm/slub_share.c"
#include "kernel/mm/slub_cache.c"
#include "kernel/mm/slub_debug.c"
#include "kernel/mm/page_alloc.c"
#include "kernel/mm/page_buddy.c"
#include "kernel/mm/page_release.c"
#include "kernel/mm/page_cpu_cache.c"
#include "kernel/mm/page_debug.c"
#include "tests/unit/machine_host.h"
#include "tests/unit/unit.h"

static const struct mem_range machine[] = {{0x1000, 0x9e000}, {0x100000, (128ul << 20) - 0x100000}};

static void start(void) {
    static bool started;

    if (started) return;
    started = true;
    host_memory_init(128ul << 20);
    host_cpus_init(1);
    page_alloc_init(machine, ARRAY_SIZE(machine));
    kasan_init();
    slub_init();
}

static bool allowed(const void *address, size_t size) { return kasan_first_bad((uint64_t)address, size) == 0; }

TEST(bytes_are_counted_in_the_last_group) {
    char *page;

    start();
    page = page_to_virt(page_alloc(0));
    CHECK(allowed(page, PAGE_SIZE));
    kasan_poison(page, 64, KASAN_RED_ZONE);
    CHECK(!allowed(page, 1));
    CHECK(!allowed(page + 60, 8));
    CHECK(allowed(page + 64, 8));
    kasan_unpoison(page + 8, 13);
    CHECK(allowed(page + 8, 13));
    CHECK(allowed(page + 16, 5));
    CHECK(allowed(page + 20, 1));
    CHECK_EQ(kasan_first_bad((uint64_t)page + 20, 2), page + 21);
    CHECK_EQ(kasan_first_bad((uint64_t)page + 8, 100), page + 21);
    CHECK_EQ(kasan_first_bad((uint64_t)page + 7, 1), page + 7);
    CHECK_EQ(kasan_first_bad((uint64_t)page + 22, 1), page + 22);
    kasan_unpoison(page, 64);
    CHECK(allowed(page, PAGE_SIZE));
}

TEST(freed_pages_are_closed) {
    struct page *page, *block;

    start();
    page = page_alloc(0);
    block = page_alloc_block(3, 0);
    CHECK(allowed(page_to_virt(page), PAGE_SIZE) && allowed(page_to_virt(block), 8 * PAGE_SIZE));
    page_free(page);
    page_free_block(block, 3);
    CHECK(!allowed(page_to_virt(page), 1) && !allowed((char *)page_to_virt(block) + 7 * PAGE_SIZE, 1));
    page = page_alloc(PAGE_ALLOC_ZERO);
    CHECK(allowed(page_to_virt(page), PAGE_SIZE));
}

TEST(objects_are_open_exactly_while_out) {
    start();
    for (size_t size = 1; size <= 9000; size += size < 300 ? 1 : 777) {
        char *object = kmalloc(size);

        CHECK(object != NULL && allowed(object, size));
        if (size <= KMALLOC_MAX_SIZE) CHECK(!allowed(object + size, 1) && !allowed(object - 1, 1));
        kfree(object);
        CHECK(!allowed(object, 1) && !allowed(object + size - 1, 1));
    }
    slub_shrink_all();
}

TEST(memory_elsewhere_has_no_shadow) {
    start();
    CHECK(allowed((void *)0x1000, 8));
    CHECK(allowed((void *)(direct_map_base + (1ul << 40)), 8));
    kasan_poison((void *)(direct_map_base + (1ul << 40)), 4096, KASAN_RED_ZONE);
}
