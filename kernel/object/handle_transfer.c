// Handles on their way between tables: in messages and by handle_give. In flight a handle keeps a reference on its
// object, as a revocation may end it there and only its carrier may free it.
#include "abi/gen/errors.h"
#include "kernel/core/assert.h"
#include "kernel/object/audit.h"
#include "kernel/object/derivation.h"
#include "kernel/object/handle_end.h"
#include "kernel/object/handle_expiry.h"
#include "kernel/object/handle_pool.h"
#include "kernel/object/handle_table.h"
#include "kernel/object/process.h"

// The checks of a transfer: *rights becomes what the receiver gets.
static int check(struct handle *h, kpio_handle value, uint32_t *rights, unsigned mode) {
    if (mode != KPIO_SEND_COPY && mode != KPIO_SEND_MOVE) return -EINVAL;
    if (*rights == KPIO_RIGHTS_SAME) *rights = h->rights;
    else if (*rights & ~KPIO_RIGHTS_ALL) return -EINVAL;
    uint32_t need = *rights | KPIO_RIGHT_TRANSFER | (mode == KPIO_SEND_COPY ? KPIO_RIGHT_DUPLICATE : 0);
    if ((h->rights & need) == need) return 0;
    audit_record(AUDIT_DENIED, value, h->object, need, -EACCES);
    return -EACCES;
}

static int take_copy(struct handle *h, kpio_handle value, uint32_t rights, struct handle **out) {
    struct object *o = h->object;
    struct handle *child = handle_alloc();
    if (!child) return -ENOMEM;
    handle_fill(child, o, h->badge, rights, (h->flags & HANDLE_AUDITED) | HANDLE_IN_FLIGHT);
    spin_lock(o->tree);
    if (h->value != value || h->flags & HANDLE_DEAD || derivation_is_revoking(h)) {
        spin_unlock(o->tree);
        handle_free(child);
        return -EBADF;
    }
    object_get(o);
    derivation_link(child, h);
    handle_object_added(o, rights);
    spin_unlock(o->tree);
    *out = child;
    return 0;
}

static int take_move(struct handle_table *from, struct handle *h, kpio_handle value, uint32_t rights,
                     struct handle **out) {
    struct object *o = h->object;
    spin_lock(o->tree);
    if (h->value != value || h->table != from || h->flags & HANDLE_REVOKING) {
        spin_unlock(o->tree);
        return -EBADF;
    }
    bool lost_receive = h->rights & ~rights & KPIO_RIGHT_RECEIVE;
    handle_table_remove(from, h);
    h->rights = rights;
    h->flags |= HANDLE_IN_FLIGHT;
    object_get(o);
    spin_unlock(o->tree);
    if (handle_has_watchers(o)) handle_tell_watchers(o, h);
    if (lost_receive) handle_object_lost_receiver(o);
    *out = h;
    return 0;
}

int handle_check_transfer(struct handle_table *from, kpio_handle value, uint32_t rights, unsigned mode) {
    struct handle *h = handle_table_lookup(from, value);
    if (!h || (h->flags & HANDLE_EXPIRES && handle_has_expired(h))) return -EBADF;
    return check(h, value, &rights, mode);
}

int handle_take(struct handle_table *from, kpio_handle value, uint32_t rights, unsigned mode, struct handle **out) {
    struct handle *h = handle_table_lookup(from, value);
    if (!h || (h->flags & HANDLE_EXPIRES && handle_has_expired(h))) return -EBADF;
    int error = check(h, value, &rights, mode);
    if (error) return error;
    if (h->flags & HANDLE_AUDITED) audit_record(AUDIT_TRANSFER, value, h->object, rights, 0);
    return mode == KPIO_SEND_COPY ? take_copy(h, value, rights, out) : take_move(from, h, value, rights, out);
}

int handle_copy_in_flight(struct handle *h, struct handle **out) {
    return h->rights & KPIO_RIGHT_DUPLICATE ? take_copy(h, 0, h->rights, out) : -EACCES;
}

// Under the tree lock: whether h was revoked on its way; then its memory is the carrier's to free.
static bool free_if_dead(struct handle *h, struct object *o) {
    if (!(h->flags & HANDLE_DEAD)) return false;
    spin_unlock(o->tree);
    handle_free(h);
    object_put(o);
    return true;
}

int64_t handle_put(struct handle_table *to, struct handle *h) {
    struct object *o = h->object;
    spin_lock(o->tree);
    if (free_if_dead(h, o)) return -EBADF;
    h->flags &= (uint8_t)~HANDLE_IN_FLIGHT;
    int64_t value = handle_table_insert(to, h);
    if (value < 0) h->flags |= HANDLE_IN_FLIGHT;
    spin_unlock(o->tree);
    if (value > 0) object_put(o);
    return value;
}

void handle_drop(struct handle *h) {
    struct object *o = h->object;
    spin_lock(o->tree);
    if (free_if_dead(h, o)) return;
    h->flags &= (uint8_t)~HANDLE_IN_FLIGHT;
    uint32_t rights = h->rights, flags = h->flags;
    bool out_of_tree = derivation_remove(h);
    spin_unlock(o->tree);
    handle_end(h, rights, flags, out_of_tree);
    object_put(o);
}

int64_t handle_give(struct handle_table *to, kpio_handle value, uint32_t rights, unsigned mode) {
    struct handle_table *from = &current_process()->handles;
    struct handle *h;
    int error = handle_take(from, value, rights, mode, &h);
    if (error) return error;
    int64_t result = handle_put(to, h);
    if (result > 0 || result == -EBADF) return result;
    // A move that the other table has no room for must not lose the handle: its own table had room for it.
    if (mode == KPIO_SEND_MOVE && handle_put(from, h) > 0) return result;
    handle_drop(h);
    return result;
}

// ---- mappings -----------------------------------------------------------------------------------------------------------

static inline void mapping_fill(struct handle *node, const struct handle *of) {
    node->object = of->object;
    node->value = 0;
    node->access = of->rights | (uint32_t)HANDLE_MAPPING << 24;
}

int handle_mapping_link(struct handle *node, struct handle *parent) {
    struct object *o = parent->object;
    struct spinlock *tree = o->tree;
    mapping_fill(node, parent);
    spin_lock(tree);
    if (unlikely(!parent->value || derivation_is_revoking(parent))) {
        spin_unlock(tree);
        return -EBADF;
    }
    derivation_link(node, parent);
    handle_object_added(o, 0);  // what can be mapped has no receivers
    spin_unlock(tree);
    return 0;
}

int handle_mapping_link_sibling(struct handle *node, struct handle *of) {
    struct object *o = of->object;
    mapping_fill(node, of);
    spin_lock(o->tree);
    if (of->flags & HANDLE_DEAD || derivation_is_revoking(of)) {
        spin_unlock(o->tree);
        return -EBADF;
    }
    derivation_link_sibling(node, of);
    handle_object_added(o, 0);
    spin_unlock(o->tree);
    return 0;
}

void handle_mapping_unlink(struct handle *node) {
    struct object *o = node->object;
    struct spinlock *tree = o->tree;
    spin_lock(tree);
    if (unlikely(node->flags & HANDLE_DEAD)) {
        spin_unlock(tree);
        return;
    }
    (void)derivation_remove(node);  // a mapping has no children: it is out
    node->flags |= HANDLE_DEAD;
    spin_unlock(tree);
    handle_object_removed_plain(o, 1);
}
