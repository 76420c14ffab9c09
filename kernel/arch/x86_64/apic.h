// The local APIC, as xAPIC (memory mapped) or x2APIC (MSRs), and its timer.
#pragma once
#include "kernel/arch/x86_64/arch.h"

// Boot CPU: finds and maps it. False: there is none; then one CPU without a timer, which cannot run.
bool apic_init(uint64_t base);
void apic_enable(void);  // every CPU
uint32_t apic_id(void);
void apic_eoi(void);
void apic_send_ipi(uint32_t apic_id, int vector);
void apic_send_nmi(uint32_t apic_id);
void apic_send_init(uint32_t apic_id);
void apic_send_startup(uint32_t apic_id, uint64_t page);

// The timer counts down from `count` with the clock divided by 16, or stops with 0.
#define APIC_TIMER_DIVIDE 16
void apic_timer_start(uint32_t count);
uint32_t apic_timer_count(void);
// Tells the clock rate found (ticks after division per second) and picks the mode.
void apic_timer_setup(uint64_t hz);
void apic_timer_interrupt(void);
