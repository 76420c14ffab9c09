#include "kernel/object/exception.h"

#include "abi/gen/errors.h"
#include "kernel/arch/x86_64/asm.h"
#include "kernel/core/assert.h"
#include "kernel/core/log.h"
#include "kernel/mm/usercopy.h"
#include "kernel/object/crash.h"
#include "kernel/object/restart.h"
#include "kernel/sched/sched.h"
#include "lib/string.h"

// r15 .. rdi lie in struct trap_frame and struct kpio_exception_frame in one order. One word more is copied, which makes a
// string instruction of it: a vector to or from rip, which are set afterwards.
#define REGISTER_BYTES (offsetof(struct trap_frame, vector) + sizeof(uint64_t))
_Static_assert(REGISTER_BYTES == offsetof(struct kpio_exception_frame, rflags) - offsetof(struct kpio_exception_frame, r15),
               "general registers in one order");

#define NO_VECTOR UINT64_MAX  // of a frame that no exception made

struct exception {
    uint64_t kind, error, address;
};

// ---- delivery -------------------------------------------------------------------------------------------------------

// Writes state and frame to the exception stack and turns *frame to the entry. False: the stack is bad.
static bool frame_push(struct thread_object *t, struct trap_frame *frame, const struct exception *e) {
    uint64_t top = t->exception_stack + t->exception_stack_size;
    uint64_t xstate = (top - fpu_state_size) & ~63ull;
    uint64_t at = xstate - sizeof(struct kpio_exception_frame);
    if (at - 8 < t->exception_stack || at > top) return false;
    struct segment_bases bases;
    struct kpio_exception_frame out;
    segment_bases_save(&bases);
    out.kind = e->kind;
    out.error = e->error;
    out.address = e->address;
    out.xstate = xstate;
    out.xstate_size = fpu_state_size;
    memcpy(&out.r15, frame, REGISTER_BYTES);
    out.rip = frame->rip;
    out.rflags = frame->rflags;
    out.rsp = frame->rsp;
    out.fs_base = bases.fs;
    out.gs_base = bases.gs;
    out.reserved = 0;
    if (!fpu_save_user(xstate)) return false;
    if (copy_to_user(user_ptr(at), &out, sizeof(out)) != 0) return false;
    t->in_exception = true;
    frame->rip = t->exception_entry;
    frame->rsp = at - 8;
    frame->rdi = at;
    frame->rflags = RFLAGS_FIXED | RFLAGS_IF;
    return true;
}

[[gnu::noreturn]] static coldpath void process_crash(struct thread_object *t, const struct trap_frame *frame,
                                                     const struct exception *e, const char *why) {
    crash_report(t, frame, e->kind, e->address, why);
    process_kill(t->thread.process, (int32_t)(KPIO_STATUS_FAULT - (int32_t)e->kind));
    thread_exit();
}

// False: another exception than *e is to be told first, which *e becomes.
static coldpath bool leave_section(struct trap_frame *frame, struct exception *e) {
    uint64_t kind = restart_leave_section(frame);
    if (kind == 0) return true;
    *e = (struct exception){.kind = kind};
    return false;
}

void exception_deliver(struct trap_frame *frame, uint64_t address) {
    struct thread_object *t = thread_object(current_thread());
    struct exception e = {.kind = frame->vector, .error = frame->error, .address = address};
    if (t->thread.fault_reason != 0) {
        e.kind = t->thread.fault_reason;
        t->thread.fault_reason = 0;
    }
    if (t->in_exception) process_crash(t, frame, &e, "in the exception entry");
    if (t->exception_entry == 0) process_crash(t, frame, &e, NULL);
    if (unlikely(t->thread.restart_area != 0)) (void)leave_section(frame, &e);
    if (!frame_push(t, frame, &e)) process_crash(t, frame, &e, "and the exception stack cannot be written");
}

void exception_deliver_interrupt(struct trap_frame *frame) {
    struct thread_object *t = thread_object(current_thread());
    if (t->in_exception) {
        t->interrupt_waits = true;
        return;
    }
    struct exception e = {.kind = KPIO_EXC_INTERRUPT, .address = t->interrupt_cookie};
    if (t->exception_entry == 0) return;  // it has no entry: a blocked call has ended, that is all
    if (unlikely(t->thread.restart_area != 0)) t->interrupt_waits = !leave_section(frame, &e);
    if (!frame_push(t, frame, &e)) process_crash(t, frame, &e, "and the exception stack cannot be written");
}

// ---- return ---------------------------------------------------------------------------------------------------------

static bool is_user_base(uint64_t base) { return base < USER_MAX; }

int exception_return(struct user_ptr from, struct trap_frame *frame) {
    struct thread_object *t = thread_object(current_thread());
    struct kpio_exception_frame in;
    if (copy_from_user(&in, from, sizeof(in)) != 0) return -EFAULT;
    if (in.rip >= USER_MAX || !is_user_base(in.fs_base) || !is_user_base(in.gs_base)) return -EINVAL;
    if (in.xstate != 0) {
        bool fits = is_aligned(in.xstate, 64) && in.xstate_size == fpu_state_size;
        if (!fits || !user_range_valid(user_ptr(in.xstate), fpu_state_size)) return -EINVAL;
        if (!fpu_restore_user(in.xstate)) return -EINVAL;
    }
    const struct segment_bases bases = {.fs = in.fs_base, .gs = in.gs_base};
    segment_bases_load(&bases);
    memcpy(frame, &in.r15, REGISTER_BYTES);
    frame->vector = NO_VECTOR;
    if (!context_frame_set(frame, in.rip, in.rsp, in.rflags)) return -EINVAL;
    t->in_exception = false;
    if (unlikely(t->restart_waits)) {
        t->restart_waits = false;
        this_cpu()->need_resched = true;
    }
    if (t->interrupt_waits) {
        t->interrupt_waits = false;
        __atomic_fetch_or(&t->thread.pending, PENDING_INTERRUPT, __ATOMIC_RELEASE);
        this_cpu()->need_resched = true;  // the way to user mode looks
    }
    return 0;
}
