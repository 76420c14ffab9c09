// Kernel stacks: 16 KiB each in the kernel's own virtual memory, with unmapped pages below, so that an overflow is a
// double fault and not a silent overwrite. A few per CPU are kept mapped for the next thread.
#pragma once
#include "kernel/core/types.h"

#define KERNEL_STACK_SIZE (PAGE_SIZE << CONFIG_KERNEL_STACK_ORDER)

// Returns the stack's top (16-byte aligned), or 0 when out of memory. The content is undefined.
uint64_t kernel_stack_alloc(void);
// Takes a stack that nobody runs on. May make the other CPUs flush their TLBs: no lock that they spin on without
// cpu_relax.
void kernel_stack_free(uint64_t top);
// Unmaps the kept stacks of this CPU. Returns the pages freed.
size_t kernel_stack_drain(void);
// Stacks that hold memory now, in use or kept.
uint64_t kernel_stack_count(void);
// Pages of the kept ones; approximate while other CPUs run.
uint64_t kernel_stack_kept_pages(void);
// Whether an address lies in a guard area: for the double-fault message.
bool kernel_stack_is_guard(uint64_t address);

// Provided by mm: one page of undefined content for the kernel itself, or 0.
paddr_t arch_page_alloc(void);
void arch_page_free(paddr_t page);
