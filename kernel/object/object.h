// What all kernel objects share: kind, life, charge, derivation lock. One .c and .h per kind beside this file (or in the
// folder of its subsystem); every object embeds struct object first.
//
// Life: `handles` counts handles (and mappings); when it falls to 0 ops->unreachable runs once: nobody can name the
// object any more (an endpoint fails its callers, a process ends if it never started, ...). `refs` counts kernel
// pointers kept beyond an RCU section, plus one while handles > 0; at 0 ops->destroy runs, then the memory goes back
// after a grace period. Blocked threads keep no reference: unreachable ends their waits.
#pragma once
#include "abi/types.h"
#include "kernel/core/assert.h"
#include "kernel/core/rcu.h"
#include "kernel/core/spinlock.h"
#include "kernel/core/types.h"
#include "lib/list.h"

struct job;
struct object;
struct handle;
struct watcher;

struct object_ops {
    const char *name;                     // for the log and tests: "endpoint"
    uint32_t rights;                      // rights that make sense on this kind: what a first handle gets
    void (*unreachable)(struct object *); // may be NULL; may block? no: no blocking, no handle locks held
    void (*destroy)(struct object *);     // releases what it holds; must not block. The memory (kmalloc or a cache) is
                                          // then freed by object_put, after a grace period. May be NULL.
    // Frees the memory after the grace period, where kfree is not what it takes. May be NULL.
    void (*free)(struct rcu_head *);
    // The handle goes away by revocation, closing or moving: end the waits that went through it. May be NULL.
    // The object's tree lock is NOT held.
    void (*handle_gone)(struct object *, struct handle *);
    // The last handle with the right RECEIVE is gone. May be NULL. No lock held.
    void (*no_receivers)(struct object *);
    // Ports: which signals are asserted now, with the value for the packet. Takes the lock under which they change, so that
    // a change and a new binding cannot miss each other. May be NULL: cannot be waited on.
    uint32_t (*signals)(struct object *, uint64_t *value);
};

struct object {
    const struct object_ops *ops;
    uint32_t refs;                        // atomic
    uint32_t handles;                     // atomic
    uint8_t kind;                         // enum kpio_kind
    uint8_t flags;                        // OBJECT_*
    bool waited;                          // somebody may wait through a handle: ops->handle_gone must be asked
    struct spinlock tree_lock;            // guards the derivation tree of its handles
    struct spinlock *tree;                // &tree_lock, or that of the object it was derived from (file from directory)
    struct job *job;                      // who pays
    uint64_t id;                          // unique since boot
    struct watcher *watchers;             // ports and waits; guarded by its watch lock (ipc/watch.h)
    struct rcu_head rcu;
    uint32_t charged_bytes;               // kernel memory charged to job
    uint32_t receivers;                   // atomic: handles with the right RECEIVE
    uint32_t revokes;                     // of object_family: revocations at work in its tree; guarded by *tree
    uint64_t status;                      // atomic: KPIO_OBJECT_NONBLOCK, and bits that user space keeps here (handle_flags)
};
// Calls on it that would wait say EAGAIN.
static inline bool object_nonblock(const struct object *o) {
    return __atomic_load_n(&o->status, __ATOMIC_RELAXED) & KPIO_OBJECT_NONBLOCK;
}
// The object whose tree o's handles are nodes of: its own, or that of the object which it was got through.
static inline struct object *object_family(const struct object *o) { return container_of(o->tree, struct object, tree_lock); }
enum { OBJECT_DEAD = 1 << 0 };

// Takes zeroed memory, charges `bytes` of kernel memory to job (-ENFILE), starts with refs 1, handles 0: the reference is
// the creator's until handle_install turns it into a handle (or object_put drops it).
[[nodiscard]] int object_init(struct object *o, enum kpio_kind kind, const struct object_ops *ops, struct job *job,
                          uint32_t bytes);
// For an object that the caller, a handle under its tree lock or something else holds already.
static inline void object_get(struct object *o) {
    uint32_t before = __atomic_fetch_add(&o->refs, 1, __ATOMIC_RELAXED);
    assert(before != 0);
    (void)before;
}
void object_put(struct object *o);
// Drops the creator's reference of an object that is to have no handle: it ends as one whose last handle has gone, unless
// somebody who found it by its id has one.
void object_abandon(struct object *o);
// For an object found by a lookup, of a handle or an id: takes a reference unless the last one has gone, as the handle may
// be closed on another CPU meanwhile. Within an RCU section.
[[nodiscard]] static inline bool object_tryget(struct object *o) {
    uint32_t refs = __atomic_load_n(&o->refs, __ATOMIC_RELAXED);
    do {
        if (refs == 0) return false;
    } while (!__atomic_compare_exchange_n(&o->refs, &refs, refs + 1, true, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED));
    return true;
}
uint64_t object_count(enum kpio_kind kind);  // live objects

// A wait through a handle of o begins, under the lock that ops->handle_gone takes. Look at the handle's value after this:
// who ends a handle clears the value first, then looks at `waited`, with a full barrier between.
static inline void object_expect_waits(struct object *o) {
    if (unlikely(!o->waited)) (void)__atomic_exchange_n(&o->waited, true, __ATOMIC_SEQ_CST);
}
// An ops->handle_gone for kinds whose waits stand in one queue and begin with object_expect_waits: they end with -ECANCELED.
struct wait_queue;
void object_cancel_waits(struct object *o, struct wait_queue *q, const struct handle *via);

// Tells the ports and waits that watch o that its signals changed. Cheap when nobody watches. No lock of o's may be held
// that ops->signals takes. Provided by ipc/watch.c.
void object_signal(struct object *o);
// Provided by ipc/watch.c: a handle on o is gone; who watches o through it is told.
void object_unbind_handle(struct object *o, const struct handle *h);
// Provided by ipc/watch.c: drops all bindings of o.
void object_unbind_all(struct object *o);
