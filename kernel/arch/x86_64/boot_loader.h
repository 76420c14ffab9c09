// What boot loaders of different protocols leave, in one form. Used on the identity mapping only.
#pragma once
#include "kernel/arch/x86_64/boot.h"

#define BOOT_IDENTITY_LIMIT (4ull << 30)
#define BOOT_MODULES 2            // the boot archive, a disk in memory
#define MULTIBOOT2_MAGIC 0x36d76289u

// Both protocols describe memory so (hvm_memmap_table_entry; Multiboot2 3.6.8), with the same types.
struct boot_memmap_entry {
    uint64_t addr, size;
    uint32_t type, reserved;
};
enum { MEMMAP_RAM = 1, MEMMAP_RESERVED = 2, MEMMAP_ACPI = 3, MEMMAP_NVS = 4 };

struct boot_loader {
    uint64_t cmdline;             // address of text that ends with NUL; 0: none
    uint64_t rsdp;                // 0: to be searched for
    struct mem_range modules[BOOT_MODULES];
    const struct boot_memmap_entry *memmap;
    uint32_t memmap_entries;
};

// Loader data of that size, or NULL when it does not lie where it can be read.
const void *boot_loader_data(uint64_t address, uint64_t size);

// They fill *loader (zeroed), and boot_info.framebuffer; what is not well formed is left out. Without anything usable the
// boot ends with a message.
void boot_pvh_read(uint64_t start_info, struct boot_loader *loader);
void boot_multiboot2_read(uint64_t information, struct boot_loader *loader);
