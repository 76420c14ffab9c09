#include "kernel/fs/tmpfs/tmpfs.h"

#include "abi/gen/errors.h"
#include "kernel/core/log.h"
#include "kernel/mm/page.h"
#include "kernel/mm/slub.h"
#include "kernel/object/process.h"
#include "lib/text.h"

#define TMPFS_MAGIC 0x01021994u

void *tmpfs_alloc(struct tmpfs *t, size_t bytes) {
    if (job_charge(t->job, JOB_KERNEL_BYTES, bytes) != 0) return NULL;
    void *memory = kmalloc(bytes);
    if (memory == NULL) job_uncharge(t->job, JOB_KERNEL_BYTES, bytes);
    return memory;
}

void tmpfs_free(struct tmpfs *t, void *memory, size_t bytes) {
    kfree(memory);
    job_uncharge(t->job, JOB_KERNEL_BYTES, bytes);
}

// ---- inodes -----------------------------------------------------------------------------------------------------------

static struct inode *alloc_inode(struct filesystem *fs) {
    struct tmpfs *t = tmpfs_of(fs);
    struct tmpfs_inode *i = NULL;
    if (__atomic_add_fetch(&t->inodes, 1, __ATOMIC_RELAXED) <= t->inode_limit) i = tmpfs_alloc(t, sizeof *i);
    if (i == NULL) {
        __atomic_fetch_sub(&t->inodes, 1, __ATOMIC_RELAXED);
        return NULL;
    }
    memset(i, 0, sizeof *i);
    list_init(&i->xattrs);
    return &i->inode;
}

static void free_inode(struct inode *inode) {
    struct tmpfs *t = tmpfs_of(inode->fs);
    __atomic_fetch_sub(&t->inodes, 1, __ATOMIC_RELAXED);
    tmpfs_free(t, tmpfs_inode_of(inode), sizeof(struct tmpfs_inode));
}

static int read_inode(struct inode *inode) { return -ESTALE; }  // one that is not in memory is not there

static void evict(struct inode *inode) {
    struct tmpfs_inode *i = tmpfs_inode_of(inode);
    uint32_t type = FS_TYPE(inode->mode);
    tmpfs_xattrs_clear(i);
    if (type == FS_DIRECTORY) tmpfs_entries_clear(i);
    if (type == FS_SYMLINK && i->target != NULL) tmpfs_free(tmpfs_of(inode->fs), i->target, inode->size);
    if (inode->memory != NULL) vmo_put_slowly(inode->memory);
    inode->memory = NULL;
}

// What its type needs besides. -ENOSPC.
static int furnish(struct tmpfs *t, struct inode *inode, const struct inode_new *init) {
    struct tmpfs_inode *i = tmpfs_inode_of(inode);
    switch (FS_TYPE(init->mode)) {
    case FS_DIRECTORY:
        rb_tree_init(&i->by_name, NULL);
        rb_tree_init(&i->by_cookie, NULL);
        inode->links = 2;
        return 0;
    case FS_SYMLINK:
        i->target = tmpfs_alloc(t, init->target_bytes);
        if (i->target == NULL) return -ENOSPC;
        memcpy(i->target, init->target, init->target_bytes);
        inode->size = init->target_bytes;
        return 0;
    case FS_REGULAR:
        return vmo_create(t->job, PAGE_SIZE, VMO_RESIZABLE, &inode->memory) == 0 ? 0 : -ENOSPC;
    default:
        inode->device = init->device;
        return 0;
    }
}

static int make(struct tmpfs *t, const struct inode_new *init, struct inode **out) {
    struct inode *inode;
    int error = inode_enter(&t->fs, __atomic_add_fetch(&t->last_number, 1, __ATOMIC_RELAXED), &inode);
    if (error != 0) return error == -ENOMEM ? -ENOSPC : error;
    inode->ops = &tmpfs_inode_ops;
    inode->links = 1;
    inode->uid = init->uid;
    inode->gid = init->gid;
    inode->born = inode->accessed = inode->modified = inode->changed = fs_now();
    error = furnish(t, inode, init);
    if (error == 0) inode->mode = init->mode;
    else inode_mark_deleted(inode);
    if (error != 0) inode_put(inode);
    else *out = inode;
    return error;
}

// ---- names ------------------------------------------------------------------------------------------------------------

static void touch(struct inode *dir) { dir->modified = dir->changed = fs_now(); }

