// virtio over PCI (4.1): registers lie in BARs, where vendor capabilities in configuration space say.
#include "kernel/arch/x86_64/arch.h"
#include "kernel/block/virtio.h"
#include "kernel/block/virtio_queue.h"
#include "kernel/hal/pci.h"

#include "abi/gen/errors.h"

#define VENDOR_VIRTIO 0x1af4
#define NO_VECTOR 0xffff

enum {  // 4.1.4.3, the common configuration
    DEVICE_SELECT = 0x00, DEVICE_FEATURES = 0x04, DRIVER_SELECT = 0x08, DRIVER_FEATURES = 0x0c, CONFIG_VECTOR = 0x10,
    QUEUE_COUNT = 0x12, STATUS = 0x14, GENERATION = 0x15, QUEUE_SELECT = 0x16, QUEUE_SIZE = 0x18, QUEUE_VECTOR = 0x1a,
    QUEUE_ENABLE = 0x1c, QUEUE_NOTIFY = 0x1e, QUEUE_DESC = 0x20, QUEUE_AVAIL = 0x28, QUEUE_USED = 0x30, COMMON_SIZE = 0x38,
};
enum { CAP_COMMON = 1, CAP_NOTIFY = 2, CAP_DEVICE = 4 };

static uint16_t get16(struct virtio_device *v, unsigned at) { return *(volatile uint16_t *)(v->registers + at); }
static void put16(struct virtio_device *v, unsigned at, uint16_t value) { *(volatile uint16_t *)(v->registers + at) = value; }
static void put32(struct virtio_device *v, unsigned at, uint32_t value) { *(volatile uint32_t *)(v->registers + at) = value; }
static void put64(struct virtio_device *v, unsigned at, uint64_t value) {
    put32(v, at, (uint32_t)value);
    put32(v, at + 4, (uint32_t)(value >> 32));
}

static uint8_t pci_status(struct virtio_device *v) { return v->registers[STATUS]; }
static void pci_set_status(struct virtio_device *v, uint8_t value) { v->registers[STATUS] = value; }
static uint32_t pci_generation(struct virtio_device *v) { return v->registers[GENERATION]; }

static uint32_t pci_features(struct virtio_device *v, unsigned word) {
    put32(v, DEVICE_SELECT, word);
    return *(volatile uint32_t *)(v->registers + DEVICE_FEATURES);
}

static void pci_accept(struct virtio_device *v, unsigned word, uint32_t value) {
    put32(v, DRIVER_SELECT, word);
    put32(v, DRIVER_FEATURES, value);
}

static uint16_t pci_queue_most(struct virtio_device *v, unsigned index) {
    if (index >= get16(v, QUEUE_COUNT)) return 0;
    put16(v, QUEUE_SELECT, (uint16_t)index);
    return get16(v, QUEUE_SIZE);
}

static int pci_queue_start(struct virtio_device *v, unsigned index, struct virtio_queue *q) {
    put16(v, QUEUE_SELECT, (uint16_t)index);
    uint64_t doorbell = (uint64_t)get16(v, QUEUE_NOTIFY) * v->notify_multiplier;
    if (!range_fits(doorbell, 2, v->notify_bytes) || (doorbell & 1) != 0) return -EIO;
    q->doorbell = v->notify + doorbell;
    put16(v, QUEUE_SIZE, q->size);
    put64(v, QUEUE_DESC, q->desc_address);
    put64(v, QUEUE_AVAIL, q->avail_address);
    put64(v, QUEUE_USED, q->used_address);
    put16(v, QUEUE_ENABLE, 1);
    return 0;
}

static void queue_vector(void *arg) {
    struct virtio_line *line = arg;
    line->device->queue_fired(line->device, line->index);
}
static void config_vector(void *arg) {
    struct virtio_device *v = ((struct virtio_line *)arg)->device;
    v->config_fired(v);
}
// Where the function has fewer vectors than queues.
static void shared_vector(void *arg) {
    struct virtio_device *v = ((struct virtio_line *)arg)->device;
    v->config_fired(v);
    for (unsigned i = 0; i < v->queues; i++) v->queue_fired(v, i);
}

