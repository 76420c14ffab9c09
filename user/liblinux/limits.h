// Resource limits of a process. They stay over fork and exec. The first program of a session gets its job's quotas as the most of those
// that mean the same: resident memory, processes, descriptors. Enforced here are the number of descriptors (fd.h), the size of the
// address space, of data and of files, the stack of what is executed, CPU time (timer.h), queued signals (signal.h) and, where a
// program has set it, the number of threads of its user; the rest is bounded by the job, and told to who asks.
#pragma once
#include "user/liblinux/context.h"

#define LX_UNLIMITED UINT64_MAX
enum {
    LX_RLIMIT_CPU,
    LX_RLIMIT_FSIZE,
    LX_RLIMIT_DATA,
    LX_RLIMIT_STACK,
    LX_RLIMIT_NPROC = 6,
    LX_RLIMIT_NOFILE,
    LX_RLIMIT_AS = 9,
    LX_RLIMIT_SIGPENDING = 11
};
void lx_limits_default(struct lx_process *p);
// Neither the current limit nor the most is above it any more.
void lx_limit_lower(struct lx_process *p, unsigned which, uint64_t most);
// A limit with what is kept elsewhere.
struct lx_limit lx_limit_get(const struct lx_process *p, unsigned which);
// Whether the program may map so many bytes more; `data`: its own, to be written.
[[nodiscard]] bool lx_limit_memory(struct lx_thread *t, uint64_t more, bool data);
// What of *size bytes may be written to a file from `offset` on (KPIO_OFFSET_CURRENT: where it is), or at its end (`append`, or where
// it was opened so): 0 and *size, or -EFBIG and SIGXFSZ.
[[nodiscard]] int64_t lx_limit_write(struct lx_thread *t, kpio_handle file, int64_t offset, bool append, uint64_t *size);
// Whether the user may have one more thread or process: 0, -EAGAIN. User 0 always may.
[[nodiscard]] int64_t lx_limit_process(struct lx_thread *t);
// Whether a file may become so large: 0, or -EFBIG and SIGXFSZ.
[[nodiscard]] int64_t lx_limit_size(struct lx_thread *t, uint64_t size);
