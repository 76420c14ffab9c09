// Memory that a device may write: contiguous pages with a device address. Mapped like a VMO by who holds the handle.
// Its pages outlive handles and mappings for as long as the device may still reach them (device.h).
#pragma once
#include "kernel/hal/device.h"

struct vmo;

struct dma {
    struct object object;
    struct device *device;
    struct vmo *vmo;
    uint64_t address, size;  // as the device sees it; bytes
    struct object *via;      // whose tree its handles are in; referenced. NULL: its own
    struct list_node node;   // in device->dmas, which holds a reference
    bool dead;               // nobody can name it; guarded by the device's lock
};

enum { DMA_LOW = 1 << 0 };   // below 4 GiB
#define DMA_MAX_SIZE (4ul << 20)

// Zeroed memory of `size` bytes (rounded up to pages), charged to the running process's job.
[[nodiscard]] int dma_make(struct device *device, uint64_t size, uint32_t flags, struct dma **out);
// What aspace_map maps for a dma handle. Borrowed.
struct vmo *dma_vmo(struct object *o);

// Used by device.c, after a confirmed reset: everything; what nobody can name any more.
void dma_release_all(struct device *device);
void dma_release_dead(struct device *device);
// The device may write for ever: its pages are never freed. Returns how many.
uint64_t dma_quarantine_all(struct device *device);
