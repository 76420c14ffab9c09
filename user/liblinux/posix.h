// What other processes of the session have to do with this one (protocols/posix.def): posixd knows them. Without it
// (process->posixd 0) a process is alone with its children.
#pragma once
#include "user/liblinux/signal.h"

// The process takes signals from here on, through the thread t. executed: by another program than the one that was forked.
void lx_posix_attach_program(struct lx_thread *t, bool executed);
// The same for a process that posixd knows, or its parent: through this thread, with the ids and the name that it has now.
void lx_posix_attach(struct lx_thread *t, kpio_handle thread);
// A thread ends that signals are told to: another one takes its place. signal_lock is not held.
void lx_posix_thread_gone(struct lx_thread *t);
[[nodiscard]] int64_t lx_posix_forked(struct lx_thread *t, uint32_t child, kpio_handle process);  // 0 or -EAGAIN
void lx_posix_reaped(struct lx_thread *t, uint32_t child);

// posixd knows of p->death_signal and p->reaper: 0, or why not; without posixd nobody would do it.
[[nodiscard]] int64_t lx_posix_care(struct lx_thread *t);
// Makes the orphans that are this process's children now known to it (p->reaper).
void lx_posix_adopt(struct lx_thread *t);
// Threads of the caller's user: a count, or a negative errno.
[[nodiscard]] int64_t lx_posix_count(struct lx_thread *t);

// Signals have come, or will have when the call ends: the thread fetches them before its program goes on.
void lx_posix_expect(struct lx_thread *t);
void lx_posix_fetch(struct lx_thread *t);
// kill(2) for anybody but the process itself; thread 0: to the process.
[[nodiscard]] int64_t lx_posix_kill(struct lx_thread *t, int64_t target, uint32_t thread, const struct lx_siginfo *info);
// Whether the process may stop by this signal: asked once it has.
[[nodiscard]] bool lx_posix_may_stop(struct lx_thread *t, uint32_t number);

// What posixd knows of a process (protocols/posix.def): in the thread's message page, up to the next call; NULL: nothing.
struct posix_look_reply;
[[nodiscard]] const struct posix_look_reply *lx_posix_look(struct lx_thread *t, uint32_t pid);
// The process with the next higher id; 0: there is none.
[[nodiscard]] uint32_t lx_posix_next(struct lx_thread *t, uint32_t after);

struct lx_ids {
    uint32_t parent, group, session;
};
// pid 0: the caller. 0, -ESRCH.
[[nodiscard]] int64_t lx_posix_ids(struct lx_thread *t, uint32_t pid, struct lx_ids *out);
