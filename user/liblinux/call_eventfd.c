// eventfd: a kernel counter.
#include "abi/gen/errors.h"
#include "abi/gen/stubs.h"
#include "lib/util.h"
#include "user/liblinux/call.h"
#include "user/liblinux/entry.h"
#include "user/liblinux/fd_kinds.h"
#include "user/liblinux/object_flags.h"

static int64_t counter_read(struct lx_thread *t, const struct lx_fd *fd, uint64_t buffer, uint64_t size, int64_t offset) {
    if (offset != KPIO_OFFSET_CURRENT) return -ESPIPE;
    if (size < 8) return -EINVAL;
    int64_t result = lx_block(t, SYS_counter_read, (uint64_t)fd->handle, buffer, 0, KPIO_TIME_NEVER, 0, 0);
    return likely(result == 0) ? 8 : lx_wait_result(t, result);
}

static int64_t counter_write(struct lx_thread *t, const struct lx_fd *fd, uint64_t buffer, uint64_t size, int64_t offset) {
    uint64_t value;
    if (offset != KPIO_OFFSET_CURRENT) return -ESPIPE;
    if (size < 8) return -EINVAL;
    int64_t result = lx_copy_in(&value, buffer, sizeof value);
    if (result < 0) return result;
    if (value == UINT64_MAX) return -EINVAL;
    result = lx_block(t, SYS_counter_add, (uint64_t)fd->handle, value, 0, KPIO_TIME_NEVER, 0, 0);
    return likely(result == 0) ? 8 : lx_wait_result(t, result);
}

int64_t lx_no_transfer(struct lx_thread *t, const struct lx_fd *fd, uint64_t buffer, uint64_t size, int64_t offset) {
    return -EINVAL;
}

int64_t lx_anonymous_stat(struct lx_thread *t, const struct lx_fd *fd, struct kpio_stat *out) {
    *out = (struct kpio_stat){.inode = 1, .mode = 0600, .links = 1, .fs = 14, .block_size = 4096};
    return 0;
}

const struct lx_fd_ops lx_counter_ops = {
    .read = counter_read, .write = counter_write, .stat = lx_anonymous_stat, .status = lx_object_status};

enum { EFD_SEMAPHORE = 1 };
static int64_t make(struct lx_thread *t, uint32_t value, uint32_t flags) {
    if (flags & ~(LX_O_CLOEXEC | LX_O_NONBLOCK | EFD_SEMAPHORE)) return -EINVAL;
    int64_t handle = kpio_counter_create(value, flags & EFD_SEMAPHORE ? KPIO_COUNTER_SEMAPHORE : 0);
    if (handle < 0) return handle;
    const struct lx_fd fd = {.kind = LX_KIND_COUNTER,
                             .flags = LX_FD_READ | LX_FD_WRITE | (flags & LX_O_CLOEXEC ? LX_FD_CLOEXEC : 0),
                             .handle = (kpio_handle)handle};
    if (flags & LX_O_NONBLOCK) (void)lx_object_status(&fd, 0, LX_O_NONBLOCK);
    return lx_fd_install(lx_process(t), &fd, 0);
}

LX_CALL(eventfd) { return make(t, (uint32_t)a0, 0); }
LX_CALL(eventfd2) { return make(t, (uint32_t)a0, (uint32_t)a1); }
