// From the identity mapping to the final one.
#include "kernel/arch/x86_64/boot.h"
#include "kernel/arch/x86_64/cpu_asm.h"
#include "lib/string.h"

#define KERNEL_LINK_BASE 0xffffffff80000000ull
#define IMAGE_WINDOW (1ull << 30)  // the image lies in the first of the top 2 GiB, the slide is whole pages

struct elf_rela {
    uint64_t offset, info;
    int64_t addend;
};
#define R_X86_64_RELATIVE 8
extern struct elf_rela kernel_rela_start[], kernel_rela_end[];

static struct range_set mapped;

static uint64_t choose_address(void) {
    const char *value;
    size_t length;
    uint64_t room = (IMAGE_WINDOW - boot_info.kernel.size) / PAGE_SIZE;
    if (boot_option("nokaslr", &value, &length)) return KERNEL_LINK_BASE;
    return KERNEL_LINK_BASE + boot_random() % room * PAGE_SIZE;
}

// Every relocation of a position-independent image without imports is "base + addend".
static void relocate(uint64_t slide) {
    uint64_t image = (uint64_t)kernel_image_start;
    for (const struct elf_rela *r = kernel_rela_start; r < kernel_rela_end; r++) {
        if ((uint32_t)r->info != R_X86_64_RELATIVE) boot_fail("unknown relocation in the kernel image");
        *(uint64_t *)(image + (r->offset - KERNEL_LINK_BASE)) = (uint64_t)r->addend + slide;
    }
}

// Without SMAP, stac and clac are invalid: no-ops of the same length take their places.
static void patch_smap(void) {
    extern int32_t smap_sites_start[], smap_sites_end[];
    struct cpuid_regs max = cpu_cpuid(0, 0);
    if (max.eax >= 7 && cpu_cpuid(7, 0).ebx & 1 << 20) return;
    for (int32_t *site = smap_sites_start; site < smap_sites_end; site++)
        memcpy((char *)site + *site, "\x0f\x1f\x00", 3);
}

struct boot_result boot_early(uint64_t start_info, uint64_t entry_tsc, uint32_t magic) {
    struct boot_result result;
    boot_info_read(start_info, entry_tsc, magic, &mapped);
    boot_seed_init();
    uint64_t address = choose_address();
    relocate(address - KERNEL_LINK_BASE);
    patch_smap();
    result.root = boot_map_build(&mapped, address);
    result.delta = address - boot_info.kernel.base;
    return result;
}
