#include "user/liblinux/program.h"

#include "abi/gen/errors.h"
#include "abi/gen/stubs.h"
#include "lib/string.h"
#include "lib/util.h"
#include "user/liblinux/memory.h"

#define PAGE 4096ull
#define SEGMENTS_MAX 64u

struct elf_header {
    uint8_t magic[4], class_, data, version, abi, pad[8];
    uint16_t type, machine;
    uint32_t file_version;
    uint64_t entry, program_at, section_at;
    uint32_t flags;
    uint16_t header_size, program_size, program_count, section_size, section_count, names;
};
struct elf_segment_header {
    uint32_t type, flags;
    uint64_t offset, address, physical, file_bytes, memory_bytes, alignment;
};
enum { PT_LOAD = 1, PT_INTERP = 3, PT_PHDR = 6, PT_GNU_STACK = 0x6474e551, ET_EXEC = 2, ET_DYN = 3, MACHINE_X86_64 = 62 };
_Static_assert(sizeof(struct elf_header) == 64 && sizeof(struct elf_segment_header) == 56, "ELF-64");

struct elf {
    struct elf_header header;
    struct elf_segment_header segments[SEGMENTS_MAX];
};

static int64_t read_exactly(kpio_handle file, void *to, uint64_t size, uint64_t offset) {
    int64_t got = kpio_file_read(file, to, size, (int64_t)offset);
    return got < 0 ? got : (uint64_t)got == size ? 0 : -ENOEXEC;
}

static int64_t read_headers(kpio_handle file, struct elf *elf) {
    const struct elf_header *h = &elf->header;
    int64_t result = read_exactly(file, &elf->header, sizeof elf->header, 0);
    if (result < 0) return result;
    if (memcmp(h->magic, "\177ELF", 4) != 0 || h->class_ != 2 || h->data != 1 || h->machine != MACHINE_X86_64) return -ENOEXEC;
    if (h->type != ET_EXEC && h->type != ET_DYN) return -ENOEXEC;
    if (h->program_size != sizeof elf->segments[0] || h->program_count == 0 || h->program_count > SEGMENTS_MAX) return -ENOEXEC;
    return read_exactly(file, elf->segments, h->program_count * sizeof elf->segments[0], h->program_at);
}

// Range of the loaded segments; checks what the mapping relies on.
static int64_t measure(const struct elf *elf, uint64_t *low, uint64_t *high) {
    *low = UINT64_MAX;
    *high = 0;
    for (unsigned i = 0; i < elf->header.program_count; i++) {
        const struct elf_segment_header *s = &elf->segments[i];
        uint64_t end, file_end;
        if (s->type != PT_LOAD || s->memory_bytes == 0) continue;
        if (!checked_add(s->address, s->memory_bytes, &end) || !checked_add(s->offset, s->file_bytes, &file_end)) return -ENOEXEC;
        if (s->file_bytes > s->memory_bytes || s->address % PAGE != s->offset % PAGE || end >= 1ull << 47) return -ENOEXEC;
        *low = MIN(*low, align_down(s->address, PAGE));
        *high = MAX(*high, align_up(end, PAGE));
    }
    return *high == 0 ? -ENOEXEC : 0;
}

static int64_t read_interpreter(kpio_handle file, const struct elf *elf, char *to, uint64_t size) {
    to[0] = 0;
    for (unsigned i = 0; i < elf->header.program_count; i++) {
        const struct elf_segment_header *s = &elf->segments[i];
        if (s->type != PT_INTERP) continue;
        if (s->file_bytes < 2 || s->file_bytes > size) return -ENOEXEC;
        int64_t result = read_exactly(file, to, s->file_bytes, s->offset);
        return result < 0 ? result : to[s->file_bytes - 1] == 0 ? 0 : -ENOEXEC;
    }
    return 0;
}

static uint32_t map_flags(uint32_t elf_flags) {
    return (elf_flags & 4 ? KPIO_MAP_READ : 0) | (elf_flags & 2 ? KPIO_MAP_WRITE : 0) | (elf_flags & 1 ? KPIO_MAP_EXECUTE : 0);
}

