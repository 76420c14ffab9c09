#include "kernel/mm/pte.h"

#include "kernel/arch/x86_64/arch.h"
#include "kernel/mm/aspace.h"
#include "kernel/mm/tlb.h"

#define TABLE_ENTRIES 512
#define TOP_SHIFT 39
#define TABLE_BITS 9

static const pte_t *table_at(uint64_t entry) { return phys_to_virt(paddr(entry & PTE_ADDRESS)); }

pte_t *pte_next(paddr_t root, uint64_t *address, uint64_t end, uint64_t *size) {
    uint64_t at = *address;
    while (at < end) {
        const pte_t *table = table_at(root.v);
        unsigned shift = TOP_SHIFT;
        for (;;) {
            unsigned first = (unsigned)(at >> shift) & (TABLE_ENTRIES - 1), i = first;
            while (i < TABLE_ENTRIES && !(table[i] & PTE_PRESENT)) i++;
            if (i != first) at = ((at >> shift) - first + i) << shift;
            if (i == TABLE_ENTRIES || at >= end) break;
            if (shift == PAGE_SHIFT || table[i] & PTE_LARGE) {
                *address = at;
                *size = 1ull << shift;
                return (pte_t *)&table[i];
            }
            table = table_at(table[i]);
            shift -= TABLE_BITS;
        }
    }
    return NULL;
}

static bool change_range(struct mapping *m, uint64_t *start, uint64_t end, bool source_only, unsigned budget,
                         struct tlb_batch *batch, pte_t keep) {
    uint64_t size;
    for (pte_t *entry; (entry = pte_next(m->aspace->root, start, end, &size)) != NULL;) {
        if (budget-- == 0) return false;
        pte_t old = *entry, fresh = old & keep;
        if (!(fresh & PTE_PRESENT)) fresh = 0;
        if (fresh != old && (!source_only || old & PTE_SOURCE)) {
            __atomic_store_n(entry, fresh, __ATOMIC_RELAXED);
            if (old & PTE_ACCESSED) tlb_batch_add(batch, *start);
        }
        *start = align_down(*start, size) + size;
    }
    *start = end;
    return true;
}

bool mapping_clear(struct mapping *m, uint64_t *start, uint64_t end, bool source_only, unsigned budget,
                   struct tlb_batch *batch) {
    return change_range(m, start, end, source_only, budget, batch, 0);
}

bool mapping_write_protect(struct mapping *m, uint64_t *start, uint64_t end, unsigned budget, struct tlb_batch *batch) {
    return change_range(m, start, end, false, budget, batch, ~(pte_t)PTE_WRITE);
}
