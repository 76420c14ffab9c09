// execve: what is looked at before the old program goes, and the launch block for the new one.
#pragma once
#include "user/libkpio/linux_launch.h"
#include "user/liblinux/context.h"

#define LX_SCRIPTS_MAX 5u           // "#!" in a row, as on Linux

struct lx_exec {
    struct lx_launch *launch;       // in a mapping of LX_LAUNCH_MAX bytes
    uint64_t used;                  // bytes of it
    kpio_handle program;            // to be executed, with READ and EXECUTE
};
// Collects path, arguments (with those of "#!" lines) and environment from the program's memory, and opens what is to run.
// 0 or a negative errno; lx_exec_end follows in every case.
[[nodiscard]] int64_t lx_exec_prepare(struct lx_thread *t, struct lx_exec *e, kpio_handle directory, uint64_t path, uint64_t arguments,
                                      uint64_t environment);
void lx_exec_end(struct lx_thread *t, struct lx_exec *e);
