// links: kernel/hal/pci_probe.c kernel/hal/pci_reset.c lib/bitmap.c
#include "abi/gen/errors.h"
#include "kernel/hal/test/fake_bus.h"
#include "tests/unit/unit.h"

static struct pci_info found[64];
static unsigned found_count;

static bool remember(void *context, const struct pci_info *info) {
    found[found_count++] = *info;
    return found_count < 64;
}

static void probe_all(void) {
    found_count = 0;
    pci_probe_all(&bus.config, remember, NULL);
}

static struct fake_function *one_function(void) {
    fake_bus_init();
    return fake_add(0x10, 0x1234, 0x5678);
}

// ---- finding ------------------------------------------------------------------------------------------------------------

TEST(pci_empty_bus) {
    fake_bus_init();
    probe_all();
    CHECK_EQ(found_count, 0);
}

TEST(pci_functions_of_one_slot) {
    fake_bus_init();
    struct fake_function *first = fake_add(0x20, 1, 2);
    fake_add(0x23, 1, 3);
    fake_add(0x27, 1, 4);
    probe_all();
    CHECK_EQ(found_count, 1);  // not multi-function: the others are echoes
    fake_put(first, PCI_HEADER, 1, PCI_HEADER_MULTI);
    probe_all();
    CHECK_EQ(found_count, 3);
}

static void bridge(uint16_t address, uint8_t below) {
    struct fake_function *f = fake_add(address, 0x1b36, 0x000c);
    fake_put(f, PCI_HEADER, 1, 1);
    fake_put(f, PCI_SECONDARY_BUS, 1, below);
}

TEST(pci_buses_behind_bridges) {
    fake_bus_init();
    bridge(0x08, 1);
    bridge(0x100, 2);
    fake_add(0x200, 9, 9);
    probe_all();
    CHECK_EQ(found_count, 3);
    CHECK_EQ(found[2].address, 0x200);
}

TEST(pci_bridges_in_a_ring) {
    fake_bus_init();
    bridge(0x08, 1);
    bridge(0x100, 1);  // leads to itself
    bridge(0x108, 0);  // back to the start
    bridge(0x10, 1);   // a second way to the same bus
    probe_all();
    CHECK_EQ(found_count, 4);
}

// ---- BARs -----------------------------------------------------------------------------------------------------------------

TEST(pci_bar_sizes) {
    struct fake_function *f = one_function();
    fake_bar(f, 0, 0xfe000000, 0x4000);
    fake_bar64(f, 2, 0x4000000000ull, 1ull << 29);
    fake_put(f, PCI_BAR0 + 4, 4, 0xc001);  // ports
    fake_allow(f, PCI_BAR0 + 4, 4, 0xffe0);
    fake_put(f, PCI_COMMAND, 2, 7);
    probe_all();
    CHECK(found[0].bar[0].usable);
    CHECK_EQ(found[0].bar[0].size, 0x4000);
    CHECK(!found[0].bar[1].usable);
    CHECK(found[0].bar[2].usable && found[0].bar[2].wide);
    CHECK_EQ(found[0].bar[2].base, 0x4000000000ull);
    CHECK_EQ(found[0].bar[2].size, 1ull << 29);
    CHECK(!found[0].bar[3].usable);
    CHECK_EQ(fake_get(f, PCI_BAR0, 4), 0xfe000000);  // as it was
    CHECK_EQ(fake_get(f, PCI_COMMAND, 2), 0x403);    // decoding again, no bus master, no INTx
}

TEST(pci_bar_of_odd_shape) {
    struct fake_function *f = one_function();
    fake_put(f, PCI_BAR0, 4, 0xfe000000);
    fake_allow(f, PCI_BAR0, 4, 0xff00f000);  // a hole in the mask
    fake_bar(f, 1, 0xfd001000, 0x4000);      // not aligned to its size
    fake_bar(f, 2, 0, 0x1000);               // never set up
    fake_put(f, PCI_BAR0 + 12, 4, 6);        // reserved type
    fake_allow(f, PCI_BAR0 + 12, 4, 0xfffff000);
    fake_bar64(f, 5, 0xf0000000, 0x1000);    // its upper half would be the next register
    probe_all();
    for (unsigned i = 0; i < PCI_BARS; i++) CHECK(!found[0].bar[i].usable);
}

TEST(pci_bar_beyond_physical_memory) {
    struct fake_function *f = one_function();
    fake_bar64(f, 0, 1ull << 60, 1ull << 20);
    fake_bar64(f, 2, 1ull << 62, 1ull << 63);
    probe_all();
    CHECK(!found[0].bar[0].usable);
    CHECK(!found[0].bar[2].usable);
}

// ---- capabilities ---------------------------------------------------------------------------------------------------------

