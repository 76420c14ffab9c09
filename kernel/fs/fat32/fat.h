// FAT32, inside ("FAT: General Overview of On-Disk Format" 1.03, Microsoft; long names as there). What is changed waits in
// memory until a sync, which writes in an order that a power cut cannot turn into loss of what was synced before:
//
//     1. tables (chains that grew), flush      a chain without an entry is only lost space
//     2. directory entries, flush              an entry never leads to clusters that the table calls free
//     3. entries that others must precede (fat_order), flush
//     4. in memory: chains that entries no longer lead to become free; tables on disk follow with the next sync
//
// So a freed cluster is used again only when no entry on the disk leads to it any more; what was cut off a chain waits for one
// more sync, so that the chain's end is on the disk too. A name lies in one block of its directory where it can, and is
// there or not as a whole; else what is nothing by itself is written first, and removed last.
//
// Numbers of inodes: the place of the (short) directory entry on the volume, in 32-byte units, in the low 48 bits. An inode
// keeps its number when its entry moves (rename); the high bits tell apart the files of one place in its life in memory.
//
// Lock: volume->lock (a mutex) guards everything here. Below it are only the buffer cache and block devices.
#pragma once
#include "kernel/block/buffer.h"
#include "kernel/fs/vfs/fs.h"

#define FAT_EOC 0x0ffffff8u    // from here on: the end of a chain
#define FAT_BAD 0x0ffffff7u
#define FAT_MASK 0x0fffffffu
#define FAT_ENTRY_BYTES 32u
#define FAT_DIRECTORY_ENTRIES 65536u
#define FAT_CHANGED_MAX 256u   // directory blocks that wait for a sync
#define FAT_REMOVED_MAX 256u   // names that do
#define FAT_LONG_UNITS 255u    // of a name, UTF-16
#define FAT_POSITION_MASK ((1ull << 48) - 1)
#define FAT_HASH 64u

enum { FAT_READ_ONLY = 0x01, FAT_HIDDEN = 0x02, FAT_SYSTEM = 0x04, FAT_LABEL = 0x08, FAT_DIRECTORY = 0x10, FAT_ARCHIVE = 0x20,
       FAT_LONG = 0x0f, FAT_LONG_MASK = 0x3f };
#define FAT_DELETED 0xe5u

struct fat_entry {
    uint8_t name[11], attributes, lower, created_tenth;  // lower: 8 base, 16 extension is shown in lower case
    uint16_t created_time, created_date, accessed_date, cluster_high, modified_time, modified_date, cluster_low;
    uint32_t size;
};
_Static_assert(sizeof(struct fat_entry) == FAT_ENTRY_BYTES, "on disk");

struct fat_long {
    uint8_t order;             // from 1; the last, which comes first, | 0x40
    uint16_t first[5];
    uint8_t attributes, type, checksum;
    uint16_t second[6], zero, third[2];
} __attribute__((packed));
_Static_assert(sizeof(struct fat_long) == FAT_ENTRY_BYTES, "on disk");

struct fat_run {               // of a chain: clusters [first, first + count) are the file's from `at` on
    uint32_t at, first, count;
};

struct fat_inode {
    struct inode inode;
    uint64_t position;         // of the entry; 0: none (the root, a deleted file)
    uint32_t first;            // cluster; 0: none
    uint8_t attributes;
    bool whole;                // runs go to the end of the chain
    struct fat_run *runs;
    uint32_t run_count, run_room;
    uint32_t clusters;         // in runs
    uint32_t mark, mark_at;    // a cluster that was passed, at that number: met again, the chain has a loop (Brent)
    uint32_t limit;            // what the table links behind so many clusters of a file is not its: it was cut off, or a
                               // power cut left it
    uint32_t cut_before;       // number of the sync that makes the last cut of its chain durable; of what is longer than 0
    uint32_t reserved;         // clusters, set aside for dirty pages
    uint64_t reserved_to;      // bytes from the start for which there are clusters or a reservation
    uint64_t initialised;      // bytes from the start that the disk has, or that write-back is about to write
    uint32_t recorded;         // the size in the entry
    struct list_node by_number, by_position;
};

