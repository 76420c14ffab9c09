// The TSC as the clock. Its rate: from CPUID where it is told; else measured for a fraction of a millisecond against the
// best reference there is. Under QEMU (TCG, KVM) that is the local APIC timer, which runs at exactly 1 GHz there.
#include "kernel/arch/x86_64/clock.h"

#include "kernel/arch/x86_64/acpi.h"
#include "kernel/arch/x86_64/apic.h"
#include "kernel/arch/x86_64/cpu_asm.h"
#include "kernel/arch/x86_64/features.h"
#include "kernel/arch/x86_64/muldiv.h"
#include "kernel/arch/x86_64/vmap.h"
#include "kernel/core/log.h"

#define HYPERVISOR_APIC_HZ 1000000000ull
#define MEASURE_NS 200000u
#define MAX_READS 100000u
#define TRIES 6

struct arch_clock arch_clock;

// A counter of known rate.
struct reference {
    const char *name;
    uint64_t (*read)(void);
    uint64_t hz, mask;
    bool down;
};

static uint16_t pm_port;
static volatile uint64_t *hpet;

static uint64_t read_apic(void) { return apic_timer_count(); }
static uint64_t read_pm(void) { return port_in32(pm_port); }
static uint64_t read_hpet(void) { return hpet[0xf0 / 8]; }
static uint64_t read_pit(void) {
    port_out8(0x43, 0x80);  // latch channel 2
    uint64_t low = port_in8(0x42);
    return low | (uint64_t)port_in8(0x42) << 8;
}

static bool is_qemu(void) {
    if (!cpu_features.hypervisor) return false;
    struct cpuid_regs r = cpu_cpuid(0x40000000, 0);
    return r.ebx == 0x54474354 /* TCGT */ || r.ebx == 0x4b4d564b /* KVMK */;
}

static bool hpet_found(struct reference *r) {
    uint64_t base = acpi_hpet_base();
    hpet = base != 0 ? vmap_boot(paddr(base), 0x400, true) : NULL;
    uint64_t period = hpet != NULL ? hpet[0] >> 32 : 0;  // femtoseconds
    if (period == 0 || period > 100000000) return false;
    hpet[0x10 / 8] |= 1;
    bool wide = hpet[0] & 1 << 13;
    *r = (struct reference){"HPET", read_hpet, 1000000000000000ull / period, wide ? UINT64_MAX : UINT32_MAX, false};
    return true;
}

static void reference_choose(struct reference *r) {
    bool wide;
    if (is_qemu()) {
        *r = (struct reference){"local APIC", read_apic, HYPERVISOR_APIC_HZ / APIC_TIMER_DIVIDE, UINT32_MAX, true};
        return;
    }
    if (hpet_found(r)) return;
    pm_port = acpi_pm_timer_port(&wide);
    if (pm_port != 0) {
        *r = (struct reference){"ACPI timer", read_pm, 3579545, wide ? UINT32_MAX : 0xffffff, false};
        return;
    }
    port_out8(0x61, (uint8_t)((port_in8(0x61) & ~2u) | 1));  // channel 2 on, speaker off
    port_out8(0x43, 0xb4);                                    // rate generator, both bytes
    port_out8(0x42, 0xff), port_out8(0x42, 0xff);
    *r = (struct reference){"PIT", read_pit, 1193182, 0xffff, true};
}

struct sample {
    uint64_t tsc, reference, apic;
};

// Reads clocks close together: of a few tries the one that an interruption of the virtual CPU disturbed least.
static struct sample sample_take(const struct reference *r) {
    struct sample best = {0};
    uint64_t shortest = UINT64_MAX;
    for (int i = 0; i < TRIES; i++) {
        uint64_t before = cpu_rdtsc();
        uint64_t reference = r->read();
        uint64_t apic = r->read == read_apic ? reference : apic_timer_count();
        uint64_t after = cpu_rdtsc();
        if (after - before >= shortest) continue;
        shortest = after - before;
        best = (struct sample){.tsc = before + (after - before) / 2, .reference = reference, .apic = apic};
    }
    return best;
}

