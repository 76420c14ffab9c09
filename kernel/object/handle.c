// Lookup, first handles, duplicates, closing. Locks: object->tree, then handle_table.lock; none for a lookup.
#include "kernel/object/handle.h"

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
#include "lib/string.h"

void handle_init(void) {
    handle_pool_init();
    handle_expiry_init();
}

struct handle *handle_lookup(kpio_handle value) {
    struct handle *h = handle_table_lookup(&current_process()->handles, value);
    if (unlikely(h && h->flags & HANDLE_EXPIRES && handle_has_expired(h))) return NULL;
    return h;
}

// Whatever is not plain: expiry, audit, refusal.
static coldpath int get_slow(kpio_handle value, enum kpio_kind kind, uint32_t rights, struct handle **out) {
    struct handle *h = handle_lookup(value);
    if (!h) return -EBADF;
    int error = 0;
    if (kind != KPIO_KIND_NONE && h->object->kind != kind) error = -EWRONGTYPE;
    else if ((h->rights & rights) != rights) error = -EACCES;
    if (error) {
        audit_record(AUDIT_DENIED, value, h->object, rights, error);
        return error;
    }
    if (h->flags & HANDLE_AUDITED) audit_record(AUDIT_USE, value, h->object, rights, 0);
    *out = h;
    return 0;
}

// Every system call comes through: a leaf function, with one way through it.
int handle_get_full(kpio_handle value, enum kpio_kind kind, uint32_t rights, struct handle **out) {
    struct handle *h = handle_table_lookup(&current_process()->handles, value);
    if (unlikely(!h || h->flags & (HANDLE_EXPIRES | HANDLE_AUDITED) || (h->rights & rights) != rights ||
                 (kind != KPIO_KIND_NONE && h->object->kind != kind)))
        return get_slow(value, kind, rights, out);
    *out = h;
    return 0;
}

int handle_get(kpio_handle value, enum kpio_kind kind, uint32_t rights, struct object **out) {
    struct handle *h;
    int error = handle_get_full(value, kind, rights, &h);
    if (unlikely(error)) return error;
    *out = h->object;
    return 0;
}

// ---- first handles --------------------------------------------------------------------------------------------------

static int64_t install(struct handle_table *table, struct object *o, uint32_t rights, struct handle *parent) {
    struct handle *h = handle_alloc();
    if (!h) return -ENOMEM;
    handle_fill(h, o, 0, rights & KPIO_RIGHTS_ALL, 0);
    spin_lock(o->tree);
    int64_t value = -EBADF;
    bool first = false;
    // The parent may have been closed since it was looked up: then it is in no tree.
    if (!parent || (parent->value != KPIO_HANDLE_NONE && !derivation_is_revoking(parent))) value = handle_table_insert(table, h);
    if (value > 0) {
        if (parent) h->flags |= parent->flags & HANDLE_AUDITED;
        derivation_link(h, parent);
        first = handle_object_added(o, h->rights);
    }
    spin_unlock(o->tree);
    if (value < 0) handle_free(h);
    else if (!first) object_put(o);  // the handles together hold one reference
    return value;
}

static int64_t install_new(struct object *o, uint32_t rights, struct handle *parent) {
    int64_t value = install(&current_process()->handles, o, rights, parent);
    if (unlikely(value < 0)) object_abandon(o);
    return value;
}

int64_t handle_install(struct object *o) { return install_new(o, o->ops->rights, NULL); }

int64_t handle_install_child(struct object *o, uint32_t rights, struct handle *parent) {
    assert(o->tree == parent->object->tree);
    return install_new(o, rights, parent);
}

int64_t handle_install_in(struct handle_table *table, struct object *o, uint32_t rights) {
    int64_t value = install(table, o, rights, NULL);
    if (unlikely(value < 0)) object_put(o);
    return value;
}

// ---- duplicates -------------------------------------------------------------------------------------------------------

// Everything that may come up. `badged`: with a badge of its own.
static coldpath int64_t dup_slowly(struct handle_table *table, kpio_handle value, uint32_t rights, bool badged,
                                   uint64_t badge) {
    struct handle *h = handle_table_lookup(table, value);
    if (!h) return -EBADF;
    struct object *o = h->object;
    uint32_t have = h->rights, flags = h->flags;
    uint32_t need = KPIO_RIGHT_DUPLICATE | (badged ? KPIO_RIGHT_BADGE : 0);
    if (flags & HANDLE_EXPIRES && handle_has_expired(h)) return -EBADF;
    if (badged && o->kind != KPIO_KIND_ENDPOINT) return -EWRONGTYPE;
    if ((have & need) != need) {
        audit_record(AUDIT_DENIED, value, o, need, -EACCES);
        return -EACCES;
    }
    if (rights == KPIO_RIGHTS_SAME) rights = have;
    else if (rights & ~have) return -EINVAL;
    if (badged) rights &= ~KPIO_RIGHT_BADGE;
    if (flags & HANDLE_AUDITED) audit_record(AUDIT_DUP, value, o, rights, 0);

    struct handle *child = handle_alloc();
    if (!child) return -ENOMEM;
    handle_fill(child, o, badged ? badge : h->badge, rights, flags & HANDLE_AUDITED);
    spin_lock(o->tree);
    int64_t result = -EBADF;
    if (h->value == value && !derivation_is_revoking(h)) result = handle_table_insert(table, child);
    if (result > 0) {
        derivation_link(child, h);
        handle_object_added(o, rights);
    }
    spin_unlock(o->tree);
    if (result < 0) handle_free(child);
    return result;
}

