// The device HAL: PCI functions, device registers, DMA memory and interrupts as objects, for drivers in user space.
// This is what the rest of the kernel includes; the folder's other headers are its inside, except that kernel/syscall
// decodes handles of its kinds.
#pragma once
#include "kernel/object/object.h"

struct vmo;

// Finds the devices and takes bus mastering from all of them; starts the thread that takes devices back. Called once, on
// the boot CPU, after scheduler, memory and objects are up.
void hal_init(void);

// What aspace_map maps for a handle of kind mmio or dma: 0 and the VMO (borrowed: good as long as the object), -EINVAL
// for a range outside it or another kind, -EPERM for registers that the kernel keeps (the MSI-X table), -EDESTROYED for
// a device that was taken back.
[[nodiscard]] int hal_vmo(struct object *o, uint64_t offset, uint64_t size, struct vmo **out);

// The virtio-mmio devices that ACPI or the command line names; what system_boot_info shows.
struct hal_virtio_mmio {
    uint64_t base, size, gsi, type;
};
unsigned hal_virtio_mmio_list(const struct hal_virtio_mmio **list);
// Makes number `index` of the list the kernel's, for good, and with it all that lies in the same page. Its registers, or
// NULL: a process has them.
volatile uint32_t *hal_virtio_mmio_take(unsigned index);

// The boot framebuffer as an mmio object, the caller's reference: 0, -ENODEV when the loader set none up, -EBUSY, -ENOMEM.
[[nodiscard]] int hal_framebuffer(struct object **out);

// Pages set aside for good because a device could not be reset.
uint64_t hal_quarantined_pages(void);
