// New processes: fork, vfork, and the children that a process has.
#pragma once
#include "user/liblinux/thread.h"

struct lx_child {
    struct list_node node;          // process->children; guarded by process->children_lock
    uint32_t pid;
    kpio_handle handle;             // kernel process
    uint32_t exit_signal;           // sent to the parent at its end; 0: none
    bool watched, told;             // by the thread that tells of ends; told of its end already
    bool kept;                      // it ended when its end was to be waited for: SIGCHLD was not ignored then
    uint32_t report;                // wait status of a stop or continuation that was not waited for; 0: none
    uint64_t area;                  // of a child made by vfork: its first thread's, in this space; 0: none
};

// A child as `how` asks (without LX_CLONE_THREAD): its pid, or a negative errno.
[[nodiscard]] int64_t lx_process_clone(struct lx_thread *t, const struct lx_clone *how);
// The child's first steps (entry.S): the registers that it enters the program with are in place.
void lx_fork_first(struct lx_thread *t, struct kpio_thread_block *block);
// A process made by vfork leaves its parent's memory alone from here on (exec): the parent goes on.
void lx_vfork_done(struct lx_process *p);

// ---- children (children.c) ------------------------------------------------------------------------------------------------
void lx_children_init(struct lx_process *p);
// Takes over the handle. 0 or -ENOMEM.
[[nodiscard]] int64_t lx_child_add(struct lx_process *p, uint32_t pid, kpio_handle handle, uint32_t exit_signal, uint64_t area);
// The same of an orphan, if it is not known yet. The handle is closed when there is no memory: then nobody waits for it.
void lx_child_adopt(struct lx_process *p, uint32_t pid, kpio_handle handle);
// In a forked copy: the parent's children are none of its own.
void lx_children_forget(struct lx_process *p);
// A child has stopped or goes on, as this wait status says: who waits looks again.
void lx_child_changed(struct lx_process *p, uint32_t pid, uint32_t status);
// What is done with SIGCHLD is about to change: the ends that there were are dealt with as was said before.
void lx_children_settle(struct lx_thread *t);
// The process that a pidfd is for: its pid, or -EBADF.
[[nodiscard]] int64_t lx_pidfd_pid(struct lx_process *p, uint64_t number);
// A pidfd for the kernel process: its number or a negative errno.
[[nodiscard]] int64_t lx_pidfd_make(struct lx_process *p, kpio_handle process);
// SIGCHLD has a handler now, or is blocked so that it can be waited for: from here on ends are told.
void lx_children_watch(struct lx_process *p);
