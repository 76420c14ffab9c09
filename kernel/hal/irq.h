// Interrupts as objects: counted at delivery, taken by irq_wait, reported to ports as FIRED. An MSI or MSI-X vector of a
// PCI function, or a line of an I/O APIC. A level line is masked at delivery until irq_ack. A message vector that fires
// IRQ_STORM times without being taken is masked until it is: a device gone mad costs its driver, not the machine.
//
// Lock: irq->queue.lock guards count and flags; taken in the interrupt handler too (the kernel runs with interrupts off).
#pragma once
#include "kernel/hal/device.h"

#define IRQ_STORM 4096

struct irq;

struct irq_ops {  // how the source is reached; called with irq->queue.lock held or before the irq is known to others
    void (*mask)(struct irq *, bool masked);
    // Points the source at irq->cpu, irq->vector. 0 or negative errno.
    int (*program)(struct irq *);
};

struct irq {
    struct object object;
    const struct irq_ops *ops;
    struct device *device;   // NULL: a line
    struct object *via;      // whose tree its handles are in; referenced. NULL: its own
    struct list_node node;   // in device->irqs, which holds a reference
    struct wait_queue queue;
    uint64_t count;          // fired and not taken yet
    uint32_t index;          // vector number of the function, or number of the line
    uint32_t cpu;
    int vector;
    bool level, active_low;
    bool masked;
    bool dead;               // fires no more: freed, or nobody can name it
};

// Makes the object with a vector and programs its source, unmasked. For a device: linked to it. The caller's reference is
// for handle_install_child. -ENOSPC: no vector left. -EBUSY: the device already has a live irq of that index.
[[nodiscard]] int irq_make(struct device *device, const struct irq_ops *ops, uint32_t index, uint32_t flags,
                           struct irq **out);
enum { IRQ_LEVEL = KPIO_IRQ_LEVEL, IRQ_ACTIVE_LOW = KPIO_IRQ_ACTIVE_LOW };

// A line of an I/O APIC, one owner at a time.
[[nodiscard]] int irq_make_line(uint32_t gsi, uint32_t flags, struct irq **out);

// Takes the count; waits while it is 0. `via` is the handle it goes through. Count, or -ETIMEDOUT, -ECANCELED, -EINTR,
// -EDESTROYED.
[[nodiscard]] int64_t irq_wait(struct irq *irq, struct handle *via, nanos_t deadline);
void irq_ack(struct irq *irq);

// Used by device.c. Vectors go back (no handler runs any more), waiters get -EDESTROYED.
void irq_free_all(struct device *device);
// The same, but the vectors are kept from others for ever: the device may still raise them.
void irq_abandon_all(struct device *device);
// After a reset that the driver asked for.
void irq_reprogram_all(struct device *device);
