// Synchronous calls. Each CPU has a list head that others push requests on; the requests of a CPU lie in its own block,
// one per target, since it waits for all of them before it makes the next. The interrupt only makes the target look.
#include "kernel/arch/x86_64/ipi.h"

#include "kernel/arch/x86_64/apic.h"
#include "kernel/arch/x86_64/cpu_asm.h"
#include "kernel/arch/x86_64/percpu.h"
#include "kernel/arch/x86_64/trap.h"
#include "kernel/core/assert.h"
#include "kernel/core/rcu.h"

static bool panic_stop;

void ipi_serve_calls(void) {
    struct arch_cpu *a = this_arch_cpu();
    struct call_node *node = __atomic_exchange_n(&a->call_head, NULL, __ATOMIC_ACQUIRE);
    while (node != NULL) {
        struct call_node *next = node->next;
        node->fn(node->arg);
        __atomic_store_n(&node->done, true, __ATOMIC_RELEASE);  // the node is the caller's again
        node = next;
    }
}

void cpu_relax(void) {
    cpu_pause();
    if (unlikely(__atomic_load_n(&this_arch_cpu()->call_head, __ATOMIC_RELAXED) != NULL)) ipi_serve_calls();
}

static void push(struct arch_cpu *target, struct call_node *node) {
    struct call_node *head = __atomic_load_n(&target->call_head, __ATOMIC_RELAXED);
    do {
        node->next = head;
    } while (!__atomic_compare_exchange_n(&target->call_head, &head, node, true, __ATOMIC_RELEASE, __ATOMIC_RELAXED));
}

void arch_call_cpus(uint64_t mask, void (*fn)(void *arg), void *arg) {
    struct arch_cpu *me = this_arch_cpu();
    mask &= ~(1ull << cpu_id());
    assert(!me->calling);  // the function of a call makes no call: the requests lie in the caller's block
    me->calling = true;
    for (uint64_t rest = mask; rest != 0; rest &= rest - 1) {
        uint32_t id = (uint32_t)__builtin_ctzll(rest);
        struct call_node *node = &me->calls[id];
        if (id >= cpu_count || !cpus[id].online) {
            mask &= ~(1ull << id);
            continue;
        }
        *node = (struct call_node){.fn = fn, .arg = arg};
        push(arch_cpu_of(id), node);
        apic_send_ipi(cpus[id].apic_id, VECTOR_CALL);
    }
    for (uint64_t rest = mask; rest != 0; rest &= rest - 1) {
        struct call_node *node = &me->calls[__builtin_ctzll(rest)];
        while (!__atomic_load_n(&node->done, __ATOMIC_ACQUIRE)) cpu_relax();
    }
    me->calling = false;
}

void arch_send_reschedule(uint64_t mask) {
    for (; mask != 0; mask &= mask - 1) {
        uint32_t id = (uint32_t)__builtin_ctzll(mask);
        if (id == cpu_id())
            this_cpu()->need_resched = true;
        else if (id < cpu_count && cpus[id].online)
            apic_send_ipi(cpus[id].apic_id, VECTOR_RESCHEDULE);
    }
}

void ipi_stop_others(void) {
    __atomic_store_n(&panic_stop, true, __ATOMIC_SEQ_CST);
    for (uint32_t id = 0; id < cpu_count; id++)
        if (id != cpu_id() && cpus[id].online) apic_send_nmi(cpus[id].apic_id);
}

bool ipi_panic_stop_requested(void) { return __atomic_load_n(&panic_stop, __ATOMIC_SEQ_CST); }
