// The parts of the driver: ring.c (messages and queues), device.c (the device and memory for it), session.c (what host and kernel
// agreed on), main.c (threads).
#pragma once
#include "drivers/fs/virtio_fs/ring.h"
#include "drivers/virtio.h"
#include "user/libkpio/kpio.h"

#define FS_TAG_MAX 36u

struct driver {
    struct mutex lock;              // guards the ring
    struct virtio device;
    struct fs_ring ring;
    char tag[FS_TAG_MAX + 1];
    kpio_handle channel;
    uint32_t free;                  // bit set of slots; a futex: who finds 0 sleeps
    uint64_t heard;                 // when the device was last done with something, or had nothing to do
    bool probing;                   // the probe is with the device
    int32_t probe_error;            // what came of the last one: 0 or negative
};

// ---- device.c ------------------------------------------------------------------------------------------------------------------
// Finds the device, reads its tag, gives it memory and starts it: 0 or a negative errno.
[[nodiscard]] int device_open(struct driver *d);
// A free slot; waits for one.
uint32_t device_slot_take(struct driver *d);
void device_slot_free(struct driver *d, uint32_t slot);
// Hands over the message of so many bytes in a slot: 0 or as fs_ring_add.
[[nodiscard]] int device_send(struct driver *d, uint32_t slot, uint32_t bytes);
// Asks the device whether it is there, unless it is being asked.
void device_probe(struct driver *d);
// Waits for the device until the deadline, and calls `done` for each message that it is done with. 0, -ETIMEDOUT, or another
// negative errno: the device is not to be used any more.
typedef void device_done_fn(struct driver *d, const struct fs_answer *answer);
[[nodiscard]] int device_wait(struct driver *d, uint64_t deadline, device_done_fn *done);

// ---- session.c -----------------------------------------------------------------------------------------------------------------
// INIT is answered by the host once. To a later driver's INIT this driver says the same: what the kernel knows the host by (nodes,
// handles) stays good, as the host's daemon goes on across a reset of its device.
//
// Takes over what an earlier driver left: whether there is something.
bool session_take_over(void);
void session_forget(void);  // the host does not know it
// The reply's body, or NULL.
const struct fuse_init_out *session_answer(void);
// The host's reply to INIT: what is told to the kernel, which is what this driver has room for. It is kept for the next driver.
// NULL: it is no reply.
const struct fuse_init_out *session_begin(const uint8_t *reply, uint32_t bytes);
