// Telling each Linux call with its arguments and its result. Whoever has KPIO_TRACE in the environment that it is started with is
// traced, and what it forks: 1 tells a call when it has ended, 2 when it begins too (for what never ends). The lines go to the
// console if whoever started the first program gave it the right (linux_spec.system), else to descriptor 2.
#pragma once
#include "user/liblinux/context.h"

enum { LX_TRACE_NONE, LX_TRACE_RESULTS, LX_TRACE_ALL };

// Looks at the environment, which is in place.
void lx_trace_begin(struct lx_process *p);
// Serves the call t->call (lx_entry_traced) and tells it.
int64_t lx_trace_call(struct lx_thread *t, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5);
