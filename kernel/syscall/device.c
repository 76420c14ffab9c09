// System calls on devices: PCI functions, DMA memory, registers, interrupts.
#include "abi/gen/errors.h"
#include "abi/gen/syscalls.h"
#include "kernel/hal/dma.h"
#include "kernel/hal/mmio.h"
#include "kernel/hal/pci.h"
#include "kernel/mm/usercopy.h"
#include "kernel/object/process.h"

#define LIST_STEP 32

static int function_get(uint64_t handle, struct pci_function **out) {
    struct object *o;
    int error = handle_get((kpio_handle)handle, KPIO_KIND_PCI, KPIO_RIGHT_DEVICE, &o);
    if (!error) *out = pci_function_of(o);
    return error;
}

static int system_get(uint64_t handle) {
    struct object *o;
    return handle_get((kpio_handle)handle, KPIO_KIND_SYSTEM, KPIO_RIGHT_DEVICE, &o);
}

// Installs what was made as a child of the handle that it was got through, in whose tree it lives: revoking that takes this too.
// Takes over the creator's reference; without a handle what is lent out of a device goes back at once.
static int64_t install_below(uint64_t through, struct object *o, struct object **via) {
    struct handle *parent;
    int error = handle_get_full((kpio_handle)through, KPIO_KIND_NONE, KPIO_RIGHT_DEVICE, &parent);
    if (!error && !object_tryget(parent->object)) error = -EBADF;
    if (error) {
        object_abandon(o);
        return error;
    }
    *via = parent->object;
    o->tree = parent->object->tree;
    return handle_install_child(o, o->ops->rights, parent);
}

int64_t sys_pci_list(uint64_t system, uint64_t entries, uint64_t count, uint64_t a3, uint64_t a4, uint64_t a5) {
    uint64_t found[LIST_STEP];
    int error = system_get(system);
    if (error) return error;
    for (uint64_t first = 0;; first += LIST_STEP) {
        uint64_t total = pci_list(first, found, LIST_STEP);
        if (first >= total || first >= count) return (int64_t)total;
        uint64_t end = MIN(total, count), take = MIN(end - first, (uint64_t)LIST_STEP);
        error = copy_to_user(user_ptr(entries + first * 8), found, take * 8);
        if (error) return error;
    }
}

int64_t sys_pci_open(uint64_t system, uint64_t address, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5) {
    struct pci *pci;
    int error = system_get(system);
    if (!error) error = pci_make(address, &pci);
    return error ? error : handle_install(&pci->object);
}

int64_t sys_pci_config_read(uint64_t pci, uint64_t offset, uint64_t size, uint64_t a3, uint64_t a4, uint64_t a5) {
    struct pci_function *f;
    uint32_t value;
    int error = function_get(pci, &f);
    if (!error) error = pci_config_read(f, (uint32_t)offset, (uint32_t)size, &value);
    return error ? error : (int64_t)value;
}

int64_t sys_pci_config_write(uint64_t pci, uint64_t offset, uint64_t size, uint64_t value, uint64_t a4, uint64_t a5) {
    struct pci_function *f;
    int error = function_get(pci, &f);
    return error ? error : pci_config_write(f, (uint32_t)offset, (uint32_t)size, (uint32_t)value);
}

int64_t sys_pci_bar(uint64_t pci, uint64_t index, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5) {
    struct pci_function *f;
    struct mmio *mmio;
    int error = function_get(pci, &f);
    if (!error) error = pci_bar_make(f, (uint32_t)index, &mmio);
    return error ? error : install_below(pci, &mmio->object, &mmio->via);
}

int64_t sys_pci_irq(uint64_t pci, uint64_t index, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5) {
    struct pci_function *f;
    struct irq *irq;
    int error = function_get(pci, &f);
    if (!error) error = pci_irq_make(f, (uint32_t)index, &irq);
    return error ? error : install_below(pci, &irq->object, &irq->via);
}

int64_t sys_pci_bus_master(uint64_t pci, uint64_t on, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5) {
    struct pci_function *f;
    int error = function_get(pci, &f);
    if (!error && (uint32_t)on > 1) error = -EINVAL;
    return error ? error : pci_set_bus_master(f, on);
}

int64_t sys_pci_reset(uint64_t pci, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5) {
    struct pci_function *f;
    int error = function_get(pci, &f);
    return error ? error : device_reset(&f->device);  // functions are for ever: no reference is needed while it sleeps
}

// The device behind a handle of kind pci, or mmio of a virtio-mmio device: one that a reset can stop.
static int dma_device(uint64_t handle, struct device **out) {
    struct object *o;
    int error = handle_get((kpio_handle)handle, KPIO_KIND_NONE, 0, &o);
    if (error) return error;
    if (o->kind != KPIO_KIND_PCI && o->kind != KPIO_KIND_MMIO) return -EWRONGTYPE;
    error = handle_get((kpio_handle)handle, (enum kpio_kind)o->kind, KPIO_RIGHT_DEVICE, &o);
    if (error) return error;
    *out = o->kind == KPIO_KIND_PCI ? &pci_function_of(o)->device : mmio_device(o);
    return *out ? 0 : -EINVAL;
}

int64_t sys_dma_create(uint64_t device, uint64_t size, uint64_t flags, uint64_t address, uint64_t a4, uint64_t a5) {
    struct device *of;
    struct dma *dma;
    int error = dma_device(device, &of);
    if (!error) error = dma_make(of, size, (uint32_t)flags, &dma);
    if (error) return error;
    uint64_t at = dma->address;
    int64_t value = install_below(device, &dma->object, &dma->via);
    if (value < 0) return value;
    error = copy_to_user(user_ptr(address), &at, sizeof at);
    if (!error) return value;
    (void)handle_close(&current_process()->handles, (kpio_handle)value);
    return error;
}

int64_t sys_mmio_create(uint64_t system, uint64_t base, uint64_t size, uint64_t a3, uint64_t a4, uint64_t a5) {
    struct mmio *mmio;
    int error = system_get(system);
    if (!error) error = mmio_make_range(base, size, &mmio);
    return error ? error : handle_install(&mmio->object);
}

int64_t sys_irq_create(uint64_t system, uint64_t gsi, uint64_t flags, uint64_t a3, uint64_t a4, uint64_t a5) {
    struct irq *irq;
    int error = system_get(system);
    if (!error) error = irq_make_line((uint32_t)gsi, (uint32_t)flags, &irq);
    return error ? error : handle_install(&irq->object);
}

int64_t sys_irq_wait(uint64_t irq, uint64_t deadline, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5) {
    struct handle *h;
    int error = handle_get_full((kpio_handle)irq, KPIO_KIND_IRQ, KPIO_RIGHT_READ, &h);
    return error ? error : irq_wait(container_of(h->object, struct irq, object), h, deadline);
}

int64_t sys_irq_ack(uint64_t irq, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5) {
    struct object *o;
    int error = handle_get((kpio_handle)irq, KPIO_KIND_IRQ, KPIO_RIGHT_WRITE, &o);
    if (!error) irq_ack(container_of(o, struct irq, object));
    return error;
}
