// splice, tee and vmsplice: between pipes and other descriptors, through the library's memory.
#include "abi/gen/stubs.h"
#include "lib/util.h"
#include "user/liblinux/call.h"
#include "user/liblinux/entry.h"
#include "user/liblinux/fd_kinds.h"
#include "user/liblinux/memory.h"
#include "user/liblinux/object_flags.h"
#include "user/liblinux/ready.h"
#include "user/liblinux/signal.h"

enum { SPLICE_MOVE = 1, SPLICE_NONBLOCK = 2, SPLICE_MORE = 4, SPLICE_GIFT = 8, SPLICE_ALL = 15 };
#define STEP 4096u
#define TEE_MAX 65536u
#define MESSAGE_MAX (2u << 20)  // bytes; more than any of /dev/fuse has

struct splice {
    struct lx_thread *t;
    struct lx_fd in, out;
    int64_t in_offset, out_offset;  // KPIO_OFFSET_CURRENT: the descriptor's own
    bool nonblock;
};

static bool waits(const struct lx_fd *pipe) { return !(lx_object_flags(pipe->handle, 0, 0) & KPIO_OBJECT_NONBLOCK); }

// Waits for one of the signals: those there are, or a negative errno.
static int64_t wait_for(struct lx_thread *t, const struct lx_fd *pipe, uint32_t signals, bool nonblock) {
    struct kpio_wait_item item = {.handle = pipe->handle, .signals = signals};
    const int64_t result = nonblock ? kpio_handle_wait_many(&item, 1, 0)
                                    : lx_block(t, SYS_handle_wait_many, (uint64_t)&item, 1, KPIO_TIME_NEVER, 0, 0, 0);
    if (result <= 0) return result == 0 ? -EAGAIN : lx_wait_result(t, result);
    return item.asserted & KPIO_SIGNAL_REVOKED ? -EBADF : (int64_t)item.asserted;
}

// Waits until something can be written: how much, or a negative errno.
static int64_t wait_for_room(struct lx_thread *t, const struct lx_fd *pipe, bool nonblock) {
    struct kpio_pipe_info info;
    int64_t result = wait_for(t, pipe, KPIO_SIGNAL_WRITABLE | KPIO_SIGNAL_PEER_GONE, nonblock);
    if (result < 0) return result;
    if (result & KPIO_SIGNAL_PEER_GONE) return lx_wait_result(t, -EPIPE);
    result = kpio_pipe_info(pipe->handle, &info);
    return result < 0 ? result : MAX(info.room, 1u);
}

// ---- into a pipe ----------------------------------------------------------------------------------------------------------------

// What the pipe does not take is not passed over.
static int64_t from_file(struct splice *s, uint64_t size, uint64_t start) {
    uint8_t bytes[STEP];
    uint64_t done = 0;
    while (done < size) {
        int64_t got = kpio_file_read(s->in.handle, bytes, MIN(size - done, (uint64_t)STEP), (int64_t)(start + done));
        if (got > 0) got = kpio_pipe_write(s->out.handle, bytes, (uint64_t)got, KPIO_PIPE_NOWAIT, 0);
        if (got == -EPIPE && done == 0) return lx_wait_result(s->t, got);
        if (got <= 0) return done > 0 ? (int64_t)done : got;
        done += (uint64_t)got;
    }
    return (int64_t)done;
}

// What was read from something without an offset cannot be put back: it goes in whole, whoever else writes meanwhile.
static int64_t from_stream(struct splice *s, uint8_t *bytes, uint64_t size) {
    if (s->nonblock && s->in.kind != LX_KIND_DEVICE && !(lx_ready_now(&s->in) & LX_POLL_IN)) return -EAGAIN;
    int64_t got = lx_fd_ops(s->in.kind)->read(s->t, &s->in, (uint64_t)bytes, size, KPIO_OFFSET_CURRENT);
    for (uint64_t done = 0; got > 0 && done < (uint64_t)got;) {
        int64_t put = kpio_pipe_write(s->out.handle, bytes + done, (uint64_t)got - done, 0, KPIO_TIME_NEVER);
        if (put < 0 && put != -EINTR && put != -EAGAIN) return done > 0 ? (int64_t)done : lx_wait_result(s->t, put);
        if (put > 0) done += (uint64_t)put;
        else if (put == -EINTR) __atomic_store_n(&s->t->pending, 1, __ATOMIC_SEQ_CST);
    }
    return got;
}

