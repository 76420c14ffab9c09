// Exceptions: faults and interrupts arrive in the thread itself, at the entry that it registered.
//
//   stack ┌───────────────┐ top, 64-byte aligned down
//         │ XSAVE area    │
//         │ struct kpio_  │
//    rdi─▶│ exception_frame│ 16-byte aligned; rsp - 8 as after a call
//         └───────────────┘
// While a thread is in its entry a further fault ends the process, and an interrupt waits. Faults without an entry end
// the process too: its status is then KPIO_STATUS_FAULT - kind, and the log says what happened where.
#pragma once
#include "kernel/object/process.h"

// For the running thread, on its way back to user mode with *frame.
void exception_deliver_interrupt(struct trap_frame *frame);
// thread_exception_return: 0, with *frame and the extended state replaced; or -EINVAL, -EFAULT.
[[nodiscard]] int exception_return(struct user_ptr from, struct trap_frame *frame);
