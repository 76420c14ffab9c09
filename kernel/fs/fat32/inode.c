// Inodes: numbers, attributes, the entry on the disk. volume->hash_lock is a leaf; an inode that is found by it and is still in
// the inode cache (inode->hash) is alive.
#include "kernel/fs/fat32/fat.h"

#include "abi/gen/errors.h"
#include "kernel/mm/slub.h"
#include "lib/string.h"

#define NUMBER_STEP (FAT_POSITION_MASK + 1)

// ---- times: local ones on the disk, which here are UTC ------------------------------------------------------------------------

// Days since 1970-01-01 of a date of the Gregorian calendar. The year is taken to begin in March, so that leap days end it.
static int64_t days_from_date(int64_t year, unsigned month, unsigned day) {
    int64_t y = year - (month <= 2), of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    return y * 365 + y / 4 - y / 100 + y / 400 + of_year - 719468;
}

struct fs_time fat_time_from(uint16_t date, uint16_t time, uint8_t tenth) {
    unsigned month = MIN(MAX(date >> 5 & 15, 1), 12), day = MAX(date & 31, 1);
    int64_t days = days_from_date(1980 + (date >> 9), month, day);
    int64_t seconds = (time >> 11) * 3600 + (time >> 5 & 63) * 60 + (time & 31) * 2 + tenth / 100;
    return (struct fs_time){.seconds = days * 86400 + seconds, .nanoseconds = tenth % 100 * 10000000u};
}

void fat_time_to(struct fs_time t, uint16_t *date, uint16_t *time, uint8_t *tenth) {
    int64_t least = days_from_date(1980, 1, 1) * 86400, most = days_from_date(2108, 1, 1) * 86400 - 1;
    int64_t seconds = MIN(MAX(t.seconds, least), most), days = seconds / 86400;
    int64_t year = 1970 + days / 366;
    while (days_from_date(year + 1, 1, 1) <= days) year++;
    unsigned month = 12;
    while (days_from_date(year, month, 1) > days) month--;
    unsigned day = (unsigned)(days - days_from_date(year, month, 1)) + 1, rest = (unsigned)(seconds % 86400);
    *date = (uint16_t)((year - 1980) << 9 | month << 5 | day);
    *time = (uint16_t)(rest / 3600 << 11 | (rest / 60 % 60) << 5 | rest % 60 / 2);
    *tenth = (uint8_t)(rest % 2 * 100 + t.nanoseconds / 10000000);
}

// ---- numbers --------------------------------------------------------------------------------------------------------------------

static bool is_alive(const struct fat_inode *i) { return list_node_is_linked(&i->inode.hash); }

static bool number_is_used(struct fat_volume *v, uint64_t number) {
    list_for_each_entry(i, &v->by_number[number % FAT_HASH], struct fat_inode, by_number)
        if (i->inode.number == number && is_alive(i)) return true;
    return false;
}

uint64_t fat_inode_number(struct fat_volume *v, uint64_t position) {
    uint64_t number = position;
    spin_lock(&v->hash_lock);
    list_for_each_entry(i, &v->by_position[position % FAT_HASH], struct fat_inode, by_position) {
        if (i->position != position || !is_alive(i)) continue;
        spin_unlock(&v->hash_lock);
        return i->inode.number;
    }
    while (number_is_used(v, number)) number += NUMBER_STEP;  // by a file that was deleted or moved away, and is open
    spin_unlock(&v->hash_lock);
    return number;
}

void fat_inode_move(struct fat_inode *i, uint64_t position) {
    struct fat_volume *v = fat_volume_of_inode(i);
    spin_lock(&v->hash_lock);
    if (list_node_is_linked(&i->by_position)) list_remove(&i->by_position);
    i->position = position;
    if (position != 0) list_push_front(&v->by_position[position % FAT_HASH], &i->by_position);
    spin_unlock(&v->hash_lock);
}

struct inode *fat_alloc_inode(struct filesystem *fs) {
    struct fat_inode *i = kzalloc(sizeof *i);
    return i == NULL ? NULL : &i->inode;
}

void fat_free_inode(struct inode *inode) {
    struct fat_inode *i = fat_inode_of(inode);
    struct fat_volume *v = fat_volume_of_inode(i);
    spin_lock(&v->hash_lock);
    if (list_node_is_linked(&i->by_position)) list_remove(&i->by_position);
    if (list_node_is_linked(&i->by_number)) list_remove(&i->by_number);
    spin_unlock(&v->hash_lock);
    __atomic_fetch_sub(&v->reserved, i->reserved, __ATOMIC_RELAXED);
    kfree(i->runs);
    kfree(i);
}

// ---- the entry ------------------------------------------------------------------------------------------------------------------

static void fill_file(struct fat_inode *i, uint32_t size) {
    struct fat_volume *v = fat_volume_of_inode(i);
    uint64_t clusters = ((uint64_t)size + fat_cluster_bytes(v) - 1) >> v->cluster_shift;
    i->inode.ops = &fat_file_ops;
    i->inode.mode = FS_REGULAR | (i->attributes & FAT_READ_ONLY ? 0444 : 0644);
    i->inode.links = 1;
    i->inode.blocks = clusters << (v->cluster_shift - SECTOR_SHIFT);
    i->limit = (uint32_t)clusters;
    i->recorded = size;
    i->initialised = align_up(size, v->block_bytes);
    i->reserved_to = clusters << v->cluster_shift;
    file_cache_init(&i->inode.cache, &fat_cache_ops, v->fs.domain, size);
}

