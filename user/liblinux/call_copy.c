// From descriptor to descriptor.
#include "abi/gen/stubs.h"
#include "lib/util.h"
#include "user/liblinux/call.h"
#include "user/liblinux/entry.h"
#include "user/liblinux/fcntl.h"

static int64_t get(struct lx_thread *t, uint64_t number, uint8_t need, struct lx_fd *fd) {
    int64_t error = lx_fd_get(lx_process(t), number, fd);
    return error != 0 || !(fd->flags & need) ? -EBADF : 0;
}

// An offset that the program keeps: read, and written back after `moved` bytes.
static int64_t take_offset(uint64_t at, int64_t *offset) {
    *offset = KPIO_OFFSET_CURRENT;
    if (at == 0) return 0;
    if (lx_copy_in(offset, at, sizeof *offset) != 0) return -EFAULT;
    return *offset < 0 ? -EINVAL : 0;
}
static int64_t give_offset(uint64_t at, int64_t offset, int64_t moved) {
    if (at == 0 || moved <= 0) return moved;
    offset += moved;
    return lx_copy_out(at, &offset, sizeof offset) != 0 ? -EFAULT : moved;
}

static int64_t check_regular(const struct lx_fd *fd) {
    return fd->kind == LX_KIND_FILE ? 0 : fd->kind == LX_KIND_DIRECTORY ? -EISDIR : -EINVAL;
}

LX_CALL(copy_file_range) {
    struct lx_fd from, to;
    int64_t from_offset, to_offset;
    int64_t error = get(t, a0, 0xff, &from);
    if (error == 0) error = get(t, a2, 0xff, &to);
    if (error == 0) error = take_offset(a1, &from_offset);
    if (error == 0) error = take_offset(a3, &to_offset);
    if (error == 0 && (uint32_t)a5 != 0) error = -EINVAL;
    if (error == 0) error = check_regular(&from);
    if (error == 0) error = check_regular(&to);
    if (error != 0) return error;
    int64_t flags = kpio_file_flags(to.handle, 0, 0);
    if (!(from.flags & LX_FD_READ) || !(to.flags & LX_FD_WRITE) || (flags > 0 && flags & KPIO_OPEN_APPEND)) return -EBADF;
    int64_t moved = kpio_file_copy(from.handle, from_offset, to.handle, to_offset, MIN(a4, LX_IO_MAX));
    moved = give_offset(a1, from_offset, moved);
    return give_offset(a3, to_offset, moved);
}

// Through the thread's message page. What a short write does not take is not passed over.
static int64_t send_parts(struct lx_thread *t, const struct lx_fd *to, const struct lx_fd *from, int64_t offset, uint64_t size) {
    const struct lx_fd_ops *ops = lx_fd_ops(to->kind);
    uint64_t buffer = t->block->message, done = 0;
    while (done < size) {
        int64_t got = kpio_file_read(from->handle, (void *)buffer, MIN(size - done, (uint64_t)KPIO_MESSAGE_MAX), offset + (int64_t)done);
        int64_t put = got > 0 ? ops->write(t, to, buffer, (uint64_t)got, KPIO_OFFSET_CURRENT) : got;
        if (put < 0) return done > 0 ? (int64_t)done : put;
        done += (uint64_t)put;
        if (put == 0 || put < got) break;
    }
    return (int64_t)done;
}

// ABI sendfile: from files only
LX_CALL(sendfile) {
    struct lx_fd from, to;
    int64_t offset;
    int64_t error = take_offset(a2, &offset);
    if (error == 0) error = get(t, a1, LX_FD_READ, &from);
    if (error == 0) error = get(t, a0, LX_FD_WRITE, &to);
    if (error == 0 && (from.kind != LX_KIND_FILE || lx_fd_ops(to.kind)->write == NULL)) error = -EINVAL;
    if (error != 0) return error;
    uint64_t size = MIN(a3, LX_IO_MAX);
    int64_t moved;
    if (to.kind == LX_KIND_FILE) moved = kpio_file_copy(from.handle, offset, to.handle, KPIO_OFFSET_CURRENT, size);
    else {
        int64_t start = a2 != 0 ? offset : kpio_file_seek(from.handle, 0, KPIO_SEEK_CURRENT);
        moved = start < 0 ? start : send_parts(t, &to, &from, start, size);
        if (a2 == 0 && moved > 0) (void)kpio_file_seek(from.handle, start + moved, KPIO_SEEK_SET);
    }
    return give_offset(a2, offset, moved);
}
