#include "kernel/hal/pci.h"

#include "abi/gen/errors.h"
#include "kernel/arch/x86_64/vmap.h"
#include "kernel/core/log.h"
#include "kernel/hal/ecam.h"
#include "kernel/hal/mmio.h"
#include "kernel/hal/pci_reset.h"
#include "kernel/mm/slub.h"
#include "lib/fmt.h"

#define FUNCTIONS_MAX 1024
#define VIRTIO_STATUS 20  // in the common configuration

static struct list functions = LIST_INIT(functions);
static unsigned function_count;

static struct pci_function *function_of(struct device *device) { return container_of(device, struct pci_function, device); }

// ---- stopping and resetting -----------------------------------------------------------------------------------------------

static void reset_sleep(void *context, uint64_t nanoseconds) { sched_sleep_until(arch_now() + nanoseconds); }

static uint32_t virtio_status(void *context, int value) {
    struct pci_function *f = context;
    if (value >= 0) f->virtio_common[VIRTIO_STATUS] = (uint8_t)value;
    return f->virtio_common[VIRTIO_STATUS];
}

static struct pci_reset reset_of(struct pci_function *f) {
    bool alone = f->bridge && f->bridge->functions_below == 1;
    return (struct pci_reset){
        .config = ecam_config(),
        .info = &f->info,
        .bridge = alone ? f->bridge->info.address : -1,
        .sleep = reset_sleep,
        .virtio_status = f->virtio_common ? virtio_status : NULL,
        .context = f,
    };
}

static bool function_stop(struct device *device) {
    struct pci_function *f = function_of(device);
    struct pci_reset r = reset_of(f);
    spin_lock(&f->lock);
    bool stopped = pci_stop(&r);
    spin_unlock(&f->lock);
    return stopped;
}

static int function_reset(struct device *device) {
    struct pci_reset r = reset_of(function_of(device));
    return pci_reset_function(&r);
}

static const struct device_ops function_ops = {.stop = function_stop, .reset = function_reset};

// ---- finding ----------------------------------------------------------------------------------------------------------------

static struct pci_function *bridge_above(const struct pci_info *info) {
    list_for_each_entry(f, &functions, struct pci_function, node) {
        if (f->info.header != 1) continue;
        if (pci_read(ecam_config(), f->info.address, PCI_SECONDARY_BUS, 1) == (uint32_t)info->address >> 8) return f;
    }
    return NULL;
}

static bool function_found(void *context, const struct pci_info *info) {
    struct pci_function *f = function_count < FUNCTIONS_MAX ? kzalloc(sizeof *f) : NULL;
    if (f == NULL) {
        log_error("hal: too many PCI functions; those from %02x:%02x on are left out", info->address >> 8,
                  info->address >> 3 & 31);
        return false;
    }
    char name[16];
    fmt_print(name, sizeof name, "pci %02x:%02x.%u", info->address >> 8, info->address >> 3 & 31, info->address & 7u);
    device_init(&f->device, name, &function_ops);
    f->info = *info;
    spin_init(&f->lock, "pci-function");
    f->bridge = info->address >> 8 ? bridge_above(info) : NULL;
    if (f->bridge) f->bridge->functions_below++;
    if (info->header != 0 || info->class_revision >> 24 == 6) f->device.state = DEVICE_KERNEL;  // bridges
    list_push_back(&functions, &f->node);
    function_count++;
    return true;
}

static bool share_a_page(const struct pci_bar *a, const struct pci_bar *b) {
    return align_down(a->base, PAGE_SIZE) < align_up(b->base + b->size, PAGE_SIZE) &&
           align_down(b->base, PAGE_SIZE) < align_up(a->base + a->size, PAGE_SIZE);
}

static void bar_check(struct pci_function *f, unsigned index) {
    struct pci_bar *bar = &f->info.bar[index];
    if (!mmio_range_is_free(bar->base, bar->size)) f->shared[index] = true;
    list_for_each_entry(other, &functions, struct pci_function, node) {
        for (unsigned i = 0; other != f && i < PCI_BARS; i++)
            if (other->info.bar[i].usable && share_a_page(bar, &other->info.bar[i])) f->shared[index] = true;
    }
    if (f->shared[index])
        log_warn("hal: %s: BAR %u at 0x%lx meets other registers or memory; it is not handed out", f->device.name, index,
                 bar->base);
}

static void function_check(struct pci_function *f) {
    struct pci_info *info = &f->info;
    for (unsigned i = 0; i < PCI_BARS; i++)
        if (info->bar[i].usable) bar_check(f, i);
    if (info->table.entries && f->shared[info->table.bar]) info->table.entries = 0;
    if (info->virtio.present && !f->shared[info->virtio.bar])
        f->virtio_common = vmap_boot(paddr(info->bar[info->virtio.bar].base + info->virtio.offset), 64, true);
    log_info("hal: %s %04x:%04x class %06x%s%s%s%s", f->device.name, info->vendor, info->device, info->class_revision >> 8,
             info->table.entries ? " msi-x" : info->msi ? " msi" : "", info->flr || info->af_flr ? " flr" : "",
             f->virtio_common ? " virtio" : "", info->pm && info->pm_reset ? " pm" : "");
}

