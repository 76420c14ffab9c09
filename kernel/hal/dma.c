#include "kernel/hal/dma.h"

#include "abi/gen/errors.h"
#include "kernel/mm/slub.h"
#include "kernel/mm/vmo.h"
#include "kernel/object/process.h"

static struct dma *dma_of(struct object *o) { return container_of(o, struct dma, object); }

struct vmo *dma_vmo(struct object *o) { return dma_of(o)->vmo; }

// The memory stays on the device's list: it may still be written to.
static void dma_unreachable(struct object *o) {
    struct dma *dma = dma_of(o);
    spin_lock(&dma->device->queue.lock);
    dma->dead = true;
    spin_unlock(&dma->device->queue.lock);
}

static void dma_destroy(struct object *o) {
    vmo_put(dma_of(o)->vmo);
    if (dma_of(o)->via) object_put(dma_of(o)->via);
}

static const struct object_ops dma_ops = {
    .name = "dma",
    .rights = KPIO_RIGHT_READ | KPIO_RIGHT_WRITE | KPIO_RIGHT_MAP | KPIO_RIGHT_DUPLICATE | KPIO_RIGHT_TRANSFER |
              KPIO_RIGHT_INSPECT | KPIO_RIGHT_EXPIRE,
    .unreachable = dma_unreachable,
    .destroy = dma_destroy,
};

int dma_make(struct device *device, uint64_t size, uint32_t flags, struct dma **out) {
    if (size == 0 || size > DMA_MAX_SIZE || (flags & ~(uint32_t)DMA_LOW) != 0) return -EINVAL;
    struct dma *dma = kzalloc(sizeof *dma);
    if (dma == NULL) return -ENOMEM;
    struct job *job = current_process()->job;
    dma->device = device;
    dma->size = align_up(size, PAGE_SIZE);
    int error = vmo_create_contiguous(job, dma->size, flags & DMA_LOW ? PAGE_ALLOC_LOW : 0, &dma->vmo);
    if (error) {
        kfree(dma);
        return error;
    }
    dma->address = dma->vmo->base.v;
    error = object_init(&dma->object, KPIO_KIND_DMA, &dma_ops, job, sizeof *dma);
    if (error) {
        vmo_put(dma->vmo);
        kfree(dma);
        return error;
    }
    spin_lock(&device->queue.lock);
    bool open = device->state == DEVICE_OPEN;
    if (open) {
        object_get(&dma->object);
        list_push_back(&device->dmas, &dma->node);
    }
    spin_unlock(&device->queue.lock);
    if (!open) {
        object_put(&dma->object);
        return -EBUSY;
    }
    *out = dma;
    return 0;
}

// The next one on the list, or only among the dead.
static struct dma *dma_pop(struct device *device, bool only_dead) {
    struct dma *found = NULL;
    spin_lock(&device->queue.lock);
    list_for_each_entry(dma, &device->dmas, struct dma, node) {
        if (only_dead && !dma->dead) continue;
        found = dma;
        list_remove(&dma->node);
        break;
    }
    spin_unlock(&device->queue.lock);
    return found;
}

void dma_release_all(struct device *device) {
    struct dma *dma;
    while ((dma = dma_pop(device, false)) != NULL) object_put(&dma->object);
}

void dma_release_dead(struct device *device) {
    struct dma *dma;
    while ((dma = dma_pop(device, true)) != NULL) object_put(&dma->object);
}

uint64_t dma_quarantine_all(struct device *device) {
    struct dma *dma;
    uint64_t pages = 0;
    while ((dma = dma_pop(device, false)) != NULL) pages += dma->size >> PAGE_SHIFT;  // the reference is kept for ever
    return pages;
}