struct fat_freed {             // a chain that no entry leads to
    struct list_node node;
    uint32_t first, last_kept; // last_kept: still leads to first, and is to be the end; 0: none
    uint32_t most;             // clusters of it
    bool ended;                // in memory the table says so, of last_kept
};

struct fat_changed {
    struct buffer *buffer;     // held
    bool first, last;          // in a sync: others wait for it; it waits for others
};

struct fat_removed {
    uint64_t block;            // where the entry was
    uint32_t directory;        // its first cluster
    uint32_t name, short_name; // their hashes
};

struct fat_volume {
    struct filesystem fs;
    struct buffer_cache *buffers;
    struct mutex lock;
    uint32_t block_bytes, block_shift, cluster_shift;  // block: the volume's sector
    uint32_t tables, table_blocks, active;
    bool mirrored;
    uint64_t table_start, data_start;                  // blocks
    uint32_t end, root_cluster;                        // clusters are 2 .. end - 1
    uint32_t info_block, backup_boot;
    uint32_t free, hint;
    uint32_t reserved;                                 // of the free ones; atomic
    bool was_dirty, marked, info_changed, tables_changed;
    char label[12];
    struct buffer *table_buffer;                       // the last block of the table that was looked at, held
    struct fat_changed changed[FAT_CHANGED_MAX];
    struct fat_removed removed[FAT_REMOVED_MAX];
    unsigned changed_count, removed_count;
    struct buffer *written[FAT_CHANGED_MAX];           // scratch of a sync
    uint32_t syncs;                                    // that came to their end
    uint32_t syncs_begun, last_sync;                   // atomic; the number of the last one that was good
    struct list freed;                                 // struct fat_freed
    struct spinlock hash_lock;                         // guards the two below
    struct list by_number[FAT_HASH], by_position[FAT_HASH];
    struct {                                           // scratch
        uint8_t zero[8192];                            // first, for its alignment (kernel/mm/slub.h)
        uint16_t units[FAT_LONG_UNITS + 15];
        char text[FAT_LONG_UNITS * 3 + 1];
    } *scratch;
};

static inline struct fat_volume *fat_volume_of(struct filesystem *fs) { return container_of(fs, struct fat_volume, fs); }
static inline struct fat_inode *fat_inode_of(struct inode *inode) { return container_of(inode, struct fat_inode, inode); }
static inline struct fat_volume *fat_volume_of_inode(struct fat_inode *i) { return fat_volume_of(i->inode.fs); }
static inline uint32_t fat_cluster_bytes(const struct fat_volume *v) { return 1u << v->cluster_shift; }
static inline bool fat_cluster_is_valid(const struct fat_volume *v, uint32_t cluster) { return cluster >= 2 && cluster < v->end; }
static inline uint64_t fat_cluster_block(const struct fat_volume *v, uint32_t cluster) {
    return v->data_start + ((uint64_t)(cluster - 2) << (v->cluster_shift - v->block_shift));
}
static inline uint32_t fat_entry_cluster(const struct fat_entry *e) { return (uint32_t)e->cluster_high << 16 | e->cluster_low; }
static inline void fat_entry_set_cluster(struct fat_entry *e, uint32_t cluster) {
    e->cluster_high = (uint16_t)(cluster >> 16);
    e->cluster_low = (uint16_t)cluster;
}

