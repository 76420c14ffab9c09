#include "kernel/arch/x86_64/apic.h"

#include "kernel/arch/x86_64/cpu_asm.h"
#include "kernel/arch/x86_64/features.h"
#include "kernel/arch/x86_64/muldiv.h"
#include "kernel/arch/x86_64/percpu.h"
#include "kernel/arch/x86_64/trap.h"
#include "kernel/arch/x86_64/vmap.h"
#include "kernel/core/log.h"

enum {
    REG_ID = 0x20,
    REG_TPR = 0x80,
    REG_EOI = 0xb0,
    REG_SPURIOUS = 0xf0,
    REG_ICR_LOW = 0x300,
    REG_ICR_HIGH = 0x310,
    REG_LVT_TIMER = 0x320,
    REG_LVT_LINT0 = 0x350,
    REG_LVT_LINT1 = 0x360,
    REG_LVT_ERROR = 0x370,
    REG_TIMER_INITIAL = 0x380,
    REG_TIMER_CURRENT = 0x390,
    REG_TIMER_DIVIDE = 0x3e0,
};
enum { LVT_MASKED = 1 << 16, LVT_NMI = 4 << 8, TIMER_TSC_DEADLINE = 2 << 17 };
enum { ICR_NMI = 4 << 8, ICR_INIT = 5 << 8, ICR_STARTUP = 6 << 8, ICR_ASSERT = 1 << 14, ICR_PENDING = 1 << 12 };
#define APIC_BASE_X2 (1ull << 10)
#define APIC_BASE_ENABLE (1ull << 11)
#define ICR_SPIN 1000000

static volatile uint32_t *registers;  // xAPIC
static bool x2apic;
static bool deadline_mode;
static uint64_t timer_hz;
static uint64_t ns_to_ticks;  // 32.32: ticks per nanosecond

static uint32_t apic_read(unsigned reg) {
    return x2apic ? (uint32_t)cpu_rdmsr(MSR_X2APIC + reg / 16) : registers[reg / 4];
}
static void apic_write(unsigned reg, uint32_t value) {
    if (x2apic)
        cpu_wrmsr(MSR_X2APIC + reg / 16, value);
    else
        registers[reg / 4] = value;
}

bool apic_init(uint64_t base) {
    if (!(cpu_cpuid(1, 0).edx & 1 << 9)) return false;
    x2apic = cpu_features.x2apic;
    if (x2apic) return true;
    if (base == 0) base = cpu_rdmsr(MSR_APIC_BASE) & 0xfffffffff000ull;
    registers = vmap_boot(paddr(base), PAGE_SIZE, true);
    return registers != NULL;
}

void apic_enable(void) {
    uint64_t base = cpu_rdmsr(MSR_APIC_BASE);
    cpu_wrmsr(MSR_APIC_BASE, base | APIC_BASE_ENABLE | (x2apic ? APIC_BASE_X2 : 0));
    apic_write(REG_TPR, 0);
    apic_write(REG_LVT_LINT0, LVT_MASKED);
    apic_write(REG_LVT_LINT1, LVT_NMI);
    apic_write(REG_LVT_ERROR, VECTOR_APIC_ERROR);
    apic_write(REG_TIMER_DIVIDE, 3);  // by 16
    apic_write(REG_LVT_TIMER, VECTOR_TIMER | (deadline_mode ? TIMER_TSC_DEADLINE : 0));
    apic_write(REG_SPURIOUS, 0x100 | VECTOR_SPURIOUS);
}

uint32_t apic_id(void) { return x2apic ? apic_read(REG_ID) : apic_read(REG_ID) >> 24; }
void apic_eoi(void) { apic_write(REG_EOI, 0); }

static void send(uint32_t target, uint32_t low) {
    if (x2apic) {
        // The MSR write does not order earlier stores, which the target shall see.
        __asm__ volatile("mfence; lfence" : : : "memory");
        cpu_wrmsr(MSR_X2APIC + REG_ICR_LOW / 16, (uint64_t)target << 32 | low);
        return;
    }
    for (unsigned i = 0; i < ICR_SPIN && apic_read(REG_ICR_LOW) & ICR_PENDING; i++) cpu_pause();
    apic_write(REG_ICR_HIGH, target << 24);
    apic_write(REG_ICR_LOW, low);
}

// QEMU's emulation drops locked instructions' order with one CPU, and before version 8.1 mfence too, though its devices
// run on threads of their own. It takes a lock for a device register, whose order it cannot drop; the local APIC's are the
// nearest. Where it has an x2APIC it is new enough for mfence.
void arch_device_fence(void) {
    __asm__ volatile("mfence" : : : "memory");
    if (cpu_features.emulated && !x2apic) (void)apic_read(REG_ID);
}

void apic_send_ipi(uint32_t target, int vector) { send(target, ICR_ASSERT | (uint32_t)vector); }
void apic_send_nmi(uint32_t target) { send(target, ICR_ASSERT | ICR_NMI); }
void apic_send_init(uint32_t target) { send(target, ICR_ASSERT | ICR_INIT); }
void apic_send_startup(uint32_t target, uint64_t page) { send(target, ICR_ASSERT | ICR_STARTUP | (uint32_t)(page >> 12)); }

// ---- timer ------------------------------------------------------------------------------------------------------------

void apic_timer_start(uint32_t count) { apic_write(REG_TIMER_INITIAL, count); }
uint32_t apic_timer_count(void) { return apic_read(REG_TIMER_CURRENT); }

void apic_timer_setup(uint64_t hz) {
    timer_hz = hz;
    ns_to_ticks = mul_div(hz, 1ull << 32, 1000000000u);
    deadline_mode = cpu_features.tsc_deadline;
    apic_timer_start(0);
    apic_write(REG_LVT_TIMER, VECTOR_TIMER | (deadline_mode ? TIMER_TSC_DEADLINE : 0));
}

// The TSC value at a time; the inverse of arch_now.
static uint64_t tsc_at(nanos_t time) {
    return arch_clock.base + mul_div(time, 1ull << arch_clock.shift, arch_clock.mult);
}

static void arm(nanos_t deadline) {
    if (deadline == TIME_NEVER) {
        if (deadline_mode)
            cpu_wrmsr(MSR_TSC_DEADLINE, 0);
        else
            apic_timer_start(0);
        return;
    }
    if (deadline_mode) {
        cpu_wrmsr(MSR_TSC_DEADLINE, deadline >= 1ull << 62 ? UINT64_MAX : tsc_at(deadline) + 1);
        return;
    }
    nanos_t now = arch_now();
    uint64_t wait = deadline > now ? deadline - now : 0;
    uint64_t count = (uint64_t)(((unsigned __int128)wait * ns_to_ticks) >> 32) + 1;  // never early
    apic_timer_start(count > UINT32_MAX ? UINT32_MAX : (uint32_t)count);
}

void arch_timer_set(nanos_t deadline) {
    this_arch_cpu()->timer_deadline = deadline;
    arm(deadline);
}

// A count that did not fit ends early: go on waiting.
void apic_timer_interrupt(void) {
    struct arch_cpu *a = this_arch_cpu();
    if (a->timer_deadline == TIME_NEVER) return;
    if (arch_now() < a->timer_deadline) {
        arm(a->timer_deadline);
        return;
    }
    a->timer_deadline = TIME_NEVER;
    sched_timer_interrupt();
}
