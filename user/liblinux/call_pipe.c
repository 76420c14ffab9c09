// pipe and pipe2.
#include "abi/gen/errors.h"
#include "abi/gen/stubs.h"
#include "user/liblinux/call.h"
#include "user/liblinux/entry.h"
#include "user/liblinux/fd_kinds.h"

static void drop(struct lx_process *p, int64_t number) {
    struct lx_fd fd;
    if (lx_fd_remove(p, (uint64_t)number, &fd) == 0) lx_fd_close(&fd);
}

static int64_t make(struct lx_thread *t, uint64_t at, uint32_t flags) {
    struct lx_process *p = lx_process(t);
    if (flags & ~(LX_O_CLOEXEC | LX_O_NONBLOCK | LX_O_DIRECT)) return -EINVAL;
    const uint8_t own = flags & LX_O_CLOEXEC ? LX_FD_CLOEXEC : 0;
    const uint32_t mode = flags & LX_O_DIRECT ? KPIO_PIPE_DATAGRAM : KPIO_PIPE_STREAM;
    struct lx_fd reader = {.kind = LX_KIND_PIPE, .flags = own | LX_FD_READ, .device = (uint16_t)mode};
    struct lx_fd writer = {.kind = LX_KIND_PIPE, .flags = own | LX_FD_WRITE, .device = (uint16_t)mode};
    int64_t result = kpio_pipe_create(mode, 0, &writer.handle);
    if (result < 0) return result == -ENOMEM ? -ENFILE : result;
    reader.handle = (kpio_handle)result;
    if (flags & LX_O_NONBLOCK) {
        (void)lx_object_status(&reader, 0, LX_O_NONBLOCK);
        (void)lx_object_status(&writer, 0, LX_O_NONBLOCK);
    }
    const int64_t first = lx_fd_install(p, &reader, 0);
    if (first < 0) {
        lx_fd_close(&writer);
        return first;
    }
    const int64_t second = lx_fd_install(p, &writer, 0);
    if (second < 0) {
        drop(p, first);
        return second;
    }
    const int32_t numbers[2] = {(int32_t)first, (int32_t)second};
    result = lx_copy_out(at, numbers, sizeof numbers);
    if (result == 0) return 0;
    drop(p, first);
    drop(p, second);
    return result;
}

LX_CALL(pipe) { return make(t, a0, 0); }
LX_CALL(pipe2) { return make(t, a0, (uint32_t)a1); }
