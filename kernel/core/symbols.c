#include "kernel/core/symbols.h"

#include <stddef.h>

// Absent in the first link. Hidden and weak: then their addresses are not the table's, but NULL.
extern const uint32_t kernel_symbol_count __attribute__((weak, visibility("hidden")));
extern const uint32_t kernel_symbol_offsets[] __attribute__((weak, visibility("hidden")));
extern const char kernel_symbol_names[] __attribute__((weak, visibility("hidden")));
extern const char kernel_image_start[], kernel_text_end[];

const char *symbol_find(uint64_t address, uint64_t *offset) {
    uint64_t base = (uint64_t)kernel_image_start;
    const char *name = kernel_symbol_names;
    if (&kernel_symbol_count == NULL || address < base || address >= (uint64_t)kernel_text_end) return NULL;
    uint32_t low = 0, high = kernel_symbol_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (kernel_symbol_offsets[middle] <= address - base)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0) return NULL;
    for (uint32_t i = 0; i + 1 < low; i++)
        while (*name++ != '\0') {}
    *offset = address - base - kernel_symbol_offsets[low - 1];
    return name;
}
