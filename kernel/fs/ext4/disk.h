// What ext4 writes on a disk: Linux Documentation/filesystems/ext4 (super, group_descr, inodes, ifork, directory, attributes,
// orphan). Little-endian, as this machine is; all of it comes from outside and is checked before use.
#pragma once
#include <stddef.h>
#include <stdint.h>

#define EXT4_MAGIC 0xef53u
#define EXT4_SUPER_OFFSET 1024u
#define EXT4_ROOT_INODE 2u
#define EXT4_JOURNAL_INODE 8u
#define EXT4_NAME_MAX 255u
#define EXT4_LINKS_MAX 65000u

enum { EXT4_STATE_VALID = 1, EXT4_STATE_ERROR = 2 };
enum { EXT4_COMPAT_JOURNAL = 0x4, EXT4_COMPAT_XATTR = 0x8, EXT4_COMPAT_DIR_INDEX = 0x20, EXT4_COMPAT_SPARSE_SUPER2 = 0x200,
       EXT4_COMPAT_ORPHAN_FILE = 0x1000 };
enum { EXT4_INCOMPAT_FILETYPE = 0x2, EXT4_INCOMPAT_RECOVER = 0x4, EXT4_INCOMPAT_META_BG = 0x10, EXT4_INCOMPAT_EXTENTS = 0x40,
       EXT4_INCOMPAT_64BIT = 0x80, EXT4_INCOMPAT_FLEX_BG = 0x200, EXT4_INCOMPAT_CSUM_SEED = 0x2000,
       EXT4_INCOMPAT_LARGE_DIR = 0x4000 };
enum { EXT4_RO_SPARSE_SUPER = 0x1, EXT4_RO_LARGE_FILE = 0x2, EXT4_RO_HUGE_FILE = 0x8, EXT4_RO_GDT_CSUM = 0x10,
       EXT4_RO_DIR_NLINK = 0x20, EXT4_RO_EXTRA_ISIZE = 0x40, EXT4_RO_SNAPSHOT = 0x80, EXT4_RO_METADATA_CSUM = 0x400,
       EXT4_RO_PROJECT = 0x2000, EXT4_RO_ORPHAN_PRESENT = 0x10000 };
enum { EXT4_FLAG_SIGNED_HASH = 1, EXT4_FLAG_UNSIGNED_HASH = 2 };

struct ext4_super {
    uint32_t inodes_count, blocks_count_lo, r_blocks_count_lo, free_blocks_lo, free_inodes, first_data_block;
    uint32_t log_block_size, log_cluster_size, blocks_per_group, clusters_per_group, inodes_per_group;
    uint32_t mount_time, write_time;
    uint16_t mount_count, max_mount_count, magic, state, errors, minor_revision;
    uint32_t last_check, check_interval, creator_os, revision;
    uint16_t reserved_uid, reserved_gid;
    uint32_t first_inode;
    uint16_t inode_size, group;
    uint32_t compat, incompat, ro_compat;
    uint8_t uuid[16];
    char volume_name[16], last_mounted[64];
    uint32_t algorithm_bitmap;
    uint8_t prealloc_blocks, prealloc_directory_blocks;
    uint16_t reserved_gdt_blocks;
    uint8_t journal_uuid[16];
    uint32_t journal_inode, journal_device, last_orphan, hash_seed[4];
    uint8_t hash_version, journal_backup_type;
    uint16_t descriptor_size;
    uint32_t default_mount_options, first_meta_bg, made_time, journal_blocks[17];
    uint32_t blocks_count_hi, r_blocks_count_hi, free_blocks_hi;
    uint16_t min_extra_isize, want_extra_isize;
    uint32_t flags;
    uint16_t raid_stride, mmp_interval;
    uint64_t mmp_block;
    uint32_t raid_stripe_width;
    uint8_t log_groups_per_flex, checksum_type;
    uint16_t reserved_pad;
    uint64_t kilobytes_written;
    uint32_t snapshot_inode, snapshot_id;
    uint64_t snapshot_reserved;
    uint32_t snapshot_list, error_count, first_error_time, first_error_inode;
    uint64_t first_error_block;
    char first_error_function[32];
    uint32_t first_error_line, last_error_time, last_error_inode, last_error_line;
    uint64_t last_error_block;
    char last_error_function[32], mount_options[64];
    uint32_t user_quota_inode, group_quota_inode, overhead_blocks, backup_groups[2];
    uint8_t encrypt_algorithms[4], encrypt_salt[16];
    uint32_t lost_found_inode, project_quota_inode, checksum_seed;
    uint8_t write_time_hi, mount_time_hi, made_time_hi, last_check_hi, first_error_time_hi, last_error_time_hi;
    uint8_t first_error_code, last_error_code;
    uint16_t encoding, encoding_flags;
    uint32_t orphan_file_inode, reserved[94], checksum;
};
_Static_assert(sizeof(struct ext4_super) == 1024 && offsetof(struct ext4_super, compat) == 0x5c &&
              offsetof(struct ext4_super, mmp_block) == 0x168 && offsetof(struct ext4_super, last_error_function) == 0x1e0 &&
              offsetof(struct ext4_super, orphan_file_inode) == 0x280, "ext4 super block");

