// ext4 as a type of file system: mount, unmount, and what concerns the whole volume.
#include "abi/gen/errors.h"
#include "kernel/core/log.h"
#include "kernel/fs/ext4/ext4.h"
#include "kernel/mm/slub.h"
#include "lib/string.h"
#include "lib/text.h"

#define TYPE_MAGIC 0xef53u

static struct kmem_cache node_cache;

static struct inode *alloc_inode(struct filesystem *fs) {
    struct ext4_node *node = slub_alloc_zeroed(&node_cache);
    if (node == NULL) return NULL;
    rw_mutex_init(&node->map_lock, "ext4 map");
    spin_init(&node->raw_lock, "ext4 raw inode");
    rb_tree_init(&node->delayed, NULL);
    return &node->inode;
}

static void free_inode(struct inode *inode) {
    struct ext4_node *node = ext4_node(inode);
    ext4_drop_node(node);
    slub_free(&node_cache, node);
}

static int sync_volume(struct filesystem *fs) {
    struct ext4 *v = container_of(fs, struct ext4, fs);
    if (fs->device->read_only) return 0;
    return v->journal != NULL ? journal_sync(v->journal, true) : buffer_sync(v->buffers);
}

static void statistics(struct filesystem *fs, struct fs_statistics *out) {
    struct ext4 *v = container_of(fs, struct ext4, fs);
    uint64_t id;
    memcpy(&id, v->super->uuid, sizeof id);
    spin_lock(&v->counters);
    uint64_t busy = v->delayed, free = v->free_blocks > busy ? v->free_blocks - busy : 0;
    *out = (struct fs_statistics){.block_size = v->block_size, .blocks = v->blocks - v->overhead, .blocks_free = free,
                                  .blocks_available = free > v->kept ? free - v->kept : 0, .inodes = v->inodes,
                                  .inodes_free = v->free_inodes, .name_max = EXT4_NAME_MAX, .id = id,
                                  .type_magic = TYPE_MAGIC, .flags = fs->flags};
    spin_unlock(&v->counters);
}

// ---- the end ------------------------------------------------------------------------------------------------------------------

static void release(struct ext4 *v) {
    if (v->journal_inode != NULL) ext4_close_private(v->journal_inode);
    if (v->chunks != NULL) ext4_free_groups(v);
    ext4_drop_freed(v);
    if (v->super_buffer != NULL) buffer_put(v->super_buffer);
    if (v->buffers != NULL) buffer_cache_destroy(v->buffers);
    if (v->fs.domain != NULL) cache_domain_destroy(v->fs.domain);
    kfree(v->chunks);
    kfree(v);
}

// Everything home, then the mark that says so.
static int close_volume(struct ext4 *v) {
    bool writable = !ext4_read_only(v) && !v->error_logged;
    int error = v->journal != NULL ? journal_close(v->journal) : 0;
    v->journal = NULL;
    if (!writable) return error;
    if (error == 0) error = buffer_sync(v->buffers);
    if (error != 0) return error;
    v->super->incompat &= ~(uint32_t)EXT4_INCOMPAT_RECOVER;
    v->super->ro_compat &= ~(uint32_t)EXT4_RO_ORPHAN_PRESENT;
    v->super->state |= EXT4_STATE_VALID;
    return ext4_write_super(v);
}

static void unmount(struct filesystem *fs) {
    struct ext4 *v = container_of(fs, struct ext4, fs);
    int error = close_volume(v);
    if (error != 0) log_error("ext4 on %s: unmount: error %d", fs->device->name, error);
    release(v);
}

static const struct fs_ops ops = {.alloc_inode = alloc_inode, .free_inode = free_inode, .read_inode = ext4_read_inode,
                                  .sync = sync_volume, .statistics = statistics, .unmount = unmount};

// ---- the beginning ------------------------------------------------------------------------------------------------------------

static int read_super(struct ext4 *v, uint32_t *flags) {
    uint8_t *data = buffer_memory_alloc(4096);  // a page: devices want 512-byte alignment
    if (data == NULL) return -ENOMEM;
    int error = v->fs.device->sectors < 8 ? -EINVAL : block_read(v->fs.device, 0, data, 4096);
    v->super = (struct ext4_super *)(data + EXT4_SUPER_OFFSET);
    if (error == 0) error = ext4_check_super(v, flags);
    buffer_memory_free(data, 4096);
    v->super = NULL;
    return error;
}

static int read_options(struct ext4 *v, const char *options) {
    for (struct text rest = text_of(options); rest.data != NULL && rest.size > 0;) {
        struct text option = text_split(&rest, ',');
        bool on = text_equal(option, TEXT("discard"));
        if (!on && !text_equal(option, TEXT("nodiscard")) && option.size != 0) {
            log_warn("ext4 on %s: option \"%.*s\" is not known", v->fs.device->name, TEXT_ARG(option));
            return -EINVAL;
        }
        if (option.size != 0) v->discard = on;
    }
    bool can = v->fs.device->discards && v->super->compat & EXT4_COMPAT_JOURNAL;
    if (v->discard && !can) log_warn("ext4 on %s: discard needs a device that takes it and a journal: left out", v->fs.device->name);
    v->discard = v->discard && can;
    return 0;
}

