// Programs that must be refused, and why: a good one with one thing changed.
// links: lib/elf.c
#include "lib/elf.h"

#include "abi/gen/errors.h"

#include <string.h>

#include "lib/util.h"
#include "tests/unit/unit.h"

struct file {
    struct {
        uint8_t ident[16];
        uint16_t type, machine;
        uint32_t version;
        uint64_t entry, program_offset, section_offset;
        uint32_t flags;
        uint16_t header_size, program_entry_size, program_count, section_entry_size, section_count, section_names;
    } header;
    struct {
        uint32_t type, flags;
        uint64_t offset, address, physical, file_size, memory_size, alignment;
    } programs[3];
    uint8_t rest[3 * 4096];
};

// Code at 0x0 to 0x1010, data at 0x2340 with zeros behind.
static struct file good_file(void) {
    struct file file = {.header = {.ident = {0x7f, 'E', 'L', 'F', 2, 1, 1}, .type = 3, .machine = 62, .version = 1, .entry = 0x1000,
                                   .program_offset = 64, .header_size = 64, .program_entry_size = 56, .program_count = 3}};

    file.programs[0].type = 0x6474e551;  // GNU_STACK: not our business
    file.programs[1].type = 1;
    file.programs[1].flags = ELF_READ | ELF_EXECUTE;
    file.programs[1].file_size = file.programs[1].memory_size = 0x1010;
    file.programs[2].type = 1;
    file.programs[2].flags = ELF_READ | ELF_WRITE;
    file.programs[2].offset = 0x1340;
    file.programs[2].address = 0x2340;
    file.programs[2].file_size = 0x100;
    file.programs[2].memory_size = 0x3000;
    return file;
}

static const char *refusal(const struct file *file, size_t size) {
    struct elf_image image;
    const char *what = NULL;

    return elf_parse(file, size, &image, &what) == 0 ? "accepted" : what;
}

TEST(elf_good_file) {
    struct file file = good_file();
    struct elf_image image;
    const char *what = NULL;

    CHECK_EQ(elf_parse(&file, sizeof(file), &image, &what), 0);
    CHECK_EQ(image.entry, 0x1000);
    CHECK_EQ(image.count, 2);
    CHECK_EQ(image.span, 0x6000);
    CHECK_EQ(image.segments[0].file_bytes, 0x1010);
    CHECK_EQ(image.segments[0].memory_bytes, 0x2000);
    CHECK_EQ(image.segments[1].address, 0x2000);
    CHECK_EQ(image.segments[1].offset, 0x1000);
    CHECK_EQ(image.segments[1].file_bytes, 0x440);
    CHECK_EQ(image.segments[1].memory_bytes, 0x4000);
}

#define REFUSED(change, reason)                                                                       \
    do {                                                                                              \
        struct file file = good_file();                                                               \
        change;                                                                                       \
        if (strcmp(refusal(&file, sizeof(file)), reason) != 0)                                        \
            unit_fail(__FILE__, __LINE__, "%s: %s", #change, refusal(&file, sizeof(file)));           \
    } while (0)

TEST(elf_bad_headers) {
    REFUSED(file.header.ident[0] = 0, "not a 64-bit little-endian ELF file");
    REFUSED(file.header.ident[4] = 1, "not a 64-bit little-endian ELF file");
    REFUSED(file.header.type = 2, "not position independent (ET_DYN)");
    REFUSED(file.header.machine = 3, "not for x86-64");
    REFUSED(file.header.program_entry_size = 32, "program headers of odd size");
    REFUSED(file.header.program_offset = UINT64_MAX - 8, "program headers run beyond the file");
    REFUSED(file.header.program_offset = sizeof(file) - 100, "program headers run beyond the file");
    REFUSED(file.header.program_count = 0, "nothing to load");
    REFUSED(file.header.entry = 0x2400, "the entry point is not in code of the file");
    REFUSED(file.header.entry = 0x1010, "the entry point is not in code of the file");
    REFUSED(file.header.entry = UINT64_MAX, "the entry point is not in code of the file");
}

TEST(elf_bad_segments) {
    REFUSED(file.programs[0].type = 3, "wants an interpreter: not a static program");
    REFUSED(file.programs[1].flags = 7, "a segment is writable and executable");
    REFUSED(file.programs[2].file_size = 0x4000, "a segment has more file than memory");
    REFUSED(file.programs[2].offset = UINT64_MAX & ~0xcbfull, "a segment runs beyond the file");
    REFUSED(file.programs[2].offset = 0x1341, "a segment's offset and address disagree");
    REFUSED(file.programs[2].memory_size = UINT64_MAX, "a segment's address is out of range");
    REFUSED(file.programs[2].address = 0x1340, "segments overlap or are not in order");
    REFUSED(file.programs[1].memory_size = 0x2001, "segments overlap or are not in order");
}

TEST(elf_place_of_what_is_wrong) {
    struct file file = good_file();
    struct elf_image image;
    const char *what;
    file.programs[2].offset = 0x1341;
    CHECK_EQ(elf_parse(&file, sizeof(file), &image, &what), -ENOEXEC);
    CHECK_EQ(image.wrong_at, 64 + 2 * 56 + 8);
    file.header.machine = 3;
    CHECK_EQ(elf_parse(&file, sizeof(file), &image, &what), -ENOEXEC);
    CHECK_EQ(image.wrong_at, 18);
}

TEST(elf_cut_short) {
    struct file file = good_file();

    for (size_t size = 0; size < sizeof(file.header); size++) CHECK(strcmp(refusal(&file, size), "shorter than an ELF header") == 0);
    for (size_t size = sizeof(file.header); size < 0x1440; size++) CHECK(strcmp(refusal(&file, size), "accepted") != 0);
    CHECK(strcmp(refusal(&file, 0x1440), "accepted") == 0);
}
