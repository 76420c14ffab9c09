// A treap: a search tree by address, a heap by rank. As ranks are random, its shape is that of a tree into which the
// mappings came in random order, whatever order they came in and whoever chose it: paths are logarithmic with all but no
// exception, and putting in or taking out takes less than two rotations on average, none of which needs a colour or a sum.
// Bounds of gaps: a parent's is never below its children's. A rotation hands the bound of a subtree to its new top.
#include "kernel/mm/mapping.h"

#include "kernel/core/assert.h"

_Static_assert(offsetof(struct mapping, end) == offsetof(struct mapping_tree, edge.end) - offsetof(struct mapping_tree, edge),
               "the edge is the beginning of a mapping");

void mapping_tree_init(struct mapping_tree *t, uint64_t random) {
    struct mapping *edge = mapping_tree_edge(t);
    t->root = NULL;
    t->edge.prev = t->edge.next = edge;
    t->edge.start = USER_MAX;
    t->edge.end = USER_MIN;
    t->random = random;
}

static inline uint16_t next_rank(struct mapping_tree *t) {
    t->random = t->random * 6364136223846793005u + 1442695040888963407u;  // Knuth's MMIX generator: the upper bits are fair
    return (uint16_t)(t->random >> 48);
}

// Makes the bound of a mapping what its gap and its children's bounds say.
static void recompute(struct mapping *m) {
    uint64_t most = mapping_gap(m);
    if (m->left && m->left->max_gap > most) most = m->left->max_gap;
    if (m->right && m->right->max_gap > most) most = m->right->max_gap;
    m->max_gap = most;
}

// m's gap has grown: so do the bounds above, where they must.
static inline void gap_grown(struct mapping *m) {
    uint64_t gap = mapping_gap(m);
    for (; m && m->max_gap < gap; m = m->parent) m->max_gap = gap;
}

// What leads to `old`, which is below parent, leads to m.
static inline void set_child(struct mapping_tree *t, struct mapping *parent, struct mapping *old, struct mapping *m) {
    if (!parent) t->root = m;
    else if (parent->left == old) parent->left = m;
    else parent->right = m;
}

// m takes its parent's place, which becomes its child.
static inline void rotate_up(struct mapping_tree *t, struct mapping *m) {
    struct mapping *parent = m->parent, *above = parent->parent, *between;
    if (parent->left == m) {
        parent->left = between = m->right;
        m->right = parent;
    } else {
        parent->right = between = m->left;
        m->left = parent;
    }
    if (between) between->parent = parent;
    parent->parent = m;
    m->parent = above;
    m->max_gap = parent->max_gap;
    set_child(t, above, parent, m);
}

void mapping_tree_insert_below(struct mapping_tree *t, struct mapping *m, struct mapping *above) {
    struct mapping *below = above->prev, *edge = mapping_tree_edge(t);
    verify(m->start < m->end && below->end <= m->start && m->end <= above->start);
    m->prev = below;
    m->next = above;
    above->prev = below->next = m;
    m->left = m->right = NULL;
    m->rank = next_rank(t);
    // One of the neighbours has no child on this side.
    if (above != edge && !above->left) {
        above->left = m;
        m->parent = above;
    } else if (below != edge) {
        below->right = m;
        m->parent = below;
    } else {
        t->root = m;
        m->parent = NULL;
    }
    m->max_gap = 0;
    gap_grown(m);
    while (m->parent && m->parent->rank < m->rank) rotate_up(t, m);
}

void mapping_tree_insert(struct mapping_tree *t, struct mapping *m) {
    struct mapping *above = mapping_tree_from(t, m->start);
    mapping_tree_insert_below(t, m, above ? above : mapping_tree_edge(t));
}

void mapping_tree_remove(struct mapping_tree *t, struct mapping *m) {
    struct mapping *above = m->next;
    m->prev->next = above;
    above->prev = m->prev;
    if (above != mapping_tree_edge(t)) gap_grown(above);
    while (m->left && m->right) rotate_up(t, m->left->rank > m->right->rank ? m->left : m->right);
    struct mapping *child = m->left ? m->left : m->right;
    set_child(t, m->parent, m, child);
    if (child) child->parent = m->parent;
}

void mapping_tree_trimmed(struct mapping_tree *t, struct mapping *m) {
    gap_grown(m);
    if (m->next != mapping_tree_edge(t)) gap_grown(m->next);
}

struct mapping *mapping_tree_from(const struct mapping_tree *t, uint64_t address) {
    struct mapping *best = NULL;
    for (struct mapping *m = t->root; m;) {
        if (m->end <= address) {
            m = m->right;
            continue;
        }
        best = m;
        if (m->start <= address) break;
        m = m->left;
    }
    return best;
}

// The highest aligned place in [low, high), or 0.
static inline uint64_t place(uint64_t low, uint64_t high, uint64_t size, uint64_t align) {
    if (high < size) return 0;
    uint64_t address = (high - size) & -align;
    return address >= low && high > low ? address : 0;
}

struct mapping_place mapping_tree_find_gap(const struct mapping_tree *t, uint64_t size, uint64_t align, uint64_t low,
                                           uint64_t high) {
    struct mapping *m = t->root;
    uint64_t found = place(MAX(low, t->edge.prev->end), high, size, align);
    if (found) return (struct mapping_place){found, mapping_tree_edge(t)};
    if (!m) return (struct mapping_place){0, NULL};
    // From high to low addresses through the subtrees that have a gap of this size.
    for (bool from_right = false;;) {
        if (!from_right && m->right && m->right->max_gap >= size && m->end < high) {
            m = m->right;
            continue;
        }
        uint64_t below = m->prev->end;
        if (m->start - below >= size && (found = place(MAX(low, below), MIN(high, m->start), size, align)) != 0)
            return (struct mapping_place){found, m};
        from_right = false;
        if (m->left && m->left->max_gap >= size && m->start > low) {
            m = m->left;
            continue;
        }
        for (;;) {  // up, until the way came from the right
            struct mapping *parent = m->parent;
            if (!parent) return (struct mapping_place){0, NULL};
            bool was_right = parent->right == m;
            recompute(m);
            m = parent;
            if (was_right) break;
        }
        from_right = true;
    }
}
