// Delayed allocation: which blocks of a file are promised to dirty pages and have no place yet. Ranges that touch are one.
#include "abi/gen/errors.h"
#include "kernel/fs/ext4/ext4.h"
#include "kernel/mm/slub.h"

struct ext4_delayed {
    struct rb_node node;
    uint64_t from, to;
};

static bool comes_before(const struct rb_node *a, const struct rb_node *b) {
    return container_of((struct rb_node *)a, struct ext4_delayed, node)->from <
           container_of((struct rb_node *)b, struct ext4_delayed, node)->from;
}

// The first range that ends at or after `block`.
static struct ext4_delayed *find(struct ext4_node *node, uint64_t block) {
    struct ext4_delayed *found = NULL;
    for (struct rb_node *n = node->delayed.root; n != NULL;) {
        struct ext4_delayed *d = container_of(n, struct ext4_delayed, node);
        if (d->to >= block) found = d, n = n->left;
        else n = n->right;
    }
    return found;
}

static struct ext4_delayed *next(const struct ext4_delayed *d) {
    struct rb_node *n = rb_next(&d->node);
    return n != NULL ? container_of(n, struct ext4_delayed, node) : NULL;
}

static void drop(struct ext4_node *node, struct ext4_delayed *d) {
    rb_remove(&node->delayed, &d->node);
    kfree(d);
}

int ext4_delayed_add(struct ext4_node *node, uint32_t from, uint64_t to) {
    struct ext4 *v = ext4_of(&node->inode);
    struct ext4_delayed *first = find(node, from);
    uint64_t fresh = to - from;
    for (struct ext4_delayed *d = first; d != NULL && d->from < to; d = next(d)) {
        uint64_t start = MAX(d->from, from), end = MIN(d->to, to);
        if (end > start) fresh -= end - start;
    }
    if (fresh == 0) return 0;
    int error = ext4_promise(v, fresh);
    if (error != 0) return error;
    if (first != NULL && first->from <= to) {  // it grows, and takes over those that it reaches now
        first->from = MIN(first->from, from);
        first->to = MAX(first->to, to);
        for (struct ext4_delayed *d; (d = next(first)) != NULL && d->from <= first->to;) {
            first->to = MAX(first->to, d->to);
            drop(node, d);
        }
        return 0;
    }
    struct ext4_delayed *made = kmalloc(sizeof *made);
    if (made == NULL) {
        ext4_unpromise(v, fresh);
        return -ENOMEM;
    }
    made->from = from;
    made->to = to;
    rb_insert(&node->delayed, &made->node, comes_before);
    return 0;
}

void ext4_delayed_remove(struct ext4_node *node, uint64_t from, uint64_t to) {
    struct ext4_delayed *d = find(node, from + 1), *after;
    uint64_t taken = 0;
    for (; d != NULL && d->from < to; d = after) {
        uint64_t start = MAX(d->from, from), end = MIN(d->to, to);
        after = next(d);
        if (d->from < start && end < d->to) {  // the middle goes: without memory for the rest it stays promised
            struct ext4_delayed *rest = kmalloc(sizeof *rest);
            if (rest == NULL) break;
            rest->from = end;
            rest->to = d->to;
            d->to = start;
            rb_insert(&node->delayed, &rest->node, comes_before);
        } else if (d->from < start) {
            d->to = start;
        } else if (end < d->to) {
            d->from = end;
        } else {
            drop(node, d);
        }
        taken += end - start;
    }
    if (taken != 0) ext4_unpromise(ext4_of(&node->inode), taken);
}
