// ext4 inside: what its files know of each other. A file is a concept:
//
//     mount, superblock   volume, features, checksums         namei       create, link, unlink, rename
//     group, bitmap       descriptors and bitmaps in memory    directory   lookup, list; dirent, htree, hash below
//     balloc, ialloc      blocks and inodes handed out         data        what the page cache asks; allocate, truncate
//     inode               attributes                           extent*, indirect   which block of a file lies where
//     xattr*              extended attributes                  orphan      what is freed after a crash
//     tx                  an operation: a journal's handle, or plain write-back without a journal
//
// Locks, in order: inode->lock (VFS) ─▶ a journal handle (tx) ─▶ node->map_lock ─▶ volume->alloc_lock ─▶ orphan_lock ─▶
// node->raw_lock, counters (spin). A transaction is never begun with one of the inner locks held.
#pragma once
#include "kernel/block/buffer.h"
#include "kernel/fs/ext4/disk.h"
#include "kernel/fs/ext4/journal.h"
#include "kernel/fs/vfs/fs.h"
#include "lib/rbtree.h"

#define EXT4_NO_BLOCK UINT64_MAX

struct ext4_group {           // a descriptor, checked; under alloc_lock
    uint64_t block_bitmap, inode_bitmap, inode_table;
    uint32_t free_blocks, free_inodes, directories;
    uint32_t unused_inodes;   // at the end of the table, never written
    uint16_t flags;           // EXT4_GROUP_*
    bool bad;                 // its bitmaps are damaged: nothing is taken from it or given back
    uint32_t withheld_count;
    uint64_t *withheld;       // bits of blocks that are free on the disk and must not be handed out: set aside by prepare, or
                              // freed by a transaction that has not committed; NULL: none
    uint32_t block_hint, inode_hint;  // nothing is free before this bit
    uint32_t longest_run;     // no run of free blocks is longer; UINT32_MAX: not known
};

struct ext4_chunk {           // the groups of one block of descriptors
    struct buffer *buffer;
    struct ext4_group groups[];
};

struct ext4 {
    struct filesystem fs;
    struct buffer_cache *buffers;
    struct journal *journal;      // NULL: none
    struct inode *journal_inode;  // not in the inode cache
    struct buffer *super_buffer;
    struct ext4_super *super;     // in super_buffer
    uint32_t block_size, block_bits, inode_size, inodes_per_group, blocks_per_group, table_blocks;
    uint32_t first_data_block, group_count, descriptor_size, descriptors_per_block, pointers_per_block;
    uint64_t blocks, inodes, overhead;
    uint32_t seed;                // of all checksums
    uint32_t balance;             // of the super block: superblock.c
    uint32_t hash_seed[4];
    bool checksums, old_checksums, wide;  // metadata_csum, uninit_bg, 64bit
    bool balanced;                // `balance` is known
    bool error_logged, clearing_orphans;

    struct mutex alloc_lock;
    struct ext4_chunk **chunks;   // one for each block of descriptors; NULL: not read yet
    uint32_t chunk_count;
    struct ext4_freed *freed;     // of the running transaction; under alloc_lock
    uint32_t next_directory_group;

    struct spinlock counters;
    uint64_t free_blocks, free_inodes, directories;  // what the bitmaps say
    uint64_t delayed;             // promised to dirty pages that have no place yet
    uint64_t set_aside;           // have a place, not yet recorded
    uint64_t kept;                // never promised to data: s_r_blocks, or a little for the metadata that data need
    struct list committed;        // struct ext4_freed that may be used anew
    uint32_t discards;            // struct ext4_freed between commit and that list
    bool discards_awaited;        // `discarded` is to be signalled when there are none
    bool discard;                 // what is freed is discarded; atomic
    struct completion discarded;
    struct mutex discard_lock;    // who awaits them; no other lock is held

    struct mutex xattr_lock;      // blocks of attributes, which inodes share; before alloc_lock
    struct mutex orphan_lock;
    struct list orphans;          // struct ext4_node, as the list on the disk: the newest first
};

