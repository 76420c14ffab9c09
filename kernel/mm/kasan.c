// The shadow memory of KASAN. The compiler calls kasan_check.c before every access, so the shadow may lie anywhere: each
// maximal block of the page allocator (4 MiB) has a piece of shadow (512 KiB) of its own, found through a table. A piece is
// cleared when the first byte in its block is poisoned; until then all of the block may be touched.
#include "kernel/mm/kasan.h"

#include "kernel/core/spinlock.h"
#include "kernel/mm/page.h"

#if CONFIG_KASAN

#define SHADOW_SIZE (KASAN_BLOCK_SIZE / 8)
#define MAX_RANGES 8

// Each block's shadow; NULL: no RAM there. Checks look into `live` instead: NULL there until the piece is cleared, since
// nothing in the block is poisoned before.
static uint8_t **shadows;
struct kasan_live kasan_live;
static struct spinlock clear_lock = SPINLOCK_INIT("kasan shadow");

static bool block_has_ram(uint64_t block) {
    for (uint64_t at = block * KASAN_BLOCK_SIZE; at < (block + 1) * KASAN_BLOCK_SIZE; at += PAGE_SIZE) {
        if (page_is_ram(paddr(at))) return true;
    }
    return false;
}

static uint8_t **pointers_alloc(uint64_t count) {
    struct page *page = page_alloc_block(log2_ceil(div_round_up(count * sizeof(uint8_t *), PAGE_SIZE)), PAGE_ALLOC_ZERO);

    if (page == NULL) panic("no memory for the KASAN tables of %lu blocks", count);
    return page_to_virt(page);
}

void kasan_init(void) {
    struct mem_range ranges[MAX_RANGES];
    uint64_t blocks = page_array_count / PAGE_BLOCK_PAGES, with_ram = 0, used = 0;
    unsigned count, range = 0;

    shadows = pointers_alloc(blocks);
    kasan_live.shadow = pointers_alloc(blocks);
    for (uint64_t i = 0; i < blocks; i++) with_ram += block_has_ram(i);
    count = page_set_aside(with_ram * SHADOW_SIZE, ranges, MAX_RANGES);
    if (count == 0) panic("no memory for the KASAN shadow of %lu MiB", with_ram * KASAN_BLOCK_SIZE >> 20);
    for (uint64_t i = 0; i < blocks; i++) {
        if (!block_has_ram(i)) continue;
        if (used + SHADOW_SIZE > ranges[range].size) {
            used = 0;
            if (++range == count) panic("memory for the KASAN shadow is in too many pieces");
        }
        shadows[i] = phys_to_virt(paddr(ranges[range].base + used));
        used += SHADOW_SIZE;
    }
    __atomic_store_n(&kasan_live.size, blocks * KASAN_BLOCK_SIZE, __ATOMIC_RELEASE);
}

// The shadow of the block, ready for use; NULL: it has none.
static uint8_t *shadow_ready(uint64_t physical) {
    uint64_t block = physical / KASAN_BLOCK_SIZE;

    if (physical >= __atomic_load_n(&kasan_live.size, __ATOMIC_ACQUIRE) || shadows[block] == NULL) return NULL;
    if (__atomic_load_n(&kasan_live.shadow[block], __ATOMIC_ACQUIRE) != NULL) return shadows[block];
    spin_lock(&clear_lock);
    if (kasan_live.shadow[block] == NULL) {
        page_zero_range(shadows[block], SHADOW_SIZE / PAGE_SIZE);
        __atomic_store_n(&kasan_live.shadow[block], shadows[block], __ATOMIC_RELEASE);
    }
    spin_unlock(&clear_lock);
    return shadows[block];
}

// A page's shadow is 512 bytes: by words, as a string instruction counts each byte under emulation.
static void fill_shadow(uint8_t *at, uint8_t value, size_t count) {
    uint64_t word = value * 0x0101010101010101ull;

    for (; count != 0 && (uint64_t)at % 8 != 0; at++, count--) *(volatile uint8_t *)at = value;
    for (; count >= 32; at += 32, count -= 32) {
        volatile uint64_t *words = (volatile uint64_t *)at;

        words[0] = word;
        words[1] = word;
        words[2] = word;
        words[3] = word;
    }
    for (; count != 0; at++, count--) *(volatile uint8_t *)at = value;
}

// Sets the shadow of whole groups of 8 bytes, block by block.
static void set_groups(uint64_t physical, size_t size, uint8_t value) {
    while (size != 0) {
        uint64_t offset = physical % KASAN_BLOCK_SIZE;
        uint64_t piece = MIN(size, KASAN_BLOCK_SIZE - offset);
        uint8_t *shadow = value != 0 || kasan_shadow_of(physical) != NULL ? shadow_ready(physical) : NULL;

        if (shadow != NULL) fill_shadow(shadow + offset / 8, value, piece / 8);
        physical += piece;
        size -= piece;
    }
}

void kasan_poison(const void *address, size_t size, enum kasan_reason reason) {
    set_groups(virt_to_phys(address).v, align_down(size, 8), (uint8_t)reason);
}

void kasan_unpoison(const void *address, size_t size) {
    uint64_t physical = virt_to_phys(address).v;

    set_groups(physical, align_down(size, 8), 0);
    if (size % 8 != 0) set_groups(physical + align_down(size, 8), 8, (uint8_t)(size % 8));
}

uint64_t kasan_first_bad(uint64_t address, size_t size) {
    uint64_t end = address + size;

    for (uint64_t at = address; at < end; at = align_down(at, 8) + 8) {
        uint64_t physical = at - direct_map_base;
        const uint8_t *shadow = kasan_shadow_of(physical);
        uint8_t value;
        uint64_t limit;

        if (shadow == NULL) continue;
        value = shadow[physical % KASAN_BLOCK_SIZE / 8];
        if (likely(value == 0)) continue;
        limit = value < 8 ? align_down(at, 8) + value : 0;  // the group's bytes below this are good
        if (limit < MIN(end, align_down(at, 8) + 8)) return MAX(at, limit);
    }
    return 0;
}

#endif
