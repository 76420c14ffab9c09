// Walking page tables by what is present in them: empty ranges cost next to nothing whatever their size.
#pragma once
#include "kernel/arch/x86_64/arch.h"
#include "kernel/arch/x86_64/paging.h"

#define PTE_SOURCE PTE_SOFT_1  // shows a page of an overlay's source

// The next present leaf at or after *address and below end: its entry, *address set to the first address it maps (or
// left inside a 2 MiB leaf), *size to its size. NULL: none.
pte_t *pte_next(paddr_t root, uint64_t *address, uint64_t end, uint64_t *size);
// The same past no more than *tables empty page tables, which it takes off: NULL with *address below end when it came no further.
pte_t *pte_next_few(paddr_t root, uint64_t *address, uint64_t end, uint64_t *size, unsigned *tables);

// The 4 KiB entry of address where its tables are all there, else NULL. The way of every fault.
static inline pte_t *pte_leaf(paddr_t root, uint64_t address) {
    pte_t *table = phys_to_virt(root);
    for (unsigned shift = 39; shift > PAGE_SHIFT; shift -= 9) {
        pte_t entry = table[address >> shift & 511];
        if (unlikely((entry & (PTE_PRESENT | PTE_LARGE)) != PTE_PRESENT)) return NULL;
        table = phys_to_virt(paddr(entry & PTE_ADDRESS));
    }
    return &table[address >> PAGE_SHIFT & 511];
}
