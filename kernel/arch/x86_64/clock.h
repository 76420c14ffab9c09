// Finding the clock rates; see arch_now and struct arch_clock in arch.h.
#pragma once
#include "kernel/arch/x86_64/arch.h"

void clock_init(void);  // boot CPU; the local APIC is on. At most 1 ms
void rtc_init(void);    // arch_clock.realtime_base from the RTC
