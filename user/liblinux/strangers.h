// Handles that no descriptor has: what a thread was about to make a descriptor of, or to close, when another one forked or ran another
// program. On Linux the copy of the table is all that a child gets; here the kernel gives it all handles.
#pragma once
#include "user/liblinux/context.h"

// Whether there can be any, as other threads run. signal_lock is held, or it does not matter who comes and goes.
static inline bool lx_strangers_possible(const struct lx_process *p) { return p->thread_count > 1; }
// Closes pipe ends and files that nobody here knows: for them a reader would wait for ever, or a lock would be held. The running thread is
// the only one that uses p's handles. Without memory they stay.
void lx_strangers_close(struct lx_process *p);