// A message of /dev/fuse is one request, whole.
static int64_t from_fuse(struct splice *s, uint64_t size) {
    const uint64_t pages = align_up(MIN(size, (uint64_t)MESSAGE_MAX), 4096);
    int64_t whole = lx_map_own(lx_space(s->t), pages);
    if (whole < 0) return -ENOMEM;
    const int64_t moved = from_stream(s, (uint8_t *)whole, MIN(size, pages));
    (void)kpio_aspace_unmap(lx_space(s->t)->aspace, (uint64_t)whole, pages);
    return moved;
}

static int64_t to_pipe(struct splice *s, uint64_t size) {
    const uint8_t kind = s->in.kind;
    const bool file = kind == LX_KIND_FILE, own = s->in_offset == KPIO_OFFSET_CURRENT;
    if (!file && kind != LX_KIND_SOCKET && kind != LX_KIND_DEVICE && kind != LX_KIND_NODE && kind != LX_KIND_FUSE) return -EINVAL;
    const int64_t room = wait_for_room(s->t, &s->out, s->nonblock);
    if (room < 0) return room;
    size = MIN(size, (uint64_t)room);
    if (kind == LX_KIND_FUSE) return from_fuse(s, size);
    uint8_t bytes[STEP];
    if (!file) return from_stream(s, bytes, MIN(size, (uint64_t)STEP));
    const int64_t start = own ? kpio_file_seek(s->in.handle, 0, KPIO_SEEK_CURRENT) : s->in_offset;
    const int64_t moved = start < 0 ? start : from_file(s, size, (uint64_t)start);
    if (own && moved > 0) (void)kpio_file_seek(s->in.handle, start + moved, KPIO_SEEK_SET);
    return moved;
}

// ---- out of a pipe --------------------------------------------------------------------------------------------------------------

static int64_t give(struct splice *s, const uint8_t *bytes, uint64_t size, bool nonblock) {
    if (s->out.kind == LX_KIND_PIPE) {
        const int64_t room = wait_for_room(s->t, &s->out, nonblock);
        if (room < 0) return room;
        const int64_t put = kpio_pipe_write(s->out.handle, bytes, MIN(size, (uint64_t)room), KPIO_PIPE_NOWAIT, 0);
        return put < 0 ? lx_wait_result(s->t, put) : put;
    }
    const int64_t put = lx_fd_ops(s->out.kind)->write(s->t, &s->out, (uint64_t)bytes, size, s->out_offset);
    if (put > 0 && s->out_offset != KPIO_OFFSET_CURRENT) s->out_offset += put;
    return put;
}

// Takes what was written out of the pipe.
static void consume(const struct lx_fd *pipe, uint8_t *scratch, uint64_t size) {
    while (size > 0) {
        const int64_t got = kpio_pipe_read(pipe->handle, scratch, MIN(size, (uint64_t)STEP), KPIO_PIPE_NOWAIT, 0);
        if (got == -EINTR) continue;
        if (got <= 0) return;
        size -= MIN(size, (uint64_t)got);
    }
}

static int64_t read_whole(const struct lx_fd *pipe, uint8_t *to, uint64_t size) {
    for (uint64_t done = 0; done < size;) {
        const int64_t got = kpio_pipe_read(pipe->handle, to + done, size - done, KPIO_PIPE_NOWAIT, 0);
        if (got > 0) done += (uint64_t)got;
        else if (got != -EINTR) return -EINVAL;
    }
    return 0;
}

// A message to /dev/fuse is one answer, which must be in the pipe.
static int64_t to_fuse(struct splice *s, uint64_t size) {
    struct kpio_pipe_info info;
    int64_t result = kpio_pipe_info(s->in.handle, &info);
    if (result < 0) return result;
    if (size > info.readable) return -EINVAL;
    const uint64_t pages = align_up(size, 4096);
    int64_t whole = lx_map_own(lx_space(s->t), pages);
    if (whole < 0) return -ENOMEM;
    result = read_whole(&s->in, (uint8_t *)whole, size);
    if (result == 0) result = lx_fd_ops(LX_KIND_FUSE)->write(s->t, &s->out, (uint64_t)whole, size, KPIO_OFFSET_CURRENT);
    (void)kpio_aspace_unmap(lx_space(s->t)->aspace, (uint64_t)whole, pages);
    return result;
}

