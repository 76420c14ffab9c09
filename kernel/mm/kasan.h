// The address sanitizer of debug builds: which bytes of the direct map may be touched. In other builds nothing remains.
// One shadow byte covers 8 bytes: 0 all may be touched, 1-7 only the first so many, larger values none, and say why.
#pragma once
#include "kernel/core/config.h"
#include "kernel/core/types.h"
#include "kernel/mm/page.h"

enum kasan_reason {
    KASAN_PAGE_FREE = 0xff,      // a page of the page allocator
    KASAN_OBJECT_FREE = 0xfb,    // a free object of a cache
    KASAN_RED_ZONE = 0xfc,       // between objects
    KASAN_STACK_FREE = 0xf8,     // a kernel stack that no thread uses
};

#if CONFIG_KASAN
// Sets the shadow's memory (an eighth of RAM) aside; checks count from here on. After page_alloc_init, on the boot CPU.
// Panics when there is no room.
void kasan_init(void);
// `address` and, for poison, `size` are multiples of 8. Unpoisoning a size that is not leaves the rest of its last 8
// bytes poisoned. Memory outside the direct map has no shadow and is ignored.
void kasan_poison(const void *address, size_t size, enum kasan_reason reason);
void kasan_unpoison(const void *address, size_t size);
// Address of the first byte of [address, address + size) that may not be touched, or 0.
uint64_t kasan_first_bad(uint64_t address, size_t size);

// What the check before every access reads, so that it needs no call.
#define KASAN_BLOCK_SIZE (PAGE_SIZE << PAGE_MAX_ORDER)
struct kasan_live {
    uint64_t size;     // of the direct map, as far as it may have a shadow; 0 until kasan_init is done
    uint8_t **shadow;  // of each block; NULL: nothing in it is poisoned
};
extern struct kasan_live kasan_live;

// The live shadow of the block that this place in the direct map is in; NULL: all of it may be touched.
static inline const uint8_t *kasan_shadow_of(uint64_t physical) {
    if (physical >= __atomic_load_n(&kasan_live.size, __ATOMIC_ACQUIRE)) return NULL;
    return __atomic_load_n(&kasan_live.shadow[physical / KASAN_BLOCK_SIZE], __ATOMIC_ACQUIRE);
}

// Whether an access inside one group of 8 bytes touches a group that is open as a whole: what nearly all of them do.
static inline bool kasan_group_is_open(uint64_t address) {
    uint64_t physical = address - direct_map_base;
    const uint8_t *shadow = kasan_shadow_of(physical);
    return shadow == NULL || shadow[physical % KASAN_BLOCK_SIZE / 8] == 0;
}
#else
static inline void kasan_init(void) {}
static inline void kasan_poison(const void *address, size_t size, enum kasan_reason reason) {}
static inline void kasan_unpoison(const void *address, size_t size) {}
#endif
