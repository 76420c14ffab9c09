// The boot console's UART, for this folder. Output: arch_console_write (kernel/core/log.h); input: arch.h.
#pragma once
#include "kernel/arch/x86_64/arch.h"

bool serial_init(void);             // false: no UART; output is dropped
void serial_enable_input(void);     // once its interrupt is routed
void serial_interrupt(void *arg);
