// Parents, process groups and sessions.
#include "abi/gen/stubs.h"
#include "protocols/gen/posix.h"
#include "user/liblinux/call.h"
#include "user/liblinux/node.h"
#include "user/liblinux/posix.h"

// Who became an orphan has another parent than at its start.
[[gnu::noinline]] static int64_t parent_now(struct lx_thread *t) {
    struct lx_ids ids;
    return lx_posix_ids(t, 0, &ids) == 0 ? ids.parent : lx_process(t)->ppid;
}

LX_CALL(getppid) { return lx_process(t)->posixd == KPIO_HANDLE_NONE ? lx_process(t)->ppid : parent_now(t); }

LX_CALL(getpgid) {
    struct lx_ids ids;
    int64_t error = (int32_t)a0 < 0 ? -ESRCH : lx_posix_ids(t, (uint32_t)a0, &ids);
    return error < 0 ? error : (int64_t)ids.group;
}

LX_CALL(getpgrp) {
    struct lx_ids ids;
    int64_t error = lx_posix_ids(t, 0, &ids);
    return error < 0 ? error : (int64_t)ids.group;
}

LX_CALL(getsid) {
    struct lx_ids ids;
    int64_t error = (int32_t)a0 < 0 ? -ESRCH : lx_posix_ids(t, (uint32_t)a0, &ids);
    return error < 0 ? error : (int64_t)ids.session;
}

// ABI setpgid: without posixd a process is the only one of its group and session
LX_CALL(setpgid) {
    const struct lx_process *p = lx_process(t);
    const struct posix_setpgid_request request = {LX_NODE_WHO(t), .target = (uint32_t)a0, .group = (uint32_t)a1};
    if ((int32_t)a1 < 0) return -EINVAL;
    if ((int32_t)a0 < 0) return -ESRCH;
    if (p->posixd <= 0) return -EPERM;
    int64_t result = lx_node_call(t, p->posixd, POSIX_SETPGID, &request, sizeof request, NULL, 0);
    return result < 0 ? result : 0;
}

LX_CALL(setsid) {
    const struct lx_process *p = lx_process(t);
    const struct posix_setsid_request request = {LX_NODE_WHO(t)};
    if (p->posixd <= 0) return -EPERM;
    int64_t result = lx_node_call(t, p->posixd, POSIX_SETSID, &request, sizeof request, NULL, 0);
    return result < 0 ? result : (int64_t)p->pid;
}
