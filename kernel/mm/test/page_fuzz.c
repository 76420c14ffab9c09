// Operations on the page allocator, chosen by the input, against a model: no page is given out twice, and in the end all
// are back.
// The code of a release build is included: filling blocks with poison would be most of the work.
#undef CONFIG_DEBUG
#define CONFIG_DEBUG 0
#include "kernel/mm/page_alloc.c"
#include "kernel/mm/page_buddy.c"
#include "kernel/mm/page_release.c"
#include "kernel/mm/page_cpu_cache.c"
#include "kernel/mm/page_debug.c"
#include <stdlib.h>
#include <string.h>

#include "kernel/mm/page_buddy.h"
#include "kernel/mm/page_cpu_cache.h"
#include "tests/unit/kernel_host.h"
#include "tests/unit/machine_host.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MIB (1ul << 20)
enum { CPUS = 2, HELD = 256, RUN = 100 };

static const struct mem_range machine[] = {{0x3000, 0x9c000}, {0x100000, 3 * MIB}, {9 * MIB, 13 * MIB}};

static struct {
    struct page *page;
    size_t count;
    unsigned kind;  // an order, or RUN
} held[HELD];
static unsigned held_count;
static unsigned char used[22 * MIB / PAGE_SIZE];

static void start(void) {
    static bool started;

    if (!started) host_memory_init(24 * MIB);
    started = true;
    host_cpus_init(CPUS);
    memset(&page_heap, 0, sizeof(page_heap));
    memset(used, 0, sizeof(used));
    held_count = 0;
    spin_init(&page_heap.lock, "page heap");
    page_alloc_init(machine, ARRAY_SIZE(machine));
    for (uint32_t i = 0; i < CPUS; i++) {
        page_cpu_init(&cpus[i]);
        cpus[i].pages->count = 0;
    }
}

static void mark(const struct page *page, size_t count, unsigned char value) {
    for (size_t i = 0; i < count; i++) {
        unsigned char *byte = &used[page_number(page) + i];

        if (*byte == value || !page_is_ram(page_to_phys(page + i))) abort();
        *byte = value;
    }
}

static void take(unsigned kind, size_t count, unsigned flags) {
    struct page *page;

    if (held_count == HELD) return;
    page = kind == RUN ? page_alloc_contiguous(count, flags) : page_alloc_block(kind, flags);
    if (page == NULL) return;
    mark(page, count, 1);
    held[held_count].page = page;
    held[held_count].count = count;
    held[held_count++].kind = kind;
}

static void give(unsigned index) {
    mark(held[index].page, held[index].count, 0);
    if (held[index].kind == RUN)
        page_free_contiguous(held[index].page, held[index].count);
    else
        page_free_block(held[index].page, held[index].kind);
    held[index] = held[--held_count];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint64_t before, out = 0;

    start();
    before = page_free_count();
    for (size_t i = 0; i + 1 < size; i += 2) {
        uint8_t operation = data[i], argument = data[i + 1];

        unit_become_cpu(operation >> 7);
        switch (operation % 8) {
        case 0:
        case 1:
            take(0, 1, argument % 4);
            break;
        case 2:
            take(argument % (PAGE_MAX_ORDER + 1), 1ul << argument % (PAGE_MAX_ORDER + 1), argument >> 7);
            break;
        case 3:
            take(RUN, 1 + argument * 4u, 0);
            break;
        case 4:
            page_drain_caches();
            break;
        default:
            if (held_count != 0) give(argument % held_count);
            break;
        }
    }
    for (unsigned i = 0; i < held_count; i++) out += held[i].count;
    if (page_free_count() + out != before) abort();
    while (held_count != 0) give(0);
    page_drain_caches();
    if (page_free_count() != before || page_cpu_caches_count() != 0) abort();
    return 0;
}
