#include "kernel/hal/pci_probe.h"

#include "lib/bitmap.h"
#include "lib/string.h"

#define CAPABILITIES_MAX 48  // 192 bytes hold no more
#define EXTENDED_CAPABILITIES_MAX 96
#define PHYSICAL_MAX (1ull << 52)
#define CAP_VENDOR_SPECIFIC_EXTENDED 0x0b
#define VIRTIO_COMMON_SIZE 56

static bool bar_add_up(struct pci_bar *bar, uint64_t base, uint64_t mask) {
    uint64_t size = ~mask + 1;
    if (size < 16 || (size & (size - 1)) != 0) return false;
    if (base == 0 || (base & (size - 1)) != 0) return false;
    if (base >= PHYSICAL_MAX || size > PHYSICAL_MAX - base) return false;
    bar->base = base;
    bar->size = size;
    return true;
}

static uint32_t bar_size_mask(const struct pci_config *c, uint16_t address, uint32_t offset, uint32_t original,
                              bool *restored) {
    pci_write(c, address, offset, 4, UINT32_MAX);
    uint32_t mask = pci_read(c, address, offset, 4);
    pci_write(c, address, offset, 4, original);
    *restored = *restored && pci_read(c, address, offset, 4) == original;
    return mask;
}

// Sizes the BAR at `index`. Returns how many registers it takes.
static unsigned bar_probe(const struct pci_config *c, struct pci_info *info, unsigned index, unsigned count) {
    struct pci_bar *bar = &info->bar[index];
    uint32_t offset = PCI_BAR0 + 4 * index, low = info->saved_bar[index];
    bool restored = true;
    if (low & 1) return 1;  // I/O ports are not handed out
    unsigned kind = low >> 1 & 3;
    bar->wide = kind == 2 && index + 1 < count;
    bar->prefetchable = low >> 3 & 1;
    uint64_t mask = bar_size_mask(c, info->address, offset, low, &restored), base = low & ~15u;
    if (mask == 0) return bar->wide ? 2 : 1;
    mask &= ~15ull;
    if (bar->wide) {
        uint32_t high = info->saved_bar[index + 1];
        mask |= (uint64_t)bar_size_mask(c, info->address, offset + 4, high, &restored) << 32;
        base |= (uint64_t)high << 32;
    } else {
        mask |= 0xffffffffull << 32;
    }
    bool known = kind == 0 || bar->wide;
    bar->usable = known && restored && bar_add_up(bar, base, mask);
    return bar->wide ? 2 : 1;
}

static void bars_probe(const struct pci_config *c, struct pci_info *info) {
    unsigned count = info->header == 0 ? 6 : info->header == 1 ? 2 : 0;
    for (unsigned i = 0; i < count; i++) info->saved_bar[i] = pci_read(c, info->address, PCI_BAR0 + 4 * i, 4);
    for (unsigned i = 0; i < count;) i += bar_probe(c, info, i, count);
}

static void msix_probe(const struct pci_config *c, struct pci_info *info, uint8_t at) {
    uint32_t entries = (pci_read(c, info->address, at + 2u, 2) & 0x7ff) + 1;
    uint32_t table = pci_read(c, info->address, at + 4u, 4);
    unsigned index = table & 7;
    uint64_t offset = table & ~7u;
    info->msix = at;
    if (index >= PCI_BARS || !info->bar[index].usable) return;
    if (offset > info->bar[index].size || entries * 16ull > info->bar[index].size - offset) return;
    info->table.entries = (uint16_t)entries;
    info->table.bar = (uint8_t)index;
    info->table.offset = (uint32_t)offset;
}

static void vendor_probe(const struct pci_config *c, struct pci_info *info, uint8_t at) {
    uint8_t length = (uint8_t)pci_read(c, info->address, at + 2u, 1);
    if (length < 3 || at + length > 256) return;
    if (info->vendor_caps < PCI_VENDOR_CAPS) {
        info->vendor_cap[info->vendor_caps].offset = at;
        info->vendor_cap[info->vendor_caps++].length = length;
    }
    if (info->vendor != PCI_VENDOR_VIRTIO || length < 16 || info->virtio.present) return;
    if (pci_read(c, info->address, at + 3u, 1) != 1) return;  // common configuration
    uint8_t index = (uint8_t)pci_read(c, info->address, at + 4u, 1);
    uint32_t offset = pci_read(c, info->address, at + 8u, 4);
    if (index >= PCI_BARS || !info->bar[index].usable || (offset & 3) != 0) return;
    if (offset > info->bar[index].size || info->bar[index].size - offset < VIRTIO_COMMON_SIZE) return;
    info->virtio.present = true;
    info->virtio.bar = index;
    info->virtio.offset = offset;
}

static void capability_probe(const struct pci_config *c, struct pci_info *info, uint8_t id, uint8_t at) {
    uint16_t address = info->address;
    if (id == PCI_CAP_PM && at <= 248 && info->pm == 0) {
        info->pm = at;
        info->pm_reset = (pci_read(c, address, at + 4u, 2) & 1 << 3) == 0;
    } else if (id == PCI_CAP_MSI && at <= 232 && info->msi == 0) {
        uint32_t control = pci_read(c, address, at + 2u, 2);
        info->msi = at;
        info->msi_wide = control >> 7 & 1;
        info->msi_maskable = control >> 8 & 1;
    } else if (id == PCI_CAP_MSIX && at <= 244 && info->msix == 0) {
        msix_probe(c, info, at);
    } else if (id == PCI_CAP_EXPRESS && at <= 236 && info->express == 0) {
        info->express = at;
        info->flr = pci_read(c, address, at + 4u, 4) >> 28 & 1;
        info->saved_express_control = (uint16_t)pci_read(c, address, at + 8u, 2);
    } else if (id == PCI_CAP_AF && at <= 250 && info->af == 0) {
        info->af = at;
        info->af_flr = (pci_read(c, address, at + 3u, 1) & 3) == 3;
    } else if (id == PCI_CAP_VENDOR) {
        vendor_probe(c, info, at);
    }
}