static void fill_directory(struct fat_inode *i) {
    i->inode.ops = &fat_directory_ops;
    i->inode.mode = FS_DIRECTORY | 0755;
    i->inode.links = 2;
    i->limit = UINT32_MAX;
}

void fat_inode_fill(struct fat_inode *i, const struct fat_entry *e, uint64_t position) {
    struct fat_volume *v = fat_volume_of_inode(i);
    i->first = fat_entry_cluster(e);
    i->attributes = e->attributes;
    i->inode.modified = i->inode.changed = fat_time_from(e->modified_date, e->modified_time, 0);
    i->inode.born = fat_time_from(e->created_date, e->created_time, e->created_tenth);
    i->inode.accessed = fat_time_from(e->accessed_date, 0, 0);
    if (e->attributes & FAT_DIRECTORY) fill_directory(i);
    else fill_file(i, e->size);
    spin_lock(&v->hash_lock);
    list_push_front(&v->by_number[i->inode.number % FAT_HASH], &i->by_number);
    spin_unlock(&v->hash_lock);
    fat_inode_move(i, position);
}

// Where an inode that is on its way out of memory has its entry (a deleted one has none); else the number says it.
static uint64_t position_of_number(struct fat_volume *v, uint64_t number) {
    uint64_t position = number & FAT_POSITION_MASK;
    spin_lock(&v->hash_lock);
    list_for_each_entry(i, &v->by_number[number % FAT_HASH], struct fat_inode, by_number)
        if (i->inode.number == number && i->position != 0) position = i->position;
    spin_unlock(&v->hash_lock);
    return position;
}

// Whether the entry there is in memory, under another number than it had when it was looked up: what had that number has gone.
static bool is_in_memory(struct fat_volume *v, uint64_t position) {
    bool there = false;
    spin_lock(&v->hash_lock);
    list_for_each_entry(i, &v->by_position[position % FAT_HASH], struct fat_inode, by_position)
        there = there || (i->position == position && is_alive(i));
    spin_unlock(&v->hash_lock);
    return there;
}

// The length of a directory is that of its chain.
static int measure_directory(struct fat_inode *i) {
    struct fat_volume *v = fat_volume_of_inode(i);
    uint32_t cluster, count;
    int found = fat_chain_find(i, FAT_DIRECTORY_ENTRIES * FAT_ENTRY_BYTES >> v->cluster_shift, &cluster, &count);
    i->inode.size = (uint64_t)i->clusters << v->cluster_shift;
    i->inode.blocks = i->inode.size >> SECTOR_SHIFT;
    if (found >= 0 && i->clusters == 0) return fs_damaged(&v->fs, "inode %lu: a directory without clusters", i->inode.number);
    return found < 0 ? found : 0;
}

static int read_root(struct fat_inode *i) {
    i->first = fat_volume_of_inode(i)->root_cluster;
    i->attributes = FAT_DIRECTORY;
    fill_directory(i);
    return measure_directory(i);
}

static int read_entry(struct fat_inode *i, uint64_t position) {
    struct fat_volume *v = fat_volume_of_inode(i);
    struct buffer *b;
    struct fat_entry *e;
    if (position * FAT_ENTRY_BYTES >> v->block_shift < v->data_start) return -ESTALE;
    if (is_in_memory(v, position)) return -EAGAIN;
    int error = fat_entry_read(v, position, &b, &e);
    if (error) return error;
    bool good = e->name[0] != 0 && e->name[0] != FAT_DELETED && (e->attributes & FAT_LABEL) == 0;
    uint32_t first = fat_entry_cluster(e);
    if (!good) error = -ESTALE;
    else if (first != 0 ? !fat_cluster_is_valid(v, first) : (e->attributes & FAT_DIRECTORY) || e->size > 0)
        error = fs_damaged(&v->fs, "inode %lu: it begins at cluster %u, which is none", i->inode.number, first);
    else fat_inode_fill(i, e, position);
    buffer_put(b);
    return !error && (i->attributes & FAT_DIRECTORY) ? measure_directory(i) : error;
}

int fat_read_inode(struct inode *inode) {
    struct fat_inode *i = fat_inode_of(inode);
    struct fat_volume *v = fat_volume_of_inode(i);
    mutex_lock(&v->lock);
    int error = inode->number == v->fs.root ? read_root(i) : read_entry(i, position_of_number(v, inode->number));
    mutex_unlock(&v->lock);
    return error;
}

int fat_inode_record(struct fat_inode *i, uint32_t size) {
    struct fat_volume *v = fat_volume_of_inode(i);
    struct buffer *b;
    struct fat_entry *e;
    uint16_t unused_time;
    uint8_t unused;
    i->recorded = size;
    if (i->position == 0) return 0;
    int error = fat_entry_read(v, i->position, &b, &e);
    if (error) return error;
    e->attributes = i->attributes;
    if (FS_TYPE(i->inode.mode) == FS_REGULAR) {
        e->size = size;
        fat_entry_set_cluster(e, i->first);
    }
    fat_time_to(i->inode.modified, &e->modified_date, &e->modified_time, &unused);
    fat_time_to(i->inode.accessed, &e->accessed_date, &unused_time, &unused);
    fat_changed(v, b);
    buffer_put(b);
    return 0;
}
