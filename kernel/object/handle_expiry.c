// A handle with an expiry has an entry in a small hash table. Its timer only passes the entry to a worker thread, as a
// revocation takes preemptible steps; lookups compare the time themselves, so nothing gets through in between.
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
    struct list_node due_node;  // on the worker's list, while due
    struct handle *handle;      // NULL: forgotten
    nanos_t deadline;
    struct ktimer timer;
    bool due;                   // passed to the worker, which frees it
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
        struct expiry *e = (struct expiry *)((char *)n - offsetof(struct expiry, node));
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
    struct expiry *e = (struct expiry *)((char *)timer - offsetof(struct expiry, timer));
    spin_lock(&expiry_lock);
    if (e->handle && !e->due) {
        e->due = true;
        list_push_back(&due, &e->due_node);
    }
    spin_unlock(&expiry_lock);
    spin_lock(&worker_wait.lock);
    struct list_node *n = list_pop_front(&worker_wait.waiters);
    if (n) wait_wake_locked((struct thread *)((char *)n - offsetof(struct thread, wait.node)), 0);
    spin_unlock(&worker_wait.lock);
}

static void unlink_waiter(struct thread *t) { list_remove(&t->wait.node); }

// Revokes what the entry names. RCU keeps the handle's memory while the locks are changed.
static void expire(struct expiry *e) {
    spin_lock(&expiry_lock);
    struct handle *h = e->handle;
    struct object *o = h ? h->object : NULL;
    if (h) {
        e->handle = NULL;
        list_remove(&e->node);
        object_get(o);  // the handle still counts on it
    }
    spin_unlock(&expiry_lock);
    if (h) {
        spin_lock(o->tree);
        bool alive = h->value != 0 && h->flags & HANDLE_EXPIRES;
        h->flags &= (uint8_t)~HANDLE_EXPIRES;
        if (alive && !(h->flags & HANDLE_REVOKING)) handle_revoke_locked(h, o, true);
        else spin_unlock(o->tree);
        object_put(o);
    }
    slub_free(&expiry_cache, e);
}

static void worker(void *arg) {
    for (;;) {
        spin_lock(&expiry_lock);
        struct list_node *n = list_pop_front(&due);
        spin_unlock(&expiry_lock);
        if (n) {
            expire((struct expiry *)((char *)n - offsetof(struct expiry, due_node)));
            sched_preempt_point();
            continue;
        }
        spin_lock(&worker_wait.lock);
        if (!list_is_empty(&due)) {  // a timer on another CPU came between: it waits for worker_wait.lock now
            spin_unlock(&worker_wait.lock);
            continue;
        }
        list_push_back(&worker_wait.waiters, &current_thread()->wait.node);
        wait_prepare(&worker_wait.lock, unlink_waiter, NULL, NULL);
        spin_unlock(&worker_wait.lock);
        wait_block(TIME_NEVER);
    }
}

void handle_expiry_init(void) {
    slub_cache_init(&expiry_cache, "handle expiry", sizeof(struct expiry), 0);
    for (unsigned i = 0; i < BUCKETS; i++) list_init(&buckets[i]);
    list_init(&due);
    wait_queue_init(&worker_wait, "expiry worker");
    verify(sched_kthread_create("expiry", worker, NULL));
}

// Takes the entry of h out. Returns it when the caller frees it after cancelling its timer, NULL when there is none or
// the worker has it.
static struct expiry *take_out(struct handle *h) {
    spin_lock(&expiry_lock);
    struct expiry *e = find(h);
    if (e) {
        list_remove(&e->node);
        e->handle = NULL;
        if (e->due) e = NULL;
    }
    spin_unlock(&expiry_lock);
    return e;
}

static void cancel_and_free(struct expiry *e) {
    if (!e) return;
    ktimer_cancel(&e->timer);  // handle is NULL: a timer that fires now leaves the entry alone
    slub_free(&expiry_cache, e);
}

void handle_expiry_forget(struct handle *h) { cancel_and_free(take_out(h)); }

int handle_expire(kpio_handle value, nanos_t deadline) {
    struct expiry *fresh = NULL;
    if (deadline != TIME_NEVER) {
        fresh = slub_alloc_zeroed(&expiry_cache);
        if (!fresh) return -ENOMEM;
        ktimer_init(&fresh->timer, fire);
        fresh->deadline = deadline;
    }
    struct handle *h = handle_lookup(value);
    if (!h) {
        if (fresh) slub_free(&expiry_cache, fresh);
        return -EBADF;
    }
    struct expiry *old = take_out(h);
    spin_lock(h->object->tree);
    bool alive = h->value == value;
    if (alive && fresh) {
        spin_lock(&expiry_lock);
        fresh->handle = h;
        list_push_back(bucket_of(h), &fresh->node);
        spin_unlock(&expiry_lock);
        h->flags |= HANDLE_EXPIRES;
    } else if (alive) {
        h->flags &= (uint8_t)~HANDLE_EXPIRES;
    }
    spin_unlock(h->object->tree);
    if (alive && fresh) ktimer_arm(&fresh->timer, deadline);
    else if (fresh) slub_free(&expiry_cache, fresh);
    cancel_and_free(old);
    return alive ? 0 : -EBADF;
}
