// A program that is put anywhere relocates itself. Until that has run, no pointer that was initialised at build time may be used.
#pragma once
#include <stdint.h>

struct elf_rela {
    uint64_t offset, info;
    int64_t addend;
};
struct elf_dyn {
    int64_t tag;
    uint64_t value;
};
enum { DT_NULL = 0, DT_RELA = 7, DT_RELASZ = 8, R_X86_64_RELATIVE = 8 };

extern const char __ehdr_start[] __attribute__((visibility("hidden")));
extern const struct elf_dyn _DYNAMIC[] __attribute__((visibility("hidden")));

// Once, before anything else.
static inline void image_relocate(void) {
    uint64_t base = (uint64_t)__ehdr_start, table = 0, size = 0;
    for (const struct elf_dyn *dyn = _DYNAMIC; dyn->tag != DT_NULL; dyn++) {
        if (dyn->tag == DT_RELA) table = dyn->value;
        if (dyn->tag == DT_RELASZ) size = dyn->value;
    }
    const struct elf_rela *rela = (const struct elf_rela *)(base + table);
    for (uint64_t i = 0; i < size / sizeof(*rela); i++) {
        if ((uint32_t)rela[i].info == R_X86_64_RELATIVE)
            *(uint64_t *)(base + rela[i].offset) = base + (uint64_t)rela[i].addend;
    }
}