static int route(struct virtio_device *v, unsigned entry, uint32_t cpu, void (*handler)(void *), unsigned queue) {
    v->lines[entry] = (struct virtio_line){v, queue};
    int vector = arch_vector_alloc(cpu, handler, &v->lines[entry]);
    return vector < 0 ? vector : pci_route(v->function, entry, cpu, vector);
}

static bool is_shared(const struct virtio_device *v) { return v->function->info.table.entries < v->queues + 1; }

static int pci_vectors(struct virtio_device *v) {
    put16(v, CONFIG_VECTOR, 0);
    if (get16(v, CONFIG_VECTOR) == NO_VECTOR) return -EIO;
    for (unsigned i = 0; i < v->queues; i++) {
        put16(v, QUEUE_SELECT, (uint16_t)i);
        put16(v, QUEUE_VECTOR, (uint16_t)(is_shared(v) ? 0 : i + 1));
        if (get16(v, QUEUE_VECTOR) == NO_VECTOR) return -EIO;
    }
    return 0;
}

// Entry 0 is the configuration's, entry 1 + i that of queue i, on CPU i.
static int pci_interrupts(struct virtio_device *v, unsigned queues) {
    v->queues = queues;
    int error = route(v, 0, 0, is_shared(v) ? shared_vector : config_vector, 0);
    for (unsigned i = 0; i < queues && !is_shared(v) && !error; i++) error = route(v, i + 1, i % cpu_count, queue_vector, i);
    return error ? error : pci_vectors(v);
}

static const struct virtio_transport pci_transport = {
    .status = pci_status,
    .set_status = pci_set_status,
    .features = pci_features,
    .accept = pci_accept,
    .generation = pci_generation,
    .queue_most = pci_queue_most,
    .queue_start = pci_queue_start,
    .interrupts = pci_interrupts,
    .vectors = pci_vectors,
};

static uint32_t config_read(struct pci_function *f, uint32_t offset, uint32_t size) {
    uint32_t value;
    return pci_config_read(f, offset, size, &value) == 0 ? value : UINT32_MAX;
}

// 4.1.4: a capability names a piece of a BAR. The first of each type that is good counts.
static void capability_take(struct virtio_device *v, unsigned at, unsigned length) {
    struct pci_function *f = v->function;
    if (length < 16) return;
    unsigned type = config_read(f, at + 3, 1), bar = config_read(f, at + 4, 1);
    uint32_t offset = config_read(f, at + 8, 4), bytes = config_read(f, at + 12, 4);
    bool common = type == CAP_COMMON && v->registers == NULL && bytes >= COMMON_SIZE;
    bool notify = type == CAP_NOTIFY && v->notify == NULL && length >= 20;
    bool config = type == CAP_DEVICE && v->config == NULL;
    if ((!common && !notify && !config) || bytes > 1u << 20 || (offset & 3) != 0) return;
    volatile uint8_t *window = pci_map(f, bar, offset, bytes);
    if (window == NULL) return;
    if (common) {
        v->registers = window;
    } else if (notify) {
        v->notify = window;
        v->notify_bytes = bytes;
        v->notify_multiplier = config_read(f, at + 16, 4);
    } else {
        v->config = window;
        v->config_bytes = bytes;
    }
}

int virtio_pci_open(struct virtio_device *v, struct pci_function *f, unsigned type) {
    const struct pci_info *info = &f->info;
    bool transitional = type == VIRTIO_BLOCK && info->device == 0x1001;
    if (info->vendor != VENDOR_VIRTIO || (info->device != 0x1040 + type && !transitional)) return -ENODEV;
    if (info->table.entries == 0) return -ENODEV;
    int error = pci_take(f);
    if (error) return error;
    v->transport = &pci_transport;
    v->function = f;
    for (unsigned i = 0; i < info->vendor_caps; i++) capability_take(v, info->vendor_cap[i].offset, info->vendor_cap[i].length);
    return v->registers != NULL && v->notify != NULL && v->config != NULL ? 0 : -ENODEV;
}
