// Pipes as descriptors.
#include "abi/gen/errors.h"
#include "abi/gen/stubs.h"
#include "lib/util.h"
#include "user/liblinux/call.h"
#include "user/liblinux/entry.h"
#include "user/liblinux/fd_kinds.h"
#include "user/liblinux/object_flags.h"
#include "user/liblinux/signal.h"

#define PACKET_MAX 4096u  // bytes of a packet (PIPE_BUF)

int64_t lx_wait_result(struct lx_thread *t, int64_t result) {
    switch (result) {
    case -EINTR: return -LX_RESTART;
    case -ECANCELED: return -EBADF;  // closed meanwhile
    case -EPIPE: lx_signal_raise(t, LX_SIGPIPE); return result;
    default: return result;
    }
}

static int64_t pipe_read(struct lx_thread *t, const struct lx_fd *fd, uint64_t buffer, uint64_t size, int64_t offset) {
    if (offset != KPIO_OFFSET_CURRENT) return -ESPIPE;
    if (size == 0) return 0;
    int64_t result = lx_block(t, SYS_pipe_read, (uint64_t)fd->handle, buffer, size, 0, KPIO_TIME_NEVER, 0);
    return likely(result >= 0) ? result : lx_wait_result(t, result);
}

// One packet after the other.
static int64_t write_packets(struct lx_thread *t, const struct lx_fd *fd, uint64_t buffer, uint64_t size) {
    uint64_t done = 0;
    while (done < size) {
        uint64_t step = MIN(size - done, (uint64_t)PACKET_MAX);
        int64_t result = lx_block(t, SYS_pipe_write, (uint64_t)fd->handle, buffer + done, step, 0, KPIO_TIME_NEVER, 0);
        if (result < 0) return done > 0 ? (int64_t)done : lx_wait_result(t, result);
        done += step;
    }
    return (int64_t)done;
}

// The end to write to: a FIFO that was opened for both has two.
static uint64_t writer_of(const struct lx_fd *fd) { return (uint64_t)(fd->second > 0 ? fd->second : fd->handle); }

static int64_t pipe_write(struct lx_thread *t, const struct lx_fd *fd, uint64_t buffer, uint64_t size, int64_t offset) {
    if (offset != KPIO_OFFSET_CURRENT) return -ESPIPE;
    if (size == 0) return 0;
    if (unlikely(fd->device == KPIO_PIPE_DATAGRAM)) return write_packets(t, fd, buffer, size);
    int64_t result = lx_block(t, SYS_pipe_write, writer_of(fd), buffer, size, 0, KPIO_TIME_NEVER, 0);
    return likely(result >= 0) ? result : lx_wait_result(t, result);
}

static int64_t pipe_vector(struct lx_thread *t, const struct lx_fd *fd, uint64_t at, uint64_t count, bool write) {
    if (unlikely(write && fd->device == KPIO_PIPE_DATAGRAM)) return -LX_NO_VECTOR;
    const uint64_t call = write ? SYS_pipe_write_vector : SYS_pipe_read_vector;
    int64_t result = count == 0 ? 0 : lx_block(t, call, write ? writer_of(fd) : (uint64_t)fd->handle, at, count, 0, KPIO_TIME_NEVER, 0);
    return likely(result >= 0) ? result : lx_wait_result(t, result);
}

static int64_t pipe_stat(struct lx_thread *t, const struct lx_fd *fd, struct kpio_stat *out) {
    struct kpio_pipe_info info;
    int64_t error = kpio_path_stat(fd->handle, NULL, 0, out);
    if (error != -EWRONGTYPE) return error;  // a FIFO's
    error = kpio_pipe_info(fd->handle, &info);
    if (error < 0) return error;
    *out = (struct kpio_stat){.fs = 13, .inode = info.id, .mode = 0010600, .links = 1, .uid = lx_process(t)->uid,
                              .gid = lx_process(t)->gid, .block_size = 4096};
    return 0;
}

