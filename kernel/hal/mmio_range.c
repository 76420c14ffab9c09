// Devices outside PCI. A page can be mapped only as a whole, so the devices in one run of pages form a group that one
// driver holds: on a microvm eight virtio-mmio slots share a page (give devices of different drivers slots eight apart).
#include "abi/gen/errors.h"
#include "kernel/arch/x86_64/acpi.h"
#include "kernel/arch/x86_64/vmap.h"
#include "kernel/core/log.h"
#include "kernel/hal/ecam.h"
#include "kernel/hal/hal.h"
#include "kernel/hal/mmio.h"
#include "lib/string.h"

#define GROUPS_MAX 16
#define SLOTS_MAX 8
#define VIRTIO_MMIO_MAGIC 0x74726976u
#define VIRTIO_MMIO_TYPE 0x08
#define VIRTIO_MMIO_STATUS 0x70
#define DEVICES_MAX 32
#define RESET_STEPS 12  // 1 us doubled: 8 ms in all

struct group {
    struct device device;
    uint64_t base, size;                          // whole pages
    volatile uint32_t *virtio[SLOTS_MAX];         // registers of the virtio devices in it
    unsigned virtio_count;
};
static struct group groups[GROUPS_MAX];
static unsigned group_count;
static struct hal_virtio_mmio devices[DEVICES_MAX];
static struct {
    struct group *group;
    volatile uint32_t *registers;
} places[DEVICES_MAX];                            // of devices[]
static unsigned device_count;

static struct group *group_of(struct device *device) { return container_of(device, struct group, device); }

// Reset is the only way to stop the DMA of a virtio-mmio device; the standard lets it show 0 only when it has stopped.
static bool group_stop(struct device *device) {
    struct group *group = group_of(device);
    bool stopped = true;
    for (unsigned i = 0; i < group->virtio_count; i++) {
        group->virtio[i][VIRTIO_MMIO_STATUS / 4] = 0;
        stopped = stopped && group->virtio[i][VIRTIO_MMIO_STATUS / 4] == 0;
    }
    return stopped;
}

static int group_reset(struct device *device) {
    for (unsigned step = 0; step < RESET_STEPS; step++) {
        if (group_stop(device)) return 0;
        sched_sleep_until(arch_now() + (1000ull << step));
    }
    return group_stop(device) ? 0 : -EIO;
}

static const struct device_ops group_ops = {.stop = group_stop, .reset = group_reset};

// PC memory is one piece from 1 MiB up and one from 4 GiB up; devices lie above the first or above the second.
static bool meets_ram(uint64_t base, uint64_t end) {
    uint64_t low_end = 1 << 20, high_end = 0;
    for (unsigned i = 0; i <= boot_info.ram_count; i++) {
        const struct mem_range *r = i < boot_info.ram_count ? &boot_info.ram[i] : &boot_info.initrd;
        uint64_t ram_end = r->base + r->size;
        if (r->base < 1ull << 32 && ram_end > low_end) low_end = ram_end;
        if (r->base >= 1ull << 32 && ram_end > high_end) high_end = ram_end;
    }
    if (base >= 0xa0000 && end <= 0xc0000) return false;  // VGA
    return base < low_end || (end > 1ull << 32 && base < high_end);
}

bool mmio_range_is_free(uint64_t base, uint64_t size) {
    uint64_t end;
    if (size == 0 || !checked_add(base, size, &end) || end > 1ull << 52) return false;
    const struct mem_range ours[] = {
        {0xfec00000, 0x100000},  // I/O APICs
        {0xfee00000, 0x100000},  // local APICs and message interrupts
        boot_info.kernel,
        ecam_range(),
    };
    for (unsigned i = 0; i < ARRAY_SIZE(ours); i++)
        if (base < ours[i].base + ours[i].size && ours[i].base < end) return false;
    return !meets_ram(base, end);
}

// The group that the pages belong to: an old one that shares a page, or a new one. NULL: refused.
static struct group *group_add(const char *name, uint64_t base, uint64_t size) {
    if (!mmio_range_is_free(base, size)) {
        log_warn("hal: %s at 0x%lx, 0x%lx bytes: not device memory, left out", name, base, size);
        return NULL;
    }
    uint64_t start = align_down(base, PAGE_SIZE), end = align_up(base + size, PAGE_SIZE);
    for (unsigned i = 0; i < group_count; i++)
        if (start >= groups[i].base && end <= groups[i].base + groups[i].size) return &groups[i];
    for (unsigned i = 0; i < group_count; i++)
        if (start < groups[i].base + groups[i].size && groups[i].base < end) return NULL;
    if (group_count == GROUPS_MAX) return NULL;
    struct group *group = &groups[group_count++];
    group->base = start;
    group->size = end - start;
    device_init(&group->device, name, &group_ops);
    return group;
}

static void virtio_add(uint64_t base, uint64_t size, uint64_t gsi) {
    if (size < 0x100 || size > PAGE_SIZE || (base & 3) != 0 || device_count == DEVICES_MAX) return;
    for (unsigned i = 0; i < device_count; i++)
        if (devices[i].base == base) return;  // named twice
    struct group *group = group_add("virtio-mmio", base, size);
    if (group == NULL || group->virtio_count == SLOTS_MAX) return;
    volatile uint32_t *registers = vmap_boot(paddr(base), size, true);
    if (registers == NULL || registers[0] != VIRTIO_MMIO_MAGIC) return;
    uint32_t type = registers[VIRTIO_MMIO_TYPE / 4];
    if (type == 0) return;  // a slot without a device
    group->virtio[group->virtio_count++] = registers;
    places[device_count].group = group;
    places[device_count].registers = registers;
    devices[device_count++] = (struct hal_virtio_mmio){base, size, gsi, type};
    log_info("hal: virtio-mmio device of type %u at 0x%lx, interrupt %lu", type, base, gsi);
}

