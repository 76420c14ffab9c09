// Sockets as descriptors: read, write and their like.
#include "abi/gen/errors.h"
#include "abi/gen/stubs.h"
#include "lib/util.h"
#include "user/liblinux/call.h"
#include "user/liblinux/entry.h"
#include "user/liblinux/fd_kinds.h"
#include "user/liblinux/message.h"
#include "user/liblinux/object_flags.h"

static int64_t socket_read(struct lx_thread *t, const struct lx_fd *fd, uint64_t buffer, uint64_t size, int64_t offset) {
    if (offset != KPIO_OFFSET_CURRENT) return -ESPIPE;
    if (unlikely(fd->second <= 0)) return lx_socket_unconnected(fd);
    if (size == 0 && (fd->device & LX_SOCKET_TYPES) == LX_SOCK_STREAM) return 0;
    int64_t result = lx_block(t, SYS_pipe_read, (uint64_t)fd->handle, buffer, size, 0, KPIO_TIME_NEVER, 0);
    return likely(result >= 0) ? result : lx_wait_result(t, result);
}

static int64_t socket_write(struct lx_thread *t, const struct lx_fd *fd, uint64_t buffer, uint64_t size, int64_t offset) {
    if (offset != KPIO_OFFSET_CURRENT) return -ESPIPE;
    if (unlikely(fd->second <= 0)) return lx_socket_unconnected(fd);
    if (size == 0 && (fd->device & LX_SOCKET_TYPES) == LX_SOCK_STREAM) return 0;
    int64_t result = lx_block(t, SYS_pipe_write, (uint64_t)fd->second, buffer, size, 0, KPIO_TIME_NEVER, 0);
    return likely(result >= 0) ? result : lx_socket_send_failed(t, fd, result, buffer, size, 0);
}

static int64_t socket_vector(struct lx_thread *t, const struct lx_fd *fd, uint64_t at, uint64_t count, bool write) {
    if (fd->second <= 0) return lx_socket_unconnected(fd);
    if (count == 0) return 0;
    if (!write) {
        int64_t result = lx_block(t, SYS_pipe_read_vector, (uint64_t)fd->handle, at, count, 0, KPIO_TIME_NEVER, 0);
        return likely(result >= 0) ? result : lx_wait_result(t, result);
    }
    int64_t result = lx_block(t, SYS_pipe_write_vector, (uint64_t)fd->second, at, count, 0, KPIO_TIME_NEVER, 0);
    return likely(result >= 0) ? result : lx_socket_send_failed_vector(t, fd, result, at, count, 0);
}

static int64_t socket_stat(struct lx_thread *t, const struct lx_fd *fd, struct kpio_stat *out) {
    struct kpio_handle_info info = {};
    if (fd->handle > 0) (void)kpio_handle_info(fd->handle, &info);
    *out = (struct kpio_stat){.fs = 8, .inode = info.object_id, .mode = 0140777, .links = 1, .block_size = 4096,
                              .uid = lx_process(t)->uid, .gid = lx_process(t)->gid};
    return 0;
}

static int64_t socket_status(const struct lx_fd *fd, uint32_t clear, uint32_t set) {
    return fd->handle > 0 ? lx_object_status(fd, clear, set) : -LX_NO_OBJECT;
}

static int64_t socket_ioctl(struct lx_thread *t, const struct lx_fd *fd, uint64_t request, uint64_t argument) {
    return fd->second > 0 ? lx_pipe_ioctl(t, fd, request, argument) : -EINVAL;
}

const struct lx_fd_ops lx_socket_ops = {.read = socket_read,
                                        .write = socket_write,
                                        .vector = socket_vector,
                                        .stat = socket_stat,
                                        .ioctl = socket_ioctl,
                                        .status = socket_status};
