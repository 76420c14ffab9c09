// Threads of the program: how they come and go.
#pragma once
#include "user/liblinux/context.h"

enum {
    LX_CLONE_VM = 0x100,
    LX_CLONE_FS = 0x200,
    LX_CLONE_FILES = 0x400,
    LX_CLONE_SIGHAND = 0x800,
    LX_CLONE_PIDFD = 0x1000,
    LX_CLONE_PTRACE = 0x2000,
    LX_CLONE_VFORK = 0x4000,
    LX_CLONE_PARENT = 0x8000,
    LX_CLONE_THREAD = 0x10000,
    LX_CLONE_NEWNS = 0x20000,
    LX_CLONE_SYSVSEM = 0x40000,
    LX_CLONE_SETTLS = 0x80000,
    LX_CLONE_PARENT_SETTID = 0x100000,
    LX_CLONE_CHILD_CLEARTID = 0x200000,
    LX_CLONE_DETACHED = 0x400000,
    LX_CLONE_UNTRACED = 0x800000,
    LX_CLONE_CHILD_SETTID = 0x1000000
};

// What clone and clone3 ask for.
struct lx_clone {
    uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
};
// A further thread of t's process, which goes on behind the call with rax 0: its tid, or a negative errno.
[[nodiscard]] int64_t lx_thread_clone(struct lx_thread *t, const struct lx_clone *how);
// Called by entry.S in the new thread.
void lx_thread_first(struct lx_thread *t, struct kpio_thread_block *block);
// Ends the calling thread; the last one ends the process with this wait status.
[[gnu::noreturn]] void lx_thread_exit(struct lx_thread *t, uint64_t status);
// A thread of liblinux's own, which serves the process and is none of the program's: entry(t) does not return. NULL: no memory.
struct lx_thread *lx_thread_spawn(struct lx_process *p, void (*entry)(struct lx_thread *t));
