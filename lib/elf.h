// Reads 64-bit x86 ELF executables: checks everything a loader relies on and says which pages go where. No allocation.
#pragma once
#include <stddef.h>
#include <stdint.h>

enum { ELF_EXECUTE = 1, ELF_WRITE = 2, ELF_READ = 4 };  // segment flags, as in the file (PF_*)
#define ELF_SEGMENTS_MAX 8u

// Whole pages: file bytes [offset, offset + file_bytes) belong at `address` (both page aligned), the rest up to
// memory_bytes is zero. Segments ascend and share no page; none is writable and executable.
struct elf_segment {
    uint64_t address, offset, file_bytes, memory_bytes;
    uint32_t flags;
};

struct elf_image {
    uint64_t entry;
    uint64_t span;  // bytes from address 0 to the end of the last segment, whole pages: what a loader reserves
    uint32_t count;
    struct elf_segment segments[ELF_SEGMENTS_MAX];
    uint64_t wrong_at;  // of a refused file: the byte in it where what is wrong begins
};

// A static position-independent executable (ET_DYN without interpreter); addresses are relative to where it is put.
// 0, or -ENOEXEC with *what saying why (never NULL then) and image->wrong_at where.
int elf_parse(const void *file, size_t size, struct elf_image *image, const char **what);
