// The address sanitizer of debug builds: which bytes of the direct map may be touched. In other builds nothing remains.
// One shadow byte covers 8 bytes: 0 all may be touched, 1-7 only the first so many, larger values none, and say why.
#pragma once
#include "kernel/core/config.h"
#include "kernel/core/types.h"

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
#else
static inline void kasan_init(void) {}
static inline void kasan_poison(const void *address, size_t size, enum kasan_reason reason) {}
static inline void kasan_unpoison(const void *address, size_t size) {}
#endif
