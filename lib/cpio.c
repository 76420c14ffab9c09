#include "lib/cpio.h"

#include "abi/gen/errors.h"
#include "lib/string.h"
#include "lib/util.h"

// The header: a magic of six characters, then 13 fields of eight hexadecimal digits.
#define HEADER_SIZE 110u
enum { FIELD_MODE = 1, FIELD_FILE_SIZE = 6, FIELD_NAME_SIZE = 11 };
#define TRAILER "TRAILER!!!"

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

static bool read_field(const char *header, unsigned field, uint32_t *out) {
    uint32_t value = 0;
    for (unsigned i = 0; i < 8; i++) {
        int digit = hex_digit(header[6 + field * 8 + i]);
        if (digit < 0) return false;
        value = value << 4 | (uint32_t)digit;
    }
    *out = value;
    return true;
}

static const char *plain_name(const char *name) {
    if (name[0] == '.' && name[1] == '/') name += 2;
    while (*name == '/') name++;
    return name;
}

static int damaged(const char **what, const char *text) {
    if (what != NULL) *what = text;
    return -EINVAL;
}

int cpio_next(const void *archive, size_t size, size_t *position, struct cpio_entry *entry, const char **what) {
    const char *bytes = archive;
    size_t at = *position;
    uint32_t mode, file_size, name_size;

    if (at > size || size - at < HEADER_SIZE) return damaged(what, "the archive ends without a trailer");
    const char *header = bytes + at;
    if (memcmp(header, "070701", 6) != 0 && memcmp(header, "070702", 6) != 0) return damaged(what, "bad magic");
    if (!read_field(header, FIELD_MODE, &mode) || !read_field(header, FIELD_FILE_SIZE, &file_size) ||
        !read_field(header, FIELD_NAME_SIZE, &name_size))
        return damaged(what, "a header field is not a hexadecimal number");
    size_t name_at = at + HEADER_SIZE;
    if (name_size == 0 || name_size > size - name_at || memchr(bytes + name_at, 0, name_size) == NULL)
        return damaged(what, "a name runs beyond the archive");
    if (strcmp(bytes + name_at, TRAILER) == 0) return 0;
    size_t data_at = align_up(name_at + name_size, 4);
    if (data_at > size || file_size > size - data_at) return damaged(what, "a file runs beyond the archive");
    *entry = (struct cpio_entry){.name = plain_name(bytes + name_at), .data = (const uint8_t *)bytes + data_at,
                                 .size = file_size, .data_offset = data_at, .mode = mode};
    *position = MIN(align_up(data_at + file_size, 4), (uint64_t)size);
    return 1;
}

int cpio_find(const void *archive, size_t size, const char *path, struct cpio_entry *entry) {
    size_t position = 0;
    for (;;) {
        struct cpio_entry candidate;
        int result = cpio_next(archive, size, &position, &candidate, NULL);
        if (result < 0) return result;
        if (result == 0) return -ENOENT;
        if (strcmp(candidate.name, path) == 0) {
            *entry = candidate;
            return 0;
        }
    }
}
