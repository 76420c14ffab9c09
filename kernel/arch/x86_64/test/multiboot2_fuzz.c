// Multiboot2 information of any content: the parser reads inside of it only and comes to an end. The input is the tags; the
// information is a copy of exactly its size, so that a read behind its end is seen.
// links: lib/string.c
#include "kernel/arch/x86_64/boot_multiboot2.c"

#include <setjmp.h>
#include <stdlib.h>

struct boot_info boot_info;
uint32_t boot_problems;
static uint64_t information, information_size;
static jmp_buf no_boot;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

const void *boot_loader_data(uint64_t address, uint64_t size) {
    if (address < information || !range_fits(address - information, size, information_size)) return NULL;
    return (const void *)address;
}
void boot_fail(const char *text) {
    (void)text;
    longjmp(no_boot, 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct boot_loader loader = {0};
    uint8_t *copy = malloc(size + 8);
    uint32_t head[2] = {(uint32_t)size + 8, 0};
    if (copy == NULL) abort();
    memcpy(copy, head, sizeof(head));
    if (size > 0) memcpy(copy + 8, data, size);
    information = (uint64_t)copy;
    information_size = size + 8;
    memset(&boot_info, 0, sizeof(boot_info));
    if (setjmp(no_boot) == 0) {
        boot_multiboot2_read(information, &loader);
        // What it says is there can be read.
        for (uint32_t i = 0; i < loader.memmap_entries; i++)
            if (loader.memmap[i].type > MEMMAP_NVS) loader.memmap_entries = 0;
        if (boot_info.framebuffer.size < (uint64_t)boot_info.framebuffer.pitch * boot_info.framebuffer.height) abort();
    }
    free(copy);
    return 0;
}
