// A port of the host's: bytes in order, both ways, through the first port behind port 0 of a virtio console with several (virtio 1.2,
// 5.3, VIRTIO_CONSOLE_F_MULTIPORT). Port 0, a console proper, would not do: QEMU drops what a console's reader is too slow for.
//
// What is sent and what has come lies in pieces, memory for the device. A piece that has come stays until it is released, and as long
// as none is free the host waits: that is how a program that reads slowly slows down who writes to it. One thread.
#pragma once
#include "drivers/virtio.h"

#define PORT_SEND_BYTES 8192u     // of a piece that is sent
#define PORT_RECEIVE_BYTES 4096u  // of one that comes: QEMU gives no more at a time
#define PORT_SENDS 5u             // pieces of each: with the messages of the console's own they fill 64 KiB
#define PORT_RECEIVES 5u

struct port {
    struct virtio device;
    struct virtq control_receive, control_send, receive, send;
    struct port_memory *memory;
    uint64_t address;                // of the memory, as the device sees it
    uint8_t control_next;            // the message that is sent next
    bool is_open;
    uint32_t sending;                // bit set of pieces that the device has
    struct {
        uint32_t piece, bytes;
    } received[PORT_RECEIVES];       // in the order in which they came
    uint8_t received_count;
};

// Finds the device and opens its port; waits for the host to name it, at most a second. 0 or a negative errno; -ENODEV: there is none.
[[nodiscard]] int port_open(struct port *p);
// What is asked for until the device is done with something: this handle's KPIO_SIGNAL_FIRED.
static inline kpio_handle port_irq(const struct port *p) { return p->device.irq; }
// Takes what the device is done with. 0, or -EIO: the device makes no sense, and the port is not to be used any more.
[[nodiscard]] int port_take(struct port *p);
// Memory of PORT_SEND_BYTES for a piece; NULL: all are on their way, and the interrupt will tell of one that is back.
[[nodiscard]] uint8_t *port_room(struct port *p);
// Sends the beginning of that piece. 0 or -EIO.
[[nodiscard]] int port_send(struct port *p, const uint8_t *piece, uint32_t bytes);
// Waits until the host has all that was sent. 0 or a negative errno.
[[nodiscard]] int port_flush(struct port *p);
// Waits for the device to be done with something, and takes it. 0 or a negative errno, as port_take.
[[nodiscard]] int port_wait(struct port *p, uint64_t deadline);
// The oldest piece that has come: NULL, or its bytes, which the device may still change. It stays until it is released.
[[nodiscard]] const uint8_t *port_received(const struct port *p, uint32_t *bytes);
[[nodiscard]] int port_release(struct port *p);
