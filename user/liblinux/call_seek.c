// Positions, and transfers at a position.
#include "abi/gen/stubs.h"
#include "user/liblinux/call.h"
#include "user/liblinux/fd.h"
#include "user/liblinux/local.h"

// The entries of a local directory begin behind its head.
static int64_t seek_local(const struct lx_fd *fd, int64_t offset, uint32_t whence) {
    if (whence == KPIO_SEEK_SET && offset >= 0) offset += offset < LX_LOCAL_HEAD ? LX_LOCAL_HEAD : 0;
    else if (whence != KPIO_SEEK_CURRENT || offset != 0) return -EINVAL;
    int64_t at = kpio_file_seek(fd->handle, offset, whence);
    return at == LX_LOCAL_HEAD ? 0 : at;
}

int64_t lx_fd_seek(const struct lx_fd *fd, int64_t offset, uint32_t whence) {
    int64_t at = fd->kind == LX_KIND_LOCAL ? seek_local(fd, offset, whence) : kpio_file_seek(fd->handle, offset, whence);
    return at == -EOVERFLOW ? -EINVAL : at;
}

// What has no position: some kinds stay at 0, wherever they are told to go.
static int64_t no_seek(uint8_t kind) {
    switch (kind) {
    case LX_KIND_PATH: return -EBADF;
    case LX_KIND_DEVICE:
    case LX_KIND_EPOLL:
    case LX_KIND_COUNTER:
    case LX_KIND_SIGNAL:
    case LX_KIND_TIMER: return 0;
    default: return -ESPIPE;
    }
}

LX_CALL(lseek) {
    struct lx_fd fd;
    int64_t error = lx_fd_get(lx_process(t), a0, &fd);
    if (error != 0) return error;
    if ((uint32_t)a2 > KPIO_SEEK_HOLE && fd.kind != LX_KIND_PATH) return -EINVAL;
    if (fd.kind == LX_KIND_MEMORY && (uint32_t)a2 > KPIO_SEEK_CURRENT) return -EINVAL;
    if (fd.kind != LX_KIND_FILE && fd.kind != LX_KIND_DIRECTORY && fd.kind != LX_KIND_LOCAL && fd.kind != LX_KIND_MEMORY)
        return no_seek(fd.kind);
    return lx_fd_seek(&fd, (int64_t)a1, (uint32_t)a2);
}
