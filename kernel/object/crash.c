#include "kernel/object/crash.h"

#include "kernel/core/log.h"
#include "kernel/mm/aspace.h"
#include "lib/util.h"

const char *crash_kind_name(uint64_t kind) {
    static const char *const vectors[] = {
        "division by zero", "debug trap", "NMI", "breakpoint", "overflow", "bound exceeded", "invalid instruction",
        "no FPU", "double fault", "coprocessor overrun", "bad TSS", "segment missing", "bad stack segment",
        "protection fault", "page fault", "reserved fault", "x87 error", "alignment error", "machine check",
        "SIMD floating-point error", "virtualization fault", "control-flow fault",
    };
    switch (kind) {
    case KPIO_EXC_INTERRUPT: return "interrupt";
    case KPIO_EXC_NO_MEMORY: return "no memory for a page";
    case KPIO_EXC_REVOKED: return "access to revoked memory";
    case KPIO_EXC_RESTART: return "unusable restart area";
    default: return kind < ARRAY_SIZE(vectors) ? vectors[kind] : "unknown fault";
    }
}

void crash_report(struct thread_object *t, const struct trap_frame *f, uint64_t kind, uint64_t address,
                  const char *why) {
    const struct process *p = t->thread.process;
    log_warn("%s[%lu] thread %s[%lu] ended by %s at rip %#lx, address %#lx, error %#lx%s%s", p->name, p->id,
             t->thread.name, t->thread.id, crash_kind_name(kind), f->rip, address, f->error, why != NULL ? ", " : "",
             why != NULL ? why : "");
    log_warn("  rax %016lx rbx %016lx rcx %016lx rdx %016lx", f->rax, f->rbx, f->rcx, f->rdx);
    log_warn("  rsi %016lx rdi %016lx rbp %016lx rsp %016lx", f->rsi, f->rdi, f->rbp, f->rsp);
    log_warn("  r8  %016lx r9  %016lx r10 %016lx r11 %016lx", f->r8, f->r9, f->r10, f->r11);
    log_warn("  r12 %016lx r13 %016lx r14 %016lx r15 %016lx rflags %lx", f->r12, f->r13, f->r14, f->r15, f->rflags);
}
