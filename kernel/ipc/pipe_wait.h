// Waiting in a pipe. Internal to kernel/ipc.
#pragma once
#include "kernel/ipc/pipe.h"

// pipe->lock is held. Wakes the waiters of a side: those through `via` (NULL: any); the first, or all.
// An end that is not its side's yet, and one that never will be. -ENFILE, -ENOMEM.
[[nodiscard]] int pipe_end_make(struct pipe *pipe, bool writer, struct pipe_end **out);
void pipe_end_unmake(struct pipe_end *end);
void pipe_unlink_waiter(struct thread *t);  // wait.unlink of those that wait
void pipe_wake_locked(struct pipe_side *side, const struct handle *via, bool all, int64_t result);
