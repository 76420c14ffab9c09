// Inodes: from the table into memory and back. A node holds its block of the table, and works in it.
#include "abi/gen/errors.h"
#include "kernel/fs/ext4/ext4.h"
#include "lib/crc32c.h"

// ---- times: seconds in 32 bits, 2 more in the extra field, and nanoseconds -----------------------------------------------------

static struct fs_time get_time(uint32_t seconds, uint32_t extra) {
    struct fs_time t = {(int32_t)seconds, extra >> 2};
    t.seconds += (int64_t)(extra & 3) << 32;
    if (t.nanoseconds >= 1000000000) t.nanoseconds = 0;
    return t;
}

static uint32_t extra_of(struct fs_time t) {
    return (uint32_t)((uint64_t)(t.seconds - (int32_t)t.seconds) >> 32 & 3) | t.nanoseconds << 2;
}

// Does the inode have the field whose end this is?
static bool has_field(const struct ext4 *v, const struct ext4_raw_inode *raw, size_t end) {
    return v->inode_size > EXT4_INODE_SMALL && EXT4_INODE_SMALL + raw->extra_isize >= end;
}
#define HAS(v, raw, field) has_field(v, raw, offsetof(struct ext4_raw_inode, field) + sizeof((raw)->field))

static uint32_t seconds_of(const struct ext4 *v, const struct ext4_raw_inode *raw, struct fs_time t) {
    if (HAS(v, raw, changed_extra)) return (uint32_t)t.seconds;
    return (uint32_t)MAX(MIN(t.seconds, INT32_MAX), INT32_MIN);
}

// ---- checksums ----------------------------------------------------------------------------------------------------------------

static uint32_t checksum(const struct ext4_node *node, const struct ext4 *v, const struct ext4_raw_inode *raw) {
    const uint8_t *bytes = (const uint8_t *)raw;
    uint32_t zero = 0, at = offsetof(struct ext4_raw_inode, checksum_lo), end = at + 2;
    uint32_t crc = crc32c(crc32c(node->seed, bytes, at), &zero, 2);
    if (v->inode_size == EXT4_INODE_SMALL) return crc32c(crc, bytes + end, EXT4_INODE_SMALL - end) & 0xffff;
    if (!HAS(v, raw, checksum_hi)) return crc32c(crc, bytes + end, v->inode_size - end) & 0xffff;
    at = offsetof(struct ext4_raw_inode, checksum_hi);
    crc = crc32c(crc32c(crc, bytes + end, at - end), &zero, 2);
    return crc32c(crc, bytes + at + 2, v->inode_size - at - 2);
}

static uint32_t stored_checksum(const struct ext4 *v, const struct ext4_raw_inode *raw) {
    return raw->checksum_lo | (HAS(v, raw, checksum_hi) ? (uint32_t)raw->checksum_hi << 16 : 0);
}

void ext4_set_seed(struct ext4_node *node) {
    const struct ext4 *v = ext4_of(&node->inode);
    uint32_t number = (uint32_t)node->inode.number;
    node->seed = crc32c(crc32c(v->seed, &number, 4), &node->inode.generation, 4);
}

// ---- reading ------------------------------------------------------------------------------------------------------------------

bool ext4_inode_is_valid(const struct ext4 *v, uint32_t number) {
    uint32_t first = v->super->revision == 0 ? 11 : v->super->first_inode;
    return number <= v->inodes && (number >= first || number == EXT4_ROOT_INODE);
}

int ext4_bind_inode(struct ext4_node *node) {
    struct ext4 *v = ext4_of(&node->inode);
    uint32_t index = (uint32_t)(node->inode.number - 1) % v->inodes_per_group, per_block = v->block_size / v->inode_size;
    uint32_t used;
    uint64_t table;
    int error = ext4_group_table(v, (uint32_t)(node->inode.number - 1) / v->inodes_per_group, &table, &used);
    if (error != 0) return error;
    if (index >= used) return -ESTALE;
    error = buffer_read(v->buffers, table + index / per_block, &node->table);
    if (error == 0) node->table_offset = index % per_block * v->inode_size;
    return error;
}