// The ordinary case without a call: a plain handle, memory, an entry and a charge at hand. Whatever else there is, the slow
// way finds it again.
int64_t handle_dup(kpio_handle value, uint32_t rights) {
    struct handle_table *table = &current_process()->handles;
    struct handle_pool *pool = handle_pool();
    struct handle *h = handle_table_lookup(table, value), *child;
    if (unlikely(!h)) return -EBADF;
    uint32_t have = h->access;
    if (unlikely(!handle_is_plain(have) || !(have & KPIO_RIGHT_DUPLICATE) || !(child = pool->free)))
        return dup_slowly(table, value, rights, false, 0);
    if (likely(rights == KPIO_RIGHTS_SAME)) rights = have;
    else if (unlikely(rights & ~have)) return -EINVAL;

    struct object *o = h->object;
    struct spinlock *tree = o->tree;
    handle_pool_take(pool, child);
    child->object = o;
    child->badge = h->badge;
    child->access = rights;
    spin_lock(tree);
    spin_lock(&table->lock);
    if (unlikely(h->value != value || object_family(o)->revokes || !handle_table_insert_at_hand(table, child))) {
        spin_unlock(&table->lock);
        spin_unlock(tree);
        handle_pool_give_back(pool, child);
        return dup_slowly(table, value, rights, false, 0);
    }
    spin_unlock(&table->lock);
    derivation_link(child, h);
    handle_object_added(o, 0);
    int64_t result = child->value;
    spin_unlock(tree);
    return result;
}

int64_t handle_dup_badged(kpio_handle value, uint32_t rights, uint64_t badge) {
    return dup_slowly(&current_process()->handles, value, rights, true, badge);
}

// ---- closing ----------------------------------------------------------------------------------------------------------

static coldpath int64_t close_slowly(struct handle_table *table, kpio_handle value) {
    struct handle *h = handle_table_lookup(table, value);
    if (!h) return -EBADF;
    struct object *o = h->object;
    spin_lock(o->tree);
    if (h->value != value || h->table != table) {
        spin_unlock(o->tree);
        return -EBADF;
    }
    uint32_t rights = h->rights, flags = h->flags;
    handle_table_remove(table, h);
    bool out_of_tree = derivation_remove(h);
    spin_unlock(o->tree);
    if (flags & HANDLE_AUDITED) audit_record(AUDIT_CLOSE, value, o, rights, 0);
    handle_end(h, rights, flags, out_of_tree);
    return 0;
}

// h has left table and tree, and there is more to do than to free it.
static coldpath int64_t close_watched(struct handle *h, struct object *o) {
    handle_tell_watchers(o, h);
    handle_free(h);
    handle_object_removed_plain(o, 1);
    return 0;
}

// The ordinary case without a call: a plain leaf that nobody waits through.
int64_t handle_close(struct handle_table *table, kpio_handle value) {
    uint32_t index = (uint32_t)value & HANDLE_INDEX_MASK;
    if (unlikely(index >= __atomic_load_n(&table->first_end, __ATOMIC_ACQUIRE))) return close_slowly(table, value);
    uintptr_t *at = &table->first[index], entry = __atomic_load_n(at, __ATOMIC_RELAXED);
    struct handle *h = (struct handle *)entry;
    if (unlikely(entry & 1 || h->value != value)) return -EBADF;
    struct object *o = h->object;
    struct spinlock *tree = o->tree;
    spin_lock(tree);
    struct handle *parent = h->parent;
    if (unlikely(h->value != value || h->table != table || !handle_is_plain(h->access) || h->child ||
                 (parent && parent->flags & HANDLE_TOMBSTONE))) {
        spin_unlock(tree);
        return close_slowly(table, value);
    }
    handle_table_remove_at(table, h, (uint32_t)value, at);
    derivation_detach(h);
    spin_unlock(tree);
    if (handle_has_watchers(o)) return close_watched(h, o);
    handle_free(h);
    handle_object_removed_plain(o, 1);
    return 0;
}

void handle_table_close_all(struct handle_table *table) {
    spin_lock(&table->lock);
    table->room -= table->limit;
    table->limit = 0;
    spin_unlock(&table->lock);
    for (uint32_t i = 0; i < __atomic_load_n(&table->used_end, __ATOMIC_ACQUIRE); i++) {
        uintptr_t entry = __atomic_load_n(&table->directory[i >> HANDLE_CHUNK_BITS][i & ((1u << HANDLE_CHUNK_BITS) - 1)],
                                          __ATOMIC_RELAXED);
        if (!(entry & 1)) (void)handle_close(table, ((struct handle *)entry)->value);
        if (i % 32 == 31) sched_preempt_point();
    }
}

// ---- looking ----------------------------------------------------------------------------------------------------------

void handle_describe(const struct handle *h, struct kpio_handle_info *info) {
    struct object *o = h->object;
    *info = (struct kpio_handle_info){.kind = o->kind, .object_id = o->id, .expiry = KPIO_TIME_NEVER};
    spin_lock(o->tree);
    info->value = h->value;
    info->rights = h->rights;
    info->badge = h->badge;
    info->flags = h->flags;
    for (const struct handle *c = h->value ? h->child : NULL; c && info->children < 1024; c = c->next) info->children++;
    spin_unlock(o->tree);
    if (h->flags & HANDLE_EXPIRES) info->expiry = handle_expiry_of(h);
}