// ---- table.c: the allocation table ----------------------------------------------------------------------------------------
// The entry of a cluster, without its upper four bits. -EIO.
[[nodiscard]] int fat_table_get(struct fat_volume *v, uint32_t cluster, uint32_t *value);
[[nodiscard]] int fat_table_set(struct fat_volume *v, uint32_t cluster, uint32_t value);
// A free cluster, behind `near` if possible, now the end of a chain. -ENOSPC, -EIO.
[[nodiscard]] int fat_cluster_alloc(struct fat_volume *v, uint32_t near, uint32_t *cluster);
// Counts free clusters by looking at all. Links to free ones, which a power cut leaves, become ends. 0 or -EIO.
[[nodiscard]] int fat_count_free(struct fat_volume *v);
// The chain from `first` on, at most so many clusters, is free after the next sync. Its entry is gone. Does not fail.
void fat_free_later(struct fat_volume *v, uint32_t first, uint32_t most);
// The same of what follows last_kept, which is the chain's end then. The entry changes before the next sync. -ENOMEM.
[[nodiscard]] int fat_cut_later(struct fat_volume *v, uint32_t last_kept, uint32_t first, uint32_t most);
// What fat_cut_later will free behind last_kept, as long as no sync has made that durable, or NULL.
struct fat_freed *fat_cut_find(struct fat_volume *v, uint32_t last_kept);
// Its first cluster is not to be freed: it is kept as the chain's last. Forgets a chain that has no more. -EIO.
[[nodiscard]] int fat_cut_shorten(struct fat_volume *v, struct fat_freed *freed);
// Whether `clusters` more can be had besides the reservations; syncs when that may help.
[[nodiscard]] bool fat_has_room(struct fat_volume *v, uint64_t clusters);

// ---- sync.c ---------------------------------------------------------------------------------------------------------------
// Before the first change: says on the disk that the volume is in use. Also makes room for the blocks of one operation.
// 0, -EROFS, -EIO.
[[nodiscard]] int fat_begin(struct fat_volume *v);
// The block of a directory was changed; it is written by the next sync.
void fat_changed(struct fat_volume *v, struct buffer *b);
// What was changed in `before` reaches the disk before what will now be changed in `then`, both blocks of directories. Syncs
// where that cannot be had else. 0 or -EIO.
[[nodiscard]] int fat_order(struct fat_volume *v, struct buffer *before, struct buffer *then);
// Everything changed so far durable, in order. 0 or -EIO.
[[nodiscard]] int fat_sync(struct fat_volume *v);
// Into the info sector, with the next sync.
[[nodiscard]] int fat_info_write(struct fat_volume *v);
// Says on the disk that the volume is clean or in use.
[[nodiscard]] int fat_mark(struct fat_volume *v, bool clean);
void fat_free_chains(struct fat_volume *v);

// ---- chain.c --------------------------------------------------------------------------------------------------------------
// The run that holds cluster number `at` of a file, from there on: 1; 0: the chain ends before; -EIO: damaged, -ENOMEM.
[[nodiscard]] int fat_chain_find(struct fat_inode *i, uint32_t at, uint32_t *cluster, uint32_t *count);
// Makes the chain at least `clusters` long. Directories: the new ones are zeroed on the disk before. -ENOSPC, -EIO, -ENOMEM.
[[nodiscard]] int fat_chain_grow(struct fat_inode *i, uint32_t clusters);
// Makes it at most `clusters` long; the rest is freed later. -EIO: damaged, -ENOMEM.
[[nodiscard]] int fat_chain_cut(struct fat_inode *i, uint32_t clusters);
// How many clusters from the first one on are the file's, at most.
uint32_t fat_chain_most(struct fat_inode *i);
// `flags`: of the requests (BLOCK_FUA).
[[nodiscard]] int fat_cluster_zero(struct fat_volume *v, uint32_t cluster, unsigned flags);
// Writes zeros to [from, to) of the file's clusters, multiples of the block. 0 or error.
[[nodiscard]] int fat_chain_zero(struct fat_inode *i, uint64_t from, uint64_t to);

