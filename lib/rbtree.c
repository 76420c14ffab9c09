#include "lib/rbtree.h"

// Invariants: the root is black; a red node has black children; every path from a node down to a missing child passes
// the same number of black nodes. A missing child counts as black.

enum { RED = 0, BLACK = 1 };

static bool is_black(const struct rb_node *node)
{
    return node == NULL || (node->parent_and_colour & 1) == BLACK;
}

static bool is_red(const struct rb_node *node)
{
    return !is_black(node);
}

static void set_parent(struct rb_node *node, struct rb_node *parent)
{
    node->parent_and_colour = (uintptr_t)parent | (node->parent_and_colour & 1);
}

static void set_colour(struct rb_node *node, uintptr_t colour)
{
    node->parent_and_colour = (node->parent_and_colour & ~(uintptr_t)1) | colour;
}

static void set_parent_and_colour(struct rb_node *node, struct rb_node *parent, uintptr_t colour)
{
    node->parent_and_colour = (uintptr_t)parent | colour;
}

// Makes the link of `parent` (or the tree) that leads to `old` lead to `fresh`.
static void replace_child(struct rb_tree *tree, struct rb_node *parent, struct rb_node *old, struct rb_node *fresh)
{
    if (parent == NULL)
        tree->root = fresh;
    else if (parent->left == old)
        parent->left = fresh;
    else
        parent->right = fresh;
}

// The right child takes the node's place, the node becomes its left child. Only these two summaries change; the one
// of the new top equals the old one of the node, so nothing above needs work.
static void rotate_left(struct rb_tree *tree, struct rb_node *node)
{
    struct rb_node *top = node->right;
    struct rb_node *parent = rb_parent(node);

    node->right = top->left;
    if (top->left != NULL)
        set_parent(top->left, node);
    top->left = node;
    set_parent(top, parent);
    replace_child(tree, parent, node, top);
    set_parent(node, top);
    if (tree->augment != NULL) {
        tree->augment(node);
        tree->augment(top);
    }
}

static void rotate_right(struct rb_tree *tree, struct rb_node *node)
{
    struct rb_node *top = node->left;
    struct rb_node *parent = rb_parent(node);

    node->left = top->right;
    if (top->right != NULL)
        set_parent(top->right, node);
    top->right = node;
    set_parent(top, parent);
    replace_child(tree, parent, node, top);
    set_parent(node, top);
    if (tree->augment != NULL) {
        tree->augment(node);
        tree->augment(top);
    }
}

void rb_update(struct rb_tree *tree, struct rb_node *node)
{
    if (tree->augment == NULL)
        return;
    while (node != NULL && tree->augment(node))
        node = rb_parent(node);
}

// `node` is red; its parent may be red too, which is the one thing to repair.
static void insert_fixup(struct rb_tree *tree, struct rb_node *node)
{
    struct rb_node *parent;

    while ((parent = rb_parent(node)) != NULL && is_red(parent)) {
        struct rb_node *grandparent = rb_parent(parent); // exists: a red node is never the root
        bool parent_is_left = grandparent->left == parent;
        struct rb_node *uncle = parent_is_left ? grandparent->right : grandparent->left;

        if (is_red(uncle)) {
            set_colour(parent, BLACK);
            set_colour(uncle, BLACK);
            set_colour(grandparent, RED);
            node = grandparent;
            continue;
        }
        if (parent_is_left && parent->right == node) {
            rotate_left(tree, parent);
            parent = node;
        } else if (!parent_is_left && parent->left == node) {
            rotate_right(tree, parent);
            parent = node;
        }
        set_colour(parent, BLACK);
        set_colour(grandparent, RED);
        if (parent_is_left)
            rotate_right(tree, grandparent);
        else
            rotate_left(tree, grandparent);
        break;
    }
    set_colour(tree->root, BLACK);
}

void rb_insert_at(struct rb_tree *tree, struct rb_node *node, struct rb_node *parent, struct rb_node **slot)
{
    set_parent_and_colour(node, parent, RED);
    node->left = NULL;
    node->right = NULL;
    if (parent == NULL || (parent == tree->leftmost && slot == &parent->left))
        tree->leftmost = node;
    *slot = node;
    if (tree->augment != NULL) {
        tree->augment(node);
        rb_update(tree, parent);
    }
    insert_fixup(tree, node);
}

void rb_insert(struct rb_tree *tree, struct rb_node *node, rb_less_fn *less)
{
    struct rb_node **slot = &tree->root;
    struct rb_node *parent = NULL;

    while (*slot != NULL) {
        parent = *slot;
        slot = less(node, parent) ? &parent->left : &parent->right;
    }
    rb_insert_at(tree, node, parent, slot);
}

