// virtio-blk (5.2), inside: what configuration (virtio_blk.c) and requests (virtio_blk_io.c) share.
//
//   block_submit ─▶ queue of this CPU ─▶ a free slot? ─ no ─▶ waiting list
//                                            │ yes                 │ as slots get free
//                                            ▼                     ▼
//                                        header, vectors, status ─▶ device ─▶ interrupt on the queue's CPU ─▶ block_finish
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
} cacheline_aligned;

struct virtio_blk {
    struct block_device block;
    struct virtio_device virtio;
    bool cache;                          // writes are durable only after a flush
    bool dead;                           // atomic: switched off
    uint32_t segment_most;               // bytes in a descriptor
    uint32_t discard_most, zeroes_most;  // sectors in one request to the device
    unsigned queues;
    uint64_t untold;                     // atomic: queues with requests that the device was not told of
    struct virtio_blk_queue *queue;
};

extern const struct block_ops virtio_blk_ops;
void virtio_blk_queue_fired(struct virtio_device *v, unsigned index);
// The device is not to be trusted any more: it is switched off, what it was asked fails with -EIO. Any context; no lock.
void virtio_blk_give_up(struct virtio_blk *disk, const char *why);

// Finds the disks on PCI and memory-mapped, registers them as vda, vdb, ... with their partitions. Once, during boot.
void virtio_blk_init(void);
