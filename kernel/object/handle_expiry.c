// A handle with an expiry has an entry in a small hash table. Its timer only passes the entry to a worker thread, as a
// revocation takes preemptible steps; lookups compare the time themselves, so nothing gets through in between.
//
// An entry is in the table and its timer armed before anybody else sees it; whoever takes it out of the table (the end of
// its handle, a new deadline, the worker) owns it then, cancels the timer and frees the entry. A timer that was due just
// then may still wait for expiry_lock on another CPU: it finds an entry without a handle, and as it fires between two
// quiescent points, a grace period keeps the memory for it. The same keeps an entry that the worker looks at.
// Locks: expiry_lock is a leaf under object->tree.
#include "kernel/object/handle_expiry.h"

#include "abi/gen/errors.h"
#include "kernel/arch/x86_64/arch.h"
#include "kernel/core/assert.h"
#include "kernel/mm/slub.h"
#include "kernel/object/process.h"
#include "kernel/sched/sched.h"

#define BUCKETS 64

struct expiry {
    struct list_node node;      // in its bucket, while handle is not NULL
    struct list_node due_node;  // on the worker's list, when its time has come
    struct handle *handle;      // NULL: taken out
    nanos_t deadline;
    struct ktimer timer;
    struct rcu_head rcu;
};

static struct spinlock expiry_lock = SPINLOCK_INIT("handle expiry");
static struct list buckets[BUCKETS];
static struct list due;              // guarded by expiry_lock
static struct wait_queue worker_wait;
static struct kmem_cache expiry_cache;

static struct list *bucket_of(const struct handle *h) { return &buckets[(uintptr_t)h / sizeof(*h) % BUCKETS]; }

static struct expiry *find(const struct handle *h) {
    struct list *bucket = bucket_of(h);
    for (struct list_node *n = list_first(bucket); n; n = list_next(bucket, n)) {
        struct expiry *e = container_of(n, struct expiry, node);
        if (e->handle == h) return e;
    }
    return NULL;
}

nanos_t handle_expiry_of(const struct handle *h) {
    spin_lock(&expiry_lock);
    struct expiry *e = find(h);
    nanos_t deadline = e ? e->deadline : TIME_NEVER;
    spin_unlock(&expiry_lock);
    return deadline;
}

bool handle_has_expired(const struct handle *h) { return arch_now() >= handle_expiry_of(h); }

static void fire(struct ktimer *timer) {
    struct expiry *e = container_of(timer, struct expiry, timer);
    spin_lock(&expiry_lock);
    bool is_due = e->handle != NULL;
    if (is_due) list_push_back(&due, &e->due_node);
    spin_unlock(&expiry_lock);
    if (!is_due) return;
    spin_lock(&worker_wait.lock);
    (void)wait_queue_wake_locked(&worker_wait, 1, 0);
    spin_unlock(&worker_wait.lock);
}

// expiry_lock is held. The entry becomes the caller's, for retire.
static void take_out_locked(struct expiry *e) {
    list_remove(&e->node);
    if (list_node_is_linked(&e->due_node)) list_remove(&e->due_node);
    e->handle = NULL;
}

static void entry_free(struct rcu_head *head) { slub_free(&expiry_cache, container_of(head, struct expiry, rcu)); }

static void retire(struct expiry *e) {
    ktimer_cancel(&e->timer);
    rcu_call(&e->rcu, entry_free);
}

// ---- the worker -------------------------------------------------------------------------------------------------------

// The next entry whose time has come, and its handle, whose object gets a reference: while an entry has a handle, that
// counts on its object. The entry stays where it is.
static struct expiry *next_due(struct handle **h) {
    spin_lock(&expiry_lock);
    struct expiry *e = list_first_entry(&due, struct expiry, due_node);
    *h = e != NULL ? e->handle : NULL;
    if (e != NULL) object_get((*h)->object);
    spin_unlock(&expiry_lock);
    return e;
}

// The tree lock is held. Whether the entry still stands for h: then it does no more.
static bool claim(struct expiry *e, const struct handle *h) {
    spin_lock(&expiry_lock);
    bool mine = e->handle == h;
    if (mine) take_out_locked(e);
    spin_unlock(&expiry_lock);
    return mine;
}

