// Exceptions and interrupts: the entry points, and who handles what.
#pragma once
#include "kernel/arch/x86_64/arch.h"

enum {
    TRAP_DIVIDE = 0,
    TRAP_DEBUG = 1,
    TRAP_NMI = 2,
    TRAP_BREAKPOINT = 3,
    TRAP_INVALID_OPCODE = 6,
    TRAP_DOUBLE_FAULT = 8,
    TRAP_GENERAL_PROTECTION = 13,
    TRAP_PAGE_FAULT = 14,
    TRAP_MACHINE_CHECK = 18,
    VECTOR_PIC = 0x20,  // 16 vectors that a masked 8259 may still raise
    VECTOR_TIMER = 0xe0,
    VECTOR_RESCHEDULE = 0xe1,
    VECTOR_CALL = 0xf0,  // in a priority class above all the others: see ipi.c
    VECTOR_APIC_ERROR = 0xfe,
    VECTOR_SPURIOUS = 0xff,
};
enum { FAULT_PRESENT = 1, FAULT_WRITE = 2, FAULT_USER = 4, FAULT_RESERVED = 8, FAULT_FETCH = 16 };

void trap_init(void);  // fills the IDT; boot CPU
void trap_use_stubs(const char *stubs);  // points its gates at trap_stubs or trap_stubs_kpti
void trap_load(void);  // loads it; every CPU
const void *trap_idt(void);

// In trap_entry.S / syscall_entry.S.
extern char trap_stubs[], trap_stubs_kpti[], trap_iret[], trap_iret_kpti[], syscall_entry[], syscall_entry_kpti[],
    syscall_entry_compat[];
[[gnu::noreturn]] void trap_return_user(struct trap_frame *frame);

// Called by the entry code.
void trap_handle(struct trap_frame *frame);
void trap_handle_paranoid(struct trap_frame *frame);

// irq.c: every vector from 0x20 on.
void irq_handle(struct trap_frame *frame);
