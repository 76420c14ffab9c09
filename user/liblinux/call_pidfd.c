// pidfd: a handle on a kernel process.
#include "abi/gen/errors.h"
#include "abi/gen/stubs.h"
#include "user/liblinux/call.h"
#include "user/liblinux/fd_kinds.h"
#include "user/liblinux/fork.h"
#include "user/liblinux/lock.h"

const struct lx_fd_ops lx_pidfd_ops = {.read = lx_no_transfer, .write = lx_no_transfer, .stat = lx_anonymous_stat};

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
    if (handle < 0) return handle;
    const struct lx_fd fd = {.kind = LX_KIND_PROCESS, .flags = LX_FD_READ | LX_FD_WRITE | LX_FD_CLOEXEC, .handle = (kpio_handle)handle};
    return lx_fd_install(p, &fd, 0);
}
