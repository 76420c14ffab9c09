// Message interrupts of PCI functions: MSI-X vectors, or the single MSI vector.
#include "abi/gen/errors.h"
#include "kernel/arch/x86_64/vmap.h"
#include "kernel/hal/ecam.h"
#include "kernel/hal/pci.h"

#define MSIX_ENABLE (1u << 15)
#define MSIX_MASK_ALL (1u << 14)

static struct pci_function *function_of(struct irq *irq) {
    return container_of(irq->device, struct pci_function, device);
}

static uint32_t register_read(struct pci_function *f, uint32_t offset) {
    return pci_read(ecam_config(), f->info.address, offset, 2);
}
static void register_write(struct pci_function *f, uint32_t offset, unsigned size, uint32_t value) {
    pci_write(ecam_config(), f->info.address, offset, size, value);
}

// ---- MSI-X: entries of four words: address, address above 4 GiB, data, mask ------------------------------------------------

static void msix_mask(struct irq *irq, bool masked) {
    volatile uint32_t *entry = function_of(irq)->msix_table + 4 * irq->index;
    entry[3] = masked;
    (void)entry[3];  // what was on its way has arrived
}

// Leaves the entry masked.
static void msix_set(struct pci_function *f, unsigned index, uint32_t cpu, int vector) {
    volatile uint32_t *entry = f->msix_table + 4 * index;
    uint64_t address;
    uint32_t data;
    arch_msi_message(cpu, vector, &address, &data);
    entry[3] = 1;
    entry[0] = (uint32_t)address;
    entry[1] = (uint32_t)(address >> 32);
    entry[2] = data;
    spin_lock(&f->lock);
    uint32_t control = register_read(f, f->info.msix + 2u);
    register_write(f, f->info.msix + 2u, 2, (control & ~MSIX_MASK_ALL) | MSIX_ENABLE);
    spin_unlock(&f->lock);
}

static int msix_program(struct irq *irq) {
    msix_set(function_of(irq), irq->index, irq->cpu, irq->vector);
    return 0;
}

static const struct irq_ops msix_ops = {.mask = msix_mask, .program = msix_program};

// The table is mapped on first use. Entries that nobody asked for stay masked, whatever the device was left with.
static int msix_prepare(struct pci_function *f) {
    const struct pci_info *info = &f->info;
    if (f->msix_table == NULL) {
        uint64_t at = info->bar[info->table.bar].base + info->table.offset;
        f->msix_table = vmap_boot(paddr(at), info->table.entries * 16ul, true);
        if (f->msix_table == NULL) return -ENOMEM;
    }
    if (register_read(f, info->msix + 2u) & MSIX_ENABLE) return 0;
    uint32_t command = pci_read(ecam_config(), info->address, PCI_COMMAND, 2);
    if ((command & PCI_COMMAND_MEMORY) == 0)
        pci_write(ecam_config(), info->address, PCI_COMMAND, 2, command | PCI_COMMAND_MEMORY);
    for (unsigned i = 0; i < info->table.entries; i++) f->msix_table[4 * i + 3] = 1;
    return 0;
}

int pci_route(struct pci_function *f, unsigned index, uint32_t cpu, int vector) {
    if (index >= f->info.table.entries) return -EINVAL;
    int error = msix_prepare(f);
    if (error) return error;
    msix_set(f, index, cpu, vector);
    f->msix_table[4 * index + 3] = 0;
    return 0;
}

// ---- MSI --------------------------------------------------------------------------------------------------------------------

static void msi_mask(struct irq *irq, bool masked) {
    struct pci_function *f = function_of(irq);
    const struct pci_info *info = &f->info;
    spin_lock(&f->lock);
    if (info->msi_maskable) {
        register_write(f, info->msi + (info->msi_wide ? 16u : 12u), 4, masked);
    } else {
        uint32_t control = register_read(f, info->msi + 2u);
        register_write(f, info->msi + 2u, 2, masked ? control & ~1u : control | 1);
    }
    (void)register_read(f, info->msi + 2u);
    spin_unlock(&f->lock);
}

static int msi_program(struct irq *irq) {
    struct pci_function *f = function_of(irq);
    const struct pci_info *info = &f->info;
    uint64_t address;
    uint32_t data;
    arch_msi_message(irq->cpu, irq->vector, &address, &data);
    if (!info->msi_wide && address >> 32) return -ENOSPC;
    spin_lock(&f->lock);
    uint32_t control = register_read(f, info->msi + 2u) & ~(1u | 7u << 4);
    register_write(f, info->msi + 2u, 2, control);
    register_write(f, info->msi + 4u, 4, (uint32_t)address);
    if (info->msi_wide) register_write(f, info->msi + 8u, 4, (uint32_t)(address >> 32));
    register_write(f, info->msi + (info->msi_wide ? 12u : 8u), 2, data);
    if (info->msi_maskable) {
        register_write(f, info->msi + (info->msi_wide ? 16u : 12u), 4, 1);
        register_write(f, info->msi + 2u, 2, control | 1);
    }
    spin_unlock(&f->lock);
    return 0;
}

static const struct irq_ops msi_ops = {.mask = msi_mask, .program = msi_program};

int pci_irq_make(struct pci_function *f, uint32_t index, struct irq **out) {
    if (f->info.table.entries > 0) {
        if (index >= f->info.table.entries) return -EINVAL;
        int error = msix_prepare(f);
        return error ? error : irq_make(&f->device, &msix_ops, index, 0, out);
    }
    if (f->info.msi == 0 || index != 0) return -EINVAL;
    return irq_make(&f->device, &msi_ops, index, 0, out);
}
