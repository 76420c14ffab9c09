// A virtio 1.2 device driven by the kernel, on PCI or memory-mapped. Life: found (virtio_pci_open, virtio_mmio_open),
// virtio_negotiate, virtio_queue_start for each queue, virtio_interrupts, virtio_ready; virtio_switch_off at the first lie.
// Nothing the device says is believed without a check, and nothing it does panics. ("Virtual I/O Device 1.2", OASIS)
#pragma once
#include "kernel/hal/hal.h"

struct pci_function;
struct virtio_device;
struct virtio_queue;

enum { VIRTIO_BLOCK = 2 };
#define VIRTIO_QUEUES_MAX 16
#define VIRTIO_F_INDIRECT_DESC (1ull << 28)
#define VIRTIO_F_EVENT_IDX (1ull << 29)
#define VIRTIO_F_VERSION_1 (1ull << 32)
enum { VIRTIO_ACKNOWLEDGE = 1, VIRTIO_DRIVER = 2, VIRTIO_DRIVER_OK = 4, VIRTIO_FEATURES_OK = 8, VIRTIO_NEEDS_RESET = 64,
       VIRTIO_FAILED = 128 };

struct virtio_transport {
    uint8_t (*status)(struct virtio_device *);
    void (*set_status)(struct virtio_device *, uint8_t value);
    uint32_t (*features)(struct virtio_device *, unsigned word);
    void (*accept)(struct virtio_device *, unsigned word, uint32_t value);
    uint32_t (*generation)(struct virtio_device *);
    uint16_t (*queue_most)(struct virtio_device *, unsigned index);  // entries; 0: no such queue
    // The queue's parts are told to the device, its doorbell is set: 0 or -EIO.
    int (*queue_start)(struct virtio_device *, unsigned index, struct virtio_queue *);
    // Vectors for `queues` queues and the configuration. 0, -ENOSPC, -EIO.
    int (*interrupts)(struct virtio_device *, unsigned queues);
    // After a reset the device is told of its vectors again: 0 or -EIO. NULL: it keeps none.
    int (*vectors)(struct virtio_device *);
};

struct virtio_line {  // what an interrupt vector is for
    struct virtio_device *device;
    unsigned index;
};

struct virtio_device {
    const struct virtio_transport *transport;
    // The driver's. In interrupt context.
    void (*queue_fired)(struct virtio_device *, unsigned index);
    void (*config_fired)(struct virtio_device *);
    uint64_t features;             // agreed
    unsigned queues;
    // The transport's.
    struct pci_function *function; // NULL: memory-mapped
    volatile uint8_t *registers;   // the common configuration, or all
    volatile uint8_t *notify, *config;
    uint32_t notify_bytes, config_bytes, notify_multiplier;
    uint32_t gsi;
    struct virtio_line lines[VIRTIO_QUEUES_MAX + 1];
};

// 0, or -ENODEV: not of that type, or not one that can be driven; -EBUSY: a process has it.
[[nodiscard]] int virtio_pci_open(struct virtio_device *v, struct pci_function *f, unsigned type);
[[nodiscard]] int virtio_mmio_open(struct virtio_device *v, unsigned index, unsigned type);

// Resets the device and agrees on those wanted features that it has: v->features. -EIO: it refuses, or is not of 1.x. May
// sleep.
[[nodiscard]] int virtio_negotiate(struct virtio_device *v, uint64_t wanted);
void virtio_ready(struct virtio_device *v);
// Resets it and waits a little: whether it says that it did, and so does no DMA any more. May sleep.
[[nodiscard]] bool virtio_reset(struct virtio_device *v);
// Ends its DMA. False: it does not say so, and nothing else keeps it from memory, as PCI does. Any context.
bool virtio_switch_off(struct virtio_device *v);

// Reads `bytes` (1, 2, 4 or 8) at `offset` of the device's configuration, consistently; 0 beyond its end.
uint64_t virtio_config(struct virtio_device *v, unsigned offset, unsigned bytes);
