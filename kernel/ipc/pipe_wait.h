// Waiting in a pipe. Internal to kernel/ipc.
#pragma once
#include "kernel/ipc/pipe.h"

// pipe->lock is held. Wakes the waiters of a side: those through `via` (NULL: any); the first, or all.
// An end that is not its side's yet, and one that never will be. -ENFILE, -ENOMEM.
[[nodiscard]] int pipe_end_make(struct pipe *pipe, bool writer, struct pipe_end **out);
void pipe_end_unmake(struct pipe_end *end);
void pipe_count_ends_locked(struct pipe *pipe);  // after its sides' ends changed: PIPE_MANY
// Tells the ends of a side, from its first on, which was found under the lock; within an RCU section, without locks.
static inline void pipe_signal_ends(struct pipe_end *first) {
    for (struct pipe_end *end = first; end != NULL; end = __atomic_load_n(&end->next, __ATOMIC_ACQUIRE)) object_signal(&end->object);
}
void pipe_unlink_waiter(struct thread *t);  // wait.unlink of those that wait
void pipe_wake_locked(struct pipe_side *side, const struct handle *via, bool all, int64_t result);
