// Exceptions: resolved by mm, by a fix-up, by the thread's exception entry, or fatal.
#include "kernel/arch/x86_64/trap.h"

#include "kernel/arch/x86_64/context.h"
#include "kernel/arch/x86_64/cpu_asm.h"
#include "kernel/arch/x86_64/extable.h"
#include "kernel/arch/x86_64/ipi.h"
#include "kernel/arch/x86_64/panic_regs.h"
#include "kernel/arch/x86_64/percpu.h"
#include "kernel/arch/x86_64/stack.h"
#include "kernel/core/log.h"

#define CHECK_FRAME(field, offset) _Static_assert(offsetof(struct trap_frame, field) == (offset), "asm.h")
CHECK_FRAME(r15, FRAME_R15);
CHECK_FRAME(rbp, FRAME_RBP);
CHECK_FRAME(rax, FRAME_RAX);
CHECK_FRAME(rdi, FRAME_RDI);
CHECK_FRAME(vector, FRAME_VECTOR);
CHECK_FRAME(rip, FRAME_RIP);
CHECK_FRAME(cs, FRAME_CS);
CHECK_FRAME(ss, FRAME_SS);
_Static_assert(sizeof(struct trap_frame) == FRAME_SIZE, "asm.h");
_Static_assert(offsetof(struct cpu, need_resched) == CPU_NEED_RESCHED, "asm.h");

struct __attribute__((packed)) idt_gate {
    uint16_t offset_low, selector;
    uint8_t ist, type;
    uint16_t offset_middle;
    uint32_t offset_high, reserved;
};
static struct idt_gate idt[256] __attribute__((aligned(4096)));

static const char *const exception_names[32] = {
    "divide error", "debug exception", "NMI", "breakpoint", "overflow", "bound range", "invalid opcode",
    "device not available", "double fault", "coprocessor overrun", "invalid TSS", "segment not present", "stack fault",
    "general protection fault", "page fault", "reserved", "x87 error", "alignment check", "machine check", "SIMD error",
    "virtualization exception", "control protection",
};

static void gate_set(const char *stubs, unsigned vector, unsigned ist, unsigned dpl) {
    uint64_t target = (uint64_t)stubs + 16ull * vector;
    idt[vector] = (struct idt_gate){
        .offset_low = (uint16_t)target,
        .offset_middle = (uint16_t)(target >> 16),
        .offset_high = (uint32_t)(target >> 32),
        .selector = SELECTOR_KERNEL_CODE,
        .ist = (uint8_t)ist,
        .type = (uint8_t)(0x8e | dpl << 5),  // interrupt gate: IF off
    };
}

void trap_use_stubs(const char *stubs) {
    for (unsigned v = 0; v < 256; v++) gate_set(stubs, v, 0, v == TRAP_BREAKPOINT ? 3 : 0);
    gate_set(stubs, TRAP_NMI, IST_NMI, 0);
    gate_set(stubs, TRAP_DOUBLE_FAULT, IST_DOUBLE_FAULT, 0);
    gate_set(stubs, TRAP_DEBUG, IST_DEBUG, 0);
    gate_set(stubs, TRAP_MACHINE_CHECK, IST_MACHINE_CHECK, 0);
}

void trap_init(void) { trap_use_stubs(trap_stubs); }

const void *trap_idt(void) { return idt; }

void trap_load(void) {
    struct __attribute__((packed)) {
        uint16_t limit;
        uint64_t base;
    } pointer = {.limit = sizeof(idt) - 1, .base = (uint64_t)idt};
    __asm__ volatile("lidt %0" : : "m"(pointer));
}

struct ex_entry {
    int32_t instruction, fixup;
};
extern const struct ex_entry ex_table_start[], ex_table_end[];

uint64_t ex_table_find(uint64_t rip) {
    for (const struct ex_entry *e = ex_table_start; e < ex_table_end; e++)
        if ((uint64_t)&e->instruction + (uint64_t)(int64_t)e->instruction == rip)
            return (uint64_t)&e->fixup + (uint64_t)(int64_t)e->fixup;
    return 0;
}

