// Opening and making files.
#include "abi/gen/stubs.h"
#include "user/liblinux/call.h"
#include "user/liblinux/entry.h"
#include "user/liblinux/fd_kinds.h"
#include "user/liblinux/file_flags.h"
#include "user/liblinux/local.h"

#define TMPFILE_ONLY (LX_O_TMPFILE & ~LX_O_DIRECTORY)
#define VALID                                                                                                                      \
    (LX_O_ACCMODE | LX_O_CREAT | LX_O_EXCL | LX_O_NOCTTY | LX_O_TRUNC | LX_O_APPEND | LX_O_NONBLOCK | LX_O_DSYNC | LX_O_ASYNC |    \
     LX_O_DIRECT | LX_O_LARGEFILE | LX_O_DIRECTORY | LX_O_NOFOLLOW | LX_O_NOATIME | LX_O_CLOEXEC | LX_O_SYNC | LX_O_PATH | LX_O_TMPFILE)
#define WITH_PATH (LX_O_DIRECTORY | LX_O_NOFOLLOW | LX_O_PATH | LX_O_CLOEXEC)
#define MODE_BITS 07777u
#define PATH_BITS 0x00ff0000u  // of the native flags: KPIO_PATH_*

// How Linux reads the flags; what the kernel gets of them.
struct opening {
    uint64_t flags;          // LX_O_*
    uint32_t native, rights;
    uint8_t fd_flags, refuse; // refuse: LX_AT_NO_*
};

static int64_t check(uint64_t flags) {
    if (flags & TMPFILE_ONLY && (!(flags & LX_O_DIRECTORY) || (flags & LX_O_ACCMODE) == 0)) return -EINVAL;
    if (flags & LX_O_PATH && flags & ~(uint64_t)WITH_PATH) return -EINVAL;
    return (flags & (LX_O_DIRECTORY | LX_O_CREAT)) == (LX_O_DIRECTORY | LX_O_CREAT) ? -EINVAL : 0;
}

static void set_access(struct opening *o) {
    static const uint8_t access[] = {LX_FD_READ, LX_FD_WRITE, LX_FD_READ | LX_FD_WRITE, 0};
    uint32_t mode = o->flags & LX_O_ACCMODE;
    o->fd_flags = o->flags & LX_O_CLOEXEC ? LX_FD_CLOEXEC : 0;
    o->rights = 0;
    if (o->flags & LX_O_PATH) return;
    o->fd_flags |= access[mode];
    o->rights = mode == 3 ? KPIO_RIGHT_READ | KPIO_RIGHT_WRITE : mode == 1 ? KPIO_RIGHT_WRITE : KPIO_RIGHT_READ;
    if (mode == 2) o->rights |= KPIO_RIGHT_WRITE;
}

static void set_native(struct opening *o) {
    uint64_t f = o->flags;
    uint32_t n = KPIO_OPEN_BY_TYPE | lx_file_flags_native(f);
    if (f & LX_O_NOFOLLOW) n |= KPIO_PATH_NO_FOLLOW;
    if (f & TMPFILE_ONLY) n |= KPIO_OPEN_TEMPORARY;
    else {
        if (f & LX_O_CREAT) n |= KPIO_OPEN_CREATE | (f & LX_O_EXCL ? KPIO_OPEN_EXCLUSIVE : 0);
        if (f & LX_O_TRUNC) n |= KPIO_OPEN_TRUNCATE;
        if (f & LX_O_DIRECTORY) n |= KPIO_OPEN_DIRECTORY;
    }
    o->native |= n;
}

// ---- FIFOs --------------------------------------------------------------------------------------------------------------

static int64_t open_end(const struct lx_at *at, const struct opening *o, uint32_t right, bool need_peer, uint32_t *opens) {
    const uint32_t flags = o->native & PATH_BITS;
    const int64_t opened = kpio_fifo_open(at->handle, at->path, flags | (need_peer ? KPIO_FIFO_NEED_PEER : 0u), right);
    if (opened >= 0) *opens = (uint32_t)(opened >> 32);
    return opened < 0 ? opened : (int64_t)(uint32_t)opened;
}

