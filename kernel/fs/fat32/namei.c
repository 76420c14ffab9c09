// Names: looked up, made, removed, moved.
#include "kernel/fs/fat32/fat.h"

#include "abi/gen/errors.h"
#include "lib/string.h"

static int lookup(struct inode *dir, const char *name, size_t bytes, uint64_t *number) {
    struct fat_volume *v = fat_volume_of(dir->fs);
    struct fat_found found;
    mutex_lock(&v->lock);
    int error = fat_directory_find(fat_inode_of(dir), name, bytes, &found);
    if (!error) *number = fat_inode_number(v, found.position);
    mutex_unlock(&v->lock);
    return error;
}

struct listing {
    struct fat_volume *v;
    fs_emit *emit;
    void *context;
};

static bool list_one(void *context, const struct fat_found *found) {
    struct listing *l = context;
    uint32_t type = found->entry.attributes & FAT_DIRECTORY ? FS_DIRECTORY : FS_REGULAR;
    return l->emit(l->context, found->name, found->bytes, fat_inode_number(l->v, found->position), type, found->index + 1ull);
}

static int read_directory(struct inode *dir, uint64_t cookie, fs_emit *emit, void *context) {
    struct listing l = {fat_volume_of(dir->fs), emit, context};
    if (cookie > FAT_DIRECTORY_ENTRIES) return 0;
    mutex_lock(&l.v->lock);
    int error = fat_directory_scan(fat_inode_of(dir), (uint32_t)cookie, list_one, &l);
    mutex_unlock(&l.v->lock);
    return error;
}

// The directory itself was changed. Its own times are worth no failure.
static void touch(struct inode *dir) {
    dir->modified = dir->changed = fs_now();
    (void)fat_inode_record(fat_inode_of(dir), 0);
}

// ---- making -----------------------------------------------------------------------------------------------------------------

static void entry_begin(struct fat_entry *e, uint8_t attributes) {
    struct fs_time now = fs_now();
    uint8_t unused;
    *e = (struct fat_entry){.attributes = attributes};
    fat_time_to(now, &e->created_date, &e->created_time, &e->created_tenth);
    fat_time_to(now, &e->modified_date, &e->modified_time, &unused);
    e->accessed_date = e->modified_date;
}

static uint32_t dots_cluster(const struct fat_inode *parent) { return parent->position == 0 ? 0 : parent->first; }

// The first cluster of a new directory. Nothing leads to it before the flush that precedes entries.
static int directory_begin(struct fat_inode *parent, const struct fat_entry *e, uint32_t *cluster) {
    struct fat_volume *v = fat_volume_of_inode(parent);
    struct buffer *b;
    int error = fat_cluster_alloc(v, 0, cluster);
    if (error) return error;
    error = fat_cluster_zero(v, *cluster, 0);
    if (!error) error = buffer_new(v->buffers, fat_cluster_block(v, *cluster), &b);
    if (!error) {
        struct fat_entry *dots = (struct fat_entry *)(void *)b->data;
        dots[0] = dots[1] = *e;
        memcpy(dots[0].name, ".          ", 11);
        memcpy(dots[1].name, "..         ", 11);
        fat_entry_set_cluster(&dots[0], *cluster);
        fat_entry_set_cluster(&dots[1], dots_cluster(parent));
        error = buffer_write(b, 0);
        buffer_put(b);
    }
    if (error && fat_table_set(v, *cluster, 0) == 0) v->free++;
    return error;
}

static int create_locked(struct fat_inode *dir, const char *name, size_t bytes, bool directory, struct fat_entry *e, uint64_t *position) {
    struct fat_volume *v = fat_volume_of_inode(dir);
    uint32_t cluster = 0;
    int error = fat_begin(v);
    if (error) return error;
    if (!fat_has_room(v, directory ? 2 : 1)) return -ENOSPC;  // the directory may have to grow
    entry_begin(e, directory ? FAT_DIRECTORY : FAT_ARCHIVE);
    if (directory) error = directory_begin(dir, e, &cluster);
    if (error) return error;
    fat_entry_set_cluster(e, cluster);
    error = fat_directory_add(dir, name, bytes, e, position);
    if (error) fat_free_later(v, cluster, 1);
    else touch(&dir->inode);
    return error;
}

