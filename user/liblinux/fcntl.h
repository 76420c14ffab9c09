// Parts of fcntl.
#pragma once
#include "user/liblinux/fd.h"

// LX_O_* of the description.
[[nodiscard]] int64_t lx_fcntl_get_flags(const struct lx_fd *fd);
[[nodiscard]] int64_t lx_fcntl_set_flags(struct lx_thread *t, uint64_t number, const struct lx_fd *fd, uint64_t flags);
// Seals of a memfd (F_GET_SEALS, F_ADD_SEALS).
[[nodiscard]] int64_t lx_fcntl_get_seals(const struct lx_fd *fd);
[[nodiscard]] int64_t lx_fcntl_add_seals(const struct lx_fd *fd, uint64_t add);
// Locks of ranges, described by a struct flock of the program; `own`: owned by the description (OFD), else by the process.
[[nodiscard]] int64_t lx_fcntl_test_lock(const struct lx_fd *fd, uint64_t at, bool own);
[[nodiscard]] int64_t lx_fcntl_lock(struct lx_thread *t, const struct lx_fd *fd, uint64_t at, bool own, bool wait);
