#include "kernel/hal/mmio.h"

#include "abi/gen/errors.h"
#include "kernel/mm/slub.h"
#include "kernel/mm/vmo.h"
#include "kernel/object/process.h"

static struct mmio *mmio_of(struct object *o) { return container_of(o, struct mmio, object); }

static void mmio_unreachable(struct object *o) {
    struct mmio *mmio = mmio_of(o);
    struct device *device = mmio->device;
    bool owner = mmio->owns_device;
    spin_lock(&device->queue.lock);  // no mapping is left to cut
    bool linked = list_node_is_linked(&mmio->node);
    if (linked) list_remove(&mmio->node);
    spin_unlock(&device->queue.lock);
    if (linked) object_put(o);
    if (owner) device_close(device);
}

static void mmio_destroy(struct object *o) {
    vmo_put(mmio_of(o)->vmo);
    if (mmio_of(o)->via) object_put(mmio_of(o)->via);
}

static const struct object_ops mmio_ops = {
    .name = "mmio",
    .rights = KPIO_RIGHT_READ | KPIO_RIGHT_WRITE | KPIO_RIGHT_MAP | KPIO_RIGHT_DUPLICATE | KPIO_RIGHT_TRANSFER |
              KPIO_RIGHT_DEVICE | KPIO_RIGHT_INSPECT | KPIO_RIGHT_EXPIRE,
    .unreachable = mmio_unreachable,
    .destroy = mmio_destroy,
};

int mmio_make(struct device *device, uint64_t base, uint64_t size, struct mmio **out) {
    struct mmio *mmio = kzalloc(sizeof *mmio);
    if (mmio == NULL) return -ENOMEM;
    mmio->device = device;
    mmio->base = align_down(base, PAGE_SIZE);
    mmio->size = align_up(base + size, PAGE_SIZE) - mmio->base;
    struct job *job = current_process() ? current_process()->job : job_root;  // at boot for init
    int error = vmo_create_physical(job, paddr(mmio->base), mmio->size, VMO_UNCACHED, &mmio->vmo);
    if (error) {
        kfree(mmio);
        return error;
    }
    error = object_init(&mmio->object, KPIO_KIND_MMIO, &mmio_ops, job, sizeof *mmio);
    if (error) {
        vmo_put(mmio->vmo);
        kfree(mmio);
        return error;
    }
    spin_lock(&device->queue.lock);
    bool open = device->state == DEVICE_OPEN || device->state == DEVICE_RESETTING;
    if (open) {
        object_get(&mmio->object);
        list_push_back(&device->mmios, &mmio->node);
    }
    spin_unlock(&device->queue.lock);
    if (!open) {
        object_put(&mmio->object);
        return -EBUSY;
    }
    *out = mmio;
    return 0;
}

int mmio_vmo(struct object *o, uint64_t offset, uint64_t size, struct vmo **out) {
    struct mmio *mmio = mmio_of(o);
    if (__atomic_load_n(&mmio->dead, __ATOMIC_ACQUIRE)) return -EDESTROYED;
    if (!range_fits(offset, size, mmio->size) || (size & PAGE_MASK) != 0) return -EINVAL;
    uint64_t start = mmio->base + offset;
    if (start < mmio->hidden_end && mmio->hidden_start < start + size) return -EPERM;
    *out = mmio->vmo;
    return 0;
}

void mmio_cut_all(struct device *device) {
    for (;;) {
        spin_lock(&device->queue.lock);
        struct mmio *mmio = list_pop_front_entry(&device->mmios, struct mmio, node);
        spin_unlock(&device->queue.lock);
        if (mmio == NULL) return;
        __atomic_store_n(&mmio->dead, true, __ATOMIC_RELEASE);
        vmo_cut(mmio->vmo);
        object_put(&mmio->object);
    }
}
