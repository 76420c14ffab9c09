// The super block: checked once at the mount, then the source of geometry; written at mount, unmount and damage, and with
// transactions that change the list of orphans.
//
// It is two sectors, which a power cut can tear apart, and its checksum, in the second one, covers both:
//
//     sector 0   counters, times, state, features, orphans, ... snapshot_id, errors
//     sector 1   ...                                                        checksum
//
// All that changes is in the first. So the checksum stays what it is, and snapshot_id, which nothing reads on a volume without
// has_snapshot, is set to what makes it fit: old or new, the first sector goes with the second. A CRC is a bijection of any
// four bytes that it covers.
#include "abi/gen/errors.h"
#include "kernel/core/log.h"
#include "kernel/fs/ext4/ext4.h"
#include "lib/crc32c.h"
#include "lib/string.h"

#define MAX_BLOCKS (1ull << 48)

#define BALANCE offsetof(struct ext4_super, snapshot_id)
_Static_assert(BALANCE + 4 <= SECTOR_SIZE && offsetof(struct ext4_super, mount_options) == SECTOR_SIZE, "what changes is in a sector");

static uint32_t super_checksum(const struct ext4_super *s) { return crc32c(~0u, s, offsetof(struct ext4_super, checksum)); }

// Of what lies behind the balancing field: the checksum up to there, xor the field, must be this.
static uint32_t balance_of(const struct ext4_super *s) {
    size_t end = offsetof(struct ext4_super, checksum), behind = BALANCE + sizeof s->snapshot_id;
    return crc32c_before_zeros(s->checksum ^ crc32c(0, (const uint8_t *)s + behind, end - behind), end - BALANCE);
}

static void balance(struct ext4_super *s, uint32_t state) { s->snapshot_id = crc32c(~0u, s, BALANCE) ^ state; }

// Where the first copy should be, for who wants to repair with it.
static int invalid(const struct ext4 *v, const char *what, uint64_t value) {
    uint32_t per_group = v->super->blocks_per_group, block = v->super->log_block_size <= 6 ? 1024u << v->super->log_block_size : 1024;
    if (per_group == 0 || per_group > 8 * block) per_group = 8 * block;
    log_error("ext4 on %s: damaged super block: %s (%llu); a copy may be at block %u (e2fsck -b %u -B %u)", v->fs.device->name,
              what, (unsigned long long)value, per_group + (block == 1024), per_group + (block == 1024), block);
    return -EINVAL;
}

static int check_sizes(struct ext4 *v) {
    const struct ext4_super *s = v->super;
    if (s->log_block_size > 6) return invalid(v, "block size", s->log_block_size);
    v->block_bits = 10 + s->log_block_size;
    v->block_size = 1u << v->block_bits;
    if (v->block_size > 4096) {
        log_warn("ext4 on %s: blocks of %u bytes are not supported, not mounted", v->fs.device->name, v->block_size);
        return -EOPNOTSUPP;
    }
    bool clusters = s->ro_compat & 0x200;
    if (!clusters && s->log_cluster_size != s->log_block_size) return invalid(v, "cluster size", s->log_cluster_size);
    v->inode_size = s->revision == 0 ? EXT4_INODE_SMALL : s->inode_size;
    if (v->inode_size < EXT4_INODE_SMALL || v->inode_size > v->block_size || !is_power_of_two(v->inode_size))
        return invalid(v, "inode size", v->inode_size);
    v->wide = s->incompat & EXT4_INCOMPAT_64BIT;
    v->descriptor_size = v->wide ? s->descriptor_size : EXT4_DESCRIPTOR_SMALL;
    if (v->descriptor_size < (v->wide ? 64 : 32) || v->descriptor_size > v->block_size || !is_power_of_two(v->descriptor_size))
        return invalid(v, "descriptor size", v->descriptor_size);
    v->descriptors_per_block = v->block_size / v->descriptor_size;
    v->pointers_per_block = v->block_size / 4;
    return 0;
}

