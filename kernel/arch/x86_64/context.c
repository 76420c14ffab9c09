#include "kernel/arch/x86_64/context.h"

#include "kernel/arch/x86_64/asm.h"
#include "kernel/arch/x86_64/percpu.h"
#include "kernel/arch/x86_64/trap.h"
#include "kernel/core/assert.h"
#include "lib/string.h"

extern char context_begin[];
[[gnu::noreturn]] void context_run(void (*entry)(void *arg), void *arg);

void context_run(void (*entry)(void *arg), void *arg) {
    entry(arg);
    panic("the entry function %p of a kernel stack returned", (void *)entry);
}

uint64_t context_prepare(uint64_t stack_top, void (*entry)(void *arg), void *arg) {
    uint64_t *sp = (uint64_t *)stack_top;
    *--sp = 0;
    *--sp = 0;  // context_run finds the stack as a call leaves it: 16-byte aligned before the push of the return address
    *--sp = (uint64_t)arg;
    *--sp = (uint64_t)entry;
    *--sp = (uint64_t)context_begin;
    return (uint64_t)sp;
}

void context_enter_user(const struct trap_frame *frame) {
    struct trap_frame *top = context_user_frame(this_cpu()->kernel_stack);
    verify(context_frame_valid(frame));
    memmove(top, frame, sizeof(*top));  // the caller's may lie on this very stack
    trap_return_user(top);
}

bool context_frame_valid(const struct trap_frame *f) {
    return f->rip < USER_MAX && f->cs == SELECTOR_USER_CODE && f->ss == SELECTOR_USER_DATA && f->rflags & RFLAGS_IF &&
           !(f->rflags & ~CONTEXT_RFLAGS_USER & ~(uint64_t)(RFLAGS_IF | RFLAGS_FIXED));
}

void context_frame_init(struct trap_frame *f, uint64_t rip, uint64_t rsp) {
    *f = (struct trap_frame){.vector = UINT64_MAX,
                             .rip = rip,
                             .cs = SELECTOR_USER_CODE,
                             .rflags = RFLAGS_FIXED | RFLAGS_IF,
                             .rsp = rsp,
                             .ss = SELECTOR_USER_DATA};
}

bool context_frame_set(struct trap_frame *f, uint64_t rip, uint64_t rsp, uint64_t rflags) {
    if (rip >= USER_MAX) return false;
    f->rip = rip;
    f->rsp = rsp;
    f->rflags = (rflags & CONTEXT_RFLAGS_USER) | RFLAGS_FIXED | RFLAGS_IF;
    f->cs = SELECTOR_USER_CODE;
    f->ss = SELECTOR_USER_DATA;
    return true;
}
