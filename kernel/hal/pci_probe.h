// What there is on the bus. A device may lie about everything here: each field is checked against the others once, at
// boot, and what does not add up is left out (a BAR without `usable`, a capability offset of 0).
#pragma once
#include "kernel/hal/pci_config.h"

#define PCI_BARS 6
#define PCI_VENDOR_CAPS 8

struct pci_bar {
    uint64_t base, size;
    bool usable;         // a memory BAR whose size is a power of two and whose base is set, aligned and addressable
    bool wide;           // 64 bits: takes the next BAR's register too
    bool prefetchable;
};

struct pci_info {
    uint16_t address, vendor, device;
    uint8_t header;              // layout: 0 device, 1 bridge
    bool multi;                  // the slot has more functions
    uint32_t class_revision;
    struct pci_bar bar[PCI_BARS];
    // Offsets of capabilities, 0: none.
    uint8_t pm, msi, msix, express, af;
    struct {
        uint8_t offset, length;
    } vendor_cap[PCI_VENDOR_CAPS];
    uint8_t vendor_caps;
    bool msi_wide, msi_maskable; // MSI has a 64-bit address; a mask register
    struct {
        uint16_t entries;        // 0: unusable
        uint8_t bar;
        uint32_t offset;
    } table;                     // of MSI-X
    bool flr;                    // PCI Express function-level reset
    bool af_flr;                 // the same from the advanced-features capability
    bool pm_reset;               // leaving D3hot resets it
    struct {
        bool present;
        uint8_t bar;
        uint32_t offset;
    } virtio;                    // common configuration of a virtio 1.x device: its status register resets it
    uint16_t saved_command, saved_express_control;
    uint8_t saved_cache_line;
    uint32_t saved_bar[PCI_BARS];
};

// Fills *info from the function's configuration space, sizes its BARs (decoding is off meanwhile) and leaves a function
// that is no bridge without bus mastering and INTx. False when there is no function.
[[nodiscard]] bool pci_probe_function(const struct pci_config *config, uint16_t address, struct pci_info *info);

// Visits every function, bus by bus, following bridges that were set up by firmware; never visits a bus twice. Stops
// when found() returns false. *info is the callee's to copy.
void pci_probe_all(const struct pci_config *config, bool (*found)(void *context, const struct pci_info *info),
                   void *context);

// Whether a driver may write these bytes: the body of vendor capabilities (of a device that is not virtio, whose vendor
// capability 5 reaches into BARs), cache line size and latency timer. Everything else moves memory windows, interrupts,
// bus mastering, power or error routing, which belong to the kernel.
[[nodiscard]] bool pci_write_allowed(const struct pci_config *config, const struct pci_info *info, uint32_t offset,
                                     unsigned size);
