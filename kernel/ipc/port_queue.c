#include "kernel/ipc/port_queue.h"

#include "abi/gen/errors.h"
#include "kernel/core/assert.h"
#include "kernel/mm/charge.h"
#include "kernel/mm/slub.h"

static bool count_up(struct port *port) {
    uint32_t before = port->ready_count;
    __atomic_store_n(&port->ready_count, before + 1, __ATOMIC_SEQ_CST);  // before the watchers are looked at
    (void)wait_queue_wake_locked(&port->waiters, 1, 0);
    return before == 0;
}

static void count_down(struct port *port) {
    assert(port->ready_count > 0);
    __atomic_store_n(&port->ready_count, port->ready_count - 1, __ATOMIC_RELAXED);
}

bool port_queue_binding(struct port *port, struct port_binding *b) {
    if (b->queued) return false;
    b->queued = true;
    list_push_back(&port->ready, &b->ready_node);
    return count_up(port);
}

void port_dequeue_binding(struct port *port, struct port_binding *b) {
    if (!b->queued) return;
    b->queued = false;
    list_remove(&b->ready_node);
    count_down(port);
}

// ---- posted packets ----------------------------------------------------------------------------------------------------

#define PACKET_WORDS 2
#define ROOM_FIRST 32u

static uint64_t ring_bytes(uint32_t room) { return (uint64_t)room * PACKET_WORDS * sizeof(uint64_t); }

// Doubles the ring. What is in it moves to the front of the new one.
static bool grow(struct port *port) {
    uint32_t room = port->posted_room == 0 ? ROOM_FIRST : port->posted_room * 2;
    if (room > PORT_POSTED_MAX) return false;
    if (job_charge(port->object.job, JOB_KERNEL_BYTES, ring_bytes(room - port->posted_room)) != 0) return false;
    uint64_t *ring = kmalloc(ring_bytes(room));
    if (ring == NULL) {
        job_uncharge(port->object.job, JOB_KERNEL_BYTES, ring_bytes(room - port->posted_room));
        return false;
    }
    for (uint32_t i = 0; i < port->posted_count; i++) {
        const uint64_t *old = &port->posted[(port->posted_first + i) % port->posted_room * PACKET_WORDS];
        ring[i * PACKET_WORDS] = old[0];
        ring[i * PACKET_WORDS + 1] = old[1];
    }
    kfree(port->posted);
    port->posted = ring;
    port->posted_room = room;
    port->posted_first = 0;
    return true;
}

int port_queue_posted(struct port *port, uint64_t key, uint64_t value, bool *was_empty) {
    if (port->posted_count == port->posted_room && !grow(port)) return -ENOSPC;
    uint64_t *slot = &port->posted[(port->posted_first + port->posted_count) % port->posted_room * PACKET_WORDS];
    slot[0] = key;
    slot[1] = value;
    port->posted_count++;
    *was_empty = count_up(port);
    return 0;
}

static void take_posted(struct port *port, struct kpio_port_packet *packet) {
    const uint64_t *slot = &port->posted[port->posted_first * PACKET_WORDS];
    *packet = (struct kpio_port_packet){.key = slot[0], .kind = KPIO_KIND_PORT, .value = slot[1]};
    port->posted_first = (port->posted_first + 1) % port->posted_room;
    port->posted_count--;
    count_down(port);
}

void port_free_posted(struct port *port) {
    if (port->posted == NULL) return;
    job_uncharge(port->object.job, JOB_KERNEL_BYTES, ring_bytes(port->posted_room));
    kfree(port->posted);
    port->posted = NULL;
    port->posted_room = port->posted_count = port->posted_first = 0;
}

// ---- taking ------------------------------------------------------------------------------------------------------------

// What a binding reports now.
static uint32_t level_now(struct port_binding *b) {
    uint64_t value;
    if (b->afresh) return b->watch.source->ops->signals(b->watch.source, &value) & b->watch.signals;
    if (b->mode != PORT_LEVEL || b->watch.source == NULL) return b->pending;
    return b->pending | (b->watch.source->ops->signals(b->watch.source, &b->value) & b->watch.signals);
}

// Takes the packet of the first ready binding; false: there was nothing to report any more.
static bool take_binding(struct port *port, struct port_binding *b, struct kpio_port_packet *packet, struct list *ended,
                         struct list *again) {
    uint32_t signals = level_now(b);
    port_dequeue_binding(port, b);
    b->pending = 0;
    if (b->watch.source == NULL) {
        list_remove(&b->node);
        list_push_back(ended, &b->ready_node);
    } else if (b->mode == PORT_LEVEL && signals != 0) {
        list_push_back(again, &b->ready_node);
    } else if (b->afresh && signals != 0) {
        b->armed = false;
    }
    *packet = (struct kpio_port_packet){.key = b->key, .signals = signals, .kind = b->kind, .value = b->value};
    return signals != 0;
}

uint32_t port_take(struct port *port, struct kpio_port_packet *packets, uint32_t count, struct list *ended) {
    struct list again = LIST_INIT(again);  // level bindings: they go to the end, once per call
    struct port_binding *b;
    uint32_t taken = 0;
    // In turns, so that bindings that are always ready do not hold posted packets up.
    if (port->posted_turn && port->posted_count != 0) take_posted(port, &packets[taken++]);
    port->posted_turn = !port->posted_turn;
    while (taken < count && (b = list_first_entry(&port->ready, struct port_binding, ready_node)) != NULL)
        taken += take_binding(port, b, &packets[taken], ended, &again);
    while (taken < count && port->posted_count != 0) take_posted(port, &packets[taken++]);
    while ((b = list_pop_front_entry(&again, struct port_binding, ready_node)) != NULL) {
        b->queued = true;
        list_push_back(&port->ready, &b->ready_node);
        __atomic_store_n(&port->ready_count, port->ready_count + 1, __ATOMIC_RELAXED);
    }
    return taken;
}

bool port_queue_settle(struct port *port, uint32_t most) {
    struct port_binding *b;
    for (uint32_t looked = 0; looked < most; looked++) {
        b = list_first_entry(&port->ready, struct port_binding, ready_node);
        if (b == NULL || !b->afresh || level_now(b) != 0) return true;
        port_dequeue_binding(port, b);
    }
    return false;
}
