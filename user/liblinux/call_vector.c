// Transfers of several parts, and at positions.
#include "abi/gen/stubs.h"
#include "lib/util.h"
#include "user/liblinux/call.h"
#include "user/liblinux/entry.h"
#include "user/liblinux/fd.h"
#include "user/liblinux/ready.h"

#define VECTORS_MAX 1024u
#define AT_ONCE 16u

struct transfer {
    struct lx_thread *t;
    struct lx_fd fd;
    int64_t offset;          // KPIO_OFFSET_CURRENT, or where the next part goes
    uint32_t write_flags;    // KPIO_WRITE_*
    bool write;
};

static int64_t begin(struct transfer *x, uint64_t number, bool write, int64_t offset) {
    int64_t error = lx_fd_get(lx_process(x->t), number, &x->fd);
    if (error != 0) return error;
    const struct lx_fd_ops *ops = lx_fd_ops(x->fd.kind);
    x->write = write;
    x->offset = offset;
    x->write_flags = 0;
    if ((write ? (const void *)ops->write : (const void *)ops->read) == NULL || !(x->fd.flags & (write ? LX_FD_WRITE : LX_FD_READ))) {
        return -EBADF;
    }
    bool places = x->fd.kind == LX_KIND_FILE || x->fd.kind == LX_KIND_DEVICE || x->fd.kind == LX_KIND_DIRECTORY ||
                  x->fd.kind == LX_KIND_MEMORY;
    return offset == KPIO_OFFSET_CURRENT || places ? 0 : -ESPIPE;
}

static int64_t move(struct transfer *x, uint64_t buffer, uint64_t size) {
    const struct lx_fd_ops *ops = lx_fd_ops(x->fd.kind);
    int64_t done;
    size = MIN(size, LX_IO_MAX);
    const bool flagged = x->write_flags != 0 && x->fd.kind == LX_KIND_FILE;
    int64_t error = flagged ? lx_limit_write(x->t, x->fd.handle, x->offset, x->write_flags & KPIO_WRITE_APPEND, &size) : 0;
    if (error < 0) return error;
    if (flagged)
        done = kpio_file_write(x->fd.handle, (const void *)buffer, size, x->offset, x->write_flags);
    else done = (x->write ? ops->write : ops->read)(x->t, &x->fd, buffer, size, x->offset);
    if (done > 0 && x->offset != KPIO_OFFSET_CURRENT) x->offset += done;
    return done;
}

[[gnu::noinline]] static int64_t move_at(struct lx_thread *t, uint64_t number, uint64_t buffer, uint64_t size, int64_t offset, bool write) {
    struct transfer x = {.t = t};
    int64_t error = begin(&x, number, write, offset);
    return error != 0 ? error : move(&x, buffer, size);
}

LX_CALL(pread64) {
    if ((int64_t)a3 < 0) return -EINVAL;
    kpio_handle file = lx_fd_file(lx_process(t), a0, LX_FD_READ);
    if (file != KPIO_HANDLE_NONE) return kpio_file_read(file, (void *)a1, MIN(a2, LX_IO_MAX), (int64_t)a3);
    return move_at(t, a0, a1, a2, (int64_t)a3, false);
}
LX_CALL(pwrite64) {
    if ((int64_t)a3 < 0) return -EINVAL;
    kpio_handle file = lx_fd_file(lx_process(t), a0, LX_FD_WRITE);
    if (file != KPIO_HANDLE_NONE) return kpio_file_write(file, (const void *)a1, MIN(a2, LX_IO_MAX), (int64_t)a3, 0);
    return move_at(t, a0, a1, a2, (int64_t)a3, true);
}

// ---- several parts -------------------------------------------------------------------------------------------------------

// All parts are looked at before the first is moved: Linux says EINVAL for a length that cannot be, and does nothing.
static int64_t check(uint64_t at, uint64_t count) {
    struct lx_iovec parts[AT_ONCE];
    if (count > VECTORS_MAX) return -EINVAL;
    for (uint64_t done = 0; done < count; done += AT_ONCE) {
        uint64_t some = MIN(count - done, (uint64_t)AT_ONCE);
        int64_t error = lx_copy_in(parts, at + done * sizeof parts[0], some * sizeof parts[0]);
        for (uint64_t i = 0; error == 0 && i < some; i++) error = (int64_t)parts[i].size < 0 ? -EINVAL : 0;
        if (error != 0) return error;
    }
    return 0;
}

// One transfer after the other, until one is short.
static int64_t run(struct transfer *x, uint64_t at, uint64_t count) {
    int64_t done = 0;
    for (uint64_t i = 0; i < count; i++) {
        struct lx_iovec part;
        int64_t moved = lx_copy_in(&part, at + i * sizeof part, sizeof part);
        if (moved == 0 && part.size > 0) moved = move(x, part.base, MIN(part.size, LX_IO_MAX - (uint64_t)done));
        if (moved < 0) return done > 0 ? done : moved;
        done += moved;
        if ((uint64_t)moved < part.size) break;
    }
    return done;
}

