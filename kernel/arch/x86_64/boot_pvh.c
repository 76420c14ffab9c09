// PVH: Xen's struct hvm_start_info (xen/include/public/arch-x86/hvm/start_info.h).
#include "kernel/arch/x86_64/boot_loader.h"
#include "lib/util.h"

#define PVH_MAGIC 0x336ec578u

struct hvm_start_info {
    uint32_t magic, version, flags, nr_modules;
    uint64_t modlist_paddr, cmdline_paddr, rsdp_paddr;
    uint64_t memmap_paddr;  // version 1 and later
    uint32_t memmap_entries, reserved;
};
struct hvm_module {
    uint64_t paddr, size, cmdline_paddr, reserved;
};

void boot_pvh_read(uint64_t start_info, struct boot_loader *loader) {
    const struct hvm_start_info *start = boot_loader_data(start_info, sizeof(*start));
    if (start == NULL || start->magic != PVH_MAGIC) boot_fail("no PVH start info");
    loader->rsdp = start->rsdp_paddr;
    loader->cmdline = start->cmdline_paddr;
    unsigned modules = MIN(start->nr_modules, (uint32_t)BOOT_MODULES);
    const struct hvm_module *module = boot_loader_data(start->modlist_paddr, modules * sizeof(*module));
    if (modules > 0 && module == NULL) boot_problems |= BOOT_BAD_INITRD;
    for (unsigned i = 0; i < modules && module != NULL; i++)
        loader->modules[i] = (struct mem_range){.base = module[i].paddr, .size = module[i].size};
    if (start->version < 1) return;
    loader->memmap = boot_loader_data(start->memmap_paddr, start->memmap_entries * sizeof(struct boot_memmap_entry));
    if (loader->memmap != NULL) loader->memmap_entries = start->memmap_entries;
}
