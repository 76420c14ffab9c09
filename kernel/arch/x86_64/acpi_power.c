// Power-off and reset through the FADT: PM1 control registers, or the sleep control register of reduced hardware
// (microvm). The sleep type comes from the package \_S5 in the DSDT, found by its name.
#include "kernel/arch/x86_64/acpi.h"
#include "kernel/arch/x86_64/cpu_asm.h"
#include "kernel/arch/x86_64/vmap.h"
#include "kernel/core/log.h"
#include "lib/string.h"

enum { FADT_PM1A = 64, FADT_PM1B = 68, FADT_PM_TIMER = 76, FADT_FLAGS = 112, FADT_RESET = 116, FADT_RESET_VALUE = 128 };
enum { FADT_X_PM1A = 172, FADT_X_PM1B = 184, FADT_SLEEP_CONTROL = 244 };
enum { FLAG_TIMER_32 = 1 << 8, FLAG_RESET = 1 << 10, FLAG_REDUCED = 1 << 20 };
#define PM1_SLEEP_ENABLE (1u << 13)

static struct {
    uint16_t pm1a, pm1b, pm_timer;
    uint32_t flags;
    struct acpi_address sleep_control, reset;
    volatile uint8_t *sleep_register, *reset_register;  // when in memory
    uint8_t reset_value, s5_a, s5_b;
    bool s5, has_reset;
} power;

static const struct acpi_header *fadt;

static bool fadt_get(unsigned offset, void *out, size_t size) {
    if (fadt == NULL || offset + size > fadt->length) return false;
    memcpy(out, (const uint8_t *)fadt + offset, size);
    return true;
}

// A port from a 32-bit field, or the newer 64-bit form of it.
static uint16_t fadt_port(unsigned offset, unsigned extended) {
    uint32_t port = 0;
    struct acpi_address address;
    if (fadt_get(extended, &address, sizeof(address)) && address.space == ACPI_SPACE_PORT && address.address != 0 &&
        address.address <= 0xffff)
        return (uint16_t)address.address;
    if (!fadt_get(offset, &port, sizeof(port)) || port > 0xffff) return 0;
    return (uint16_t)port;
}

// One integer of an AML package. Returns the bytes used, 0 when it is something else.
static unsigned aml_integer(const uint8_t *at, const uint8_t *end, uint8_t *out) {
    if (at < end && *at <= 1) {  // ZeroOp, OneOp
        *out = *at;
        return 1;
    }
    if (at + 1 < end && *at == 0x0a) {  // BytePrefix
        *out = at[1];
        return 2;
    }
    return 0;
}

// Name (_S5_, Package () { a, b, ... })
static void s5_find(void) {
    const struct acpi_header *dsdt = acpi_table("DSDT", 0);
    if (dsdt == NULL) return;
    const uint8_t *at = (const uint8_t *)(dsdt + 1), *end = (const uint8_t *)dsdt + dsdt->length;
    for (; at + 8 < end; at++) {
        if (at[0] != '_' || memcmp(at, "_S5_", 4) != 0 || at[4] != 0x12) continue;  // PackageOp
        const uint8_t *p = at + 5;
        p += (*p >> 6) + 1;  // PkgLength
        p += 1;              // NumElements
        unsigned used = aml_integer(p, end, &power.s5_a);
        if (used == 0) continue;
        if (aml_integer(p + used, end, &power.s5_b) == 0) power.s5_b = power.s5_a;
        power.s5 = true;
        return;
    }
}

void acpi_power_init(void) {
    fadt = acpi_table("FACP", 0);
    if (fadt == NULL) return;
    fadt_get(FADT_FLAGS, &power.flags, sizeof(power.flags));
    if (power.flags & FLAG_REDUCED) {
        fadt_get(FADT_SLEEP_CONTROL, &power.sleep_control, sizeof(power.sleep_control));
    } else {
        power.pm1a = fadt_port(FADT_PM1A, FADT_X_PM1A);
        power.pm1b = fadt_port(FADT_PM1B, FADT_X_PM1B);
        uint32_t timer = 0;
        if (fadt_get(FADT_PM_TIMER, &timer, sizeof(timer)) && timer <= 0xffff) power.pm_timer = (uint16_t)timer;
    }
    power.has_reset = power.flags & FLAG_RESET && fadt_get(FADT_RESET, &power.reset, sizeof(power.reset)) &&
                      fadt_get(FADT_RESET_VALUE, &power.reset_value, 1);
    // Mapped now: when they are needed, nothing else may work any more.
    if (power.sleep_control.space == ACPI_SPACE_MEMORY && power.sleep_control.address != 0)
        power.sleep_register = vmap_boot(paddr(power.sleep_control.address), 1, true);
    if (power.has_reset && power.reset.space == ACPI_SPACE_MEMORY && power.reset.address != 0)
        power.reset_register = vmap_boot(paddr(power.reset.address), 1, true);
    s5_find();
}

static bool register_write(const struct acpi_address *where, volatile uint8_t *mapped, uint8_t value) {
    if (where->address == 0) return false;
    if (where->space == ACPI_SPACE_PORT && where->address <= 0xffff)
        port_out8((uint16_t)where->address, value);
    else if (where->space == ACPI_SPACE_MEMORY && mapped != NULL)
        *mapped = value;
    else
        return false;
    return true;
}

bool acpi_power_off(void) {
    if (power.flags & FLAG_REDUCED)
        return register_write(&power.sleep_control, power.sleep_register, (uint8_t)((power.s5 ? power.s5_a : 5) << 2 | 1 << 5));
    if (!power.s5 || power.pm1a == 0) return false;
    port_out16(power.pm1a, (uint16_t)((uint32_t)power.s5_a << 10 | PM1_SLEEP_ENABLE));
    if (power.pm1b != 0) port_out16(power.pm1b, (uint16_t)((uint32_t)power.s5_b << 10 | PM1_SLEEP_ENABLE));
    return true;
}

bool acpi_reset(void) { return power.has_reset && register_write(&power.reset, power.reset_register, power.reset_value); }

uint16_t acpi_pm_timer_port(bool *is_32_bit) {
    *is_32_bit = power.flags & FLAG_TIMER_32;
    return power.pm_timer;
}
