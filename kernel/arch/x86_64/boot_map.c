// The final page tables: the image at its slide with one protection per section, the direct map of memory without the
// image's text and read-only data, an empty window for early device mappings. Nothing else.
#include "kernel/arch/x86_64/boot.h"
#include "kernel/arch/x86_64/cpu_asm.h"
#include "kernel/arch/x86_64/paging.h"
#include "kernel/arch/x86_64/vmap.h"
#include "lib/util.h"

#define HUGE_PAGE_SIZE (1ull << 30)
#define DIRECT_MAP_FIRST 0xffff800000000000ull
#define DIRECT_MAP_SLIDES 16384ull  // 16 TiB of slides below the 64 TiB that the direct map may take

uint64_t direct_map_base;
uint64_t boot_window_table;  // physical address of the page table of VMAP_BOOT_WINDOW

// Entry index of `address` in the table of that level (3: PML4 ... 0: page table).
static unsigned index_at(uint64_t address, unsigned level) { return (address >> (12 + 9 * level)) & 511; }

// The table below entry `index`, made if missing.
static uint64_t *table_below(uint64_t *table, unsigned index) {
    if (!(table[index] & PTE_PRESENT)) table[index] = boot_page_alloc() | PTE_PRESENT | PTE_WRITE;
    return (uint64_t *)(table[index] & PTE_ADDRESS);
}

static void map_leaf(uint64_t root, uint64_t address, uint64_t physical, unsigned level, uint64_t flags) {
    uint64_t *table = (uint64_t *)root;
    for (unsigned l = 3; l > level; l--) table = table_below(table, index_at(address, l));
    table[index_at(address, level)] = physical | flags | (level > 0 ? PTE_LARGE : 0);
}

static void map_range(uint64_t root, uint64_t address, uint64_t physical, uint64_t size, uint64_t flags, bool huge) {
    while (size > 0) {
        uint64_t both = address | physical;
        unsigned level = 0;
        if (huge && is_aligned(both, HUGE_PAGE_SIZE) && size >= HUGE_PAGE_SIZE)
            level = 2;
        else if (is_aligned(both, LARGE_PAGE_SIZE) && size >= LARGE_PAGE_SIZE)
            level = 1;
        uint64_t step = 1ull << (12 + 9 * level);
        map_leaf(root, address, physical, level, flags);
        address += step, physical += step, size -= step;
    }
}

static void map_image(uint64_t root, uint64_t delta) {
    const uint64_t common = PTE_PRESENT | PTE_ACCESSED | PTE_DIRTY | PTE_GLOBAL;
    uint64_t text = (uint64_t)kernel_text_start, text_end = (uint64_t)kernel_text_end;
    uint64_t rodata_end = (uint64_t)kernel_rodata_end, end = (uint64_t)kernel_image_end;
    map_range(root, text + delta, text, text_end - text, common, false);
    map_range(root, text_end + delta, text_end, rodata_end - text_end, common | PTE_NX, false);
    map_range(root, rodata_end + delta, rodata_end, end - rodata_end, common | PTE_WRITE | PTE_NX, false);
}

// No second, writable view of text and constants.
static void map_direct(uint64_t root, const struct range_set *mapped) {
    const uint64_t flags = PTE_PRESENT | PTE_WRITE | PTE_NX | PTE_ACCESSED | PTE_DIRTY | PTE_GLOBAL;
    bool huge = cpu_cpuid(0x80000001, 0).edx & 1u << 26;
    for (unsigned i = 0; i < mapped->count; i++)
        map_range(root, direct_map_base + mapped->range[i].base, mapped->range[i].base, mapped->range[i].size, flags,
                  huge);
}

static struct range_set direct;

uint64_t boot_map_build(const struct range_set *mapped, uint64_t slide) {
    const char *value;
    size_t length;
    uint64_t root = boot_page_alloc();
    uint64_t delta = (uint64_t)slide - (uint64_t)kernel_image_start;

    direct_map_base = DIRECT_MAP_FIRST;
    if (!boot_option("nokaslr", &value, &length)) direct_map_base += boot_random() % DIRECT_MAP_SLIDES * HUGE_PAGE_SIZE;
    direct = *mapped;
    range_set_add(&direct, 0, 1 << 20);  // firmware tables
    range_set_remove(&direct, (uint64_t)kernel_text_start, (uint64_t)kernel_rodata_end);
    map_image(root, delta);
    map_direct(root, &direct);

    uint64_t *table = (uint64_t *)root;
    for (unsigned l = 3; l > 0; l--) table = table_below(table, index_at(VMAP_BOOT_WINDOW, l));
    boot_window_table = (uint64_t)table;
    // The jump from the identity mapping (here, and on other processors later) happens where both are mapped.
    for (unsigned i = 256; i < 512; i++) boot_pml4[i] = ((uint64_t *)root)[i];
    return root;
}
