// Debug builds: freed pages are filled with a pattern, which must still be there when they are allocated again; who
// allocated or freed a page last is noted; KASAN knows which pages may be touched.
#include "kernel/mm/kasan.h"
#include "kernel/mm/page_buddy.h"

#define POISON 0x6b6b6b6b6b6b6b6bul

// Eight words a round: each page that is allocated comes by here.
static bool is_poisoned(const uint64_t *words) {
    for (const uint64_t *end = words + PAGE_SIZE / sizeof(*words); words < end; words += 8) {
        uint64_t wrong = (words[0] ^ POISON) | (words[1] ^ POISON) | (words[2] ^ POISON) | (words[3] ^ POISON);
        wrong |= (words[4] ^ POISON) | (words[5] ^ POISON) | (words[6] ^ POISON) | (words[7] ^ POISON);
        if (wrong != 0) return false;
    }
    return true;
}

// Nothing tells a freed page from fresh memory but its content: it counts as poisoned when both ends still are.
static void check_poison(struct page *page) {
    const uint64_t *words = page_to_virt(page);
    size_t last = PAGE_SIZE / sizeof(*words) - 1;

    if (words[0] != POISON || words[last] != POISON || is_poisoned(words)) return;
    for (size_t i = 0; i < last; i++) {
        if (words[i] != POISON)
            panic("page %#lx was written at offset %#lx after it was freed by %#lx: %#lx", page_number(page),
                  i * sizeof(*words), page->allocated_by, words[i]);
    }
}

static void fill_with_poison(void *virt, size_t size) {
    size_t words = size / 8;

    __asm__ volatile("rep stosq" : "+D"(virt), "+c"(words) : "a"(POISON) : "memory");
}

void page_debug_allocated(struct page *page, unsigned order, void *caller) {
    kasan_unpoison(page_to_virt(page), PAGE_SIZE << order);
    for (size_t i = 0; i < 1ul << order; i++) check_poison(&page[i]);
    page->allocated_by = (uint64_t)caller;
}

void page_debug_freed(struct page *page, unsigned order, void *caller) {
    page->allocated_by = (uint64_t)caller;
    fill_with_poison(page_to_virt(page), PAGE_SIZE << order);
    kasan_poison(page_to_virt(page), PAGE_SIZE << order, KASAN_PAGE_FREE);
}
