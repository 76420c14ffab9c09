// Reads what a PVH loader left (Xen's struct hvm_start_info) into boot_info. Every field is checked: a map that lies
// costs memory, never the boot, as long as some RAM is left.
#include "kernel/arch/x86_64/boot.h"
#include "lib/string.h"
#include "lib/util.h"

#define PVH_MAGIC 0x336ec578u
#define MAX_MEMMAP 256u
#define IDENTITY_LIMIT (4ull << 30)
#define MAX_PHYSICAL (16ull << 40)  // more than any machine we run on; the direct map has room for it

struct hvm_start_info {
    uint32_t magic, version, flags, nr_modules;
    uint64_t modlist_paddr, cmdline_paddr, rsdp_paddr;
    uint64_t memmap_paddr;  // version 1 and later
    uint32_t memmap_entries, reserved;
};
struct hvm_module {
    uint64_t paddr, size, cmdline_paddr, reserved;
};
struct hvm_memmap_entry {
    uint64_t addr, size;
    uint32_t type, reserved;
};
enum { MEMMAP_RAM = 1, MEMMAP_RESERVED = 2, MEMMAP_ACPI = 3, MEMMAP_NVS = 4 };

struct boot_info boot_info;
uint32_t boot_problems;

// The loader's structures must lie in the identity mapping and not in the image (this very memory).
static const void *loader_data(uint64_t address, uint64_t size) {
    if (address == 0 || !range_fits(address, size, IDENTITY_LIMIT)) return NULL;
    return (const void *)address;
}

static void read_cmdline(uint64_t address) {
    const char *text = loader_data(address, 1);
    if (text == NULL) return;
    size_t limit = MIN(sizeof(boot_info.cmdline) - 1, IDENTITY_LIMIT - address);
    size_t i = 0;
    for (; i < limit && text[i] != '\0'; i++) boot_info.cmdline[i] = text[i];
    if (i == limit) boot_problems |= BOOT_CMDLINE_CUT;
}

static void read_initrd(const struct hvm_start_info *start) {
    const struct hvm_module *module = loader_data(start->modlist_paddr, sizeof(*module));
    uint64_t end;
    if (start->nr_modules == 0) return;
    if (module == NULL || module->size == 0 || !checked_add(module->paddr, module->size, &end) || end > MAX_PHYSICAL) {
        boot_problems |= BOOT_BAD_INITRD;
        return;
    }
    boot_info.initrd = (struct mem_range){.base = module->paddr, .size = module->size};
}

// Twice over the map: RAM first, then everything else is taken away from it, so that the order does not matter and an
// overlap is decided for "not RAM".
static void read_memmap(const struct hvm_start_info *start, struct range_set *ram, struct range_set *mapped) {
    unsigned count = MIN(start->memmap_entries, MAX_MEMMAP);
    const struct hvm_memmap_entry *map = loader_data(start->memmap_paddr, count * sizeof(*map));
    if (start->version < 1 || map == NULL) return;
    for (unsigned i = 0; i < count; i++) {
        uint64_t base = MIN(map[i].addr, MAX_PHYSICAL), end;
        if (!checked_add(map[i].addr, map[i].size, &end) || end > MAX_PHYSICAL) end = MAX_PHYSICAL;
        if (map[i].type == MEMMAP_RAM) range_set_add(ram, align_up(base, PAGE_SIZE), align_down(end, PAGE_SIZE));
        if (map[i].type == MEMMAP_ACPI || map[i].type == MEMMAP_NVS)
            range_set_add(mapped, align_down(base, PAGE_SIZE), align_up(end, PAGE_SIZE));
    }
    for (unsigned i = 0; i < count; i++) {
        uint64_t base = MIN(map[i].addr, MAX_PHYSICAL), end;
        if (!checked_add(map[i].addr, map[i].size, &end) || end > MAX_PHYSICAL) end = MAX_PHYSICAL;
        if (map[i].type != MEMMAP_RAM)
            range_set_remove(ram, align_down(base, PAGE_SIZE), align_up(end, PAGE_SIZE));
    }
    for (unsigned i = 0; i < ram->count; i++)
        range_set_add(mapped, ram->range[i].base, ram->range[i].base + ram->range[i].size);
}

