// Blocks of directory entries: a chain of records that fills the block, before the checksum at its end.
#include "abi/gen/errors.h"
#include "kernel/fs/ext4/ext4.h"
#include "lib/crc32c.h"
#include "lib/string.h"

static const uint16_t modes[8] = {0, FS_REGULAR, FS_DIRECTORY, FS_CHAR, FS_BLOCK, FS_FIFO, FS_SOCKET, FS_SYMLINK};

uint8_t ext4_dirent_type(uint32_t mode) {
    for (uint8_t type = 1; type < 8; type++)
        if (modes[type] == FS_TYPE(mode)) return type;
    return 0;
}
uint32_t ext4_dirent_mode(uint8_t type) { return type < 8 ? modes[type] : 0; }

uint32_t ext4_dirent_area(const struct ext4_node *dir) {
    const struct ext4 *v = ext4_of(&dir->inode);
    return v->block_size - (v->checksums ? (uint32_t)sizeof(struct ext4_dirent_tail) : 0);
}

static struct ext4_dirent_tail *tail_of(const struct ext4_node *dir, const struct buffer *b) {
    return (struct ext4_dirent_tail *)(b->data + ext4_dirent_area(dir));
}

// Is the record at `offset` one, within the area?
static bool record_is_good(const struct ext4_dirent *e, uint32_t offset, uint32_t area) {
    return e->length >= 12 && e->length % 4 == 0 && e->length <= area - offset && ext4_dirent_bytes(e->name_length) <= e->length;
}

static const char *leaf_problem(struct ext4_node *dir, const struct buffer *b) {
    struct ext4 *v = ext4_of(&dir->inode);
    uint32_t area = ext4_dirent_area(dir);
    for (uint32_t offset = 0; offset < area; offset += ext4_dirent_at(b, offset)->length)
        if (area - offset < 12 || !record_is_good(ext4_dirent_at(b, offset), offset, area)) return "entry";
    if (!v->checksums) return NULL;
    const struct ext4_dirent_tail *tail = tail_of(dir, b);
    if (tail->zero != 0 || tail->length != sizeof *tail || tail->zero_name_length != 0 || tail->type != EXT4_DIRENT_TAIL_TYPE)
        return "no room for a checksum";
    return tail->checksum == crc32c(dir->seed, b->data, area) ? NULL : "checksum";
}

int ext4_directory_block(struct ext4_node *dir, uint32_t block, bool index, struct buffer **out) {
    struct ext4 *v = ext4_of(&dir->inode);
    unsigned long long number = dir->inode.number;
    struct ext4_map map;
    struct buffer *b;
    if (block >= dir->inode.size >> v->block_bits) return ext4_damaged(v, "directory %llu: index to block %u", number, block);
    int error = ext4_map(dir, block, 1, &map);
    if (error != 0) return error;
    if (map.start == 0 || map.unwritten) return ext4_damaged(v, "directory %llu: hole at block %u", number, block);
    error = buffer_read(v->buffers, map.start, &b);
    if (error != 0) return error;
    if (!index && !ext4_test_state(b, BUFFER_VERIFIED)) {
        const char *what = leaf_problem(dir, b);
        if (what != NULL) {
            buffer_put(b);
            return ext4_damaged(v, "directory %llu: block %u: %s", number, block, what);
        }
        ext4_set_verified(b);
    }
    *out = b;
    return 0;
}

void ext4_directory_init_block(struct ext4_node *dir, struct buffer *b) {
    struct ext4_dirent *e = ext4_dirent_at(b, 0);
    *e = (struct ext4_dirent){.length = (uint16_t)ext4_dirent_area(dir)};
    if (!ext4_of(&dir->inode)->checksums) return;
    *tail_of(dir, b) = (struct ext4_dirent_tail){.length = sizeof(struct ext4_dirent_tail), .type = EXT4_DIRENT_TAIL_TYPE};
}

void ext4_directory_seal(struct ext4_tx *tx, struct ext4_node *dir, struct buffer *b) {
    if (tx->volume->checksums) tail_of(dir, b)->checksum = crc32c(dir->seed, b->data, ext4_dirent_area(dir));
    ext4_set_verified(b);
    ext4_dirty(tx, b);
}

// The end of a name, which tells names apart that begin alike.
static uint32_t last_four(const char *end) {
    uint32_t four;
    __builtin_memcpy(&four, end - 4, 4);
    return four;
}

// False also where the chain breaks: blocks are checked when they are read, this only keeps the search inside.
bool ext4_dirent_find(const struct ext4_node *dir, struct buffer *b, struct ext4_name name, struct ext4_slot *out) {
    uint32_t last = ext4_dirent_area(dir) - 12, previous = 0, bytes = name.bytes;
    char padded[8] = {0};
    memcpy(padded + 4, name.text + bytes - MIN(bytes, 4u), MIN(bytes, 4u));
    uint32_t ends = last_four(padded + 4 + MIN(bytes, 4u)), mask = bytes >= 4 ? ~0u : ~0u << (8 * (4 - bytes));
    for (uint32_t offset = 0, length; offset <= last; previous = offset, offset += length) {
        const struct ext4_dirent *e = ext4_dirent_at(b, offset);
        length = e->length & ~3u;
        if (unlikely(length - 12 > last - offset)) return false;
        // A name shorter than four bytes has fields of its entry before it: they are masked.
        if (e->name_length != bytes || ((last_four(e->name + bytes) ^ ends) & mask) != 0 || bytes + EXT4_DIRENT_HEADER > length) continue;
        if (e->inode == 0 || memcmp(e->name, name.text, bytes) != 0) continue;
        out->buffer = b;
        out->offset = offset;
        out->previous = previous;
        return true;
    }
    return false;
}

void ext4_dirent_write(struct ext4_dirent *at, uint32_t length, struct ext4_name name, uint32_t inode, uint8_t type) {
    at->inode = inode;
    at->length = (uint16_t)length;
    at->name_length = (uint8_t)name.bytes;
    at->type = type;
    memcpy(at->name, name.text, name.bytes);
}

// The place of an entry that has `need` bytes to spare (the first of a block may be none: all of it), or UINT32_MAX.
uint32_t ext4_dirent_room(const struct ext4_node *dir, const struct buffer *b, uint32_t need) {
    uint32_t last = ext4_dirent_area(dir) - 12;
    const uint8_t *data = b->data;
    uint32_t first = ext4_dirent_at(b, 0)->length;
    if (ext4_dirent_at(b, 0)->inode == 0 && first - 12 <= last && first >= need) return 0;
    for (uint32_t offset = 0, fields; offset <= last; offset += fields & 0xfffc) {
        __builtin_memcpy(&fields, data + offset + offsetof(struct ext4_dirent, length), 4);  // length, name_length, type
        uint32_t length = fields & 0xfffc, used = ext4_dirent_bytes(fields >> 16 & 0xff);
        if (unlikely(length - 12 > last - offset)) break;
        if ((int32_t)(length - used) >= (int32_t)need) return offset;
    }
    return UINT32_MAX;
}

void ext4_dirent_put(struct buffer *b, uint32_t offset, struct ext4_name name, uint32_t inode, uint8_t type) {
    struct ext4_dirent *e = ext4_dirent_at(b, offset);
    uint32_t length = e->length, used = offset == 0 && e->inode == 0 ? 0 : ext4_dirent_bytes(e->name_length);
    if (used != 0) e->length = (uint16_t)used;
    ext4_dirent_write(ext4_dirent_at(b, offset + used), length - used, name, inode, type);
}
