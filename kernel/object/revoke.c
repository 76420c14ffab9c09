// Ending handles: what follows a close, and revocation in preemptible steps.
#include "abi/gen/errors.h"
#include "kernel/core/assert.h"
#include "kernel/object/audit.h"
#include "kernel/object/derivation.h"
#include "kernel/object/handle_end.h"
#include "kernel/object/handle_expiry.h"
#include "kernel/object/handle_pool.h"
#include "kernel/object/handle_table.h"
#include "kernel/object/process.h"
#include "kernel/sched/sched.h"

void handle_object_unreachable(struct object *o) {
    if (o->ops->unreachable) (o->ops->unreachable)(o);  // parentheses: stddef.h has a macro of that name
    object_put(o);
}

void handle_object_lost_receiver(struct object *o) {
    if (__atomic_sub_fetch(&o->receivers, 1, __ATOMIC_ACQ_REL) == 0 && o->ops->no_receivers) o->ops->no_receivers(o);
}

void handle_end(struct handle *h, uint32_t rights, uint32_t flags, bool out_of_tree) {
    struct object *o = h->object;
    if (o->ops->handle_gone) o->ops->handle_gone(o, h);
    if (unlikely(o->bindings)) object_unbind_handle(o, h);
    if (unlikely(flags & HANDLE_EXPIRES)) handle_expiry_forget(h);
    if (likely(out_of_tree && !(flags & HANDLE_IN_FLIGHT))) handle_free(h);
    handle_object_removed(o, rights);
}

// Ends a leaf: it leaves table and tree. The tree lock is held. finish_leaf follows without it.
static inline void end_leaf(struct handle *h) {
    verify(derivation_remove(h));
    if (likely(h->table)) {
        handle_table_remove(h->table, h);
        return;
    }
    h->flags |= HANDLE_DEAD;
    if (h->flags & HANDLE_MAPPING) aspace_mapping_pin(h);
}

// One that a message carries may be freed by its carrier meanwhile: RCU keeps it until here.
static void finish_leaf(struct handle *h) {
    uint32_t rights = h->rights, flags = h->flags;
    if (unlikely(flags & HANDLE_MAPPING)) {
        struct object *o = h->object;
        aspace_mapping_revoked(h);
        handle_object_removed(o, rights);
        return;
    }
    handle_end(h, rights, flags, true);
}

// Handles ended with the tree lock held once, and moves of nodes in that time.
#define REVOKE_BATCH 32
#define REVOKE_STEPS 64

// Ends everything below root, which is marked HANDLE_REVOKING and so stays. `tree` is held at entry and exit, not between.
static uint64_t revoke_below(struct handle *root, struct spinlock *tree) {
    uint64_t count = 0;
    for (bool more = true; more;) {
        struct handle *ended[REVOKE_BATCH];
        unsigned n = 0;
        bool busy = false;
        for (unsigned step = 0; more && n < REVOKE_BATCH && step < REVOKE_STEPS; step++) {
            bool progress;
            struct handle *leaf = derivation_revoke_step(root, &progress, &busy);
            if (leaf) {
                end_leaf(leaf);
                ended[n++] = leaf;
            }
            more = progress;
        }
        count += n;
        more |= busy;
        if (n == 0 && !more) break;
        spin_unlock(tree);
        for (unsigned i = 0; i < n; i++) finish_leaf(ended[i]);
        if (more) sched_preempt_point();
        spin_lock(tree);
    }
    return count;
}

// o->tree is held at entry and released; the object has a reference of the caller's. With `self`, h goes too.
uint64_t handle_revoke_locked(struct handle *h, struct object *o, bool self) {
    struct spinlock *tree = o->tree;
    h->flags |= HANDLE_REVOKING;
    o->revokes++;
    uint64_t count = revoke_below(h, tree);
    o->revokes--;
    if (!self || h->flags & HANDLE_TOMBSTONE) {
        derivation_revoke_end(h);
        spin_unlock(tree);
        return count;
    }
    h->flags &= (uint8_t)~HANDLE_REVOKING;
    end_leaf(h);
    spin_unlock(tree);
    finish_leaf(h);
    return count + 1;
}

int64_t handle_revoke(kpio_handle value, bool self) {
    for (;;) {
        struct handle *h = handle_lookup(value);
        if (!h) return -EBADF;
        struct object *o = h->object;
        spin_lock(o->tree);
        bool same = h->value == value, busy = h->flags & HANDLE_REVOKING;
        if (!same || busy) {
            spin_unlock(o->tree);
            if (!same) return -EBADF;
            if (sched_preempt_point()) return -EINTR;
            continue;
        }
        if (h->flags & HANDLE_AUDITED) audit_record(AUDIT_REVOKE, value, o, h->rights, 0);
        object_get(o);
        uint64_t count = handle_revoke_locked(h, o, self);
        object_put(o);
        return (int64_t)count;
    }
}
