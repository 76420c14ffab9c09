// Calls that are not there: ENOSYS, and counted; of calls that are, what they leave out.
#pragma once
#include "user/liblinux/context.h"

#define LX_UNSERVED_MAX 512u  // numbers from the last on are counted together
// The number is in t->call.
int64_t lx_unserved(struct lx_thread *t, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5);
int64_t lx_unknown(struct lx_thread *t, uint64_t number);  // beyond the table
// The call that is served was asked for a flag, option or command that it does not know: counted; returns the error.
[[nodiscard]] int64_t lx_unserved_use(struct lx_thread *t, int64_t error);
// Each number that was asked for, and how often since the session began; `use`: what was asked of a call that is there. 0 or a negative
// errno.
[[nodiscard]] int64_t lx_unserved_counts(struct lx_thread *t, void (*each)(void *context, uint64_t number, bool use, uint64_t times),
                                         void *context);
