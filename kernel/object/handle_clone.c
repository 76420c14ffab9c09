// Fork: the handles of one table in another one, which nobody else can reach yet.
#include "abi/gen/errors.h"
#include "kernel/object/derivation.h"
#include "kernel/object/handle_end.h"
#include "kernel/object/handle_expiry.h"
#include "kernel/object/handle_pool.h"
#include "kernel/object/handle_table.h"
#include "kernel/sched/sched.h"

// What is left when a copy could not be put in its place. One whose original went meanwhile is not there for the child
// either: `error` is 0 then.
static int give_up(struct handle *copy, int error) {
    handle_free(copy);
    return error;
}

// The same object: beside h in the tree, with an expiry of its own if h has one, for who is bounded by it must stay so.
static int clone_sibling(struct handle_table *to, struct handle *copy, struct handle *h, kpio_handle value) {
    struct object *o = h->object;
    spin_lock(o->tree);
    if (h->value != value || derivation_is_revoking(h)) {
        spin_unlock(o->tree);
        return give_up(copy, 0);
    }
    handle_fill(copy, o, h->badge, h->rights, h->flags & HANDLE_AUDITED);
    int error = handle_table_insert_at(to, copy, value);
    if (!error && h->flags & HANDLE_EXPIRES) {
        error = handle_expiry_copy(copy, h);
        if (error) handle_table_remove(to, copy);
    }
    if (!error) {
        derivation_link_sibling(copy, h);
        handle_object_added(o, copy->rights);
    }
    spin_unlock(o->tree);
    return error ? give_up(copy, error) : 0;
}

// Another object, which the caller holds, in the place of h's: a first handle.
static int clone_replaced(struct handle_table *to, struct handle *copy, struct handle *h, kpio_handle value,
                          struct object *as) {
    struct object *o = h->object;
    spin_lock(o->tree);
    bool live = h->value == value && !derivation_is_revoking(h);
    handle_fill(copy, as, 0, h->rights, h->flags & HANDLE_AUDITED);
    spin_unlock(o->tree);
    if (!live) return give_up(copy, 0);
    spin_lock(as->tree);
    int error = handle_table_insert_at(to, copy, value);
    if (!error) {
        derivation_link(copy, NULL);
        if (handle_object_added(as, copy->rights)) object_get(as);  // the handles together hold one reference
    }
    spin_unlock(as->tree);
    return error ? give_up(copy, error) : 0;
}

static int clone_one(struct handle_table *to, struct handle *h, struct handle_clone *c) {
    kpio_handle value = h->value;
    struct object *o = h->object, *as = o;
    if (value == 0) return 0;
    int error = c->kinds >> o->kind & 1 ? c->choose(c, o, &as) : 0;
    if (error || as == NULL) return error;
    struct handle *copy = handle_alloc();
    if (copy == NULL) return -ENOMEM;
    return as == o ? clone_sibling(to, copy, h, value) : clone_replaced(to, copy, h, value, as);
}

int handle_table_clone(struct handle_table *to, struct handle_table *from, struct handle_clone *c) {
    int error = 0;
    for (uint32_t i = 0; !error && i < __atomic_load_n(&from->used_end, __ATOMIC_ACQUIRE); i++) {
        uintptr_t entry = __atomic_load_n(handle_entry_at(from, i), __ATOMIC_RELAXED);
        if (!(entry & 1)) error = clone_one(to, (struct handle *)entry, c);
        if (i % 32 == 31 && sched_preempt_point()) error = error ? error : -EINTR;
    }
    handle_table_fill_gaps(to);
    return error;
}
