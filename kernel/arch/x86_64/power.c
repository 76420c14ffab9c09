// The ways out: isa-debug-exit, ACPI, and what always worked on a PC.
#include "kernel/arch/x86_64/acpi.h"
#include "kernel/arch/x86_64/cpu_asm.h"
#include "kernel/arch/x86_64/ipi.h"
#include "kernel/core/panic.h"

#define DEBUG_EXIT_PORT 0xf4

// A machine takes a moment to obey.
static void wait_a_moment(void) {
    for (int i = 0; i < 10000000; i++) cpu_pause();
}

void arch_power_off(void) {
    __asm__ volatile("cli");
    ipi_stop_others();
    if (acpi_power_off()) wait_a_moment();
    port_out16(0x604, 0x2000);  // q35's PM1 control, should its tables be bad
    arch_halt();
}

void arch_reboot(void) {
    __asm__ volatile("cli");
    ipi_stop_others();
    if (acpi_reset()) wait_a_moment();
    port_out8(0xcf9, 0x06);
    wait_a_moment();
    port_out8(0x64, 0xfe);  // keyboard controller
    wait_a_moment();
    // A triple fault: no interrupt table, and a trap.
    struct __attribute__((packed)) {
        uint16_t limit;
        uint64_t base;
    } none = {0, 0};
    __asm__ volatile("lidt %0; int3" : : "m"(none));
    arch_halt();
}

void arch_exit(bool success) {
    __asm__ volatile("cli");
    port_out32(DEBUG_EXIT_PORT, success ? 0x10 : 0x11);
    arch_power_off();
}
