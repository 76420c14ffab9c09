// Modes, owners, times and sizes.
#include "abi/gen/stubs.h"
#include "lib/string.h"
#include "user/liblinux/call.h"
#include "user/liblinux/entry.h"
#include "user/liblinux/limits.h"
#include "user/liblinux/local.h"

static int64_t change(struct lx_thread *t, struct lx_at *at, const struct kpio_attributes *what, bool follow) {
    int64_t result;
    do result = kpio_path_set_attributes(at->handle, at->path, follow ? 0 : KPIO_PATH_NO_FOLLOW, what);
    while (follow ? lx_at_again(t, at, result) : lx_at_again_nofollow(t, at, result));
    return result == -EREMOTE ? lx_local_change(t, at) : result;
}

static int64_t change_path(struct lx_thread *t, uint64_t dirfd, uint64_t path, uint64_t flags, const struct kpio_attributes *what) {
    struct lx_at at;
    if ((uint32_t)flags & ~(LX_AT_SYMLINK_NOFOLLOW | LX_AT_EMPTY_PATH)) return -EINVAL;
    int64_t error = lx_at_begin_empty(t, &at, dirfd, path, flags);
    return error != 0 ? error : change(t, &at, what, !(flags & LX_AT_SYMLINK_NOFOLLOW));
}

static int64_t change_fd(struct lx_thread *t, uint64_t fd, const struct kpio_attributes *what) {
    struct lx_at at;
    int64_t error = lx_at_own(t, &at, fd, false);
    return error != 0 ? error : change(t, &at, what, true);
}

// ---- modes ---------------------------------------------------------------------------------------------------------------

static struct kpio_attributes mode_of(uint64_t mode) {
    return (struct kpio_attributes){.what = KPIO_SET_MODE, .mode = (uint32_t)mode & 07777};
}
LX_CALL(chmod) {
    const struct kpio_attributes what = mode_of(a1);
    return change_path(t, (uint64_t)LX_AT_FDCWD, a0, 0, &what);
}
LX_CALL(fchmod) {
    const struct kpio_attributes what = mode_of(a1);
    return change_fd(t, a0, &what);
}
LX_CALL(fchmodat) {
    const struct kpio_attributes what = mode_of(a2);
    return change_path(t, a0, a1, 0, &what);
}

// ---- owners --------------------------------------------------------------------------------------------------------------

static struct kpio_attributes owner_of(uint64_t uid, uint64_t gid) {
    struct kpio_attributes what = {.uid = (uint32_t)uid, .gid = (uint32_t)gid};
    if (what.uid != UINT32_MAX) what.what |= KPIO_SET_UID;
    if (what.gid != UINT32_MAX) what.what |= KPIO_SET_GID;
    return what;
}
LX_CALL(chown) {
    const struct kpio_attributes what = owner_of(a1, a2);
    return change_path(t, (uint64_t)LX_AT_FDCWD, a0, 0, &what);
}
LX_CALL(lchown) {
    const struct kpio_attributes what = owner_of(a1, a2);
    return change_path(t, (uint64_t)LX_AT_FDCWD, a0, LX_AT_SYMLINK_NOFOLLOW, &what);
}
LX_CALL(fchown) {
    const struct kpio_attributes what = owner_of(a1, a2);
    return change_fd(t, a0, &what);
}
LX_CALL(fchownat) {
    const struct kpio_attributes what = owner_of(a2, a3);
    return change_path(t, a0, a1, a4, &what);
}

// ---- times ---------------------------------------------------------------------------------------------------------------

#define NANOSECONDS 1000000000
enum { UTIME_NOW = (1 << 30) - 1, UTIME_OMIT = (1 << 30) - 2 };

static bool is_valid(const struct lx_timespec *time) {
    return time->nanoseconds == UTIME_NOW || time->nanoseconds == UTIME_OMIT ||
           (time->nanoseconds >= 0 && time->nanoseconds < NANOSECONDS);
}