static int check_groups(struct ext4 *v) {
    const struct ext4_super *s = v->super;
    v->blocks = s->blocks_count_lo | (v->wide ? (uint64_t)s->blocks_count_hi << 32 : 0);
    v->first_data_block = s->first_data_block;
    bool clusters = s->ro_compat & 0x200;  // bigalloc: read-only
    if (v->first_data_block != (v->block_size == 1024) && !(clusters && v->first_data_block == 0))
        return invalid(v, "first data block", v->first_data_block);
    v->blocks_per_group = s->blocks_per_group;
    if (v->blocks_per_group == 0 || v->blocks_per_group % 8 != 0 || (!clusters && v->blocks_per_group > v->block_size * 8))
        return invalid(v, "blocks per group", v->blocks_per_group);
    if (v->blocks <= v->first_data_block + 1 || v->blocks > MAX_BLOCKS) return invalid(v, "number of blocks", v->blocks);
    if (v->blocks > v->fs.device->sectors >> (v->block_bits - SECTOR_SHIFT))
        return invalid(v, "more blocks than the device has", v->blocks);
    uint64_t groups = div_round_up(v->blocks - v->first_data_block, v->blocks_per_group);
    v->inodes_per_group = s->inodes_per_group;
    uint32_t per_block = v->block_size / v->inode_size;
    if (v->inodes_per_group < per_block || v->inodes_per_group % 8 != 0 || v->inodes_per_group > v->block_size * 8)
        return invalid(v, "inodes per group", v->inodes_per_group);
    v->table_blocks = (uint32_t)div_round_up(v->inodes_per_group, per_block);
    if (v->table_blocks + 3 > v->blocks_per_group) return invalid(v, "inodes per group", v->inodes_per_group);
    v->inodes = s->inodes_count;
    if (groups > UINT32_MAX / v->inodes_per_group || groups * v->inodes_per_group != v->inodes)
        return invalid(v, "number of inodes", v->inodes);
    v->group_count = (uint32_t)groups;
    v->chunk_count = (uint32_t)div_round_up(groups, v->descriptors_per_block);
    if (s->reserved_gdt_blocks > v->block_size / 4) return invalid(v, "reserved descriptor blocks", s->reserved_gdt_blocks);
    if (s->incompat & EXT4_INCOMPAT_META_BG && s->first_meta_bg > v->chunk_count)
        return invalid(v, "first meta block group", s->first_meta_bg);
    if (ext4_base_meta_blocks(v, 0) >= v->blocks_per_group || ext4_base_meta_blocks(v, 0) >= v->blocks - v->first_data_block)
        return invalid(v, "descriptors larger than a group", v->chunk_count);
    return 0;
}

int ext4_check_super(struct ext4 *v, uint32_t *flags) {
    const struct ext4_super *s = v->super;
    if (s->magic != EXT4_MAGIC) return -EINVAL;
    if (s->revision > 1) return invalid(v, "revision", s->revision);
    int error = ext4_check_features(s, v->fs.device->name, flags);
    if (error != 0) return error;
    v->checksums = s->revision != 0 && s->ro_compat & EXT4_RO_METADATA_CSUM;
    v->old_checksums = s->revision != 0 && !v->checksums && s->ro_compat & EXT4_RO_GDT_CSUM;
    if (v->checksums && s->checksum_type != 1) return invalid(v, "checksum type", s->checksum_type);
    if (v->checksums && s->checksum != super_checksum(s)) return invalid(v, "checksum", s->checksum);
    v->balanced = false;
    v->seed = s->incompat & EXT4_INCOMPAT_CSUM_SEED ? s->checksum_seed : crc32c(~0u, s->uuid, sizeof s->uuid);
    error = check_sizes(v);
    if (error == 0) error = check_groups(v);
    if (error != 0) return error;
    if (s->incompat & EXT4_INCOMPAT_RECOVER && !(s->compat & EXT4_COMPAT_JOURNAL)) return invalid(v, "recovery without a journal", 0);
    if (s->compat & EXT4_COMPAT_DIR_INDEX && s->hash_version > EXT4_HASH_TEA) return invalid(v, "hash version", s->hash_version);
    memcpy(v->hash_seed, s->hash_seed, sizeof v->hash_seed);
    uint64_t kept = s->r_blocks_count_lo | (v->wide ? (uint64_t)s->r_blocks_count_hi << 32 : 0);
    // Metadata that writing back dirty data needs must find room even if the promises to data take all the rest.
    v->kept = MIN(v->blocks / 50, 4096ul);
    v->kept = MAX(v->kept, MIN(kept, v->blocks));
    v->free_blocks = s->free_blocks_lo | (v->wide ? (uint64_t)s->free_blocks_hi << 32 : 0);
    v->free_inodes = s->free_inodes;
    v->fs.block_size = v->block_size;
    v->overhead = s->overhead_blocks;
    return 0;
}