static struct fake_function *msix_function(uint32_t control, uint32_t table) {
    struct fake_function *f = one_function();
    fake_bar(f, 1, 0xfe000000, 0x1000);
    fake_capability(f, 0x40, PCI_CAP_MSIX);
    fake_put(f, 0x42, 2, control);
    fake_put(f, 0x44, 4, table);
    return f;
}

TEST(pci_msix_table) {
    msix_function(3, 0x800 | 1);
    probe_all();
    CHECK_EQ(found[0].table.entries, 4);
    CHECK_EQ(found[0].table.offset, 0x800);
}

TEST(pci_msix_table_outside) {
    const struct {
        uint32_t control, table;
    } lies[] = {
        {0x7ff, 1},             // 32 KiB in a BAR of 4 KiB
        {3, 0xfffffff8u | 1},   // far behind its end
        {3, 7},                 // no such BAR
        {3, 2},                 // a BAR that does not exist
    };
    for (unsigned i = 0; i < 4; i++) {
        msix_function(lies[i].control, lies[i].table);
        probe_all();
        CHECK_EQ(found[0].table.entries, 0);
    }
}

TEST(pci_capability_ring) {
    struct fake_function *f = one_function();
    fake_capability(f, 0x40, PCI_CAP_PM);
    fake_capability(f, 0x50, PCI_CAP_MSI);
    f->bytes[0x41] = 0x50;
    probe_all();
    CHECK_EQ(found[0].pm, 0x40);
    CHECK_EQ(found[0].msi, 0x50);
}

TEST(pci_capability_at_the_end) {
    struct fake_function *f = one_function();
    fake_capability(f, 0xfc, PCI_CAP_EXPRESS);
    probe_all();
    CHECK_EQ(found[0].express, 0);
}

// ---- writes ---------------------------------------------------------------------------------------------------------------

TEST(pci_writes_that_a_driver_may_do) {
    struct fake_function *f = one_function();
    fake_capability(f, 0x60, PCI_CAP_MSI);
    fake_capability(f, 0x40, PCI_CAP_VENDOR);
    fake_put(f, 0x42, 1, 0x40);  // claims to reach over the MSI registers
    fake_put(f, 0x100, 4, 0x1000b | 0x200u << 20);
    fake_put(f, 0x104, 4, 0x20u << 20);
    fake_put(f, 0x200, 4, 0x10010);  // SR-IOV
    probe_all();
    const struct pci_info *info = &found[0];
    CHECK(pci_write_allowed(&bus.config, info, PCI_CACHE_LINE, 1));
    CHECK(pci_write_allowed(&bus.config, info, 0x44, 4));
    CHECK(pci_write_allowed(&bus.config, info, 0x108, 4));
    CHECK(!pci_write_allowed(&bus.config, info, 0x40, 4));
    CHECK(!pci_write_allowed(&bus.config, info, 0x62, 2));
    CHECK(!pci_write_allowed(&bus.config, info, 0x70, 4));  // the mask of an MSI may lie there
    CHECK(!pci_write_allowed(&bus.config, info, 0x120, 4));
    CHECK(!pci_write_allowed(&bus.config, info, 0x208, 4));
    for (uint32_t offset = 0; offset < 0x40; offset += 4) CHECK(!pci_write_allowed(&bus.config, info, offset, 4));
}

TEST(pci_virtio_window_is_closed) {
    fake_bus_init();
    struct fake_function *f = fake_add(0x10, PCI_VENDOR_VIRTIO, 0x1041);
    fake_capability(f, 0x40, PCI_CAP_VENDOR);
    fake_put(f, 0x42, 2, 20 | 5 << 8);  // access to BARs through configuration space
    probe_all();
    for (uint32_t offset = 0x40; offset < 0x60; offset++) CHECK(!pci_write_allowed(&bus.config, &found[0], offset, 1));
}

// ---- stopping and resetting -------------------------------------------------------------------------------------------------

static struct pci_info *probed(struct fake_function *f) {
    fake_seal(f);
    probe_all();
    fake_put(f, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_BUS_MASTER);  // a driver at work
    return &found[0];
}

static struct fake_function *express_function(void) {
    struct fake_function *f = one_function();
    fake_bar(f, 0, 0xfe000000, 0x4000);
    fake_capability(f, 0x40, PCI_CAP_EXPRESS);
    fake_put(f, 0x44, 4, 1u << 28);
    f->resets_on_flr = true;
    return f;
}

TEST(pci_stop_shows_in_the_registers) {
    struct fake_function *f = msix_function(3, 1);
    struct pci_info *info = probed(f);
    fake_put(f, 0x42, 2, 0x8003);
    struct pci_reset r = fake_reset(f, info);
    CHECK(pci_stop(&r));
    CHECK_EQ(fake_get(f, PCI_COMMAND, 2) & PCI_COMMAND_BUS_MASTER, 0);
    CHECK_EQ(fake_get(f, 0x42, 2), 0x4003);
    fake_allow(f, PCI_COMMAND, 2, 0);  // a device that keeps it
    fake_put(f, PCI_COMMAND, 2, PCI_COMMAND_BUS_MASTER);
    CHECK(!pci_stop(&r));
}

