// clone and clone3.
#include "abi/gen/stubs.h"
#include "user/liblinux/call.h"
#include "user/liblinux/entry.h"
#include "user/liblinux/fork.h"
#include "user/liblinux/thread.h"

#define THREAD_NEEDS (LX_CLONE_VM | LX_CLONE_SIGHAND)
#define THREAD_TAKES                                                                                                               \
    (LX_CLONE_VM | LX_CLONE_FS | LX_CLONE_FILES | LX_CLONE_SIGHAND | LX_CLONE_THREAD | LX_CLONE_SYSVSEM | LX_CLONE_SETTLS |        \
     LX_CLONE_PARENT_SETTID | LX_CLONE_CHILD_CLEARTID | LX_CLONE_CHILD_SETTID | LX_CLONE_DETACHED | LX_CLONE_UNTRACED |            \
     LX_CLONE_PTRACE)

// ABI clone: a thread shares memory, signal actions, descriptors and directories (CLONE_VM, SIGHAND, FILES, FS), or EINVAL
static int64_t clone_thread(struct lx_thread *t, const struct lx_clone *how) {
    if ((how->flags & THREAD_NEEDS) != THREAD_NEEDS || how->flags & ~(uint64_t)THREAD_TAKES) return -EINVAL;
    if (!(how->flags & LX_CLONE_FILES) || !(how->flags & LX_CLONE_FS)) return -EINVAL;
    return lx_thread_clone(t, how);
}

static int64_t clone_any(struct lx_thread *t, const struct lx_clone *how) {
    if (how->flags & LX_CLONE_SIGHAND && !(how->flags & LX_CLONE_VM)) return -EINVAL;
    if (how->flags & LX_CLONE_THREAD) return clone_thread(t, how);
    return lx_process_clone(t, how);
}

LX_CALL(fork) {
    const struct lx_clone how = {.exit_signal = LX_SIGCHLD};
    return lx_process_clone(t, &how);
}

LX_CALL(vfork) {
    const struct lx_clone how = {.flags = LX_CLONE_VM | LX_CLONE_VFORK, .exit_signal = LX_SIGCHLD};
    return lx_process_clone(t, &how);
}

LX_CALL(clone) {
    const struct lx_clone how = {.flags = (a0 & 0xffffffff) & ~0xffull,
                                 .exit_signal = a0 & 0xff,
                                 .stack = a1,
                                 .parent_tid = a2,
                                 .pidfd = a2,
                                 .child_tid = a3,
                                 .tls = a4};
    if (how.flags & LX_CLONE_PIDFD && how.flags & LX_CLONE_PARENT_SETTID) return -EINVAL;  // both at one address
    return clone_any(t, &how);
}

#define CLONE3_SIZE 64u  // of the first version
#define CLONE3_NOW 88u
LX_CALL(clone3) {
    uint64_t words[CLONE3_NOW / 8] = {0};
    if (a1 > 4096) return -E2BIG;
    if (a1 < CLONE3_SIZE) return -EINVAL;
    int64_t error = lx_copy_in(words, a0, a1 < sizeof words ? a1 : sizeof words);
    for (uint64_t at = sizeof words; error == 0 && at < a1; at++) {
        uint8_t byte;
        error = lx_copy_in(&byte, a0 + at, 1);
        if (error == 0 && byte != 0) error = -E2BIG;
    }
    if (error < 0) return error;
    const struct lx_clone how = {.flags = words[0],
                                 .pidfd = words[1],
                                 .child_tid = words[2],
                                 .parent_tid = words[3],
                                 .exit_signal = words[4],
                                 .stack = words[5],
                                 .stack_size = words[6],
                                 .tls = words[7]};
    if (words[8] != 0 || words[9] != 0) return -EINVAL;  // set_tid: needs authority
    if (how.flags & (0xff | LX_CLONE_DETACHED) || how.exit_signal > LX_SIGNALS) return -EINVAL;
    if (how.flags & LX_CLONE_THREAD && how.exit_signal != 0) return -EINVAL;
    if ((how.stack == 0) != (how.stack_size == 0)) return -EINVAL;
    return clone_any(t, &how);
}