struct ext4_node {
    struct inode inode;
    struct rw_mutex map_lock;     // extents and their blocks
    struct spinlock raw_lock;     // the checksum on disk, the fields copied there, inode.blocks; a leaf
    struct buffer *table;         // block of the inode table, held
    uint32_t table_offset;
    uint32_t seed;                // checksums of what belongs to the inode
    uint32_t change_id, data_id;  // transactions to wait for: any change; one that fdatasync needs
    uint64_t disk_size;           // of a regular file, as recorded
    struct list_node orphan;      // linked: on the orphan list
    struct rb_tree delayed;       // struct ext4_delayed: promised ranges; under map_lock
    uint64_t goal;                // where the next block should lie; 0: unknown
    uint32_t insert_block;        // directories: where the last entry went
};

static inline struct ext4 *ext4_of(const struct inode *inode) { return container_of(inode->fs, struct ext4, fs); }
static inline struct ext4_node *ext4_node(struct inode *inode) { return container_of(inode, struct ext4_node, inode); }
static inline struct ext4_raw_inode *ext4_raw(const struct ext4_node *node) {
    return (struct ext4_raw_inode *)(node->table->data + node->table_offset);
}
static inline bool ext4_has_extents(const struct ext4_node *node) { return ext4_raw(node)->flags & EXT4_INODE_EXTENTS; }
// What directories and symlinks have in their blocks is changed in transactions.
static inline bool ext4_data_is_metadata(const struct ext4_node *node) { return FS_TYPE(node->inode.mode) != FS_REGULAR; }
static inline bool ext4_read_only(const struct ext4 *volume) {
    return __atomic_load_n(&volume->fs.flags, __ATOMIC_RELAXED) & FS_MOUNT_READ_ONLY;
}
#define ext4_damaged(volume, ...) ext4_damage(volume, __func__, fs_damaged(&(volume)->fs, __VA_ARGS__))
// After fs_damaged: stops the journal, records the error in the super block. Returns `error`.
int ext4_damage(struct ext4 *volume, const char *function, int error);

// ---- tx.c: one operation, all of it or nothing -------------------------------------------------------------------------------
struct ext4_tx {
    struct ext4 *volume;
    struct journal_handle handle;  // unused without a journal
};
// -EROFS, -ENOSPC, -ENOMEM. credits: blocks that it may change.
[[nodiscard]] int ext4_begin(struct ext4 *volume, uint32_t credits, struct ext4_tx *tx);
void ext4_end(struct ext4_tx *tx);
[[nodiscard]] int ext4_access(struct ext4_tx *tx, struct buffer *buffer);  // before a change
void ext4_dirty(struct ext4_tx *tx, struct buffer *buffer);                // after it
// buffer_read, and ext4_access.
[[nodiscard]] int ext4_read_access(struct ext4_tx *tx, uint64_t block, struct buffer **out);
// A new block of metadata: held, zeroed, to be changed.
[[nodiscard]] int ext4_new_block(struct ext4_tx *tx, uint64_t block, struct buffer **out);
// A block of metadata is freed: content dropped, never replayed.
[[nodiscard]] int ext4_forget(struct ext4_tx *tx, uint64_t block);
// The node is part of tx: what fsync (and, with `data`, fdatasync) waits for.
void ext4_joined(struct ext4_tx *tx, struct ext4_node *node, bool data);
// Waits until what was freed so far can be used again. No lock, no tx.
int ext4_commit(struct ext4 *volume);
static inline bool ext4_test_state(const struct buffer *b, uint32_t bits) {
    return (__atomic_load_n(&b->state, __ATOMIC_ACQUIRE) & bits) == bits;
}
static inline void ext4_set_verified(struct buffer *b) { __atomic_fetch_or(&b->state, BUFFER_VERIFIED, __ATOMIC_RELEASE); }

// ---- superblock.c, feature.c ---------------------------------------------------------------------------------------------------
// Geometry and features of the block at volume->super: fills volume. 0, -EINVAL, -EOPNOTSUPP (named in the log), -EIO.
// *flags: gets FS_MOUNT_READ_ONLY for a ro_compat feature that is not known.
[[nodiscard]] int ext4_check_super(struct ext4 *volume, uint32_t *flags);
[[nodiscard]] int ext4_check_features(const struct ext4_super *super, const char *device, uint32_t *flags);
// The upper byte of a time that `at` of the super block holds: it changes once in 136 years, and the checksum with it.
void ext4_set_super_high(struct ext4 *volume, uint8_t *at, struct fs_time time);
// What e2fsck is to know: that there was an error, when, and in what.
void ext4_record_error(struct ext4_super *super, const char *function);
// Counters, write time and what makes the checksum fit, into the buffer.
void ext4_seal_super(struct ext4 *volume);
// The same, and to the device, outside of any transaction: mount, unmount, damage.
[[nodiscard]] int ext4_write_super(struct ext4 *volume);
bool ext4_group_has_super(const struct ext4 *volume, uint32_t group);
uint16_t ext4_crc16(uint16_t crc, const void *data, size_t size);

