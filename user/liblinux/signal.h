// Signals: what is pending, what is done with each, and how a handler is entered and left.
#pragma once
#include "user/liblinux/context.h"

struct lx_signal_action {              // as rt_sigaction takes it
    uint64_t handler, flags, restorer, mask;
};
struct lx_signal_state {
    struct lx_signal_action actions[LX_SIGNALS + 1];  // [0] is not used
};

// All default, but those in `ignored`. 0 or -ENOMEM.
[[nodiscard]] int lx_signals_create(struct lx_process *p, uint64_t ignored);
// A fault of the program (or, `own`, of liblinux: then the process ends), or an interrupt of it: changes the frame.
void lx_deliver_fault(struct lx_thread *t, struct kpio_exception_frame *frame, bool own);
void lx_deliver_interrupted(struct lx_thread *t, struct kpio_exception_frame *frame);
// Exceptions of the thread arrive here (entry.S); returns by lx_resume.
[[noreturn]] void lx_exception(struct kpio_exception_frame *frame);
// Something is pending at the end of a call (entry.S): delivers signals, or makes the call again. The registers may change.
void lx_leave_pending(struct lx_thread *t, struct lx_registers *registers);
