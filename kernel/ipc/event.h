// Events: 24 bits that are set, cleared and waited for.
// Lock: event->lock, a leaf but for waking.
#pragma once
#include "abi/gen/errors.h"
#include "kernel/object/handle.h"
#include "kernel/sched/sched.h"
#include "kernel/sched/wait_walk.h"

enum { EVENT_WAIT_CLEAR = 1 << 0, EVENT_WAIT_ALL = 1 << 1 };

struct event {
    struct object object;
    struct wait_queue waiters;  // wait.data: mask, options
    uint32_t bits;
    bool deserted;              // handles with RECEIVE, its audience, were there and are gone
};
static inline struct event *event_of(struct object *o) { return (struct event *)o; }

void event_init(void);
[[nodiscard]] int event_create(struct job *job, struct event **out);

// ---- the operations: inline, as each has one caller (kernel/syscall/event.c) -------------------------------------------

// The bits that a waiter gets, 0 when it must go on waiting.
static inline uint32_t event_match(uint32_t bits, uint32_t mask, uint32_t options) {
    uint32_t match = bits & mask;
    return (options & EVENT_WAIT_ALL) && match != mask ? 0 : match;
}

// event_signal where many wait: the lock is held and released, with preemption points in between.
coldcall uint32_t event_wake_many(struct event *event);

// Clears, then sets bits; each waiter that this satisfies goes, the longest waiting first. Returns the bits left.
static inline uint32_t event_signal(struct event *event, uint32_t clear, uint32_t set) {
    spin_lock(&event->waiters.lock);
    event->bits = (event->bits & ~clear) | set;
    unsigned looked = 0;
    list_for_each_entry_safe(wait, &event->waiters.waiters, struct wait_state, node) {
        if (unlikely(++looked > WAIT_WALK_STEP)) return event_wake_many(event);
        uint32_t options = (uint32_t)wait->data[1];
        uint32_t match = event_match(event->bits, (uint32_t)wait->data[0], options);
        if (match == 0) continue;
        if (options & EVENT_WAIT_CLEAR) event->bits &= ~match;
        list_remove(&wait->node);
        wait_wake_locked(container_of(wait, struct thread, wait), match);
    }
    uint32_t bits = event->bits;
    spin_unlock(&event->waiters.lock);
    if (unlikely(__atomic_load_n(&event->object.watchers, __ATOMIC_RELAXED) != NULL)) object_signal(&event->object);
    return bits;
}

// Waits for any (or all) bits of mask: those of them that were set, or -ETIMEDOUT, -EINTR, -ECANCELED, -EDESTROYED.
[[nodiscard]] static inline int64_t event_wait(struct handle *via, uint32_t mask, uint32_t options, nanos_t deadline) {
    struct event *event = event_of(via->object);
    struct thread *t = current_thread();
    spin_lock(&event->waiters.lock);
    uint32_t match = event_match(event->bits, mask, options);
    if (match != 0) {
        if (options & EVENT_WAIT_CLEAR) event->bits &= ~match;
        spin_unlock(&event->waiters.lock);
        return match;
    }
    object_expect_waits(&event->object);
    if (unlikely(via->value == KPIO_HANDLE_NONE || deadline == 0)) {
        spin_unlock(&event->waiters.lock);
        return deadline == 0 ? -ETIMEDOUT : -ECANCELED;
    }
    t->wait.data[0] = mask;
    t->wait.data[1] = options;
    wait_queue_join_unlock(&event->waiters, via, event);
    return wait_block(deadline);
}