static void capabilities_probe(const struct pci_config *c, struct pci_info *info) {
    BITMAP(seen, 64) = {0};
    if ((pci_read(c, info->address, PCI_STATUS, 2) & PCI_STATUS_CAPABILITIES) == 0) return;
    uint8_t at = pci_read(c, info->address, PCI_CAPABILITIES, 1) & 0xfc;
    for (unsigned i = 0; i < CAPABILITIES_MAX && at >= 0x40; i++) {
        if (bitmap_test(seen, at / 4)) return;  // a ring
        bitmap_set(seen, at / 4);
        uint32_t head = pci_read(c, info->address, at, 2);
        capability_probe(c, info, (uint8_t)head, at);
        at = head >> 8 & 0xfc;
    }
}

bool pci_probe_function(const struct pci_config *c, uint16_t address, struct pci_info *info) {
    uint32_t id = pci_read(c, address, PCI_VENDOR, 4);
    if ((id & 0xffff) == 0xffff || (id & 0xffff) == 0) return false;
    memset(info, 0, sizeof *info);
    info->address = address;
    info->vendor = (uint16_t)id;
    info->device = (uint16_t)(id >> 16);
    info->class_revision = pci_read(c, address, PCI_CLASS, 4);
    uint32_t header = pci_read(c, address, PCI_HEADER, 1);
    info->header = header & 0x7f;
    info->multi = header & PCI_HEADER_MULTI;
    info->saved_cache_line = (uint8_t)pci_read(c, address, PCI_CACHE_LINE, 1);
    uint16_t command = (uint16_t)pci_read(c, address, PCI_COMMAND, 2);
    if (info->header == 0) command = (command & ~PCI_COMMAND_BUS_MASTER) | PCI_COMMAND_INTX_OFF;
    pci_write(c, address, PCI_COMMAND, 2, command & ~(uint32_t)(PCI_COMMAND_IO | PCI_COMMAND_MEMORY));
    bars_probe(c, info);
    pci_write(c, address, PCI_COMMAND, 2, command);
    info->saved_command = command;
    capabilities_probe(c, info);
    return true;
}

static bool bus_probe(const struct pci_config *c, unsigned bus, uint64_t *pending, const uint64_t *done,
                      bool (*found)(void *context, const struct pci_info *info), void *context) {
    struct pci_info info;
    for (unsigned slot = 0; slot < 32; slot++) {
        for (unsigned function = 0; function < 8; function++) {
            if (!pci_probe_function(c, (uint16_t)(bus << 8 | slot << 3 | function), &info)) {
                if (function == 0) break;
                continue;
            }
            if (!found(context, &info)) return false;
            if (info.header == 1) {
                uint32_t below = pci_read(c, info.address, PCI_SECONDARY_BUS, 1);
                if (below > bus && !bitmap_test(done, below)) bitmap_set(pending, below);
            }
            if (function == 0 && !info.multi) break;
        }
    }
    return true;
}

void pci_probe_all(const struct pci_config *c, bool (*found)(void *context, const struct pci_info *info),
                   void *context) {
    BITMAP(pending, 256) = {1};  // bus 0
    BITMAP(done, 256) = {0};
    for (;;) {
        size_t bus = bitmap_find_set(pending, 256, 0);
        if (bus == 256) return;
        bitmap_clear(pending, bus);
        bitmap_set(done, bus);
        if (!bus_probe(c, (unsigned)bus, pending, done, found, context)) return;
    }
}

static bool extended_vendor_body(const struct pci_config *c, const struct pci_info *info, uint32_t offset,
                                 unsigned size) {
    uint32_t at = 0x100;
    for (unsigned i = 0; i < EXTENDED_CAPABILITIES_MAX && at >= 0x100 && at <= c->space - 8; i++) {
        uint32_t head = pci_read(c, info->address, at, 4);
        if (head == 0 || head == UINT32_MAX) return false;
        uint32_t length = pci_read(c, info->address, at + 4, 4) >> 20;
        if ((head & 0xffff) == CAP_VENDOR_SPECIFIC_EXTENDED && offset >= at + 8 && offset + size <= at + length)
            return true;
        at = head >> 20 & 0xffc;
    }
    return false;
}

// A vendor capability that claims bytes of another one does not open them.
static bool meets_known_capability(const struct pci_info *info, uint32_t offset, unsigned size) {
    const struct {
        uint8_t at, length;
    } known[] = {{info->pm, 8}, {info->msi, 24}, {info->msix, 12}, {info->express, 60}, {info->af, 6}};
    for (unsigned i = 0; i < ARRAY_SIZE(known); i++)
        if (known[i].at != 0 && offset < known[i].at + (uint32_t)known[i].length && known[i].at < offset + size)
            return true;
    return false;
}

bool pci_write_allowed(const struct pci_config *c, const struct pci_info *info, uint32_t offset, unsigned size) {
    if (offset == PCI_CACHE_LINE || offset == PCI_LATENCY) return size == 1;
    if (info->vendor == PCI_VENDOR_VIRTIO) return false;
    if (offset >= 0x100) return extended_vendor_body(c, info, offset, size);
    if (meets_known_capability(info, offset, size)) return false;
    for (unsigned i = 0; i < info->vendor_caps; i++) {
        uint32_t start = info->vendor_cap[i].offset + 3u, end = info->vendor_cap[i].offset + info->vendor_cap[i].length;
        if (offset >= start && offset + size <= end) return true;
    }
    return false;
}
