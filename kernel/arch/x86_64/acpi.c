#include "kernel/arch/x86_64/acpi.h"

#include "kernel/arch/x86_64/vmap.h"
#include "kernel/core/log.h"
#include "lib/string.h"
#include "lib/util.h"

#define MAX_TABLES 64
#define MAX_TABLE_SIZE (1u << 20)

struct rsdp {
    char signature[8];
    uint8_t checksum;
    char oem[6];
    uint8_t revision;
    uint32_t rsdt;
    // revision 2 and later
    uint32_t length;
    uint64_t xsdt;
    uint8_t extended_checksum, reserved[3];
} __attribute__((packed));
#define RSDP_V1_SIZE 20

static const struct acpi_header *tables[MAX_TABLES];
static unsigned table_count;

bool acpi_checksum_ok(const void *data, size_t size) {
    const uint8_t *bytes = data;
    uint8_t sum = 0;
    for (size_t i = 0; i < size; i++) sum = (uint8_t)(sum + bytes[i]);
    return sum == 0;
}

static const struct rsdp *rsdp_at(uint64_t address) {
    const struct rsdp *r = vmap_boot(paddr(address), sizeof(*r), false);
    if (r == NULL || memcmp(r->signature, "RSD PTR ", 8) != 0 || !acpi_checksum_ok(r, RSDP_V1_SIZE)) return NULL;
    if (r->revision >= 2 && (r->length < sizeof(*r) || r->length > 4096)) return NULL;
    return r;
}

// Where a BIOS leaves it: the first KiB of the EBDA and the ROM area, on 16-byte boundaries.
static const struct rsdp *rsdp_search(void) {
    static const uint64_t areas[][2] = {{0x9fc00, 0xa0000}, {0xe0000, 0x100000}};
    for (unsigned i = 0; i < ARRAY_SIZE(areas); i++)
        for (uint64_t at = areas[i][0]; at < areas[i][1]; at += 16)
            if (*(const uint64_t *)phys_to_virt(paddr(at)) == 0x2052545020445352ull) {  // "RSD PTR "
                const struct rsdp *r = rsdp_at(at);
                if (r != NULL) return r;
            }
    return NULL;
}

static bool printable(const char *text, size_t size) {
    for (size_t i = 0; i < size; i++)
        if (text[i] < ' ' || text[i] > '~') return false;
    return true;
}

// Maps and checks the table at an address. NULL, and a line in the log, when it is not one.
static const struct acpi_header *table_map(uint64_t address) {
    const struct acpi_header *h = address != 0 ? vmap_boot(paddr(address), sizeof(*h), false) : NULL;
    if (h == NULL || !printable(h->signature, 4)) {
        log_warn("acpi: no table at %#lx, ignored", address);
        return NULL;
    }
    if (h->length < sizeof(*h) || h->length > MAX_TABLE_SIZE) {
        log_warn("acpi: table %.4s at %#lx has length %u, ignored", h->signature, address, h->length);
        return NULL;
    }
    uint32_t length = h->length;
    h = vmap_boot(paddr(address), length, false);
    if (h == NULL) return NULL;
    // The DSDT is only scanned for one name; summing its many bytes would cost more than it saves.
    if (memcmp(h->signature, "DSDT", 4) != 0 && !acpi_checksum_ok(h, length)) {
        log_warn("acpi: table %.4s at %#lx has a wrong checksum, ignored", h->signature, address);
        return NULL;
    }
    return h;
}

static void tables_add(const struct acpi_header *h) {
    if (h == NULL) return;
    if (table_count == MAX_TABLES) {
        log_warn("acpi: more than %u tables, %.4s is ignored", MAX_TABLES, h->signature);
        return;
    }
    tables[table_count++] = h;
}

static void root_read(const struct acpi_header *root, size_t entry_size) {
    size_t count = (root->length - sizeof(*root)) / entry_size;
    const uint8_t *at = (const uint8_t *)(root + 1);
    for (size_t i = 0; i < count && i < MAX_TABLES; i++, at += entry_size) {
        uint64_t address = 0;
        memcpy(&address, at, entry_size);
        tables_add(table_map(address));
    }
}

static void dsdt_add(void) {
    const struct acpi_header *fadt = acpi_table("FACP", 0);
    uint32_t low = 0;
    uint64_t high = 0;
    if (fadt == NULL) return;
    if (fadt->length >= 44) memcpy(&low, (const uint8_t *)fadt + 40, sizeof(low));
    if (fadt->length >= 148) memcpy(&high, (const uint8_t *)fadt + 140, sizeof(high));
    if (high != 0 || low != 0) tables_add(table_map(high != 0 ? high : low));
}

void acpi_init(void) {
    const struct rsdp *rsdp = boot_info.rsdp.v != 0 ? rsdp_at(boot_info.rsdp.v) : rsdp_search();
    if (rsdp == NULL) {
        log_warn("acpi: no root pointer%s: one CPU, no PCI, no power-off", boot_info.rsdp.v ? " where the loader says" : "");
        return;
    }
    const struct acpi_header *root = NULL;
    size_t entry_size = sizeof(uint64_t);
    if (rsdp->revision >= 2 && rsdp->xsdt != 0) root = table_map(rsdp->xsdt);
    if (root == NULL) {
        root = table_map(rsdp->rsdt);
        entry_size = sizeof(uint32_t);
    }
    if (root == NULL || memcmp(root->signature, entry_size == 8 ? "XSDT" : "RSDT", 4) != 0) {
        log_warn("acpi: no valid root table, all ignored");
        return;
    }
    root_read(root, entry_size);
    dsdt_add();
}

const struct acpi_header *acpi_table(const char *signature, unsigned n) {
    for (unsigned i = 0; i < table_count; i++)
        if (memcmp(tables[i]->signature, signature, 4) == 0 && n-- == 0) return tables[i];
    return NULL;
}

bool acpi_mcfg(unsigned n, struct acpi_ecam *out) {
    struct {
        uint64_t base;
        uint16_t segment;
        uint8_t first_bus, last_bus;
        uint32_t reserved;
    } entry;
    const struct acpi_header *mcfg = acpi_table("MCFG", 0);
    const size_t first = sizeof(*mcfg) + 8;
    if (mcfg == NULL || mcfg->length < first || n >= (mcfg->length - first) / sizeof(entry)) return false;
    memcpy(&entry, (const uint8_t *)mcfg + first + n * sizeof(entry), sizeof(entry));
    if (entry.last_bus < entry.first_bus || !is_aligned(entry.base, 1 << 20)) {
        log_warn("acpi: MCFG entry %u is nonsense (base %#lx, buses %u..%u), ignored", n, entry.base, entry.first_bus,
                 entry.last_bus);
        return false;
    }
    *out = (struct acpi_ecam){entry.base, entry.segment, entry.first_bus, entry.last_bus};
    return true;
}

uint64_t acpi_hpet_base(void) {
    const struct acpi_header *hpet = acpi_table("HPET", 0);
    struct acpi_address address;
    if (hpet == NULL || hpet->length < 56) return 0;
    memcpy(&address, (const uint8_t *)hpet + 40, sizeof(address));
    return address.space == ACPI_SPACE_MEMORY ? address.address : 0;
}