// Both ends: it is its own peer.
static int64_t open_both(const struct lx_at *at, const struct opening *o, struct lx_fd *fd) {
    uint32_t opens;
    int64_t end = open_end(at, o, KPIO_RIGHT_READ, false, &opens);
    if (end < 0) return end;
    fd->handle = (kpio_handle)end;
    end = open_end(at, o, KPIO_RIGHT_WRITE, false, &opens);
    if (end > 0) fd->second = (kpio_handle)end;
    else lx_fd_close_handles(fd);
    return end < 0 ? end : 0;
}

// Who reads waits for who writes, and the other way round.
static int64_t open_fifo(struct lx_thread *t, const struct lx_at *at, const struct opening *o, struct lx_fd *fd) {
    const bool nonblock = o->flags & LX_O_NONBLOCK, writes = o->fd_flags & LX_FD_WRITE;
    uint32_t opens;
    *fd = (struct lx_fd){.kind = LX_KIND_PIPE, .device = KPIO_PIPE_STREAM, .extra = lx_file_flags_kept(o->flags) & ~LX_O_ACCMODE};
    if (!(o->fd_flags & (LX_FD_READ | LX_FD_WRITE))) return -EINVAL;
    int64_t result;
    if (writes && o->fd_flags & LX_FD_READ) result = open_both(at, o, fd);
    else {
        result = open_end(at, o, writes ? KPIO_RIGHT_WRITE : KPIO_RIGHT_READ, writes && nonblock, &opens);
        if (result > 0) fd->handle = (kpio_handle)result;
        if (result > 0 && !nonblock) result = lx_block(t, SYS_pipe_await, (uint64_t)result, opens, KPIO_TIME_NEVER, 0, 0, 0);
    }
    if (result >= 0) {
        if (nonblock) (void)lx_object_status(fd, 0, LX_O_NONBLOCK);
        return 0;
    }
    lx_fd_close_handles(fd);
    return result == -EINTR ? -LX_RESTART : result;
}

// Something that the kernel does not open: a device of a known number is served here, and FIFOs are pipes.
static int64_t open_node(struct lx_thread *t, const struct lx_at *at, const struct opening *o, struct lx_fd *fd) {
    struct kpio_stat stat;
    int64_t error = kpio_path_stat(at->handle, at->path, o->native & PATH_BITS, &stat);
    if (error != 0) return error;
    if ((stat.mode & LX_S_IFMT) == LX_S_IFIFO) return open_fifo(t, at, o, fd);
    return (stat.mode & LX_S_IFMT) == LX_S_IFCHR ? lx_device_open(stat.device, o->flags, fd) : -ENXIO;
}

static void fill(const struct opening *o, int64_t opened, struct lx_fd *fd) {
    uint32_t type = (uint32_t)(opened >> 44) & 0xf;
    fd->handle = (kpio_handle)(uint32_t)opened;
    fd->device = (uint16_t)type;
    fd->kind = o->flags & LX_O_PATH ? LX_KIND_PATH : type == LX_TYPE_DIRECTORY ? LX_KIND_DIRECTORY : LX_KIND_FILE;
    fd->extra = lx_file_flags_kept(o->flags);
}

static int64_t open_at(struct lx_thread *t, uint64_t dirfd, uint64_t path, struct opening *o, uint64_t mode) {
    struct lx_at at;
    struct lx_fd fd = {.flags = 0};
    struct lx_process *p = lx_process(t);
    bool scoped = o->native & (KPIO_PATH_BENEATH | KPIO_PATH_IN_ROOT);
    int64_t result = scoped ? lx_at_begin_scoped(t, &at, dirfd, path) : lx_at_begin(t, &at, dirfd, path);
    if (result != 0) return result;
    at.refuse = o->refuse;
    set_access(o);
    set_native(o);
    do result = kpio_path_open(at.handle, at.path, o->native, (uint32_t)mode & ~p->umask, o->rights);
    while (o->flags & LX_O_NOFOLLOW ? lx_at_again_nofollow(t, &at, result) : lx_at_again(t, &at, result));
    if (result >= 0) fill(o, result, &fd);
    else if (result == -EREMOTE) result = at.refused ? -ELOOP : lx_local_open(t, &at, o->flags, &fd);
    else if (result == -ENXIO) result = open_node(t, &at, o, &fd);
    if (result < 0) return result;
    fd.flags |= o->fd_flags;
    return lx_fd_install(p, &fd, 0);
}