static struct kpio_attributes times_of(const struct lx_timespec times[2]) {
    struct kpio_attributes what = {
        .accessed = {.seconds = times[0].seconds, .nanoseconds = (uint32_t)times[0].nanoseconds},
        .modified = {.seconds = times[1].seconds, .nanoseconds = (uint32_t)times[1].nanoseconds},
    };
    if (times[0].nanoseconds == UTIME_NOW) what.what |= KPIO_SET_ACCESSED_NOW;
    else if (times[0].nanoseconds != UTIME_OMIT) what.what |= KPIO_SET_ACCESSED;
    if (times[1].nanoseconds == UTIME_NOW) what.what |= KPIO_SET_MODIFIED_NOW;
    else if (times[1].nanoseconds != UTIME_OMIT) what.what |= KPIO_SET_MODIFIED;
    return what;
}

static const struct lx_timespec now[2] = {{0, UTIME_NOW}, {0, UTIME_NOW}};

LX_CALL(utimensat) {
    struct lx_timespec times[2] = {now[0], now[1]};
    if (a2 != 0 && lx_copy_in(times, a2, sizeof times) != 0) return -EFAULT;
    if (!is_valid(&times[0]) || !is_valid(&times[1])) return -EINVAL;
    if (times[0].nanoseconds == UTIME_OMIT && times[1].nanoseconds == UTIME_OMIT) return 0;
    const struct kpio_attributes what = times_of(times);
    if (a1 == 0 && (int32_t)a0 != LX_AT_FDCWD) return (uint32_t)a3 != 0 ? -EINVAL : change_fd(t, a0, &what);
    return change_path(t, a0, a1, a3, &what);
}

static int64_t set_times(struct lx_thread *t, uint64_t dirfd, uint64_t path, uint64_t values) {
    struct lx_timeval v[2];
    struct lx_timespec times[2] = {now[0], now[1]};
    if (values != 0 && lx_copy_in(v, values, sizeof v) != 0) return -EFAULT;
    for (unsigned i = 0; values != 0 && i < 2; i++) {
        if (v[i].microseconds < 0 || v[i].microseconds >= NANOSECONDS / 1000) return -EINVAL;
        times[i] = (struct lx_timespec){v[i].seconds, v[i].microseconds * 1000};
    }
    const struct kpio_attributes what = times_of(times);
    if (path == 0 && (int32_t)dirfd != LX_AT_FDCWD) return change_fd(t, dirfd, &what);
    return change_path(t, dirfd, path, 0, &what);
}
LX_CALL(utimes) { return set_times(t, (uint64_t)LX_AT_FDCWD, a0, a1); }
LX_CALL(futimesat) { return set_times(t, a0, a1, a2); }

LX_CALL(utime) {
    int64_t seconds[2];
    struct lx_timespec times[2] = {now[0], now[1]};
    if (a1 != 0 && lx_copy_in(seconds, a1, sizeof seconds) != 0) return -EFAULT;
    for (unsigned i = 0; a1 != 0 && i < 2; i++) times[i] = (struct lx_timespec){seconds[i], 0};
    const struct kpio_attributes what = times_of(times);
    return change_path(t, (uint64_t)LX_AT_FDCWD, a0, 0, &what);
}

// ---- sizes ---------------------------------------------------------------------------------------------------------------

LX_CALL(truncate) {
    const struct kpio_attributes what = {.what = KPIO_SET_SIZE, .size = a1};
    int64_t error = (int64_t)a1 < 0 ? -EINVAL : lx_limit_size(t, a1);
    return error != 0 ? error : change_path(t, (uint64_t)LX_AT_FDCWD, a0, 0, &what);
}

LX_CALL(ftruncate) {
    struct lx_fd fd;
    if ((int64_t)a1 < 0) return -EINVAL;
    int64_t error = lx_fd_get(lx_process(t), a0, &fd);
    if (error != 0 || fd.kind == LX_KIND_PATH) return -EBADF;
    if (fd.kind != LX_KIND_FILE || !(fd.flags & LX_FD_WRITE)) return -EINVAL;
    error = lx_limit_size(t, a1);
    return error != 0 ? error : kpio_file_resize(fd.handle, a1);
}
