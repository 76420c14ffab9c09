// Counters: a number that is added to and taken, by those who wait for it in the order in which they came.
//
// Who changes the value serves the waiters: readers while it is not 0, adders while their sum fits. So nobody waits for what
// is there, but for a moment in which a long row of waiters is being served.
// Lock: counter->lock, a leaf but for waking.
#pragma once
#include "abi/gen/errors.h"
#include "kernel/object/handle.h"
#include "kernel/sched/sched.h"

struct counter {
    struct object object;
    struct spinlock lock;
    struct list readers, adders;  // by wait.node; wait.data[0]: what the reader gets, what the adder adds
    uint64_t value;
    bool semaphore;
};
static inline struct counter *counter_of(struct object *o) { return (struct counter *)o; }

void counter_init(void);
// value: at most KPIO_COUNTER_VALUE_MAX.
[[nodiscard]] int counter_create(struct job *job, uint64_t value, bool semaphore, struct counter **out);
// A wait to add ended otherwise: those behind it may fit. Called unless the handle has gone too, which does the same.
void counter_wait_failed(struct counter *counter);
// Puts back what counter_read took and could not deliver; no further than the most.
void counter_put_back(struct counter *counter, uint64_t value);

// ---- the operations: inline, as each has one caller (kernel/syscall/counter.c) ------------------------------------------

// Serves who waits. The lock is held and released; passes preemption points if they are many.
coldcall void counter_serve_unlock(struct counter *counter);
// counter->lock is held and released: waits at the end of a row.
[[nodiscard]] int64_t counter_wait_unlock(struct counter *counter, struct list *row, struct handle *via, nanos_t deadline);

// counter->lock is held. Takes all, or 1.
static inline uint64_t counter_take(struct counter *counter) {
    uint64_t taken = counter->semaphore ? 1 : counter->value;
    counter->value -= taken;
    return taken;
}
static inline bool counter_fits(const struct counter *counter, uint64_t value) {
    return value <= KPIO_COUNTER_VALUE_MAX - counter->value;
}

// 0 and *value; -EAGAIN when it would wait and may not, or the errors of a wait.
[[nodiscard]] static inline int64_t counter_read(struct handle *via, uint64_t *value, bool nowait, nanos_t deadline) {
    struct counter *counter = counter_of(via->object);
    spin_lock(&counter->lock);
    if (counter->value == 0) {
        if (nowait || object_nonblock(&counter->object)) {
            spin_unlock(&counter->lock);
            return -EAGAIN;
        }
        int64_t result = counter_wait_unlock(counter, &counter->readers, via, deadline);
        *value = current_thread()->wait.data[0];
        return result;
    }
    *value = counter_take(counter);
    if (unlikely(!list_is_empty(&counter->adders))) {
        counter_serve_unlock(counter);
        return 0;
    }
    spin_unlock(&counter->lock);
    object_signal(&counter->object);
    return 0;
}

[[nodiscard]] static inline int64_t counter_add(struct handle *via, uint64_t value, bool nowait, nanos_t deadline) {
    struct counter *counter = counter_of(via->object);
    spin_lock(&counter->lock);
    if (unlikely(!counter_fits(counter, value))) {
        if (nowait || object_nonblock(&counter->object)) {
            spin_unlock(&counter->lock);
            return -EAGAIN;
        }
        current_thread()->wait.data[0] = value;
        return counter_wait_unlock(counter, &counter->adders, via, deadline);
    }
    counter->value += value;
    if (!list_is_empty(&counter->readers)) {
        counter_serve_unlock(counter);
        return 0;
    }
    spin_unlock(&counter->lock);
    object_signal(&counter->object);
    return 0;
}
