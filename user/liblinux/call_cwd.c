// Where paths of the process begin, and what it takes from the modes of new files.
#include "abi/gen/stubs.h"
#include "lib/string.h"
#include "lib/util.h"
#include "user/liblinux/call.h"
#include "user/liblinux/entry.h"
#include "user/liblinux/local.h"
#include "user/liblinux/lock.h"

LX_CALL(umask) { return __atomic_exchange_n(&lx_process(t)->umask, (uint32_t)a0 & 0777, __ATOMIC_RELAXED); }

#define LESS 1u                        // cwd_local.extra, kind DIRECTORY: because of its rights alone

// What is mounted there may give fewer rights, which absolute paths are not to begin with.
static bool has_less(const struct lx_process *p, kpio_handle handle) {
    struct kpio_handle_info root, own;
    if (handle == KPIO_HANDLE_NONE || kpio_handle_info(p->root, &root) != 0 || kpio_handle_info(handle, &own) != 0) return false;
    return (root.rights & ~own.rights) != 0;
}

// Takes the handle over. `local`: kind NONE, or what cwd_local says (context.h).
static void set_cwd(struct lx_process *p, kpio_handle handle, const struct lx_fd *local) {
    const bool less = has_less(p, handle);
    lx_lock(&p->files_lock);
    kpio_handle old = p->cwd;
    struct lx_fd old_local = p->cwd_local;
    const bool apart = old_local.kind == LX_KIND_DIRECTORY && !(old_local.extra & LESS);  // still another root
    p->cwd_local = *local;
    if (local->kind == LX_KIND_NONE && (apart || less))
        p->cwd_local = (struct lx_fd){.kind = LX_KIND_DIRECTORY, .handle = handle, .extra = apart ? 0 : LESS};
    if (handle != KPIO_HANDLE_NONE) p->cwd = handle;
    lx_unlock(&p->files_lock);
    if (handle != KPIO_HANDLE_NONE) (void)kpio_handle_close((uint64_t)old);
    if (old_local.kind == LX_KIND_LOCAL) lx_fd_close(&old_local);
}

static const struct lx_fd no_local = {.kind = LX_KIND_NONE};

static int64_t go_local(struct lx_thread *t, const struct lx_at *at) {
    struct lx_fd fd;
    int64_t error = lx_local_open(t, at, LX_O_DIRECTORY, &fd);
    if (error == 0) set_cwd(lx_process(t), KPIO_HANDLE_NONE, &fd);
    return error;
}

static int64_t open_directory(struct lx_thread *t, struct lx_at *at, uint64_t path, uint32_t flags) {
    int64_t result = lx_at_begin(t, at, (uint64_t)LX_AT_FDCWD, path);
    if (result != 0) return result;
    do result = kpio_path_open(at->handle, at->path, KPIO_OPEN_DIRECTORY | KPIO_OPEN_BY_TYPE | flags, 0, 0);
    while (lx_at_again(t, at, result));
    return result < 0 ? result : (int64_t)(uint32_t)result;
}

LX_CALL(chdir) {
    struct lx_at at;
    int64_t result = open_directory(t, &at, a0, 0);
    if (result == -EREMOTE) return go_local(t, &at);
    if (result < 0) return result;
    set_cwd(lx_process(t), (kpio_handle)result, &no_local);
    return 0;
}

LX_CALL(fchdir) {
    struct lx_fd fd, copy;
    int64_t error = lx_fd_get(lx_process(t), a0, &fd);
    if (error != 0) return error;
    bool some = fd.kind == LX_KIND_DIRECTORY || fd.kind == LX_KIND_PATH || fd.kind == LX_KIND_LOCAL;
    if (!some || fd.device != LX_TYPE_DIRECTORY) return -ENOTDIR;
    error = lx_fd_duplicate(&fd, &copy);
    if (error != 0) return error;
    if (fd.kind == LX_KIND_LOCAL) set_cwd(lx_process(t), KPIO_HANDLE_NONE, &copy);
    else set_cwd(lx_process(t), copy.handle, &no_local);
    return 0;
}

static int64_t path_of_cwd(const struct lx_process *p, char *text) {
    if (p->cwd_local.kind != LX_KIND_LOCAL) return kpio_directory_path(p->cwd, text, KPIO_PATH_MAX);
    int64_t error = lx_local_path(&p->cwd_local, text);
    return error != 0 ? error : (int64_t)strlen(text);
}

LX_CALL(getcwd) {
    char text[KPIO_PATH_MAX];
    int64_t bytes = path_of_cwd(lx_process(t), text);
    if (bytes < 0) return bytes == -ERANGE ? -ENAMETOOLONG : bytes;
    if ((uint64_t)bytes + 1 > a1) return -ERANGE;
    int64_t error = lx_copy_out(a0, text, (uint64_t)bytes + 1);
    return error != 0 ? error : bytes + 1;
}

// What is open, and the working directory, keep the root that they were opened with: "..", and absolute links on their way, stop there.
// ABI chroot: descriptors and a working directory from before do not climb above the old root; their absolute links keep it
LX_CALL(chroot) {
    struct lx_at at;
    struct lx_process *p = lx_process(t);
    int64_t result = open_directory(t, &at, a0, KPIO_OPEN_ROOT);
    if (result == -EREMOTE) return -EPERM;
    if (result < 0) return result;
    lx_lock(&p->files_lock);
    kpio_handle old = p->root;
    p->root = (kpio_handle)result;
    if (p->cwd_local.kind != LX_KIND_LOCAL) p->cwd_local = (struct lx_fd){.kind = LX_KIND_DIRECTORY, .handle = p->cwd};
    lx_unlock(&p->files_lock);
    (void)kpio_handle_close((uint64_t)old);
    return 0;
}
