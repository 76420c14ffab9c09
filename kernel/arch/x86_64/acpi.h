// What the firmware's tables say: processors, interrupt controllers, ECAM, power. Tables are checked (signature, length,
// sum) before anything in them is used; a bad one is named in the log and ignored.
#pragma once
#include "kernel/arch/x86_64/arch.h"

struct acpi_header {
    char signature[4];
    uint32_t length;
    uint8_t revision, checksum;
    char oem[6], oem_table[8];
    uint32_t oem_revision, creator, creator_revision;
} __attribute__((packed));

// A register anywhere ("generic address").
struct acpi_address {
    uint8_t space, width, offset, access;
    uint64_t address;
} __attribute__((packed));
enum { ACPI_SPACE_MEMORY = 0, ACPI_SPACE_PORT = 1 };

// Reads the tables. Without an RSDP in boot_info, looks for one where a BIOS leaves it.
void acpi_init(void);
// The n-th valid table of that signature, mapped for good; NULL when there is none.
const struct acpi_header *acpi_table(const char *signature, unsigned n);
bool acpi_checksum_ok(const void *data, size_t size);

// PCI Express configuration space of segment `n` of MCFG. False past the last.
struct acpi_ecam {
    uint64_t base;
    uint16_t segment;
    uint8_t first_bus, last_bus;
};
bool acpi_mcfg(unsigned n, struct acpi_ecam *out);

// acpi_madt.c
#define ACPI_MAX_CPUS 256
struct acpi_cpus {
    unsigned count;
    uint32_t apic_id[CONFIG_MAX_CPUS];  // enabled processors, in the table's order
    unsigned left_out;                  // more than CONFIG_MAX_CPUS
    uint64_t lapic_base;                // 0: not said
};
extern struct acpi_cpus acpi_cpus;
void acpi_madt_read(void);  // fills acpi_cpus, tells ioapic.c

// acpi_power.c: false when ACPI offers no way (it does not return otherwise, or the machine is slow to obey).
void acpi_power_init(void);
bool acpi_power_off(void);
bool acpi_reset(void);
// The power-management timer's port, 0 when there is none.
uint16_t acpi_pm_timer_port(bool *is_32_bit);
// The HPET's registers, 0 when there is none.
uint64_t acpi_hpet_base(void);
