#include "kernel/arch/x86_64/percpu.h"

#include "kernel/arch/x86_64/cpu_asm.h"
#include "kernel/arch/x86_64/features.h"
#include "kernel/arch/x86_64/kpti.h"
#include "kernel/arch/x86_64/trap.h"
#include "lib/string.h"

_Static_assert(sizeof(struct tss) == 104, "hardware layout");

struct __attribute__((packed)) table_pointer {
    uint16_t limit;
    uint64_t base;
};

static void gdt_init(struct arch_cpu *a) {
    uint64_t base = (uint64_t)&a->tss, limit = sizeof(a->tss) - 1;
    a->gdt[SELECTOR_KERNEL_CODE / 8] = 0x00af9b000000ffff;
    a->gdt[SELECTOR_KERNEL_DATA / 8] = 0x00cf93000000ffff;
    a->gdt[SELECTOR_USER_DATA / 8] = 0x00cff3000000ffff;
    a->gdt[SELECTOR_USER_CODE / 8] = 0x00affb000000ffff;
    a->gdt[SELECTOR_TSS / 8] = limit | (base & 0xffffff) << 16 | 0x89ull << 40 | (base >> 24 & 0xff) << 56;
    a->gdt[SELECTOR_TSS / 8 + 1] = base >> 32;
}

static void gdt_load(struct arch_cpu *a) {
    struct table_pointer pointer = {.limit = sizeof(a->gdt) - 1, .base = (uint64_t)a->gdt};
    __asm__ volatile("lgdt %0\n\t"
                     "pushq %1\n\t"
                     "leaq 1f(%%rip), %%rax\n\t"
                     "pushq %%rax\n\t"
                     "lretq\n"
                     "1:\n\t"
                     "movl %2, %%ss\n\t"
                     "movl %3, %%ds\n\t"
                     "movl %3, %%es\n\t"
                     "ltr %w4"
                     :
                     : "m"(pointer), "i"(SELECTOR_KERNEL_CODE), "r"(SELECTOR_KERNEL_DATA), "r"(0), "r"(SELECTOR_TSS)
                     : "rax", "memory");
}

void percpu_init(struct cpu *cpu, struct arch_cpu *a) {
    cpu->self = cpu;
    cpu->arch = a;
    a->cpu = cpu;
    a->timer_deadline = TIME_NEVER;
    a->tss.io_map = sizeof(a->tss);
    cpu->rsp0 = (uint64_t *)((char *)&a->tss + offsetof(struct tss, rsp));
    if (kpti_enabled) kpti_cpu_init(a);
    for (int i = 0; i < IST_COUNT; i++) {
        // The entry code finds the CPU in the word above the frame: it cannot trust GS there.
        struct cpu **top = (struct cpu **)(a->ist[i] + IST_SIZE - 16);
        *top = cpu;
        a->tss.ist[i] = (uint64_t)top;
    }
    gdt_init(a);
    gdt_load(a);
    // Loading a null selector may clear the GS base; put it back.
    cpu_wrmsr(MSR_GS_BASE, (uint64_t)cpu);
    cpu_wrmsr(MSR_KERNEL_GS_BASE, 0);
    cpu_wrmsr(MSR_FS_BASE, 0);
    cpu_features_enable();
    trap_load();
    cpu_wrmsr(MSR_TSC_AUX, cpu->id);
    cpu_wrmsr(MSR_STAR, (uint64_t)(SELECTOR_USER_DATA - 8) << 48 | (uint64_t)SELECTOR_KERNEL_CODE << 32);
    cpu_wrmsr(MSR_LSTAR, kpti_enabled ? (uint64_t)syscall_entry_kpti : (uint64_t)syscall_entry);
    cpu_wrmsr(MSR_CSTAR, (uint64_t)syscall_entry_compat);
    cpu_wrmsr(MSR_SFMASK, RFLAGS_TF | RFLAGS_IF | RFLAGS_DF | RFLAGS_IOPL | RFLAGS_NT | RFLAGS_AC);
}
