// What the compiler calls before each access of instrumented code, and the report of a bad one.
#include "kernel/core/log.h"
#include "kernel/mm/kasan.h"
#include "kernel/mm/page.h"
#include "kernel/mm/slub.h"

#if CONFIG_KASAN

static void describe_object(const struct page *page, uint64_t bad) {
    const struct kmem_cache *cache = page->slab.cache;
    uint64_t first = (uint64_t)page_to_virt(page) + cache->red_zone;
    uint64_t index = bad < first ? 0 : (bad - first) / cache->stride;
    uint64_t object = first + index * cache->stride;

    log_error("  near object %#lx of cache %s (%u bytes): offset %ld", object, cache->name, cache->object_size,
              (int64_t)(bad - object));
}

static void describe(uint64_t bad) {
    const struct page *page = virt_to_page((void *)bad);

    log_error("  page %#lx, type %#x, last allocated or freed by %#lx", page_number(page), page->type, page->allocated_by);
    if (page->type == PAGE_SLAB_TAIL) page = page->slab_head;
    if (page->type == PAGE_SLAB) describe_object(page, bad);
}

static const char *reason_of(uint64_t bad) {
    // A single byte's answer tells which kind of poison lies there.
    const struct page *page = virt_to_page((void *)bad);

    if (page->type == PAGE_SLAB || page->type == PAGE_SLAB_TAIL) return "object freed, or beyond its end";
    return "page freed";
}

static coldpath void report(uint64_t address, size_t size, bool write, uint64_t bad, uint64_t caller) {
    static bool reporting;

    // Describing touches memory too.
    if (__atomic_exchange_n(&reporting, true, __ATOMIC_ACQ_REL)) return;
    log_error("KASAN: %s of %zu bytes at %#lx from %#lx: byte %#lx must not be touched (%s)", write ? "write" : "read", size,
              address, caller, bad, reason_of(bad));
    describe(bad);
    panic("KASAN: bad memory access at %#lx", bad);
}

static coldpath void check_slowly(uint64_t address, size_t size, bool write, uint64_t caller) {
    uint64_t bad = kasan_first_bad(address, size);

    if (bad != 0) report(address, size, write, bad, caller);
}

// Debug builds spend most of their time here.
static inline void check(uint64_t address, size_t size, bool write, uint64_t caller) {
    if (likely(address % 8 + size <= 8 && kasan_group_is_open(address))) return;
    check_slowly(address, size, write, caller);
}

#define CALLER ((uint64_t)__builtin_return_address(0))

// clang and gcc call the _noabort forms for the kernel; lib/string.c the plain ones.
#define DEFINE_CHECK(size)                                                                                  \
    void __asan_load##size##_noabort(uint64_t address);                                                     \
    void __asan_load##size##_noabort(uint64_t address) { check(address, size, false, CALLER); }             \
    void __asan_store##size##_noabort(uint64_t address);                                                    \
    void __asan_store##size##_noabort(uint64_t address) { check(address, size, true, CALLER); }

DEFINE_CHECK(1)
DEFINE_CHECK(2)
DEFINE_CHECK(4)
DEFINE_CHECK(8)
DEFINE_CHECK(16)

void __asan_loadN_noabort(uint64_t address, size_t size);
void __asan_loadN_noabort(uint64_t address, size_t size) { check(address, size, false, CALLER); }
void __asan_storeN_noabort(uint64_t address, size_t size);
void __asan_storeN_noabort(uint64_t address, size_t size) { check(address, size, true, CALLER); }
void __asan_loadN(unsigned long address, size_t size);
void __asan_loadN(unsigned long address, size_t size) { check(address, size, false, CALLER); }
void __asan_storeN(unsigned long address, size_t size);
void __asan_storeN(unsigned long address, size_t size) { check(address, size, true, CALLER); }

// Stacks are not poisoned, so there is nothing to undo when a function does not return.
void __asan_handle_no_return(void);
void __asan_handle_no_return(void) {}

#endif
