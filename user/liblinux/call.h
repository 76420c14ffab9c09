// How a Linux system call is served: a function lx_NAME with the thread and the program's six arguments, which returns the
// result or a negative errno. syscalls.def names it; the table is generated.
#pragma once
#include "abi/gen/errors.h"
#include "user/liblinux/context.h"

#define LX_CALL(name)                                                                                                              \
    int64_t lx_##name(struct lx_thread *t, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5);          \
    int64_t lx_##name([[maybe_unused]] struct lx_thread *t, [[maybe_unused]] uint64_t a0, [[maybe_unused]] uint64_t a1,            \
                      [[maybe_unused]] uint64_t a2, [[maybe_unused]] uint64_t a3, [[maybe_unused]] uint64_t a4,                    \
                      [[maybe_unused]] uint64_t a5)

// Results of a call that a signal ended. lx_leave_pending makes them EINTR, or the call is made again.
#define LX_RESTART        512   // again, when the handler has SA_RESTART or there is none (ERESTARTSYS)
#define LX_RESTART_ALWAYS 513   // again
#define LX_RESTART_NOHAND 514   // again, when there was no handler
#define LX_RESTART_BLOCK  516   // as that, and it goes on waiting up to t->restart_deadline (lx_deadline_after, time.h)
