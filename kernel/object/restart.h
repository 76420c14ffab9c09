// Restart areas (struct kpio_restart_area in abi/types.h): where a thread reads which CPU it is on, and says in which section of
// code it must not be taken from that CPU unnoticed.
//
// Nothing is marked when a thread leaves its CPU: a program that was interrupted goes back to where it was by sched_exit_work or
// from a page fault that waited, and these look. In a system call it is in no section; there only another CPU matters, and
// whoever moves the thread sets PENDING_RESTART.
#pragma once
#include "kernel/sched/sched.h"

// The running thread's area; 0: none any more. -EINVAL: no place for one.
[[nodiscard]] int restart_set(uint64_t area, uint32_t signature);
// The running thread has none any more, also where it was marked to be told of another CPU.
void restart_forget(struct thread *t);
// t, which never ran, gets the same in its own memory.
void restart_inherit(struct thread *t, const struct thread *from);

// For the running thread, which has an area, on its way to user mode with *frame. May block. When the area cannot be used it is
// forgotten, and *frame leads to the exception entry.
void restart_serve(struct trap_frame *frame);
// The same, of the section alone: an exception is about to be entered. 0, or the kind of exception that is to be told, since the
// area could not be used and is forgotten.
[[nodiscard]] uint64_t restart_leave_section(struct trap_frame *frame);