// ---- group.c: descriptors -----------------------------------------------------------------------------------------------------
static inline uint64_t ext4_group_first(const struct ext4 *volume, uint32_t group) {
    return volume->first_data_block + (uint64_t)group * volume->blocks_per_group;
}
uint32_t ext4_group_blocks(const struct ext4 *volume, uint32_t group);  // the last one may be shorter
// Read and checked at first use. 0, -EIO, -ENOMEM. alloc_lock held.
[[nodiscard]] int ext4_group(struct ext4 *volume, uint32_t group, struct ext4_group **out);
// Without alloc_lock, for readers of inode tables.
[[nodiscard]] int ext4_group_table(struct ext4 *volume, uint32_t group, uint64_t *table, uint32_t *used);
[[nodiscard]] int ext4_group_access(struct ext4_tx *tx, uint32_t group);
// Writes the group into its descriptor, which ext4_group_access was called for. Bitmaps that changed, or NULL.
void ext4_group_dirty(struct ext4_tx *tx, uint32_t group, const struct buffer *block_bitmap, const struct buffer *inode_bitmap);
// Sums over all groups, for volumes that were not unmounted.
[[nodiscard]] int ext4_count_groups(struct ext4 *volume);
void ext4_free_groups(struct ext4 *volume);
bool ext4_group_is_base_meta(const struct ext4 *volume, uint32_t group);
uint32_t ext4_base_meta_blocks(const struct ext4 *volume, uint32_t group);

// ---- bitmap.c -----------------------------------------------------------------------------------------------------------------
// The bitmap, held, checked, or built if the group says that it was never written. alloc_lock held.
[[nodiscard]] int ext4_block_bitmap(struct ext4 *volume, uint32_t group, struct ext4_group *g, struct buffer **out);
[[nodiscard]] int ext4_inode_bitmap(struct ext4 *volume, uint32_t group, struct ext4_group *g, struct buffer **out);

// ---- balloc.c -----------------------------------------------------------------------------------------------------------------
struct ext4_run {
    uint64_t start;
    uint32_t count;
};
// Sets 1 to `want` free blocks aside near `goal`, in one group: 0, -ENOSPC, -EIO, -ENOMEM. No record yet; counted in set_aside.
[[nodiscard]] int ext4_set_aside(struct ext4 *volume, uint64_t goal, uint32_t want, struct ext4_run *out);
void ext4_give_back(struct ext4 *volume, struct ext4_run run);
// Recording blocks that were set aside: first what can fail, which joins what holds them to tx, then the record, for which the
// bitmap is held and then let go. Credits: 2. 0, or -EIO, -ENOMEM, -EROFS with nothing changed.
[[nodiscard]] int ext4_record_join(struct ext4_tx *tx, struct ext4_run run, struct buffer **bitmap);
void ext4_record(struct ext4_tx *tx, struct ext4_run run, struct buffer *bitmap);
// One block of metadata, recorded; from_kept: also from what is kept for the maps of promised data. Credits: 2.
[[nodiscard]] int ext4_allocate_block(struct ext4_tx *tx, uint64_t goal, bool from_kept, uint64_t *out);
// Frees recorded blocks; used anew after the commit. Credits: 2 for each group that the run touches. metadata: they were
// changed in transactions, which must not be replayed over what they become.
[[nodiscard]] int ext4_free_blocks(struct ext4_tx *tx, uint64_t start, uint64_t count, bool metadata);
// Does the run lie where files may have blocks?
bool ext4_run_is_valid(const struct ext4 *volume, uint64_t start, uint64_t count);
// Promises `blocks` to data, or takes a promise back. -ENOSPC.
[[nodiscard]] int ext4_promise(struct ext4 *volume, uint64_t blocks);
void ext4_unpromise(struct ext4 *volume, uint64_t blocks);
// freed.c
void ext4_reuse_committed(struct ext4 *volume);  // alloc_lock held
void ext4_drop_freed(struct ext4 *volume);
void ext4_await_discards(struct ext4 *volume);  // of what has committed; no lock

