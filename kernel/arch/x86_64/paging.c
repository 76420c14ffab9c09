#include "kernel/arch/x86_64/paging.h"

#include "abi/gen/errors.h"
#include "kernel/arch/x86_64/arch.h"
#include "kernel/arch/x86_64/cpu_asm.h"
#include "kernel/arch/x86_64/features.h"
#include "kernel/arch/x86_64/kpti.h"
#include "kernel/arch/x86_64/percpu.h"
#include "kernel/core/assert.h"
#include "kernel/core/spinlock.h"
#include "lib/string.h"
#include "lib/util.h"

#define ENTRIES 512
#define TOP_LEVEL 3

static paddr_t kernel_root;
static bool roots_exist;  // from then on the kernel half's top level is fixed: every root has a copy of it
static struct spinlock kernel_lock = SPINLOCK_INIT("kernel_page_tables");

bool paging_load_checks;

static pte_t *table_at(paddr_t table) { return phys_to_virt(table); }
static paddr_t entry_target(pte_t entry) { return paddr(entry & PTE_ADDRESS); }
static unsigned index_at(uint64_t address, unsigned level) { return address >> (PAGE_SHIFT + 9 * level) & (ENTRIES - 1); }
static uint64_t level_size(unsigned level) { return 1ull << (PAGE_SHIFT + 9 * level); }
static bool is_leaf(pte_t entry, unsigned level) { return level == 0 || entry & PTE_LARGE; }

// With KPTI a process has a second root for user mode, whose user half is the same. The first root holds its address in
// an entry of the kernel half that is never used, marked not present.
#define USER_ROOT_SLOT 510
static paddr_t user_root_of(paddr_t root) { return paddr(table_at(root)[USER_ROOT_SLOT] & PTE_ADDRESS); }

static void mirror(paddr_t root, const pte_t *entry) {
    paddr_t user = user_root_of(root);
    size_t index = (size_t)(entry - table_at(root));
    if (user.v != 0 && index < ENTRIES / 2) table_at(user)[index] = *entry;
}

void paging_init(void) {
    kernel_root = paddr(cpu_read_cr3() & PTE_ADDRESS);
    paging_load_checks = cpu_features.pcid || cpu_features.ibpb || kpti_enabled;
}

paddr_t paging_kernel_root(void) { return kernel_root; }

paddr_t paging_root_create(void *context) {
    paddr_t root = paging_table_alloc(context);
    if (root.v == 0) return root;
    roots_exist = true;
    memcpy(table_at(root) + ENTRIES / 2, table_at(kernel_root) + ENTRIES / 2, ENTRIES / 2 * sizeof(pte_t));
    if (kpti_enabled) {
        paddr_t user = paging_table_alloc(context);
        if (user.v == 0) {
            paging_table_free(context, root);
            return user;
        }
        memcpy(table_at(user) + ENTRIES / 2, table_at(kpti_template) + ENTRIES / 2, ENTRIES / 2 * sizeof(pte_t));
        table_at(root)[USER_ROOT_SLOT] = user.v;
    }
    return root;
}

pte_t *paging_entry(void *context, paddr_t root, uint64_t address, uint64_t size, bool create) {
    unsigned leaf = size == LARGE_PAGE_SIZE ? 1 : 0;
    pte_t *table = table_at(root);
    pte_t user = address < USER_MAX ? PTE_USER : 0;
    for (unsigned level = TOP_LEVEL; level > leaf; level--) {
        pte_t *entry = &table[index_at(address, level)];
        if (!(*entry & PTE_PRESENT)) {
            if (!create) return NULL;
            paddr_t below = paging_table_alloc(context);
            if (below.v == 0) return NULL;
            *entry = below.v | PTE_PRESENT | PTE_WRITE | user;
            if (level == TOP_LEVEL) mirror(root, entry);
        } else if (is_leaf(*entry, level)) {
            return NULL;
        }
        table = table_at(entry_target(*entry));
    }
    return &table[index_at(address, leaf)];
}

pte_t *paging_find(paddr_t root, uint64_t address, uint64_t *size) {
    pte_t *table = table_at(root);
    for (unsigned level = TOP_LEVEL;; level--) {
        pte_t *entry = &table[index_at(address, level)];
        if (!(*entry & PTE_PRESENT)) return NULL;
        if (is_leaf(*entry, level)) {
            *size = level_size(level);
            return entry;
        }
        table = table_at(entry_target(*entry));
    }
}

