// virtio over memory-mapped registers (version 2), as on QEMU's microvm: `-global virtio-mmio.force-legacy=false`.
#include "drivers/virtio.h"
#include "user/libkpio/startup.h"

enum {
    MMIO_MAGIC = 0x00, MMIO_VERSION = 0x04, MMIO_TYPE = 0x08, MMIO_FEATURES = 0x10, MMIO_FEATURES_SELECT = 0x14,
    MMIO_ACCEPT = 0x20, MMIO_ACCEPT_SELECT = 0x24, MMIO_QUEUE = 0x30, MMIO_QUEUE_MAX = 0x34, MMIO_QUEUE_SIZE = 0x38,
    MMIO_QUEUE_READY = 0x44, MMIO_NOTIFY = 0x50, MMIO_INTERRUPT = 0x60, MMIO_INTERRUPT_ACK = 0x64, MMIO_STATUS = 0x70,
    MMIO_DESC = 0x80, MMIO_AVAIL = 0x90, MMIO_USED = 0xa0, MMIO_CONFIG = 0x100, MMIO_SIZE = 0x200,
};
#define MAGIC 0x74726976u
#define PAGE 4096ull

static uint32_t get(const struct virtio *v, unsigned at) { return *(volatile uint32_t *)(v->common.base + at); }
static void put(const struct virtio *v, unsigned at, uint32_t value) {
    *(volatile uint32_t *)(v->common.base + at) = value;
}
static void put64(const struct virtio *v, unsigned at, uint64_t value) {
    put(v, at, (uint32_t)value);
    put(v, at + 4, (uint32_t)(value >> 32));
}

static uint8_t mmio_status(struct virtio *v, int value) {
    if (value >= 0) put(v, MMIO_STATUS, (uint32_t)value);
    return (uint8_t)get(v, MMIO_STATUS);
}

static uint32_t mmio_features(struct virtio *v, unsigned word) {
    put(v, MMIO_FEATURES_SELECT, word);
    return get(v, MMIO_FEATURES);
}

static void mmio_features_accept(struct virtio *v, unsigned word, uint32_t value) {
    put(v, MMIO_ACCEPT_SELECT, word);
    put(v, MMIO_ACCEPT, value);
}

static int mmio_queue(struct virtio *v, unsigned index, uint16_t size, uint64_t desc, uint64_t avail, uint64_t used) {
    put(v, MMIO_QUEUE, index);
    if (size == 0) {
        uint32_t most = get(v, MMIO_QUEUE_MAX);
        return most == 0 ? -ENOENT : most > VIRTQ_SIZE_MAX ? VIRTQ_SIZE_MAX : (int)most;
    }
    put(v, MMIO_QUEUE_SIZE, size);
    put64(v, MMIO_DESC, desc);
    put64(v, MMIO_AVAIL, avail);
    put64(v, MMIO_USED, used);
    put(v, MMIO_QUEUE_READY, 1);
    return size;
}

static void mmio_notify(struct virtio *v, unsigned index) { put(v, MMIO_NOTIFY, index); }

static uint8_t mmio_config_byte(struct virtio *v, unsigned offset) {
    return offset < MMIO_SIZE - MMIO_CONFIG ? v->common.base[MMIO_CONFIG + offset] : 0xff;
}

// The line is up while a bit of InterruptStatus is (virtio 1.2, 4.2.3.4): a level. Down first, or it would fire again.
static void mmio_interrupt_ack(struct virtio *v) {
    put(v, MMIO_INTERRUPT_ACK, get(v, MMIO_INTERRUPT));
    (void)kpio_irq_ack(v->irq);
}

static int mmio_reset(struct virtio *v) {
    for (unsigned i = 0; i < 1000; i++) {
        if (mmio_status(v, i ? -1 : 0) == 0) return 0;
        (void)kpio_thread_yield();
    }
    return -EIO;
}

static const struct virtio_transport mmio_transport = {
    .status = mmio_status,
    .features = mmio_features,
    .features_accept = mmio_features_accept,
    .queue = mmio_queue,
    .notify = mmio_notify,
    .config_byte = mmio_config_byte,
    .interrupt_ack = mmio_interrupt_ack,
    .reset = mmio_reset,
};

// Several devices may share the page: the first of the type.
static bool slot_find(struct virtio *v, volatile uint8_t *page, unsigned type) {
    for (unsigned offset = 0; offset < PAGE; offset += MMIO_SIZE) {
        v->common = (struct virtio_window){page + offset, MMIO_SIZE};
        if (get(v, MMIO_MAGIC) == MAGIC && get(v, MMIO_VERSION) == 2 && get(v, MMIO_TYPE) == type) return true;
    }
    return false;
}

int virtio_open_mmio(struct virtio *v, kpio_handle mmio, kpio_handle irq, unsigned type) {
    v->transport = &mmio_transport;
    v->feature_word = MMIO_FEATURES;
    v->device = mmio;
    v->irq = irq;
    int64_t at = kpio_aspace_map(startup_handle("aspace"), mmio, 0, PAGE, KPIO_MAP_READ | KPIO_MAP_WRITE, 0);
    if (at < 0) return (int)at;
    return slot_find(v, (volatile uint8_t *)(uint64_t)at, type) ? mmio_reset(v) : -ENODEV;
}