static int open_buffers(struct ext4 *v) {
    int error = buffer_cache_create(v->fs.device, v->block_size, &v->buffers);
    if (error != 0) return error;
    error = buffer_read(v->buffers, v->block_size == 1024 ? 1 : 0, &v->super_buffer);
    if (error != 0) return error;
    v->super = (struct ext4_super *)(v->super_buffer->data + (v->block_size == 1024 ? 0 : EXT4_SUPER_OFFSET));
    v->chunks = kcalloc(v->chunk_count, sizeof(struct ext4_chunk *));
    if (v->chunks == NULL) return -ENOMEM;
    uint64_t largest = v->super->incompat & EXT4_INCOMPAT_EXTENTS ? UINT32_MAX : ext4_indirect_limit(v);
    v->fs.max_file_bytes = MIN(largest, UINT32_MAX) << v->block_bits;
    return cache_domain_create(v->fs.device->name, v->fs.device, 0, &v->fs.domain);
}

static int map_journal(void *context, uint32_t block, uint64_t *out, uint32_t *count) {
    struct ext4 *v = context;
    struct ext4_map map;
    int error = ext4_map(ext4_node(v->journal_inode), block, UINT32_MAX, &map);
    if (error != 0) return error;
    if (map.start == 0 || map.unwritten) return ext4_damaged(v, "journal: hole at block %u", block);
    *out = map.start;
    *count = map.count;
    return 0;
}

static void journal_failed(void *context, int error) {
    struct ext4 *v = context;
    if (!ext4_read_only(v)) ext4_damaged(v, "journal: error %d", error);
}

static int open_journal(struct ext4 *v, uint32_t flags) {
    if (!(v->super->compat & EXT4_COMPAT_JOURNAL)) return 0;
    bool replay = v->super->incompat & EXT4_INCOMPAT_RECOVER;
    if (flags & FS_MOUNT_READ_ONLY && !replay) return 0;  // nothing to replay, and nothing will be written
    int error = ext4_open_private(v, v->super->journal_inode, &v->journal_inode);
    if (error != 0) return error;
    uint64_t blocks = inode_size(v->journal_inode) >> v->block_bits;
    if (blocks < 2 || blocks > UINT32_MAX) return ext4_damaged(v, "journal: %llu blocks", (unsigned long long)blocks);
    struct journal_config config = {.cache = v->buffers, .map = map_journal, .context = v, .blocks = (uint32_t)blocks,
                                    .checksums = v->checksums, .wide = v->wide, .failed = journal_failed};
    error = journal_open(&config, v->fs.device->read_only, &v->journal);
    if (error != 0) return error;
    // What was replayed may have changed the super block and the descriptors.
    ext4_free_groups(v);
    error = ext4_check_super(v, &flags);
    return error == -EINVAL ? -EIO : error;
}

// From now on a crash is noticed: the journal is to be replayed, or the volume to be checked.
static int open_for_writing(struct ext4 *v) {
    struct ext4_super *s = v->super;
    bool clean = s->state & EXT4_STATE_VALID && !(s->incompat & EXT4_INCOMPAT_RECOVER);
    bool aborted = v->journal != NULL && journal_recorded_error(v->journal) != 0;  // and its volume could not be told
    if (aborted) ext4_record_error(s, "journal");
    if (s->state & EXT4_STATE_ERROR) log_warn("ext4 on %s: errors are recorded, e2fsck should check it", v->fs.device->name);
    int error = clean ? 0 : ext4_count_groups(v);
    if (error != 0) return error;
    struct fs_time now = fs_now();
    s->mount_time = (uint32_t)now.seconds;
    ext4_set_super_high(v, &s->mount_time_hi, now);
    s->mount_count++;
    if (v->journal != NULL) s->incompat |= EXT4_INCOMPAT_RECOVER;
    else s->state &= (uint16_t)~EXT4_STATE_VALID;
    error = ext4_write_super(v);
    if (error == 0 && aborted) error = journal_forget_error(v->journal);
    if (error == 0 && v->journal != NULL) error = journal_start_thread(v->journal);
    if (error == 0) error = ext4_clear_orphans(v);
    return error != 0 ? error : ext4_clear_orphan_file(v);
}

static int mount(struct block_device *device, unsigned flags, const char *options, struct filesystem **out) {
    static bool ready;
    if (!__atomic_exchange_n(&ready, true, __ATOMIC_RELAXED)) slub_cache_init(&node_cache, "ext4_node", sizeof(struct ext4_node), 0);
    struct ext4 *v = kzalloc(sizeof *v);
    if (v == NULL) return -ENOMEM;
    uint32_t mount_flags = flags | (device->read_only ? FS_MOUNT_READ_ONLY : 0);
    v->fs = (struct filesystem){.device = device, .root = EXT4_ROOT_INODE};
    filesystem_init(&v->fs, &ext4_type, &ops);
    mutex_init(&v->alloc_lock, "ext4 allocation");
    mutex_init(&v->orphan_lock, "ext4 orphans");
    mutex_init(&v->discard_lock, "ext4 discards");
    mutex_init(&v->xattr_lock, "ext4 xattrs");
    spin_init(&v->counters, "ext4 counters");
    list_init(&v->orphans);
    list_init(&v->committed);
    int error = read_super(v, &mount_flags);
    if (error == 0) error = open_buffers(v);
    if (error == 0) error = read_options(v, options);
    v->fs.flags = mount_flags;
    if (error == 0) error = open_journal(v, mount_flags);
    if (error == 0 && !(mount_flags & FS_MOUNT_READ_ONLY)) error = open_for_writing(v);
    if (error != 0) {
        if (v->journal != NULL) {
            journal_abort(v->journal, error);
            int closed = journal_close(v->journal);
            log_debug("ext4 on %s: journal given up: %d", device->name, closed);
        }
        release(v);
        return error;
    }
    *out = &v->fs;
    return 0;
}

const struct fs_type ext4_type = {.name = "ext4", .mount = mount, .executes = true};
