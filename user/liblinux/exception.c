// Exceptions of a thread: faults of the program, faults of liblinux at the program's addresses, and interrupts, which say
// that something is pending.
#include "abi/gen/errors.h"
#include "abi/gen/stubs.h"
#include "lib/util.h"
#include "user/liblinux/entry.h"
#include "user/liblinux/signal.h"
#include "user/liblinux/start.h"

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
}

void lx_exception(struct kpio_exception_frame *frame) {
    struct lx_thread *t = thread_of_stack(frame);
    const struct lx_space *space = lx_space(t);
    bool own = frame->rip >= space->liblinux && frame->rip < space->liblinux + space->liblinux_size;
    if (frame->kind == KPIO_EXC_INTERRUPT) {
        if (own) fix_interrupted(t, frame);
        else lx_deliver_interrupted(t, frame);
    } else if (own && in(frame->rip, lx_copy_begin, lx_copy_end)) frame->rip = (uint64_t)lx_copy_fault;
    else lx_deliver_fault(t, frame, own);
    int64_t error = lx_resume(frame);
    lx_start_fail(lx_process(t), "cannot resume", error);
}
