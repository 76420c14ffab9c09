#include "kernel/ipc/event.h"

#include "abi/gen/errors.h"
#include "kernel/mm/slub.h"

static struct kmem_cache event_cache;

static void event_handle_gone(struct object *o, struct handle *h) {
    object_cancel_waits(o, &event_of(o)->waiters, h);
}

static void event_unreachable(struct object *o) { wait_queue_cancel(&event_of(o)->waiters, NULL, -EDESTROYED); }

static uint32_t event_signals(struct object *o, uint64_t *value) {
    struct event *event = event_of(o);
    spin_lock(&event->waiters.lock);
    *value = event->bits;
    spin_unlock(&event->waiters.lock);
    return (uint32_t)*value;
}

static const struct object_ops event_ops = {
    .name = "event",
    .rights = KPIO_RIGHT_READ | KPIO_RIGHT_WRITE | KPIO_RIGHT_DUPLICATE | KPIO_RIGHT_TRANSFER | KPIO_RIGHT_INSPECT |
              KPIO_RIGHT_WAIT | KPIO_RIGHT_EXPIRE,
    .unreachable = event_unreachable,
    .handle_gone = event_handle_gone,
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
