// Advisory locks, of ranges (fcntl) and of whole files (flock).
#include "abi/gen/stubs.h"
#include "user/liblinux/call.h"
#include "user/liblinux/entry.h"
#include "user/liblinux/fcntl.h"

enum { F_RDLCK, F_WRLCK, F_UNLCK };

// With handles: its own locks are those of the pipe that it reads.
static bool is_socket(const struct lx_fd *fd) { return fd->kind == LX_KIND_SOCKET && fd->handle > 0; }
static bool has_locks(const struct lx_fd *fd) {
    return fd->kind == LX_KIND_FILE || fd->kind == LX_KIND_DIRECTORY || fd->kind == LX_KIND_PIPE || is_socket(fd);
}

// Where the range begins that l_whence speaks of.
static int64_t base_of(const struct lx_fd *fd, int16_t whence, int64_t *base) {
    struct kpio_stat stat;
    int64_t result = 0;
    *base = 0;
    if (fd->kind == LX_KIND_PIPE || is_socket(fd))  // neither offset nor size
        return whence >= KPIO_SEEK_SET && whence <= KPIO_SEEK_END ? 0 : -EINVAL;
    if (whence == KPIO_SEEK_CURRENT) *base = result = kpio_file_seek(fd->handle, 0, KPIO_SEEK_CURRENT);
    else if (whence == KPIO_SEEK_END) {
        result = kpio_path_stat(fd->handle, NULL, 0, &stat);
        *base = (int64_t)stat.size;
    } else if (whence != KPIO_SEEK_SET) result = -EINVAL;
    return result < 0 ? result : 0;
}

// A negative length ends the range before where it begins.
static int64_t range_of(const struct lx_fd *fd, const struct lx_flock *l, struct kpio_file_lock *lock) {
    int64_t base, start, end;
    int64_t error = base_of(fd, l->whence, &base);
    if (error != 0) return error;
    if (__builtin_add_overflow(base, l->start, &start)) return -EOVERFLOW;
    if (start < 0) return -EINVAL;
    if (l->len > 0 && __builtin_add_overflow(start, l->len - 1, &end)) return -EOVERFLOW;
    if (l->len < 0 && (start += l->len) < 0) return -EINVAL;
    lock->start = (uint64_t)start;
    lock->bytes = l->len < 0 ? -(uint64_t)l->len : (uint64_t)l->len;
    return 0;
}

static int64_t decode(const struct lx_fd *fd, const struct lx_flock *l, bool own, struct kpio_file_lock *lock) {
    static const uint8_t kinds[] = {[F_RDLCK] = KPIO_LOCK_SHARED, [F_WRLCK] = KPIO_LOCK_EXCLUSIVE, [F_UNLCK] = KPIO_LOCK_NONE};
    if (own && l->pid != 0) return -EINVAL;
    *lock = (struct kpio_file_lock){.flags = own ? 0 : KPIO_LOCK_PROCESS};
    int64_t error = range_of(fd, l, lock);
    if (error != 0) return error;
    if ((uint16_t)l->type > F_UNLCK) return -EINVAL;
    lock->flags |= kinds[l->type];
    return 0;
}

int64_t lx_fcntl_test_lock(const struct lx_fd *fd, uint64_t at, bool own) {
    struct lx_flock l;
    struct kpio_file_lock lock;
    if (lx_copy_in(&l, at, sizeof l) != 0) return -EFAULT;
    if (l.type != F_RDLCK && l.type != F_WRLCK) return -EINVAL;
    if (!has_locks(fd)) return -EINVAL;
    int64_t error = decode(fd, &l, own, &lock);
    lock.flags |= KPIO_LOCK_TEST;
    if (error == 0) error = kpio_file_lock(fd->handle, &lock, 0);
    if (error != 0) return error;
    uint32_t kind = lock.flags & KPIO_LOCK_KIND;
    l.type = kind == KPIO_LOCK_NONE ? F_UNLCK : kind == KPIO_LOCK_EXCLUSIVE ? F_WRLCK : F_RDLCK;
    if (l.type != F_UNLCK) {
        l.whence = KPIO_SEEK_SET;
        l.start = (int64_t)lock.start;
        l.len = (int64_t)lock.bytes;
        l.pid = lock.process != 0 ? (int32_t)lock.process : -1;
    }
    return lx_copy_out(at, &l, sizeof l);
}

static int64_t take(struct lx_thread *t, kpio_handle handle, struct kpio_file_lock *lock, bool wait) {
    if (!wait) return kpio_file_lock(handle, lock, 0);
    int64_t result = lx_block(t, SYS_file_lock, (uint64_t)(uint32_t)handle, (uint64_t)lock, KPIO_TIME_NEVER, 0, 0, 0);
    return result == -EINTR ? -LX_RESTART : result == -ECANCELED ? -EBADF : result;
}

int64_t lx_fcntl_lock(struct lx_thread *t, const struct lx_fd *fd, uint64_t at, bool own, bool wait) {
    struct lx_flock l;
    struct kpio_file_lock lock;
    if (lx_copy_in(&l, at, sizeof l) != 0) return -EFAULT;
    if (!has_locks(fd)) return -EINVAL;
    int64_t error = decode(fd, &l, own, &lock);
    if (error != 0) return error;
    if (l.type == F_RDLCK && !(fd->flags & LX_FD_READ)) return -EBADF;
    if (l.type == F_WRLCK && !(fd->flags & LX_FD_WRITE)) return -EBADF;
    return take(t, fd->handle, &lock, wait);
}

enum { LOCK_SH = 1, LOCK_EX = 2, LOCK_NB = 4, LOCK_UN = 8 };

// ABI flock: of files, directories, pipes and sockets that have been named or connected only
LX_CALL(flock) {
    struct lx_fd fd;
    struct kpio_file_lock lock = {.flags = KPIO_LOCK_WHOLE};
    switch ((uint32_t)a1 & ~(uint32_t)LOCK_NB) {
    case LOCK_SH: break;
    case LOCK_EX: lock.flags |= KPIO_LOCK_EXCLUSIVE; break;
    case LOCK_UN: lock.flags |= KPIO_LOCK_NONE; break;
    default: return -EINVAL;
    }
    int64_t error = lx_fd_get(lx_process(t), a0, &fd);
    if (error != 0 || fd.kind == LX_KIND_PATH) return -EBADF;
    if (!has_locks(&fd)) return -EOPNOTSUPP;
    return take(t, fd.handle, &lock, !(a1 & LOCK_NB));
}
