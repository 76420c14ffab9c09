// A split virtqueue (2.7), driver's side, for requests that are chains of descriptors. There are slots for requests, and
// each owns its descriptors for good, so nothing is searched or linked when one is added:
//
//   the device takes indirect tables   slot i is descriptor i of the ring, which points to table i
//   it does not                        slot i is the descriptors [i * stride, (i + 1) * stride) of the ring
//
// The device may write anything anywhere in the ring at any time. Nothing in it that the driver needs is read back, and a
// used entry counts only if its slot is in flight and had room for the length that it states.
//
// Not locked: the owner's lock guards it. Also built for host tests, against a device that lies.
#pragma once
#include "kernel/core/types.h"

#define VIRTIO_QUEUE_SLOTS 64
#define VIRTIO_QUEUE_RING 256

struct virtio_desc {
    uint64_t address;
    uint32_t length;
    uint16_t flags, next;
};
enum { VIRTIO_DESC_NEXT = 1, VIRTIO_DESC_WRITE = 2, VIRTIO_DESC_INDIRECT = 4 };

struct virtio_used_entry {
    uint32_t id, length;
};

struct virtio_queue {
    struct virtio_desc *desc, *tables;
    uint16_t *avail;                 // flags, index, ring[size], used_event
    volatile uint16_t *used;         // flags, index, then struct virtio_used_entry[size], avail_event
    uint64_t desc_address, avail_address, used_address;  // as the device sees them
    volatile uint8_t *doorbell;      // NULL: none yet
    bool doorbell_wide;
    bool indirect, event_index;
    bool broken;                     // the device lied: nothing more is taken from it
    uint16_t index, size, mask;
    uint16_t slots, stride;          // stride: descriptors of a slot in the ring
    uint16_t chain_most;             // descriptors of one request
    uint16_t avail_next, told;       // told: avail_next when the device was last asked to look
    uint16_t used_next;
    uint16_t in_flight, free_count;
    uint16_t free[VIRTIO_QUEUE_SLOTS];
    uint32_t room[VIRTIO_QUEUE_SLOTS];  // bytes that the device may write; 0: not in flight
    uint32_t pages;
};

// With memory of its own for at most `most` ring entries (what the device says) and requests of up to `chain` descriptors.
// 0, -ENOMEM, or -EINVAL: `most` is too small.
[[nodiscard]] int virtio_queue_create(struct virtio_queue *q, uint16_t index, uint16_t most, uint16_t chain, bool indirect,
                                      bool event_index);
// The device was reset: as if newly made, nothing is in flight.
void virtio_queue_clear(struct virtio_queue *q);
// The device does not use it any more.
void virtio_queue_destroy(struct virtio_queue *q);

// The first descriptor of a slot; the others follow.
static inline struct virtio_desc *virtio_queue_chain(struct virtio_queue *q, unsigned slot) {
    return q->indirect ? q->tables + slot * (unsigned)q->chain_most : q->desc + slot * (unsigned)q->stride;
}
// `next` was set when the queue was made.
static inline void virtio_desc_set(struct virtio_desc *d, uint64_t address, uint32_t length, uint16_t flags) {
    d->address = address;
    d->length = length;
    d->flags = flags;
}
// A free slot: q->free_count > 0.
static inline unsigned virtio_queue_slot(struct virtio_queue *q) { return q->free[--q->free_count]; }
// Gives the slot's chain of `count` descriptors to the device, who may write `room` > 0 bytes. It looks when it is told.
void virtio_queue_add(struct virtio_queue *q, unsigned slot, unsigned count, uint32_t room);
// Tells the device, if it wants to know.
void virtio_queue_tell(struct virtio_queue *q);
// 1, and a slot that the device is done with, now free, and the bytes it wrote; 0: none; -EIO: the device lied.
int virtio_queue_take(struct virtio_queue *q, unsigned *slot, uint32_t *written);
// Asks for an interrupt at the next used entry. True: there is one already, and maybe no interrupt for it.
bool virtio_queue_arm(struct virtio_queue *q);
