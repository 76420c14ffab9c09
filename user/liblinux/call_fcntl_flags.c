// Status flags (F_GETFL, F_SETFL) and ioctls of all kinds.
#include "abi/gen/stubs.h"
#include "user/liblinux/call.h"
#include "user/liblinux/entry.h"
#include "user/liblinux/fcntl.h"
#include "user/liblinux/file_flags.h"
#include "user/liblinux/fuse.h"

static bool has_extra(const struct lx_fd *fd) {
    return fd->kind == LX_KIND_FILE || fd->kind == LX_KIND_DIRECTORY || fd->kind == LX_KIND_PATH || fd->kind == LX_KIND_PIPE;
}

static uint32_t access_of(const struct lx_fd *fd) {
    if (fd->kind == LX_KIND_PATH || (has_extra(fd) && (fd->extra & LX_O_ACCMODE) == LX_O_ACCMODE)) return fd->extra & LX_O_ACCMODE;
    uint8_t both = LX_FD_READ | LX_FD_WRITE;
    return (fd->flags & both) == both ? LX_O_RDWR : fd->flags & LX_FD_WRITE ? LX_O_WRONLY : 0;
}

// Of kinds whose kernel object has status flags: what they are then. -LX_NO_OBJECT: there is none.
static int64_t change_status(const struct lx_fd *fd, uint32_t clear, uint32_t set) {
    const struct lx_fd_ops *ops = lx_fd_ops(fd->kind);
    return ops->status != NULL ? ops->status(fd, clear, set) : -LX_NO_OBJECT;
}

int64_t lx_fcntl_get_flags(const struct lx_fd *fd) {
    uint32_t flags = access_of(fd) | (has_extra(fd) ? fd->extra & ~LX_O_ACCMODE : 0);
    if (fd->kind != LX_KIND_FILE) {
        int64_t status = change_status(fd, 0, 0);
        if (status >= 0) return flags | (uint32_t)status;
        return flags | (fd->flags & LX_FD_NONBLOCK ? LX_O_NONBLOCK : 0);
    }
    int64_t native = kpio_file_flags(fd->handle, 0, 0);
    return native < 0 ? native : (int64_t)(flags | lx_file_flags_linux((uint32_t)native));
}

static int64_t set_nonblock(struct lx_thread *t, uint64_t number, const struct lx_fd *fd, bool on) {
    if (fd->kind != LX_KIND_FILE) {
        int64_t status = change_status(fd, LX_O_NONBLOCK, on ? LX_O_NONBLOCK : 0);
        if (status != -LX_NO_OBJECT) return status < 0 ? status : 0;
        return lx_fd_set_flags(lx_process(t), number, LX_FD_NONBLOCK, on ? LX_FD_NONBLOCK : 0);
    }
    int64_t result = kpio_file_flags(fd->handle, LX_FILE_NONBLOCK, on ? LX_FILE_NONBLOCK : 0);
    return result < 0 ? result : 0;
}

int64_t lx_fcntl_set_flags(struct lx_thread *t, uint64_t number, const struct lx_fd *fd, uint64_t flags) {
    if (fd->kind != LX_KIND_FILE) {
        int64_t status = change_status(fd, LX_O_NONBLOCK | LX_O_ASYNC, (uint32_t)flags & (LX_O_NONBLOCK | LX_O_ASYNC));
        if (status != -LX_NO_OBJECT) return status < 0 ? status : 0;
        return set_nonblock(t, number, fd, flags & LX_O_NONBLOCK);
    }
    int64_t result = kpio_file_flags(fd->handle, lx_file_flags_native(LX_O_CHANGEABLE), lx_file_flags_native(flags & LX_O_CHANGEABLE));
    return result < 0 ? result : 0;
}

// ---- ioctl ---------------------------------------------------------------------------------------------------------------

enum { FIONREAD = 0x541b, FIONBIO = 0x5421, FIONCLEX = 0x5450, FIOCLEX = 0x5451 };

// Of a file: what is left from its offset on.
static int64_t bytes_left(const struct lx_fd *fd, uint64_t to) {
    struct kpio_stat stat;
    int64_t error = kpio_path_stat(fd->handle, NULL, 0, &stat);
    int64_t at = error != 0 ? error : kpio_file_seek(fd->handle, 0, KPIO_SEEK_CURRENT);
    if (at < 0) return at;
    int32_t left = (int32_t)((int64_t)stat.size - at);
    return lx_copy_out(to, &left, sizeof left);
}

LX_CALL(ioctl) {
    struct lx_fd fd;
    int32_t on = 0;
    int64_t error = lx_fd_get(lx_process(t), a0, &fd);
    if (error != 0 || fd.kind == LX_KIND_PATH) return -EBADF;
    uint32_t request = (uint32_t)a1;
    if (request == FIOCLEX) return lx_fd_set_flags(lx_process(t), a0, 0, LX_FD_CLOEXEC);
    if (request == FIONCLEX) return lx_fd_set_flags(lx_process(t), a0, LX_FD_CLOEXEC, 0);
    if (request == FIONBIO) {
        error = lx_copy_in(&on, a2, sizeof on);
        return error != 0 ? error : set_nonblock(t, a0, &fd, on != 0);
    }
    if (request == LX_FUSE_CLONE && fd.kind == LX_KIND_FUSE) return lx_fuse_clone(t, a0, &fd, a2);
    const struct lx_fd_ops *ops = lx_fd_ops(fd.kind);
    if (ops->ioctl != NULL) return ops->ioctl(t, &fd, request, a2);
    if (fd.kind != LX_KIND_FILE) return -ENOTTY;
    return request == FIONREAD ? bytes_left(&fd, a2) : kpio_file_control(fd.handle, request, a2);
}
