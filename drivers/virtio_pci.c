// virtio over PCI: registers lie in BARs, where vendor capabilities in configuration space say.
#include "drivers/virtio.h"
#include "user/libkpio/startup.h"

#define CAPABILITIES_MAX 48
#define VENDOR_VIRTIO 0x1af4
#define NO_VECTOR 0xffff

enum {  // the common configuration
    COMMON_DEVICE_SELECT = 0x00, COMMON_DEVICE_FEATURES = 0x04, COMMON_DRIVER_SELECT = 0x08, COMMON_DRIVER_FEATURES = 0x0c,
    COMMON_CONFIG_VECTOR = 0x10, COMMON_QUEUES = 0x12, COMMON_STATUS = 0x14, COMMON_QUEUE_SELECT = 0x16,
    COMMON_QUEUE_SIZE = 0x18, COMMON_QUEUE_VECTOR = 0x1a, COMMON_QUEUE_ENABLE = 0x1c, COMMON_QUEUE_NOTIFY = 0x1e,
    COMMON_QUEUE_DESC = 0x20, COMMON_QUEUE_AVAIL = 0x28, COMMON_QUEUE_USED = 0x30, COMMON_SIZE = 0x38,
};
enum { CAP_COMMON = 1, CAP_NOTIFY = 2, CAP_DEVICE = 4 };

static uint16_t get16(const struct virtio *v, unsigned at) { return *(volatile uint16_t *)(v->common.base + at); }
static void put16(const struct virtio *v, unsigned at, uint16_t value) {
    *(volatile uint16_t *)(v->common.base + at) = value;
}
static uint32_t get32(const struct virtio *v, unsigned at) { return *(volatile uint32_t *)(v->common.base + at); }
static void put32(const struct virtio *v, unsigned at, uint32_t value) {
    *(volatile uint32_t *)(v->common.base + at) = value;
}
static void put64(const struct virtio *v, unsigned at, uint64_t value) {
    put32(v, at, (uint32_t)value);
    put32(v, at + 4, (uint32_t)(value >> 32));
}

static uint8_t pci_status(struct virtio *v, int value) {
    if (value >= 0) v->common.base[COMMON_STATUS] = (uint8_t)value;
    return v->common.base[COMMON_STATUS];
}

static uint32_t pci_features(struct virtio *v, unsigned word) {
    put32(v, COMMON_DEVICE_SELECT, word);
    return get32(v, COMMON_DEVICE_FEATURES);
}

static void pci_features_accept(struct virtio *v, unsigned word, uint32_t value) {
    put32(v, COMMON_DRIVER_SELECT, word);
    put32(v, COMMON_DRIVER_FEATURES, value);
}

static int pci_queue(struct virtio *v, unsigned index, uint16_t size, uint64_t desc, uint64_t avail, uint64_t used) {
    if (index >= get16(v, COMMON_QUEUES)) return -ENOENT;
    put16(v, COMMON_QUEUE_SELECT, (uint16_t)index);
    if (size == 0) return get16(v, COMMON_QUEUE_SIZE);
    uint64_t doorbell = (uint64_t)get16(v, COMMON_QUEUE_NOTIFY) * v->notify_multiplier;
    if (doorbell + 2 > v->notify.size) return -EIO;
    v->doorbell[index] = (volatile uint16_t *)(v->notify.base + doorbell);
    put16(v, COMMON_QUEUE_SIZE, size);
    put16(v, COMMON_QUEUE_VECTOR, 0);
    if (get16(v, COMMON_QUEUE_VECTOR) == NO_VECTOR) return -EIO;
    put64(v, COMMON_QUEUE_DESC, desc);
    put64(v, COMMON_QUEUE_AVAIL, avail);
    put64(v, COMMON_QUEUE_USED, used);
    put16(v, COMMON_QUEUE_ENABLE, 1);
    return size;
}

static void pci_notify(struct virtio *v, unsigned index) { *v->doorbell[index] = (uint16_t)index; }

static uint8_t pci_config_byte(struct virtio *v, unsigned offset) {
    return offset < v->config.size ? v->config.base[offset] : 0xff;
}

// Through the kernel, which also gives back memory that the device has known.
static int pci_reset(struct virtio *v) {
    int64_t error = kpio_pci_reset(v->device);
    if (error == 0) error = kpio_pci_bus_master(v->device, 1);
    if (error == 0) put16(v, COMMON_CONFIG_VECTOR, NO_VECTOR);
    return (int)error;
}