// Without it nothing below a bridge reaches memory; each function's own switch still decides.
static void bridge_open(struct pci_function *f) {
    uint32_t command = pci_read(ecam_config(), f->info.address, PCI_COMMAND, 2);
    pci_write(ecam_config(), f->info.address, PCI_COMMAND, 2, command | PCI_COMMAND_BUS_MASTER | PCI_COMMAND_MEMORY);
}

void pci_init(void) {
    if (!ecam_init()) return;
    pci_probe_all(ecam_config(), function_found, NULL);
    list_for_each_entry(f, &functions, struct pci_function, node) {
        function_check(f);
        if (f->info.header == 1) bridge_open(f);
    }
}

struct pci_function *pci_find(uint16_t address) {
    list_for_each_entry(f, &functions, struct pci_function, node)
        if (f->info.address == address) return f;
    return NULL;
}

size_t pci_list(uint64_t first, uint64_t *entries, size_t count) {
    size_t i = 0;
    list_for_each_entry(f, &functions, struct pci_function, node) {
        const struct pci_info *info = &f->info;
        if (i >= first && i - first < count)
            entries[i - first] = info->address | (uint64_t)info->vendor << 16 | (uint64_t)info->device << 32 |
                         (uint64_t)(info->class_revision >> 16) << 48;
        i++;
    }
    return i;
}

// ---- for the driver -----------------------------------------------------------------------------------------------------

static bool place_is_valid(uint32_t offset, uint32_t size) {
    return (size == 1 || size == 2 || size == 4) && offset % size == 0 && offset < ecam_config()->space;
}

int pci_config_read(struct pci_function *f, uint32_t offset, uint32_t size, uint32_t *value) {
    if (!place_is_valid(offset, size)) return -EINVAL;
    *value = pci_read(ecam_config(), f->info.address, offset, size);
    return 0;
}

int pci_config_write(struct pci_function *f, uint32_t offset, uint32_t size, uint32_t value) {
    if (!place_is_valid(offset, size)) return -EINVAL;
    if (!pci_write_allowed(ecam_config(), &f->info, offset, size)) return -EPERM;
    pci_write(ecam_config(), f->info.address, offset, size, value);
    return 0;
}

int pci_bar_make(struct pci_function *f, uint32_t index, struct mmio **out) {
    const struct pci_info *info = &f->info;
    if (index >= PCI_BARS) return -EINVAL;
    if (!info->bar[index].usable || f->shared[index]) return -ENOENT;
    int error = mmio_make(&f->device, info->bar[index].base, info->bar[index].size, out);
    if (error || info->table.entries == 0) return error;
    uint64_t table = info->bar[info->table.bar].base + info->table.offset;
    (*out)->hidden_start = align_down(table, PAGE_SIZE);
    (*out)->hidden_end = align_up(table + info->table.entries * 16ul, PAGE_SIZE);
    return 0;
}

static void command_change(struct pci_function *f, uint32_t set, uint32_t clear) {
    spin_lock(&f->lock);
    uint32_t command = pci_read(ecam_config(), f->info.address, PCI_COMMAND, 2);
    pci_write(ecam_config(), f->info.address, PCI_COMMAND, 2, (command | set) & ~clear);
    (void)pci_read(ecam_config(), f->info.address, PCI_COMMAND, 2);  // flushes what the device had posted
    spin_unlock(&f->lock);
}

int pci_set_bus_master(struct pci_function *f, bool on) {
    int error = 0;
    spin_lock(&f->device.queue.lock);
    if (on && f->device.state != DEVICE_OPEN) error = -EINVAL;
    else pci_kernel_bus_master(f, on);
    spin_unlock(&f->device.queue.lock);
    return error;
}

// ---- for drivers in the kernel --------------------------------------------------------------------------------------------

struct pci_function *pci_next(struct pci_function *f) {
    struct list_node *node = f == NULL ? list_first(&functions) : list_next(&functions, &f->node);
    return node == NULL ? NULL : container_of(node, struct pci_function, node);
}

int pci_take(struct pci_function *f) {
    if (!device_take(&f->device)) return -EBUSY;
    command_change(f, PCI_COMMAND_MEMORY, PCI_COMMAND_BUS_MASTER);
    return 0;
}

volatile void *pci_map(struct pci_function *f, unsigned bar, uint64_t offset, uint64_t bytes) {
    if (bar >= PCI_BARS || !f->info.bar[bar].usable || f->shared[bar]) return NULL;
    if (bytes == 0 || !range_fits(offset, bytes, f->info.bar[bar].size)) return NULL;
    return vmap_device(paddr(f->info.bar[bar].base + offset), bytes);
}

void pci_kernel_bus_master(struct pci_function *f, bool on) {
    if (on) command_change(f, PCI_COMMAND_BUS_MASTER | PCI_COMMAND_MEMORY, 0);
    else command_change(f, 0, PCI_COMMAND_BUS_MASTER);
}
