#include "kernel/fs/vfs/mount.h"

#include "abi/gen/errors.h"
#include "kernel/arch/x86_64/arch.h"
#include "kernel/core/log.h"
#include "kernel/fs/vfs/name.h"
#include "kernel/mm/slub.h"
#include "kernel/sched/sched.h"

static struct {
    struct spinlock lock;  // a leaf
    struct list list;
    uint64_t ids;
    uint32_t mounted;      // atomic: whose volumes are in use
} filesystems = {.lock = SPINLOCK_INIT("file systems"), .list = LIST_INIT(filesystems.list)};

// ---- mounts -----------------------------------------------------------------------------------------------------------

static void table_free(struct rcu_head *head) { kfree(container_of(head, struct mount_table, rcu)); }

// Takes over the reference on fs (NULL: local).
static struct mount *mount_make(struct filesystem *fs, struct inode *root, uint32_t rights, uint32_t flags) {
    struct mount *m = kzalloc(sizeof *m);
    if (m == NULL) return NULL;
    if (root != NULL) inode_hold(root);
    m->root = root;
    m->fs = fs;
    m->rights = rights;
    m->flags = flags;
    m->refs = 1;
    m->id = __atomic_add_fetch(&filesystems.ids, 1, __ATOMIC_RELAXED);
    return m;
}

int mount_root(struct filesystem *fs, uint32_t rights, struct mount_table **table, struct mount **out) {
    struct inode *root;
    spin_lock(&filesystems.lock);
    fs->mounts = 1;
    fs->id = ++filesystems.ids;
    list_push_back(&filesystems.list, &fs->node);
    __atomic_fetch_add(&filesystems.mounted, 1, __ATOMIC_RELAXED);
    spin_unlock(&filesystems.lock);
    int error = inode_get(fs, fs->root, &root);
    if (error != 0) {
        filesystem_put(fs);
        return error;
    }
    root->parent = root;
    struct mount_table *t = kzalloc(sizeof *t);
    struct mount *m = t != NULL ? mount_make(fs, root, rights, 0) : NULL;
    inode_put(root);
    if (m == NULL) {
        kfree(t);
        filesystem_put(fs);
        return -ENOMEM;
    }
    spin_init(&t->lock, "mount table");
    t->refs = 1;
    t->first = m;
    m->attached = true;
    mount_hold(m);  // the table's, and the caller's
    *table = t;
    *out = m;
    return 0;
}

struct mount *mount_on(const struct mount_table *table, const struct place *place) {
    for (struct mount *m = __atomic_load_n(&table->first, __ATOMIC_ACQUIRE); m != NULL; m = __atomic_load_n(&m->next, __ATOMIC_ACQUIRE))
        if (m->parent == place->mount && m->point == place->inode) return m;
    return NULL;
}

int mount_attach(struct mount_table *table, const struct place *where, const struct place *what, uint32_t rights, uint32_t flags,
                 uint64_t key) {
    struct filesystem *fs = what->inode != NULL ? what->inode->fs : NULL;
    struct mount *m = mount_make(fs, what->inode, rights, flags);
    if (m == NULL) return -ENOMEM;
    if (fs != NULL) __atomic_fetch_add(&fs->mounts, 1, __ATOMIC_RELAXED);
    m->key = key;
    m->parent = where->mount;
    m->point = where->inode;
    mount_hold(m->parent);
    inode_hold(m->point);
    spin_lock(&table->lock);
    int error = mount_on(table, where) != NULL || !where->mount->attached ? -EBUSY : 0;
    if (error == 0) {
        m->attached = true;
        m->next = table->first->next;  // the root stays first
        __atomic_fetch_add(&m->point->mounts, 1, __ATOMIC_RELAXED);
        __atomic_store_n(&table->first->next, m, __ATOMIC_RELEASE);
    }
    spin_unlock(&table->lock);
    if (error != 0) mount_put(m);
    return error;
}

static void take_out_locked(struct mount **link) {
    struct mount *m = *link;
    __atomic_store_n(link, m->next, __ATOMIC_RELEASE);
    if (m->point != NULL) __atomic_fetch_sub(&m->point->mounts, 1, __ATOMIC_RELAXED);
    m->attached = false;
}

// A mount whose parent was taken out, out too; NULL: there is none.
static struct mount *take_stray(struct mount_table *table) {
    struct mount *stray = NULL;
    spin_lock(&table->lock);
    for (struct mount **l = &table->first; *l != NULL; l = &(*l)->next) {
        if ((*l)->parent == NULL || (*l)->parent->attached) continue;
        stray = *l;
        take_out_locked(l);
        break;  // l is in it
    }
    spin_unlock(&table->lock);
    return stray;
}

