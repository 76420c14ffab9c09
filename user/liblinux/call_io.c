// read, write, close and their like.
#include "abi/gen/stubs.h"
#include "user/liblinux/call.h"
#include "user/liblinux/entry.h"
#include "user/liblinux/fd.h"

#define IO_MAX 0x7ffff000ull  // bytes of one transfer, as on Linux

LX_CALL(read) {
    struct lx_fd fd;
    int64_t error = lx_fd_get(lx_process(t), a0, &fd);
    if (error != 0) return error;
    const struct lx_fd_ops *ops = lx_fd_ops(fd.kind);
    if (ops->read == NULL || !(fd.flags & LX_FD_READ)) return -EBADF;
    return ops->read(t, &fd, a1, a2 > IO_MAX ? IO_MAX : a2, KPIO_OFFSET_CURRENT);
}

LX_CALL(write) {
    struct lx_fd fd;
    int64_t error = lx_fd_get(lx_process(t), a0, &fd);
    if (error != 0) return error;
    const struct lx_fd_ops *ops = lx_fd_ops(fd.kind);
    if (ops->write == NULL || !(fd.flags & LX_FD_WRITE)) return -EBADF;
    return ops->write(t, &fd, a1, a2 > IO_MAX ? IO_MAX : a2, KPIO_OFFSET_CURRENT);
}

#define VECTORS_MAX 1024u
// One transfer after the other, until one is short.
static int64_t vector(struct lx_thread *t, uint64_t number, uint64_t at, uint64_t count, bool write) {
    struct lx_fd fd;
    int64_t error = lx_fd_get(lx_process(t), number, &fd), done = 0;
    if (error != 0) return error;
    const struct lx_fd_ops *ops = lx_fd_ops(fd.kind);
    int64_t (*move)(struct lx_thread *, const struct lx_fd *, uint64_t, uint64_t, int64_t) = write ? ops->write : ops->read;
    if (move == NULL || !(fd.flags & (write ? LX_FD_WRITE : LX_FD_READ))) return -EBADF;
    if (count > VECTORS_MAX) return -EINVAL;
    for (uint64_t i = 0; i < count; i++) {
        struct lx_iovec part;
        int64_t moved = lx_copy_in(&part, at + i * sizeof part, sizeof part);
        if (moved == 0 && part.size > 0) moved = move(t, &fd, part.base, part.size > IO_MAX ? IO_MAX : part.size, KPIO_OFFSET_CURRENT);
        if (moved < 0) return done > 0 ? done : moved;
        done += moved;
        if ((uint64_t)moved < part.size) break;
    }
    return done;
}

LX_CALL(readv) { return vector(t, a0, a1, a2, false); }
LX_CALL(writev) { return vector(t, a0, a1, a2, true); }

LX_CALL(close) {
    struct lx_fd fd;
    int64_t error = lx_fd_remove(lx_process(t), a0, &fd);
    if (error != 0) return error;
    lx_fd_close(&fd);
    return 0;
}
