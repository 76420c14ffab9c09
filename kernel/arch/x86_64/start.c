// The boot CPU at its final address: brings the processor and its platform up, in order, then enters the kernel proper.
#include "kernel/arch/x86_64/acpi.h"
#include "kernel/arch/x86_64/apic.h"
#include "kernel/arch/x86_64/boot.h"
#include "kernel/arch/x86_64/clock.h"
#include "kernel/arch/x86_64/context.h"
#include "kernel/arch/x86_64/cpu_asm.h"
#include "kernel/arch/x86_64/features.h"
#include "kernel/arch/x86_64/ioapic.h"
#include "kernel/arch/x86_64/paging.h"
#include "kernel/arch/x86_64/percpu.h"
#include "kernel/arch/x86_64/serial.h"
#include "kernel/arch/x86_64/trap.h"
#include "kernel/core/assert.h"
#include "kernel/core/log.h"
#include "kernel/core/options.h"
#include "kernel/core/panic.h"
#include "kernel/core/random.h"
#include "lib/string.h"

// On pages of their own: with KPTI they are mapped while user mode runs.
struct cpu cpus[CONFIG_MAX_CPUS] __attribute__((section(".bss.entry"), aligned(4096)));
uint32_t cpu_count = 1;
static struct arch_cpu boot_arch_cpu;

bool arch_rdrand(uint64_t *out) { return cpu_rdrand(out); }

// Bytes that arrive on the console raise ISA interrupt 4.
static void console_input_init(void) {
    uint32_t gsi;
    bool level, active_low;
    int vector = arch_vector_alloc(0, serial_interrupt, NULL);
    ioapic_isa(4, &gsi, &level, &active_low);
    if (vector < 0 || arch_gsi_route(gsi, 0, vector, level, active_low) != 0) {
        log_warn("console: no interrupt, so no input");
        return;
    }
    arch_gsi_mask(gsi, false);
    serial_enable_input();
}

static void problems_log(void) {
    if (boot_problems & BOOT_CMDLINE_CUT)
        log_warn("boot: the command line is longer than %zu bytes; the rest is ignored", sizeof(boot_info.cmdline) - 1);
    if (boot_problems & BOOT_BAD_INITRD) log_warn("boot: the boot archive does not lie in memory, ignored");
    if (boot_problems & BOOT_BAD_DISK) log_warn("boot: the disk image does not lie in memory, ignored");
    if (boot_problems & BOOT_MAP_CUT) log_warn("boot: the memory map is too long; some memory is not used");
}

static void memory_log(void) {
    uint64_t total = 0;
    for (unsigned i = 0; i < boot_info.ram_count; i++) total += boot_info.ram[i].size;
    log_info("memory: %lu MiB in %u ranges, kernel image %lu KiB, boot archive %lu KiB", total >> 20, boot_info.ram_count,
             boot_info.kernel.size >> 10, boot_info.initrd.size >> 10);
}

void boot_kernel(void) {
    struct cpu *cpu = this_cpu();
    serial_init();  // first: a panic below shall be seen
    cpu_features_detect();
    trap_init();
    cpu->online = true;
    percpu_init(cpu, &boot_arch_cpu);
    paging_init();
    fpu_init();
    random_init(boot_info.seed);
    cpu->stack_canary = random_u64() & ~0xffull;  // nothing on this stack returns any more; a zero byte stops strings
    boot_options_read(boot_info.cmdline);
    log_info("KPIO%s, command line \"%s\"", CONFIG_DEBUG ? " (debug)" : "", boot_info.cmdline);
    log_debug("kernel at %p, physical memory at %#lx", (void *)kernel_image_start, direct_map_base);
    memory_log();
    problems_log();
    pic_disable();
    acpi_init();
    acpi_madt_read();
    acpi_power_init();
    if (!apic_init(acpi_cpus.lapic_base)) panic("this machine has no local APIC");
    apic_enable();
    cpu->apic_id = apic_id();
    clock_init();
    rtc_init();
    console_input_init();
    kernel_main();
}