// ---- name.c ---------------------------------------------------------------------------------------------------------------
// UTF-8 to UTF-16: units, or -EINVAL (not UTF-8, a character that FAT forbids, a blank or dot at the end), -ENAMETOOLONG.
[[nodiscard]] int fat_name_to_units(const char *name, size_t bytes, uint16_t *units);
// UTF-16 to UTF-8: bytes, at most `room`, or 0: it is no name.
size_t fat_name_from_units(const uint16_t *units, size_t count, char *name, size_t room);
// The name that a short entry shows.
size_t fat_name_from_short(const struct fat_entry *e, char name[40]);
bool fat_name_equal(const char *a, size_t a_bytes, const char *b, size_t b_bytes);
uint8_t fat_short_checksum(const uint8_t name[11]);
// Whether the name is one that a short entry alone holds; then *out is it.
bool fat_short_exact(const uint16_t *units, size_t count, uint8_t out[11]);
// The `attempt`-th (from 1) short name for a long one.
void fat_short_make(const uint16_t *units, size_t count, unsigned attempt, uint8_t out[11]);

// ---- directory.c ----------------------------------------------------------------------------------------------------------
struct fat_found {
    uint32_t first, index;     // of its entries: where the long name begins, the short one
    uint64_t position;
    const char *name;
    size_t bytes;
    uint32_t name_hash;        // only of one that was looked for
    struct fat_entry entry;
};
// Returns false to stop.
typedef bool fat_visit(void *context, const struct fat_found *found);
// All names from entry number `start` on, but "." and "..". 0, -EIO, -ENOMEM.
[[nodiscard]] int fat_directory_scan(struct fat_inode *dir, uint32_t start, fat_visit *visit, void *context);
// 0, -ENOENT, -EIO, -ENOMEM. found->name is not set.
[[nodiscard]] int fat_directory_find(struct fat_inode *dir, const char *name, size_t bytes, struct fat_found *found);
// Enters a name: *e with its short name filled in. *position of it. Errors as of inode_ops.create.
[[nodiscard]] int fat_directory_add(struct fat_inode *dir, const char *name, size_t bytes, struct fat_entry *e, uint64_t *position);
[[nodiscard]] int fat_directory_remove(struct fat_inode *dir, const struct fat_found *found);
[[nodiscard]] int fat_directory_is_empty(struct fat_inode *dir);  // 0, -ENOTEMPTY, -EIO
// The entry at a position, in a held buffer.
[[nodiscard]] int fat_entry_read(struct fat_volume *v, uint64_t position, struct buffer **b, struct fat_entry **e);

// ---- inode.c --------------------------------------------------------------------------------------------------------------
extern const struct inode_ops fat_directory_ops, fat_file_ops;
extern const struct file_cache_ops fat_cache_ops;
extern const struct fs_ops fat_fs_ops;
struct inode *fat_alloc_inode(struct filesystem *fs);
void fat_free_inode(struct inode *inode);
[[nodiscard]] int fat_read_inode(struct inode *inode);
void fat_inode_fill(struct fat_inode *i, const struct fat_entry *e, uint64_t position);
// The number of the file whose entry is there.
uint64_t fat_inode_number(struct fat_volume *v, uint64_t position);
// Its entry is somewhere else now, or nowhere (0).
void fat_inode_move(struct fat_inode *i, uint64_t position);
// Writes attributes, size and first cluster into the entry. `size` of files.
[[nodiscard]] int fat_inode_record(struct fat_inode *i, uint32_t size);

// ---- data.c: operations that directories share with files ---------------------------------------------------------------------
[[nodiscard]] int fat_change(struct inode *inode, const struct inode_change *c);
[[nodiscard]] int fat_inode_sync(struct inode *inode, bool data_only);
void fat_evict(struct inode *inode);

struct fs_time fat_time_from(uint16_t date, uint16_t time, uint8_t tenth);
void fat_time_to(struct fs_time t, uint16_t *date, uint16_t *time, uint8_t *tenth);
