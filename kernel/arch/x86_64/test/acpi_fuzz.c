// Firmware tables of any content: the parsers must neither read outside of what they mapped nor run without end. The
// input is the first 64 KiB of "physical memory"; each mapping is a copy of exactly the bytes asked for, so that a read
// behind its end is seen.
// links: lib/string.c
#include "kernel/arch/x86_64/acpi.c"
#include "kernel/arch/x86_64/acpi_madt.c"
#include "kernel/arch/x86_64/acpi_power.c"

#include "kernel/arch/x86_64/ioapic.h"
#include <stdlib.h>

enum { MAX_MAPS = 4096 };

struct boot_info boot_info;
uint64_t direct_map_base;
static const uint8_t *memory;
static size_t memory_size;
static void *maps[MAX_MAPS];
static unsigned map_count;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

void *vmap_boot(paddr_t base, uint64_t size, bool device) {
    (void)device;
    if (size == 0 || size > 1 << 20 || !range_fits(base.v, size, memory_size) || map_count == MAX_MAPS) return NULL;
    void *copy = malloc(size);
    if (copy == NULL) abort();
    memcpy(copy, memory + base.v, size);
    maps[map_count++] = copy;
    return copy;
}
void log_write(enum log_level level, const char *format, ...) {
    (void)level;
    (void)format;
}
void ioapic_add(uint64_t base, uint32_t gsi_base) {
    (void)base;
    (void)gsi_base;
}
void ioapic_add_override(uint8_t isa, uint32_t gsi, bool level, bool active_low) {
    (void)isa;
    (void)gsi;
    (void)level;
    (void)active_low;
}

// Random bytes never have right sums; correct those of whatever looks like a table, so that the fuzzer gets past them.
static void fix_sums(uint8_t *bytes, size_t size) {
    static const char *const names[] = {"RSDT", "XSDT", "APIC", "FACP", "MCFG", "HPET"};
    for (size_t at = 0; at + sizeof(struct acpi_header) <= size; at++)
        for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
            uint32_t length;
            if (memcmp(bytes + at, names[i], 4) != 0) continue;
            memcpy(&length, bytes + at + 4, sizeof(length));
            if (length < sizeof(struct acpi_header) || length > size - at) continue;
            uint8_t sum = 0;
            bytes[at + 9] = 0;
            for (uint32_t k = 0; k < length; k++) sum = (uint8_t)(sum + bytes[at + k]);
            bytes[at + 9] = (uint8_t)-sum;
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const uint8_t rsdp[RSDP_V1_SIZE] = {'R', 'S', 'D', ' ', 'P', 'T', 'R', ' ', 0, 0, 0, 0, 0, 0, 0, 0, 64};
    struct acpi_ecam ecam;
    bool wide;
    if (size > 1 << 16) return 0;
    // At 16 a root pointer of the first version that leads to 64, where the input starts.
    uint8_t *image = calloc(1, size + 64);
    if (image == NULL) abort();
    memcpy(image + 16, rsdp, sizeof(rsdp));
    if (size > 0) memcpy(image + 64, data, size);
    uint8_t sum = 0;
    for (int i = 0; i < RSDP_V1_SIZE; i++) sum = (uint8_t)(sum + image[16 + i]);
    image[16 + 8] = (uint8_t)-sum;
    fix_sums(image + 64, size);
    memory = image;
    memory_size = size + 64;

    table_count = 0;
    fadt = NULL;
    memset(&power, 0, sizeof(power));
    memset(&acpi_cpus, 0, sizeof(acpi_cpus));
    boot_info.rsdp = paddr(16);
    acpi_init();
    acpi_madt_read();
    acpi_power_init();
    for (unsigned n = 0; n < 4; n++) (void)acpi_mcfg(n, &ecam);
    (void)acpi_hpet_base();
    (void)acpi_pm_timer_port(&wide);

    while (map_count > 0) free(maps[--map_count]);
    free(image);
    return 0;
}
