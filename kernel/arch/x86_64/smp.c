// Starts the other processors, one after the other: each runs the trampoline, takes its block and stack from the words
// below, reports itself online and goes to kernel_ap_main.
#include "kernel/arch/x86_64/acpi.h"
#include "kernel/arch/x86_64/apic.h"
#include "kernel/arch/x86_64/boot.h"
#include "kernel/arch/x86_64/cpu_asm.h"
#include "kernel/arch/x86_64/kpti.h"
#include "kernel/arch/x86_64/paging.h"
#include "kernel/arch/x86_64/percpu.h"
#include "kernel/arch/x86_64/stack.h"
#include "kernel/arch/x86_64/vmap.h"
#include "kernel/core/log.h"
#include "kernel/core/options.h"
#include "lib/string.h"
#include "lib/util.h"

#define ANSWER_NS 20000000u    // to the first startup message; then it is sent again
#define START_NS 10000000000u  // then the processor is given up; one that a hypervisor gives little time is slow

extern char smp_trampoline[], smp_trampoline_end[], smp_trampoline_root[], smp_trampoline_base[], smp_trampoline_target[],
    smp_entry[];
// Read by smp_entry.
struct cpu *smp_boot_cpu;
uint64_t smp_boot_stack, smp_boot_root;
[[gnu::noreturn]] void smp_started(struct cpu *cpu);

static void add32(char *at, uint32_t value) {
    uint32_t old;
    memcpy(&old, at, sizeof(old));
    old += value;
    memcpy(at, &old, sizeof(old));
}

static void trampoline_place(uint64_t page) {
    char *copy = phys_to_virt(paddr(page));
    uint64_t target = (uint64_t)smp_entry;
    uint32_t root = (uint32_t)(boot_info.kernel.base + ((uint64_t)boot_pml4 - (uint64_t)kernel_image_start));
    memcpy(copy, smp_trampoline, (size_t)(smp_trampoline_end - smp_trampoline));
    memcpy(copy + (smp_trampoline_target - smp_trampoline), &target, sizeof(target));
    memcpy(copy + (smp_trampoline_root - smp_trampoline), &root, sizeof(root));
    char *base = copy + (smp_trampoline_base - smp_trampoline);
    // The three words to adjust: see smp_entry.S.
    add32(base + 2, (uint32_t)page);   // GDT
    add32(base + 6, (uint32_t)page);   // far_32
    add32(base + 12, (uint32_t)page);  // far_64
}

static struct arch_cpu *arch_cpu_alloc(void) {
    const uint64_t flags = PTE_PRESENT | PTE_WRITE | PTE_NX | PTE_GLOBAL;
    uint64_t address = vmap_reserve(sizeof(struct arch_cpu));
    if (address == 0) return NULL;
    for (uint64_t at = 0; at < sizeof(struct arch_cpu); at += PAGE_SIZE) {
        paddr_t page = arch_page_alloc();
        if (page.v == 0 || paging_map_kernel(address + at, page, flags) != 0) return NULL;
        memset((void *)(address + at), 0, PAGE_SIZE);
    }
    return (struct arch_cpu *)address;
}

static bool wait_online(const struct cpu *cpu, nanos_t patience) {
    nanos_t end = arch_now() + patience;
    while (!__atomic_load_n(&cpu->online, __ATOMIC_ACQUIRE)) {
        if (arch_now() > end) return false;
        cpu_relax();
    }
    return true;
}

static bool cpu_start(uint32_t id, uint32_t apic, uint64_t page) {
    struct cpu *cpu = &cpus[id];
    cpu->arch = arch_cpu_alloc();
    uint64_t stack = kernel_stack_alloc();
    if (cpu->arch == NULL || stack == 0) {
        log_error("cpu %u: no memory", id);
        return false;
    }
    if (kpti_enabled) kpti_cpu_share(cpu->arch);
    cpu->self = cpu;
    cpu->id = id;
    cpu->apic_id = apic;
    cpu->kernel_stack = stack;
    // The same on all CPUs: a thread may leave a function on another CPU than it entered it on.
    cpu->stack_canary = this_cpu()->stack_canary;
    smp_boot_cpu = cpu;
    smp_boot_stack = stack;
    smp_boot_root = paging_kernel_root().v;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    apic_send_init(apic);
    apic_send_startup(apic, page);
    if (wait_online(cpu, ANSWER_NS)) return true;
    apic_send_startup(apic, page);
    if (wait_online(cpu, START_NS)) return true;
    apic_send_init(apic);  // back to sleep, so that it does not come up later; its memory stays set aside
    log_error("cpu %u (APIC %u) does not answer", id, apic);
    return false;
}

void arch_start_cpus(void) {
    uint32_t self = apic_id(), limit = (uint32_t)boot_options.maxcpus;
    kpti_init();
    if (acpi_cpus.count < 2 || limit < 2) return;
    if (boot_trampoline_page == 0) {
        log_error("no memory below 1 MiB to start other CPUs on");
        return;
    }
    trampoline_place(boot_trampoline_page);
    for (unsigned i = 0; i < acpi_cpus.count && cpu_count < limit; i++) {
        if (acpi_cpus.apic_id[i] == self) continue;
        if (!cpu_start(cpu_count, acpi_cpus.apic_id[i], boot_trampoline_page)) break;
    }
    log_info("%u CPUs online", cpu_count);
}

void smp_started(struct cpu *cpu) {
    percpu_init(cpu, cpu->arch);
    apic_enable();
    // From here on it is counted: its id is the next one, since CPUs start one by one.
    __atomic_store_n(&cpu_count, cpu->id + 1, __ATOMIC_RELEASE);
    __atomic_store_n(&cpu->online, true, __ATOMIC_RELEASE);
    kernel_ap_main();
}
