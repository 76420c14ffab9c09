// Synchronous calls. Each CPU has a list head that others push requests on; the requests of a CPU lie in its own block,
// one per target, since it waits for all of them before it makes the next. The interrupt only makes the target look.
//
// A target that is a virtual CPU may not run for milliseconds. A caller that has looked often sleeps until it is told, which
// leaves a processor of the host to the target:
//
//   caller: call_sleeps = true; fence; look at done; hlt       target: done = true; fence; look at call_sleeps; interrupt
//
// It may hold locks, so nothing but VECTOR_CALL may interrupt that sleep: its priority class is above all others'.
#include "kernel/arch/x86_64/ipi.h"

#include "kernel/arch/x86_64/apic.h"
#include "kernel/arch/x86_64/cpu_asm.h"
#include "kernel/arch/x86_64/percpu.h"
#include "kernel/arch/x86_64/trap.h"
#include "kernel/core/assert.h"
#include "kernel/core/rcu.h"

#define LOOKS 256u  // before a caller sleeps: far longer than a CPU that runs takes to answer

static bool panic_stop;

void ipi_serve_calls(void) {
    struct arch_cpu *a = this_arch_cpu();
    struct call_node *node = __atomic_exchange_n(&a->call_head, NULL, __ATOMIC_ACQUIRE);
    while (node != NULL) {
        struct call_node *next = node->next;
        uint32_t caller = node->caller;
        node->fn(node->arg);
        __atomic_store_n(&node->done, true, __ATOMIC_SEQ_CST);  // the node is the caller's again
        if (unlikely(__atomic_load_n(&arch_cpu_of(caller)->call_sleeps, __ATOMIC_SEQ_CST)))
            apic_send_ipi(cpus[caller].apic_id, VECTOR_CALL);
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

static bool is_done(const struct call_node *node) { return __atomic_load_n(&node->done, __ATOMIC_SEQ_CST); }

// An interrupt that came before hlt stays pending until then (sti opens interrupts only behind the next instruction).
static void sleep_for_answer(struct arch_cpu *me, const struct call_node *node) {
    __atomic_store_n(&me->call_sleeps, true, __ATOMIC_SEQ_CST);
    if (!is_done(node) && __atomic_load_n(&me->call_head, __ATOMIC_SEQ_CST) == NULL) {
        cpu_write_cr8((VECTOR_CALL >> 4) - 1);
        __asm__ volatile("sti; hlt; cli" : : : "memory");
        cpu_write_cr8(0);
    }
    __atomic_store_n(&me->call_sleeps, false, __ATOMIC_RELAXED);
}

static void await(struct arch_cpu *me, const struct call_node *node) {
    for (unsigned look = 0; !is_done(node); look++) {
        cpu_relax();
        if (look >= LOOKS && !this_cpu()->in_interrupt) sleep_for_answer(me, node);
    }
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
        *node = (struct call_node){.fn = fn, .arg = arg, .caller = cpu_id()};
        push(arch_cpu_of(id), node);
        apic_send_ipi(cpus[id].apic_id, VECTOR_CALL);
    }
    for (uint64_t rest = mask; rest != 0; rest &= rest - 1) await(me, &me->calls[__builtin_ctzll(rest)]);
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