// Bytes stay in the pipe until they were written: none is lost where that fails.
static int64_t from_pipe(struct splice *s, uint64_t size) {
    uint8_t bytes[STEP];
    uint64_t done = 0;
    const uint8_t kind = s->out.kind;
    if (kind == LX_KIND_FUSE) return to_fuse(s, size);
    if (kind != LX_KIND_PIPE && kind != LX_KIND_FILE && kind != LX_KIND_SOCKET && kind != LX_KIND_DEVICE && kind != LX_KIND_NODE)
        return -EINVAL;
    while (done < size) {
        const bool nonblock = s->nonblock || done > 0;
        int64_t got = lx_block(s->t, SYS_pipe_read, (uint64_t)s->in.handle, (uint64_t)bytes, MIN(size - done, (uint64_t)STEP),
                               KPIO_PIPE_PEEK | (nonblock ? KPIO_PIPE_NOWAIT : 0u), KPIO_TIME_NEVER, 0);
        const int64_t put = got > 0 ? give(s, bytes, (uint64_t)got, nonblock) : got < 0 ? lx_wait_result(s->t, got) : 0;
        if (put <= 0) return done > 0 ? (int64_t)done : put;
        consume(&s->in, bytes, (uint64_t)put);
        done += (uint64_t)put;
        if (put < got && s->out.kind != LX_KIND_PIPE) break;
    }
    return (int64_t)done;
}

// ---- calls ----------------------------------------------------------------------------------------------------------------------

static int64_t get_two(struct splice *s, uint64_t in, uint64_t out) {
    if (lx_fd_get(lx_process(s->t), in, &s->in) != 0 || lx_fd_get(lx_process(s->t), out, &s->out) != 0) return -EBADF;
    if (s->out.kind == LX_KIND_PIPE && s->out.second > 0) s->out.handle = s->out.second;  // a FIFO, both ends of it
    return s->in.flags & LX_FD_READ && s->out.flags & LX_FD_WRITE ? 0 : -EBADF;
}

static bool is_same(const struct lx_fd *a, const struct lx_fd *b) {
    struct kpio_pipe_info one, other;
    return kpio_pipe_info(a->handle, &one) == 0 && kpio_pipe_info(b->handle, &other) == 0 && one.id == other.id;
}

// The offset of what is no pipe.
static int64_t take_offset(const struct lx_fd *fd, uint64_t at, int64_t *offset) {
    *offset = KPIO_OFFSET_CURRENT;
    if (at == 0) return 0;
    if (fd->kind == LX_KIND_PIPE) return -ESPIPE;
    if (lx_copy_in(offset, at, sizeof *offset) != 0) return -EFAULT;
    if (fd->kind != LX_KIND_FILE && fd->kind != LX_KIND_DEVICE) return -EINVAL;
    return *offset < 0 ? -EINVAL : 0;
}

static int64_t splice(struct splice *s, uint64_t size) {
    const bool in = s->in.kind == LX_KIND_PIPE, out = s->out.kind == LX_KIND_PIPE;
    if (!in && !out) return -EINVAL;
    if (in && out && is_same(&s->in, &s->out)) return -EINVAL;
    if ((in && !waits(&s->in)) || (out && !waits(&s->out))) s->nonblock = true;
    if (!in) return to_pipe(s, size);
    const int64_t flags = s->out.kind == LX_KIND_FILE ? kpio_file_flags(s->out.handle, 0, 0) : 0;
    return flags > 0 && flags & KPIO_OPEN_APPEND ? -EINVAL : from_pipe(s, size);
}

// ABI splice: at most what a pipe holds at once; who reads the same pipe meanwhile may see bytes that were spliced, too
LX_CALL(splice) {
    struct splice s = {.t = t, .nonblock = a5 & SPLICE_NONBLOCK};
    const uint64_t size = MIN(a4, LX_IO_MAX);
    if (size == 0) return 0;
    if ((uint32_t)a5 & ~(uint32_t)SPLICE_ALL) return -EINVAL;
    int64_t error = get_two(&s, a0, a2);
    if (error == 0) error = take_offset(&s.in, a1, &s.in_offset);
    if (error == 0) error = take_offset(&s.out, a3, &s.out_offset);
    if (error < 0) return error;
    const int64_t moved = splice(&s, size);
    if (moved <= 0) return moved;
    const int64_t in_offset = s.in_offset + moved;
    if (a1 != 0 && lx_copy_out(a1, &in_offset, sizeof in_offset) != 0) return -EFAULT;
    return a3 != 0 && lx_copy_out(a3, &s.out_offset, sizeof s.out_offset) != 0 ? -EFAULT : moved;
}

