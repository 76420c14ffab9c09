// Exceptions of a thread: faults of the program, faults of liblinux at the program's addresses, and interrupts, which say that
// something is pending.
//
// While a thread is in its exception entry a further fault ends the process. So nothing is done here but to note what happened: the
// signal's frame is built where a call's would be, on the thread's ordinary stack in liblinux, after the exception has ended. The
// program's extended state stays in the processor all the way.
#include "abi/gen/errors.h"
#include "abi/gen/stubs.h"
#include "lib/string.h"
#include "lib/util.h"
#include "user/libkpio/posix.h"
#include "user/liblinux/entry.h"
#include "user/liblinux/posix.h"
#include "user/liblinux/signal.h"
#include "user/liblinux/start.h"
#include "user/liblinux/trace.h"

_Static_assert(offsetof(struct kpio_exception_frame, rsp) - offsetof(struct kpio_exception_frame, r15) ==
                   offsetof(struct lx_registers, rsp),
               "registers in one order");

static struct lx_thread *thread_of_stack(const struct kpio_exception_frame *frame) {
    // The thread's structure lies behind its exception stack, in whose last page the extended state ends.
    return (struct lx_thread *)align_up(frame->xstate + frame->xstate_size, 4096);
}

static bool in(uint64_t address, const char *from, const char *to) { return address >= (uint64_t)from && address < (uint64_t)to; }

// liblinux was interrupted: the places that must not be left half done. What is pending is looked at when the call ends.
static void fix_interrupted(struct lx_thread *t, struct kpio_exception_frame *frame) {
    if (in(frame->rip, lx_leave, lx_leave_end)) {
        frame->rip = (uint64_t)lx_leave;
        frame->rsp = (uint64_t)lx_registers(t);
    } else if (in(frame->rip, lx_block_start, lx_block_end)) frame->rip = (uint64_t)lx_block_interrupted;
    else if (in(frame->rip, lx_resume_start, lx_resume_end)) frame->rip = (uint64_t)lx_resume_interrupted;
}

// The program was interrupted, or faulted: its registers go where those of a call are.
static void leave_program(struct lx_thread *t, struct kpio_exception_frame *frame) {
    struct lx_registers *registers = lx_registers(t);
    memcpy(registers, &frame->r15, sizeof *registers);
    t->whole = true;
    t->call = LX_NO_CALL;
    if (frame->kind != KPIO_EXC_INTERRUPT) {
        t->faulted = true;
        t->fault.kind = frame->kind;
        t->fault.error = frame->error;
        t->fault.address = frame->address;
    }
    frame->rip = (uint64_t)lx_leave_slowly_begin;
    frame->rsp = (uint64_t)registers;
    frame->rcx = (uint64_t)t;
    frame->rflags = 0;
}

void lx_exception(struct kpio_exception_frame *frame) {
    struct lx_thread *t = thread_of_stack(frame);
    const struct lx_space *space = lx_space(t);
    bool own = frame->rip >= space->liblinux && frame->rip < space->liblinux + space->liblinux_size;
    if (frame->kind == KPIO_EXC_INTERRUPT && frame->address == POSIX_MAIL) lx_posix_expect(t);
    if (frame->kind == KPIO_EXC_RESTART) lx_signal_kill(lx_process(t), LX_SIGSEGV);  // no handler hears of it
    if (lx_trace_native_step(t, frame)) {
    } else if (!own) leave_program(t, frame);
    else if (frame->kind == KPIO_EXC_INTERRUPT) fix_interrupted(t, frame);
    else if (in(frame->rip, lx_copy_begin, lx_copy_end)) frame->rip = (uint64_t)lx_copy_fault;
    else lx_start_fail(lx_process(t), "fault in liblinux", (int64_t)(frame->rip - space->liblinux));
    frame->xstate = 0;
    int64_t error = lx_exception_leave(frame);
    lx_start_fail(lx_process(t), "cannot resume", error);
}