static void decode_device(struct inode *inode, const struct ext4_raw_inode *raw) {
    uint32_t old = raw->block[0], wide = raw->block[1];
    uint64_t major = old != 0 ? old >> 8 & 0xff : wide >> 8 & 0xfff;
    uint64_t minor = old != 0 ? old & 0xff : (wide & 0xff) | (wide >> 12 & 0xfff00);
    inode->device = major << 32 | minor;
}

static void decode(struct ext4_node *node, const struct ext4 *v, const struct ext4_raw_inode *raw) {
    struct inode *i = &node->inode;
    i->mode = raw->mode;
    i->links = raw->links;
    i->uid = raw->uid_lo | (uint32_t)raw->uid_hi << 16;
    i->gid = raw->gid_lo | (uint32_t)raw->gid_hi << 16;
    i->size = raw->size_lo;
    if (FS_TYPE(i->mode) == FS_REGULAR || FS_TYPE(i->mode) == FS_DIRECTORY) i->size |= (uint64_t)raw->size_hi << 32;
    uint64_t blocks = raw->blocks_lo;
    if (v->super->ro_compat & EXT4_RO_HUGE_FILE) blocks |= (uint64_t)raw->blocks_hi << 32;
    i->blocks = raw->flags & EXT4_INODE_HUGE ? blocks << (v->block_bits - 9) : blocks;
    uint32_t flags = (raw->flags & EXT4_INODE_IMMUTABLE ? INODE_IMMUTABLE : 0) | (raw->flags & EXT4_INODE_APPEND ? INODE_APPEND : 0);
    __atomic_fetch_or(&i->flags, flags, __ATOMIC_RELAXED);
    i->accessed = get_time(raw->accessed, HAS(v, raw, accessed_extra) ? raw->accessed_extra : 0);
    i->modified = get_time(raw->modified, HAS(v, raw, modified_extra) ? raw->modified_extra : 0);
    i->changed = get_time(raw->changed, HAS(v, raw, changed_extra) ? raw->changed_extra : 0);
    i->born = HAS(v, raw, born_extra) ? get_time(raw->born, raw->born_extra) : (struct fs_time){0};
    if (FS_TYPE(i->mode) == FS_CHAR || FS_TYPE(i->mode) == FS_BLOCK) decode_device(i, raw);
}

static const char *problem(struct ext4_node *node, const struct ext4 *v, const struct ext4_raw_inode *raw) {
    uint32_t type = FS_TYPE(raw->mode), extra_max = v->inode_size - EXT4_INODE_SMALL;
    if (v->inode_size > EXT4_INODE_SMALL && (raw->extra_isize > extra_max || raw->extra_isize % 4 != 0)) return "extra size";
    if (v->checksums && stored_checksum(v, raw) != checksum(node, v, raw)) return "checksum";
    if (raw->flags & (EXT4_INODE_INLINE | EXT4_INODE_EA)) return "flags";
    if (type != FS_REGULAR && type != FS_DIRECTORY && type != FS_SYMLINK && type != FS_CHAR && type != FS_BLOCK && type != FS_FIFO &&
        type != FS_SOCKET)
        return "type";
    if (node->inode.size > INT64_MAX || (type == FS_REGULAR && node->inode.size > v->fs.max_file_bytes)) return "size";
    if (type == FS_DIRECTORY && (node->inode.size % v->block_size != 0 || node->inode.size >> v->block_bits > UINT32_MAX)) return "size";
    if (type == FS_SYMLINK && node->inode.size >= v->block_size) return "size";
    if (raw->flags & EXT4_INODE_EXTENTS && !(v->super->incompat & EXT4_INCOMPAT_EXTENTS)) return "extents on a volume without";
    return NULL;
}

void ext4_set_ops(struct inode *inode) {
    struct ext4_node *node = ext4_node(inode);
    switch (FS_TYPE(inode->mode)) {
    case FS_REGULAR:
        inode->ops = &ext4_file_ops;
        file_cache_init(&inode->cache, &ext4_cache_ops, inode->fs->domain, inode->size);
        node->disk_size = inode->size;
        break;
    case FS_DIRECTORY: inode->ops = &ext4_directory_ops; break;
    case FS_SYMLINK: inode->ops = &ext4_symlink_ops; break;
    default: inode->ops = &ext4_special_ops;
    }
}

