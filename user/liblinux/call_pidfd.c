// pidfd: a handle on a kernel process.
#include "abi/gen/errors.h"
#include "abi/gen/stubs.h"
#include "lib/string.h"
#include "lib/text.h"
#include "user/liblinux/call.h"
#include "user/liblinux/entry.h"
#include "user/liblinux/fd_kinds.h"
#include "user/liblinux/fork.h"
#include "user/liblinux/local.h"
#include "user/liblinux/lock.h"
#include "user/liblinux/posix.h"
#include "user/liblinux/signal.h"

const struct lx_fd_ops lx_pidfd_ops = {.read = lx_no_transfer, .write = lx_no_transfer, .stat = lx_anonymous_stat};

static int64_t install(struct lx_process *p, kpio_handle own) {
    const struct lx_fd fd = {.kind = LX_KIND_PROCESS, .flags = LX_FD_READ | LX_FD_WRITE | LX_FD_CLOEXEC, .handle = own};
    return lx_fd_install(p, &fd, 0);
}

int64_t lx_pidfd_make(struct lx_process *p, kpio_handle process) {
    int64_t handle = kpio_handle_dup(process, KPIO_RIGHTS_SAME);
    return handle < 0 ? handle : install(p, (kpio_handle)handle);
}

int64_t lx_pidfd_pid(struct lx_process *p, uint64_t number) {
    struct lx_fd fd;
    struct kpio_handle_info info;
    if (lx_fd_get(p, number, &fd) < 0 || fd.kind != LX_KIND_PROCESS) return -EBADF;
    return kpio_handle_info(fd.handle, &info) < 0 ? -EBADF : (int64_t)info.object_id;
}

// A handle of its own on the process of that number, or a negative errno.
static int64_t find(struct lx_process *p, uint32_t pid) {
    int64_t result = -ESRCH;
    if (pid == p->pid) return kpio_handle_dup(p->handle, KPIO_RIGHTS_SAME);
    lx_lock(&p->children_lock);
    list_for_each_entry(child, &p->children, struct lx_child, node) {
        if (child->pid != pid) continue;
        result = kpio_handle_dup(child->handle, KPIO_RIGHTS_SAME);
        break;
    }
    lx_unlock(&p->children_lock);
    return result;
}

// ABI pidfd_open: the process itself and its children; others need posixd
LX_CALL(pidfd_open) {
    struct lx_process *p = lx_process(t);
    if ((uint32_t)a1 & ~LX_O_NONBLOCK || (int32_t)a0 <= 0) return -EINVAL;
    int64_t handle = find(p, (uint32_t)a0);
    return handle < 0 ? handle : install(p, (kpio_handle)handle);
}

// A folder of /proc stands for its process here, as it did before there were pidfds.
static int64_t pid_of_folder(struct lx_process *p, uint64_t number) {
    struct lx_fd fd;
    char path[KPIO_PATH_MAX];
    uint64_t pid;
    if (lx_fd_get(p, number, &fd) < 0 || fd.kind != LX_KIND_LOCAL || lx_local_path(&fd, path) != 0) return -EBADF;
    if (lx_local_of(path) != &lx_local_proc) return -EBADF;
    if (strcmp(path, "self") == 0) return p->pid;
    return text_to_u64(text_of(path), &pid) ? (int64_t)pid : -EBADF;
}

LX_CALL(pidfd_send_signal) {
    struct lx_process *p = lx_process(t);
    struct lx_siginfo info = {.number = (int32_t)a1, .code = LX_SI_USER, .sent = {.pid = (int32_t)p->pid, .uid = p->uid}};
    if ((uint32_t)a3 != 0) return -EINVAL;
    int64_t pid = lx_pidfd_pid(p, a0);
    if (pid < 0) pid = pid_of_folder(p, a0);
    if (pid < 0) return pid;
    const bool own = (uint32_t)pid == p->pid;
    if (a2 != 0) {
        int64_t error = lx_copy_in(&info, a2, sizeof info);
        if (error < 0) return error;
        if (info.number != (int32_t)a1) return -EINVAL;
        if (!own && (info.code >= 0 || info.code == LX_SI_TKILL)) return -EPERM;
        info.pad = 0;
    }
    if ((uint32_t)a1 > LX_SIGNALS) return -EINVAL;
    if (!own) return lx_posix_kill(t, pid, 0, &info);
    return a1 == 0 ? 0 : lx_signal_send_process(p, &info);
}
