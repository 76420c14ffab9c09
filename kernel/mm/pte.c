#include "kernel/mm/pte.h"

#include "kernel/arch/x86_64/arch.h"
#include "kernel/mm/aspace.h"
#include "kernel/mm/tlb.h"

#define TABLE_ENTRIES 512
#define TOP_SHIFT 39
#define TABLE_BITS 9

static pte_t *table_at(uint64_t entry) { return phys_to_virt(paddr(entry & PTE_ADDRESS)); }

// The first present entry from `first` to `last`, or the one behind. Most of a table is empty, so eight are looked at together.
static inline unsigned next_present(const pte_t *table, unsigned first, unsigned last) {
    unsigned i = first;
    while (i <= last && !(table[i] & PTE_PRESENT)) {
        const pte_t *t = &table[i];
        bool empty = i % 8 == 0 && !(t[0] | t[1] | t[2] | t[3] | t[4] | t[5] | t[6] | t[7]);
        i += empty ? 8 : 1;
    }
    return MIN(i, last + 1);
}

// Behind empty entries, in the table whose entries map 1 << shift bytes each: the first address from `at` on, as far as `end`,
// that a present entry maps, or the first one beyond the table or the end.
static coldpath uint64_t skip_empty(const pte_t *table, unsigned shift, uint64_t at, uint64_t end) {
    uint64_t number = at >> shift, last = MIN((end - 1) >> shift, number | (TABLE_ENTRIES - 1));
    unsigned first = number & (TABLE_ENTRIES - 1), i = next_present(table, first, first + (unsigned)(last - number));
    return (number - first + i) << shift;
}

pte_t *pte_next_few(paddr_t root, uint64_t *address, uint64_t end, uint64_t *size, unsigned *tables) {
    uint64_t at = *address;
    while (at < end) {
        pte_t *table = table_at(root.v);
        for (unsigned shift = TOP_SHIFT;;) {
            pte_t *entry = &table[at >> shift & (TABLE_ENTRIES - 1)];
            if (unlikely(!(*entry & PTE_PRESENT))) {
                uint64_t from = at >> (shift + TABLE_BITS);
                at = skip_empty(table, shift, at, end);
                if (at < end && at >> (shift + TABLE_BITS) == from) continue;
                if (shift != PAGE_SHIFT || --*tables != 0) break;
                *address = MIN(at, end);
                return NULL;
            }
            if (shift == PAGE_SHIFT || *entry & PTE_LARGE) {
                *address = at;
                *size = 1ull << shift;
                return entry;
            }
            table = table_at(*entry);
            shift -= TABLE_BITS;
        }
    }
    *address = MAX(*address, end);
    return NULL;
}

pte_t *pte_next(paddr_t root, uint64_t *address, uint64_t end, uint64_t *size) {
    uint64_t at = *address;
    pte_t *entry = pte_next_few(root, &at, end, size, &(unsigned){UINT32_MAX});
    if (entry) *address = at;
    return entry;
}

struct change {
    pte_t keep;        // of an entry
    bool source_only;  // leave alone what shows no page of an overlay's source
    unsigned budget;   // entries left to look at
    unsigned tables;   // empty page tables left to look through
    struct tlb_batch *batch;
};

static inline void change_entry(struct change *c, pte_t *entry, uint64_t address) {
    pte_t old = *entry, fresh = old & c->keep;
    if (!(fresh & PTE_PRESENT)) fresh = 0;
    if (fresh == old || (c->source_only && !(old & PTE_SOURCE))) return;
    __atomic_store_n(entry, fresh, __ATOMIC_RELAXED);
    if (old & PTE_ACCESSED) tlb_batch_add(c->batch, address);
}

static bool change_range(struct mapping *m, uint64_t *start, uint64_t end, struct change *c) {
    uint64_t size;
    for (pte_t *entry; (entry = pte_next_few(m->aspace->root, start, end, &size, &c->tables)) != NULL;) {
        // Pages that are mapped one behind another lie so in their table: the way down is gone once for all of them.
        uint64_t table_end = size == PAGE_SIZE ? MIN(end, align_down(*start, LARGE_PAGE_SIZE) + LARGE_PAGE_SIZE) : *start + 1;
        do {
            if (c->budget == 0) return false;
            c->budget--;
            change_entry(c, entry++, *start);
            *start = align_down(*start, size) + size;
        } while (*start < table_end && *entry & PTE_PRESENT);
    }
    return *start >= end;
}

// What goes with so many entries; a table is looked through in about the time that 32 of them take.
static unsigned tables_for(unsigned entries) { return MAX(entries / 32, 1u); }

bool mapping_clear(struct mapping *m, uint64_t *start, uint64_t end, bool source_only, unsigned budget,
                   struct tlb_batch *batch) {
    struct change c = {.keep = 0, .source_only = source_only, .budget = budget, .tables = tables_for(budget), .batch = batch};
    return change_range(m, start, end, &c);
}

bool mapping_write_protect(struct mapping *m, uint64_t *start, uint64_t end, unsigned *budget, struct tlb_batch *batch) {
    struct change c = {.keep = ~(pte_t)PTE_WRITE, .budget = *budget, .tables = tables_for(*budget), .batch = batch};
    bool done = change_range(m, start, end, &c);
    *budget = c.budget;
    return done;
}
