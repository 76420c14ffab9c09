#include "kernel/fs/ext4/xattr.h"

#include "abi/gen/errors.h"
#include "lib/string.h"

static const struct {
    uint8_t index;
    const char *prefix;
} prefixes[] = {{2, "system.posix_acl_access"}, {3, "system.posix_acl_default"}, {1, "user."}, {4, "trusted."}, {6, "security."},
                {7, "system."}};

int ext4_xattr_parse(const char *name, struct ext4_xattr_name *out) {
    size_t bytes = strnlen(name, 256);
    for (unsigned i = 0; i < ARRAY_SIZE(prefixes); i++) {
        size_t length = strlen(prefixes[i].prefix);
        bool whole = prefixes[i].prefix[length - 1] != '.';
        if (strncmp(name, prefixes[i].prefix, length) != 0 || (whole ? bytes != length : bytes == length)) continue;
        if (bytes - length > 255) return -ERANGE;
        *out = (struct ext4_xattr_name){prefixes[i].index, (uint8_t)(bytes - length), name + length};
        return 0;
    }
    return -EOPNOTSUPP;
}

size_t ext4_xattr_print(uint8_t index, const char *text, size_t bytes, char *out) {
    for (unsigned i = 0; i < ARRAY_SIZE(prefixes); i++) {
        if (prefixes[i].index != index) continue;
        size_t length = strlen(prefixes[i].prefix);
        if (out != NULL) {
            memcpy(out, prefixes[i].prefix, length);
            memcpy(out + length, text, bytes);
        }
        return length + bytes;
    }
    return 0;
}

static bool is_last(const struct ext4_xattr_area *a, uint32_t offset) {
    const uint32_t *word = (const uint32_t *)(a->base + offset);
    return offset + 4 > a->end || *word == 0;
}
static uint32_t next(const struct ext4_xattr_area *a, uint32_t offset) {
    return offset + ext4_xattr_entry_bytes(ext4_xattr_at(a, offset)->name_length);
}
static uint32_t padded(uint32_t size) { return (size + 3) & ~3u; }

int ext4_xattr_check(const struct ext4_xattr_area *a) {
    uint32_t at = a->first, list_end;
    for (; !is_last(a, at); at = next(a, at)) {
        if (a->end - at < sizeof(struct ext4_xattr_entry) + 4) return -EIO;
        const struct ext4_xattr_entry *e = ext4_xattr_at(a, at);
        if (ext4_xattr_entry_bytes(e->name_length) + 4 > a->end - at || e->value_inode != 0) return -EIO;
        if (e->value_size != 0 && (e->value_offset > a->end || padded(e->value_size) > a->end - e->value_offset ||
                                   e->value_size > a->end || e->value_offset % 4 != 0))
            return -EIO;
    }
    if (at + 4 > a->end) return -EIO;
    list_end = at + 4;
    for (at = a->first; !is_last(a, at); at = next(a, at))
        if (ext4_xattr_at(a, at)->value_size != 0 && ext4_xattr_at(a, at)->value_offset < list_end) return -EIO;
    return 0;
}

static int order(const struct ext4_xattr_entry *e, const struct ext4_xattr_name *name) {
    if (e->name_index != name->index) return e->name_index - name->index;
    if (e->name_length != name->bytes) return e->name_length - name->bytes;
    return memcmp(e->name, name->text, name->bytes);
}

uint32_t ext4_xattr_find(const struct ext4_xattr_area *a, const struct ext4_xattr_name *name) {
    for (uint32_t at = a->first; !is_last(a, at); at = next(a, at))
        if (order(ext4_xattr_at(a, at), name) == 0) return at;
    return UINT32_MAX;
}

bool ext4_xattr_is_empty(const struct ext4_xattr_area *a) { return is_last(a, a->first); }

static uint32_t values_begin(const struct ext4_xattr_area *a, uint32_t *list_end) {
    uint32_t begin = a->end, at = a->first;
    for (; !is_last(a, at); at = next(a, at)) {
        const struct ext4_xattr_entry *e = ext4_xattr_at(a, at);
        if (e->value_size != 0) begin = MIN(begin, (uint32_t)e->value_offset);
    }
    *list_end = at;
    return begin;
}

// Values before the one that goes move up, entries behind it down.
void ext4_xattr_cut(struct ext4_xattr_area *a, uint32_t offset) {
    struct ext4_xattr_entry *e = ext4_xattr_at(a, offset);
    uint32_t list_end, begin = values_begin(a, &list_end), size = padded(e->value_size), value = e->value_offset;
    uint32_t bytes = ext4_xattr_entry_bytes(e->name_length);
    if (size != 0) {
        memmove(a->base + begin + size, a->base + begin, value - begin);
        memset(a->base + begin, 0, size);
        for (uint32_t at = a->first; !is_last(a, at); at = next(a, at)) {
            struct ext4_xattr_entry *other = ext4_xattr_at(a, at);
            if (other->value_size != 0 && other->value_offset < value) other->value_offset = (uint16_t)(other->value_offset + size);
        }
    }
    memmove(a->base + offset, a->base + offset + bytes, list_end - offset - bytes);
    memset(a->base + list_end - bytes, 0, bytes);
}

static uint32_t entry_hash(const struct ext4_xattr_area *a, const struct ext4_xattr_entry *e) {
    uint32_t hash = 0;
    for (uint32_t i = 0; i < e->name_length; i++) hash = hash << 5 ^ hash >> 27 ^ (uint8_t)e->name[i];
    const uint32_t *words = (const uint32_t *)(a->base + e->value_offset);
    for (uint32_t i = 0; i < padded(e->value_size) / 4; i++) hash = hash << 16 ^ hash >> 16 ^ words[i];
    return hash;
}

bool ext4_xattr_put(struct ext4_xattr_area *a, const struct ext4_xattr_name *name, const void *value, uint32_t size) {
    uint32_t list_end, begin = values_begin(a, &list_end), bytes = ext4_xattr_entry_bytes(name->bytes), at = a->first;
    if (begin < list_end + 4 || begin - list_end - 4 < bytes + padded(size)) return false;
    while (a->sorted && !is_last(a, at) && order(ext4_xattr_at(a, at), name) < 0) at = next(a, at);
    if (!a->sorted) at = list_end;
    memmove(a->base + at + bytes, a->base + at, list_end - at);
    struct ext4_xattr_entry *e = ext4_xattr_at(a, at);
    memset(e, 0, bytes);
    e->name_length = name->bytes;
    e->name_index = name->index;
    e->value_size = size;
    memcpy(e->name, name->text, name->bytes);
    if (size != 0) {
        begin -= padded(size);
        e->value_offset = (uint16_t)begin;
        memset(a->base + begin, 0, padded(size));
        memcpy(a->base + begin, value, size);
    }
    if (a->sorted) e->hash = entry_hash(a, e);
    return true;
}

uint32_t ext4_xattr_block_hash(const struct ext4_xattr_area *a) {
    uint32_t hash = 0;
    for (uint32_t at = a->first; !is_last(a, at); at = next(a, at)) {
        const struct ext4_xattr_entry *e = ext4_xattr_at(a, at);
        if (e->hash == 0) return 0;
        hash = hash << 16 ^ hash >> 16 ^ e->hash;
    }
    return hash;
}