static int lookup(struct inode *dir, const char *name, size_t bytes, uint64_t *number) {
    struct tmpfs_entry *e = tmpfs_entry_find(tmpfs_inode_of(dir), name, bytes);
    if (e == NULL) return -ENOENT;
    *number = e->number;
    return 0;
}

static int create(struct inode *dir, const char *name, size_t bytes, const struct inode_new *init, struct inode **out) {
    struct inode *inode;
    int error = make(tmpfs_of(dir->fs), init, &inode);
    if (error != 0) return error;
    error = tmpfs_entry_add(tmpfs_inode_of(dir), name, bytes, inode);
    if (error != 0) {
        inode_mark_deleted(inode);
        inode_put(inode);
        return error;
    }
    if (FS_TYPE(inode->mode) == FS_DIRECTORY) dir->links++;
    touch(dir);
    *out = inode;
    return 0;
}

static int link(struct inode *dir, const char *name, size_t bytes, struct inode *inode) {
    int error = tmpfs_entry_add(tmpfs_inode_of(dir), name, bytes, inode);
    if (error != 0) return error;
    inode->links++;
    inode->changed = fs_now();
    touch(dir);
    return 0;
}

static bool is_directory(const struct inode *inode) { return FS_TYPE(inode->mode) == FS_DIRECTORY; }

// One name less.
static void lose_name(struct inode *dir, struct inode *inode) {
    if (is_directory(inode)) {
        dir->links--;
        inode->links = 0;
    } else {
        inode->links--;
    }
    inode->changed = fs_now();
    if (inode->links == 0) inode_mark_deleted(inode);
}

static int unlink(struct inode *dir, const char *name, size_t bytes, struct inode *inode) {
    if (is_directory(inode) && !tmpfs_is_empty(tmpfs_inode_of(inode))) return -ENOTEMPTY;
    tmpfs_entry_remove(tmpfs_inode_of(dir), tmpfs_entry_find(tmpfs_inode_of(dir), name, bytes));
    lose_name(dir, inode);
    touch(dir);
    return 0;
}

static void exchange(struct tmpfs_entry *a, struct inode *in_a, struct tmpfs_entry *b, struct inode *in_b) {
    a->number = in_b->number;
    a->type = FS_TYPE(in_b->mode);
    b->number = in_a->number;
    b->type = FS_TYPE(in_a->mode);
}

static int rename(struct inode *from_dir, const char *from_name, size_t from_bytes, struct inode *inode, struct inode *to_dir,
                  const char *to_name, size_t to_bytes, struct inode *replaced, unsigned flags) {
    struct tmpfs_inode *from = tmpfs_inode_of(from_dir), *to = tmpfs_inode_of(to_dir);
    struct tmpfs_entry *old = tmpfs_entry_find(from, from_name, from_bytes);
    struct tmpfs_entry *target = replaced != NULL ? tmpfs_entry_find(to, to_name, to_bytes) : NULL;
    if (flags & FS_RENAME_EXCHANGE) {
        exchange(old, inode, target, replaced);
        from_dir->links += is_directory(replaced) - is_directory(inode);
        to_dir->links += is_directory(inode) - is_directory(replaced);
        replaced->changed = fs_now();
    } else {
        if (replaced != NULL && is_directory(replaced) && !tmpfs_is_empty(tmpfs_inode_of(replaced))) return -ENOTEMPTY;
        if (target == NULL) {
            int error = tmpfs_entry_add(to, to_name, to_bytes, inode);
            if (error != 0) return error;
        } else {
            target->number = inode->number;
            target->type = FS_TYPE(inode->mode);
            lose_name(to_dir, replaced);
        }
        tmpfs_entry_remove(from, old);
        from_dir->links -= is_directory(inode);
        to_dir->links += is_directory(inode);
    }
    inode->changed = fs_now();
    touch(from_dir);
    touch(to_dir);
    return 0;
}

static int64_t read_link(struct inode *inode, char *buffer, size_t size) {
    size_t bytes = MIN(size, inode->size);
    memcpy(buffer, tmpfs_inode_of(inode)->target, bytes);
    return (int64_t)bytes;
}

static int change(struct inode *inode, const struct inode_change *c) {
    if (c->what & FS_SET_MODE) inode->mode = c->mode;
    if (c->what & FS_SET_UID) inode->uid = c->uid;
    if (c->what & FS_SET_GID) inode->gid = c->gid;
    if (c->what & FS_SET_ACCESSED) inode->accessed = c->accessed;
    if (c->what & FS_SET_MODIFIED) inode->modified = c->modified;
    inode->changed = fs_now();
    return 0;
}

