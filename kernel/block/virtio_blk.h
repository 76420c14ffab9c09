// virtio-blk (5.2), inside: what configuration (virtio_blk.c), requests (virtio_blk_io.c) and the end of a device that lies or
// does not answer (virtio_blk_watch.c) share.
//
//   block_submit ─▶ queue of this CPU ─▶ a free slot? ─ no ─▶ waiting list
//                                            │ yes                 │ as slots get free
//                                            ▼                     ▼
//                                        header, vectors, status ─▶ device ─▶ interrupt on the queue's CPU ─▶ block_finish
//
// state    who changes it             submit        interrupt
// RUNS     watch_disk, give_up        to the slots  takes what is done
// RESETS   watch_disk, give_up        waits         nothing
// DEAD     nobody                     -EIO          nothing
// After a change of it each queue's lock is taken once; from then on everybody acts by the new one.
//
// Lock: queue->lock; a leaf. `done` is called without it.
#pragma once
#include "kernel/block/block.h"
#include "kernel/block/virtio.h"
#include "kernel/block/virtio_queue.h"
#include "kernel/core/spinlock.h"

enum {  // 5.2.3
    BLK_F_SIZE_MAX = 1 << 1, BLK_F_SEG_MAX = 1 << 2, BLK_F_READ_ONLY = 1 << 5, BLK_F_BLOCK_SIZE = 1 << 6, BLK_F_FLUSH = 1 << 9,
    BLK_F_TOPOLOGY = 1 << 10, BLK_F_CONFIG_CACHE = 1 << 11, BLK_F_QUEUES = 1 << 12, BLK_F_DISCARD = 1 << 13,
    BLK_F_WRITE_ZEROES = 1 << 14,
};

struct virtio_blk_slot {  // what the device reads and writes of a request beside its data; 5.2.6
    uint32_t type, reserved;
    uint64_t sector;
    struct {
        uint64_t sector;
        uint32_t sectors, flags;
    } range;              // of discard and write zeroes
    uint8_t status;
    uint8_t unused[15];
};

struct virtio_blk;

struct virtio_blk_queue {
    struct virtio_queue ring;
    struct spinlock lock;
    struct virtio_blk *disk;
    struct list waiting;                 // requests without a slot, in order
    struct virtio_blk_slot *slots;
    uint64_t slots_address;
    struct block_request *requests[VIRTIO_QUEUE_SLOTS];
    uint16_t age[VIRTIO_QUEUE_SLOTS];    // rounds of the watchdog that the request in the slot has seen
    uint16_t used_seen;                  // ring.used_next in its last round
    uint64_t placed, fired;              // so far: requests, interrupts
} cacheline_aligned;

enum virtio_blk_state { VIRTIO_BLK_RUNS, VIRTIO_BLK_RESETS, VIRTIO_BLK_DEAD };

struct virtio_blk {
    struct block_device block;
    struct virtio_device virtio;
    bool cache;                          // writes are durable only after a flush
    bool may_write;                      // DEAD, but its DMA has not ended: what it may write to is not given back
    uint8_t state;                       // enum virtio_blk_state; atomic
    uint8_t resets;                      // since it last answered
    uint32_t segment_most;               // bytes in a descriptor
    uint32_t discard_most, zeroes_most;  // sectors in one request to the device
    unsigned queues;
    uint64_t untold;                     // atomic: queues with requests that the device was not told of
    struct virtio_blk_queue *queue;
};

extern const struct block_ops virtio_blk_ops;
void virtio_blk_queue_fired(struct virtio_device *v, unsigned index);
static inline uint8_t virtio_blk_state(const struct virtio_blk *disk) { return __atomic_load_n(&disk->state, __ATOMIC_ACQUIRE); }
// Moves what waits into free slots and tells the device. q->lock is held; the disk RUNS.
void virtio_blk_refill(struct virtio_blk_queue *q);
// All requests of the list end with their error. No lock.
void virtio_blk_finish_all(struct virtio_blk *disk, struct list *finished);

// The device is not to be trusted any more: it is switched off, what it was asked fails with -EIO; what it may still write to
// only once its DMA has ended. Any context; no lock.
void virtio_blk_give_up(struct virtio_blk *disk, const char *why);
// A round of the watchdog: requests that have seen `rounds` of them without an answer end with -EIO when the device was
// reset; the others are placed anew. It is given up when it cannot be reset, or never answers. May sleep.
void virtio_blk_watch(struct virtio_blk *disk, unsigned rounds);

// Finds the disks on PCI and memory-mapped, registers them as vda, vdb, ... with their partitions. Once, during boot.
void virtio_blk_init(void);
