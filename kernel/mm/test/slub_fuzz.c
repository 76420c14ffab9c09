// Operations on SLUB from three CPUs, chosen by the input, against a model: objects keep what was written to them, and in
// the end every page is back.
// The code of a release build is included: filling objects with poison would be most of the work.
#undef CONFIG_DEBUG
#define CONFIG_DEBUG 0
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
#include <stdlib.h>
#include <string.h>

#include "kernel/mm/page_buddy.h"
#include "kernel/mm/page_cpu_cache.h"
#include "kernel/mm/slub_internal.h"
#include "tests/unit/kernel_host.h"
#include "tests/unit/machine_host.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MIB (1ul << 20)
enum { CPUS = 3, HELD = 2000 };

static const struct mem_range machine[] = {{0x100000, 7 * MIB}};
static struct {
    unsigned char *data;
    size_t size;
    unsigned char mark;
} held[HELD];
static unsigned held_count;

static uint64_t start(void) {
    static bool started;
    static uint64_t free_pages;

    host_cpus_init(CPUS);
    held_count = 0;
    if (!started) host_memory_init(8 * MIB);
    started = true;
    memset(&page_heap, 0, sizeof(page_heap));
    spin_init(&page_heap.lock, "page heap");
    page_alloc_init(machine, 1);
    slub_cache_count = 0;
    for (uint32_t i = 0; i < CPUS; i++) {
        page_cpu_init(&cpus[i]);
        cpus[i].pages->count = 0;
    }
    slub_init();
    for (uint32_t i = 1; i < CPUS; i++) {
        if (slub_cpu_init(&cpus[i]) != 0) abort();
    }
    free_pages = page_free_count();
    return free_pages;
}

static void take(size_t size, unsigned char mark) {
    if (held_count == HELD) return;
    held[held_count].data = kmalloc(size);
    if (held[held_count].data == NULL) return;
    held[held_count].size = size;
    held[held_count].mark = mark;
    memset(held[held_count++].data, mark, size);
}

static void give(unsigned index) {
    for (size_t i = 0; i < held[index].size; i++) {
        if (held[index].data[i] != held[index].mark) abort();
    }
    kfree(held[index].data);
    held[index] = held[--held_count];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint64_t before = start();
    struct slub_stats stats;

    // One operation may be hundreds of allocations: more of them find nothing new.
    size = MIN(size, (size_t)256);
    for (size_t i = 0; i + 1 < size; i += 2) {
        uint8_t operation = data[i], argument = data[i + 1];

        unit_become_cpu(operation / 16 % CPUS);
        switch (operation % 8) {
        case 0:
            take(1 + argument * 40u, argument);
            break;
        case 1:
        case 2:
            for (unsigned k = 0; k < argument; k++) take(100, (unsigned char)k);
            break;
        case 3:
            if (argument < 16) slub_shrink_all();
            break;
        case 4:
            for (unsigned k = 0; k < argument && held_count != 0; k++) give(held_count - 1);
            break;
        default:
            for (unsigned k = 0; k < 20 && held_count != 0; k++) give((argument + k * 31u) % held_count);
            break;
        }
    }
    while (held_count != 0) give(0);
    slub_shrink_all();
    for (unsigned i = 0; slub_get_stats(i, &stats); i++) {
        if (stats.live != 0 || stats.slabs != 0) abort();
    }
    if (page_free_count() != before) abort();
    return 0;
}
