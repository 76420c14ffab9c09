// What is on stable storage, what is allocated, and hints.
#include "abi/gen/stubs.h"
#include "user/liblinux/call.h"
#include "user/liblinux/fd.h"

LX_CALL(sync) {
    (void)kpio_fs_sync(0);  // as Linux: it cannot tell
    return 0;
}

// A descriptor of a file or directory; others: `otherwise`.
static int64_t get_file(struct lx_thread *t, uint64_t number, int64_t otherwise, struct lx_fd *fd) {
    int64_t error = lx_fd_get(lx_process(t), number, fd);
    if (error != 0 || fd->kind == LX_KIND_PATH) return -EBADF;
    return fd->kind == LX_KIND_FILE || fd->kind == LX_KIND_DIRECTORY ? 0 : otherwise;
}

LX_CALL(syncfs) {
    struct lx_fd fd;
    int64_t error = get_file(t, a0, 1, &fd);
    return error != 0 ? (error > 0 ? 0 : error) : kpio_fs_sync(fd.handle);
}

static int64_t sync_file(struct lx_thread *t, uint64_t number, uint32_t flags) {
    struct lx_fd fd;
    int64_t error = get_file(t, number, -EINVAL, &fd);
    return error != 0 ? error : kpio_file_sync(fd.handle, flags);
}
LX_CALL(fsync) { return sync_file(t, a0, 0); }
LX_CALL(fdatasync) { return sync_file(t, a0, KPIO_SYNC_DATA); }

// ABI sync_file_range: the whole file's data is written, and waited for
LX_CALL(sync_file_range) {
    struct lx_fd fd;
    uint64_t end;
    int64_t error = get_file(t, a0, -ESPIPE, &fd);
    if (error != 0) return error;
    if ((uint32_t)a3 & ~7u || (int64_t)a1 < 0 || (int64_t)a2 < 0) return -EINVAL;
    if (__builtin_add_overflow(a1, a2, &end) || (int64_t)end < 0) return -EINVAL;
    return (uint32_t)a3 == 0 ? 0 : kpio_file_sync(fd.handle, KPIO_SYNC_DATA);
}

// ---- room ----------------------------------------------------------------------------------------------------------------

enum { FALLOC_KEEP_SIZE = 1, FALLOC_PUNCH_HOLE = 2, FALLOC_ZERO_RANGE = 0x10 };

static int64_t allocate_flags(uint32_t mode, uint32_t *flags) {
    *flags = mode & FALLOC_KEEP_SIZE ? KPIO_ALLOCATE_KEEP_SIZE : 0;
    switch (mode & ~(uint32_t)FALLOC_KEEP_SIZE) {
    case 0: return 0;
    case FALLOC_PUNCH_HOLE: *flags |= KPIO_ALLOCATE_PUNCH_HOLE; return mode & FALLOC_KEEP_SIZE ? 0 : -EOPNOTSUPP;
    case FALLOC_ZERO_RANGE: *flags |= KPIO_ALLOCATE_ZERO_RANGE; return 0;
    default: return -EOPNOTSUPP;
    }
}

// ABI fallocate: no COLLAPSE_RANGE, INSERT_RANGE, UNSHARE_RANGE
LX_CALL(fallocate) {
    struct lx_fd fd;
    uint64_t end;
    uint32_t flags;
    int64_t error = lx_fd_get(lx_process(t), a0, &fd);
    if (error != 0 || fd.kind == LX_KIND_PATH) return -EBADF;
    if ((int64_t)a2 < 0 || (int64_t)a3 <= 0) return -EINVAL;
    error = allocate_flags((uint32_t)a1, &flags);
    if (error != 0) return error;
    if (!(fd.flags & LX_FD_WRITE)) return -EBADF;
    if (fd.kind == LX_KIND_PIPE) return -ESPIPE;
    if (fd.kind != LX_KIND_FILE) return -ENODEV;
    if (__builtin_add_overflow(a2, a3, &end) || (int64_t)end < 0) return -EFBIG;
    error = flags & KPIO_ALLOCATE_KEEP_SIZE ? 0 : lx_limit_size(t, end);
    return error != 0 ? error : kpio_file_allocate(fd.handle, flags, a2, a3);
}

// ---- hints ---------------------------------------------------------------------------------------------------------------

enum { FADV_DONTNEED = 4, FADV_LAST = 5 };

// ABI fadvise64: only DONTNEED does something
LX_CALL(fadvise64) {
    struct lx_fd fd;
    int64_t error = lx_fd_get(lx_process(t), a0, &fd);
    if (error != 0 || fd.kind == LX_KIND_PATH) return -EBADF;
    if (fd.kind == LX_KIND_PIPE || fd.kind == LX_KIND_SOCKET) return -ESPIPE;
    if ((int64_t)a2 < 0 || (uint32_t)a3 > FADV_LAST) return -EINVAL;
    if ((uint32_t)a3 != FADV_DONTNEED || fd.kind != LX_KIND_FILE) return 0;
    return kpio_file_advise(fd.handle, a1, a2, KPIO_ADVICE_DROP);
}

// ABI readahead: the kernel reads ahead by itself
LX_CALL(readahead) {
    struct lx_fd fd;
    int64_t error = lx_fd_get(lx_process(t), a0, &fd);
    if (error != 0 || !(fd.flags & LX_FD_READ)) return -EBADF;
    return fd.kind == LX_KIND_FILE ? 0 : -EINVAL;
}