// The subtree at `node` (may be NULL, then `parent` tells where) is one black node short.
static void remove_fixup(struct rb_tree *tree, struct rb_node *node, struct rb_node *parent)
{
    while (node != tree->root && is_black(node)) {
        bool is_left = parent->left == node;
        struct rb_node *sibling = is_left ? parent->right : parent->left; // exists: its side has more black nodes
        struct rb_node *far;

        if (is_red(sibling)) {
            set_colour(sibling, BLACK);
            set_colour(parent, RED);
            if (is_left)
                rotate_left(tree, parent);
            else
                rotate_right(tree, parent);
            sibling = is_left ? parent->right : parent->left;
        }
        if (is_black(sibling->left) && is_black(sibling->right)) {
            set_colour(sibling, RED);
            node = parent;
            parent = rb_parent(node);
            continue;
        }
        far = is_left ? sibling->right : sibling->left;
        if (is_black(far)) {
            set_colour(sibling, RED);
            set_colour(is_left ? sibling->left : sibling->right, BLACK);
            if (is_left)
                rotate_right(tree, sibling);
            else
                rotate_left(tree, sibling);
            sibling = is_left ? parent->right : parent->left;
            far = is_left ? sibling->right : sibling->left;
        }
        set_colour(sibling, parent->parent_and_colour & 1);
        set_colour(parent, BLACK);
        set_colour(far, BLACK);
        if (is_left)
            rotate_left(tree, parent);
        else
            rotate_right(tree, parent);
        return;
    }
    if (node != NULL)
        set_colour(node, BLACK);
}

// Puts the node's successor, which has no left child, in its place. Returns the parent of the gap that it leaves.
static struct rb_node *move_successor_up(struct rb_tree *tree, struct rb_node *node, struct rb_node *successor)
{
    struct rb_node *gap_parent = rb_parent(successor);

    if (gap_parent == node) {
        gap_parent = successor;
    } else {
        gap_parent->left = successor->right;
        if (successor->right != NULL)
            set_parent(successor->right, gap_parent);
        successor->right = node->right;
        set_parent(node->right, successor);
    }
    successor->left = node->left;
    set_parent(node->left, successor);
    replace_child(tree, rb_parent(node), node, successor);
    successor->parent_and_colour = node->parent_and_colour;
    return gap_parent;
}

void rb_remove(struct rb_tree *tree, struct rb_node *node)
{
    struct rb_node *child;
    struct rb_node *parent;
    struct rb_node *moved = NULL; // who takes the place of `node`
    bool lost_black;

    if (tree->leftmost == node)
        tree->leftmost = rb_next(node);
    if (node->left != NULL && node->right != NULL) {
        struct rb_node *successor = rb_next(node);

        moved = successor;
        child = successor->right;
        lost_black = is_black(successor);
        parent = move_successor_up(tree, node, successor);
    } else {
        child = node->left != NULL ? node->left : node->right;
        lost_black = is_black(node);
        parent = rb_parent(node);
        replace_child(tree, parent, node, child);
        if (child != NULL)
            set_parent(child, parent);
    }
    // Every summary from the gap to where the successor moved can be wrong; above that, one that is right ends the walk.
    if (tree->augment != NULL) {
        bool moved_below = moved != NULL;

        for (struct rb_node *above = parent; above != NULL; above = rb_parent(above)) {
            if (!tree->augment(above) && !moved_below)
                break;
            if (above == moved)
                moved_below = false;
        }
    }
    if (lost_black)
        remove_fixup(tree, child, parent);
    rb_node_init(node);
}

void rb_replace(struct rb_tree *tree, struct rb_node *old, struct rb_node *fresh)
{
    *fresh = *old;
    replace_child(tree, rb_parent(old), old, fresh);
    if (fresh->left != NULL)
        set_parent(fresh->left, fresh);
    if (fresh->right != NULL)
        set_parent(fresh->right, fresh);
    if (tree->leftmost == old)
        tree->leftmost = fresh;
    rb_node_init(old);
    // What `fresh` held before says nothing about what its parents know of `old`.
    if (tree->augment == NULL) return;
    for (; fresh != NULL; fresh = rb_parent(fresh)) tree->augment(fresh);
}

struct rb_node *rb_last(const struct rb_tree *tree)
{
    struct rb_node *node = tree->root;

    while (node != NULL && node->right != NULL)
        node = node->right;
    return node;
}

struct rb_node *rb_next(const struct rb_node *node)
{
    struct rb_node *parent;

    if (node->right != NULL) {
        struct rb_node *next = node->right;

        while (next->left != NULL)
            next = next->left;
        return next;
    }
    while ((parent = rb_parent(node)) != NULL && parent->right == node)
        node = parent;
    return parent;
}

struct rb_node *rb_prev(const struct rb_node *node)
{
    struct rb_node *parent;

    if (node->left != NULL) {
        struct rb_node *prev = node->left;

        while (prev->right != NULL)
            prev = prev->right;
        return prev;
    }
    while ((parent = rb_parent(node)) != NULL && parent->left == node)
        node = parent;
    return parent;
}
