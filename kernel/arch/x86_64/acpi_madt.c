#include "kernel/arch/x86_64/acpi.h"
#include "kernel/arch/x86_64/ioapic.h"
#include "kernel/core/log.h"
#include "lib/string.h"

struct acpi_cpus acpi_cpus;

enum { MADT_LAPIC = 0, MADT_IOAPIC = 1, MADT_OVERRIDE = 2, MADT_LAPIC_ADDRESS = 5, MADT_X2APIC = 9 };

static uint32_t get32(const uint8_t *at) {
    uint32_t v;
    memcpy(&v, at, sizeof(v));
    return v;
}

static void cpu_add(uint32_t apic_id, uint32_t flags) {
    struct acpi_cpus *c = &acpi_cpus;
    if (!(flags & 1)) return;  // not there; may be plugged in later
    for (unsigned i = 0; i < c->count; i++)
        if (c->apic_id[i] == apic_id) return;
    if (c->count == CONFIG_MAX_CPUS)
        c->left_out++;
    else
        c->apic_id[c->count++] = apic_id;
}

static void override_read(const uint8_t *entry) {
    unsigned flags = entry[8];
    // 0 means "as the bus has it": ISA is edge, active high.
    ioapic_add_override(entry[3], get32(entry + 4), (flags >> 2 & 3) == 3, (flags & 3) == 3);
}

// Returns false for a length that this type cannot have.
static bool entry_read(const uint8_t *entry, unsigned length) {
    static const uint8_t least[] = {[MADT_LAPIC] = 8, [MADT_IOAPIC] = 12, [MADT_OVERRIDE] = 10, [MADT_LAPIC_ADDRESS] = 12,
                                    [MADT_X2APIC] = 16};
    if (entry[0] < sizeof(least) && length < least[entry[0]]) return false;
    switch (entry[0]) {
    case MADT_LAPIC:
        cpu_add(entry[3], get32(entry + 4));
        break;
    case MADT_X2APIC:
        cpu_add(get32(entry + 4), get32(entry + 8));
        break;
    case MADT_IOAPIC:
        ioapic_add(get32(entry + 4), get32(entry + 8));
        break;
    case MADT_OVERRIDE:
        override_read(entry);
        break;
    case MADT_LAPIC_ADDRESS:
        memcpy(&acpi_cpus.lapic_base, entry + 4, sizeof(uint64_t));
        break;
    }
    return true;
}

void acpi_madt_read(void) {
    const struct acpi_header *madt = acpi_table("APIC", 0);
    if (madt == NULL || madt->length < sizeof(*madt) + 8) {
        // The usual place: a machine without ACPI (microvm, Firecracker) has one there.
        ioapic_add(0xfec00000, 0);
        return;
    }
    const uint8_t *at = (const uint8_t *)madt + sizeof(*madt), *end = (const uint8_t *)madt + madt->length;
    acpi_cpus.lapic_base = get32(at);
    for (at += 8; at + 2 <= end; at += at[1]) {
        if (at[1] < 2 || at + at[1] > end || !entry_read(at, at[1])) {
            log_warn("acpi: MADT entry of type %u has length %u, the rest is ignored", at[0], at[1]);
            break;
        }
    }
    if (acpi_cpus.left_out > 0)
        log_warn("acpi: %u CPUs more than %u, ignored", acpi_cpus.left_out, CONFIG_MAX_CPUS);
}