static const char *name_of(uint64_t vector) {
    return vector < 32 && exception_names[vector] != NULL ? exception_names[vector] : "unknown exception";
}

// clang's checks before an indirect call end in ud2; their addresses are listed.
static bool is_cfi_violation(const struct trap_frame *frame) {
    extern const char kcfi_traps_start[], kcfi_traps_end[];
    for (const char *at = kcfi_traps_start; at + 4 <= kcfi_traps_end; at += 4)
        if ((uint64_t)at + (uint64_t)(int64_t) * (const int32_t *)at == frame->rip) return true;
    return false;
}

static void kernel_exception(struct trap_frame *frame, uint64_t address) {
    uint64_t fixup = ex_table_find(frame->rip);
    bool memory = frame->vector == TRAP_PAGE_FAULT || frame->vector == TRAP_GENERAL_PROTECTION;
    if (memory && fixup != 0) {
        if (frame->vector == TRAP_PAGE_FAULT && address < USER_MAX && aspace_handle_fault(frame, address, frame->error))
            return;
        frame->rip = fixup;
        return;
    }
    if (frame->rip == (uint64_t)trap_iret || frame->rip == (uint64_t)trap_iret_kpti) {
        // The frame that iretq refused is the user's, at the top of the stack. It was checked when it was made, so only
        // a mistake of the kernel leads here; the process pays, not the machine.
        struct trap_frame *user = context_user_frame(this_cpu()->kernel_stack);
        log_error("return to user mode refused: rip %#lx cs %#lx ss %#lx rflags %#lx", user->rip, user->cs, user->ss,
                  user->rflags);
        *user = (struct trap_frame){.vector = TRAP_GENERAL_PROTECTION,
                                    .rsp = user->rsp,
                                    .cs = SELECTOR_USER_CODE,
                                    .ss = SELECTOR_USER_DATA,
                                    .rflags = RFLAGS_FIXED | RFLAGS_IF};
        exception_deliver(user, 0);
        trap_return_user(user);
    }
    if (frame->vector == TRAP_INVALID_OPCODE && is_cfi_violation(frame))
        panic_trap(frame, "indirect call to a function of another type (kCFI)");
    if (frame->vector == TRAP_PAGE_FAULT)
        panic_trap(frame, "page fault at %#lx: %s of %s%s", address,
                   frame->error & FAULT_FETCH ? "fetch" : frame->error & FAULT_WRITE ? "write" : "read",
                   address < USER_MAX ? "user memory" : "kernel memory",
                   frame->error & FAULT_PRESENT ? " (protection)" : " (not mapped)");
    panic_trap(frame, "%s in the kernel, error code %#lx", name_of(frame->vector), frame->error);
}

void trap_handle(struct trap_frame *frame) {
    uint64_t address = 0;
    if (frame->vector == TRAP_PAGE_FAULT) {
        address = cpu_read_cr2();
        if (likely(frame->cs & 3) && likely(address < USER_MAX) && aspace_handle_fault(frame, address, frame->error))
            return;
    } else if (frame->vector >= VECTOR_PIC) {
        irq_handle(frame);
        return;
    }
    if (frame->cs & 3)
        exception_deliver(frame, address);
    else
        kernel_exception(frame, address);
}

// NMI, double fault, machine check, and #DB in the kernel: on a stack of their own.
void trap_handle_paranoid(struct trap_frame *frame) {
    switch (frame->vector) {
    case TRAP_NMI:
        if (ipi_panic_stop_requested()) arch_halt();
        log_warn("unexpected NMI at %#lx", frame->rip);
        return;
    case TRAP_DEBUG:
        frame->rflags &= ~(uint64_t)RFLAGS_TF;
        return;
    case TRAP_DOUBLE_FAULT:
        if (kernel_stack_is_guard(cpu_read_cr2()) || kernel_stack_is_guard(frame->rsp - 8))
            panic_trap(frame, "kernel stack overflow");
        break;
    }
    panic_trap(frame, "%s, error code %#lx", name_of(frame->vector), frame->error);
}