// In a table or in a message, not closed a moment ago.
static bool is_live(const struct handle *h) {
    return h->value != 0 || (h->flags & (HANDLE_IN_FLIGHT | HANDLE_DEAD)) == HANDLE_IN_FLIGHT;
}

// Revokes what the entry stands for. False: another revocation of the handle is at work, which may leave the handle
// itself alive, so this one comes after it.
static bool expire(struct expiry *e, struct handle *h) {
    struct object *o = h->object;
    spin_lock(o->tree);
    bool busy = is_live(h) && h->flags & HANDLE_REVOKING;
    bool mine = !busy && claim(e, h);
    if (mine && is_live(h)) {
        h->flags &= (uint8_t)~HANDLE_EXPIRES;
        handle_revoke_locked(h, o, true);
    } else {
        spin_unlock(o->tree);
    }
    if (mine) retire(e);
    object_put(o);
    return !busy;
}

static void worker(void *arg) {
    for (;;) {
        struct handle *h;
        struct expiry *e = next_due(&h);
        if (e != NULL) {
            if (expire(e, h)) sched_preempt_point();
            else sched_yield();
            continue;
        }
        spin_lock(&worker_wait.lock);
        if (!list_is_empty(&due)) {  // a timer on another CPU came between: it waits for worker_wait.lock now
            spin_unlock(&worker_wait.lock);
            continue;
        }
        wait_queue_join_unlock(&worker_wait, NULL, NULL);
        (void)wait_block(TIME_NEVER);
    }
}

void handle_expiry_init(void) {
    slub_cache_init(&expiry_cache, "handle expiry", sizeof(struct expiry), 0);
    for (unsigned i = 0; i < BUCKETS; i++) list_init(&buckets[i]);
    list_init(&due);
    wait_queue_init(&worker_wait, "expiry worker");
    verify(sched_kthread_create("expiry", worker, NULL));
}

// ---- setting and forgetting -------------------------------------------------------------------------------------------

// Puts `fresh` (or nothing) in the place of the entry of h, which the caller retires.
static struct expiry *exchange(struct handle *h, struct expiry *fresh) {
    spin_lock(&expiry_lock);
    struct expiry *old = find(h);
    if (old != NULL) take_out_locked(old);
    if (fresh != NULL) {
        fresh->handle = h;
        list_push_back(bucket_of(h), &fresh->node);
        ktimer_arm(&fresh->timer, fresh->deadline);
    }
    spin_unlock(&expiry_lock);
    return old;
}

void handle_expiry_forget(struct handle *h) {
    struct expiry *old = exchange(h, NULL);
    if (old != NULL) retire(old);
}

static struct expiry *entry_make(nanos_t deadline) {
    struct expiry *e = slub_alloc_zeroed(&expiry_cache);
    if (e == NULL) return NULL;
    ktimer_init(&e->timer, fire);
    list_node_init(&e->due_node);
    e->deadline = deadline;
    return e;
}

int handle_expire(kpio_handle value, nanos_t deadline) {
    struct expiry *fresh = NULL, *old = NULL;
    if (deadline != TIME_NEVER && (fresh = entry_make(deadline)) == NULL) return -ENOMEM;
    struct handle *h = handle_lookup(value);
    bool alive = false;
    if (h != NULL) {
        spin_lock(h->object->tree);
        alive = h->value == value;
        if (alive) {
            old = exchange(h, fresh);
            h->flags = (uint8_t)(fresh != NULL ? h->flags | HANDLE_EXPIRES : h->flags & ~HANDLE_EXPIRES);
        }
        spin_unlock(h->object->tree);
    }
    if (!alive && fresh != NULL) slub_free(&expiry_cache, fresh);  // nobody has seen it
    if (old != NULL) retire(old);
    return alive ? 0 : -EBADF;
}

int handle_expiry_copy(struct handle *to, const struct handle *from) {
    nanos_t deadline = handle_expiry_of(from);
    if (deadline == TIME_NEVER) return 0;
    struct expiry *fresh = entry_make(deadline);
    if (fresh == NULL) return -ENOMEM;
    (void)exchange(to, fresh);  // it had none
    to->flags |= HANDLE_EXPIRES;
    return 0;
}
