// Timers of the program: setitimer's three, and those of timer_create. A thread of liblinux's own, started with the first timer,
// sleeps until the next of them and sends its signal.
//
// process->signal_lock guards them: what a timer did and what became of its signal are looked at together.
#pragma once
#include "user/liblinux/signal.h"

// The signal of a timer was taken from its queue, or dropped: the number of times it fired meanwhile goes into *info. signal_lock
// held.
void lx_timer_taken_locked(struct lx_process *p, struct lx_siginfo *info);
// What a fork does: the child has no timers, but the limit of CPU time. It is the only thread.
void lx_timers_forked(struct lx_process *p);
// RLIMIT_CPU was set: 0, or -ENOMEM, -EAGAIN.
[[nodiscard]] int64_t lx_timers_limit(struct lx_process *p);
// What execve does: setitimer's go on in the new program, from `kept` (struct lx_launch); the others end. signal_lock held.
void lx_timers_stop_locked(struct lx_process *p, uint64_t kept[LX_ITIMERS][2]);
// 0, or -ENOMEM, -EAGAIN.
[[nodiscard]] int64_t lx_timers_go_on(struct lx_process *p, const uint64_t kept[LX_ITIMERS][2]);