// ---- ialloc.c -----------------------------------------------------------------------------------------------------------------
// A free inode number near the directory's: bitmap and descriptor recorded, its block of the table ready to be read. Credits: 3.
[[nodiscard]] int ext4_allocate_inode(struct ext4_tx *tx, const struct ext4_node *parent, bool directory, uint32_t *out);
// From here on the number, and its place in the table, are another's. Credits: 2.
[[nodiscard]] int ext4_free_inode(struct ext4_tx *tx, uint32_t number, bool directory);
// Is the number in range, and not one of the reserved ones (but root)?
bool ext4_inode_is_valid(const struct ext4 *volume, uint32_t number);

// ---- inode.c ------------------------------------------------------------------------------------------------------------------
int ext4_read_inode(struct inode *inode);
// An inode of the volume's own, outside of the inode cache; ext4_close_private takes it back.
[[nodiscard]] int ext4_open_private(struct ext4 *volume, uint32_t number, struct inode **out);
void ext4_close_private(struct inode *inode);
// Binds a node to its place in the table. -ESTALE: it lies where nothing was ever written.
[[nodiscard]] int ext4_bind_inode(struct ext4_node *node);
// Attributes from memory into the table's block, with checksum. Credits: 1.
[[nodiscard]] int ext4_write_inode(struct ext4_tx *tx, struct ext4_node *node);
// The checksum only, after a change of raw fields that ext4_access was called for; marks dirty.
void ext4_seal_inode(struct ext4_tx *tx, struct ext4_node *node);
[[nodiscard]] int ext4_inode_access(struct ext4_tx *tx, struct ext4_node *node);
void ext4_set_ops(struct inode *inode);
void ext4_set_seed(struct ext4_node *node);
int ext4_change(struct inode *inode, const struct inode_change *change);
int ext4_sync_inode(struct inode *inode, bool data_only);
void ext4_add_blocks(struct ext4_node *node, int64_t blocks);  // to inode->blocks, in blocks of the file system
extern const struct inode_ops ext4_file_ops, ext4_directory_ops, ext4_symlink_ops, ext4_special_ops;
extern const struct file_cache_ops ext4_cache_ops;

// ---- map.c: extents or indirect blocks ----------------------------------------------------------------------------------------
struct ext4_map {
    uint32_t block, count;  // of the file; count up to what was asked for
    uint64_t start;         // on the disk; 0: a hole
    bool unwritten;
};
// What lies at `block`: map_lock held (any). 0, -EIO, -ENOMEM.
[[nodiscard]] int ext4_map(struct ext4_node *node, uint32_t block, uint32_t count, struct ext4_map *out);
// Records blocks in a hole. map_lock held by a writer. Credits: ext4_map_credits. -ENOSPC, -EFBIG, -EIO, -ENOMEM.
[[nodiscard]] int ext4_map_insert(struct ext4_tx *tx, struct ext4_node *node, const struct ext4_map *map);
// The same with blocks that were set aside, which are recorded and counted too; on failure they stay set aside. Credits: 2 more.
[[nodiscard]] int ext4_map_set_aside(struct ext4_tx *tx, struct ext4_node *node, const struct ext4_map *map);
// Unmaps [from, to) from its end on and frees the blocks, as far as `*limit` extents; *done: nothing of it is left. Metadata of
// directories and slow symlinks are forgotten.
[[nodiscard]] int ext4_map_remove(struct ext4_tx *tx, struct ext4_node *node, uint32_t from, uint64_t to, bool *done);
bool ext4_removed_at_once(const struct ext4_node *node);  // whatever is removed takes one call of ext4_map_remove
uint32_t ext4_map_credits(const struct ext4_node *node);
// Marks [block, block + count), which is mapped, written or unwritten.
[[nodiscard]] int ext4_map_convert(struct ext4_tx *tx, struct ext4_node *node, uint32_t block, uint32_t count, bool unwritten);
// The first mapped block at or after `block`: its number, or UINT64_MAX.
[[nodiscard]] int ext4_map_next(struct ext4_node *node, uint64_t block, uint64_t *out);
#define EXT4_REMOVE_CREDITS 96u
#define EXT4_INDIRECT_RUN 64u  // blocks that one insertion into an indirect map may have

