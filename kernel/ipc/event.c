#include "kernel/ipc/event.h"

#include "abi/gen/errors.h"
#include "kernel/mm/slub.h"

static struct kmem_cache event_cache;

static void event_handle_gone(struct object *o, struct handle *h) {
    object_cancel_waits(o, &event_of(o)->waiters, h);
}

static void event_unreachable(struct object *o) { wait_queue_cancel(&event_of(o)->waiters, NULL, -EDESTROYED); }

// Who waited when the signal came sees the bits that it left, whatever others change during a pause; only one that takes
// bits away must still find them.
uint32_t event_wake_many(struct event *event) {
    struct wait_walk walk;
    uint32_t bits = event->bits;
    object_get(&event->object);
    wait_walk_begin(&walk, &event->waiters.waiters);
    for (struct thread *t; (t = wait_walk_next(&walk)) != NULL;) {
        uint32_t options = (uint32_t)t->wait.data[1];
        uint32_t have = options & EVENT_WAIT_CLEAR ? bits & event->bits : bits;
        uint32_t match = event_match(have, (uint32_t)t->wait.data[0], options);
        if (match != 0) {
            if (options & EVENT_WAIT_CLEAR) {
                event->bits &= ~match;
                bits &= ~match;
            }
            list_remove(&t->wait.node);
            wait_wake_locked(t, match);
        }
        if (!wait_walk_is_long(&walk)) continue;
        wait_walk_park(&walk);
        spin_unlock(&event->waiters.lock);
        (void)sched_preempt_point();
        spin_lock(&event->waiters.lock);
        wait_walk_resume(&walk);
    }
    wait_walk_end(&walk);
    bits = event->bits;
    spin_unlock(&event->waiters.lock);
    object_signal(&event->object);
    object_put(&event->object);
    return bits;
}

// Its audience is gone: who signals it is told, through a handle without RECEIVE.
static void event_no_receivers(struct object *o) {
    struct event *event = event_of(o);
    spin_lock(&event->waiters.lock);
    event->deserted = true;
    spin_unlock(&event->waiters.lock);
    object_signal(o);
}

static uint32_t event_signals(struct object *o, uint64_t *value) {
    struct event *event = event_of(o);
    spin_lock(&event->waiters.lock);
    *value = event->bits;
    uint32_t signals = event->bits | (event->deserted ? KPIO_SIGNAL_PEER_GONE : 0);
    spin_unlock(&event->waiters.lock);
    return signals;
}

static const struct object_ops event_ops = {
    .name = "event",
    .rights = KPIO_RIGHT_READ | KPIO_RIGHT_WRITE | KPIO_RIGHT_RECEIVE | KPIO_RIGHT_DUPLICATE | KPIO_RIGHT_TRANSFER |
              KPIO_RIGHT_INSPECT | KPIO_RIGHT_WAIT | KPIO_RIGHT_EXPIRE,
    .unreachable = event_unreachable,
    .handle_gone = event_handle_gone,
    .no_receivers = event_no_receivers,
    .signals = event_signals,
};

int event_create(struct job *job, struct event **out) {
    struct event *event = slub_alloc_zeroed(&event_cache);
    if (event == NULL) return -ENOMEM;
    int error = object_init(&event->object, KPIO_KIND_EVENT, &event_ops, job, sizeof *event);
    if (error != 0) {
        slub_free(&event_cache, event);
        return error;
    }
    wait_queue_init(&event->waiters, "event");
    *out = event;
    return 0;
}

void event_init(void) { slub_cache_init(&event_cache, "event", sizeof(struct event), 0); }
