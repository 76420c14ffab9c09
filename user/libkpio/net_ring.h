// The memory that a network driver and its client share: four rings and the frames' buffers. The driver makes it as DMA
// memory, so that the device reads and writes the client's own buffers and no frame is copied.
//
//   ring       entries from     say
//   SEND       client           this buffer holds a frame of `length` bytes
//   SENT       driver           this buffer is free again
//   FILL       client           this buffer may take a frame
//   RECEIVED   driver           this buffer holds a frame of `length` bytes
//
// A ring has one writer and one reader. The writer fills entry `head % NET_RING` and then raises head; the reader raises
// tail. Each side believes the other's counter only as far as the ring reaches. A buffer is the client's, or the driver's
// from SEND or FILL until it comes back by SENT or RECEIVED.
#pragma once
#include <stdint.h>

#define NET_RING 256u          // entries of each ring, and buffers
#define NET_BUFFER_SIZE 2048u
#define NET_FRAME_OFFSET 16u   // of the frame in its buffer; the device's header lies before it
#define NET_FRAME_MIN 14u
#define NET_FRAME_MAX 1514u

struct net_entry {
    uint32_t buffer, length;
};

struct net_ring {
    uint32_t head __attribute__((aligned(64)));  // written by the writer
    uint32_t tail __attribute__((aligned(64)));  // written by the reader
    struct net_entry entry[NET_RING] __attribute__((aligned(64)));
};

enum { NET_SEND, NET_SENT, NET_FILL, NET_RECEIVED, NET_RINGS };

struct net_shared {
    struct net_ring ring[NET_RINGS];
    uint8_t buffer[NET_RING][NET_BUFFER_SIZE] __attribute__((aligned(4096)));
};
