// Kinds of descriptors that have a file of their own, and what these share.
#pragma once
#include "user/liblinux/fd.h"

extern const struct lx_fd_ops lx_pipe_ops, lx_counter_ops, lx_timer_ops, lx_epoll_ops, lx_signalfd_ops, lx_socket_ops, lx_pidfd_ops,
    lx_fuse_ops, lx_memory_ops;

// What a call on a pipe, counter or timer says to the program: SIGPIPE is raised for EPIPE, and EINTR may begin it again.
[[nodiscard]] int64_t lx_wait_result(struct lx_thread *t, int64_t result);
// O_NONBLOCK and O_ASYNC, in the flags of the objects: the `status` of most kinds.
[[nodiscard]] int64_t lx_object_status(const struct lx_fd *fd, uint32_t clear, uint32_t set);
// O_NONBLOCK alone, where the other bits of the object mean something else.
[[nodiscard]] int64_t lx_object_nonblock(const struct lx_fd *fd, uint32_t clear, uint32_t set);
// A pipe's end opened once more, as these flags say, which ask for no more than it may do: with an O_NONBLOCK of its own.
[[nodiscard]] int64_t lx_pipe_reopen(struct lx_thread *t, const struct lx_fd *from, uint64_t flags, struct lx_fd *out);
[[nodiscard]] int64_t lx_pipe_ioctl(struct lx_thread *t, const struct lx_fd *fd, uint64_t request, uint64_t argument);
// fcntl F_GETPIPE_SZ and F_SETPIPE_SZ.
[[nodiscard]] int64_t lx_pipe_size(const struct lx_fd *fd);
[[nodiscard]] int64_t lx_pipe_set_size(const struct lx_fd *fd, uint64_t size);
// EINVAL: the read or write of kinds that have none.
[[nodiscard]] int64_t lx_no_transfer(struct lx_thread *t, const struct lx_fd *fd, uint64_t buffer, uint64_t size, int64_t offset);
// Inode of things without a file: the object's id, as an anonymous one.
[[nodiscard]] int64_t lx_anonymous_stat(struct lx_thread *t, const struct lx_fd *fd, struct kpio_stat *out);
