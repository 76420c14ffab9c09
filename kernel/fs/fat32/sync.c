#include "kernel/fs/fat32/fat.h"

#include "abi/gen/errors.h"
#include "lib/string.h"

#define OPERATION_BLOCKS 64u        // more than one operation changes
#define OPERATION_REMOVES 2u
#define TABLE_CLEAN 0x08000000u     // in the entry of cluster 1
#define BOOT_STATE 0x41             // in the boot sector; bit 0: in use
#define INFO_FREE 488               // in the info sector
#define INFO_HINT 492

// Durable when it returns.
static int boot_state_write(struct fat_volume *v, bool clean) {
    struct buffer *b;
    int error = buffer_read(v->buffers, 0, &b);
    if (error) return error;
    b->data[BOOT_STATE] = (uint8_t)((b->data[BOOT_STATE] & ~1) | !clean);
    error = buffer_write(b, BLOCK_FUA);
    buffer_put(b);
    return error;
}

static int table_state_write(struct fat_volume *v, bool clean) {
    uint32_t value;
    int error = fat_table_get(v, 1, &value);
    if (!error) error = fat_table_set(v, 1, clean ? value | TABLE_CLEAN : value & ~TABLE_CLEAN);
    return error ? error : buffer_sync(v->buffers);
}

// The boot sector says "clean" only while all copies of the table do.
int fat_mark(struct fat_volume *v, bool clean) {
    int error = clean ? 0 : boot_state_write(v, false);
    if (!error) error = table_state_write(v, clean);
    if (!error && clean) error = boot_state_write(v, true);
    if (!error) v->marked = !clean;
    return error;
}

int fat_begin(struct fat_volume *v) {
    if (__atomic_load_n(&v->fs.flags, __ATOMIC_RELAXED) & FS_MOUNT_READ_ONLY) return -EROFS;
    int error = v->marked ? 0 : fat_mark(v, false);
    bool full = v->changed_count + OPERATION_BLOCKS > FAT_CHANGED_MAX || v->removed_count + OPERATION_REMOVES > FAT_REMOVED_MAX;
    if (!error && full) error = fat_sync(v);
    return error;
}

static struct fat_changed *find(struct fat_volume *v, const struct buffer *b) {
    for (unsigned i = 0; i < v->changed_count; i++)
        if (v->changed[i].buffer == b) return &v->changed[i];
    return NULL;
}

void fat_changed(struct fat_volume *v, struct buffer *b) {
    if (find(v, b) != NULL) return;
    if (v->changed_count == FAT_CHANGED_MAX) {  // an operation larger than any: it loses its order, not its data
        buffer_mark_dirty(b);
        return;
    }
    buffer_get(b);
    v->changed[v->changed_count++] = (struct fat_changed){.buffer = b};
}

// A block is written once in a sync, so it cannot both wait and be waited for.
int fat_order(struct fat_volume *v, struct buffer *before, struct buffer *then) {
    struct fat_changed *b = find(v, before), *t = find(v, then);
    if (before == then || (b == NULL && v->changed_count < FAT_CHANGED_MAX)) return 0;  // it is on the disk
    if (b == NULL || b->last || (t == NULL ? v->changed_count == FAT_CHANGED_MAX : t->first)) return fat_sync(v);
    if (t == NULL) {
        fat_changed(v, then);
        t = find(v, then);
    }
    b->first = t->last = true;
    return 0;
}

// The hint and the count of free clusters, of use to who finds the volume clean.
int fat_info_write(struct fat_volume *v) {
    struct buffer *b;
    if (!v->info_changed || v->info_block == 0) return 0;
    int error = buffer_read(v->buffers, v->info_block, &b);
    if (error) return error;
    memcpy(b->data + INFO_FREE, &v->free, 4);
    memcpy(b->data + INFO_HINT, &v->hint, 4);
    buffer_mark_dirty(b);
    buffer_put(b);
    v->info_changed = false;
    return 0;
}

static int entries_write(struct fat_volume *v, bool last) {
    unsigned count = 0;
    for (unsigned i = 0; i < v->changed_count; i++)
        if (v->changed[i].last == last) v->written[count++] = v->changed[i].buffer;
    if (count == 0) return 0;
    int error = buffer_write_many(v->buffers, v->written, count);
    return error ? error : block_flush(v->fs.device);
}

static void entries_are_written(struct fat_volume *v) {
    for (unsigned i = 0; i < v->changed_count; i++) buffer_put(v->changed[i].buffer);
    v->changed_count = v->removed_count = 0;
}

int fat_sync(struct fat_volume *v) {
    uint32_t number = __atomic_add_fetch(&v->syncs_begun, 1, __ATOMIC_ACQ_REL);
    int error = buffer_sync(v->buffers);
    v->tables_changed = v->tables_changed && error;
    if (!error) error = entries_write(v, false);
    if (!error) error = entries_write(v, true);
    if (error) return error;
    entries_are_written(v);
    v->syncs++;
    v->last_sync = number;
    fat_free_chains(v);
    return 0;
}
