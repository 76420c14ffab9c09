// A device that a driver can hold: what was handed out of it, and the order in which it is taken back.
//
//   state     who may use it                    next
//   IDLE      nobody; in its initial state      OPEN by device_open
//   OPEN      the holders of its handles        RESETTING by device_reset; CLOSING when the last handle goes
//   RESETTING the same, while a reset they
//             asked for runs                    OPEN, or CLOSING, or BROKEN
//   CLOSING   nobody; the reaper is at work     IDLE, or BROKEN when no reset is confirmed
//   BROKEN    nobody, until the next boot
//   KERNEL    the kernel itself; for good
//
// Taking back, whatever order the handles went in:
//   1. bus mastering off, interrupts masked at the device: at once, where the last handle was closed
//   2. register mappings in every process are cut (the new driver's registers are nobody else's)
//   3. transactions on their way awaited, the device reset, the reset confirmed
//   4. only then: vectors freed, DMA pages released. Without confirmation the pages go to quarantine: never used again.
// Steps 2 to 4 run in a kernel thread. DMA memory whose last handle goes while the device is open stays with it until
// step 4 or the next confirmed reset: the device may still write to it.
//
// Lock: device->queue.lock guards state and lists. Inside it an irq's lock may be taken, nothing else.
#pragma once
#include "kernel/object/object.h"
#include "kernel/sched/sched.h"

struct device;

enum device_state { DEVICE_IDLE, DEVICE_OPEN, DEVICE_RESETTING, DEVICE_CLOSING, DEVICE_BROKEN, DEVICE_KERNEL };

struct device_ops {
    // Step 1. Does not wait. Returns whether the device shows that it does no more DMA.
    bool (*stop)(struct device *);
    // Step 3, after stop. 0 or -EIO, -ENODEV. May sleep for some seconds.
    int (*reset)(struct device *);
};

struct device {
    const struct device_ops *ops;
    char name[16];
    struct wait_queue queue;     // openers that wait for CLOSING to end
    uint8_t state;               // enum device_state
    int reset_error;             // of the last reset that the driver asked for
    struct list irqs, dmas, mmios;
    struct list_node closing;    // on the reaper's list
};

void device_init(struct device *device, const char *name, const struct device_ops *ops);

// Makes it the caller's. Waits while a previous driver's end is being worked on, at most 5 s. -EBUSY, -ENODEV, -EINTR.
[[nodiscard]] int device_open(struct device *device);
// Makes it the kernel's, for good. False: a process has it.
[[nodiscard]] bool device_take(struct device *device);
// The last handle is gone. Does not block.
void device_close(struct device *device);
// A reset that the driver asked for: like its end, but handles, vectors and register mappings stay. 0, -EBUSY, -EIO,
// -ENODEV, or -EINTR: the caller was interrupted and the reset goes on.
[[nodiscard]] int device_reset(struct device *device);

// Starts the reaper.
void device_init_reaper(void);

// Pages that are never used again because the device that knew their addresses could not be reset.
uint64_t device_quarantined_pages(void);
