// FIFOs: pipes that are found by a path.
#pragma once
#include "kernel/fs/vfs/mount.h"
#include "kernel/ipc/pipe.h"

// The pipe of a FIFO, held (pipe_release), made for `job` when nobody has it open. The caller holds the place. -ENOMEM and its like.
[[nodiscard]] int fifo_pipe(struct job *job, const struct place *at, struct pipe **out);
