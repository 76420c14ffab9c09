// What remains to be done for a handle after it left its table and tree, without any lock: waits that went through it
// end, its expiry is forgotten, the object may have become unreachable. Internal to kernel/object.
#pragma once
#include "kernel/object/handle.h"

// h left its table and the tree (then its memory goes too, unless a message carries it), or stays as a tombstone; rights
// and flags are what it had.
void handle_end(struct handle *h, uint32_t rights, uint32_t flags, bool out_of_tree);
coldpath void handle_object_unreachable(struct object *o);
coldpath void handle_object_lost_receiver(struct object *o);
// One handle less on an object: unreachable and the last reference follow.
static inline void handle_object_removed(struct object *o, uint32_t rights) {
    if (unlikely(rights & KPIO_RIGHT_RECEIVE)) handle_object_lost_receiver(o);
    if (unlikely(__atomic_sub_fetch(&o->handles, 1, __ATOMIC_ACQ_REL) == 0)) handle_object_unreachable(o);
}
// One more. True: it is the first; then the handles' reference is the caller's to give.
static inline bool handle_object_added(struct object *o, uint32_t rights) {
    if (unlikely(rights & KPIO_RIGHT_RECEIVE)) __atomic_fetch_add(&o->receivers, 1, __ATOMIC_RELAXED);
    return __atomic_fetch_add(&o->handles, 1, __ATOMIC_RELAXED) == 0;
}
// A child of parent, not yet in a table or linked, with object->tree held on success. NULL and *error else.
struct handle *handle_make_child(struct handle *parent, kpio_handle value, uint32_t rights, int *error);
