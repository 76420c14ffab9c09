// read, write, close and their like.
#include "abi/gen/stubs.h"
#include "user/liblinux/call.h"
#include "user/liblinux/entry.h"
#include "user/liblinux/fd.h"

LX_CALL(read) {
    struct lx_fd fd;
    int64_t error = lx_fd_get(lx_process(t), a0, &fd);
    if (error != 0) return error;
    const struct lx_fd_ops *ops = lx_fd_ops(fd.kind);
    if (ops->read == NULL || !(fd.flags & LX_FD_READ)) return -EBADF;
    return ops->read(t, &fd, a1, a2 > LX_IO_MAX ? LX_IO_MAX : a2, KPIO_OFFSET_CURRENT);
}

LX_CALL(write) {
    struct lx_fd fd;
    int64_t error = lx_fd_get(lx_process(t), a0, &fd);
    if (error != 0) return error;
    const struct lx_fd_ops *ops = lx_fd_ops(fd.kind);
    if (ops->write == NULL || !(fd.flags & LX_FD_WRITE)) return -EBADF;
    return ops->write(t, &fd, a1, a2 > LX_IO_MAX ? LX_IO_MAX : a2, KPIO_OFFSET_CURRENT);
}

LX_CALL(close) {
    struct lx_fd fd;
    int64_t error = lx_fd_remove(lx_process(t), a0, &fd);
    if (error != 0) return error;
    lx_fd_close(&fd);
    return 0;
}
