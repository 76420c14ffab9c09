// Mappings: ranges of an address space that show a VMO, or nothing (a reservation). In a list by address, and in a tree
// (mapping_tree.c) that knows how large a gap in every subtree can be, so that finding room takes logarithmic time. A gap
// that shrinks leaves the bounds above it as they are: a search that is led astray by one puts it right on its way back.
// Lock: aspace->lock; for `link`, vmo->lock too.
#pragma once
#include "kernel/core/types.h"
#include "kernel/mm/vmo.h"

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
    MAPPING_DYING = 1 << 4,      // being unmapped, or its place not yet empty (aspace_replace.c): no faults
    MAPPING_REVOKED = 1 << 5,    // its handle was revoked: no faults, until it is unmapped
    MAPPING_GRANTED = 1 << 6,    // glue is in a derivation tree
    MAPPING_IN_TREE = 1 << 7,
};

#define MAPPING_GLUE_WORDS 8

struct mapping {
    struct mapping *prev, *next; // by address; the tree's edge at both ends
    uint64_t start, end;         // user addresses, whole pages
    struct mapping *parent, *left, *right;
    uint64_t max_gap;            // no gap below a mapping in the subtree is larger (they may have got smaller)
    struct aspace *aspace;
    struct vmo *vmo;             // NULL: a reservation, or revoked and emptied
    uint64_t first;              // page of the VMO at start
    uint64_t entry;              // page-table flags of its pages (mapping_set_prot)
    uint8_t prot : 4, max_prot : 4;
    uint8_t flags;
    bool writable;               // page tables may hold entries with the right to write
    uint16_t rank;               // random: a mapping's is not below those in its subtree
    uint32_t refs;               // the tree's, and one while a revocation or a fork looks at it; atomic
    uint32_t emptied;            // being unmapped: so many times 2 MiB from the start on have no entries any more
    struct vmo_link link;        // in vmo_root(vmo)->mappings
    uint64_t glue[MAPPING_GLUE_WORDS];  // struct handle; belongs to kernel/object/aspace_object.c
};

// The list is a ring through `edge`, which stands for what is below USER_MIN and from USER_MAX on.
struct mapping_tree {
    struct mapping *root;
    struct {                     // as a struct mapping begins
        struct mapping *prev, *next;
        uint64_t start, end;
    } edge;
    uint64_t random;             // for ranks
};

void mapping_tree_init(struct mapping_tree *t, uint64_t random);
static inline struct mapping *mapping_tree_edge(const struct mapping_tree *t) { return (struct mapping *)&t->edge; }
// Puts m in; its range must be free and inside [USER_MIN, USER_MAX). `above`: the next mapping, or the edge.
void mapping_tree_insert_below(struct mapping_tree *t, struct mapping *m, struct mapping *above);
void mapping_tree_insert(struct mapping_tree *t, struct mapping *m);
void mapping_tree_remove(struct mapping_tree *t, struct mapping *m);
// To be called after m->end was lowered or m->start raised.
void mapping_tree_trimmed(struct mapping_tree *t, struct mapping *m);
// The lowest mapping that ends above address, or NULL.
struct mapping *mapping_tree_from(const struct mapping_tree *t, uint64_t address);
static inline struct mapping *mapping_or_null(struct mapping *m) { return m->start < USER_MAX ? m : NULL; }  // the edge
static inline struct mapping *mapping_next(const struct mapping *m) { return mapping_or_null(m->next); }
static inline struct mapping *mapping_tree_first(const struct mapping_tree *t) { return mapping_or_null(t->edge.next); }
static inline uint64_t mapping_gap(const struct mapping *m) { return m->start - m->prev->end; }  // free bytes below it
struct mapping_place {           // two registers
    uint64_t address;            // 0: there is none
    struct mapping *above;       // the next mapping, or the edge
};
// The highest free range of `size` bytes, aligned to align, inside [low, high).
struct mapping_place mapping_tree_find_gap(const struct mapping_tree *t, uint64_t size, uint64_t align, uint64_t low,
                                           uint64_t high);

// ---- page tables of a mapping; vmo->lock and, unless called from the VMO's side, aspace->lock held ----------------------
struct tlb_batch;
// Clears the entries in [*start, end), at most `budget` of them, and moves *start on. source_only: only those that show
// pages of an overlay's source. True when it reached the end.
bool mapping_clear(struct mapping *m, uint64_t *start, uint64_t end, bool source_only, unsigned budget,
                   struct tlb_batch *batch);
// Takes the right to write from them; *budget becomes what is left of it.
bool mapping_write_protect(struct mapping *m, uint64_t *start, uint64_t end, unsigned *budget, struct tlb_batch *batch);