static int64_t open_simply(struct lx_thread *t, uint64_t dirfd, uint64_t path, uint64_t flags, uint64_t mode) {
    struct opening o = {.flags = flags & VALID};
    if (o.flags & LX_O_PATH) o.flags &= WITH_PATH;
    int64_t error = check(o.flags);
    o.flags |= o.flags & LX_O_PATH ? 0 : LX_O_LARGEFILE;
    return error != 0 ? error : open_at(t, dirfd, path, &o, mode & MODE_BITS);
}

LX_CALL(open) { return open_simply(t, (uint64_t)LX_AT_FDCWD, a0, (uint32_t)a1, a2); }
LX_CALL(openat) { return open_simply(t, a0, a1, (uint32_t)a2, a3); }
LX_CALL(creat) { return open_simply(t, (uint64_t)LX_AT_FDCWD, a0, LX_O_CREAT | LX_O_WRONLY | LX_O_TRUNC, a1); }

// ---- openat2 -----------------------------------------------------------------------------------------------------------

enum { NO_XDEV = 1, NO_MAGICLINKS = 2, NO_SYMLINKS = 4, BENEATH = 8, IN_ROOT = 16, CACHED = 32 };
struct open_how {
    uint64_t flags, mode, resolve;
};

// A structure that is larger than what is known here must be zero beyond it.
static int64_t copy_how(struct open_how *how, uint64_t at, uint64_t size) {
    if (size < sizeof *how) return -EINVAL;
    if (size > 4096) return -E2BIG;
    int64_t error = lx_copy_in(how, at, sizeof *how);
    for (uint64_t done = sizeof *how; error == 0 && done < size; done++) {
        char byte;
        error = lx_copy_in(&byte, at + done, 1);
        if (error == 0 && byte != 0) return -E2BIG;
    }
    return error;
}

static int64_t check_how(const struct open_how *how) {
    bool creates = how->flags & (LX_O_CREAT | TMPFILE_ONLY);
    if (how->flags & ~(uint64_t)VALID || how->resolve & ~(uint64_t)(CACHED * 2 - 1)) return -EINVAL;
    if ((how->resolve & (BENEATH | IN_ROOT)) == (BENEATH | IN_ROOT)) return -EINVAL;
    if (creates ? how->mode & ~(uint64_t)MODE_BITS : how->mode) return -EINVAL;
    if (how->resolve & CACHED) return how->flags & (LX_O_CREAT | TMPFILE_ONLY | LX_O_TRUNC) ? -EAGAIN : check(how->flags);
    return check(how->flags);
}

// ABI openat2: RESOLVE_CACHED looks further than the cache
LX_CALL(openat2) {
    struct open_how how;
    int64_t error = copy_how(&how, a2, a3);
    if (error == 0) error = check_how(&how);
    if (error != 0) return error;
    struct opening o = {.flags = how.flags | (how.flags & LX_O_PATH ? 0 : LX_O_LARGEFILE)};
    if (how.resolve & NO_XDEV) o.native |= KPIO_PATH_NO_MOUNTS;
    o.refuse = how.resolve & NO_SYMLINKS ? LX_AT_NO_LINKS : how.resolve & NO_MAGICLINKS ? LX_AT_NO_MAGIC : 0;
    if (how.resolve & NO_SYMLINKS) o.native |= KPIO_PATH_NO_LINKS;
    if (how.resolve & BENEATH) o.native |= KPIO_PATH_BENEATH;
    if (how.resolve & IN_ROOT) o.native |= KPIO_PATH_IN_ROOT;
    return open_at(t, a0, a1, &o, how.mode);
}
