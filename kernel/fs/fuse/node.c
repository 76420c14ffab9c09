#include "abi/gen/errors.h"
#include "kernel/core/assert.h"
#include "kernel/fs/fuse/fuse.h"
#include "kernel/mm/slub.h"

// ---- life -------------------------------------------------------------------------------------------------------------

struct source {               // what read_inode makes an inode of
    uint64_t nodeid, epoch;
    const struct fuse_entry_out *entry;
    struct fuse_forget *forget;
};

struct inode *fuse_alloc_inode(struct filesystem *fs) {
    struct fuse_node *node = kzalloc(sizeof *node);
    if (node == NULL) return NULL;
    list_init(&node->handles);
    list_init(&node->lockers);
    (void)fs;
    return &node->inode;
}

// It was in memory, or never came there.
void fuse_free_inode(struct inode *inode) {
    struct fuse_node *node = fuse_node_of(inode);
    struct fuse_fs *f = fuse_of_node(node);
    if (node->forget != NULL) {
        fuse_handles_drop(node);
        node->forget->one.nodeid = node->nodeid;
        node->forget->epoch = node->epoch;
        fuse_forget_put(f->c, node->forget);
    }
    kfree(node);
}

struct fuse_forget *fuse_forget_take(struct fuse_fs *f) {
    struct fuse_forget *spare = __atomic_exchange_n(&f->spare, NULL, __ATOMIC_ACQUIRE);
    if (spare != NULL) return spare;
    spare = kzalloc(sizeof *spare);
    if (spare != NULL) spare->holds = 1;
    return spare;
}

void fuse_forget_leave(struct fuse_fs *f, struct fuse_forget *forget) {
    kfree(__atomic_exchange_n(&f->spare, forget, __ATOMIC_ACQ_REL));
}

// Numbers of inodes tell drivers apart: a file that an earlier one named is another than the next one's.
uint64_t fuse_number_of(uint64_t nodeid, uint64_t epoch) {
    return nodeid == FUSE_ROOT ? FUSE_ROOT : nodeid ^ epoch * 0x9e3779b97f4a7c15ull;
}

static void set_attr(struct inode *inode, const struct fuse_attr *a) {
    inode->number_shown = a->ino;
    inode->mode = a->mode & 0177777u;
    inode->links = a->nlink;
    inode->uid = a->uid;
    inode->gid = a->gid;
    inode->device = (uint64_t)(a->rdev >> 8 & 0xfff) << 32 | (a->rdev & 0xff) | (a->rdev >> 12 & 0xfff00);
    inode->blocks = a->blocks;
    inode->accessed = (struct fs_time){(int64_t)a->atime, a->atimensec};
    inode->modified = (struct fs_time){(int64_t)a->mtime, a->mtimensec};
    inode->changed = (struct fs_time){(int64_t)a->ctime, a->ctimensec};
    if (FS_TYPE(a->mode) != FS_REGULAR) inode->size = a->size;
}

// In the inode cache, which asks for what is not there: the root comes without a source.
int fuse_read_inode(struct inode *inode) {
    struct fuse_node *node = fuse_node_of(inode);
    struct fuse_fs *f = fuse_of_node(node);
    struct source *s = inode->vfs;
    inode->vfs = NULL;
    if (s == NULL && inode->number != FUSE_ROOT) return -ESTALE;
    node->forget = s != NULL ? s->forget : fuse_forget_take(f);
    if (node->forget == NULL) return -ENOMEM;
    if (s != NULL) s->forget = NULL;
    node->nodeid = s != NULL ? s->nodeid : FUSE_ROOT;
    node->epoch = s != NULL ? s->epoch : f->c->epoch;
    inode->ops = &fuse_inode_ops;
    __atomic_fetch_or(&inode->flags, INODE_REMOTE, __ATOMIC_RELAXED);
    if (s == NULL) {
        inode->mode = FS_DIRECTORY | 0755;
        inode->links = 2;
        return 0;
    }
    node->forget->one.nlookup = 1;
    inode->generation = (uint32_t)s->entry->generation;
    set_attr(inode, &s->entry->attr);
    inode->born = inode->changed;
    if (FS_TYPE(inode->mode) == FS_REGULAR) file_cache_init(&inode->cache, &fuse_cache_ops, f->fs.domain, s->entry->attr.size);
    __atomic_store_n(&inode->fresh_until, fuse_valid_until(arch_now(), s->entry->attr_valid, s->entry->attr_valid_nsec), __ATOMIC_RELAXED);
    return 0;
}

// ---- attributes -------------------------------------------------------------------------------------------------------

// Times and size are the kernel's own while it keeps back what was written.
static bool keeps_back(const struct fuse_node *node) {
    const struct inode *inode = &node->inode;
    if (FS_TYPE(inode->mode) != FS_REGULAR || !fuse_wants(fuse_of_node(node), FUSE_WRITEBACK_CACHE)) return false;
    return inode->writers > 0 || inode->flags & INODE_DIRTY || __atomic_load_n(&inode->cache.dirty_pages, __ATOMIC_RELAXED) != 0;
}

int fuse_take_attr(struct fuse_node *node, const struct fuse_attr *a, uint64_t seconds, uint32_t nanoseconds) {
    struct inode *inode = &node->inode;
    if (!fuse_attr_is_good(a, FS_TYPE(inode->mode))) return -EIO;
    struct fs_time modified = inode->modified, changed = inode->changed;
    bool keeps = keeps_back(node);
    set_attr(inode, a);
    if (keeps) inode->modified = modified, inode->changed = changed;
    __atomic_store_n(&inode->fresh_until, fuse_valid_until(arch_now(), seconds, nanoseconds), __ATOMIC_RELAXED);
    return 0;
}

