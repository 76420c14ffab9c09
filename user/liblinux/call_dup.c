// The table of descriptors: duplicates, flags, ranges.
#include "lib/util.h"
#include "user/liblinux/call.h"
#include "user/liblinux/entry.h"
#include "user/liblinux/fcntl.h"
#include "user/liblinux/fd_kinds.h"
#include "user/liblinux/unserved.h"

// ---- duplicates ----------------------------------------------------------------------------------------------------------

static int64_t duplicate(struct lx_thread *t, uint64_t number, uint64_t from, uint8_t flags) {
    struct lx_fd fd, copy;
    int64_t result = lx_fd_get(lx_process(t), number, &fd);
    if (result == 0) result = lx_fd_duplicate(&fd, &copy);
    if (result != 0) return result;
    copy.flags |= flags;
    return lx_fd_install(lx_process(t), &copy, from);
}

static int64_t duplicate_at(struct lx_thread *t, uint64_t number, uint64_t at, uint8_t flags) {
    struct lx_fd fd, copy;
    int64_t result = lx_fd_get(lx_process(t), number, &fd);
    if (result != 0) return result;
    if ((uint32_t)at >= lx_process(t)->files->limit) return -EBADF;
    result = lx_fd_duplicate(&fd, &copy);
    if (result != 0) return result;
    copy.flags |= flags;
    return lx_fd_install_at(lx_process(t), &copy, (uint32_t)at);
}

LX_CALL(dup) { return duplicate(t, a0, 0, 0); }
LX_CALL(dup2) {
    struct lx_fd fd;
    if ((uint32_t)a0 != (uint32_t)a1) return duplicate_at(t, a0, a1, 0);
    int64_t error = lx_fd_get(lx_process(t), a0, &fd);
    return error != 0 ? error : (int64_t)(uint32_t)a0;
}
LX_CALL(dup3) {
    if ((uint32_t)a2 & ~LX_O_CLOEXEC || (uint32_t)a0 == (uint32_t)a1) return -EINVAL;
    return duplicate_at(t, a0, a1, a2 & LX_O_CLOEXEC ? LX_FD_CLOEXEC : 0);
}

// ---- ranges --------------------------------------------------------------------------------------------------------------

enum { CLOSE_RANGE_UNSHARE = 2, CLOSE_RANGE_CLOEXEC = 4 };

// ABI close_range: UNSHARE where tables are shared between processes
LX_CALL(close_range) {
    struct lx_process *p = lx_process(t);
    uint32_t first = (uint32_t)a0, last = (uint32_t)a1, flags = (uint32_t)a2;
    if (flags & ~(uint32_t)(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC) || first > last) return -EINVAL;
    for (uint64_t number = first; number <= MIN((uint64_t)last, p->files->capacity - 1ull); number++) {
        struct lx_fd fd;
        if (flags & CLOSE_RANGE_CLOEXEC) (void)lx_fd_set_flags(p, number, 0, LX_FD_CLOEXEC);
        else if (lx_fd_remove(p, number, &fd) == 0) lx_fd_close(&fd);
    }
    return 0;
}

// ---- fcntl ---------------------------------------------------------------------------------------------------------------

enum {
    F_DUPFD = 0, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_GETLK, F_SETLK, F_SETLKW, F_GETOWN = 9, F_GETSIG = 11, F_GETOWN_EX = 16,
    F_OFD_GETLK = 36, F_OFD_SETLK, F_OFD_SETLKW, F_GETLEASE = 1025, F_DUPFD_CLOEXEC = 1030, F_SETPIPE_SZ, F_GETPIPE_SZ, F_ADD_SEALS,
    F_GET_SEALS, F_UNLCK = 2,
    FD_CLOEXEC = 1, F_OWNER_PID = 1,
};

static int64_t duplicate_from(struct lx_thread *t, uint64_t number, uint64_t from, uint8_t flags) {
    if ((uint32_t)from >= lx_process(t)->files->limit) return -EINVAL;
    return duplicate(t, number, (uint32_t)from, flags);
}

// ABI fcntl: locks as flock; no leases, notifications, owners of signals, hints: none is told, none can be set
LX_CALL(fcntl) {
    struct lx_fd fd;
    struct lx_process *p = lx_process(t);
    int64_t error = lx_fd_get(p, a0, &fd);
    if (error != 0) return error;
    uint32_t command = (uint32_t)a1;
    switch (command) {
    case F_DUPFD: return duplicate_from(t, a0, a2, 0);
    case F_DUPFD_CLOEXEC: return duplicate_from(t, a0, a2, LX_FD_CLOEXEC);
    case F_GETFD: return fd.flags & LX_FD_CLOEXEC ? FD_CLOEXEC : 0;
    case F_SETFD: return lx_fd_set_flags(p, a0, LX_FD_CLOEXEC, a2 & FD_CLOEXEC ? LX_FD_CLOEXEC : 0);
    case F_GETFL: return lx_fcntl_get_flags(&fd);
    }
    if (fd.kind == LX_KIND_PATH) return -EBADF;
    switch (command) {
    case F_SETFL: return lx_fcntl_set_flags(t, a0, &fd, a2);
    case F_GETLK: return lx_fcntl_test_lock(&fd, a2, false);
    case F_SETLK: return lx_fcntl_lock(t, &fd, a2, false, false);
    case F_SETLKW: return lx_fcntl_lock(t, &fd, a2, false, true);
    case F_SETPIPE_SZ: return lx_pipe_set_size(&fd, a2);
    case F_GETPIPE_SZ: return lx_pipe_size(&fd);
    case F_OFD_GETLK: return lx_fcntl_test_lock(&fd, a2, true);
    case F_OFD_SETLK: return lx_fcntl_lock(t, &fd, a2, true, false);
    case F_OFD_SETLKW: return lx_fcntl_lock(t, &fd, a2, true, true);
    case F_ADD_SEALS: return lx_fcntl_add_seals(&fd, a2);
    case F_GETOWN: case F_GETSIG: return 0;
    case F_GETOWN_EX: return lx_copy_out(a2, &(const int32_t[2]){F_OWNER_PID}, 8);
    case F_GETLEASE: return F_UNLCK;
    case F_GET_SEALS: return lx_fcntl_get_seals(&fd);
    default: return lx_unserved_use(t, -EINVAL);
    }
}