static int create(struct inode *dir, const char *name, size_t bytes, const struct inode_new *init, struct inode **out) {
    struct fat_volume *v = fat_volume_of(dir->fs);
    struct fat_entry e;
    uint64_t position, number = 0;
    if (FS_TYPE(init->mode) != FS_REGULAR && FS_TYPE(init->mode) != FS_DIRECTORY) return -EPERM;
    mutex_lock(&v->lock);
    int error = create_locked(fat_inode_of(dir), name, bytes, FS_TYPE(init->mode) == FS_DIRECTORY, &e, &position);
    if (!error) number = fat_inode_number(v, position);
    mutex_unlock(&v->lock);
    if (error) return error;
    // Without the lock, as it may take other inodes out of memory. Nobody sees the name: the directory is locked.
    error = inode_enter(dir->fs, number, out);
    mutex_lock(&v->lock);
    if (!error) {
        fat_inode_fill(fat_inode_of(*out), &e, position);
        fat_inode_of(*out)->whole = FS_TYPE(init->mode) == FS_REGULAR;
        if (FS_TYPE(init->mode) == FS_DIRECTORY) (*out)->size = fat_cluster_bytes(v);
    } else {
        struct fat_found found;
        if (fat_directory_find(fat_inode_of(dir), name, bytes, &found) == 0 && fat_directory_remove(fat_inode_of(dir), &found) == 0)
            fat_free_later(v, fat_entry_cluster(&e), 1);
    }
    mutex_unlock(&v->lock);
    return error;
}

// ---- removing ---------------------------------------------------------------------------------------------------------------

// The last name of the inode went; its clusters are freed with its last reference.
static void orphan(struct inode *inode) {
    fat_inode_move(fat_inode_of(inode), 0);
    inode->links = 0;
    inode->changed = fs_now();
    inode_mark_deleted(inode);
}

static int unlink_locked(struct fat_inode *dir, const char *name, size_t bytes, struct inode *inode) {
    struct fat_found found;
    int error = fat_begin(fat_volume_of_inode(dir));
    if (!error && FS_TYPE(inode->mode) == FS_DIRECTORY) error = fat_directory_is_empty(fat_inode_of(inode));
    if (!error) error = fat_directory_find(dir, name, bytes, &found);
    if (!error && found.position != fat_inode_of(inode)->position) error = -EIO;
    if (!error) error = fat_directory_remove(dir, &found);
    if (error) return error;
    orphan(inode);
    touch(&dir->inode);
    return 0;
}

static int unlink(struct inode *dir, const char *name, size_t bytes, struct inode *inode) {
    struct fat_volume *v = fat_volume_of(dir->fs);
    mutex_lock(&v->lock);
    int error = unlink_locked(fat_inode_of(dir), name, bytes, inode);
    mutex_unlock(&v->lock);
    return error;
}

// ---- moving -----------------------------------------------------------------------------------------------------------------
// At a power cut the file must be there by its old name or by its new one. So the new entry is on the disk before the old
// one goes, or in one write with that; over an existing file it is that file's entry, which changes at once.

struct move {
    struct fat_inode *from_dir, *to_dir;
    struct inode *inode, *replaced;
    const char *name;
    size_t bytes;
    struct fat_found from;
    uint64_t position;  // of the new entry
    struct fat_entry before;  // there, of the file that is replaced
};

static int entry_replace(struct move *m) {
    struct fat_volume *v = fat_volume_of_inode(m->to_dir);
    struct buffer *b;
    struct fat_entry *e;
    m->position = fat_inode_of(m->replaced)->position;
    int error = fat_entry_read(v, m->position, &b, &e);
    if (error) return error;
    struct fat_entry made = m->from.entry;
    m->before = *e;
    memcpy(made.name, e->name, sizeof made.name);
    made.lower = e->lower;
    *e = made;
    fat_changed(v, b);
    buffer_put(b);
    return 0;
}

static int entry_add(struct move *m) {
    struct fat_entry made = m->from.entry;
    made.lower = 0;
    return fat_directory_add(m->to_dir, m->name, m->bytes, &made, &m->position);
}

