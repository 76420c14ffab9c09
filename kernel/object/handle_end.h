// What remains to be done for a handle after it left its table and tree, without any lock: waits that went through it
// end, its expiry is forgotten, the object may have become unreachable. Internal to kernel/object.
#pragma once
#include "kernel/object/handle.h"

// h left its table and the tree (then its memory goes too, unless a message carries it), or stays as a tombstone; rights
// and flags are what it had.
void handle_end(struct handle *h, uint32_t rights, uint32_t flags, bool out_of_tree);
// Whether waits through h or ports that watch through it may have to be told that it is gone; a full barrier after its
// value was cleared (handle_table_remove).
static inline bool handle_has_watchers(const struct object *o) { return unlikely(o->waited) || unlikely(o->watchers); }
coldcall void handle_tell_watchers(struct object *o, struct handle *h);
coldcall void handle_object_unreachable(struct object *o);
coldpath void handle_object_lost_receiver(struct object *o);
// Fewer handles on an object: unreachable and the last reference follow.
static inline void handle_object_removed_plain(struct object *o, uint32_t count) {
    if (unlikely(__atomic_sub_fetch(&o->handles, count, __ATOMIC_ACQ_REL) == 0)) handle_object_unreachable(o);
}
static inline void handle_object_removed(struct object *o, uint32_t rights) {
    if (unlikely(rights & KPIO_RIGHT_RECEIVE)) handle_object_lost_receiver(o);
    handle_object_removed_plain(o, 1);
}
// One more. True: it is the first; then the handles' reference is the caller's to give.
static inline bool handle_object_added(struct object *o, uint32_t rights) {
    if (unlikely(rights & KPIO_RIGHT_RECEIVE)) __atomic_fetch_add(&o->receivers, 1, __ATOMIC_RELAXED);
    return __atomic_fetch_add(&o->handles, 1, __ATOMIC_RELAXED) == 0;
}
// A handle in no table and no tree.
static inline void handle_fill(struct handle *h, struct object *o, uint64_t badge, uint32_t rights, uint32_t flags) {
    h->object = o;
    h->badge = badge;
    h->value = 0;
    h->access = rights | flags << 24;
}
