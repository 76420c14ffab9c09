// Page tables: 4 levels, 4 KiB and 2 MiB leaves. No locking here: the caller (address space, boot) serialises changes to
// one root and does the TLB shoot-down with the helpers below.
#pragma once
#include "kernel/core/types.h"

enum {
    PTE_PRESENT = 1 << 0,
    PTE_WRITE = 1 << 1,
    PTE_USER = 1 << 2,
    PTE_WRITE_THROUGH = 1 << 3,
    PTE_CACHE_DISABLE = 1 << 4,
    PTE_ACCESSED = 1 << 5,
    PTE_DIRTY = 1 << 6,
    PTE_LARGE = 1 << 7,
    PTE_GLOBAL = 1 << 8,
    PTE_SOFT_1 = 1 << 9,  // free for kernel/mm
    PTE_SOFT_2 = 1 << 10,
    PTE_SOFT_3 = 1 << 11,
};
#define PTE_NX (1ull << 63)
#define PTE_ADDRESS 0x000ffffffffff000ull

typedef uint64_t pte_t;

// A page-table root: the physical address of a PML4 whose upper half is the kernel's.
// A page for tables: zeroed, or 0 address. Provided by mm (kernel/mm/aspace): charged where the current operation says.
paddr_t paging_table_alloc(void *context);
void paging_table_free(void *context, paddr_t table);

// Makes a root with the kernel half filled in; {0} when out of memory. It ends when all tables made for the context are freed.
paddr_t paging_root_create(void *context);

// The entry that maps `address` at leaf level (size 4096 or LARGE_PAGE_SIZE). With `create`, makes missing tables
// (NULL: no memory, or a larger leaf is in the way). Without, NULL when absent.
pte_t *paging_entry(void *context, paddr_t root, uint64_t address, uint64_t size, bool create);
// Finds the leaf that covers address; *size gets its size. NULL when none.
pte_t *paging_find(paddr_t root, uint64_t address, uint64_t *size);
// Frees user tables that lie wholly inside [start, end) and hold no entry, until it has looked at *budget of the lowest level: *budget
// becomes what is left. Returns how many were freed.
size_t paging_prune(void *context, paddr_t root, uint64_t start, uint64_t end, unsigned *budget);

// Kernel-half mapping, for stacks, MMIO and KASAN shadow. Atomic against other CPUs (own lock). 0 or -ENOMEM.
int paging_map_kernel(uint64_t address, paddr_t frame, uint64_t flags);
// Flushes this CPU only: before the frame is used again the caller makes the others do so (arch_call_cpus).
void paging_unmap_kernel(uint64_t address);

// Loads a root (CR3) on this CPU; `asid` is the PCID where the CPU has it, else ignored.
extern bool paging_load_checks;  // the processor has PCID, or wants a barrier between address spaces
void paging_load_checked(paddr_t root, uint16_t asid);
static inline void paging_load(paddr_t root, uint16_t asid) {
    if (unlikely(paging_load_checks))
        paging_load_checked(root, asid);
    else
        __asm__ volatile("mov %0, %%cr3" : : "r"(root.v) : "memory");
}
paddr_t paging_kernel_root(void);
void paging_init(void);  // boot CPU: takes the running root over as the kernel's
// TLB of this CPU only.
void tlb_flush_page(uint64_t address);
void tlb_flush_all(void);
