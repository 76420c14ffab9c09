// The derivation tree of a tree lock: links only. Every function needs object->tree held. Internal to kernel/object.
#pragma once
#include "kernel/object/handle.h"

// Links a fresh handle under parent, or as a root when parent is NULL.
static inline void derivation_link(struct handle *h, struct handle *parent) {
    h->parent = parent;
    h->child = NULL;
    if (unlikely(!parent)) {
        h->next = NULL;
        h->link = &h->next;
        return;
    }
    struct handle *next = parent->child;
    h->next = next;
    h->link = &parent->child;
    parent->child = h;
    if (next) next->link = &h->next;
}
// Links it beside `of`.
static inline void derivation_link_sibling(struct handle *h, struct handle *of) { derivation_link(h, of->parent); }

static inline void derivation_detach(struct handle *h) {
    struct handle *next = h->next;
    *h->link = next;
    if (next) next->link = h->link;
}

[[nodiscard]] coldcall bool derivation_remove_slowly(struct handle *h);
// Takes h out; its children go to its parent. Returns true when h is out of the tree (the caller frees it); false when
// it stays as a tombstone. A tombstone parent that h leaves with one child goes too.
[[nodiscard]] static inline bool derivation_remove(struct handle *h) {
    if (unlikely(h->child || h->flags & HANDLE_REVOKING || (h->parent && h->parent->flags & HANDLE_TOMBSTONE)))
        return derivation_remove_slowly(h);
    derivation_detach(h);
    return true;
}
coldcall bool derivation_is_revoking_slowly(const struct handle *h);
// Whether h lies in a subtree that is being revoked. Looks at most DERIVATION_WALK ancestors up when a revocation is at
// work in the tree, and then says yes.
static inline bool derivation_is_revoking(const struct handle *h) {
    return unlikely(object_family(h->object)->revokes) && derivation_is_revoking_slowly(h);
}
#define DERIVATION_WALK 256
// One step of a revocation of everything below root: returns a leaf to be ended (still linked), or NULL. *progress is
// set when the step moved something and another step should follow. *busy is set when the rest waits for a revocation at
// work below.
struct handle *derivation_revoke_step(struct handle *root, bool *progress, bool *busy);
// Takes the mark HANDLE_REVOKING off; a root that was closed meanwhile goes.
void derivation_revoke_end(struct handle *root);
