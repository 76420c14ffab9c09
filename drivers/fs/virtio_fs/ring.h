// What the device is told and what it says: messages of FUSE in slots, which are memory for the device, and the two queues that
// they go through. No system calls: tested on the host against a device that lies.
//
// A slot holds one message, as the kernel made it, and behind it room for the reply. The device may write anything anywhere in
// that memory at any time: what the driver goes by it keeps outside of it, and a reply's header is read once. Who the reply is for
// reads it once more, and checks it: the kernel.
#pragma once
#include "abi/fuse.h"
#include "drivers/virtq.h"

#define FS_SLOTS 16u
#define FS_PROBE FS_SLOTS           // one more slot, for a question of the driver's own
#define FS_DATA_MAX (256u << 10)    // of one READ or WRITE
#define FS_ARGUMENTS_MAX (72u << 10)  // of a message without data: the largest attribute, and headers
#define FS_SLOT_BYTES (FS_DATA_MAX + FS_ARGUMENTS_MAX)
#define FS_PROBE_BYTES 4096u

enum { FS_QUEUE_URGENT, FS_QUEUE_REQUEST, FS_QUEUES };  // as virtio numbers them; urgent: FORGET, INTERRUPT

struct fs_slot {
    uint8_t *memory;
    uint64_t address;               // the same, as the device sees it
    uint32_t bytes;                 // of memory
    uint32_t opcode, reply_at;      // of the message in flight
    uint64_t unique;
};

struct fs_ring {
    struct virtq queue[FS_QUEUES];
    struct fs_slot slot[FS_SLOTS + 1];
};

struct fs_answer {
    uint32_t slot, opcode;
    uint64_t unique;
    bool answers;                   // false: the message is one without a reply
    // In the slot, a whole message; NULL: what the device wrote is none. Valid until the slot is used again.
    const uint8_t *reply;
    uint32_t bytes;
};

// Gives the message of so many bytes in a slot to the device: the queue to be published, -EINVAL (it is no message, or its reply
// would not fit), -ENOSPC. A probe is urgent: one thread of the host's may be busy with a request.
[[nodiscard]] int fs_ring_add(struct fs_ring *ring, uint32_t slot, uint32_t bytes);
// Takes what the device is done with: 1, 0 (nothing), -EIO: it lied, and nothing more is taken from that queue.
[[nodiscard]] int fs_ring_take(struct fs_ring *ring, unsigned queue, struct fs_answer *out);
// Messages that the device has.
static inline unsigned fs_ring_in_flight(const struct fs_ring *ring) {
    return ring->queue[FS_QUEUE_URGENT].in_flight + (unsigned)ring->queue[FS_QUEUE_REQUEST].in_flight;
}
