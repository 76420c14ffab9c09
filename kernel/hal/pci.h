// PCI functions: the list, and what the kernel does to one for its driver.
#pragma once
#include "kernel/hal/device.h"
#include "kernel/hal/irq.h"
#include "kernel/hal/pci_probe.h"

struct mmio;

struct pci_function {
    struct device device;
    struct pci_info info;
    struct list_node node;             // in the list of all; never removed
    struct pci_function *bridge;       // above it, or NULL
    uint32_t functions_below;          // bridges
    volatile uint32_t *msix_table;     // mapped when the first vector is asked for
    volatile uint8_t *virtio_common;   // common configuration of a virtio device, or NULL
    bool shared[PCI_BARS];             // pages of the BAR hold another function's registers: not handed out
    struct spinlock lock;              // guards config registers that are read, changed and written
};

// Enumerates; called once.
void pci_init(void);
struct pci_function *pci_find(uint16_t address);
// Fills up to `count` entries from number `first` on, as the system call shows them; returns how many there are in all.
size_t pci_list(uint64_t first, uint64_t *entries, size_t count);

[[nodiscard]] int pci_config_read(struct pci_function *f, uint32_t offset, uint32_t size, uint32_t *value);
// -EINVAL for a bad place, -EPERM for what belongs to the kernel.
[[nodiscard]] int pci_config_write(struct pci_function *f, uint32_t offset, uint32_t size, uint32_t value);
// -EINVAL for a function whose driver is at its end.
[[nodiscard]] int pci_set_bus_master(struct pci_function *f, bool on);

// A memory BAR's registers. -EINVAL: no such index; -ENOENT: not a memory BAR, or not to be handed out.
[[nodiscard]] int pci_bar_make(struct pci_function *f, uint32_t index, struct mmio **out);
// An MSI-X vector, or where there is no MSI-X the one MSI vector. -EINVAL, -EBUSY, -ENOSPC, -ENOMEM.
[[nodiscard]] int pci_irq_make(struct pci_function *f, uint32_t index, struct irq **out);

// ---- for drivers in the kernel ---------------------------------------------------------------------------------------------
// The function behind this one in the list; NULL: the first.
struct pci_function *pci_next(struct pci_function *f);
// Makes it the kernel's for good, with memory decoding on and bus mastering still off. -EBUSY: a process has it.
[[nodiscard]] int pci_take(struct pci_function *f);
// Registers in a memory BAR, mapped for good; NULL when they are not there.
volatile void *pci_map(struct pci_function *f, unsigned bar, uint64_t offset, uint64_t bytes);
// Points the MSI-X vector at that CPU's interrupt vector and unmasks it. 0, or -EINVAL, -ENOMEM.
[[nodiscard]] int pci_route(struct pci_function *f, unsigned index, uint32_t cpu, int vector);
// Of a function that was taken.
void pci_kernel_bus_master(struct pci_function *f, bool on);

// ---- the object ----------------------------------------------------------------------------------------------------------

struct pci {
    struct object object;
    struct pci_function *function;
};
// -ENOENT, -EBUSY (another driver, the kernel, a bridge), -ENODEV (could not be reset), -ENOMEM.
[[nodiscard]] int pci_make(uint64_t address, struct pci **out);
struct pci_function *pci_function_of(struct object *o);
