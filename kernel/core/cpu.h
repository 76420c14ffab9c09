// The per-CPU block and what every layer may ask about CPUs. GS base points to the running CPU's block while in the
// kernel; system-call entry reads the first fields by offset, so those are fixed by the asserts below.
#pragma once
#include <stddef.h>

#include "kernel/core/types.h"

struct thread;
struct aspace;
struct slub_cpu;
struct page_cpu_cache;
struct handle_pool;

struct cpu {
    struct cpu *self;             // %gs:0
    struct thread *current;       // %gs:8, the running thread; never NULL after sched_init
    uint64_t kernel_stack;        // %gs:16, top of the current thread's kernel stack (syscall entry)
    uint64_t user_rsp;            // %gs:24, scratch of syscall entry
    uint32_t id;                  // 0 .. cpu_count-1
    uint32_t apic_id;
    uint64_t stack_canary;        // %gs:40, compared by -fstack-protector
    bool need_resched;            // set by interrupts and wake-ups; acted on before user mode and at preemption points
    bool in_idle;                 // halted or about to: a wake-up must send an IPI
    bool in_interrupt;            // an interrupt handler runs; it must not block
    bool online;
    bool switch_work;             // `previous` ends or moves: the next thread sees to it (kernel/sched/switch.c)
    uint64_t quiescent;           // RCU: number of quiescent points passed; written by this CPU only
    struct thread *fpu_owner;     // whose extended state the registers hold, or NULL
    struct aspace *aspace;        // whose page tables CR3 holds (NULL: the kernel's own)
    void *arch;                   // struct arch_cpu: TSS, GDT, APIC state
    struct thread *previous;      // who ran before the context switch at work
    struct slub_cpu *slub;        // this CPU's part of every kmem_cache (kernel/mm/slub.h)
    uint64_t *rsp0;               // where the processor looks up the kernel stack on entry (arch; maybe misaligned)
    struct page_cpu_cache *pages; // this CPU's free single pages (kernel/mm/page_cpu_cache.h)
    struct handle_pool *handle_pool; // this CPU's free handles (kernel/object/handle_pool.h)
} cacheline_aligned;

_Static_assert(offsetof(struct cpu, current) == 8, "syscall entry reads %gs:8");
_Static_assert(offsetof(struct cpu, kernel_stack) == 16, "syscall entry reads %gs:16");
_Static_assert(offsetof(struct cpu, user_rsp) == 24, "syscall entry writes %gs:24");
_Static_assert(offsetof(struct cpu, stack_canary) == 40, "the Makefile tells the compiler %gs:40");

extern struct cpu cpus[CONFIG_MAX_CPUS];
extern uint32_t cpu_count;  // online CPUs; ids are dense

// The running CPU's block. The kernel migrates only where it blocks or passes a preemption point; volatile, so that the
// compiler asks again after such a place.
static inline struct cpu *this_cpu(void) {
    struct cpu *self;
    __asm__ volatile("movq %%gs:0, %0" : "=r"(self));
    return self;
}
static inline struct thread *current_thread(void) {
    struct thread *t;
    __asm__ volatile("movq %%gs:8, %0" : "=r"(t));
    return t;
}
static inline uint32_t cpu_id(void) {
    uint64_t id;
    __asm__ volatile("movl %%gs:32, %k0" : "=r"(id));
    if (id > UINT32_MAX) __builtin_unreachable();  // as an index it needs no extension
    return (uint32_t)id;
}
_Static_assert(offsetof(struct cpu, id) == 32, "cpu_id reads %gs:32");

// To be called in every loop that waits for another CPU: pauses, and serves synchronous requests of other CPUs (TLB
// shoot-down, panic stop), as interrupts are off in the kernel. Provided by arch.
void cpu_relax(void);