// A number, decimal or 0x; leaves *at behind it.
static uint64_t number_parse(const char **at) {
    uint64_t value = 0, base = 10;
    if ((*at)[0] == '0' && (*at)[1] == 'x') {
        base = 16;
        *at += 2;
    }
    for (;; ++*at) {
        char c = **at;
        uint64_t digit = c >= '0' && c <= '9' ? (uint64_t)(c - '0') : c >= 'a' && c <= 'f' ? (uint64_t)(c - 'a' + 10) : 99;
        if (digit >= base || value > UINT64_MAX / 16 - 1) return value;
        value = value * base + digit;
    }
}

static uint64_t unit_parse(const char **at) {
    unsigned shift = **at == 'K' || **at == 'k' ? 10 : **at == 'M' || **at == 'm' ? 20 : 0;
    if (shift) ++*at;
    return 1ull << shift;
}

static void cmdline_scan(void) {
    static const char key[] = "virtio_mmio.device=";
    const char *at = boot_info.cmdline;
    while (*at) {
        if (strncmp(at, key, sizeof key - 1) == 0 && (at == boot_info.cmdline || at[-1] == ' ')) {
            at += sizeof key - 1;
            uint64_t size = number_parse(&at);
            size *= unit_parse(&at);
            if (*at == '@') {
                at++;
                uint64_t base = number_parse(&at);
                if (*at == ':') at++;
                virtio_add(base, size, number_parse(&at));
            }
        } else {
            at++;
        }
    }
}

// ---- ACPI: a device with the id LNRO0005 and, in its resources, a memory range and an interrupt ---------------------------

#define RESOURCES_REACH 160u  // bytes behind the id in which they stand

static uint32_t word_at(const uint8_t *at) {
    uint32_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

// Only the two descriptors are looked for, not AML read: what looks like them by accident is no virtio device, which
// virtio_add sees.
static void resources_take(const uint8_t *at, const uint8_t *end) {
    uint64_t base = 0, size = 0;
    for (; at + 12 <= end; at++) {
        if (at[0] == 0x86 && at[1] == 9 && at[2] == 0 && size == 0) {        // fixed 32-bit memory
            base = word_at(at + 4);
            size = word_at(at + 8);
        } else if (at[0] == 0x89 && at[1] == 6 && at[2] == 0 && at[4] == 1 && size) {  // extended interrupt
            virtio_add(base, size, word_at(at + 5));
            return;
        }
    }
}

static void acpi_scan(void) {
    static const char id[] = "LNRO0005";
    const struct acpi_header *dsdt = acpi_table("DSDT", 0);
    if (dsdt == NULL || dsdt->length < sizeof *dsdt) return;
    const uint8_t *at = (const uint8_t *)(dsdt + 1), *end = (const uint8_t *)dsdt + dsdt->length;
    for (; at + sizeof id <= end; at++) {
        if (at[0] != id[0] || memcmp(at, id, sizeof id - 1) != 0) continue;
        size_t reach = MIN((size_t)(end - at), (size_t)RESOURCES_REACH);
        resources_take(at + sizeof id, at + reach);
    }
}

void mmio_ranges_init(void) {
    if (boot_info.framebuffer.size) group_add("framebuffer", boot_info.framebuffer.base, boot_info.framebuffer.size);
    cmdline_scan();
    acpi_scan();
}

unsigned hal_virtio_mmio_list(const struct hal_virtio_mmio **list) {
    *list = devices;
    return device_count;
}

volatile uint32_t *hal_virtio_mmio_take(unsigned index) {
    return index < device_count && device_take(&places[index].group->device) ? places[index].registers : NULL;
}

int mmio_make_range(uint64_t base, uint64_t size, struct mmio **out) {
    uint64_t end;
    if (size == 0 || (base & PAGE_MASK) != 0 || (size & PAGE_MASK) != 0 || !checked_add(base, size, &end)) return -EINVAL;
    for (unsigned i = 0; i < group_count; i++) {
        struct group *group = &groups[i];
        if (base < group->base || end > group->base + group->size) continue;
        int error = device_open(&group->device);
        if (error) return error;
        error = mmio_make(&group->device, base, size, out);
        if (error) device_close(&group->device);
        else (*out)->owns_device = true;
        return error;
    }
    return -EINVAL;
}

int hal_framebuffer(struct object **out) {
    struct mmio *mmio;
    if (boot_info.framebuffer.size == 0) return -ENODEV;
    int error = mmio_make_range(boot_info.framebuffer.base, boot_info.framebuffer.size, &mmio);
    if (!error) *out = &mmio->object;
    return error;
}

struct device *mmio_device(struct object *o) {
    struct mmio *mmio = container_of(o, struct mmio, object);
    return mmio->owns_device && group_of(mmio->device)->virtio_count > 0 ? mmio->device : NULL;
}
