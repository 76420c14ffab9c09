#include "kernel/arch/x86_64/ioapic.h"

#include "abi/gen/errors.h"
#include "kernel/arch/x86_64/arch.h"
#include "kernel/arch/x86_64/cpu_asm.h"
#include "kernel/arch/x86_64/vmap.h"
#include "kernel/core/log.h"
#include "kernel/core/spinlock.h"

#define MAX_IOAPICS 8
enum { REG_VERSION = 1, REG_TABLE = 0x10 };
enum { ENTRY_ACTIVE_LOW = 1 << 13, ENTRY_LEVEL = 1 << 15, ENTRY_MASKED = 1 << 16 };

struct ioapic {
    volatile uint32_t *registers;
    uint32_t gsi_base, count;
};
static struct ioapic ioapics[MAX_IOAPICS];
static unsigned ioapic_count;
static struct spinlock lock = SPINLOCK_INIT("ioapic");  // a leaf

struct isa_route {
    uint32_t gsi;
    bool set, level, active_low;
};
static struct isa_route isa_routes[16];

static uint32_t ioapic_read(const struct ioapic *io, uint32_t reg) {
    io->registers[0] = reg;
    return io->registers[4];
}
static void ioapic_write(const struct ioapic *io, uint32_t reg, uint32_t value) {
    io->registers[0] = reg;
    io->registers[4] = value;
}

void ioapic_add(uint64_t base, uint32_t gsi_base) {
    if (ioapic_count == MAX_IOAPICS) {
        log_warn("acpi: more than %u I/O APICs, the one at %#lx is ignored", MAX_IOAPICS, base);
        return;
    }
    struct ioapic *io = &ioapics[ioapic_count];
    io->registers = vmap_boot(paddr(base), PAGE_SIZE, true);
    if (io->registers == NULL) return;
    io->gsi_base = gsi_base;
    io->count = (ioapic_read(io, REG_VERSION) >> 16 & 0xff) + 1;
    if (io->count > 240) {
        log_warn("acpi: no I/O APIC answers at %#lx", base);
        return;
    }
    ioapic_count++;
    for (uint32_t i = 0; i < io->count; i++) ioapic_write(io, REG_TABLE + 2 * i, ENTRY_MASKED);
}

void ioapic_add_override(uint8_t isa, uint32_t gsi, bool level, bool active_low) {
    if (isa >= 16) return;
    isa_routes[isa] = (struct isa_route){.gsi = gsi, .set = true, .level = level, .active_low = active_low};
}

void ioapic_isa(uint8_t isa, uint32_t *gsi, bool *level, bool *active_low) {
    const struct isa_route *r = &isa_routes[isa & 15];
    *gsi = r->set ? r->gsi : isa;
    *level = r->set && r->level;
    *active_low = r->set && r->active_low;
}

static struct ioapic *find(uint32_t gsi) {
    for (unsigned i = 0; i < ioapic_count; i++)
        if (gsi >= ioapics[i].gsi_base && gsi - ioapics[i].gsi_base < ioapics[i].count) return &ioapics[i];
    return NULL;
}

int arch_gsi_route(uint32_t gsi, uint32_t cpu, int vector, bool level, bool active_low) {
    struct ioapic *io = find(gsi);
    if (io == NULL) return -ENODEV;
    if (cpu >= cpu_count || vector < IRQ_VECTOR_FIRST || vector > IRQ_VECTOR_LAST) return -EINVAL;
    uint32_t reg = REG_TABLE + 2 * (gsi - io->gsi_base);
    spin_lock(&lock);
    ioapic_write(io, reg, ENTRY_MASKED);
    ioapic_write(io, reg + 1, cpus[cpu].apic_id << 24);
    ioapic_write(io, reg,
                 ENTRY_MASKED | (uint32_t)vector | (level ? ENTRY_LEVEL : 0) | (active_low ? ENTRY_ACTIVE_LOW : 0));
    spin_unlock(&lock);
    return 0;
}

void arch_gsi_mask(uint32_t gsi, bool masked) {
    struct ioapic *io = find(gsi);
    if (io == NULL) return;
    uint32_t reg = REG_TABLE + 2 * (gsi - io->gsi_base);
    spin_lock(&lock);
    uint32_t entry = ioapic_read(io, reg);
    ioapic_write(io, reg, masked ? entry | ENTRY_MASKED : entry & ~(uint32_t)ENTRY_MASKED);
    spin_unlock(&lock);
}

void pic_disable(void) {
    port_out8(0x21, 0xff);
    port_out8(0xa1, 0xff);
    // Vectors away from the exceptions: a spurious interrupt comes even when masked.
    port_out8(0x20, 0x11), port_out8(0xa0, 0x11);
    port_out8(0x21, 0x20), port_out8(0xa1, 0x28);
    port_out8(0x21, 4), port_out8(0xa1, 2);
    port_out8(0x21, 1), port_out8(0xa1, 1);
    port_out8(0x21, 0xff), port_out8(0xa1, 0xff);
}
