// Intrusive red-black tree with a cached leftmost node and optional augmentation.
// The caller locks, owns the nodes and decides the order. An augmented tree keeps in every node a summary of its
// subtree (a maximum, a sum); `augment` recomputes it from the node and its children.
#pragma once

#include "lib/util.h"

struct rb_node {
    uintptr_t parent_and_colour; // bit 0: set = black
    struct rb_node *left;
    struct rb_node *right;
};

// Recomputes the summary of `node`; returns whether it changed (false ends the walk towards the root).
typedef bool rb_augment_fn(struct rb_node *node);

// True when `a` comes before `b`. Equal nodes keep the order of their insertion.
typedef bool rb_less_fn(const struct rb_node *a, const struct rb_node *b);

struct rb_tree {
    struct rb_node *root;
    struct rb_node *leftmost;
    rb_augment_fn *augment; // NULL: plain tree
};

#define RB_TREE_INIT(augment_fn) { .root = NULL, .leftmost = NULL, .augment = (augment_fn) }

static inline void rb_tree_init(struct rb_tree *tree, rb_augment_fn *augment)
{
    tree->root = NULL;
    tree->leftmost = NULL;
    tree->augment = augment;
}

static inline bool rb_is_empty(const struct rb_tree *tree)
{
    return tree->root == NULL;
}

// Marks a node as being in no tree; rb_remove leaves it so.
static inline void rb_node_init(struct rb_node *node)
{
    node->parent_and_colour = (uintptr_t)node;
}

static inline bool rb_node_is_linked(const struct rb_node *node)
{
    return node->parent_and_colour != (uintptr_t)node;
}

static inline struct rb_node *rb_parent(const struct rb_node *node)
{
    return (struct rb_node *)(node->parent_and_colour & ~(uintptr_t)1);
}

static inline struct rb_node *rb_first(const struct rb_tree *tree)
{
    return tree->leftmost;
}

// Inserts `node` in its place by `less`: O(log n).
void rb_insert(struct rb_tree *tree, struct rb_node *node, rb_less_fn *less);

// Inserts `node` where the caller's own descent ended: `*slot` is the NULL child link of `parent` (or &tree->root with
// parent NULL). Saves the indirect calls of rb_insert on hot paths.
void rb_insert_at(struct rb_tree *tree, struct rb_node *node, struct rb_node *parent, struct rb_node **slot);

// Takes `node`, which is in `tree`, out of it.
void rb_remove(struct rb_tree *tree, struct rb_node *node);

// Puts `fresh` in the place of `old` without rebalancing; both compare alike. `old` is unlinked.
void rb_replace(struct rb_tree *tree, struct rb_node *old, struct rb_node *fresh);

// To be called when what `node` contributes to its summary has changed while it stays in its place.
void rb_update(struct rb_tree *tree, struct rb_node *node);

// Last in order, neighbours in order: NULL at the end.
struct rb_node *rb_last(const struct rb_tree *tree);
struct rb_node *rb_next(const struct rb_node *node);
struct rb_node *rb_prev(const struct rb_node *node);

#define rb_entry(node, type, member) container_of(node, type, member)

// Like rb_entry, and NULL for NULL.
#define rb_entry_or_null(node, type, member)                                                                 \
    ({                                                                                                       \
        struct rb_node *rb_entry_node = (node);                                                              \
        rb_entry_node == NULL ? NULL : rb_entry(rb_entry_node, type, member);                                \
    })

#define rb_for_each(node, tree)                                                                              \
    for (struct rb_node *node = rb_first(tree); node != NULL; node = rb_next(node))
