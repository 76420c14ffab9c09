// virtio over memory-mapped registers, version 2 (4.2), as on QEMU's microvm with `-global virtio-mmio.force-legacy=false`.
#include "kernel/arch/x86_64/arch.h"
#include "kernel/block/virtio.h"
#include "kernel/block/virtio_queue.h"

#include "abi/gen/errors.h"

enum {  // 4.2.2
    VERSION = 0x04, FEATURES = 0x10, FEATURES_SELECT = 0x14, ACCEPT = 0x20, ACCEPT_SELECT = 0x24, QUEUE_SELECT = 0x30,
    QUEUE_MOST = 0x34, QUEUE_SIZE = 0x38, QUEUE_READY = 0x44, NOTIFY = 0x50, INTERRUPT = 0x60, INTERRUPT_ACK = 0x64,
    STATUS = 0x70, QUEUE_DESC = 0x80, QUEUE_AVAIL = 0x90, QUEUE_USED = 0xa0, GENERATION = 0xfc, CONFIG = 0x100, SIZE = 0x200,
};
enum { INTERRUPT_QUEUE = 1, INTERRUPT_CONFIG = 2 };

static uint32_t get(struct virtio_device *v, unsigned at) { return *(volatile uint32_t *)(v->registers + at); }
static void put(struct virtio_device *v, unsigned at, uint32_t value) { *(volatile uint32_t *)(v->registers + at) = value; }
static void put64(struct virtio_device *v, unsigned at, uint64_t value) {
    put(v, at, (uint32_t)value);
    put(v, at + 4, (uint32_t)(value >> 32));
}

static uint8_t mmio_status(struct virtio_device *v) { return (uint8_t)get(v, STATUS); }
static void mmio_set_status(struct virtio_device *v, uint8_t value) { put(v, STATUS, value); }
static uint32_t mmio_generation(struct virtio_device *v) { return get(v, GENERATION); }

static uint32_t mmio_features(struct virtio_device *v, unsigned word) {
    put(v, FEATURES_SELECT, word);
    return get(v, FEATURES);
}

static void mmio_accept(struct virtio_device *v, unsigned word, uint32_t value) {
    put(v, ACCEPT_SELECT, word);
    put(v, ACCEPT, value);
}

static uint16_t mmio_queue_most(struct virtio_device *v, unsigned index) {
    put(v, QUEUE_SELECT, index);
    uint32_t most = get(v, QUEUE_MOST);
    return (uint16_t)MIN(most, 32768u);
}

static int mmio_queue_start(struct virtio_device *v, unsigned index, struct virtio_queue *q) {
    put(v, QUEUE_SELECT, index);
    if (get(v, QUEUE_READY) != 0) return -EIO;
    q->doorbell = v->registers + NOTIFY;
    q->doorbell_wide = true;
    put(v, QUEUE_SIZE, q->size);
    put64(v, QUEUE_DESC, q->desc_address);
    put64(v, QUEUE_AVAIL, q->avail_address);
    put64(v, QUEUE_USED, q->used_address);
    put(v, QUEUE_READY, 1);
    return 0;
}

static void fired(void *arg) {
    struct virtio_device *v = ((struct virtio_line *)arg)->device;
    uint32_t why = get(v, INTERRUPT);
    put(v, INTERRUPT_ACK, why);
    if (why & INTERRUPT_CONFIG) v->config_fired(v);
    for (unsigned i = 0; i < v->queues; i++) v->queue_fired(v, i);
}

static int mmio_interrupts(struct virtio_device *v, unsigned queues) {
    v->queues = queues;
    v->lines[0] = (struct virtio_line){v, 0};
    int vector = arch_vector_alloc(0, fired, &v->lines[0]);
    if (vector < 0) return vector;
    int error = arch_gsi_route(v->gsi, 0, vector, false, false);
    if (!error) arch_gsi_mask(v->gsi, false);
    return error;
}

static const struct virtio_transport mmio_transport = {
    .status = mmio_status,
    .set_status = mmio_set_status,
    .features = mmio_features,
    .accept = mmio_accept,
    .generation = mmio_generation,
    .queue_most = mmio_queue_most,
    .queue_start = mmio_queue_start,
    .interrupts = mmio_interrupts,
};

int virtio_mmio_open(struct virtio_device *v, unsigned index, unsigned type) {
    const struct hal_virtio_mmio *list;
    if (index >= hal_virtio_mmio_list(&list) || list[index].type != type || list[index].size < SIZE) return -ENODEV;
    volatile uint32_t *registers = hal_virtio_mmio_take(index);
    if (registers == NULL) return -EBUSY;
    v->transport = &mmio_transport;
    v->registers = (volatile uint8_t *)registers;
    v->gsi = (uint32_t)list[index].gsi;
    v->config = v->registers + CONFIG;
    v->config_bytes = SIZE - CONFIG;
    return get(v, VERSION) == 2 ? 0 : -ENODEV;
}
