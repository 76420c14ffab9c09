// Copies of the running process, by process_fork.
#pragma once
#include <stddef.h>

#include "tests/guest/kt/kt.h"

// The copy runs run(arg) and ends with what it returns. With stack NULL it runs on one of the framework's, of which each copy
// has its own: not with KPIO_FORK_SHARE, and for one thread of the parent at a time. A handle or a negative errno.
int64_t kt_fork_on(uint32_t options, int64_t (*run)(void *), void *arg, void *stack, size_t size);
// ... and must come about.
kpio_handle kt_fork(int64_t (*run)(void *), void *arg);
// A new program for process_exec: the same one, in a copy of this address space, that runs run(arg) there. A handle on the copy
// or a negative errno; kt_exec then goes on in it, or returns an error.
struct kt_program {
    int64_t space;
    uint64_t stack;
};
struct kt_program kt_program_make(int64_t (*run)(void *), void *arg, void *stack, size_t size);
int64_t kt_exec(const struct kt_program *program);
// Both.
int64_t kt_exec_new(int64_t (*run)(void *), void *arg, void *stack, size_t size);
// Memory that forks share, zeroed; `size` in whole pages.
void *kt_shared(size_t size);
void kt_shared_end(void *memory, size_t size);
// Waits until *word is at least `least`, KT_HANG_MS at most. Any process, any thread.
bool kt_reaches(const uint32_t *word, uint32_t least);
