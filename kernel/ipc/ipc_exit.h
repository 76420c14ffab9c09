// What the parts of ipc do when a thread ends. Internal to kernel/ipc.
#pragma once
#include "kernel/ipc/endpoint.h"

void endpoint_thread_exit(struct thread *t);
// Moves what the running thread owes into r; -EINVAL when it owes nothing.
[[nodiscard]] int reply_save_into(struct reply *r);
