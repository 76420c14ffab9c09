// Kernel page-table isolation, for processors that are open to Meltdown (or with kpti=on): user mode runs on page tables
// of its own that map, of the kernel, the entry code, the interrupt table, and per CPU what an entry touches first.
#pragma once
#include "kernel/arch/x86_64/paging.h"
#include "kernel/arch/x86_64/percpu.h"

extern bool kpti_enabled;
extern paddr_t kpti_template;  // a root whose kernel half is that of user mode's tables

// Decides, and switches the boot CPU over. Memory is up, no process exists yet.
void kpti_init(void);
// Makes one more CPU's block visible in user mode's tables. On the boot CPU: the other has no stock of pages yet.
void kpti_cpu_share(struct arch_cpu *a);
// Has the running CPU enter through its own entry stack. Called by percpu_init.
void kpti_cpu_init(struct arch_cpu *a);
