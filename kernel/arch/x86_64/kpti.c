#include "kernel/arch/x86_64/kpti.h"

#include "kernel/arch/x86_64/boot.h"
#include "kernel/arch/x86_64/cpu_asm.h"
#include "kernel/arch/x86_64/features.h"
#include "kernel/arch/x86_64/trap.h"
#include "kernel/arch/x86_64/vmap.h"
#include "kernel/core/assert.h"
#include "kernel/core/log.h"
#include "kernel/core/options.h"
#include "lib/text.h"

bool kpti_enabled;
paddr_t kpti_template;

// Maps what the kernel's own tables map there, with the same protection but not global.
static void share(const void *from, size_t size) {
    for (uint64_t at = (uint64_t)from & ~PAGE_MASK; at < (uint64_t)from + size; at += PAGE_SIZE) {
        uint64_t page;
        const pte_t *entry = paging_find(paging_kernel_root(), at, &page);
        pte_t *shared = paging_entry(NULL, kpti_template, at, PAGE_SIZE, true);
        if (entry == NULL || page != PAGE_SIZE || shared == NULL) panic("kpti: cannot map %#lx", at);
        *shared = *entry & ~(pte_t)PTE_GLOBAL;
    }
}

void kpti_cpu_share(struct arch_cpu *a) { share(a, ARCH_CPU_USER_PART); }

void kpti_cpu_init(struct arch_cpu *a) {
    a->kernel_root = a->user_root = paging_kernel_root().v;
    a->entry_stack_top = (uint64_t)a->entry_stack + ENTRY_STACK_SIZE;
    a->tss.rsp[0] = a->entry_stack_top;
    a->cpu->rsp0 = &a->rsp0_unused;
}

static bool wanted(void) {
    if (text_equal(boot_options.kpti, TEXT("on"))) return true;
    if (text_equal(boot_options.kpti, TEXT("off"))) return false;
    return !cpu_features.rdcl_no;
}

void kpti_init(void) {
    extern const char kernel_entry_start[], kernel_entry_end[];
    if (!wanted()) return;
    kpti_template = paging_table_alloc(NULL);
    if (kpti_template.v == 0) panic("kpti: no memory");
    // The entries of the top level that other CPUs' blocks will come under must exist before any process copies them.
    if (paging_entry(NULL, kpti_template, VMAP_BASE, PAGE_SIZE, true) == NULL) panic("kpti: no memory");
    share(kernel_entry_start, (size_t)(kernel_entry_end - kernel_entry_start));
    share(trap_idt(), PAGE_SIZE);
    share(cpus, sizeof(cpus));
    kpti_enabled = true;
    kpti_cpu_share(this_arch_cpu());
    kpti_cpu_init(this_arch_cpu());
    cpu_features_enable();
    trap_use_stubs(trap_stubs_kpti);
    cpu_wrmsr(MSR_LSTAR, (uint64_t)syscall_entry_kpti);
    paging_init();
    log_info("kpti: on");
}
