// Copies of the running process, by process_fork.
#pragma once
#include <stddef.h>

#include "tests/guest/kt/kt.h"

// The copy runs run(arg) and ends with what it returns. With stack NULL it runs on one of the framework's, of which each copy
// has its own: not with KPIO_FORK_SHARE, and for one thread of the parent at a time. A handle or a negative errno.
int64_t kt_fork_on(uint32_t options, int64_t (*run)(void *), void *arg, void *stack, size_t size);
// ... and must come about.
kpio_handle kt_fork(int64_t (*run)(void *), void *arg);
// Goes on in another address space, in which the same program is mapped: as a call of process_exec, but it runs run(arg) there.
int64_t kt_exec(kpio_handle space, int64_t (*run)(void *), void *arg, void *stack, size_t size);
// Makes such an address space, with a copy of this one; or a negative errno.
int64_t kt_aspace_copy(void);
// Memory that forks share, zeroed; `size` in whole pages.
void *kt_shared(size_t size);
void kt_shared_end(void *memory, size_t size);
// Waits until *word is at least `least`, 10 s at most. Any process, any thread.
bool kt_reaches(const uint32_t *word, uint32_t least);
