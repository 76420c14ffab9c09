// A slot is 32 KiB of addresses: the upper half is the stack, the lower stays unmapped. A slot whose mapping was removed
// may be used again only when no CPU has it in its TLB, so stacks are given back in batches with one flush each.
#include "kernel/arch/x86_64/stack.h"

#include "kernel/arch/x86_64/arch.h"
#include "kernel/arch/x86_64/paging.h"
#include "kernel/arch/x86_64/vmap.h"
#include "kernel/core/assert.h"
#include "kernel/core/spinlock.h"
#include "lib/bitmap.h"

#define SLOT_SIZE (2 * KERNEL_STACK_SIZE)
#define SLOT_COUNT 65536u
#define STACK_PAGES (KERNEL_STACK_SIZE / PAGE_SIZE)
#define KEPT 16
#define BATCH 8

struct stack_cache {
    unsigned count;
    uint64_t top[KEPT];
} cacheline_aligned;
static struct stack_cache caches[CONFIG_MAX_CPUS];

static struct spinlock lock = SPINLOCK_INIT("kernel_stacks");  // guards slots; a leaf
static BITMAP(slots, SLOT_COUNT);
static uint32_t slot_hint, slots_used;

static uint64_t slot_top(size_t slot) { return VMAP_STACKS + (slot + 1) * SLOT_SIZE; }
static size_t top_slot(uint64_t top) { return (top - VMAP_STACKS) / SLOT_SIZE - 1; }

static size_t slot_take(void) {
    spin_lock(&lock);
    size_t slot = bitmap_find_clear(slots, SLOT_COUNT, slot_hint);
    if (slot == SLOT_COUNT) slot = bitmap_find_clear(slots, SLOT_COUNT, 0);
    if (slot != SLOT_COUNT) {
        bitmap_set(slots, slot);
        slot_hint = (uint32_t)slot + 1;
        slots_used++;
    }
    spin_unlock(&lock);
    return slot;
}

static void slot_give(size_t slot) {
    spin_lock(&lock);
    bitmap_clear(slots, slot);
    slots_used--;
    if (slot < slot_hint) slot_hint = (uint32_t)slot;
    spin_unlock(&lock);
}

static uint64_t page_address(uint64_t top, size_t page) { return top - KERNEL_STACK_SIZE + page * PAGE_SIZE; }

static int stack_map(uint64_t top) {
    const uint64_t flags = PTE_PRESENT | PTE_WRITE | PTE_NX | PTE_GLOBAL;
    for (size_t i = 0; i < STACK_PAGES; i++) {
        paddr_t page = arch_page_alloc();
        if (page.v != 0 && paging_map_kernel(page_address(top, i), page, flags) == 0) continue;
        if (page.v != 0) arch_page_free(page);
        return -1;
    }
    return 0;
}

static void flush(void *arg) {
    (void)arg;
    tlb_flush_all();
}

// Takes the mappings away everywhere, then gives pages and addresses back.
static size_t stacks_release(const uint64_t *tops, unsigned count) {
    paddr_t pages[BATCH * STACK_PAGES];
    size_t page_count = 0;
    for (unsigned s = 0; s < count; s++)
        for (size_t i = 0; i < STACK_PAGES; i++) {
            uint64_t size;
            pte_t *entry = paging_find(paging_kernel_root(), page_address(tops[s], i), &size);
            if (entry == NULL) continue;  // a stack that was mapped in part
            pages[page_count++] = paddr(*entry & PTE_ADDRESS);
            paging_unmap_kernel(page_address(tops[s], i));
        }
    uint64_t others = (cpu_count == 64 ? ~0ull : (1ull << cpu_count) - 1) & ~(1ull << cpu_id());
    if (others != 0) arch_call_cpus(others, flush, NULL);
    for (size_t i = 0; i < page_count; i++) arch_page_free(pages[i]);
    for (unsigned s = 0; s < count; s++) slot_give(top_slot(tops[s]));
    return page_count;
}

uint64_t kernel_stack_alloc(void) {
    struct stack_cache *c = &caches[cpu_id()];
    if (c->count > 0) return c->top[--c->count];
    size_t slot = slot_take();
    if (slot == SLOT_COUNT) return 0;
    uint64_t top = slot_top(slot);
    if (stack_map(top) == 0) return top;
    stacks_release(&top, 1);
    return 0;
}

void kernel_stack_free(uint64_t top) {
    struct stack_cache *c = &caches[cpu_id()];
    assert(top > VMAP_STACKS && top % SLOT_SIZE == 0);
    if (c->count == KEPT) {
        uint64_t batch[BATCH];
        c->count -= BATCH;
        for (unsigned i = 0; i < BATCH; i++) batch[i] = c->top[c->count + i];
        stacks_release(batch, BATCH);
        c = &caches[cpu_id()];
    }
    c->top[c->count++] = top;
}

size_t kernel_stack_drain(void) {
    struct stack_cache *c = &caches[cpu_id()];
    size_t pages = 0;
    while (c->count > 0) {
        unsigned count = c->count < BATCH ? c->count : BATCH;
        c->count -= count;
        pages += stacks_release(&c->top[c->count], count);
    }
    return pages;
}

uint64_t kernel_stack_count(void) { return __atomic_load_n(&slots_used, __ATOMIC_RELAXED); }

uint64_t kernel_stack_kept_pages(void) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < cpu_count; i++) sum += __atomic_load_n(&caches[i].count, __ATOMIC_RELAXED) * STACK_PAGES;
    return sum;
}

bool kernel_stack_is_guard(uint64_t address) {
    if (address < VMAP_STACKS || address >= VMAP_STACKS + (uint64_t)SLOT_COUNT * SLOT_SIZE) return false;
    return (address - VMAP_STACKS) % SLOT_SIZE < SLOT_SIZE - KERNEL_STACK_SIZE;
}
