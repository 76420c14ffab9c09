// A virtio 1.x device, from a driver process: on PCI ("pci" among the startup handles) or as virtio-mmio ("mmio", the page
// with its registers, and "irq"). Life:
//   virtio_open, virtio_negotiate, virtio_queue for each queue, virtio_start, ... virtio_notify, irq waits ...
// virtio_restart takes the device back to before virtio_negotiate, its queues' memory is given back.
//
// What the device says is checked: offsets against its registers, queue sizes against VIRTQ_SIZE_MAX.
#pragma once
#include "abi/gen/stubs.h"
#include "drivers/virtq.h"

enum { VIRTIO_NET = 1, VIRTIO_CONSOLE = 3, VIRTIO_RNG = 4, VIRTIO_FS = 26 };
#define VIRTIO_F_VERSION_1 (1ull << 32)
#define VIRTIO_QUEUES_MAX 6

struct virtio;

struct virtio_transport {
    uint8_t (*status)(struct virtio *, int value);             // writes if value >= 0; returns what it reads
    uint32_t (*features)(struct virtio *, unsigned word);
    void (*features_accept)(struct virtio *, unsigned word, uint32_t value);
    // Sets up queue `index`: its size (0 asks for the device's maximum and changes nothing) and parts. Size or -errno.
    int (*queue)(struct virtio *, unsigned index, uint16_t size, uint64_t desc, uint64_t avail, uint64_t used);
    void (*notify)(struct virtio *, unsigned index);
    uint8_t (*config_byte)(struct virtio *, unsigned offset);  // 0xff beyond the end
    void (*interrupt_ack)(struct virtio *);                    // after an interrupt was taken; NULL: nothing to do
    int (*reset)(struct virtio *);                             // 0 or -EIO
};

struct virtio_window {             // registers, mapped
    volatile uint8_t *base;
    uint32_t size;
};

struct virtio {
    const struct virtio_transport *transport;
    kpio_handle device;            // pci, or mmio: what DMA memory is made from
    kpio_handle irq;               // one for all queues
    struct virtio_window common, notify, config;
    unsigned feature_word;         // where in `common` 32 bits can be read without an effect
    uint32_t notify_multiplier;
    volatile uint16_t *doorbell[VIRTIO_QUEUES_MAX];
    uint64_t bar[6];               // where BARs are mapped, 0: not yet
    kpio_handle queue_memory[VIRTIO_QUEUES_MAX];
    void *queue_address[VIRTIO_QUEUES_MAX];
    size_t queue_bytes[VIRTIO_QUEUES_MAX];
};

// Finds and resets the device. 0, or a negative errno: -ENODEV when there is none of that type.
[[nodiscard]] int virtio_open(struct virtio *v, unsigned type);
int virtio_open_pci(struct virtio *v, kpio_handle pci, unsigned type);
int virtio_open_mmio(struct virtio *v, kpio_handle mmio, kpio_handle irq, unsigned type);
// Agrees on wanted features that the device has: *agreed. -EIO when VERSION_1 is missing or the device refuses.
[[nodiscard]] int virtio_negotiate(struct virtio *v, uint64_t wanted, uint64_t *agreed);
// A queue of at most `size` entries with memory of its own.
[[nodiscard]] int virtio_queue(struct virtio *v, unsigned index, uint16_t size, struct virtq *q);
void virtio_start(struct virtio *v);
[[nodiscard]] int virtio_restart(struct virtio *v);
static inline void virtio_notify(struct virtio *v, unsigned index) { v->transport->notify(v, index); }

// Memory for the device: mapped here, `*address` is what the device is told. The handle or a negative errno.
[[nodiscard]] int64_t virtio_memory(struct virtio *v, size_t size, void **memory, uint64_t *address);
void virtio_memory_free(kpio_handle handle, void *memory, size_t size);
