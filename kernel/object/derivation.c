#include "kernel/object/derivation.h"

#include "kernel/core/assert.h"
#include "kernel/object/handle_pool.h"

// `with`, an only child of `old`, takes its place.
static void replace(struct handle *old, struct handle *with) {
    with->parent = old->parent;
    with->next = old->next;
    with->link = &with->next;
    if (old->parent) {
        with->link = old->link;
        *with->link = with;
    }
    if (with->next) with->next->link = &with->next;
}

static bool has_one_child(const struct handle *h) { return h->child && !h->child->next; }

// A tombstone needs two children to be worth its memory; the root of a revocation stays until that ends. When one goes
// for want of children, its parent may be next: each turn frees a node.
static void collapse(struct handle *tombstone) {
    while (tombstone && tombstone->flags & HANDLE_TOMBSTONE && !(tombstone->flags & HANDLE_REVOKING)) {
        struct handle *parent = tombstone->parent;
        if (tombstone->child && !has_one_child(tombstone)) return;
        if (tombstone->child) {
            replace(tombstone, tombstone->child);
            parent = NULL;
        } else {
            derivation_detach(tombstone);
        }
        handle_free(tombstone);
        tombstone = parent;
    }
}

void derivation_revoke_end(struct handle *root) {
    root->flags &= (uint8_t)~HANDLE_REVOKING;
    collapse(root);
}

coldcall bool derivation_remove_slowly(struct handle *h) {
    if (h->flags & HANDLE_REVOKING || (h->child && h->child->next)) {
        h->flags |= HANDLE_TOMBSTONE;
        return false;
    }
    if (h->child) {
        replace(h, h->child);
        return true;
    }
    struct handle *parent = h->parent;
    derivation_detach(h);
    collapse(parent);
    return true;
}

coldcall bool derivation_is_revoking_slowly(const struct handle *h) {
    for (unsigned i = 0; i < DERIVATION_WALK; i++, h = h->parent) {
        if (h->flags & HANDLE_REVOKING) return true;
        if (!h->parent) return false;
    }
    return true;
}

// Flattens: a child of the root's first child ends at once if it is a leaf, else becomes the root's own first child. So
// each node moves once at most, and no step depends on the depth of the tree.
struct handle *derivation_revoke_step(struct handle *root, bool *progress, bool *busy) {
    struct handle *c = root->child;
    *progress = *busy = false;
    while (c && c->flags & HANDLE_REVOKING) c = c->next;
    if (!c) {
        *busy = root->child != NULL;
        return NULL;
    }
    *progress = true;
    struct handle *grandchild = c->child;
    if (grandchild) {
        if (!grandchild->child && !(grandchild->flags & (HANDLE_TOMBSTONE | HANDLE_REVOKING))) return grandchild;
        derivation_detach(grandchild);
        struct handle *below = grandchild->child;
        derivation_link(grandchild, root);
        grandchild->child = below;
        return NULL;
    }
    if (c->flags & HANDLE_TOMBSTONE) {
        derivation_detach(c);
        handle_free(c);
        return NULL;
    }
    return c;
}