int64_t lx_pipe_reopen(struct lx_thread *t, const struct lx_fd *from, uint64_t flags, struct lx_fd *out) {
    static const uint8_t access[] = {LX_FD_READ, LX_FD_WRITE, LX_FD_READ | LX_FD_WRITE};
    if ((flags & LX_O_ACCMODE) >= sizeof access) return -EINVAL;
    const uint8_t wanted = access[flags & LX_O_ACCMODE];
    const bool nonblock = flags & LX_O_NONBLOCK, fifo = kpio_path_stat(from->handle, NULL, 0, &(struct kpio_stat){0}) == 0;
    const kpio_handle ends[] = {wanted & LX_FD_READ ? from->handle : 0, wanted & LX_FD_WRITE ? (kpio_handle)writer_of(from) : 0};
    *out = (struct lx_fd){.kind = LX_KIND_PIPE, .device = from->device, .extra = from->extra};
    int64_t result = 0;
    for (unsigned i = 0; i < 2 && result >= 0; i++) {
        if (ends[i] == 0) continue;
        const bool alone = wanted != (LX_FD_READ | LX_FD_WRITE) && fifo;  // waits for the other side
        result = kpio_pipe_reopen(ends[i], alone && nonblock && wanted == LX_FD_WRITE ? KPIO_FIFO_NEED_PEER : 0);
        if (result < 0) break;
        const kpio_handle made = (kpio_handle)(uint32_t)result;
        if (out->handle == 0) out->handle = made;
        else out->second = made;
        if (alone && !nonblock) result = lx_block(t, SYS_pipe_await, (uint64_t)made, (uint32_t)(result >> 32), KPIO_TIME_NEVER, 0, 0, 0);
    }
    if (result >= 0) {
        if (nonblock) (void)lx_object_status(out, 0, LX_O_NONBLOCK);
        return 0;
    }
    lx_fd_close_handles(out);
    return result == -EINTR ? -LX_RESTART : result;
}

enum { FIONREAD = 0x541b };
int64_t lx_pipe_ioctl(struct lx_thread *t, const struct lx_fd *fd, uint64_t request, uint64_t argument) {
    struct kpio_pipe_info info;
    if ((uint32_t)request != FIONREAD) return -ENOTTY;
    int64_t error = kpio_pipe_info(fd->handle, &info);
    if (error < 0) return error;
    // The first message, where they are kept apart.
    const uint32_t bytes = info.mode == KPIO_PIPE_STREAM ? info.readable : info.next;
    return lx_copy_out(argument, &bytes, sizeof bytes);
}

// ---- status flags, of all kinds whose objects have them -----------------------------------------------------------------

static uint64_t native(uint32_t flags) {
    return (flags & LX_O_NONBLOCK ? KPIO_OBJECT_NONBLOCK : 0) | (flags & LX_O_ASYNC ? LX_OBJECT_ASYNC : 0);
}

int64_t lx_object_status(const struct lx_fd *fd, uint32_t clear, uint32_t set) {
    int64_t flags = kpio_handle_flags(fd->handle, native(clear), native(set));
    if (flags < 0) return flags;
    if (fd->second > 0 && (clear | set) & LX_O_NONBLOCK)
        (void)kpio_handle_flags(fd->second, native(clear) & KPIO_OBJECT_NONBLOCK, native(set) & KPIO_OBJECT_NONBLOCK);
    uint32_t result = flags & KPIO_OBJECT_NONBLOCK ? LX_O_NONBLOCK : 0;
    if (flags & (int64_t)LX_OBJECT_ASYNC) result |= LX_O_ASYNC;
    if (fd->kind == LX_KIND_PIPE && fd->device == KPIO_PIPE_DATAGRAM) result |= LX_O_DIRECT;
    return (result & ~clear) | set;
}

int64_t lx_object_nonblock(const struct lx_fd *fd, uint32_t clear, uint32_t set) {
    int64_t flags = lx_object_status(fd, clear & LX_O_NONBLOCK, set & LX_O_NONBLOCK);
    return flags < 0 ? flags : flags & ~(int64_t)LX_O_ASYNC;
}

// ---- capacity ------------------------------------------------------------------------------------------------------------

int64_t lx_pipe_size(const struct lx_fd *fd) {
    struct kpio_pipe_info info;
    if (fd->kind != LX_KIND_PIPE) return -EBADF;
    int64_t error = kpio_pipe_info(fd->handle, &info);
    return error < 0 ? error : info.capacity;
}

int64_t lx_pipe_set_size(const struct lx_fd *fd, uint64_t size) {
    if (fd->kind != LX_KIND_PIPE) return -EBADF;
    if ((uint32_t)size > 1u << 31) return -EINVAL;
    if ((uint32_t)size > 1u << 20) return -EPERM;
    int64_t result;
    do result = kpio_pipe_resize(fd->handle, MAX((uint32_t)size, 4096u));
    while (result == -EAGAIN);
    return result == -ENFILE ? -ENOMEM : result;
}

const struct lx_fd_ops lx_pipe_ops = {.read = pipe_read,
                                      .write = pipe_write,
                                      .vector = pipe_vector,
                                      .stat = pipe_stat,
                                      .ioctl = lx_pipe_ioctl,
                                      .status = lx_object_status};
