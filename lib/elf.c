#include "lib/elf.h"

#include "abi/gen/errors.h"
#include "lib/string.h"
#include "lib/util.h"

#define PAGE 4096u
#define SPAN_MAX (1ull << 40)

struct elf_header {
    uint8_t ident[16];
    uint16_t type, machine;
    uint32_t version;
    uint64_t entry, program_offset, section_offset;
    uint32_t flags;
    uint16_t header_size, program_entry_size, program_count, section_entry_size, section_count, section_names;
};
struct elf_program {
    uint32_t type, flags;
    uint64_t offset, address, physical, file_size, memory_size, alignment;
};
_Static_assert(sizeof(struct elf_header) == 64 && sizeof(struct elf_program) == 56, "the format");
enum { TYPE_DYNAMIC = 3, MACHINE_X86_64 = 62, PROGRAM_LOAD = 1, PROGRAM_INTERPRETER = 3 };

static int refuse(struct elf_image *image, const char **what, uint64_t at, const char *text) {
    image->wrong_at = at;
    *what = text;
    return -ENOEXEC;
}

#define AT(field) offsetof(struct elf_header, field)
static int check_header(struct elf_image *image, const struct elf_header *header, size_t size, const char **what) {
    static const uint8_t magic[7] = {0x7f, 'E', 'L', 'F', 2, 1, 1};  // 64 bits, little endian, version 1
    if (size < sizeof(*header)) return refuse(image, what, size, "shorter than an ELF header");
    if (memcmp(header->ident, magic, sizeof(magic)) != 0)
        return refuse(image, what, AT(ident), "not a 64-bit little-endian ELF file");
    if (header->type != TYPE_DYNAMIC) return refuse(image, what, AT(type), "not position independent (ET_DYN)");
    if (header->machine != MACHINE_X86_64) return refuse(image, what, AT(machine), "not for x86-64");
    if (header->program_entry_size != sizeof(struct elf_program))
        return refuse(image, what, AT(program_entry_size), "program headers of odd size");
    uint64_t bytes = (uint64_t)header->program_count * sizeof(struct elf_program);
    if (!range_fits(header->program_offset, bytes, size))
        return refuse(image, what, AT(program_offset), "program headers run beyond the file");
    return 0;
}

// `at`: of the program header in the file.
#define WRONG(field, text) refuse(image, what, at + offsetof(struct elf_program, field), text)
static int add_segment(struct elf_image *image, const struct elf_program *program, uint64_t at, size_t size, const char **what) {
    uint64_t lead = program->address & (PAGE - 1), end;
    if (program->memory_size == 0) return 0;
    if (image->count == ELF_SEGMENTS_MAX) return WRONG(type, "too many segments");
    if (program->file_size > program->memory_size) return WRONG(file_size, "a segment has more file than memory");
    if (!range_fits(program->offset, program->file_size, size)) return WRONG(offset, "a segment runs beyond the file");
    if ((program->offset & (PAGE - 1)) != lead) return WRONG(offset, "a segment's offset and address disagree");
    if (!checked_add(program->address, program->memory_size, &end) || end > SPAN_MAX)
        return WRONG(address, "a segment's address is out of range");
    if (program->address - lead < image->span) return WRONG(address, "segments overlap or are not in order");
    if ((program->flags & ELF_WRITE) && (program->flags & ELF_EXECUTE))
        return WRONG(flags, "a segment is writable and executable");
    image->segments[image->count++] = (struct elf_segment){
        .address = program->address - lead, .offset = program->offset - lead,
        .file_bytes = program->file_size == 0 ? 0 : program->file_size + lead,
        .memory_bytes = align_up(program->memory_size + lead, PAGE), .flags = program->flags & 7};
    image->span = align_up(end, PAGE);
    return 0;
}

static bool entry_is_code(const struct elf_image *image) {
    for (uint32_t i = 0; i < image->count; i++) {
        const struct elf_segment *segment = &image->segments[i];
        if ((segment->flags & ELF_EXECUTE) && image->entry - segment->address < segment->file_bytes &&
            image->entry >= segment->address)
            return true;
    }
    return false;
}

int elf_parse(const void *file, size_t size, struct elf_image *image, const char **what) {
    struct elf_header header;
    struct elf_program program;

    if (size >= sizeof(header)) memcpy(&header, file, sizeof(header));
    int error = check_header(image, &header, size, what);
    if (error) return error;
    *image = (struct elf_image){.entry = header.entry};
    for (unsigned i = 0; i < header.program_count; i++) {
        uint64_t at = header.program_offset + i * sizeof(program);
        memcpy(&program, (const uint8_t *)file + at, sizeof(program));
        if (program.type == PROGRAM_INTERPRETER) return refuse(image, what, at, "wants an interpreter: not a static program");
        if (program.type != PROGRAM_LOAD) continue;
        error = add_segment(image, &program, at, size, what);
        if (error) return error;
    }
    if (image->count == 0) return refuse(image, what, AT(program_count), "nothing to load");
    if (!entry_is_code(image)) return refuse(image, what, AT(entry), "the entry point is not in code of the file");
    return 0;
}
