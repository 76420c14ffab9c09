// /dev/fuse: each open is a FUSE channel (docs/fuse.md). A descriptor's handle is the driver's end of it, its second the one that
// mounts it; the driver's messages go through as they are.
#include "abi/gen/errors.h"
#include "abi/gen/stubs.h"
#include "lib/util.h"
#include "user/liblinux/entry.h"
#include "user/liblinux/fd_kinds.h"
#include "user/liblinux/fuse.h"
#include "user/liblinux/memory.h"
#include "user/liblinux/object_flags.h"

#define MESSAGE_MAX (2u << 20)        // bytes; more than any message has

int64_t lx_fuse_open(uint64_t flags, struct lx_fd *out) {
    int64_t owner = kpio_fuse_create();
    if (owner < 0) return owner;
    int64_t driver = kpio_fuse_serve((kpio_handle)owner);
    if (driver < 0) {
        (void)kpio_handle_close((uint64_t)owner);
        return driver;
    }
    *out = (struct lx_fd){.kind = LX_KIND_FUSE, .handle = (kpio_handle)driver, .second = (kpio_handle)owner};
    if (flags & LX_O_NONBLOCK) (void)lx_object_flags(out->second, 0, KPIO_OBJECT_NONBLOCK);
    return 0;
}

// ---- messages -------------------------------------------------------------------------------------------------------------

// As Linux says it to a driver: ENODEV, the mount has ended or was given up.
static int64_t receive(struct lx_thread *t, const struct lx_fd *fd, uint64_t buffer, uint64_t size) {
    int64_t result = lx_block(t, SYS_fuse_receive, (uint64_t)(uint32_t)fd->handle, 0, 0, buffer, size, KPIO_TIME_NEVER);
    if (likely(result >= 0)) return result;
    return result == -ENOTCONN ? -ENODEV : lx_wait_result(t, result);
}

static int64_t reply(struct lx_thread *t, const struct lx_fd *fd, const struct kpio_io_vector *parts, uint64_t count, uint64_t size) {
    int64_t result = kpio_fuse_reply(fd->handle, parts, count);
    if (likely(result == 0)) return (int64_t)size;
    return result == -ENOTCONN ? -ENOENT : lx_wait_result(t, result);
}

static int64_t fuse_read(struct lx_thread *t, const struct lx_fd *fd, uint64_t buffer, uint64_t size, int64_t offset) {
    return receive(t, fd, buffer, size);
}

static int64_t fuse_write(struct lx_thread *t, const struct lx_fd *fd, uint64_t buffer, uint64_t size, int64_t offset) {
    const struct kpio_io_vector whole = {buffer, size};
    return reply(t, fd, &whole, 1, size);
}

// ---- messages in pieces -----------------------------------------------------------------------------------------------------

static int64_t size_of(uint64_t at, uint64_t count, uint64_t *size) {
    *size = 0;
    for (uint64_t i = 0; i < count; i++) {
        struct lx_iovec part;
        int64_t error = lx_copy_in(&part, at + i * sizeof part, sizeof part);
        if (error != 0) return error;
        if (!checked_add(*size, part.size, size)) return -EINVAL;
    }
    return 0;
}

// As much as there is to the pieces of the program's.
static int64_t spread(const uint8_t *whole, uint64_t size, uint64_t at, uint64_t count) {
    for (uint64_t i = 0; i < count && size > 0; i++) {
        struct lx_iovec part;
        int64_t error = lx_copy_in(&part, at + i * sizeof part, sizeof part);
        const uint64_t bytes = MIN(part.size, size);
        if (error == 0) error = lx_copy_out(part.base, whole, bytes);
        if (error != 0) return error;
        whole += bytes;
        size -= bytes;
    }
    return 0;
}

// The kernel writes a request in one piece: into memory of our own.
static int64_t receive_spread(struct lx_thread *t, const struct lx_fd *fd, uint64_t at, uint64_t count, uint64_t size) {
    const uint64_t room = MIN(size, (uint64_t)MESSAGE_MAX), pages = align_up(MAX(room, 1ul), 4096);
    int64_t whole = lx_map_own(lx_space(t), pages);
    if (whole < 0) return -ENOMEM;
    int64_t result = receive(t, fd, (uint64_t)whole, room);
    int64_t error = result > 0 ? spread((const uint8_t *)whole, (uint64_t)result, at, count) : 0;
    (void)kpio_aspace_unmap(lx_space(t)->aspace, (uint64_t)whole, pages);
    return error != 0 ? error : result;
}

static int64_t fuse_vector(struct lx_thread *t, const struct lx_fd *fd, uint64_t at, uint64_t count, bool write) {
    struct lx_iovec first;
    uint64_t size;
    int64_t error = size_of(at, count, &size);
    if (error != 0) return error;
    if (write) return reply(t, fd, (const struct kpio_io_vector *)at, count, size);
    if (count != 1) return receive_spread(t, fd, at, count, size);
    error = lx_copy_in(&first, at, sizeof first);
    return error != 0 ? error : receive(t, fd, first.base, size);
}
_Static_assert(sizeof(struct kpio_io_vector) == sizeof(struct lx_iovec), "read as it is");

// ---- the rest ---------------------------------------------------------------------------------------------------------------

int64_t lx_fuse_clone(struct lx_thread *t, uint64_t number, const struct lx_fd *fd, uint64_t argument) {
    struct lx_fd from, fresh;
    uint32_t old;
    int64_t error = lx_copy_in(&old, argument, sizeof old);
    if (error != 0) return error;
    error = lx_fd_get(lx_process(t), old, &from);
    if (error != 0 || from.kind != LX_KIND_FUSE) return -EINVAL;
    error = lx_fd_duplicate(&from, &fresh);
    if (error != 0) return error;
    fresh.flags = fd->flags;
    error = lx_fd_replace(lx_process(t), number, fd, &fresh);
    lx_fd_close_handles(error == 0 ? fd : &fresh);
    return error;
}

// The end that manages the channel may change what its object says.
static int64_t fuse_status(const struct lx_fd *fd, uint32_t clear, uint32_t set) {
    const struct lx_fd owner = {.kind = LX_KIND_FUSE, .handle = fd->second};
    return lx_object_status(&owner, clear, set);
}

static int64_t fuse_stat(struct lx_thread *t, const struct lx_fd *fd, struct kpio_stat *out) {
    *out = (struct kpio_stat){.inode = 1, .mode = LX_S_IFCHR | 0666, .links = 1, .device = LX_FUSE_NUMBER, .block_size = 4096};
    return 0;
}

const struct lx_fd_ops lx_fuse_ops = {
    .read = fuse_read, .write = fuse_write, .vector = fuse_vector, .stat = fuse_stat, .status = fuse_status};
