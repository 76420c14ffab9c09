#include "kernel/ipc/counter.h"

#include "kernel/mm/slub.h"

#define SERVE_STEP 64u  // waiters between preemption points

static struct kmem_cache counter_cache;

static void unlink_waiter(struct thread *t) { list_remove(&t->wait.node); }

static struct thread *first(struct list *row) { return list_first_entry(row, struct thread, wait.node); }

static void wake_first(struct thread *t) {
    list_remove(&t->wait.node);
    wait_wake_locked(t, 0);
}

// The lock is held. False: nobody can go on.
static bool serve_one(struct counter *counter) {
    struct thread *reader = first(&counter->readers), *adder = first(&counter->adders);
    if (reader != NULL && counter->value != 0) {
        reader->wait.data[0] = counter_take(counter);
        wake_first(reader);
        return true;
    }
    if (adder == NULL || !counter_fits(counter, adder->wait.data[0])) return false;
    counter->value += adder->wait.data[0];
    wake_first(adder);
    return true;
}

void counter_serve_unlock(struct counter *counter) {
    unsigned served = 0;
    while (served < SERVE_STEP && serve_one(counter)) served++;
    if (likely(served < SERVE_STEP)) {
        spin_unlock(&counter->lock);
        object_signal(&counter->object);
        return;
    }
    // The row is served to its end by whoever began, a killed thread too.
    object_get(&counter->object);
    while (served == SERVE_STEP) {
        spin_unlock(&counter->lock);
        (void)sched_preempt_point();
        spin_lock(&counter->lock);
        for (served = 0; served < SERVE_STEP && serve_one(counter);) served++;
    }
    spin_unlock(&counter->lock);
    object_signal(&counter->object);
    object_put(&counter->object);
}

int64_t counter_wait_unlock(struct counter *counter, struct list *row, struct handle *via, nanos_t deadline) {
    object_expect_waits(&counter->object);
    if (unlikely(via->value == KPIO_HANDLE_NONE || deadline == 0)) {
        spin_unlock(&counter->lock);
        return deadline == 0 ? -ETIMEDOUT : -ECANCELED;
    }
    list_push_back(row, &current_thread()->wait.node);
    wait_prepare(&counter->lock, unlink_waiter, via, counter);
    spin_unlock(&counter->lock);
    return wait_block(deadline);
}

void counter_wait_failed(struct counter *counter) {
    spin_lock(&counter->lock);
    counter_serve_unlock(counter);
}

void counter_put_back(struct counter *counter, uint64_t value) {
    spin_lock(&counter->lock);
    counter->value = counter_fits(counter, value) ? counter->value + value : KPIO_COUNTER_VALUE_MAX;
    counter_serve_unlock(counter);
}

// ---- the object --------------------------------------------------------------------------------------------------------

// The lock is held.
static void cancel(struct list *row, const struct handle *via, int64_t result) {
    list_for_each_entry_safe(t, row, struct thread, wait.node) {
        if (via != NULL && t->wait.via != via) continue;
        list_remove(&t->wait.node);
        wait_wake_locked(t, result);
    }
}

static void counter_handle_gone(struct object *o, struct handle *h) {
    struct counter *counter = counter_of(o);
    spin_lock(&counter->lock);
    cancel(&counter->readers, h, -ECANCELED);
    cancel(&counter->adders, h, -ECANCELED);
    if (list_is_empty(&counter->readers) && list_is_empty(&counter->adders)) o->waited = false;
    counter_serve_unlock(counter);
}

static void counter_unreachable(struct object *o) {
    struct counter *counter = counter_of(o);
    spin_lock(&counter->lock);
    cancel(&counter->readers, NULL, -EDESTROYED);
    cancel(&counter->adders, NULL, -EDESTROYED);
    spin_unlock(&counter->lock);
}

static uint32_t counter_signals(struct object *o, uint64_t *value) {
    struct counter *counter = counter_of(o);
    spin_lock(&counter->lock);
    *value = counter->value;
    spin_unlock(&counter->lock);
    return (*value != 0 ? KPIO_SIGNAL_READABLE : 0) | (*value < KPIO_COUNTER_VALUE_MAX ? KPIO_SIGNAL_WRITABLE : 0);
}

static const struct object_ops counter_ops = {
    .name = "counter",
    .rights = KPIO_RIGHT_READ | KPIO_RIGHT_WRITE | KPIO_RIGHT_DUPLICATE | KPIO_RIGHT_TRANSFER | KPIO_RIGHT_INSPECT |
              KPIO_RIGHT_WAIT | KPIO_RIGHT_EXPIRE,
    .unreachable = counter_unreachable,
    .handle_gone = counter_handle_gone,
    .signals = counter_signals,
};

int counter_create(struct job *job, uint64_t value, bool semaphore, struct counter **out) {
    struct counter *counter = slub_alloc_zeroed(&counter_cache);
    if (counter == NULL) return -ENOMEM;
    int error = object_init(&counter->object, KPIO_KIND_COUNTER, &counter_ops, job, sizeof *counter);
    if (error != 0) {
        slub_free(&counter_cache, counter);
        return error;
    }
    spin_init(&counter->lock, "counter");
    list_init(&counter->readers);
    list_init(&counter->adders);
    counter->value = value;
    counter->semaphore = semaphore;
    *out = counter;
    return 0;
}

void counter_init(void) { slub_cache_init(&counter_cache, "counter", sizeof(struct counter), 0); }