static uint64_t elapsed(const struct reference *r, uint64_t from, uint64_t to) {
    return (r->down ? from - to : to - from) & r->mask;
}

// Returns false when the reference stands still.
static bool measure(const struct reference *r, uint64_t *tsc_hz, uint64_t *apic_hz) {
    uint64_t wanted = mul_div(MEASURE_NS, r->hz, 1000000000u), passed = 0;
    sample_take(r);  // the first pass is slow: caches, and translation under an emulator
    struct sample start = sample_take(r), end;
    for (unsigned reads = 0; reads < MAX_READS; reads++) {
        passed = elapsed(r, start.reference, r->read());
        if (passed >= wanted) break;
    }
    end = sample_take(r);
    passed = elapsed(r, start.reference, end.reference);
    if (passed < wanted / 2) return false;
    *tsc_hz = mul_div(end.tsc - start.tsc, r->hz, passed);
    *apic_hz = mul_div((start.apic - end.apic) & UINT32_MAX, r->hz, passed);
    return *tsc_hz != 0 && *apic_hz != 0;
}

// What CPUID tells; 0 where it does not.
static void rates_from_cpuid(uint64_t *tsc_hz, uint64_t *apic_hz) {
    if (cpu_features.hypervisor && cpu_features.hypervisor_max_leaf >= 0x40000010 &&
        cpu_features.hypervisor_max_leaf < 0x40000100) {
        struct cpuid_regs r = cpu_cpuid(0x40000010, 0);
        *tsc_hz = 1000ull * r.eax;
        *apic_hz = 1000ull * r.ebx / APIC_TIMER_DIVIDE;
        if (r.eax != 0 && r.ebx != 0) return;
    }
    if (cpu_cpuid(0, 0).eax < 0x15) return;
    struct cpuid_regs r = cpu_cpuid(0x15, 0);
    if (r.eax == 0 || r.ebx == 0 || r.ecx == 0) return;
    *tsc_hz = (uint64_t)r.ecx * r.ebx / r.eax;
    *apic_hz = r.ecx / APIC_TIMER_DIVIDE;  // the APIC timer runs at the crystal's rate then
}

static void scale_set(uint64_t hz) {
    unsigned shift = 31;
    uint64_t mult = (1000000000ull << shift) / hz;
    while (mult > UINT32_MAX) mult >>= 1, shift--;
    arch_clock.tsc_hz = hz;
    arch_clock.mult = (uint32_t)mult;
    arch_clock.shift = shift;
    arch_clock.base = boot_info.entry_tsc;
}

void clock_init(void) {
    uint64_t tsc_hz = 0, apic_hz = 0;
    const char *source = "CPUID";
    rates_from_cpuid(&tsc_hz, &apic_hz);
    if (tsc_hz == 0 || apic_hz == 0) {
        struct reference r;
        apic_timer_start(UINT32_MAX);
        reference_choose(&r);
        source = r.name;
        if (!measure(&r, &tsc_hz, &apic_hz)) {
            log_warn("clock: the %s stands still; assuming 1 GHz", r.name);
            tsc_hz = 1000000000u;
            apic_hz = HYPERVISOR_APIC_HZ / APIC_TIMER_DIVIDE;
        }
        apic_timer_start(0);
    }
    // A TSC below 1 MHz or above 100 GHz is a broken measurement.
    if (tsc_hz < 1000000u || tsc_hz > 100000000000u) tsc_hz = 1000000000u;
    scale_set(tsc_hz);
    apic_timer_setup(apic_hz);
    log_info("clock: TSC at %lu.%06lu MHz, APIC timer at %lu kHz, by %s", tsc_hz / 1000000, tsc_hz % 1000000,
             apic_hz / 1000, source);
}

uint64_t log_time(void) { return arch_clock.mult != 0 ? arch_now() : 0; }
