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

coldcall void handle_object_unreachable(struct object *o) {
    if (o->ops->unreachable) (o->ops->unreachable)(o);  // parentheses: stddef.h has a macro of that name
    object_put(o);
}

void handle_object_lost_receiver(struct object *o) {
    if (__atomic_sub_fetch(&o->receivers, 1, __ATOMIC_ACQ_REL) == 0 && o->ops->no_receivers) o->ops->no_receivers(o);
}

coldcall void handle_tell_watchers(struct object *o, struct handle *h) {
    if (o->waited && o->ops->handle_gone) o->ops->handle_gone(o, h);
    object_unbind_handle(o, h);
}

void handle_end(struct handle *h, uint32_t rights, uint32_t flags, bool out_of_tree) {
    struct object *o = h->object;
    if (handle_has_watchers(o)) handle_tell_watchers(o, h);
    if (unlikely(flags & HANDLE_EXPIRES)) handle_expiry_forget(h);
    if (likely(out_of_tree && !(flags & HANDLE_IN_FLIGHT))) handle_free(h);
    handle_object_removed(o, rights);
}

// Ends a leaf: it leaves table and tree. The tree lock is held. finish_leaf follows without it.
static inline void end_leaf(struct handle *h) {
    verify(derivation_remove(h));
    if (likely(h->value)) {
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
        handle_object_removed_plain(o, 1);
        return;
    }
    handle_end(h, rights, flags, true);
}

// Handles ended with the tree lock held once, and moves of nodes in that time.
#define REVOKE_BATCH 32
#define REVOKE_STEPS 64

// What left the tree while it was locked: plain handles on one object, by pool_next, and others.
struct ended {
    struct object *object;
    struct handle *first, *last;
    uint32_t count;        // of the plain ones
    uint32_t other_count;
    struct handle *others[REVOKE_BATCH];
};

// Ends the plain leaves that root's children begin with.
static inline void end_plain_leaves(struct handle *root, struct ended *e) {
    for (struct handle *h; e->count + e->other_count < REVOKE_BATCH && (h = root->child) != NULL; e->count++) {
        if (unlikely(h->child || !handle_is_plain(h->access) || h->object != e->object)) return;
        derivation_detach(h);
        handle_table_remove(h->table, h);
        h->pool_next = e->first;
        e->first = h;
        if (!e->last) e->last = h;
    }
}

static void finish_ended(const struct ended *e) {
    if (e->count) {
        for (struct handle *h = e->first; handle_has_watchers(e->object) && h; h = h->pool_next)
            handle_tell_watchers(e->object, h);
        handle_free_list(e->first, e->last, e->count);
        handle_object_removed_plain(e->object, e->count);
    }
    for (unsigned i = 0; i < e->other_count; i++) finish_leaf(e->others[i]);
}

// Ends everything below root, which is marked HANDLE_REVOKING and so stays. `tree` is held at entry and exit, not between.
static uint64_t revoke_below(struct handle *root, struct spinlock *tree) {
    uint64_t count = 0;
    struct ended ended;
    ended.object = root->object;
    for (bool more = true; more;) {
        ended.first = ended.last = NULL;
        ended.count = ended.other_count = 0;
        bool busy = false;
        for (unsigned step = 0; more && step < REVOKE_STEPS; step++) {
            end_plain_leaves(root, &ended);
            if (ended.count + ended.other_count == REVOKE_BATCH) break;
            struct handle *leaf = derivation_revoke_step(root, &more, &busy);
            if (!leaf) continue;
            end_leaf(leaf);
            ended.others[ended.other_count++] = leaf;
        }
        more |= busy;
        if (!more && ended.count + ended.other_count == 0) break;
        count += ended.count + ended.other_count;
        spin_unlock(tree);
        finish_ended(&ended);
        if (more) sched_preempt_point();
        spin_lock(tree);
    }
    return count;
}

// o->tree is held at entry and released; the object has a reference of the caller's. With `self`, h goes too.
uint64_t handle_revoke_locked(struct handle *h, struct object *o, bool self) {
    struct spinlock *tree = o->tree;
    h->flags |= HANDLE_REVOKING;
    struct object *family = object_family(o);
    family->revokes++;
    uint64_t count = revoke_below(h, tree);
    family->revokes--;
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
