// System-call numbers that are not ours: a process that registered an entry (the Linux ABI) serves them itself.
#include "kernel/syscall/args.h"

int64_t syscall_foreign(uint64_t nr, struct trap_frame *frame) {
    struct thread *t = current_thread();
    uint64_t entry = __atomic_load_n(&t->process->foreign_entry, __ATOMIC_RELAXED);
    if (entry == 0 || (nr >= SYSCALL_BASE && nr < SYSCALL_BASE + 0x1000)) return -ENOSYS;
    // Every register stays as it is but rcx and r11, which the instruction took; so does the red zone.
    t->block->foreign_rip = frame->rip;
    t->block->foreign_rsp = frame->rsp;
    t->block->foreign_rflags = frame->rflags;
    frame->rip = entry;
    frame->rcx = thread_object(t)->pages.user;
    return (int64_t)frame->rax;
}
