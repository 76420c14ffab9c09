// The kernel's own virtual memory beside image and direct map: one PML4 slot.
#pragma once
#include "kernel/core/types.h"

#define VMAP_BASE 0xffffc00000000000ull
#define VMAP_BOOT_WINDOW VMAP_BASE                       // 2 MiB: devices and firmware tables mapped before mm is up
#define VMAP_STACKS (VMAP_BASE + (1ull << 30))           // kernel stacks, each with an unmapped page below
#define VMAP_DEVICES (VMAP_BASE + (256ull << 30))        // device registers
#define VMAP_END (VMAP_BASE + (512ull << 30))

// Maps physical [base, base + size) for good, uncached when `device`. NULL when there is no room or size is absurd. Works
// before mm is up (from a window of 2 MiB) and after; the mapping may be shared with earlier ones.
void *vmap_boot(paddr_t base, uint64_t size, bool device);

// Device registers, uncached, for good; once mm is up. NULL when out of memory.
void *vmap_device(paddr_t base, uint64_t size);
// `size` bytes of addresses without a mapping, an unmapped page behind them; 0 when none are left.
uint64_t vmap_reserve(uint64_t size);