// Where ".." of a directory leads.
static int dots_set(struct fat_inode *dir, const struct fat_inode *parent) {
    struct fat_volume *v = fat_volume_of_inode(dir);
    struct buffer *b;
    int error = buffer_read(v->buffers, fat_cluster_block(v, dir->first), &b);
    if (error) return error;
    struct fat_entry *dots = (struct fat_entry *)(void *)b->data;
    if (memcmp(dots[1].name, "..         ", 11) == 0) {
        fat_entry_set_cluster(&dots[1], dots_cluster(parent));
        fat_changed(v, b);
    }
    buffer_put(b);
    return 0;
}

// The new entry before the old one goes.
static int entries_order(struct move *m) {
    struct fat_volume *v = fat_volume_of_inode(m->to_dir);
    struct buffer *made, *old;
    struct fat_entry *e;
    int error = fat_entry_read(v, m->position, &made, &e);
    if (error) return error;
    error = fat_entry_read(v, m->from.position, &old, &e);
    if (!error) {
        error = fat_order(v, made, old);
        buffer_put(old);
    }
    buffer_put(made);
    return error;
}

// The old entry could not go: the file keeps one name.
static void entry_undo(struct move *m) {
    struct fat_volume *v = fat_volume_of_inode(m->to_dir);
    struct fat_found found;
    struct buffer *b;
    struct fat_entry *e;
    if (m->replaced == NULL) {
        if (fat_directory_find(m->to_dir, m->name, m->bytes, &found) == 0) (void)fat_directory_remove(m->to_dir, &found);
    } else if (fat_entry_read(v, m->position, &b, &e) == 0) {
        *e = m->before;
        fat_changed(v, b);
        buffer_put(b);
    }
}

static int entries_move(struct move *m) {
    struct fat_inode *moved = fat_inode_of(m->inode);
    bool directory = FS_TYPE(m->inode->mode) == FS_DIRECTORY;
    int error = m->replaced != NULL ? entry_replace(m) : entry_add(m);
    if (error) return error;
    error = entries_order(m);
    if (!error && directory && m->from_dir != m->to_dir) error = dots_set(moved, m->to_dir);
    if (!error) error = fat_directory_remove(m->from_dir, &m->from);
    if (error) entry_undo(m);
    return error;
}

static int move_locked(struct move *m, const char *from_name, size_t from_bytes) {
    struct fat_inode *moved = fat_inode_of(m->inode);
    int error = fat_begin(fat_volume_of_inode(m->from_dir));
    if (!error && m->replaced != NULL && FS_TYPE(m->replaced->mode) == FS_DIRECTORY)
        error = fat_directory_is_empty(fat_inode_of(m->replaced));
    if (!error) error = fat_directory_find(m->from_dir, from_name, from_bytes, &m->from);
    if (!error && m->from.position != moved->position) error = -EIO;
    if (!error) error = entries_move(m);
    if (error) return error;
    if (m->replaced != NULL) orphan(m->replaced);
    fat_inode_move(moved, m->position);
    m->inode->changed = fs_now();
    touch(&m->from_dir->inode);
    if (m->to_dir != m->from_dir) touch(&m->to_dir->inode);
    return 0;
}

static int rename(struct inode *from_dir, const char *from_name, size_t from_bytes, struct inode *inode, struct inode *to_dir,
                  const char *to_name, size_t to_bytes, struct inode *replaced, unsigned flags) {
    struct fat_volume *v = fat_volume_of(from_dir->fs);
    struct move m = {.from_dir = fat_inode_of(from_dir), .to_dir = fat_inode_of(to_dir), .inode = inode, .replaced = replaced,
                     .name = to_name, .bytes = to_bytes};
    if (flags & FS_RENAME_EXCHANGE) return -EOPNOTSUPP;
    if (replaced == inode) return 0;
    mutex_lock(&v->lock);
    int error = move_locked(&m, from_name, from_bytes);
    mutex_unlock(&v->lock);
    return error;
}

const struct inode_ops fat_directory_ops = {
    .lookup = lookup,
    .create = create,
    .unlink = unlink,
    .rename = rename,
    .read_directory = read_directory,
    .change = fat_change,
    .sync = fat_inode_sync,
    .evict = fat_evict,
};
