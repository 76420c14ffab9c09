// Interrupt vectors: dispatch, allocation, the idle wait and the preemption window.
#include "abi/gen/errors.h"
#include "kernel/arch/x86_64/apic.h"
#include "kernel/arch/x86_64/cpu_asm.h"
#include "kernel/arch/x86_64/ipi.h"
#include "kernel/arch/x86_64/percpu.h"
#include "kernel/arch/x86_64/trap.h"
#include "kernel/core/assert.h"
#include "kernel/core/log.h"
#include "kernel/core/rcu.h"
#include "kernel/core/spinlock.h"

static struct spinlock lock = SPINLOCK_INIT("irq_vectors");  // guards allocation; a leaf

static void device_interrupt(struct arch_cpu *a, unsigned vector) {
    struct vector_handler *h = &a->handlers[vector - IRQ_VECTOR_FIRST];
    // A vector that was just freed may still have been on its way. running_vector first, then the handler: see
    // arch_vector_free.
    __atomic_store_n(&a->running_vector, vector, __ATOMIC_SEQ_CST);
    void (*handler)(void *arg) = __atomic_load_n(&h->handler, __ATOMIC_SEQ_CST);
    if (handler != NULL) handler(h->arg);
    __atomic_store_n(&a->running_vector, 0, __ATOMIC_RELEASE);
    apic_eoi();
}

void irq_handle(struct trap_frame *frame) {
    struct cpu *cpu = this_cpu();
    unsigned vector = (unsigned)frame->vector;
    cpu->in_interrupt = true;
    // No longer idle for RCU: the handler may read shared objects.
    if (cpu->in_idle) __atomic_store_n(&cpu->in_idle, false, __ATOMIC_SEQ_CST);
    if (vector >= IRQ_VECTOR_FIRST && vector <= IRQ_VECTOR_LAST) {
        device_interrupt(cpu->arch, vector);
    } else if (vector == VECTOR_TIMER) {
        apic_eoi();
        apic_timer_interrupt();
    } else if (vector == VECTOR_RESCHEDULE) {
        apic_eoi();
        cpu->need_resched = true;
    } else if (vector == VECTOR_CALL) {
        apic_eoi();
        ipi_serve_calls();
    } else if (vector == VECTOR_APIC_ERROR) {
        apic_eoi();
        log_warn("local APIC error");
    } else if (vector != VECTOR_SPURIOUS && vector >= VECTOR_PIC + 16) {
        apic_eoi();
    }
    cpu->in_interrupt = false;
}

int arch_vector_alloc(uint32_t cpu, void (*handler)(void *arg), void *arg) {
    int result = -ENOSPC;
    if (cpu >= cpu_count || cpus[cpu].arch == NULL) return -EINVAL;
    struct arch_cpu *a = arch_cpu_of(cpu);
    spin_lock(&lock);
    for (int i = 0; i < IRQ_VECTOR_COUNT; i++) {
        if (a->handlers[i].handler != NULL) continue;
        a->handlers[i].arg = arg;
        __atomic_store_n(&a->handlers[i].handler, handler, __ATOMIC_RELEASE);
        result = IRQ_VECTOR_FIRST + i;
        break;
    }
    spin_unlock(&lock);
    return result;
}

void arch_vector_free(uint32_t cpu, int vector) {
    verify(cpu < cpu_count && vector >= IRQ_VECTOR_FIRST && vector <= IRQ_VECTOR_LAST);
    struct arch_cpu *a = arch_cpu_of(cpu);
    spin_lock(&lock);
    __atomic_store_n(&a->handlers[vector - IRQ_VECTOR_FIRST].handler, NULL, __ATOMIC_SEQ_CST);
    spin_unlock(&lock);
    if (cpu == cpu_id()) return;
    while (__atomic_load_n(&a->running_vector, __ATOMIC_SEQ_CST) == (uint32_t)vector) cpu_relax();
}

void arch_msi_message(uint32_t cpu, int vector, uint64_t *address, uint32_t *data) {
    *address = 0xfee00000ull | (uint64_t)(cpus[cpu].apic_id & 0xff) << 12;
    *data = (uint32_t)vector;
}

void arch_idle(void) {
    struct cpu *cpu = this_cpu();
    rcu_quiescent();
    __atomic_store_n(&cpu->in_idle, true, __ATOMIC_SEQ_CST);
    // A wake-up before the store is seen here; one after it sends an interrupt, which stays pending until hlt (sti opens
    // interrupts only behind the next instruction).
    if (!__atomic_load_n(&cpu->need_resched, __ATOMIC_SEQ_CST)) __asm__ volatile("sti; hlt; cli" : : : "memory");
    __atomic_store_n(&cpu->in_idle, false, __ATOMIC_SEQ_CST);
}

void arch_irq_window(void) { __asm__ volatile("sti; nop; cli" : : : "memory"); }