// What is in one pipe goes into the other, too, as far as there is room.
static int64_t copy_over(struct splice *s, uint64_t size) {
    const struct lx_space *space = lx_space(s->t);
    const int64_t scratch = lx_map_own(lx_space(s->t), align_up(size, 4096));
    if (scratch < 0) return -ENOMEM;
    int64_t moved = lx_block(s->t, SYS_pipe_read, (uint64_t)s->in.handle, (uint64_t)scratch, size,
                             KPIO_PIPE_PEEK | (s->nonblock ? KPIO_PIPE_NOWAIT : 0u), KPIO_TIME_NEVER, 0);
    if (moved > 0) moved = kpio_pipe_write(s->out.handle, (const uint8_t *)scratch, (uint64_t)moved, KPIO_PIPE_NOWAIT, 0);
    (void)kpio_aspace_unmap(space->aspace, (uint64_t)scratch, align_up(size, 4096));
    return moved < 0 ? lx_wait_result(s->t, moved) : moved;
}

LX_CALL(tee) {
    struct splice s = {.t = t, .nonblock = a3 & SPLICE_NONBLOCK};
    if ((uint32_t)a3 & ~(uint32_t)SPLICE_ALL) return -EINVAL;
    if (a2 == 0) return 0;
    int64_t error = get_two(&s, a0, a1);
    if (error < 0) return error;
    if (s.in.kind != LX_KIND_PIPE || s.out.kind != LX_KIND_PIPE || is_same(&s.in, &s.out)) return -EINVAL;
    if (!waits(&s.in) || !waits(&s.out)) s.nonblock = true;
    const int64_t room = wait_for_room(t, &s.out, s.nonblock);
    const uint64_t most = MIN(a2, (uint64_t)TEE_MAX);
    return room < 0 ? room : copy_over(&s, MIN(most, (uint64_t)room));
}

// Pieces of the program's memory, as far as there is room.
static int64_t pieces_in(struct lx_thread *t, const struct lx_fd *fd, uint64_t at, uint64_t count, bool nonblock) {
    const int64_t room = wait_for_room(t, fd, nonblock);
    uint64_t done = 0;
    if (room < 0) return room;
    for (uint64_t i = 0; i < count && done < (uint64_t)room; i++) {
        struct lx_iovec part;
        int64_t put = lx_copy_in(&part, at + i * sizeof part, sizeof part);
        const uint64_t size = MIN(part.size, (uint64_t)room - done);
        if (put == 0 && size > 0) put = kpio_pipe_write(fd->handle, (const uint8_t *)part.base, size, KPIO_PIPE_NOWAIT, 0);
        if (put < 0) return done > 0 ? (int64_t)done : lx_wait_result(t, put);
        done += (uint64_t)put;
        if ((uint64_t)put < part.size) break;
    }
    return (int64_t)done;
}

// ABI vmsplice: the memory is copied
LX_CALL(vmsplice) {
    struct lx_fd fd;
    if ((uint32_t)a3 & ~(uint32_t)SPLICE_ALL) return -EINVAL;
    int64_t error = lx_fd_get(lx_process(t), a0, &fd);
    if (error < 0 || fd.kind != LX_KIND_PIPE) return -EBADF;
    const bool nonblock = a3 & SPLICE_NONBLOCK;  // whatever the pipe's own flag is
    if (a2 > KPIO_IO_VECTORS_MAX) return -EINVAL;
    if (a2 == 0) return 0;
    if (fd.second > 0) fd.handle = fd.second;
    if (fd.flags & LX_FD_WRITE) return pieces_in(t, &fd, a1, a2, nonblock);
    error = wait_for(t, &fd, KPIO_SIGNAL_DATA | KPIO_SIGNAL_PEER_GONE, nonblock);
    return error < 0 ? error : lx_pipe_ops.vector(t, &fd, a1, a2, false);
}
