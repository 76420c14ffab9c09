// The library's own beginning in an address space.
#pragma once
#include "user/liblinux/context.h"
#include "user/libkpio/linux_launch.h"

// Called by entry.S, once per address space: builds the contexts from the launch block, loads the program, enters it.
[[gnu::noreturn]] void lx_start(struct lx_launch *launch, struct kpio_thread_block *block);
// Sets up the running thread for liblinux: its exception entry and its place in the block. 0 or a negative errno.
[[nodiscard]] int64_t lx_thread_adopt(struct lx_thread *t, struct kpio_thread_block *block);
// The structure of a thread whose area begins there.
struct lx_thread *lx_thread_place(uint64_t area);
// Says why on the console, where there is a way to it, and ends the process as Linux does with SIGKILL.
[[gnu::noreturn]] void lx_start_fail(const struct lx_process *p, const char *what, int64_t error);
