// The parts of the boot path. The files boot*.c run before the image is relocated or KASAN's shadow exists: they use no
// pointers stored in data, and no instrumented function.
#pragma once
#include "kernel/arch/x86_64/arch.h"
#include "kernel/arch/x86_64/ranges.h"

extern char kernel_image_start[], kernel_text_start[], kernel_text_end[], kernel_rodata_end[], kernel_data_start[],
    kernel_image_end[];
extern uint64_t boot_pml4[512];  // identity mapping of 4 GiB and the kernel half

struct boot_result {
    uint64_t delta;  // virtual minus physical address of the image
    uint64_t root;   // physical address of the final page-table root
};
// Called on the identity mapping. start_info: what the loader left, in the form that `magic` names: MULTIBOOT2_MAGIC, or else
// a PVH start info.
struct boot_result boot_early(uint64_t start_info, uint64_t entry_tsc, uint32_t magic);
// Called at the final address on the final page tables.
[[gnu::noreturn]] void boot_kernel(void);

// boot_info.c: fills boot_info and `mapped` (what the direct map must cover, before anything was taken away).
void boot_info_read(uint64_t start_info, uint64_t entry_tsc, uint32_t magic, struct range_set *mapped);
// A word "name" or "name=value" of the command line; *value gets the text after '=', *length its length.
bool boot_option(const char *name, const char **value, size_t *length);
// What was wrong with what the loader passed; told once there is a log.
enum { BOOT_CMDLINE_CUT = 1, BOOT_BAD_INITRD = 2, BOOT_MAP_CUT = 4, BOOT_BAD_DISK = 8 };
extern uint32_t boot_problems;
// boot_seed.c: mixes what chance there is into boot_info.seed; boot_random draws from a stream beside it.
void boot_seed_init(void);
uint64_t boot_random(void);
// boot_map.c: chooses the slides and builds the final tables. Returns the root's physical address.
extern uint64_t boot_window_table;  // physical: the page table of VMAP_BOOT_WINDOW
uint64_t boot_map_build(const struct range_set *mapped, uint64_t slide);

extern uint64_t boot_trampoline_page;  // RAM below 640 KiB set aside for smp.c, or 0

// A zeroed page taken out of boot_info.ram for page tables, below 4 GiB. Never fails: the boot ends with a message.
uint64_t boot_page_alloc(void);
// Writes on COM1, whatever state that is in.
void boot_say(const char *text);
// The same, and stops: for what makes booting impossible.
[[gnu::noreturn]] void boot_fail(const char *text);
