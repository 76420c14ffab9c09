// Resource limits of a process. They stay over fork and exec. Enforced is the number of descriptors (fd.h); the others are told to
// who asks, as kernel memory, pages, processes and threads are bounded by the job.
#pragma once
#include "user/liblinux/context.h"

enum { LX_RLIMIT_STACK = 3, LX_RLIMIT_NOFILE = 7 };
void lx_limits_default(struct lx_process *p);
// A limit with what is kept elsewhere.
struct lx_limit lx_limit_get(const struct lx_process *p, unsigned which);