static bool same_time(const struct fs_time *a, uint64_t seconds, uint32_t nanoseconds) {
    return (uint64_t)a->seconds == seconds && a->nanoseconds == nanoseconds;
}

// Whether the cached pages, which were read under these times and this size, are what the driver has.
static bool is_same_data(const struct fuse_node *node, const struct fuse_attr *a, const struct fs_time *modified) {
    if (__atomic_load_n(&node->stale_data, __ATOMIC_RELAXED)) return false;
    return a->size == node->inode.cache.size && (node->wrote || same_time(modified, a->mtime, a->mtimensec));
}

// The driver's size and data have changed under the cache, unless that was done from here since it was asked.
static int take_data(struct fuse_node *node, const struct fuse_attr *a, const struct fs_time *modified, uint32_t changes) {
    struct inode *inode = &node->inode;
    if (FS_TYPE(inode->mode) != FS_REGULAR || is_same_data(node, a, modified)) return 0;
    int error = rw_mutex_lock_killable(&inode->lock);
    if (error != 0) return error;
    bool ours = __atomic_load_n(&node->changes, __ATOMIC_ACQUIRE) != changes || keeps_back(node);
    if (!ours) {
        __atomic_store_n(&node->stale_data, false, __ATOMIC_RELAXED);
        node->wrote = false;
        error = file_cache_reset(&inode->cache, 0, MIN(a->size, inode->fs->max_file_bytes));
    }
    rw_mutex_unlock(&inode->lock);
    return error;
}

static int ask_attr(struct fuse_node *node, struct fuse_attr_out *out) {
    struct fuse_getattr_in in = {0};
    const struct fuse_question q = {
        .opcode = FUSE_GETATTR, .node = node, .in = &in, .in_bytes = sizeof in,
        .out = out, .out_least = sizeof *out, .out_most = sizeof *out};
    int error = fuse_check_node(node);
    int64_t result = error == 0 ? fuse_ask(fuse_of_node(node), &q) : error;
    return result < 0 ? (int)result : fuse_take_attr(node, &out->attr, out->attr_valid, out->attr_valid_nsec);
}

int fuse_revalidate(struct inode *inode) {
    struct fuse_node *node = fuse_node_of(inode);
    uint32_t changes = __atomic_load_n(&node->changes, __ATOMIC_ACQUIRE);
    struct fs_time modified = inode->modified;
    struct fuse_attr_out out;
    int error = ask_attr(node, &out);
    // A deleted file that is still open is something to us, whatever it is to the driver.
    if (error == -ENOENT && inode->flags & INODE_DELETED) return 0;
    return error != 0 ? error : take_data(node, &out.attr, &modified, changes);
}

void fuse_lose_name(struct inode *inode) {
    struct fuse_node *node = fuse_node_of(inode);
    struct fuse_attr_out out;
    bool fresh = __atomic_load_n(&inode->fresh_until, __ATOMIC_RELAXED) > arch_now();
    if (FS_TYPE(inode->mode) == FS_DIRECTORY) {
        inode->links = 0;
    } else if (fresh) {
        inode->links -= inode->links != 0;
    } else {
        int error = ask_attr(node, &out);
        if (error == -ENOENT || error == -ESTALE) inode->links = 0;
        else if (error != 0) inode->links = MAX(inode->links, 1u);
    }
    fuse_expire(inode);
}

// ---- nodes that answers name ------------------------------------------------------------------------------------------------

static int take_known(struct fuse_node *node, const struct fuse_entry_out *e, uint64_t epoch, bool resizes) {
    struct fs_time modified = node->inode.modified;
    if (node->nodeid != e->nodeid || node->epoch != epoch) return -EIO;
    uint32_t changes = __atomic_load_n(&node->changes, __ATOMIC_ACQUIRE);
    __atomic_fetch_add(&node->forget->one.nlookup, 1, __ATOMIC_RELAXED);
    int error = fuse_take_attr(node, &e->attr, e->attr_valid, e->attr_valid_nsec);
    return error == 0 && resizes ? take_data(node, &e->attr, &modified, changes) : error;
}

static void give_back(struct fuse_fs *f, uint64_t nodeid, uint64_t epoch, struct fuse_forget *forget) {
    forget->one = (struct fuse_forget_one){nodeid, 1};
    forget->epoch = epoch;
    fuse_send_forget(f->c, forget);
}

int fuse_node_get(struct fuse_node *dir, const struct fuse_entry_out *e, struct fuse_forget *forget, bool resizes, struct inode **out) {
    struct fuse_fs *f = fuse_of_node(dir);
    uint64_t epoch = f->c->stateless ? 0 : dir->epoch;
    struct source source = {e->nodeid, epoch, e, forget};
    struct inode *inode;
    int error = fuse_entry_is_good(e, dir->nodeid) ? 0 : -EIO;
    if (error == 0) error = inode_get_from(&f->fs, fuse_number_of(e->nodeid, epoch), &source, &inode);
    if (error != 0) {
        if (e->nodeid != 0) give_back(f, e->nodeid, epoch, forget);
        else fuse_forget_leave(f, forget);
        return error;
    }
    struct fuse_node *node = fuse_node_of(inode);
    bool known = source.forget != NULL;
    if (known) error = take_known(node, e, epoch, resizes);
    if (known && node->nodeid != e->nodeid) give_back(f, e->nodeid, epoch, forget);
    else if (known) fuse_forget_leave(f, forget);
    node->name_until = fuse_valid_until(arch_now(), e->entry_valid, e->entry_valid_nsec);
    if (error != 0) inode_put(inode);
    else *out = inode;
    return error;
}
