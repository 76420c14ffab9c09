#include "abi/gen/errors.h"
#include "kernel/hal/dma.h"
#include "kernel/hal/hal.h"
#include "kernel/hal/mmio.h"
#include "kernel/hal/pci.h"
#include "kernel/mm/slub.h"
#include "kernel/object/process.h"

static void pci_unreachable(struct object *o) { device_close(&pci_function_of(o)->device); }

static const struct object_ops pci_ops = {
    .name = "pci",
    .rights = KPIO_RIGHT_DEVICE | KPIO_RIGHT_DUPLICATE | KPIO_RIGHT_TRANSFER | KPIO_RIGHT_INSPECT | KPIO_RIGHT_EXPIRE,
    .unreachable = pci_unreachable,
};

struct pci_function *pci_function_of(struct object *o) { return container_of(o, struct pci, object)->function; }

int pci_make(uint64_t address, struct pci **out) {
    struct pci_function *f = address <= UINT16_MAX ? pci_find((uint16_t)address) : NULL;
    if (f == NULL) return -ENOENT;
    struct pci *pci = kzalloc(sizeof *pci);
    if (pci == NULL) return -ENOMEM;
    pci->function = f;
    int error = object_init(&pci->object, KPIO_KIND_PCI, &pci_ops, current_process()->job, sizeof *pci);
    if (error) {
        kfree(pci);
        return error;
    }
    error = device_open(&f->device);
    if (error) {
        object_put(&pci->object);
        return error;
    }
    *out = pci;
    return 0;
}

void hal_init(void) {
    device_init_reaper();
    pci_init();
    mmio_ranges_init();
}

int hal_vmo(struct object *o, uint64_t offset, uint64_t size, struct vmo **out) {
    if (o->kind == KPIO_KIND_MMIO) return mmio_vmo(o, offset, size, out);
    if (o->kind != KPIO_KIND_DMA) return -EINVAL;
    if (!range_fits(offset, size, container_of(o, struct dma, object)->size)) return -EINVAL;
    *out = dma_vmo(o);
    return 0;
}

uint64_t hal_quarantined_pages(void) { return device_quarantined_pages(); }
