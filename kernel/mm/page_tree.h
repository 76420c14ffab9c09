// The pages of a VMO: a radix tree whose nodes are shared by snapshots until one side writes.
//
//     VMO a ──▶ ┌──────┐ refs 2          A snapshot takes a reference on the root: its cost depends neither on the size
//     VMO b ──▶ │ root │                 nor on how many snapshots came before. Who changes something first copies the
//               └┬────┬┘                 nodes on the way down whose refs exceed 1; a copy takes a reference on every
//            refs 1  refs 1              child, so that sharing moves down one level at a time and ends at the pages'
//            ┌───▼┐ ┌▼───┐               own counts. A page may be written in place when every node on its way and the
//            │leaf│ │leaf│               page itself have refs 1 ("exclusive").
//            └┬───┘ └────┘
//          page refs 1                   An entry is the address of a struct page, ENTRY_* in its low bits; 0: none.
//
// Lock: the caller's, one per tree. Nodes and pages shared between trees are only read; their counts are atomic. No
// function blocks.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE_TREE_BITS 6
#define PAGE_TREE_SLOTS (1u << PAGE_TREE_BITS)
#define PAGE_TREE_HEIGHT_MAX 7                              // 2^42 pages
#define PAGE_TREE_PAGES_MAX (1ull << (PAGE_TREE_BITS * PAGE_TREE_HEIGHT_MAX))

struct job;
struct page;
struct page_node;

struct page_tree {
    uint64_t root;    // height 0: the entry of page 0; else a struct page_node *
    uint32_t height;  // levels of nodes
    bool paged;       // of a PAGED VMO
};

enum {
    ENTRY_FRESH = 1 << 0,  // put there by a commit that is still at work
    ENTRY_SHARED = 1 << 1, // not in a tree: what page_tree_look adds where a node on the way is not the tree's alone
    ENTRY_FLAGS = 0x3f,
};
static inline struct page *entry_page(uint64_t entry) { return (struct page *)(entry & ~(uint64_t)ENTRY_FLAGS); }

void page_tree_init(void);  // the cache of nodes; once

// The entry of page `index`, 0 when there is none; *exclusive tells whether every node on the way is this tree's alone.
uint64_t page_tree_lookup(const struct page_tree *tree, uint64_t index, bool *exclusive);
// The same in one word, for faults: the entry, with ENTRY_SHARED.
uint64_t page_tree_look(const struct page_tree *tree, uint64_t index);
// The 64 entries from `index` on, a multiple of 64, or NULL when there are none. *exclusive as above.
const uint64_t *page_tree_leaf(const struct page_tree *tree, uint64_t index, bool *exclusive);

// Where the entry of `index` lives, for writing: makes missing nodes and copies shared ones, charged to job as kernel
// memory. NULL when there is no memory or quota (then nothing visible has changed). index < PAGE_TREE_PAGES_MAX.
[[nodiscard]] uint64_t *page_tree_slot(struct page_tree *tree, uint64_t index, struct job *job);
// The first index >= index and < end that has an entry, or end.
uint64_t page_tree_next(const struct page_tree *tree, uint64_t index, uint64_t end);

// ---- of PAGED VMOs ------------------------------------------------------------------------------------------------------
void page_tree_init_paged(struct page_tree *tree);  // a zeroed one
// Without the lock: where the entry of `index` lives, or NULL. What lies there may change at any time; the leaf, 64 slots
// from a multiple of 64 on, is memory until the CPU passes a quiescent point.
const uint64_t *page_tree_find(const struct page_tree *tree, uint64_t index);
// Takes the entry at `index`, which is not marked, out and returns it (0: none); frees nodes that are empty then.
uint64_t page_tree_take(struct page_tree *tree, uint64_t index);
// The index has an entry.
void page_tree_mark(struct page_tree *tree, uint64_t index);
void page_tree_unmark(struct page_tree *tree, uint64_t index);
// The first marked index >= index and < end, or end.
uint64_t page_tree_next_marked(const struct page_tree *tree, uint64_t index, uint64_t end);

// Makes *to share everything that *from has. *to is empty.
void page_tree_share(struct page_tree *to, const struct page_tree *from);

// What was taken out of a tree and waits until no page table refers to it.
struct page_tree_removal {
    struct page_node *leaf;                 // a whole leaf, or
    uint64_t entries[PAGE_TREE_SLOTS];      // single entries
    unsigned count;
    uint64_t first, end;                    // the range of indexes dealt with
};
// Takes the entries of the first leaf that has some in [index, end) out of the tree; out->end tells how far it came.
// Whole leaves need no memory; parts of shared ones do: 0, -ENOMEM or -ENFILE with nothing changed.
[[nodiscard]] int page_tree_remove(struct page_tree *tree, uint64_t index, uint64_t end, struct job *job,
                                   struct page_tree_removal *out);

// Nodes that nobody refers to any more, to be freed step by step.
struct page_grave {
    struct page_node *nodes;
};
// Empties the tree into the grave (constant time), then: frees up to `budget` nodes and what they held; true: more left.
void page_tree_bury(struct page_tree *tree, struct page_grave *grave);
void page_tree_bury_removal(struct page_tree_removal *removal, struct page_grave *grave);
bool page_grave_step(struct page_grave *grave, unsigned budget);

// Drops a reference on an entry's page; with the last one the page goes back to where it came from. Provided by vmo.c.
void page_entry_put(uint64_t entry);
