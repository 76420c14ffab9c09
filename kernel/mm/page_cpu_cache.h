// A CPU's stock of free single pages: what makes page_alloc and page_free short. Touched by its own CPU only.
#pragma once
#include "kernel/mm/page.h"

#define PAGE_CPU_CACHE_SIZE 127
#define PAGE_CPU_CACHE_BATCH 32  // pages moved from or to the buddy lists at a time

struct page_cpu_cache {
    uint64_t count;
    struct page *pages[PAGE_CPU_CACHE_SIZE];  // the last one is the next to be given out: likely still in the CPU's cache
};
_Static_assert(sizeof(struct page_cpu_cache) % CACHE_LINE == 0, "no line holds two CPUs' parts");

static inline struct page_cpu_cache *page_cpu_cache_mine(void) {
    struct page_cpu_cache *cache;

    __asm__("movq %%gs:%c1, %0" : "=r"(cache) : "i"(offsetof(struct cpu, pages)));
    return cache;
}

// Takes the running CPU's cached pages out of it; linked by buddy.next.
struct page *page_cpu_cache_unload(void);
// Gives the pages of all CPU caches to the buddy lists; returns how many.
size_t page_cpu_caches_drain(void);
uint64_t page_cpu_caches_count(void);
