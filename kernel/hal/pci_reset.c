// A reset counts only with proof. Two proofs exist:
//   - registers that were set just before read 0 afterwards (command register: memory decoding and INTx off). A reset
//     clears them; a device that ignored the request still shows them.
//   - a virtio device shows status 0, which the standard lets it do only once it has stopped using its queues.
#include "kernel/hal/pci_reset.h"

#include "abi/gen/errors.h"

#define MILLISECOND 1000000ull
#define PENDING_STEPS 8           // 1, 2, 4 .. 128 ms
#define MARK (PCI_COMMAND_MEMORY | PCI_COMMAND_INTX_OFF)

static uint32_t read16(const struct pci_reset *r, uint32_t offset) {
    return pci_read(r->config, r->info->address, offset, 2);
}
static void write16(const struct pci_reset *r, uint32_t offset, uint32_t value) {
    pci_write(r->config, r->info->address, offset, 2, value);
}

bool pci_stop(const struct pci_reset *r) {
    const struct pci_info *info = r->info;
    if (info->msix) write16(r, info->msix + 2u, (read16(r, info->msix + 2u) & ~(1u << 15)) | 1u << 14);
    if (info->msi) write16(r, info->msi + 2u, read16(r, info->msi + 2u) & ~1u);
    write16(r, PCI_COMMAND, (read16(r, PCI_COMMAND) & ~(uint32_t)PCI_COMMAND_BUS_MASTER) | PCI_COMMAND_INTX_OFF);
    return (read16(r, PCI_COMMAND) & PCI_COMMAND_BUS_MASTER) == 0;  // the read also flushes what was posted before it
}

static bool transactions_pending(const struct pci_reset *r) {
    if (r->info->express) return read16(r, r->info->express + 10u) >> 5 & 1;
    if (r->info->af) return pci_read(r->config, r->info->address, r->info->af + 5u, 1) & 1;
    return false;
}

// A device that never settles is reset all the same: the reset ends what it has on its way.
static void wait_for_transactions(const struct pci_reset *r) {
    for (unsigned step = 0; step < PENDING_STEPS && transactions_pending(r); step++)
        r->sleep(r->context, MILLISECOND << step);
}

static bool present(const struct pci_reset *r) {
    return read16(r, PCI_VENDOR) == r->info->vendor && read16(r, PCI_DEVICE) == r->info->device;
}

static uint32_t mark_set(const struct pci_reset *r) {
    write16(r, PCI_COMMAND, MARK);
    return read16(r, PCI_COMMAND) & MARK;
}

static bool mark_cleared(const struct pci_reset *r, uint32_t mark) {
    if (mark == 0 || !present(r)) return false;
    return (read16(r, PCI_COMMAND) & (mark | PCI_COMMAND_BUS_MASTER)) == 0;
}

static bool reset_by_function(const struct pci_reset *r) {
    uint32_t mark = mark_set(r);
    if (r->info->flr) {
        uint32_t at = r->info->express + 8u;
        write16(r, at, read16(r, at) | 1u << 15);
    } else {
        pci_write(r->config, r->info->address, r->info->af + 4u, 1, 1);
    }
    r->sleep(r->context, 100 * MILLISECOND);  // PCI Express 6.6.2: no access before
    for (unsigned step = 0; step < PENDING_STEPS && !present(r); step++) r->sleep(r->context, MILLISECOND << step);
    return mark_cleared(r, mark);
}

static bool reset_by_virtio(const struct pci_reset *r) {
    write16(r, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_INTX_OFF);
    if (r->virtio_status(r->context, 0) == 0) return true;
    for (unsigned step = 0; step < PENDING_STEPS; step++) {
        r->sleep(r->context, MILLISECOND << step);
        if (r->virtio_status(r->context, -1) == 0) return true;
    }
    return false;
}

static bool reset_by_power(const struct pci_reset *r) {
    uint32_t at = r->info->pm + 4u, control = read16(r, at) & ~(3u | 1u << 15), mark = mark_set(r);
    write16(r, at, control | 3);
    r->sleep(r->context, 10 * MILLISECOND);
    write16(r, at, control);
    r->sleep(r->context, 10 * MILLISECOND);
    return mark_cleared(r, mark);
}

static bool reset_by_bus(const struct pci_reset *r) {
    uint16_t bridge = (uint16_t)r->bridge;
    uint32_t control = pci_read(r->config, bridge, PCI_BRIDGE_CONTROL, 2), mark = mark_set(r);
    pci_write(r->config, bridge, PCI_BRIDGE_CONTROL, 2, control | PCI_BRIDGE_RESET);
    r->sleep(r->context, 2 * MILLISECOND);
    pci_write(r->config, bridge, PCI_BRIDGE_CONTROL, 2, control & ~(uint32_t)PCI_BRIDGE_RESET);
    r->sleep(r->context, 100 * MILLISECOND);
    for (unsigned step = 0; step < PENDING_STEPS && !present(r); step++) r->sleep(r->context, MILLISECOND << step);
    return mark_cleared(r, mark);
}

static void bars_restore(const struct pci_reset *r) {
    const struct pci_info *info = r->info;
    unsigned bars = info->header == 0 ? PCI_BARS : 2;
    bool lost = false;
    for (unsigned i = 0; i < bars; i++)
        lost |= pci_read(r->config, info->address, PCI_BAR0 + 4 * i, 4) != info->saved_bar[i];
    if (!lost) return;
    write16(r, PCI_COMMAND, PCI_COMMAND_INTX_OFF);  // no decoding while the windows move
    for (unsigned i = 0; i < bars; i++) pci_write(r->config, info->address, PCI_BAR0 + 4 * i, 4, info->saved_bar[i]);
}

static void restore(const struct pci_reset *r) {
    const struct pci_info *info = r->info;
    bars_restore(r);
    pci_write(r->config, info->address, PCI_CACHE_LINE, 1, info->saved_cache_line);
    if (info->express) write16(r, info->express + 8u, info->saved_express_control & 0x7fffu);
    write16(r, PCI_COMMAND, info->saved_command & ~(uint32_t)PCI_COMMAND_BUS_MASTER);
}

int pci_reset_function(const struct pci_reset *r) {
    if (!present(r)) return -ENODEV;
    wait_for_transactions(r);
    bool done = (r->info->flr || r->info->af_flr) && reset_by_function(r);
    if (!done && r->virtio_status) {
        restore(r);  // the status register lies in a BAR
        done = reset_by_virtio(r);
    }
    if (!done && r->info->pm && r->info->pm_reset) done = reset_by_power(r);
    if (!done && r->bridge >= 0) done = reset_by_bus(r);
    if (!present(r)) return -ENODEV;
    restore(r);
    return done ? 0 : -EIO;
}