// Memory that is written and run takes a right that few have: a page of it is tried here.
static int64_t try_access(struct lx_space *space, kpio_handle file, const struct elf *elf) {
    const uint32_t both = KPIO_MAP_WRITE | KPIO_MAP_EXECUTE;
    int64_t result = 0;
    for (unsigned i = 0; i < elf->header.program_count && result >= 0; i++) {
        const struct elf_segment_header *s = &elf->segments[i];
        const uint32_t flags = map_flags(s->flags);
        if (s->type != PT_LOAD || (flags & both) != both) continue;
        const struct lx_fd fd = {.kind = LX_KIND_FILE, .flags = LX_FD_READ, .handle = file};
        if (s->file_bytes > 0) result = lx_map_file(space, &fd, align_down(s->offset, PAGE), PAGE, flags | KPIO_MAP_PRIVATE, 0);
        else result = lx_map_anonymous(space, PAGE, flags, 0);
        if (result >= 0) (void)kpio_aspace_unmap(space->aspace, (uint64_t)result, PAGE);
    }
    return result >= 0 ? 0 : result == -ENOMEM ? result : -EACCES;
}

int64_t lx_program_check(struct lx_space *space, kpio_handle file, char *interpreter, uint64_t size) {
    struct elf elf;
    uint64_t low, high;
    int64_t result = read_headers(file, &elf);
    if (result == 0) result = measure(&elf, &low, &high);
    if (result == 0) result = try_access(space, file, &elf);
    return result == 0 ? read_interpreter(file, &elf, interpreter, size) : result;
}

// File pages first, zeroed ones behind; the rest of the last file page is zeroed where it may be written.
static int64_t map_segment(struct lx_space *space, kpio_handle vmo, const struct elf_segment_header *s, uint64_t base) {
    uint64_t start = align_down(base + s->address, PAGE), file_end = base + s->address + s->file_bytes;
    uint64_t file_top = align_up(file_end, PAGE), top = align_up(base + s->address + s->memory_bytes, PAGE);
    uint32_t flags = map_flags(s->flags) | KPIO_MAP_FIXED;
    int64_t result = 0;
    if (s->file_bytes > 0)
        result = kpio_aspace_map(space->aspace, vmo, align_down(s->offset, PAGE), file_top - start, flags | KPIO_MAP_PRIVATE, start);
    else file_top = start;
    if (result >= 0 && s->flags & 2 && file_end < file_top && s->memory_bytes > s->file_bytes && s->file_bytes > 0)
        memset((void *)file_end, 0, file_top - file_end);
    if (result >= 0 && top > file_top) result = lx_map_anonymous(space, top - file_top, flags, file_top);
    return result < 0 ? result : 0;
}

static int64_t map_segments(struct lx_space *space, kpio_handle file, const struct elf *elf, uint64_t base) {
    int64_t vmo = kpio_file_vmo(file, KPIO_RIGHT_READ | KPIO_RIGHT_EXECUTE), result = 0;
    if (vmo < 0) return vmo == -EACCES ? -EPERM : vmo;
    for (unsigned i = 0; i < elf->header.program_count && result == 0; i++) {
        const struct elf_segment_header *s = &elf->segments[i];
        if (s->type == PT_LOAD && s->memory_bytes > 0) result = map_segment(space, (kpio_handle)vmo, s, base);
    }
    (void)kpio_handle_close((uint64_t)vmo);
    return result;
}

static uint64_t find_headers(const struct elf *elf, uint64_t base) {
    for (unsigned i = 0; i < elf->header.program_count; i++) {
        const struct elf_segment_header *s = &elf->segments[i];
        uint64_t at = elf->header.program_at;
        if (s->type == PT_PHDR) return base + s->address;
        if (s->type == PT_LOAD && at >= s->offset && at - s->offset < s->file_bytes) return base + s->address + (at - s->offset);
    }
    return 0;
}

int64_t lx_program_map(struct lx_space *space, kpio_handle file, struct lx_program *out) {
    struct elf elf;
    uint64_t low, high;
    int64_t result = read_headers(file, &elf);
    if (result == 0) result = measure(&elf, &low, &high);
    if (result == 0) result = read_interpreter(file, &elf, out->interpreter, sizeof out->interpreter);
    if (result < 0) return result;
    bool fixed = elf.header.type == ET_EXEC;
    uint32_t how = KPIO_MAP_RESERVE | (fixed ? KPIO_MAP_FIXED_NOREPLACE : 0);
    int64_t at = kpio_aspace_map(space->aspace, 0, 0, high - low, how, fixed ? low : 0);
    if (at < 0) return at;
    uint64_t base = (uint64_t)at - low;
    for (unsigned i = 0; i < elf.header.program_count; i++) {
        const struct elf_segment_header *s = &elf.segments[i];
        if (s->type == PT_GNU_STACK) out->executable_stack = s->flags & 1;
    }
    result = map_segments(space, file, &elf, base);
    if (result < 0) return result;
    out->base = base;
    out->entry = base + elf.header.entry;
    out->headers = find_headers(&elf, base);
    out->header_count = elf.header.program_count;
    out->end = base + high;
    return 0;
}
