// Reads any bytes as a program: what is accepted must be whole, in order, inside the file and free of W+X.
// links: lib/elf.c
#include "lib/elf.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool condition) {
    if (!condition) abort();
}

// Most inputs fail on the first bytes, so these are given.
static uint8_t *with_header(const uint8_t *data, size_t size) {
    static const uint8_t start[] = {0x7f, 'E', 'L', 'F', 2, 1, 1};
    uint8_t *file = malloc(size + !size);

    memcpy(file, data, size);
    if (size < 64) return file;
    memcpy(file, start, sizeof(start));
    file[16] = 3;
    file[17] = 0;
    file[18] = 62;
    file[19] = 0;
    file[54] = 56;
    file[55] = 0;
    file[57] = 0;
    if (size % 2 == 0) memset(file + 33, 0, 7);
    return file;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t *file = with_header(data, size);
    struct elf_image image;
    const char *what = NULL;
    uint64_t end = 0;
    bool entry_is_code = false;

    if (elf_parse(file, size, &image, &what) != 0) {
        expect(what != NULL && image.wrong_at <= size);
        free(file);
        return 0;
    }
    expect(image.count >= 1 && image.count <= ELF_SEGMENTS_MAX);
    for (uint32_t i = 0; i < image.count; i++) {
        const struct elf_segment *segment = &image.segments[i];

        expect((segment->address | segment->memory_bytes) % 4096 == 0);
        expect(segment->file_bytes == 0 || segment->offset % 4096 == 0);
        expect(segment->file_bytes == 0 || (segment->offset <= size && segment->file_bytes <= size - segment->offset));
        expect(segment->file_bytes <= segment->memory_bytes && segment->address >= end);
        expect((segment->flags & (ELF_WRITE | ELF_EXECUTE)) != (ELF_WRITE | ELF_EXECUTE));
        expect(!__builtin_add_overflow(segment->address, segment->memory_bytes, &end) && end <= image.span);
        if ((segment->flags & ELF_EXECUTE) && image.entry >= segment->address && image.entry < end) entry_is_code = true;
    }
    expect(entry_is_code);
    free(file);
    return 0;
}
