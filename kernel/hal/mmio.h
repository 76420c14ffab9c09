// Device registers as objects: a memory BAR, or a range outside PCI that the machine description names. Only such ranges
// exist; what meets RAM, the interrupt controllers, configuration space or another function's BAR is left out at boot.
#pragma once
#include "kernel/hal/device.h"

struct vmo;

struct mmio {
    struct object object;
    struct device *device;             // NULL: a range that needs no reset (framebuffer)
    struct vmo *vmo;
    uint64_t base, size;
    uint64_t hidden_start, hidden_end; // bytes not to be mapped: the pages of an MSI-X table. Empty: equal
    struct object *via;                // whose tree its handles are in; referenced. NULL: its own
    struct list_node node;             // in device->mmios, which holds a reference
    bool owns_device;                  // a range: its last handle is the end of the driver
    bool dead;                         // cut off
};

[[nodiscard]] int mmio_make(struct device *device, uint64_t base, uint64_t size, struct mmio **out);
// For aspace_map: 0 and the VMO (borrowed), -EINVAL outside, -EPERM when the range meets hidden pages, -EDESTROYED once
// the device was taken back.
[[nodiscard]] int mmio_vmo(struct object *o, uint64_t offset, uint64_t size, struct vmo **out);
// Cuts every mapping of the device's registers, in every process. May be preempted.
void mmio_cut_all(struct device *device);

// ---- ranges outside PCI --------------------------------------------------------------------------------------------------
// Finds them: the boot framebuffer, `virtio_mmio.device=SIZE@BASE:IRQ` of the command line. Called once from hal_init.
void mmio_ranges_init(void);
// The range must be a named one, or several named ones and the rest of their pages: whole pages, one owner at a time.
[[nodiscard]] int mmio_make_range(uint64_t base, uint64_t size, struct mmio **out);
// The device behind a range, whose reset lets it do DMA; NULL for a framebuffer and for a BAR.
struct device *mmio_device(struct object *o);
// Whether physical [base, base + size) may be a device: no RAM, nothing that the kernel drives itself.
bool mmio_range_is_free(uint64_t base, uint64_t size);
