// What is known of a file, as Linux's calls tell it.
#pragma once
#include "user/liblinux/at.h"

// Device numbers as Linux's records have them; major << 32 | minor, as the kernel's.
static inline uint64_t lx_device_number(uint64_t device) {
    uint64_t major = device >> 32, minor = (uint32_t)device;
    return (minor & 0xff) | (major & 0xfff) << 8 | (minor & ~0xffull) << 12 | (major & ~0xfffull) << 32;
}
static inline uint64_t lx_device_of(uint64_t number) {
    uint64_t major = (number >> 8 & 0xfff) | (number >> 32 & ~0xfffull), minor = (number & 0xff) | (number >> 12 & 0xffffff00u);
    return major << 32 | minor;
}

// Of a path; with AT_EMPTY_PATH and an empty one, of a descriptor, of any kind. flags: LX_AT_*.
[[nodiscard]] int64_t lx_stat_path(struct lx_thread *t, uint64_t dirfd, uint64_t path, uint64_t flags, struct kpio_stat *out);
[[nodiscard]] int64_t lx_stat_fd(struct lx_thread *t, uint64_t number, struct kpio_stat *out);