TEST(pci_reset_by_flr) {
    struct fake_function *f = express_function();
    struct pci_info *info = probed(f);
    f->pending_reads = 3;
    struct pci_reset r = fake_reset(f, info);
    CHECK(pci_stop(&r));
    CHECK_EQ(pci_reset_function(&r), 0);
    CHECK_EQ(f->resets, 1);
    CHECK_EQ(f->pending_reads, 0);
    CHECK_EQ(fake_get(f, PCI_BAR0, 4), 0xfe000000);  // restored
    CHECK_EQ(fake_get(f, PCI_COMMAND, 2) & PCI_COMMAND_BUS_MASTER, 0);
}

TEST(pci_reset_that_is_ignored) {
    struct fake_function *f = express_function();
    f->ignores_everything = true;
    f->pending_reads = 1000000;  // never settles either
    struct pci_info *info = probed(f);
    struct pci_reset r = fake_reset(f, info);
    CHECK_EQ(pci_reset_function(&r), -EIO);
    CHECK(bus.slept < 3000000000ull);
}

TEST(pci_reset_that_kills) {
    struct fake_function *f = express_function();
    f->vanishes_on_reset = true;
    struct pci_info *info = probed(f);
    struct pci_reset r = fake_reset(f, info);
    CHECK_EQ(pci_reset_function(&r), -ENODEV);
    CHECK_EQ(pci_reset_function(&r), -ENODEV);
}

TEST(pci_reset_by_power) {
    struct fake_function *f = one_function();
    fake_bar(f, 0, 0xfe000000, 0x4000);
    fake_capability(f, 0x40, PCI_CAP_PM);
    f->resets_on_d3 = true;
    struct pci_info *info = probed(f);
    struct pci_reset r = fake_reset(f, info);
    CHECK_EQ(pci_reset_function(&r), 0);
    CHECK_EQ(f->resets, 1);
    fake_put(f, 0x44, 2, 8);  // says that it keeps its state
    info = probed(f);
    CHECK_EQ(pci_reset_function(&r), -EIO);
    CHECK_EQ(f->resets, 1);
}

static struct fake_function *virtio_function(void) {
    fake_bus_init();
    struct fake_function *f = fake_add(0x10, PCI_VENDOR_VIRTIO, 0x1044);
    fake_bar(f, 4, 0xfe000000, 0x4000);
    fake_capability(f, 0x50, PCI_CAP_VENDOR);
    fake_put(f, 0x52, 2, 16 | 1 << 8);
    fake_put(f, 0x54, 1, 4);
    fake_put(f, 0x5c, 4, 56);
    f->virtio_status = 15;
    return f;
}

TEST(pci_reset_by_virtio) {
    struct fake_function *f = virtio_function();
    f->virtio_patience = 4;
    struct pci_info *info = probed(f);
    CHECK(info->virtio.present);
    struct pci_reset r = fake_reset(f, info);
    CHECK_EQ(pci_reset_function(&r), 0);
    CHECK_EQ(f->virtio_status, 0);
    f->virtio_status = 15;
    f->ignores_everything = true;
    CHECK_EQ(pci_reset_function(&r), -EIO);
}

// ---- devices that answer anything -------------------------------------------------------------------------------------------

static void fill_randomly(struct fake_function *f) {
    uint64_t style = unit_random();
    for (unsigned i = 4; i < sizeof f->bytes; i++) f->bytes[i] = (uint8_t)unit_random();
    for (unsigned i = 0; i < sizeof f->writable; i++) f->writable[i] = style & 1 ? 0xff : (uint8_t)unit_random();
    f->bytes[PCI_STATUS] |= PCI_STATUS_CAPABILITIES;
    if (style & 2) f->bytes[PCI_HEADER] &= PCI_HEADER_MULTI;
    if (style & 4) f->bytes[PCI_CAPABILITIES] = 0x40;
}

TEST(pci_random_configuration_space) {
    for (int round = 0; round < 1000; round++) {
        struct fake_function *f = one_function();
        fill_randomly(f);
        probe_all();
        CHECK(bus.reads < 20000);
        for (unsigned i = 0; i < PCI_BARS; i++)
            CHECK(!found[0].bar[i].usable || found[0].bar[i].base + found[0].bar[i].size <= 1ull << 52);
        for (uint32_t offset = 0; offset < 4096; offset += 4) (void)pci_write_allowed(&bus.config, &found[0], offset, 4);
        struct pci_reset r = fake_reset(f, &found[0]);
        (void)pci_stop(&r);
        (void)pci_reset_function(&r);
        CHECK(bus.slept < 3000000000ull);
    }
}
