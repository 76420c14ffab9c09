// Configuration space as a small interface, so that probing and resetting run on the host against a fake bus too.
// Addresses are bus << 8 | device << 3 | function, of PCI segment 0.
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct pci_config {
    // size is 1, 2 or 4 and offset a multiple of it, below `space`. What is not there reads as all ones.
    uint32_t (*read)(void *context, uint16_t address, uint32_t offset, unsigned size);
    void (*write)(void *context, uint16_t address, uint32_t offset, unsigned size, uint32_t value);
    void *context;
    uint32_t space;  // bytes per function: 4096 through ECAM, 256 through ports
};

static inline uint32_t pci_read(const struct pci_config *c, uint16_t address, uint32_t offset, unsigned size) {
    if (offset + size > c->space) return UINT32_MAX >> (32 - 8 * size);
    return c->read(c->context, address, offset, size);
}
static inline void pci_write(const struct pci_config *c, uint16_t address, uint32_t offset, unsigned size,
                             uint32_t value) {
    if (offset + size <= c->space) c->write(c->context, address, offset, size, value);
}

enum {  // registers of the common header
    PCI_VENDOR = 0x00,
    PCI_DEVICE = 0x02,
    PCI_COMMAND = 0x04,
    PCI_STATUS = 0x06,
    PCI_CLASS = 0x08,  // 32 bits: class, subclass, interface, revision
    PCI_CACHE_LINE = 0x0c,
    PCI_LATENCY = 0x0d,
    PCI_HEADER = 0x0e,
    PCI_BAR0 = 0x10,
    PCI_SECONDARY_BUS = 0x19,    // bridges
    PCI_CAPABILITIES = 0x34,
    PCI_INTERRUPT_LINE = 0x3c,
    PCI_BRIDGE_CONTROL = 0x3e,   // bridges
};
enum {
    PCI_COMMAND_IO = 1 << 0,
    PCI_COMMAND_MEMORY = 1 << 1,
    PCI_COMMAND_BUS_MASTER = 1 << 2,
    PCI_COMMAND_INTX_OFF = 1 << 10,
    PCI_STATUS_CAPABILITIES = 1 << 4,
    PCI_HEADER_MULTI = 0x80,
    PCI_BRIDGE_RESET = 1 << 6,
};
enum { PCI_CAP_PM = 0x01, PCI_CAP_MSI = 0x05, PCI_CAP_VENDOR = 0x09, PCI_CAP_EXPRESS = 0x10, PCI_CAP_MSIX = 0x11,
       PCI_CAP_AF = 0x13 };
#define PCI_VENDOR_VIRTIO 0x1af4