void ext4_set_super_high(struct ext4 *v, uint8_t *at, struct fs_time now) {
    uint8_t high = (uint8_t)((uint64_t)now.seconds >> 32);
    if (likely(*at == high)) return;
    *at = high;
    if (!v->checksums) return;
    v->super->checksum = super_checksum(v->super);
    v->balanced = false;
}

void ext4_seal_super(struct ext4 *v) {
    struct ext4_super *s = v->super;
    struct fs_time now = fs_now();
    s->free_blocks_lo = (uint32_t)v->free_blocks;
    if (v->wide) s->free_blocks_hi = (uint32_t)(v->free_blocks >> 32);
    s->free_inodes = (uint32_t)v->free_inodes;
    s->write_time = (uint32_t)now.seconds;
    ext4_set_super_high(v, &s->write_time_hi, now);
    if (!v->checksums) return;
    if (!v->balanced) v->balance = balance_of(s);
    v->balanced = true;
    balance(s, v->balance);
}

int ext4_write_super(struct ext4 *v) {
    ext4_seal_super(v);
    return buffer_write(v->super_buffer, BLOCK_FUA);
}

// What kind of error it was stays open: the place for that is in the second sector.
void ext4_record_error(struct ext4_super *s, const char *function) {
    struct fs_time now = fs_now();
    s->state |= EXT4_STATE_ERROR;
    if (s->error_count++ == 0) {
        s->first_error_time = (uint32_t)now.seconds;
        s->first_error_time_hi = (uint8_t)((uint64_t)now.seconds >> 32);
        memset(s->first_error_function, 0, sizeof s->first_error_function);
        memcpy(s->first_error_function, function, strnlen(function, sizeof s->first_error_function - 1));
    }
    s->last_error_time = (uint32_t)now.seconds;
    s->last_error_time_hi = (uint8_t)((uint64_t)now.seconds >> 32);
    memset(s->last_error_function, 0, sizeof s->last_error_function);
    memcpy(s->last_error_function, function, strnlen(function, sizeof s->last_error_function - 1));
}

// Only the error fields go to the device: the buffer may hold changes of a transaction that is not to be committed any more.
int ext4_damage(struct ext4 *v, const char *function, int error) {
    if (__atomic_exchange_n(&v->error_logged, true, __ATOMIC_ACQ_REL) || v->fs.device->read_only) return error;
    if (v->journal != NULL) journal_abort(v->journal, error);
    uint8_t *data = buffer_memory_alloc(4096);  // a page: devices want 512-byte alignment
    if (data == NULL) return error;
    struct ext4_super *s = (struct ext4_super *)(data + EXT4_SUPER_OFFSET);
    if (block_read(v->fs.device, 0, data, 4096) == 0 && s->magic == EXT4_MAGIC) {
        bool torn = s->checksum != super_checksum(s);
        ext4_record_error(s, function);
        if (v->checksums && (torn || s->ro_compat & EXT4_RO_SNAPSHOT)) s->checksum = super_checksum(s);
        else if (v->checksums) balance(s, balance_of(s));
        if (block_write(v->fs.device, 0, data, 4096, BLOCK_FUA) != 0)
            log_warn("ext4 on %s: the damage could not be recorded", v->fs.device->name);
    }
    buffer_memory_free(data, 4096);
    return error;
}

static bool is_power_of(uint32_t n, uint32_t base) {
    while (n % base == 0) n /= base;
    return n == 1;
}

bool ext4_group_has_super(const struct ext4 *v, uint32_t group) {
    const struct ext4_super *s = v->super;
    if (group == 0) return true;
    if (s->compat & EXT4_COMPAT_SPARSE_SUPER2) return group == s->backup_groups[0] || group == s->backup_groups[1];
    if (group == 1 || !(s->ro_compat & EXT4_RO_SPARSE_SUPER)) return true;
    return group % 2 != 0 && (is_power_of(group, 3) || is_power_of(group, 5) || is_power_of(group, 7));
}

// The polynomial 0x8005, reversed: what group descriptors had before metadata_csum.
uint16_t ext4_crc16(uint16_t crc, const void *data, size_t size) {
    for (const uint8_t *at = data; size != 0; at++, size--) {
        crc ^= *at;
        for (int bit = 0; bit < 8; bit++) crc = (uint16_t)(crc >> 1 ^ (crc & 1 ? 0xa001 : 0));
    }
    return crc;
}
