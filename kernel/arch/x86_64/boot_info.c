// Fills boot_info from what the loader left (boot_pvh.c, boot_multiboot2.c). Every field is checked: a map that lies costs
// memory, never the boot, as long as some RAM is left.
#include "kernel/arch/x86_64/boot_loader.h"
#include "lib/string.h"
#include "lib/util.h"

#define MAX_MEMMAP 256u
#define MAX_PHYSICAL (16ull << 40)  // more than any machine we run on; the direct map has room for it

struct boot_info boot_info;
uint32_t boot_problems;

// The loader's structures must lie in the identity mapping and not in the image (this very memory).
const void *boot_loader_data(uint64_t address, uint64_t size) {
    if (address == 0 || !range_fits(address, size, BOOT_IDENTITY_LIMIT)) return NULL;
    return (const void *)address;
}

static void read_cmdline(uint64_t address) {
    const char *text = boot_loader_data(address, 1);
    if (text == NULL) return;
    size_t limit = MIN(sizeof(boot_info.cmdline) - 1, BOOT_IDENTITY_LIMIT - address);
    size_t i = 0;
    for (; i < limit && text[i] != '\0'; i++) boot_info.cmdline[i] = text[i];
    if (i == limit) boot_problems |= BOOT_CMDLINE_CUT;
}

// The pages of a module that the loader put into memory, or nothing.
static struct mem_range read_module(struct mem_range module, uint32_t problem) {
    uint64_t end;
    if (module.size == 0) return (struct mem_range){0};
    if (!checked_add(module.base, module.size, &end) || end > MAX_PHYSICAL) {
        boot_problems |= problem;
        return (struct mem_range){0};
    }
    return module;
}

// Twice over the map: RAM first, then everything else is taken away from it, so that the order does not matter and an
// overlap is decided for "not RAM".
static void read_memmap(const struct boot_loader *loader, struct range_set *ram, struct range_set *mapped) {
    unsigned count = MIN(loader->memmap_entries, MAX_MEMMAP);
    const struct boot_memmap_entry *map = loader->memmap;
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
    for (unsigned i = 0; i < ram->count; i++) {
        range_set_add(mapped, ram->range[i].base, ram->range[i].base + ram->range[i].size);
        boot_info.ram_bytes += ram->range[i].size;
    }
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

// Takes a module's pages out of the RAM to be used. A module outside of RAM, or over the image, is none.
static void keep_module(struct mem_range *module, const struct range_set *mapped, uint32_t problem) {
    const struct mem_range *image = &boot_info.kernel;
    uint64_t base = align_down(module->base, PAGE_SIZE), end = align_up(module->base + module->size, PAGE_SIZE);
    if (module->size == 0) return;
    range_set_remove(&ram, base, end);
    if (range_set_contains(mapped, base, end) && (base >= image->base + image->size || end <= image->base)) return;
    *module = (struct mem_range){0};
    boot_problems |= problem;
}

void boot_info_read(uint64_t start_info, uint64_t entry_tsc, uint32_t magic, struct range_set *mapped) {
    uint64_t image = (uint64_t)kernel_image_start, image_end = (uint64_t)kernel_image_end;
    struct boot_loader loader;
    memset(&loader, 0, sizeof(loader));
    if (magic == MULTIBOOT2_MAGIC) {
        boot_say("KPIO takes over from the loader\n");  // what says nothing after this is the kernel
        boot_multiboot2_read(start_info, &loader);
    } else {
        boot_pvh_read(start_info, &loader);
    }

    boot_info.entry_tsc = entry_tsc;
    boot_info.rsdp = paddr(loader.rsdp);
    boot_info.kernel = (struct mem_range){.base = image, .size = image_end - image};
    read_cmdline(loader.cmdline);
    boot_info.initrd = read_module(loader.modules[0], BOOT_BAD_INITRD);
    boot_info.disk = read_module(loader.modules[1], BOOT_BAD_DISK);
    read_memmap(&loader, &ram, mapped);

    // The first page stays out (a physical 0 means "none" in many places), as do the image and the modules.
    range_set_remove(&ram, 0, PAGE_SIZE);
    range_set_remove(&ram, image, image_end);
    keep_module(&boot_info.initrd, mapped, BOOT_BAD_INITRD);
    keep_module(&boot_info.disk, mapped, BOOT_BAD_DISK);
    boot_trampoline_page = take_low_page();
    for (unsigned i = 0; i < ram.count; i++) boot_info.ram[i] = ram.range[i];
    boot_info.ram_count = ram.count;
    if (loader.memmap_entries > MAX_MEMMAP || ram.overflowed || mapped->overflowed) boot_problems |= BOOT_MAP_CUT;
}

uint64_t boot_page_alloc(void) {
    for (unsigned i = 0; i < boot_info.ram_count; i++) {
        struct mem_range *r = &boot_info.ram[i];
        if (r->base < (1 << 20) || r->size < 2 * PAGE_SIZE || r->base >= BOOT_IDENTITY_LIMIT) continue;
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

void boot_say(const char *text) {
    for (; *text != '\0'; text++) __asm__ volatile("outb %b0, %w1" : : "a"(*text), "Nd"(0x3f8));
}

void boot_fail(const char *text) {
    boot_say("KPIO cannot boot: ");
    boot_say(text);
    boot_say("\n");
    __asm__ volatile("outl %0, %w1" : : "a"(0x11), "Nd"(0xf4));
    for (;;) __asm__ volatile("cli; hlt");
}
