// Inside extended attributes: an area is the end of an inode, or a block. Entries grow from its front, values from its end.
#pragma once
#include "kernel/fs/ext4/ext4.h"

struct ext4_xattr_area {
    uint8_t *base;        // value offsets count from here
    uint32_t first, end;  // of the entries, of the area: offsets from base
    bool sorted;          // a block: entries in order, with hashes
};
struct ext4_xattr_name {
    uint8_t index, bytes;
    const char *text;     // without its prefix
};

static inline struct ext4_xattr_entry *ext4_xattr_at(const struct ext4_xattr_area *a, uint32_t offset) {
    return (struct ext4_xattr_entry *)(a->base + offset);
}
static inline uint32_t ext4_xattr_entry_bytes(uint32_t name) { return ((uint32_t)sizeof(struct ext4_xattr_entry) + name + 3) & ~3u; }

// Prefix and rest: 0 or -EOPNOTSUPP. And back: bytes of the whole name, written to `out` if it is not NULL; 0: unknown prefix.
[[nodiscard]] int ext4_xattr_parse(const char *name, struct ext4_xattr_name *out);
size_t ext4_xattr_print(uint8_t index, const char *text, size_t bytes, char *out);
// 0 or -EIO: every entry and value lies inside. To be called before anything below.
[[nodiscard]] int ext4_xattr_check(const struct ext4_xattr_area *a);
uint32_t ext4_xattr_find(const struct ext4_xattr_area *a, const struct ext4_xattr_name *name);  // its offset, UINT32_MAX: not there
bool ext4_xattr_is_empty(const struct ext4_xattr_area *a);
void ext4_xattr_cut(struct ext4_xattr_area *a, uint32_t offset);
// False: no room.
[[nodiscard]] bool ext4_xattr_put(struct ext4_xattr_area *a, const struct ext4_xattr_name *name, const void *value, uint32_t size);
uint32_t ext4_xattr_block_hash(const struct ext4_xattr_area *a);
