#include "drivers/virtio.h"

#include "lib/util.h"
#include "user/libkpio/startup.h"
#include "user/libkpio/wait.h"

enum { STATUS_ACKNOWLEDGE = 1, STATUS_DRIVER = 2, STATUS_DRIVER_OK = 4, STATUS_FEATURES_OK = 8 };
#define PAGE 4096u
#define MAP_FLAGS (KPIO_MAP_READ | KPIO_MAP_WRITE)

int virtio_open(struct virtio *v, unsigned type) {
    *v = (struct virtio){0};
    kpio_handle pci = startup_handle("pci");
    if (pci > 0) return virtio_open_pci(v, pci, type);
    kpio_handle mmio = startup_handle("mmio"), irq = startup_handle("irq");
    return mmio > 0 && irq > 0 ? virtio_open_mmio(v, mmio, irq, type) : -ENODEV;
}

int virtio_negotiate(struct virtio *v, uint64_t wanted, uint64_t *agreed) {
    const struct virtio_transport *t = v->transport;
    wanted |= VIRTIO_F_VERSION_1;
    t->status(v, STATUS_ACKNOWLEDGE);
    t->status(v, STATUS_ACKNOWLEDGE | STATUS_DRIVER);
    uint64_t offered = t->features(v, 0) | (uint64_t)t->features(v, 1) << 32, common = offered & wanted;
    if ((common & VIRTIO_F_VERSION_1) == 0) return -EIO;
    t->features_accept(v, 0, (uint32_t)common);
    t->features_accept(v, 1, (uint32_t)(common >> 32));
    uint8_t status = t->status(v, STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK);
    if ((status & STATUS_FEATURES_OK) == 0) return -EIO;
    *agreed = common;
    return 0;
}

int64_t virtio_memory(struct virtio *v, size_t size, void **memory, uint64_t *address) {
    int64_t handle = kpio_dma_create(v->device, size, 0, address);
    if (handle < 0) return handle;
    int64_t at = kpio_aspace_map(startup_handle("aspace"), (kpio_handle)handle, 0, align_up(size, PAGE),
                                 MAP_FLAGS, 0);
    if (at < 0) {
        (void)kpio_handle_close((uint64_t)handle);
        return at;
    }
    *memory = (void *)at;
    return handle;
}

void virtio_memory_free(kpio_handle handle, void *memory, size_t size) {
    (void)kpio_aspace_unmap(startup_handle("aspace"), (uint64_t)memory, align_up(size, PAGE));
    (void)kpio_handle_close((uint64_t)handle);
}

// QEMU's emulation (not KVM) leaves out barriers where the guest has one CPU, though its devices run on other threads. It
// takes a lock for a register of a device, and so keeps that in order.
static bool is_emulated(void) {
    uint32_t eax = 1, ebx, ecx, edx;
    __asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "=c"(ecx), "=d"(edx));
    if (!(ecx >> 31)) return false;
    eax = 0x40000000;
    __asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "=c"(ecx), "=d"(edx));
    return ebx == 0x54474354;  // TCGT
}

int virtio_queue(struct virtio *v, unsigned index, uint16_t size, struct virtq *q) {
    void *memory;
    uint64_t address;
    if (index >= VIRTIO_QUEUES_MAX) return -EINVAL;
    int most = v->transport->queue(v, index, 0, 0, 0, 0);
    if (most < 0) return most;
    while (size > most) size /= 2;
    if (size == 0 || size > VIRTQ_SIZE_MAX) return -EIO;
    size_t bytes = virtq_bytes(size);
    int64_t handle = virtio_memory(v, bytes, &memory, &address);
    if (handle < 0) return (int)handle;
    v->queue_memory[index] = (kpio_handle)handle;
    v->queue_address[index] = memory;
    v->queue_bytes[index] = bytes;
    virtq_init(q, memory, size);
    if (is_emulated()) q->fence_register = (const volatile uint32_t *)(v->common.base + v->feature_word);
    int result = v->transport->queue(v, index, size, address, address + virtq_avail_offset(size),
                                     address + virtq_used_offset(size));
    return result < 0 ? result : 0;
}

void virtio_start(struct virtio *v) {
    v->transport->status(v, STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK | STATUS_DRIVER_OK);
}

int virtio_restart(struct virtio *v) {
    int error = v->transport->reset(v);
    for (unsigned i = 0; i < VIRTIO_QUEUES_MAX && !error; i++) {
        if (v->queue_memory[i] > 0) virtio_memory_free(v->queue_memory[i], v->queue_address[i], v->queue_bytes[i]);
        v->queue_memory[i] = KPIO_HANDLE_NONE;
    }
    return error;
}