// extent.c, extent_change.c, indirect.c: the two kinds behind map.c.
[[nodiscard]] int ext4_extent_map(struct ext4_node *node, uint32_t block, uint32_t count, struct ext4_map *out);
[[nodiscard]] int ext4_extent_insert(struct ext4_tx *tx, struct ext4_node *node, const struct ext4_map *map);
[[nodiscard]] int ext4_extent_remove(struct ext4_tx *tx, struct ext4_node *node, uint32_t from, uint64_t to, bool *done);
[[nodiscard]] int ext4_extent_convert(struct ext4_tx *tx, struct ext4_node *node, uint32_t block, uint32_t count, bool unwritten);
void ext4_extent_init(struct ext4_raw_inode *raw);
uint64_t ext4_indirect_limit(const struct ext4 *volume);  // blocks of the largest file
[[nodiscard]] int ext4_indirect_map(struct ext4_node *node, uint32_t block, uint32_t count, struct ext4_map *out);
[[nodiscard]] int ext4_indirect_insert(struct ext4_tx *tx, struct ext4_node *node, const struct ext4_map *map);
[[nodiscard]] int ext4_indirect_remove(struct ext4_tx *tx, struct ext4_node *node, uint32_t from, uint64_t to, bool *done);

// ---- data.c, allocate.c, truncate.c -------------------------------------------------------------------------------------------
int ext4_resize(struct inode *inode, uint64_t size);
int ext4_allocate(struct inode *inode, uint64_t offset, uint64_t bytes, unsigned flags);
// Frees the blocks [from, to), in as many transactions as it takes: tx is begun anew, with EXT4_REMOVE_CREDITS. On -EROFS and
// other failures to begin, tx is ended: tx->volume is NULL.
[[nodiscard]] int ext4_truncate(struct ext4_tx *tx, struct ext4_node *node, uint32_t from, uint64_t to);
void ext4_evict(struct inode *inode);
void ext4_drop_node(struct ext4_node *node);  // what a node holds, when it leaves memory
uint64_t ext4_goal(struct ext4_node *node, uint32_t block);  // where the block of the file should lie
// delayed.c: ranges promised to dirty pages. map_lock held by a writer.
[[nodiscard]] int ext4_delayed_add(struct ext4_node *node, uint32_t from, uint64_t to);  // -ENOSPC, -ENOMEM
void ext4_delayed_remove(struct ext4_node *node, uint64_t from, uint64_t to);