int ext4_read_inode(struct inode *inode) {
    struct ext4 *v = ext4_of(inode);
    struct ext4_node *node = ext4_node(inode);
    if (inode->number == 0 || inode->number > v->inodes) return -ENOENT;
    int error = ext4_bind_inode(node);
    if (error != 0) return error;
    const struct ext4_raw_inode *raw = ext4_raw(node);
    inode->generation = raw->generation;
    ext4_set_seed(node);
    if (raw->mode == 0 || (raw->links == 0 && !v->clearing_orphans)) return -ESTALE;
    decode(node, v, raw);
    const char *what = problem(node, v, raw);
    if (what != NULL) return ext4_damaged(v, "inode %llu: %s", (unsigned long long)inode->number, what);
    ext4_set_ops(inode);
    return 0;
}

// ---- writing ------------------------------------------------------------------------------------------------------------------

int ext4_inode_access(struct ext4_tx *tx, struct ext4_node *node) { return ext4_access(tx, node->table); }

// Write-back changes the map, others the attributes, and neither waits for the other. Each seals after its change, one at a
// time, so the last one's checksum is of all changes. raw_lock is held.
static void seal_locked(const struct ext4 *v, struct ext4_node *node) {
    struct ext4_raw_inode *raw = ext4_raw(node);
    if (!v->checksums) return;
    bool wide = HAS(v, raw, checksum_hi);
    raw->checksum_lo = 0;  // of the inode with zeros in their place
    if (wide) raw->checksum_hi = 0;
    uint32_t crc = crc32c(node->seed, raw, v->inode_size);
    raw->checksum_lo = (uint16_t)crc;
    if (wide) raw->checksum_hi = (uint16_t)(crc >> 16);
}

void ext4_seal_inode(struct ext4_tx *tx, struct ext4_node *node) {
    spin_lock(&node->raw_lock);
    seal_locked(tx->volume, node);
    spin_unlock(&node->raw_lock);
    ext4_dirty(tx, node->table);
}

void ext4_add_blocks(struct ext4_node *node, int64_t blocks) {
    struct ext4 *v = ext4_of(&node->inode);
    int64_t sectors = blocks * (v->block_size / 512);
    spin_lock(&node->raw_lock);
    if (sectors < 0 && node->inode.blocks < (uint64_t)-sectors) sectors = -(int64_t)node->inode.blocks;
    node->inode.blocks += (uint64_t)sectors;
    spin_unlock(&node->raw_lock);
}

static void encode_blocks(const struct ext4 *v, struct ext4_raw_inode *raw, uint64_t blocks) {
    raw->flags &= ~(uint32_t)EXT4_INODE_HUGE;
    if (blocks >> 48 != 0) {
        blocks >>= v->block_bits - 9;
        raw->flags |= EXT4_INODE_HUGE;
    }
    raw->blocks_lo = (uint32_t)blocks;
    if (v->super->ro_compat & EXT4_RO_HUGE_FILE) raw->blocks_hi = (uint16_t)(blocks >> 32);
}

static void encode_times(const struct ext4 *v, const struct inode *i, struct ext4_raw_inode *raw) {
    raw->accessed = seconds_of(v, raw, i->accessed);
    raw->modified = seconds_of(v, raw, i->modified);
    raw->changed = seconds_of(v, raw, i->changed);
    if (HAS(v, raw, changed_extra)) raw->changed_extra = extra_of(i->changed);
    if (HAS(v, raw, modified_extra)) raw->modified_extra = extra_of(i->modified);
    if (HAS(v, raw, accessed_extra)) raw->accessed_extra = extra_of(i->accessed);
    if (HAS(v, raw, born_extra)) {
        raw->born = seconds_of(v, raw, i->born);
        raw->born_extra = extra_of(i->born);
    }
}

