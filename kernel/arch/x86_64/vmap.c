#include "kernel/arch/x86_64/vmap.h"

#include "kernel/arch/x86_64/arch.h"
#include "kernel/arch/x86_64/boot.h"
#include "kernel/arch/x86_64/paging.h"
#include "kernel/core/log.h"
#include "kernel/core/spinlock.h"
#include "lib/util.h"

#define WINDOW_PAGES 512
#define MAX_BOOT_MAP (1ull << 20)

static struct spinlock lock = SPINLOCK_INIT("vmap");
static unsigned window_used;
static uint64_t devices_next = VMAP_DEVICES;

// The window's entries, through the direct map.
static pte_t *window_table(void) { return phys_to_virt(paddr(boot_window_table)); }

// An earlier mapping of the same pages.
static unsigned window_find(uint64_t base, unsigned pages, uint64_t flags) {
    const pte_t *table = window_table();
    for (unsigned at = 0; at + pages <= window_used; at++) {
        unsigned i = 0;
        while (i < pages && (table[at + i] & ~(pte_t)(PTE_ACCESSED | PTE_DIRTY)) == ((base + i * PAGE_SIZE) | flags)) i++;
        if (i == pages) return at;
    }
    return WINDOW_PAGES;
}

void *vmap_boot(paddr_t physical, uint64_t size, bool device) {
    uint64_t base = align_down(physical.v, PAGE_SIZE), end;
    uint64_t flags = PTE_PRESENT | PTE_NX | (device ? PTE_WRITE | PTE_CACHE_DISABLE | PTE_WRITE_THROUGH : 0);
    if (size == 0 || size > MAX_BOOT_MAP || !checked_add(physical.v, size, &end) || end > 1ull << 46) return NULL;
    unsigned pages = (unsigned)((align_up(end, PAGE_SIZE) - base) / PAGE_SIZE);
    unsigned at = window_find(base, pages, flags);
    if (at == WINDOW_PAGES) {
        if (window_used + pages > WINDOW_PAGES) {
            log_warn("no room to map %#lx at %#lx during boot", size, physical.v);
            return NULL;
        }
        at = window_used;
        for (unsigned i = 0; i < pages; i++) window_table()[at + i] = (base + i * PAGE_SIZE) | flags;
        window_used += pages;
    }
    return (void *)(VMAP_BOOT_WINDOW + at * PAGE_SIZE + (physical.v - base));
}

uint64_t vmap_reserve(uint64_t size) {
    spin_lock(&lock);
    uint64_t address = devices_next;
    bool fits = range_fits(address, size + 2 * PAGE_SIZE, VMAP_END);
    if (fits) devices_next = align_up(address + size, PAGE_SIZE) + PAGE_SIZE;  // an unmapped page between
    spin_unlock(&lock);
    return fits ? address : 0;
}

void *vmap_device(paddr_t physical, uint64_t size) {
    uint64_t base = align_down(physical.v, PAGE_SIZE), end;
    const uint64_t flags = PTE_PRESENT | PTE_WRITE | PTE_NX | PTE_CACHE_DISABLE | PTE_WRITE_THROUGH | PTE_GLOBAL;
    if (size == 0 || !checked_add(physical.v, size, &end) || end > 1ull << 46) return NULL;
    uint64_t address = vmap_reserve(end - base);
    if (address == 0) return NULL;
    for (uint64_t at = 0; at < end - base; at += PAGE_SIZE)
        if (paging_map_kernel(address + at, paddr(base + at), flags) != 0) {
            while (at > 0) paging_unmap_kernel(address + (at -= PAGE_SIZE));
            return NULL;
        }
    return (void *)(address + (physical.v - base));
}