// ---- directory.c, dirent.c, htree.c, hash.c -----------------------------------------------------------------------------------
struct ext4_name {
    const char *text;
    uint32_t bytes;
};
// Where an entry lies, or one could be put: the block, held.
struct ext4_slot {
    struct buffer *buffer;
    uint32_t block;      // of the directory
    uint32_t offset, previous;  // of the entry in the block; of the one before, or the same
};
static inline struct ext4_dirent *ext4_dirent_at(const struct buffer *b, uint32_t offset) {
    return (struct ext4_dirent *)(b->data + offset);
}
static inline uint32_t ext4_dirent_bytes(uint32_t name) { return (EXT4_DIRENT_HEADER + name + 3) & ~3u; }
// dirent.c: blocks of entries.
uint32_t ext4_dirent_area(const struct ext4_node *dir);  // bytes of a block that hold entries
[[nodiscard]] int ext4_directory_block(struct ext4_node *dir, uint32_t block, bool index, struct buffer **out);  // held, checked
[[nodiscard]] int ext4_directory_append(struct ext4_tx *tx, struct ext4_node *dir, uint32_t *block, struct buffer **out);
void ext4_directory_init_block(struct ext4_node *dir, struct buffer *b);
void ext4_directory_seal(struct ext4_tx *tx, struct ext4_node *dir, struct buffer *b);  // checksum, dirty
bool ext4_dirent_find(const struct ext4_node *dir, struct buffer *b, struct ext4_name name, struct ext4_slot *out);
// Where an entry of `need` bytes fits, UINT32_MAX: nowhere; and putting it there.
uint32_t ext4_dirent_room(const struct ext4_node *dir, const struct buffer *b, uint32_t need);
void ext4_dirent_put(struct buffer *b, uint32_t offset, struct ext4_name name, uint32_t inode, uint8_t type);
void ext4_dirent_write(struct ext4_dirent *at, uint32_t length, struct ext4_name name, uint32_t inode, uint8_t type);
uint8_t ext4_dirent_type(uint32_t mode);
uint32_t ext4_dirent_mode(uint8_t type);
// directory.c
[[nodiscard]] int ext4_find_entry(struct ext4_node *dir, struct ext4_name name, struct ext4_slot *out);  // buffer held on success
[[nodiscard]] int ext4_add_entry(struct ext4_tx *tx, struct ext4_node *dir, struct ext4_name name, uint32_t inode, uint32_t mode);
[[nodiscard]] int ext4_remove_entry(struct ext4_tx *tx, struct ext4_node *dir, struct ext4_slot *slot);
[[nodiscard]] int ext4_directory_is_empty(struct ext4_node *dir);  // 0, -ENOTEMPTY, -EIO
int ext4_lookup(struct inode *dir, const char *name, size_t bytes, uint64_t *number);
int ext4_read_directory(struct inode *dir, uint64_t cookie, fs_emit *emit, void *context);
// hash.c: of a name, as htrees are sorted by it. -EIO for a version that is not known.
struct ext4_hash {
    uint32_t major, minor;
};
[[nodiscard]] int ext4_hash(const struct ext4 *volume, unsigned version, struct ext4_name name, struct ext4_hash *out);
// htree.c
bool ext4_is_indexed(const struct ext4_node *dir);
[[nodiscard]] int ext4_htree_find(struct ext4_node *dir, struct ext4_name name, struct ext4_slot *out);
[[nodiscard]] int ext4_htree_add(struct ext4_tx *tx, struct ext4_node *dir, struct ext4_name name, uint32_t inode, uint8_t type);
[[nodiscard]] int ext4_htree_make(struct ext4_tx *tx, struct ext4_node *dir);  // of a directory of one block
int ext4_htree_list(struct ext4_node *dir, uint64_t cookie, fs_emit *emit, void *context);
void ext4_htree_seal(struct ext4_tx *tx, struct ext4_node *dir, struct buffer *b, uint32_t entries);
[[nodiscard]] int ext4_htree_check_sum(struct ext4_node *dir, struct buffer *b, uint32_t entries);

// ---- namei.c ------------------------------------------------------------------------------------------------------------------
int ext4_create(struct inode *dir, const char *name, size_t bytes, const struct inode_new *init, struct inode **out);
int ext4_link(struct inode *dir, const char *name, size_t bytes, struct inode *inode);
int ext4_unlink(struct inode *dir, const char *name, size_t bytes, struct inode *inode);
int ext4_rename(struct inode *from_dir, const char *from_name, size_t from_bytes, struct inode *inode, struct inode *to_dir,
                const char *to_name, size_t to_bytes, struct inode *replaced, unsigned flags);
int64_t ext4_read_link(struct inode *inode, char *buffer, size_t size);  // link.c
[[nodiscard]] int ext4_make_link(struct ext4_tx *tx, struct ext4_node *node, const char *target, size_t bytes);
bool ext4_link_is_fast(const struct ext4_node *node);

// ---- orphan.c -----------------------------------------------------------------------------------------------------------------
// Credits: 3 (super block, inode, its neighbour in the list).
[[nodiscard]] int ext4_orphan_add(struct ext4_tx *tx, struct ext4_node *node);
[[nodiscard]] int ext4_orphan_remove(struct ext4_tx *tx, struct ext4_node *node);
// The node leaves the list in memory only; ext4_orphan_leave waits for who changes the list, _forget is for any context.
void ext4_orphan_leave(struct ext4_node *node);
void ext4_orphan_forget(struct ext4_node *node);
// After a mount for writing: frees or truncates what a crash has left. Errors are logged as damage.
[[nodiscard]] int ext4_clear_orphans(struct ext4 *volume);
[[nodiscard]] int ext4_clear_orphan_file(struct ext4 *volume);

// ---- xattr.c ------------------------------------------------------------------------------------------------------------------
int64_t ext4_xattr_get(struct inode *inode, const char *name, void *value, size_t size);
int ext4_xattr_set(struct inode *inode, const char *name, const void *value, size_t size, unsigned flags);
int ext4_xattr_remove(struct inode *inode, const char *name);
int64_t ext4_xattr_list(struct inode *inode, char *list, size_t size);
// The inode goes: its xattr block loses a reference. Credits: 3.
[[nodiscard]] int ext4_xattr_release(struct ext4_tx *tx, struct ext4_node *node);