// Of a file: one operation of the kernel.
static int64_t run_file(const struct transfer *x, uint64_t at, uint64_t count) {
    const struct kpio_io_vector *parts = (const struct kpio_io_vector *)at;
    if (count > VECTORS_MAX) return -EINVAL;
    if (!x->write) return kpio_file_read_vector(x->fd.handle, parts, count, x->offset, 0);
    return kpio_file_write_vector(x->fd.handle, parts, count, x->offset, x->write_flags);
}
_Static_assert(sizeof(struct kpio_io_vector) == sizeof(struct lx_iovec), "read as it is");

// Then each part is looked at by itself.
static bool is_limited(struct lx_thread *t) { return lx_process(t)->limits[LX_RLIMIT_FSIZE].current != LX_UNLIMITED; }

static int64_t vector(struct lx_thread *t, uint64_t number, uint64_t at, uint64_t count, bool write, int64_t offset) {
    struct transfer x = {.t = t};
    int64_t error = begin(&x, number, write, offset);
    if (error == 0 && x.fd.kind == LX_KIND_FILE && !(write && is_limited(t))) return run_file(&x, at, count);
    if (error == 0) error = check(at, count);
    if (error != 0) return error;
    const struct lx_fd_ops *ops = lx_fd_ops(x.fd.kind);
    if (ops->vector != NULL && offset == KPIO_OFFSET_CURRENT) {
        int64_t moved = ops->vector(t, &x.fd, at, count, write);
        if (moved != -LX_NO_VECTOR) return moved;
    }
    return run(&x, at, count);
}

LX_CALL(readv) { return vector(t, a0, a1, a2, false, KPIO_OFFSET_CURRENT); }
LX_CALL(writev) { return vector(t, a0, a1, a2, true, KPIO_OFFSET_CURRENT); }
LX_CALL(preadv) { return (int64_t)a3 < 0 ? -EINVAL : vector(t, a0, a1, a2, false, (int64_t)a3); }
LX_CALL(pwritev) { return (int64_t)a3 < 0 ? -EINVAL : vector(t, a0, a1, a2, true, (int64_t)a3); }

enum { RWF_HIPRI = 1, RWF_DSYNC = 2, RWF_SYNC = 4, RWF_NOWAIT = 8, RWF_APPEND = 0x10 };
#define ATOMIC 4096u  // bytes that a pipe takes at once when it can be written

// Whether it can be done at once; of a pipe or socket, at most so many bytes. Writing files would wait for locks.
static int64_t check_nowait(struct transfer *x) {
    if (x->fd.kind == LX_KIND_FILE) return x->write ? -EOPNOTSUPP : 0;
    if (x->fd.kind != LX_KIND_PIPE && x->fd.kind != LX_KIND_SOCKET) return -EOPNOTSUPP;
    return lx_ready_now(&x->fd) & (x->write ? LX_POLL_OUT | LX_POLLERR : LX_POLL_IN | LX_POLLHUP) ? 0 : -EAGAIN;
}

static int64_t run_nowait(struct transfer *x, uint64_t at, uint64_t count) {
    int64_t error = check_nowait(x);
    if (error < 0) return error;
    if (x->fd.kind == LX_KIND_FILE)
        return kpio_file_read_vector(x->fd.handle, (const struct kpio_io_vector *)at, count, x->offset, KPIO_READ_NOWAIT);
    for (uint64_t i = 0; i < count; i++) {  // the first piece that is not empty
        struct lx_iovec part;
        error = lx_copy_in(&part, at + i * sizeof part, sizeof part);
        if (error < 0) return error;
        if (part.size > 0) return move(x, part.base, MIN(part.size, (uint64_t)ATOMIC));
    }
    return 0;
}

static int64_t vector2(struct lx_thread *t, uint64_t number, uint64_t at, uint64_t count, bool write, int64_t offset, uint32_t flags) {
    struct transfer x = {.t = t};
    if (offset < -1) return -EINVAL;
    int64_t error = begin(&x, number, write, offset);
    if (error == 0) error = check(at, count);
    if (error != 0) return error;
    if (flags & ~(uint32_t)(RWF_HIPRI | RWF_DSYNC | RWF_SYNC | RWF_NOWAIT | RWF_APPEND)) return -EOPNOTSUPP;
    if (flags & RWF_NOWAIT) return run_nowait(&x, at, count);
    if (flags & RWF_APPEND) x.write_flags |= KPIO_WRITE_APPEND;
    if (flags & RWF_SYNC) x.write_flags |= KPIO_WRITE_SYNC;
    else if (flags & RWF_DSYNC) x.write_flags |= KPIO_WRITE_DATA_SYNC;
    if (x.fd.kind == LX_KIND_FILE && !(write && is_limited(t))) return run_file(&x, at, count);
    return run(&x, at, count);
}

// ABI preadv2: RWF_NOWAIT: of files what is in memory, of pipes and sockets one piece
LX_CALL(preadv2) { return vector2(t, a0, a1, a2, false, (int64_t)a3, (uint32_t)a5); }
// ABI pwritev2: RWF_NOWAIT: of pipes and sockets only, at most 4,096 bytes
LX_CALL(pwritev2) { return vector2(t, a0, a1, a2, true, (int64_t)a3, (uint32_t)a5); }
