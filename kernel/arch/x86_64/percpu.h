// What the architecture keeps for each CPU beside struct cpu. The boot CPU's is static, the others' come from vmap pages.
#pragma once
#include "kernel/arch/x86_64/arch.h"
#include "kernel/arch/x86_64/asm.h"

struct __attribute__((packed)) tss {
    uint32_t reserved0;
    uint64_t rsp[3];
    uint64_t reserved1;
    uint64_t ist[7];
    uint64_t reserved2;
    uint16_t reserved3, io_map;
};

enum { IST_NMI = 1, IST_DOUBLE_FAULT, IST_DEBUG, IST_MACHINE_CHECK, IST_COUNT = IST_MACHINE_CHECK };
#define IST_SIZE 4096

// One request of a synchronous call, in the list of the CPU that shall serve it.
struct call_node {
    struct call_node *next;
    void (*fn)(void *arg);
    void *arg;
    uint32_t caller;  // CPU id
    bool done;
};

struct vector_handler {
    void (*handler)(void *arg);
    void *arg;
};

#define IRQ_VECTOR_COUNT (IRQ_VECTOR_LAST - IRQ_VECTOR_FIRST + 1)

#define ENTRY_STACK_SIZE 1024

struct arch_cpu {
    // With KPTI, these pages and no others of a CPU are mapped while user mode runs: what the processor reads by itself.
    struct tss tss;
    uint64_t kernel_root, user_root;      // CR3 for kernel and user mode; 0 without KPTI. Known to trap_entry.S
    uint64_t entry_stack_top;
    uint64_t gdt[8];
    uint8_t entry_stack[ENTRY_STACK_SIZE] __attribute__((aligned(16)));
    uint8_t ist[IST_COUNT][IST_SIZE] __attribute__((aligned(PAGE_SIZE)));
    // ---- not mapped then ----
    struct cpu *cpu __attribute__((aligned(PAGE_SIZE)));
    uint64_t rsp0_unused;                 // takes the writes of context_set_kernel_stack with KPTI
    uint32_t running_vector;              // device vector whose handler runs now, or 0
    nanos_t timer_deadline;               // what arch_timer_set was last told
    bool calling;                         // arch_call_cpus runs
    bool call_sleeps;                     // and waits for an interrupt that says that a call is done
    struct call_node *call_head cacheline_aligned;  // requests to this CPU, pushed by others
    struct call_node calls[CONFIG_MAX_CPUS];        // requests by this CPU, one per target
    struct vector_handler handlers[IRQ_VECTOR_COUNT];
};
#define ARCH_CPU_USER_PART offsetof(struct arch_cpu, cpu)
_Static_assert(offsetof(struct arch_cpu, kernel_root) == ARCH_CPU_KERNEL_ROOT, "asm.h");
_Static_assert(offsetof(struct arch_cpu, user_root) == ARCH_CPU_USER_ROOT, "asm.h");
_Static_assert(offsetof(struct arch_cpu, entry_stack_top) == ARCH_CPU_ENTRY_STACK, "asm.h");
_Static_assert(offsetof(struct cpu, arch) == CPU_ARCH, "asm.h");

static inline struct arch_cpu *this_arch_cpu(void) { return this_cpu()->arch; }
static inline struct arch_cpu *arch_cpu_of(uint32_t id) { return cpus[id].arch; }

// Loads GDT, TSS, IDT, control registers and system-call MSRs on the running CPU. a is zeroed memory.
void percpu_init(struct cpu *cpu, struct arch_cpu *a);