static const struct virtio_transport pci_transport = {
    .status = pci_status,
    .features = pci_features,
    .features_accept = pci_features_accept,
    .queue = pci_queue,
    .notify = pci_notify,
    .config_byte = pci_config_byte,
    .reset = pci_reset,
};

static uint32_t read_config(kpio_handle pci, uint32_t offset, uint32_t size) {
    int64_t value = kpio_pci_config_read(pci, offset, size);
    return value < 0 ? UINT32_MAX : (uint32_t)value;
}

// Maps a BAR from its start as far as `end`: its address, or 0.
static uint64_t bar_map(struct virtio *v, unsigned index, uint64_t end) {
    if (index >= 6) return 0;
    if (v->bar[index]) return v->bar[index];
    int64_t bar = kpio_pci_bar(v->device, index);
    if (bar < 0) return 0;
    uint64_t bytes = (end + 4095) & ~4095ull;
    if (bytes < 0x4000) bytes = 0x4000;  // what every virtio device's registers take; smaller BARs are tried as they are
    int64_t at = -EINVAL;
    for (; at < 0 && bytes >= end && bytes > 0; bytes = bytes > 4096 ? bytes - 4096 : 0)
        at = kpio_aspace_map(startup_handle("aspace"), (kpio_handle)bar, 0, bytes, KPIO_MAP_READ | KPIO_MAP_WRITE, 0);
    (void)kpio_handle_close((uint64_t)bar);  // the mapping stays
    if (at > 0) v->bar[index] = (uint64_t)at;
    return v->bar[index];
}

static void capability_take(struct virtio *v, uint8_t at) {
    unsigned type = read_config(v->device, at + 3u, 1), bar = read_config(v->device, at + 4u, 1);
    uint64_t offset = read_config(v->device, at + 8u, 4), length = read_config(v->device, at + 12u, 4);
    struct virtio_window *window = type == CAP_COMMON ? &v->common : type == CAP_NOTIFY ? &v->notify :
                                   type == CAP_DEVICE ? &v->config : NULL;
    if (window == NULL || window->base != NULL || length == 0 || offset + length > 1u << 20) return;
    uint64_t base = bar_map(v, bar, offset + length);
    if (base == 0) return;
    if (type == CAP_NOTIFY) v->notify_multiplier = read_config(v->device, at + 16u, 4);
    *window = (struct virtio_window){(volatile uint8_t *)(base + offset), (uint32_t)length};
}

static void capabilities_take(struct virtio *v) {
    uint32_t at = read_config(v->device, 0x34, 1) & 0xfc;
    for (unsigned i = 0; i < CAPABILITIES_MAX && at >= 0x40; i++) {
        uint32_t head = read_config(v->device, at, 2);
        if ((head & 0xff) == 9 && at <= 0xec) capability_take(v, (uint8_t)at);
        at = head >> 8 & 0xfc;
    }
}

// A device of virtio 1.x is 0x1040 + type; a transitional one has older numbers.
static bool is_type(uint32_t id, unsigned type) {
    uint32_t device = id >> 16;
    if ((id & 0xffff) != VENDOR_VIRTIO) return false;
    return device == 0x1040 + type || (type == VIRTIO_NET && device == 0x1000) || (type == VIRTIO_RNG && device == 0x1005);
}

int virtio_open_pci(struct virtio *v, kpio_handle pci, unsigned type) {
    v->device = pci;
    v->transport = &pci_transport;
    v->feature_word = COMMON_DEVICE_FEATURES;
    if (!is_type(read_config(pci, 0, 4), type)) return -ENODEV;
    capabilities_take(v);
    if (v->common.size < COMMON_SIZE || v->notify.base == NULL) return -ENODEV;
    int64_t irq = kpio_pci_irq(pci, 0);
    if (irq < 0) return (int)irq;
    v->irq = (kpio_handle)irq;
    int error = pci_reset(v);
    if (error) return error;
    for (unsigned i = 0; i < 1000 && pci_status(v, i ? -1 : 0) != 0; i++) (void)kpio_thread_yield();
    return pci_status(v, -1) == 0 ? 0 : -EIO;
}