static struct range_set ram;
uint64_t boot_trampoline_page;

// The highest page of RAM below 640 KiB, where other processors can start; 0 when there is none.
static uint64_t take_low_page(void) {
    uint64_t best = 0;
    for (unsigned i = 0; i < ram.count; i++) {
        uint64_t end = MIN(ram.range[i].base + ram.range[i].size, 0xa0000ul);
        if (end > ram.range[i].base && end - PAGE_SIZE > best) best = end - PAGE_SIZE;
    }
    if (best != 0) range_set_remove(&ram, best, best + PAGE_SIZE);
    return best;
}

void boot_info_read(uint64_t start_info, uint64_t entry_tsc, struct range_set *mapped) {
    const struct hvm_start_info *start = loader_data(start_info, sizeof(*start));
    uint64_t image = (uint64_t)kernel_image_start, image_end = (uint64_t)kernel_image_end;

    boot_info.entry_tsc = entry_tsc;
    if (start == NULL || start->magic != PVH_MAGIC) boot_fail("no PVH start info");
    boot_info.rsdp = paddr(start->rsdp_paddr);
    boot_info.kernel = (struct mem_range){.base = image, .size = image_end - image};
    read_cmdline(start->cmdline_paddr);
    read_initrd(start);
    read_memmap(start, &ram, mapped);

    // The first page stays out (a physical 0 means "none" in many places), as do the image and the initrd.
    range_set_remove(&ram, 0, PAGE_SIZE);
    range_set_remove(&ram, image, image_end);
    if (boot_info.initrd.size != 0) {
        uint64_t base = align_down(boot_info.initrd.base, PAGE_SIZE);
        uint64_t end = align_up(boot_info.initrd.base + boot_info.initrd.size, PAGE_SIZE);
        range_set_remove(&ram, base, end);
        // An initrd outside of RAM, or over the image, is none.
        if (!range_set_contains(mapped, base, end) || (base < image_end && end > image)) {
            boot_info.initrd = (struct mem_range){0};
            boot_problems |= BOOT_BAD_INITRD;
        }
    }
    boot_trampoline_page = take_low_page();
    for (unsigned i = 0; i < ram.count; i++) boot_info.ram[i] = ram.range[i];
    boot_info.ram_count = ram.count;
    if (start->memmap_entries > MAX_MEMMAP || ram.overflowed || mapped->overflowed) boot_problems |= BOOT_MAP_CUT;
}

uint64_t boot_page_alloc(void) {
    for (unsigned i = 0; i < boot_info.ram_count; i++) {
        struct mem_range *r = &boot_info.ram[i];
        if (r->base < (1 << 20) || r->size < 2 * PAGE_SIZE || r->base >= IDENTITY_LIMIT) continue;
        uint64_t page = r->base;
        r->base += PAGE_SIZE;
        r->size -= PAGE_SIZE;
        memset((void *)page, 0, PAGE_SIZE);
        return page;
    }
    boot_fail("no memory for page tables");
}

bool boot_option(const char *name, const char **value, size_t *length) {
    const char *at = boot_info.cmdline;
    size_t name_length = strlen(name);
    while (*at != '\0') {
        size_t word = 0;
        while (at[word] != '\0' && at[word] != ' ') word++;
        if (word >= name_length && strncmp(at, name, name_length) == 0 &&
            (word == name_length || at[name_length] == '=')) {
            *value = word == name_length ? at + word : at + name_length + 1;
            *length = word == name_length ? 0 : word - name_length - 1;
            return true;
        }
        at += word;
        while (*at == ' ') at++;
    }
    return false;
}

void boot_fail(const char *text) {
    static const char prefix[] = "KPIO cannot boot: ";
    for (const char *c = prefix; *c != '\0'; c++) __asm__ volatile("outb %b0, %w1" : : "a"(*c), "Nd"(0x3f8));
    for (; *text != '\0'; text++) __asm__ volatile("outb %b0, %w1" : : "a"(*text), "Nd"(0x3f8));
    __asm__ volatile("outb %b0, %w1" : : "a"('\n'), "Nd"(0x3f8));
    __asm__ volatile("outl %0, %w1" : : "a"(0x11), "Nd"(0xf4));
    for (;;) __asm__ volatile("cli; hlt");
}
