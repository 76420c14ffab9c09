// A split virtqueue of virtio 1.x, driver's side. No system calls: tested on the host against a device that lies.
//
//   descriptors  what lies where; linked into chains by `next`; free ones are linked the same way
//   available    heads of chains for the device, in the order of adding      written by the driver
//   used         heads that it is done with, and the bytes it wrote          written by the device
//
// The device may write anything anywhere in this memory at any time, so the driver believes nothing in it: links of
// chains are kept in `link`, and a used entry counts only if its chain is in flight and was given room for what it says.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/gen/errors.h"

#define VIRTQ_SIZE_MAX 256

struct virtq_desc {
    uint64_t address;
    uint32_t length;
    uint16_t flags, next;
};
struct virtq_avail {
    uint16_t flags, index;
    uint16_t ring[];
};
struct virtq_used_entry {
    uint32_t id, length;
};
struct virtq_used {
    uint16_t flags, index;
    struct virtq_used_entry ring[];
};

struct virtq_buffer {
    uint64_t address;      // as the device sees it
    uint32_t length;
    bool device_writes;
};

struct virtq {
    struct virtq_desc *desc;
    struct virtq_avail *avail;
    struct virtq_used *used;
    uint16_t size, mask;
    uint16_t free_head, free_count;
    uint16_t avail_next, used_next, in_flight;
    bool broken;           // the device lied: nothing more is taken from it
    const volatile uint32_t *fence_register;  // of the device, read as a part of each fence; NULL: none (virtio.c)
    struct {
        uint32_t cookie;
        uint32_t room;     // bytes that the device may write to the chain
        uint16_t link;     // next descriptor of the chain or of the free list
        uint16_t count;    // of a head in flight: descriptors; else 0
    } slot[VIRTQ_SIZE_MAX];
};

// Offsets within the queue's memory, and its size: a multiple of 4,096. size: a power of two up to VIRTQ_SIZE_MAX.
size_t virtq_avail_offset(uint16_t size);
size_t virtq_used_offset(uint16_t size);
size_t virtq_bytes(uint16_t size);
// `memory` is zeroed.
void virtq_init(struct virtq *q, void *memory, uint16_t size);

// Adds a chain of buffers, those that the device reads first. 0, or -ENOSPC. The device sees it after
// virtq_publish.
int virtq_add(struct virtq *q, const struct virtq_buffer *buffers, unsigned count, uint32_t cookie);
// Shows the device what was added. Returns whether it wants to be told.
bool virtq_publish(struct virtq *q);
// Takes a chain that the device is done with: 1 and its cookie and bytes written; 0: none; -EIO: the device lied.
int virtq_take(struct virtq *q, uint32_t *cookie, uint32_t *written);
// Asks for interrupts or asks to do without. Asking for them may come too late for what is used already: look again.
// What is used later than that look brings one.
void virtq_interrupts(struct virtq *q, bool wanted);
