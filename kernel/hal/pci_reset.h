// Taking DMA away from a function and putting it back into its initial state, believed only when read back.
#pragma once
#include "kernel/hal/pci_probe.h"

struct pci_reset {
    const struct pci_config *config;
    const struct pci_info *info;
    int bridge;                                   // address of the bridge above if nothing else is below it, or -1
    void (*sleep)(void *context, uint64_t nanoseconds);
    // The status register of a virtio function: writes value if it is >= 0; returns what it reads. NULL: none.
    uint32_t (*virtio_status)(void *context, int value);
    void *context;
};

// Bus mastering and message interrupts off. Does not wait. Returns whether the device shows it.
bool pci_stop(const struct pci_reset *r);

// After pci_stop: waits for transactions on their way (bounded), then tries, in this order, function-level reset, that
// of the advanced-features capability, the virtio status register, a trip through D3hot, the reset of the bus. Restores
// BARs and what the firmware set, without bus mastering. 0, -ENODEV when the function answers no more, -EIO when nothing
// resets it. Sleeps up to 2 s.
[[nodiscard]] int pci_reset_function(const struct pci_reset *r);