int mount_detach(struct mount_table *table, struct mount *mount, bool lazy) {
    struct mount **link = NULL;
    bool covered = false;
    spin_lock(&table->lock);
    for (struct mount **l = &table->first; *l != NULL; l = &(*l)->next) {
        if (*l == mount) link = l;
        if ((*l)->parent == mount) covered = true;
    }
    int error = link == NULL || mount->parent == NULL ? -EINVAL : 0;
    // The table's reference, and the caller's.
    if (error == 0 && !lazy && (covered || __atomic_load_n(&mount->refs, __ATOMIC_RELAXED) > 2)) error = -EBUSY;
    if (error == 0) take_out_locked(link);
    spin_unlock(&table->lock);
    if (error == 0) mount_put(mount);
    for (struct mount *m; error == 0 && lazy && covered && (m = take_stray(table)) != NULL;) mount_put(m);
    return error;
}

struct mount *mount_next(struct mount_table *table, uint64_t after) {
    struct mount *found = NULL;
    spin_lock(&table->lock);
    for (struct mount *m = table->first; m != NULL; m = m->next)
        if (m->id > after && (found == NULL || m->id < found->id)) found = m;
    if (found != NULL) mount_hold(found);
    spin_unlock(&table->lock);
    return found;
}

void mount_table_put(struct mount_table *table) {
    if (__atomic_sub_fetch(&table->refs, 1, __ATOMIC_ACQ_REL) != 0) return;
    for (bool more = true; more;) {
        spin_lock(&table->lock);
        struct mount *m = table->first;
        if (m != NULL) take_out_locked(&table->first);
        spin_unlock(&table->lock);
        more = m != NULL;
        if (more) mount_put(m);
    }
    rcu_call(&table->rcu, table_free);
}

void mount_put(struct mount *m) {
    if (__atomic_sub_fetch(&m->refs, 1, __ATOMIC_ACQ_REL) == 0) vfs_worker_add_mount(m);
}

// ---- file systems -----------------------------------------------------------------------------------------------------

struct filesystem *filesystem_next(struct filesystem *previous) {
    spin_lock(&filesystems.lock);
    struct list_node *node = previous != NULL ? list_next(&filesystems.list, &previous->node) : list_first(&filesystems.list);
    struct filesystem *fs = NULL;
    for (; node != NULL && fs == NULL; node = list_next(&filesystems.list, node)) {
        struct filesystem *candidate = list_entry(node, struct filesystem, node);
        uint32_t mounts = __atomic_load_n(&candidate->mounts, __ATOMIC_RELAXED);
        while (mounts != 0 && !__atomic_compare_exchange_n(&candidate->mounts, &mounts, mounts + 1, true, __ATOMIC_ACQUIRE,
                                                           __ATOMIC_RELAXED)) {
        }
        if (mounts != 0) fs = candidate;
    }
    spin_unlock(&filesystems.lock);
    if (previous != NULL) filesystem_put(previous);
    return fs;
}

int filesystem_sync(struct filesystem *fs) {
    uint32_t flags = __atomic_load_n(&fs->flags, __ATOMIC_RELAXED);
    if (flags & FS_MOUNT_READ_ONLY && !(flags & FS_MOUNT_DAMAGED)) return 0;
    int first = fs->domain != NULL ? cache_domain_sync(fs->domain) : 0;
    if (flags & FS_MOUNT_DAMAGED) return first != 0 ? first : -EIO;  // what is still dirty was dropped just now, with a message
    int error = inodes_write(fs);
    if (first == 0) first = error;
    error = fs->ops->sync != NULL ? fs->ops->sync(fs) : 0;
    return first != 0 ? first : error;
}

bool filesystem_end(struct filesystem *fs) {
    names_forget_all(fs);
    if (inodes_release(fs) != 0) return false;
    spin_lock(&filesystems.lock);
    list_remove(&fs->node);
    spin_unlock(&filesystems.lock);
    struct block_device *device = fs->device;
    rcu_barrier();
    fs->ops->unmount(fs);
    if (device != NULL) {
        block_release(device);
        block_put(device);
    }
    __atomic_fetch_sub(&filesystems.mounted, 1, __ATOMIC_RELEASE);
    return true;
}

void filesystem_put(struct filesystem *fs) {
    if (__atomic_sub_fetch(&fs->mounts, 1, __ATOMIC_ACQ_REL) != 0) return;
    if (fs->ops->finish != NULL) fs->ops->finish(fs);
    else if (!filesystem_finish(fs)) vfs_worker_add_filesystem(fs);
}

bool filesystem_finish(struct filesystem *fs) {
    int error = filesystem_sync(fs);
    if (error != 0) log_error("%s: unmounted with an error in what was to be written: %d", fs->type->name, -error);
    if (fs->ops->finish == NULL) inodes_tell(fs);
    return filesystem_end(fs);
}

uint32_t filesystems_mounted(void) { return __atomic_load_n(&filesystems.mounted, __ATOMIC_ACQUIRE); }
