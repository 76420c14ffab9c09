// The vDSO's place in an address space: the kernel's page, then the image (vdso/vdso.c).
#pragma once
#include "user/liblinux/context.h"

// Maps both: the image's address goes to space->vdso. 0 or a negative errno; a program runs without it, too.
[[nodiscard]] int64_t lx_vdso_map(struct lx_space *space);
// The kernel's page, or NULL.
static inline const volatile struct kpio_system_page *lx_system_page(const struct lx_space *space) {
    return space->vdso != 0 ? (const volatile struct kpio_system_page *)(space->vdso - 4096) : NULL;
}
