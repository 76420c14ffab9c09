#include "kernel/arch/x86_64/panic_regs.h"

#include "kernel/arch/x86_64/cpu_asm.h"
#include "kernel/arch/x86_64/ipi.h"
#include "kernel/arch/x86_64/paging.h"
#include "kernel/core/log.h"

void panic_trap(const struct trap_frame *frame, const char *format, ...) {
    va_list args;
    va_start(args, format);
    panic_at(frame, frame->rip, frame->cs & 3 ? 0 : frame->rbp, format, args);
}

void arch_panic_registers(const void *registers) {
    const struct trap_frame *f = registers;
    if (f != NULL) {
        log_error("rip %016lx cs %02lx rflags %08lx vector %lu error %lx", f->rip, f->cs, f->rflags, f->vector, f->error);
        log_error("rax %016lx rbx %016lx rcx %016lx rdx %016lx", f->rax, f->rbx, f->rcx, f->rdx);
        log_error("rsi %016lx rdi %016lx rbp %016lx rsp %016lx", f->rsi, f->rdi, f->rbp, f->rsp);
        log_error("r8  %016lx r9  %016lx r10 %016lx r11 %016lx", f->r8, f->r9, f->r10, f->r11);
        log_error("r12 %016lx r13 %016lx r14 %016lx r15 %016lx", f->r12, f->r13, f->r14, f->r15);
    }
    log_error("cr0 %08lx cr2 %016lx cr3 %016lx cr4 %08lx gs %016lx", cpu_read_cr0(), cpu_read_cr2(), cpu_read_cr3(),
              cpu_read_cr4(), cpu_rdmsr(MSR_GS_BASE));
    log_error("cpu %u of %u, thread %p, kernel stack top %016lx, rsp %016lx", cpu_id(), cpu_count,
              (void *)current_thread(), this_cpu()->kernel_stack, (uint64_t)__builtin_frame_address(0));
}

bool arch_stack_readable(uint64_t address) {
    uint64_t size;
    if (address < USER_MAX || address > UINT64_MAX - 16) return false;
    paddr_t root = paddr(cpu_read_cr3() & PTE_ADDRESS);
    return paging_find(root, address, &size) != NULL && paging_find(root, address + 15, &size) != NULL;
}

bool arch_panic_begin(void) {
    static uint32_t panicking;  // CPU id + 1
    uint32_t nobody = 0, me = cpu_id() + 1;
    __asm__ volatile("cli");
    if (!__atomic_compare_exchange_n(&panicking, &nobody, me, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
        return nobody == me;
    ipi_stop_others();
    return true;
}

void arch_halt(void) {
    for (;;) __asm__ volatile("cli; hlt");
}