enum { EXT4_GROUP_INODES_UNUSED = 1, EXT4_GROUP_BLOCKS_UNUSED = 2, EXT4_GROUP_ZEROED = 4 };
struct ext4_descriptor {
    uint32_t block_bitmap_lo, inode_bitmap_lo, inode_table_lo;
    uint16_t free_blocks_lo, free_inodes_lo, directories_lo, flags;
    uint32_t exclude_bitmap_lo;
    uint16_t block_bitmap_csum_lo, inode_bitmap_csum_lo, unused_inodes_lo, checksum;
    // Only with descriptors of 64 bytes and more.
    uint32_t block_bitmap_hi, inode_bitmap_hi, inode_table_hi;
    uint16_t free_blocks_hi, free_inodes_hi, directories_hi, unused_inodes_hi;
    uint32_t exclude_bitmap_hi;
    uint16_t block_bitmap_csum_hi, inode_bitmap_csum_hi;
    uint32_t reserved;
};
#define EXT4_DESCRIPTOR_SMALL 32u
_Static_assert(sizeof(struct ext4_descriptor) == 64 && offsetof(struct ext4_descriptor, block_bitmap_hi) == 32, "descriptor");

enum { EXT4_INODE_IMMUTABLE = 0x10, EXT4_INODE_APPEND = 0x20, EXT4_INODE_NODUMP = 0x40, EXT4_INODE_INDEX = 0x1000,
       EXT4_INODE_HUGE = 0x40000, EXT4_INODE_EXTENTS = 0x80000, EXT4_INODE_EA = 0x200000, EXT4_INODE_INLINE = 0x10000000,
       EXT4_INODE_PROJECT = 0x20000000,
       EXT4_INODE_INHERITED = 0xc0u | 0x8u | 0x4u | 0x1u | EXT4_INODE_PROJECT };  // by a file from its directory
#define EXT4_INODE_SMALL 128u  // what follows exists in larger inodes, as far as extra_isize says
struct ext4_raw_inode {
    uint16_t mode, uid_lo;
    uint32_t size_lo, accessed, changed, modified, deleted;
    uint16_t gid_lo, links;
    uint32_t blocks_lo, flags, version;
    uint32_t block[15];
    uint32_t generation, xattr_block_lo, size_hi, fragment;
    uint16_t blocks_hi, xattr_block_hi, uid_hi, gid_hi, checksum_lo, reserved;
    uint16_t extra_isize, checksum_hi;
    uint32_t changed_extra, modified_extra, accessed_extra, born, born_extra, version_hi, project;
};
_Static_assert(sizeof(struct ext4_raw_inode) == 160 && offsetof(struct ext4_raw_inode, block) == 0x28 &&
              offsetof(struct ext4_raw_inode, extra_isize) == 0x80, "inode");

#define EXT4_EXTENT_MAGIC 0xf30au
#define EXT4_EXTENT_DEPTH 5u
#define EXT4_EXTENT_LENGTH 32768u  // more: the extent is unwritten, of length - EXT4_EXTENT_LENGTH blocks
struct ext4_extent_header {
    uint16_t magic, entries, max, depth;
    uint32_t generation;
};
struct ext4_extent {
    uint32_t block;
    uint16_t length, start_hi;
    uint32_t start_lo;
};
struct ext4_extent_index {
    uint32_t block, leaf_lo;
    uint16_t leaf_hi, unused;
};
_Static_assert(sizeof(struct ext4_extent) == 12 && sizeof(struct ext4_extent_index) == 12, "extents");

struct ext4_dirent {
    uint32_t inode;
    uint16_t length;
    uint8_t name_length, type;
    char name[];
};
#define EXT4_DIRENT_HEADER 8u
#define EXT4_DIRENT_TAIL_TYPE 0xdeu
struct ext4_dirent_tail {
    uint32_t zero;
    uint16_t length;
    uint8_t zero_name_length, type;
    uint32_t checksum;
};

enum { EXT4_HASH_LEGACY, EXT4_HASH_HALF_MD4, EXT4_HASH_TEA, EXT4_HASH_UNSIGNED };  // UNSIGNED: added to the others
// The head of an htree's root block after the entries for "." (12 bytes) and ".." (12).
#define EXT4_HTREE_ROOT_OFFSET 24u
struct ext4_htree_root {
    uint32_t zero;
    uint8_t hash_version, info_length, levels, flags;
};
// Entries of index blocks; the first one's hash field holds limit and count.
struct ext4_htree_entry {
    union {
        uint32_t hash;
        struct {
            uint16_t limit, count;
        };
    };
    uint32_t block;
};
struct ext4_htree_tail {
    uint32_t reserved, checksum;
};

#define EXT4_XATTR_MAGIC 0xea020000u
#define EXT4_XATTR_REFERENCES 1024u
struct ext4_xattr_header {
    uint32_t magic, references, blocks, hash, checksum, reserved[3];
};
struct ext4_xattr_entry {
    uint8_t name_length, name_index;
    uint16_t value_offset;
    uint32_t value_inode, value_size, hash;
    char name[];
};

#define EXT4_ORPHAN_MAGIC 0x0b10ca04u
struct ext4_orphan_tail {
    uint32_t magic, checksum;
};
