#include "user/liblinux/at.h"

#include "abi/gen/stubs.h"
#include "lib/string.h"
#include "user/liblinux/entry.h"
#include "user/liblinux/fd.h"
#include "user/liblinux/local.h"

#define LED_MAX 40u

static void start(struct lx_at *at, kpio_handle handle, uint64_t path) {
    at->handle = handle;
    at->path = (const char *)path;
    at->mount = NULL;
    at->led = at->refuse = 0;
    at->refused = at->slash = false;
}

// A path below a local directory: the same path from the root.
static int64_t start_local(const struct lx_process *p, struct lx_at *at, const struct lx_fd *fd, uint64_t path) {
    int64_t error = lx_local_path(fd, at->text);
    if (error != 0) return error;
    size_t bytes = strlen(at->text);
    at->text[bytes++] = '/';
    int64_t more = lx_copy_string(at->text + bytes, path, sizeof at->text - bytes);
    if (more < 0) return more;
    if (more == 0) return -ENOENT;
    if (bytes + (uint64_t)more >= sizeof at->text) return -ENAMETOOLONG;
    start(at, p->root, (uint64_t)at->text);
    return 0;
}

// In general: the first byte says whether the start matters.
static int64_t begin_slowly(struct lx_process *p, struct lx_at *at, uint64_t dirfd, uint64_t path, bool scoped) {
    char first;
    struct lx_fd fd;
    int64_t error = lx_copy_in(&first, path, 1);
    if (error != 0) return error;
    if (first == '/' && !scoped) return start(at, p->root, path), 0;
    if ((int32_t)dirfd == LX_AT_FDCWD) fd = p->cwd_local;
    else if ((error = lx_fd_get(p, dirfd, &fd)) != 0) return error;
    if (fd.kind == LX_KIND_LOCAL) return start_local(p, at, &fd, path);
    bool directory = fd.kind == LX_KIND_DIRECTORY || (fd.kind == LX_KIND_PATH && fd.device == LX_TYPE_DIRECTORY);
    if (!directory) return first == 0 ? -ENOENT : -ENOTDIR;
    start(at, fd.handle, path);
    return 0;
}

int64_t lx_at_begin(struct lx_thread *t, struct lx_at *at, uint64_t dirfd, uint64_t path) {
    struct lx_process *p = lx_process(t);
    if (path == 0) return -EFAULT;
    if ((int32_t)dirfd != LX_AT_FDCWD || p->cwd_local.kind != LX_KIND_NONE) return begin_slowly(p, at, dirfd, path, false);
    start(at, p->cwd, path);
    return 0;
}

int64_t lx_at_begin_scoped(struct lx_thread *t, struct lx_at *at, uint64_t dirfd, uint64_t path) {
    if ((int32_t)dirfd == LX_AT_FDCWD) return lx_at_begin(t, at, dirfd, path);
    return path == 0 ? -EFAULT : begin_slowly(lx_process(t), at, dirfd, path, true);
}

int64_t lx_at_own(struct lx_thread *t, struct lx_at *at, uint64_t number, bool path) {
    struct lx_fd fd;
    int64_t error = lx_fd_get(lx_process(t), number, &fd);
    if (error != 0) return error;
    const bool fifo = fd.kind == LX_KIND_PIPE && kpio_path_stat(fd.handle, NULL, 0, &(struct kpio_stat){0}) == 0;
    if (fd.kind != LX_KIND_FILE && fd.kind != LX_KIND_DIRECTORY && !fifo && !(path && fd.kind == LX_KIND_PATH)) return -EBADF;
    start(at, fd.handle, 0);
    return 0;
}

int64_t lx_at_begin_empty(struct lx_thread *t, struct lx_at *at, uint64_t dirfd, uint64_t path, uint64_t flags) {
    char first;
    if (!(flags & LX_AT_EMPTY_PATH)) return lx_at_begin(t, at, dirfd, path);
    int64_t error = path == 0 ? 0 : lx_copy_in(&first, path, 1);
    if (error != 0) return error;
    if (path != 0 && first != 0) return lx_at_begin(t, at, dirfd, path);
    if ((int32_t)dirfd != LX_AT_FDCWD) return lx_at_own(t, at, dirfd, true);
    start(at, lx_process(t)->cwd, 0);
    return 0;
}

// ---- local mounts ----------------------------------------------------------------------------------------------------------

// Takes ".", ".." and spare slashes out of a path, in place. A ".." at its start stays, with what follows: true, it leads out.
static bool clean(char *path) {
    char *to = path;
    for (const char *from = path; *from != 0;) {
        while (*from == '/') from++;
        size_t bytes = 0;
        while (from[bytes] != 0 && from[bytes] != '/') bytes++;
        bool up = bytes == 2 && from[0] == '.' && from[1] == '.';
        if (up && to == path) {
            memmove(path, from, strlen(from) + 1);
            return true;
        }
        if (up) {
            while (to > path && *--to != '/') {}
        } else if (bytes > 0 && !(bytes == 1 && from[0] == '.')) {
            if (to != path) *to++ = '/';
            memmove(to, from, bytes);
            to += bytes;
        }
        from += bytes;
    }
    *to = 0;
    return false;
}

static bool lead_out(const struct lx_process *p, struct lx_at *at) {
    const char *slash = NULL, *point = at->mount->point;
    for (const char *c = point; *c != 0; c++)
        if (*c == '/') slash = c;
    // Behind the directory in which the mount is stands what followed the "..".
    size_t above = (size_t)(slash - point) + 1, rest = strlen(at->text + 2) + 1;
    if (above + rest > sizeof at->text) return false;
    memmove(at->text + above, at->text + 2, rest);
    memcpy(at->text, point, above);
    at->handle = p->root;
    at->path = at->text;
    return true;
}

bool lx_at_remote(struct lx_thread *t, struct lx_at *at, bool follow) {
    const struct kpio_thread_block *block = t->block;
    at->mount = lx_local_find(block->path_key);
    if (at->mount == NULL || at->led++ >= LED_MAX) return false;
    memcpy(at->text, (const char *)block->message, block->path_bytes + 1);
    const uint64_t bytes = block->path_bytes;
    at->slash = bytes > 0 && at->text[bytes - 1] == '/';
    if (at->slash) follow = true;  // who says that it is a directory means what a link leads to
    if (clean(at->text)) return lead_out(lx_process(t), at);
    if (at->refuse != 0 && lx_local_has_link(t, at, follow)) {
        at->refused = true;
        return false;
    }
    return at->mount->follow != NULL && at->mount->follow(t, at, follow);
}

int64_t lx_at_settle(struct lx_thread *t, struct lx_at *at, bool follow) {
    struct kpio_stat stat;
    int64_t result;
    do result = at->path == NULL ? 0 : kpio_path_stat(at->handle, at->path, follow ? 0 : KPIO_PATH_NO_FOLLOW, &stat);
    while (result == -EREMOTE && lx_at_remote(t, at, follow));
    return result == -EREMOTE ? result : 0;
}