int ext4_write_inode(struct ext4_tx *tx, struct ext4_node *node) {
    struct ext4 *v = tx->volume;
    struct inode *i = &node->inode;
    int error = ext4_access(tx, node->table);
    if (error != 0) return error;
    __atomic_fetch_and(&i->flags, ~(uint32_t)INODE_DIRTY, __ATOMIC_ACQ_REL);
    struct ext4_raw_inode *raw = ext4_raw(node);
    spin_lock(&node->raw_lock);
    raw->mode = (uint16_t)i->mode;
    raw->uid_lo = (uint16_t)i->uid, raw->uid_hi = (uint16_t)(i->uid >> 16);
    raw->gid_lo = (uint16_t)i->gid, raw->gid_hi = (uint16_t)(i->gid >> 16);
    raw->links = (uint16_t)i->links;
    uint64_t size = FS_TYPE(i->mode) == FS_REGULAR ? node->disk_size : i->size;
    raw->size_lo = (uint32_t)size;
    if (FS_TYPE(i->mode) == FS_REGULAR || FS_TYPE(i->mode) == FS_DIRECTORY) raw->size_hi = (uint32_t)(size >> 32);
    encode_blocks(v, raw, i->blocks);
    encode_times(v, i, raw);
    seal_locked(v, node);
    spin_unlock(&node->raw_lock);
    ext4_dirty(tx, node->table);
    ext4_joined(tx, node, false);
    return 0;
}

static bool same_time(struct fs_time a, struct fs_time b) { return a.seconds == b.seconds && a.nanoseconds == b.nanoseconds; }

int ext4_change(struct inode *inode, const struct inode_change *change) {
    struct ext4_tx tx;
    int error = ext4_begin(ext4_of(inode), 1, &tx);
    if (error != 0) return error;
    error = ext4_inode_access(&tx, ext4_node(inode));
    if (error == 0) {
        // What only brings the times home is no change of the inode.
        bool home = change->what == (FS_SET_ACCESSED | FS_SET_MODIFIED) && same_time(change->accessed, inode->accessed) &&
                    same_time(change->modified, inode->modified);
        if (change->what & FS_SET_MODE) inode->mode = FS_TYPE(inode->mode) | (change->mode & 07777);
        if (change->what & FS_SET_UID) inode->uid = change->uid;
        if (change->what & FS_SET_GID) inode->gid = change->gid;
        if (change->what & FS_SET_ACCESSED) inode->accessed = change->accessed;
        if (change->what & FS_SET_MODIFIED) inode->modified = change->modified;
        if (!home) inode->changed = fs_now();
        error = ext4_write_inode(&tx, ext4_node(inode));
    }
    ext4_end(&tx);
    return error;
}

int ext4_sync_inode(struct inode *inode, bool data_only) {
    struct ext4 *v = ext4_of(inode);
    struct ext4_node *node = ext4_node(inode);
    if (v->fs.flags & FS_MOUNT_DAMAGED) return -EIO;
    if (v->fs.device->read_only) return 0;
    if (v->journal == NULL) return buffer_sync(v->buffers);
    uint32_t id = data_only ? node->data_id : node->change_id;
    return id != 0 ? journal_wait(v->journal, id, true) : block_flush(v->fs.device);
}

int ext4_open_private(struct ext4 *v, uint32_t number, struct inode **out) {
    struct inode *inode = v->fs.ops->alloc_inode(&v->fs);
    if (inode == NULL) return -ENOMEM;
    inode->fs = &v->fs;
    inode->number = number;
    int error = ext4_read_inode(inode);
    if (error == 0 && FS_TYPE(inode->mode) != FS_REGULAR) error = -EIO;
    if (error == 0) *out = inode;
    else ext4_close_private(inode);
    if (error == -ESTALE || error == -ENOENT || error == -EIO)
        return ext4_damaged(v, "inode %u, the volume's own, is no file", number);
    return error;
}

void ext4_close_private(struct inode *inode) {
    if (inode->cache.ops != NULL) file_cache_destroy(&inode->cache, true);
    inode->fs->ops->free_inode(inode);
}
