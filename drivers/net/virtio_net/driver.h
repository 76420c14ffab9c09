// The parts of the network driver: device (queues), shared (the client's rings), service (messages).
#pragma once
#include "drivers/virtio.h"
#include "user/libkpio/net_ring.h"
#include "user/libkpio/thread.h"

enum { QUEUE_RECEIVE = 0, QUEUE_SEND = 1 };
#define HEADER_SIZE 12u         // of virtio 1.x, before every frame
#define RECEIVE_OFFSET (NET_FRAME_OFFSET - HEADER_SIZE)

enum owner { OWNER_CLIENT, OWNER_SEND, OWNER_RECEIVE };  // who may touch a buffer

struct counters {
    uint64_t sent, received, dropped, opens;
};

struct driver {
    struct mutex lock;          // guards everything; two threads: messages and interrupts
    struct virtio device;
    struct virtq receive, send;
    struct net_shared *shared;  // NULL: nobody has opened yet
    kpio_handle shared_memory;
    uint64_t shared_address;
    void *headers;              // a page of zeros: the header of every frame sent
    uint64_t headers_address;
    kpio_handle headers_memory;
    uint32_t head[NET_RINGS], tail[NET_RINGS];
    uint8_t owner[NET_RING];    // enum owner
    uint64_t mac;
    uint32_t session;           // which opening this is
    kpio_handle waiter;         // saved reply of a client that waits for a frame, or 0
    uint64_t waiter_deadline;
    kpio_handle port, timer;    // of the interrupts' thread; the timer is the waiter's deadline
    struct counters counters;
    uint64_t doorbells, hang_after;  // since its start; tests: at how many it stops answering, 0: never
};

// ---- device.c ----------------------------------------------------------------------------------------------------------
// Finds the device, reads its address. 0 or a negative errno.
[[nodiscard]] int device_open(struct driver *d);
// Resets it and starts it with fresh shared memory. 0 or a negative errno: then the driver must end.
[[nodiscard]] int device_restart(struct driver *d);
// Moves entries from SEND and FILL to the device, and what it is done with to SENT and RECEIVED. Lock held. 0 or -EIO:
// the device lied.
[[nodiscard]] int device_work(struct driver *d);
// Frames that wait in RECEIVED.
uint32_t device_received(const struct driver *d);
