// Mappings: ranges of an address space that show a VMO, or nothing (a reservation). Kept in a red-black tree by address
// that knows how large a gap in every subtree can be, so that finding room takes logarithmic time. A gap that shrinks
// leaves the bounds above it as they are: a search that is led astray by one puts it right on its way back.
// Lock: aspace->lock; for `link`, vmo->lock too.
#pragma once
#include "kernel/core/types.h"
#include "kernel/mm/vmo.h"
#include "lib/rbtree.h"

struct aspace;

enum {  // prot: equal to KPIO_MAP_READ, WRITE, EXECUTE
    PROT_READ = 1 << 0,
    PROT_WRITE = 1 << 1,
    PROT_EXECUTE = 1 << 2,
    PROT_ALL = 7,
};
enum {                           // struct mapping flags
    MAPPING_SHARE = 1 << 0,      // cloned as the same memory (KPIO_MAP_LOCAL_SHARE)
    MAPPING_PRIVATE = 1 << 1,    // its VMO is an overlay made for it
    MAPPING_NO_CLONE = 1 << 2,   // not inherited: memory that belongs to a thread
    MAPPING_TOUCHED = 1 << 3,    // page tables may hold entries of it
    MAPPING_DYING = 1 << 4,      // being unmapped: no faults
    MAPPING_REVOKED = 1 << 5,    // its handle was revoked: no faults, until it is unmapped
    MAPPING_GRANTED = 1 << 6,    // glue is in a derivation tree
    MAPPING_IN_TREE = 1 << 7,
};

#define MAPPING_GLUE_WORDS 8

struct mapping {
    struct rb_node node;
    uint64_t start, end;         // user addresses, whole pages
    uint64_t gap, max_gap;       // free bytes below start; no gap in the subtree is larger (it may have got smaller)
    struct aspace *aspace;
    struct vmo *vmo;             // NULL: a reservation, or revoked and emptied
    uint64_t first;              // page of the VMO at start
    uint64_t entry;              // page-table flags of its pages (mapping_set_prot)
    uint8_t prot, max_prot;
    uint8_t flags;
    uint32_t refs;               // the tree's, and one while a revocation looks at it; atomic
    struct vmo_link link;        // in vmo_root(vmo)->mappings
    uint64_t glue[MAPPING_GLUE_WORDS];  // struct handle; belongs to kernel/object/aspace_object.c
};

struct mapping_tree {
    struct rb_tree tree;
    uint64_t end;                // of the highest mapping, or USER_MIN
};

void mapping_tree_init(struct mapping_tree *t);
// Puts m in; its range must be free and inside [USER_MIN, USER_MAX).
void mapping_tree_insert(struct mapping_tree *t, struct mapping *m);
void mapping_tree_remove(struct mapping_tree *t, struct mapping *m);
// To be called after m->end was lowered or m->start raised.
void mapping_tree_trimmed(struct mapping_tree *t, struct mapping *m);
// The lowest mapping that ends above address, or NULL.
struct mapping *mapping_tree_from(const struct mapping_tree *t, uint64_t address);
static inline struct mapping *mapping_next(const struct mapping *m) {
    return rb_entry_or_null(rb_next(&m->node), struct mapping, node);
}
// The highest free range of `size` bytes, aligned to align, inside [low, high). 0 when there is none.
uint64_t mapping_tree_find_gap(const struct mapping_tree *t, uint64_t size, uint64_t align, uint64_t low, uint64_t high);

// ---- page tables of a mapping; vmo->lock and, unless called from the VMO's side, aspace->lock held ----------------------
struct tlb_batch;
// Clears the entries in [*start, end), at most `budget` of them, and moves *start on. source_only: only those that show
// pages of an overlay's source. True when it reached the end.
bool mapping_clear(struct mapping *m, uint64_t *start, uint64_t end, bool source_only, unsigned budget,
                   struct tlb_batch *batch);
// Takes the right to write from them.
bool mapping_write_protect(struct mapping *m, uint64_t *start, uint64_t end, unsigned budget, struct tlb_batch *batch);
