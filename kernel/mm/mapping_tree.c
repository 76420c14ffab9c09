#include "kernel/core/assert.h"
#include "kernel/mm/mapping.h"

static struct mapping *of(const struct rb_node *node) { return rb_entry((struct rb_node *)node, struct mapping, node); }

// Makes the bound of a node what its gap and its children's bounds say.
static bool recompute(struct rb_node *node) {
    struct mapping *m = of(node);
    uint64_t most = m->gap;
    if (node->left && of(node->left)->max_gap > most) most = of(node->left)->max_gap;
    if (node->right && of(node->right)->max_gap > most) most = of(node->right)->max_gap;
    if (most == m->max_gap) return false;
    m->max_gap = most;
    return true;
}

void mapping_tree_init(struct mapping_tree *t) {
    rb_tree_init(&t->tree, recompute);
    t->end = USER_MIN;
}

// m's gap has grown: so do the bounds above, where they must.
static void gap_grown(struct mapping *m) {
    uint64_t gap = m->gap;
    for (struct rb_node *node = &m->node; node && of(node)->max_gap < gap; node = rb_parent(node)) of(node)->max_gap = gap;
}

void mapping_tree_insert(struct mapping_tree *t, struct mapping *m) {
    struct rb_node **slot = &t->tree.root, *parent = NULL;
    struct mapping *previous = NULL, *next = NULL;
    while (*slot) {
        parent = *slot;
        if (m->start < of(parent)->start) {
            next = of(parent);
            slot = &parent->left;
        } else {
            previous = of(parent);
            slot = &parent->right;
        }
    }
    uint64_t below = previous ? previous->end : USER_MIN;
    verify(m->start < m->end && below <= m->start && (!next || m->end <= next->start));
    m->gap = m->max_gap = m->start - below;  // part of a gap that the bounds above know
    if (next) next->gap = next->start - m->end;
    else t->end = m->end;
    rb_insert_at(&t->tree, &m->node, parent, slot);
}

void mapping_tree_remove(struct mapping_tree *t, struct mapping *m) {
    struct mapping *next = mapping_next(m);
    uint64_t below = m->start - m->gap;
    if (next) {
        next->gap = next->start - below;
        gap_grown(next);  // rb_remove looks at everything above the place that it empties, which next may be beside
    } else {
        t->end = below;
    }
    rb_remove(&t->tree, &m->node);
}

void mapping_tree_trimmed(struct mapping_tree *t, struct mapping *m) {
    struct mapping *next = mapping_next(m), *previous = rb_entry_or_null(rb_prev(&m->node), struct mapping, node);
    m->gap = m->start - (previous ? previous->end : USER_MIN);
    gap_grown(m);
    if (next) {
        next->gap = next->start - m->end;
        gap_grown(next);
    } else {
        t->end = m->end;
    }
}

struct mapping *mapping_tree_from(const struct mapping_tree *t, uint64_t address) {
    struct rb_node *node = t->tree.root;
    struct mapping *best = NULL;
    while (node) {
        struct mapping *m = of(node);
        if (m->end <= address) {
            node = node->right;
            continue;
        }
        best = m;
        if (m->start <= address) break;
        node = node->left;
    }
    return best;
}

// The highest aligned place in [low, high), or 0.
static uint64_t place(uint64_t low, uint64_t high, uint64_t size, uint64_t align) {
    if (high < size) return 0;
    uint64_t address = align_down(high - size, align);
    return address >= low && high > low ? address : 0;
}

uint64_t mapping_tree_find_gap(const struct mapping_tree *t, uint64_t size, uint64_t align, uint64_t low, uint64_t high) {
    struct rb_node *node = t->tree.root;
    uint64_t found = place(MAX(low, t->end), high, size, align);
    if (found || !node) return found;
    // From high to low addresses through the subtrees that have a gap of this size.
    bool from_right = false;
    for (;;) {
        struct mapping *m = of(node);
        if (!from_right && node->right && of(node->right)->max_gap >= size && m->end < high) {
            node = node->right;
            continue;
        }
        if (m->gap >= size) found = place(MAX(low, m->start - m->gap), MIN(high, m->start), size, align);
        if (found) return found;
        from_right = false;
        if (node->left && of(node->left)->max_gap >= size && m->start > low) {
            node = node->left;
            continue;
        }
        for (;;) {  // up, until the way came from the right
            struct rb_node *parent = rb_parent(node);
            if (!parent) return 0;
            bool was_right = parent->right == node;
            (void)recompute(node);
            node = parent;
            if (was_right) break;
        }
        from_right = true;
    }
}
