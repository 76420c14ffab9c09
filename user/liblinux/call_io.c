// read, write, close and their like.
#include "abi/gen/stubs.h"
#include "lib/util.h"
#include "user/liblinux/call.h"
#include "user/liblinux/entry.h"
#include "user/liblinux/fd.h"

[[gnu::noinline]] static int64_t read_any(struct lx_thread *t, uint64_t number, uint64_t buffer, uint64_t size) {
    struct lx_fd fd;
    int64_t error = lx_fd_get(lx_process(t), number, &fd);
    if (error != 0) return error;
    const struct lx_fd_ops *ops = lx_fd_ops(fd.kind);
    if (ops->read == NULL || !(fd.flags & LX_FD_READ)) return -EBADF;
    return ops->read(t, &fd, buffer, MIN(size, LX_IO_MAX), KPIO_OFFSET_CURRENT);
}

LX_CALL(read) {
    kpio_handle file = lx_fd_file(lx_process(t), a0, LX_FD_READ);
    if (file != KPIO_HANDLE_NONE) return kpio_file_read(file, (void *)a1, MIN(a2, LX_IO_MAX), KPIO_OFFSET_CURRENT);
    return read_any(t, a0, a1, a2);
}

[[gnu::noinline]] static int64_t write_any(struct lx_thread *t, uint64_t number, uint64_t buffer, uint64_t size) {
    struct lx_fd fd;
    int64_t error = lx_fd_get(lx_process(t), number, &fd);
    if (error != 0) return error;
    const struct lx_fd_ops *ops = lx_fd_ops(fd.kind);
    if (ops->write == NULL || !(fd.flags & LX_FD_WRITE)) return -EBADF;
    return ops->write(t, &fd, buffer, MIN(size, LX_IO_MAX), KPIO_OFFSET_CURRENT);
}

LX_CALL(write) {
    kpio_handle file = lx_fd_file(lx_process(t), a0, LX_FD_WRITE);
    if (file != KPIO_HANDLE_NONE) return kpio_file_write(file, (const void *)a1, MIN(a2, LX_IO_MAX), KPIO_OFFSET_CURRENT, 0);
    return write_any(t, a0, a1, a2);
}

LX_CALL(close) {
    struct lx_fd fd;
    int64_t error = lx_fd_remove(lx_process(t), a0, &fd);
    if (error != 0) return error;
    lx_fd_close(&fd);
    return 0;
}
