// A PCI bus in memory: functions with a register file, a mask of writable bits, and a device behind it that does what it
// is told, or not.
#pragma once
#include "kernel/hal/pci_probe.h"
#include "kernel/hal/pci_reset.h"
#include "lib/string.h"

#define FAKE_FUNCTIONS 16

struct fake_function {
    uint16_t address;
    uint8_t bytes[4096], writable[4096];
    uint8_t initial[4096];        // after a reset
    bool resets_on_flr, resets_on_d3, ignores_everything, vanishes_on_reset;
    unsigned pending_reads;       // how often "transactions pending" reads 1
    uint8_t virtio_status;
    unsigned virtio_patience;     // status reads before 0 shows
    unsigned resets;
    bool gone;
};

struct fake_bus {
    struct fake_function functions[FAKE_FUNCTIONS];
    unsigned count;
    uint64_t slept;
    unsigned reads;
    struct pci_config config;
};
static struct fake_bus bus;

static inline uint32_t fake_get(const struct fake_function *f, uint32_t offset, unsigned size) {
    uint32_t value = 0;
    memcpy(&value, f->bytes + offset, size);
    return value;
}
static inline void fake_put(struct fake_function *f, uint32_t offset, unsigned size, uint32_t value) {
    memcpy(f->bytes + offset, &value, size);
}
static inline void fake_allow(struct fake_function *f, uint32_t offset, unsigned size, uint32_t mask) {
    memcpy(f->writable + offset, &mask, size);
}

static inline struct fake_function *fake_find(uint16_t address) {
    for (unsigned i = 0; i < bus.count; i++)
        if (bus.functions[i].address == address && !bus.functions[i].gone) return &bus.functions[i];
    return NULL;
}

static inline void fake_function_reset(struct fake_function *f) {
    f->resets++;
    memcpy(f->bytes, f->initial, sizeof f->bytes);
    f->gone = f->vanishes_on_reset;
}

static inline uint8_t fake_capability_at(const struct fake_function *f, uint8_t id) {
    uint8_t at = f->bytes[PCI_CAPABILITIES];
    for (unsigned i = 0; i < 48 && at >= 0x40 && at < 0xff; i++, at = f->bytes[at + 1u])
        if (f->bytes[at] == id) return at;
    return 0;
}

static inline uint32_t fake_read(void *context, uint16_t address, uint32_t offset, unsigned size) {
    struct fake_function *f = fake_find(address);
    bus.reads++;
    if (f == NULL) return UINT32_MAX >> (32 - 8 * size);
    uint8_t express = fake_capability_at(f, PCI_CAP_EXPRESS);
    if (express && offset == express + 10u && f->pending_reads > 0) {
        f->pending_reads--;
        return 1 << 5;
    }
    return fake_get(f, offset, size);
}

static inline void fake_write(void *context, uint16_t address, uint32_t offset, unsigned size, uint32_t value) {
    struct fake_function *f = fake_find(address);
    if (f == NULL) return;
    for (unsigned i = 0; i < size; i++) {
        uint8_t byte = (uint8_t)(value >> 8 * i), mask = f->writable[offset + i];
        f->bytes[offset + i] = (uint8_t)((f->bytes[offset + i] & ~mask) | (byte & mask));
    }
    if (f->ignores_everything) return;
    uint8_t express = fake_capability_at(f, PCI_CAP_EXPRESS), pm = fake_capability_at(f, PCI_CAP_PM);
    if (express && offset == express + 8u && value >> 15 & 1 && f->resets_on_flr) fake_function_reset(f);
    if (pm && offset == pm + 4u && (value & 3) == 0 && f->resets_on_d3) fake_function_reset(f);
}

static inline void fake_bus_init(void) {
    memset(&bus, 0, sizeof bus);
    bus.config = (struct pci_config){.read = fake_read, .write = fake_write, .space = 4096};
}

// A function of layout 0 with that id.
static inline struct fake_function *fake_add(uint16_t address, uint16_t vendor, uint16_t device) {
    struct fake_function *f = &bus.functions[bus.count++];
    f->address = address;
    fake_put(f, PCI_VENDOR, 2, vendor);
    fake_put(f, PCI_DEVICE, 2, device);
    fake_allow(f, PCI_COMMAND, 2, 0x0547);
    fake_allow(f, PCI_CACHE_LINE, 2, 0xffff);
    return f;
}

static inline void fake_bar(struct fake_function *f, unsigned index, uint32_t base, uint32_t size) {
    fake_put(f, PCI_BAR0 + 4 * index, 4, base);
    fake_allow(f, PCI_BAR0 + 4 * index, 4, ~(size - 1));
}

static inline void fake_bar64(struct fake_function *f, unsigned index, uint64_t base, uint64_t size) {
    uint64_t mask = ~(size - 1);
    fake_put(f, PCI_BAR0 + 4 * index, 4, (uint32_t)base | 4);
    fake_put(f, PCI_BAR0 + 4 * index + 4, 4, (uint32_t)(base >> 32));
    fake_allow(f, PCI_BAR0 + 4 * index, 4, (uint32_t)mask & ~15u);
    fake_allow(f, PCI_BAR0 + 4 * index + 4, 4, (uint32_t)(mask >> 32));
}

// Links a capability at the head of the list.
static inline void fake_capability(struct fake_function *f, uint8_t at, uint8_t id) {
    f->bytes[at] = id;
    f->bytes[at + 1u] = f->bytes[PCI_CAPABILITIES];
    f->bytes[PCI_CAPABILITIES] = at;
    f->bytes[PCI_STATUS] |= PCI_STATUS_CAPABILITIES;
    if (id == PCI_CAP_PM) fake_allow(f, at + 4u, 2, 3);
    if (id == PCI_CAP_MSIX) fake_allow(f, at + 2u, 2, 0xc000);
    if (id == PCI_CAP_MSI) fake_allow(f, at + 2u, 2, 0x0071);
    if (id == PCI_CAP_EXPRESS) fake_allow(f, at + 8u, 2, 0x7fff);
}

// What is there now is what a reset brings back, but for BARs and command.
static inline void fake_seal(struct fake_function *f) {
    memcpy(f->initial, f->bytes, sizeof f->initial);
    memset(f->initial + PCI_BAR0, 0, 24);
    for (unsigned i = 0; i < 6; i++) f->initial[PCI_BAR0 + 4 * i] = f->bytes[PCI_BAR0 + 4 * i] & 15;
    memset(f->initial + PCI_COMMAND, 0, 2);
}

static inline void fake_sleep(void *context, uint64_t nanoseconds) { bus.slept += nanoseconds; }

static inline uint32_t fake_virtio_status(void *context, int value) {
    struct fake_function *f = context;
    if ((f->bytes[PCI_COMMAND] & PCI_COMMAND_MEMORY) == 0) return 0xff;
    if (value < 0 && f->virtio_patience > 0) f->virtio_patience--;
    if (f->virtio_patience == 0 && !f->ignores_everything) f->virtio_status = 0;
    return f->virtio_status;
}

static inline struct pci_reset fake_reset(struct fake_function *f, const struct pci_info *info) {
    return (struct pci_reset){
        .config = &bus.config,
        .info = info,
        .bridge = -1,
        .sleep = fake_sleep,
        .virtio_status = info->virtio.present ? fake_virtio_status : NULL,
        .context = f,
    };
}
