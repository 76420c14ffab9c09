// A machine for host tests of VMOs and address spaces: RAM whose free pages are poisoned, page tables as the hardware
// reads them, a translation buffer that keeps what it has seen until told otherwise, and quotas and allocations that can
// be made to fail.
#pragma once
#include "kernel/mm/aspace.h"

struct job;
extern struct job *vm_job;         // unlimited unless vm_limit
extern struct job *vm_other_job;

// Empties the machine's counters and starts it, once per test.
void vm_start(void);
// Runs what is left for the reaper and checks that no page, object or charge is left over.
void vm_check_empty(void);
void vm_limit(struct job *job, int what, uint64_t limit);
uint64_t vm_used(const struct job *job, int what);
// The n-th allocation or charge from now fails, and every later one; 0: none does.
void vm_fail_after(uint64_t n);
bool vm_has_failed(void);
// Called at every preemption point; NULL: nothing.
extern void (*vm_preempt)(void);
uint64_t vm_free_pages(void);
uint64_t vm_object_bytes(void);  // of objects from caches (slub_alloc)
uint64_t vm_flushes(void);  // translation-buffer flushes so far

// A byte of the current address space as a program would read or write it, with faults served: 0 or what aspace_fault
// said. vm_execute: as an instruction fetch.
void vm_load(struct aspace *a);
int vm_read(uint64_t address, uint8_t *value);
int vm_write(uint64_t address, uint8_t value);
int vm_execute(uint64_t address);
