// Volumes: the boot sector, the info sector, mounting and unmounting.
#include "kernel/fs/fat32/fat.h"

#include "abi/gen/errors.h"
#include "kernel/core/log.h"
#include "kernel/mm/slub.h"
#include "lib/string.h"

#define MSDOS_MAGIC 0x4d44          // as Linux statfs
#define TABLE_CLEAN 0x08000000u     // in the entry of cluster 1
#define ROOT_NUMBER 1u              // byte 32 of the boot sector: no entry lies there
#define BUFFER_BYTES (12u << 10)    // kmalloc aligns what is larger than 8 KiB to pages
#define CLUSTERS_MOST 0x0ffffff5u

struct boot_sector {
    uint8_t jump[3];
    char maker[8];
    uint16_t block_bytes;
    uint8_t cluster_blocks;
    uint16_t reserved;
    uint8_t tables;
    uint16_t root_entries, blocks_16;
    uint8_t media;
    uint16_t table_blocks_16, track, heads;
    uint32_t hidden, blocks;
    uint32_t table_blocks;
    uint16_t flags, version;        // flags: bit 7: only table (bits 0 to 3) is used
    uint32_t root_cluster;
    uint16_t info_block, backup;
    uint8_t unused[12], drive, state, extended;
    uint32_t serial;
    char label[11], type[8];
} __attribute__((packed));
_Static_assert(offsetof(struct boot_sector, root_cluster) == 44 && sizeof(struct boot_sector) == 90, "on disk");

struct info_sector {
    uint32_t lead;
    uint8_t unused[480];
    uint32_t signature, free, hint;
    uint8_t unused2[12];
    uint32_t trail;
} __attribute__((packed));
_Static_assert(sizeof(struct info_sector) == 512, "on disk");

// ---- the boot sector --------------------------------------------------------------------------------------------------------

static uint32_t block_count(const struct boot_sector *b) { return b->blocks_16 != 0 ? b->blocks_16 : b->blocks; }

static const char *fault(const struct boot_sector *b, const struct block_device *device) {
    uint32_t blocks = block_count(b);
    if (blocks == 0 || b->tables == 0 || b->reserved == 0) return "sizes of 0";
    if (b->block_bytes < device->logical_block) return "sectors smaller than the disk's blocks";
    if (!is_power_of_two(b->cluster_blocks) || (uint32_t)b->cluster_blocks * b->block_bytes > 128u << 10) return "its cluster size";
    if ((uint64_t)blocks * (b->block_bytes / SECTOR_SIZE) > device->sectors) return "it is larger than its disk";
    uint64_t before = b->reserved + (uint64_t)b->tables * b->table_blocks;
    if (before >= blocks) return "no room for clusters";
    if ((blocks - before) / b->cluster_blocks == 0) return "no cluster";
    if (b->version != 0) return "its version";
    if ((b->flags & 0x80) && (b->flags & 15) >= b->tables) return "its active table";
    return NULL;
}

// -EINVAL: no FAT at all, said by nobody.
static int boot_check(const struct block_device *device, const uint8_t *block) {
    const struct boot_sector *b = (const void *)block;
    bool fat = block[510] == 0x55 && block[511] == 0xaa && is_power_of_two(b->block_bytes) && b->block_bytes >= 512 &&
               b->block_bytes <= 4096 && b->cluster_blocks != 0 && (b->media == 0xf0 || b->media >= 0xf8);
    if (!fat) return -EINVAL;
    if (b->table_blocks_16 != 0 || b->root_entries != 0 || b->table_blocks == 0) {
        log_error("%s: FAT12 or FAT16: not supported", device->name);
        return -EOPNOTSUPP;
    }
    const char *why = fault(b, device);
    if (why != NULL) log_error("%s: not a good FAT32: %s", device->name, why);
    return why == NULL ? 0 : -EIO;
}

static void boot_take(struct fat_volume *v, const struct boot_sector *b) {
    v->block_bytes = b->block_bytes;
    v->block_shift = log2_floor(b->block_bytes);
    v->cluster_shift = v->block_shift + log2_floor(b->cluster_blocks);
    v->tables = b->tables;
    v->table_blocks = b->table_blocks;
    v->mirrored = !(b->flags & 0x80);
    v->active = v->mirrored ? 0 : b->flags & 15;
    v->table_start = b->reserved;
    v->data_start = b->reserved + (uint64_t)b->tables * b->table_blocks;
    uint64_t clusters = (block_count(b) - v->data_start) / b->cluster_blocks;
    uint64_t in_table = ((uint64_t)b->table_blocks << v->block_shift) / 4;
    uint64_t end = MIN(clusters + 2, in_table);
    v->end = (uint32_t)MIN(end, (uint64_t)CLUSTERS_MOST);
    v->root_cluster = b->root_cluster;
    v->info_block = b->info_block != 0 && b->info_block < b->reserved ? b->info_block : 0;
    v->was_dirty = b->state & 1;
    v->fs.id = b->serial;
    memcpy(v->label, b->label, sizeof b->label);
    for (unsigned i = sizeof b->label; i-- > 0 && v->label[i] == ' ';) v->label[i] = '\0';
}

static int read_boot(struct fat_volume *v, struct block_device *device) {
    uint8_t *block = kmalloc(BUFFER_BYTES);
    if (block == NULL) return -ENOMEM;
    int error = device->sectors < 8 ? -EINVAL : block_read(device, 0, block, 4096);
    if (!error) error = boot_check(device, block);
    if (!error) boot_take(v, (const void *)block);
    kfree(block);
    if (!error && !fat_cluster_is_valid(v, v->root_cluster)) {
        log_error("%s: not a good FAT32: its root directory is at cluster %u", device->name, v->root_cluster);
        error = -EIO;
    }
    return error;
}