// The first entry in [i, end) that is not zero, or end. Most of a table is empty, so eight are looked at together.
static unsigned next_used(const pte_t *table, unsigned i, unsigned end) {
    while (i < end && table[i] == 0) {
        const pte_t *t = &table[i];
        bool empty = i % 8 == 0 && (t[0] | t[1] | t[2] | t[3] | t[4] | t[5] | t[6] | t[7]) == 0;
        i += empty ? 8 : 1;
    }
    return MIN(i, end);
}
_Static_assert(ENTRIES % 8 == 0, "eight entries never go past a table");

// Frees the empty tables below `table` that cover only [start, end), until the budget is used up.
static size_t prune_below(void *context, paddr_t root, pte_t *table, unsigned level, uint64_t base, uint64_t start,
                          uint64_t end, unsigned *budget) {
    size_t freed = 0;
    uint64_t step = level_size(level), i = start > base ? (start - base) / step : 0;
    unsigned last = (unsigned)MIN(div_round_up(end - base, step), (uint64_t)ENTRIES);
    for (i = next_used(table, (unsigned)i, last); i < last; i = next_used(table, (unsigned)i + 1, last)) {
        uint64_t low = base + i * step;
        if (!(table[i] & PTE_PRESENT) || is_leaf(table[i], level)) continue;
        pte_t *below = table_at(entry_target(table[i]));
        if (level > 1) freed += prune_below(context, root, below, level - 1, low, start, end, budget);
        if (*budget == 0) break;
        if (level == 1) --*budget;
        if (low < start || low + step > end || next_used(below, 0, ENTRIES) != ENTRIES) continue;
        paddr_t gone = entry_target(table[i]);
        table[i] = 0;
        if (level == TOP_LEVEL) mirror(root, &table[i]);
        paging_table_free(context, gone);
        freed++;
    }
    return freed;
}

size_t paging_prune(void *context, paddr_t root, uint64_t start, uint64_t end, unsigned *budget) {
    verify(start <= end && end <= 1ull << 47);
    return prune_below(context, root, table_at(root), TOP_LEVEL, 0, start, end, budget);
}

int paging_map_kernel(uint64_t address, paddr_t frame, uint64_t flags) {
    verify(address >> 47 == 0x1ffff);
    spin_lock(&kernel_lock);
    verify(!roots_exist || table_at(kernel_root)[index_at(address, TOP_LEVEL)] & PTE_PRESENT);
    pte_t *entry = paging_entry(NULL, kernel_root, address, PAGE_SIZE, true);
    if (entry != NULL) *entry = frame.v | flags | PTE_ACCESSED | (flags & PTE_WRITE ? PTE_DIRTY : 0);
    spin_unlock(&kernel_lock);
    return entry != NULL ? 0 : -ENOMEM;
}

void paging_unmap_kernel(uint64_t address) {
    spin_lock(&kernel_lock);
    pte_t *entry = paging_entry(NULL, kernel_root, address, PAGE_SIZE, false);
    if (entry != NULL) *entry = 0;
    spin_unlock(&kernel_lock);
    cpu_invlpg(address);
}

// The less common part of paging_load: what the processor needs beside the new CR3.
void paging_load_checked(paddr_t root, uint16_t asid) {
    // Branch targets trained by one address space must not steer the next.
    if (cpu_features.ibpb && root.v != kernel_root.v) cpu_wrmsr(MSR_PRED_CMD, 1);
    if (kpti_enabled) {
        struct arch_cpu *a = this_arch_cpu();
        a->kernel_root = root.v;
        a->user_root = user_root_of(root).v != 0 ? user_root_of(root).v : root.v;
        cpu_write_cr3(root.v);
        return;
    }
    // Without the no-flush bit: what mm shot down while this PCID was not loaded is gone as well.
    cpu_write_cr3(root.v | (cpu_features.pcid ? asid & 0xfff : 0));
}

void tlb_flush_page(uint64_t address) { cpu_invlpg(address); }

// Global entries too.
void tlb_flush_all(void) {
    uint64_t cr4 = cpu_read_cr4();
    cpu_write_cr4(cr4 ^ CR4_PGE);  // every change of that bit flushes all
    cpu_write_cr4(cr4);
}