const struct inode_ops tmpfs_inode_ops = {
    .lookup = lookup,
    .create = create,
    .link = link,
    .unlink = unlink,
    .rename = rename,
    .read_directory = tmpfs_read_directory,
    .read_link = read_link,
    .change = change,
    .xattr_get = tmpfs_xattr_get,
    .xattr_set = tmpfs_xattr_set,
    .xattr_remove = tmpfs_xattr_remove,
    .xattr_list = tmpfs_xattr_list,
    .evict = evict,
};

// ---- mounting -----------------------------------------------------------------------------------------------------------

static void statistics(struct filesystem *fs, struct fs_statistics *out) {
    struct tmpfs *t = tmpfs_of(fs);
    struct kpio_job_info info;
    job_get_info(t->job, &info);
    uint64_t free = t->pages - MIN(t->pages, info.used.pages), inodes = __atomic_load_n(&t->inodes, __ATOMIC_RELAXED);
    *out = (struct fs_statistics){
        .block_size = PAGE_SIZE,
        .blocks = t->pages,
        .blocks_free = free,
        .blocks_available = free,
        .inodes = t->inode_limit,
        .inodes_free = t->inode_limit - MIN(t->inode_limit, inodes),
        .name_max = FS_NAME_MAX,
        .type_magic = TMPFS_MAGIC,
    };
}

static void unmount(struct filesystem *fs) {
    struct tmpfs *t = tmpfs_of(fs);
    object_put(&t->job->object);
    kfree(t);
}

static const struct fs_ops tmpfs_ops = {
    .alloc_inode = alloc_inode,
    .free_inode = free_inode,
    .read_inode = read_inode,
    .statistics = statistics,
    .unmount = unmount,
};

static bool set_option(struct tmpfs *t, uint32_t *mode, struct text key, struct text value) {
    uint64_t number;
    if (text_equal(key, TEXT("size")) && text_to_size(value, &number) && number >= PAGE_SIZE) t->pages = number >> PAGE_SHIFT;
    else if (text_equal(key, TEXT("inodes")) && text_to_size(value, &number) && number > 0) t->inode_limit = number;
    else if (text_equal(key, TEXT("mode")) && value.size == 3) {
        *mode = 0;
        for (unsigned i = 0; i < 3; i++) {
            if (value.data[i] < '0' || value.data[i] > '7') return false;
            *mode = *mode << 3 | (uint32_t)(value.data[i] - '0');
        }
    } else return key.size == 0 && value.size == 0;
    return true;
}

static int read_options(struct tmpfs *t, uint32_t *mode, const char *options) {
    for (struct text rest = text_of(options); rest.data != NULL && rest.size > 0;) {
        struct text value = text_split(&rest, ','), whole = value, key = text_split(&value, '=');
        if (set_option(t, mode, key, value)) continue;
        log_warn("tmpfs: option \"%.*s\" is unknown or has no good value", TEXT_ARG(whole));
        return -EINVAL;
    }
    return 0;
}

static int mount(struct block_device *device, unsigned flags, const char *options, struct filesystem **out) {
    struct page_stats memory;
    uint32_t mode = 0755;
    struct inode *root;
    page_get_stats(&memory);
    struct tmpfs *t = kzalloc(sizeof *t);
    if (t == NULL) return -ENOMEM;
    filesystem_init(&t->fs, &tmpfs_type, &tmpfs_ops);
    t->fs.flags = flags;
    t->fs.block_size = PAGE_SIZE;
    t->fs.max_file_bytes = MIN(VMO_SIZE_MAX, (uint64_t)INT64_MAX & ~PAGE_MASK);
    t->fs.keeps_inodes = true;
    t->pages = memory.total / 2;
    t->inode_limit = memory.total;
    int error = read_options(t, &mode, options);
    struct kpio_job_limits limits = {t->pages, 0, 0, UINT64_MAX, 0};
    if (error == 0) error = job_create(current_process()->job, &limits, "tmpfs", &t->job);
    if (error == 0) {
        const struct inode_new init = {.mode = FS_DIRECTORY | mode};
        error = make(t, &init, &root);
        if (error != 0) object_put(&t->job->object);
    }
    if (error != 0) {
        kfree(t);
        return error;
    }
    t->fs.root = root->number;
    inode_put(root);
    *out = &t->fs;
    return 0;
}

const struct fs_type tmpfs_type = {.name = "tmpfs", .mount = mount, .executes = true, .no_device = true};