// ---- what is free -----------------------------------------------------------------------------------------------------------

static bool info_take(struct fat_volume *v) {
    struct buffer *b;
    if (v->info_block == 0 || buffer_read(v->buffers, v->info_block, &b) != 0) return false;
    const struct info_sector *info = (const void *)b->data;
    bool good = info->lead == 0x41615252 && info->signature == 0x61417272 && info->trail == 0xaa550000;
    if (!good) v->info_block = 0;
    v->hint = good && fat_cluster_is_valid(v, info->hint) ? info->hint : 2;
    good = good && info->free <= v->end - 2;
    if (good) v->free = info->free;
    buffer_put(b);
    return good;
}

static int read_state(struct fat_volume *v) {
    uint32_t state;
    int error = fat_table_get(v, 1, &state);
    if (error) return error;
    v->was_dirty = v->was_dirty || !(state & TABLE_CLEAN);
    if (v->was_dirty) log_warn("%s: the volume was not unmounted; a check is due", v->fs.device->name);
    // The count is a hint on such a one.
    return info_take(v) && !v->was_dirty ? 0 : fat_count_free(v);
}

// ---- the file system --------------------------------------------------------------------------------------------------------

static void release(struct fat_volume *v) {
    struct fat_freed *f;
    while ((f = list_pop_front_entry(&v->freed, struct fat_freed, node)) != NULL) kfree(f);
    if (v->fs.domain != NULL) cache_domain_destroy(v->fs.domain);
    for (unsigned i = 0; i < v->changed_count; i++) buffer_put(v->changed[i].buffer);
    if (v->table_buffer != NULL) buffer_put(v->table_buffer);
    if (v->buffers != NULL) buffer_cache_destroy(v->buffers);
    kfree(v->scratch);
    kfree(v);
}

static int sync_volume(struct filesystem *fs) {
    struct fat_volume *v = fat_volume_of(fs);
    mutex_lock(&v->lock);
    int error = fat_sync(v);
    mutex_unlock(&v->lock);
    return error;
}

static void statistics(struct filesystem *fs, struct fs_statistics *out) {
    struct fat_volume *v = fat_volume_of(fs);
    uint32_t reserved = __atomic_load_n(&v->reserved, __ATOMIC_RELAXED), free = v->free;
    *out = (struct fs_statistics){
        .block_size = fat_cluster_bytes(v),
        .blocks = v->end - 2,
        .blocks_free = free,
        .blocks_available = free > reserved ? free - reserved : 0,
        .name_max = FS_NAME_MAX,
        .id = fs->id,
        .type_magic = MSDOS_MAGIC,
        .flags = fs->flags,
    };
}

static void unmount(struct filesystem *fs) {
    struct fat_volume *v = fat_volume_of(fs);
    struct block_device *device = fs->device;
    int error = 0;
    mutex_lock(&v->lock);
    if (v->marked) {
        do error = fat_sync(v);  // clusters become free by one, which the next one writes
        while (!error && (v->tables_changed || !list_is_empty(&v->freed)));
        if (!error) error = fat_info_write(v);
        if (!error && !v->was_dirty && !(fs->flags & FS_MOUNT_DAMAGED)) error = fat_mark(v, true);
    }
    mutex_unlock(&v->lock);
    if (error) log_error("%s: unmounting: error %d", device->name, -error);
    release(v);
}

const struct fs_ops fat_fs_ops = {
    .alloc_inode = fat_alloc_inode,
    .free_inode = fat_free_inode,
    .read_inode = fat_read_inode,
    .sync = sync_volume,
    .statistics = statistics,
    .unmount = unmount,
};

static int volume_begin(struct fat_volume *v, struct block_device *device, unsigned flags) {
    filesystem_init(&v->fs, &fat32_type, &fat_fs_ops);
    v->fs.device = device;
    v->fs.root = ROOT_NUMBER;
    v->fs.flags = flags | (device->read_only ? FS_MOUNT_READ_ONLY : 0);
    v->fs.block_size = v->block_bytes;
    v->fs.max_file_bytes = UINT32_MAX;
    v->fs.case_insensitive = true;
    mutex_init(&v->lock, "fat32");
    spin_init(&v->hash_lock, "fat32 inodes");
    for (unsigned i = 0; i < FAT_HASH; i++) {
        list_init(&v->by_number[i]);
        list_init(&v->by_position[i]);
    }
    v->scratch = kzalloc(sizeof *v->scratch);
    int error = v->scratch == NULL ? -ENOMEM : buffer_cache_create(device, v->block_bytes, &v->buffers);
    if (!error) error = read_state(v);
    if (!error) error = cache_domain_create(device->name, device, 0, &v->fs.domain);
    return error;
}

static int mount(struct block_device *device, unsigned flags, const char *options, struct filesystem **out) {
    struct fat_volume *v = kzalloc(sizeof *v);
    if (v == NULL) return -ENOMEM;
    list_init(&v->freed);
    int error = read_boot(v, device);
    if (!error) error = volume_begin(v, device, flags);
    if (error) {
        release(v);
        return error;
    }
    log_info("%s: FAT32 \"%s\", %u clusters of %u bytes, %u free", device->name, v->label, v->end - 2, fat_cluster_bytes(v), v->free);
    *out = &v->fs;
    return 0;
}

const struct fs_type fat32_type = {.name = "fat32", .mount = mount};
