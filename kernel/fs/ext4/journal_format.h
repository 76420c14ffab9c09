// The log on disk: jbd2 (Linux Documentation/filesystems/ext4/journal.rst). All numbers are big-endian.
//
//   block 0        superblock (1,024 bytes of it)
//   from `first`   a ring of transactions:  [revoke blocks] [descriptor, the blocks that it names]... commit
//
// A block of the ring that begins with the magic is one of the log's own; a logged block that happens to begin with it is
// written with zeros there and ESCAPED in its tag. The first invalid or unexpected block ends the log.
#pragma once
#include "lib/util.h"

#define JBD2_MAGIC 0xc03b3998u
#define JBD2_CRC32C 4u
#define JBD2_UUID_BYTES 16u
#define JBD2_TAIL_BYTES 4u  // checksum at the end of descriptor and revoke blocks

enum jbd2_block_type {
    JBD2_DESCRIPTOR = 1,
    JBD2_COMMIT = 2,
    JBD2_SUPERBLOCK_V1 = 3,
    JBD2_SUPERBLOCK_V2 = 4,
    JBD2_REVOKE = 5,
};
enum { JBD2_COMPAT_CHECKSUM = 1 << 0 };
enum {
    JBD2_HAS_REVOKE = 1 << 0,
    JBD2_HAS_64BIT = 1 << 1,
    JBD2_HAS_ASYNC_COMMIT = 1 << 2,
    JBD2_HAS_CSUM_V2 = 1 << 3,
    JBD2_HAS_CSUM_V3 = 1 << 4,
    JBD2_HAS_FAST_COMMIT = 1 << 5,
};
enum { JBD2_TAG_ESCAPED = 1, JBD2_TAG_SAME_UUID = 2, JBD2_TAG_DELETED = 4, JBD2_TAG_LAST = 8 };

struct jbd2_header {
    uint32_t magic, type, sequence;
};

struct jbd2_superblock {
    struct jbd2_header header;
    uint32_t block_size, blocks, first;
    uint32_t sequence;  // of the transaction at `start`; when the log is empty, of the next one
    uint32_t start;     // block where the oldest transaction begins; 0: the log is empty
    uint32_t error;     // why it was aborted, as a positive number
    uint32_t compat, incompat, ro_compat;
    uint8_t uuid[JBD2_UUID_BYTES];
    uint32_t users, dynamic, max_transaction, max_data;
    uint8_t checksum_type, unused1[3];
    uint32_t fast_commit_blocks;  // at the end of the area; 0 means 256
    uint32_t head;
    uint32_t unused2[40];
    uint32_t checksum;
    uint8_t user_ids[768];
};
_Static_assert(sizeof(struct jbd2_superblock) == 1024, "on disk");
_Static_assert(offsetof(struct jbd2_superblock, checksum) == 0xfc, "on disk");

struct jbd2_tag_v3 {
    uint32_t block, flags, block_high, checksum;
};
_Static_assert(sizeof(struct jbd2_tag_v3) == 16, "on disk");
struct jbd2_tag {  // before version 3; block_high only with 64BIT; version 2 has two bytes more
    uint32_t block;
    uint16_t checksum, flags;
    uint32_t block_high;
};
_Static_assert(sizeof(struct jbd2_tag) == 12, "on disk");

struct jbd2_revoke {
    struct jbd2_header header;
    uint32_t bytes;  // used, with this header; then block numbers of 4 or 8 bytes
};

struct jbd2_commit {
    struct jbd2_header header;
    uint8_t checksum_type, checksum_size, unused[2];
    uint32_t checksum[8];
    uint64_t seconds;
    uint32_t nanoseconds;
};
_Static_assert(offsetof(struct jbd2_commit, seconds) == 0x30, "on disk");

static inline uint16_t be16(uint16_t v) { return __builtin_bswap16(v); }
static inline uint32_t be32(uint32_t v) { return __builtin_bswap32(v); }
static inline uint64_t be64(uint64_t v) { return __builtin_bswap64(v); }
