// Interrupts between processors. arch_call_cpus, cpu_relax and arch_send_reschedule are declared in arch.h and core.
#pragma once
#include "kernel/arch/x86_64/arch.h"

// Serves requests of other CPUs to this one.
void ipi_serve_calls(void);
// Stops all other CPUs by NMI, without waiting for them.
void ipi_stop_others(void);
bool ipi_panic_stop_requested(void);
