// What is the same for every virtio device, whatever it is reached through.
#include "kernel/block/virtio.h"

#include "abi/gen/errors.h"
#include "kernel/hal/pci.h"
#include "kernel/sched/sched.h"

#define RESET_STEPS 12       // 1 us doubled: 8 ms in all
#define GENERATION_TRIES 16

bool virtio_reset(struct virtio_device *v) {
    v->transport->set_status(v, 0);
    for (unsigned step = 0; v->transport->status(v) != 0; step++) {
        if (step == RESET_STEPS) return false;
        sched_sleep_until(arch_now() + (1000ull << step));
    }
    return true;
}

static void status_add(struct virtio_device *v, uint8_t bits) {
    v->transport->set_status(v, (uint8_t)(v->transport->status(v) | bits));
}

// 3.1.1: the steps of initialisation up to FEATURES_OK.
int virtio_negotiate(struct virtio_device *v, uint64_t wanted) {
    if (!virtio_reset(v)) return -EIO;
    status_add(v, VIRTIO_ACKNOWLEDGE);
    status_add(v, VIRTIO_DRIVER);
    uint64_t offered = v->transport->features(v, 0) | (uint64_t)v->transport->features(v, 1) << 32;
    v->features = offered & (wanted | VIRTIO_F_VERSION_1);
    v->transport->accept(v, 0, (uint32_t)v->features);
    v->transport->accept(v, 1, (uint32_t)(v->features >> 32));
    if (v->features & VIRTIO_F_VERSION_1) status_add(v, VIRTIO_FEATURES_OK);
    if (v->transport->status(v) & VIRTIO_FEATURES_OK) return 0;
    status_add(v, VIRTIO_FAILED);
    return -EIO;
}

void virtio_ready(struct virtio_device *v) {
    if (v->function != NULL) pci_kernel_bus_master(v->function, true);
    status_add(v, VIRTIO_DRIVER_OK);
}

bool virtio_switch_off(struct virtio_device *v) {
    v->transport->set_status(v, 0);
    bool obeys = v->transport->status(v) == 0;
    if (v->function != NULL) pci_kernel_bus_master(v->function, false);
    return obeys || v->function != NULL;
}

static uint64_t config_once(const struct virtio_device *v, unsigned offset, unsigned bytes) {
    const volatile uint8_t *at = v->config + offset;
    switch (bytes) {
    case 1: return *at;
    case 2: return *(const volatile uint16_t *)at;
    case 4: return *(const volatile uint32_t *)at;
    default: return *(const volatile uint32_t *)at | (uint64_t)*(const volatile uint32_t *)(at + 4) << 32;
    }
}

// 4.1.4.3.1: a value wider than 32 bits counts only if the generation was the same before and after.
uint64_t virtio_config(struct virtio_device *v, unsigned offset, unsigned bytes) {
    if (v->config == NULL || !range_fits(offset, bytes, v->config_bytes)) return 0;
    uint64_t value = 0;
    for (unsigned i = 0; i < GENERATION_TRIES; i++) {
        uint32_t before = v->transport->generation(v);
        value = config_once(v, offset, bytes);
        if (v->transport->generation(v) == before) break;
    }
    return value;
}
