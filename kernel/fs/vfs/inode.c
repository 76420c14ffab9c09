// The inode cache. An inode is in the hash from inode_enter or the first inode_get until it leaves memory:
//
//     refs > 0                in use
//     refs 0, in the LRU      unused; reclaimed when there are too many, the longest unused first
//     refs 0, not in the LRU  kept: its file system says that memory is where it lives
//     not in the hash         leaving: a later inode_get of the number reads it anew
//
// The change of refs from and to 0, hash, LRU and the file systems' lists are under cache.lock, a leaf. Who reads an inode
// holds its lock as a writer until it is read; who finds it meanwhile waits for that lock.
#include "kernel/fs/vfs/fs.h"

#include "abi/gen/errors.h"
#include "kernel/core/assert.h"
#include "kernel/core/log.h"
#include "kernel/mm/slub.h"
#include "lib/fmt.h"
#include "lib/string.h"

#include <stdarg.h>

#define HASH_BITS 13
#define HASH_SIZE (1u << HASH_BITS)
#define LIST_STEPS 128  // inodes looked at with the lock held once

static struct {
    struct spinlock lock;
    struct list *hash;
    struct list lru;
    uint32_t unused, limit;
} cache = {.lock = SPINLOCK_INIT("inode cache"), .lru = LIST_INIT(cache.lru), .limit = 4096};

void (*inode_forget)(struct inode *inode);
void (*inode_write_later)(struct inode *inode);
void (*inode_let_go)(void);

void inodes_set_limit(uint32_t limit) { cache.limit = limit; }

void filesystem_init(struct filesystem *fs, const struct fs_type *type, const struct fs_ops *ops) {
    fs->type = type;
    fs->ops = ops;
    mutex_init(&fs->rename_lock, "rename");
    list_init(&fs->inode_list);
}

// ---- finding ----------------------------------------------------------------------------------------------------------

static struct list *bucket(const struct filesystem *fs, uint64_t number) {
    uint64_t key = (number ^ (uintptr_t)fs >> 6) * 0x9e3779b97f4a7c15ull;
    return &cache.hash[key >> (64 - HASH_BITS)];
}

static bool hash_make(void) {
    struct list *hash = kmalloc(HASH_SIZE * sizeof *hash);
    if (hash == NULL) return false;
    for (unsigned i = 0; i < HASH_SIZE; i++) list_init(&hash[i]);
    spin_lock(&cache.lock);
    struct list *mine = cache.hash == NULL ? NULL : hash;
    if (mine == NULL) cache.hash = hash;
    spin_unlock(&cache.lock);
    kfree(mine);
    return true;
}

static void hold_locked(struct inode *inode) {
    if (__atomic_fetch_add(&inode->refs, 1, __ATOMIC_RELAXED) == 0 && list_node_is_linked(&inode->lru)) {
        list_remove(&inode->lru);
        cache.unused--;
    }
}

static struct inode *find_locked(const struct filesystem *fs, uint64_t number) {
    list_for_each_entry(inode, bucket(fs, number), struct inode, hash)
        if (inode->number == number && inode->fs == fs) return inode;
    return NULL;
}

static struct inode *make(struct filesystem *fs, uint64_t number) {
    if (cache.hash == NULL && !hash_make()) return NULL;
    struct inode *inode = fs->ops->alloc_inode(fs);
    if (inode == NULL) return NULL;
    inode->fs = fs;
    inode->number = number;
    inode->refs = 1;
    rw_mutex_init(&inode->lock, "inode");
    list_init(&inode->names);
    return inode;
}

static void unlink_locked(struct inode *inode) {
    list_remove(&inode->hash);
    list_remove(&inode->in_fs);
}

// The inode of that number: found, or `fresh` put in. Returns whether it was found.
static bool find_or_enter(struct filesystem *fs, struct inode *fresh, uint64_t number, struct inode **out) {
    spin_lock(&cache.lock);
    struct inode *inode = cache.hash != NULL ? find_locked(fs, number) : NULL;
    if (inode != NULL) {
        hold_locked(inode);
    } else if (fresh != NULL) {
        list_push_front(bucket(fs, number), &fresh->hash);
        list_push_back(&fs->inode_list, &fresh->in_fs);
        fs->inodes++;
    }
    bool crowded = cache.unused > cache.limit;
    spin_unlock(&cache.lock);
    if (inode == NULL && fresh != NULL && crowded) inodes_reclaim(2);
    *out = inode != NULL ? inode : fresh;
    return inode != NULL;
}

static void free_now(struct rcu_head *head) {
    struct inode *inode = container_of(head, struct inode, rcu);
    inode->fs->ops->free_inode(inode);
}

static void give_up(struct inode *inode) {
    spin_lock(&cache.lock);
    unlink_locked(inode);
    spin_unlock(&cache.lock);
}

// It cannot be read: who waits for it sees BAD.
static int read_in(struct inode *inode) {
    int error = inode->fs->ops->read_inode(inode);
    assert(inode->flags & INODE_NEW);  // others have found it, and wait for that to go
    if (error != 0) {
        give_up(inode);
        __atomic_fetch_or(&inode->flags, INODE_BAD, __ATOMIC_RELEASE);
    }
    __atomic_fetch_and(&inode->flags, ~(uint32_t)INODE_NEW, __ATOMIC_RELEASE);
    rw_mutex_unlock(&inode->lock);
    if (error != 0) inode_put(inode);
    return error;
}

// Waits until whoever reads it has done so. False: that failed.
static bool await(struct inode *inode) {
    if (__atomic_load_n(&inode->flags, __ATOMIC_ACQUIRE) & INODE_NEW) {
        rw_mutex_lock_shared(&inode->lock);  // reading one waits for a device at most, never for a process
        rw_mutex_unlock_shared(&inode->lock);
    }
    if (likely(!(__atomic_load_n(&inode->flags, __ATOMIC_ACQUIRE) & INODE_BAD) || list_node_is_linked(&inode->hash))) return true;
    inode_put(inode);
    return false;
}

int inode_get(struct filesystem *fs, uint64_t number, struct inode **out) { return inode_get_from(fs, number, NULL, out); }

struct inode *inode_find(struct filesystem *fs, uint64_t number) {
    struct inode *inode;
    return find_or_enter(fs, NULL, number, &inode) && await(inode) ? inode : NULL;
}

int inode_get_from(struct filesystem *fs, uint64_t number, void *source, struct inode **out) {
    for (;;) {
        struct inode *fresh = NULL;
        bool found = find_or_enter(fs, NULL, number, out);
        if (!found) {
            fresh = make(fs, number);
            if (fresh == NULL) return -ENOMEM;
            fresh->flags = INODE_NEW;
            fresh->vfs = source;
            rw_mutex_lock(&fresh->lock);
            found = find_or_enter(fs, fresh, number, out);
        }
        if (!found) return read_in(fresh);
        if (fresh != NULL) {
            rw_mutex_unlock(&fresh->lock);
            fs->ops->free_inode(fresh);
        }
        if (await(*out)) return 0;
    }
}

int inode_enter(struct filesystem *fs, uint64_t number, struct inode **out) {
    struct inode *fresh = make(fs, number);
    if (fresh == NULL) return -ENOMEM;
    if (!find_or_enter(fs, fresh, number, out)) return 0;
    inode_put(*out);
    fs->ops->free_inode(fresh);
    return fs_damaged(fs, "inode %lu is free on the disk but in use", number);
}

bool inode_tryhold(struct inode *inode) {
    uint32_t refs = __atomic_load_n(&inode->refs, __ATOMIC_RELAXED);
    while (refs != 0)
        if (__atomic_compare_exchange_n(&inode->refs, &refs, refs + 1, true, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) return true;
    spin_lock(&cache.lock);
    bool there = list_node_is_linked(&inode->hash);
    if (there) hold_locked(inode);
    spin_unlock(&cache.lock);
    return there;
}

// ---- leaving ----------------------------------------------------------------------------------------------------------

// It is in no list any more. Returns its parent, whose reference it held.
static struct inode *leave(struct inode *inode) {
    bool deleted = inode->flags & INODE_DELETED, read = !(inode->flags & INODE_BAD);
    if (inode_forget != NULL) inode_forget(inode);
    if (inode->cache.ops != NULL) file_cache_destroy(&inode->cache, deleted);
    if ((deleted || inode->fs->keeps_inodes) && read && inode->ops->evict != NULL) inode->ops->evict(inode);
    struct inode *parent = inode->parent != inode ? inode->parent : NULL;
    struct filesystem *fs = inode->fs;
    rcu_call(&inode->rcu, free_now);
    spin_lock(&cache.lock);
    fs->inodes--;  // only now: it is not unmounted while an inode of it is on its way out
    bool tell = fs->ending;
    spin_unlock(&cache.lock);
    if (unlikely(tell)) inode_let_go();
    return parent;
}

bool inode_drop(struct inode *inode) {
    uint32_t refs = __atomic_load_n(&inode->refs, __ATOMIC_RELAXED);
    while (refs > 1)
        if (__atomic_compare_exchange_n(&inode->refs, &refs, refs - 1, true, __ATOMIC_RELEASE, __ATOMIC_RELAXED)) return false;
    spin_lock(&cache.lock);
    verify(inode->refs > 0);
    bool last = __atomic_sub_fetch(&inode->refs, 1, __ATOMIC_ACQ_REL) == 0, leaves = false, tell = inode->fs->ending;
    if (last) {
        bool listed = list_node_is_linked(&inode->hash);
        leaves = !listed || __atomic_load_n(&inode->flags, __ATOMIC_ACQUIRE) & (INODE_DELETED | INODE_BAD);
        if (leaves && listed) unlink_locked(inode);
        if (!leaves && !inode->fs->keeps_inodes) {
            list_push_back(&cache.lru, &inode->lru);
            cache.unused++;
        }
    }
    spin_unlock(&cache.lock);
    if (unlikely(last && !leaves && tell)) inode_let_go();
    return leaves;
}

void inode_leave(struct inode *inode) { inode_put(leave(inode)); }

void inode_put(struct inode *inode) {
    while (inode != NULL && inode_drop(inode)) inode = leave(inode);
}

// ---- reclaim ----------------------------------------------------------------------------------------------------------

// Pages to be written, or shown in an address space, keep an unused inode; and those on their way, until what the disk says of it
// tells of them: it may be read anew at once. With a remote one times that the driver is to be told, too: leaving waits for nobody.
static bool is_needed(const struct inode *inode) {
    if (inode->fs->remote && inode->flags & INODE_DIRTY) return true;
    return inode->cache.ops != NULL &&
           (__atomic_load_n(&inode->cache.dirty_pages, __ATOMIC_RELAXED) != 0 || list_node_is_linked(&inode->cache.node) ||
            (inode->cache.vmo != NULL && __atomic_load_n(&inode->cache.vmo->refs, __ATOMIC_RELAXED) > 1));
}

// Under the lock: the longest unused one. One that cannot go, or must be written first, goes to the end; the latter with a
// reference.
static struct inode *pick(bool *write) {
    spin_lock(&cache.lock);
    struct inode *inode = list_pop_front_entry(&cache.lru, struct inode, lru);
    *write = inode != NULL && inode->flags & INODE_DIRTY && !inode->fs->remote;
    if (inode != NULL && *write) {
        inode->refs++;
        cache.unused--;
    } else if (inode != NULL && is_needed(inode)) {
        list_push_back(&cache.lru, &inode->lru);
        inode = NULL;
    } else if (inode != NULL) {
        cache.unused--;
        unlink_locked(inode);
    }
    spin_unlock(&cache.lock);
    return inode;
}

void inode_write_and_put(struct inode *inode) {
    rw_mutex_lock(&inode->lock);
    (void)inode_write(inode);  // what failed stays dirty, and is told by the next sync
    rw_mutex_unlock(&inode->lock);
    inode_put(inode);
}

uint32_t inodes_reclaim(uint32_t count) {
    uint32_t gone = 0;
    for (uint32_t tries = 2 * count; gone < count && tries > 0; tries--) {
        bool write;
        struct inode *inode = pick(&write);
        if (inode == NULL) continue;
        if (write && inode_write_later != NULL) {
            inode_write_later(inode);  // the caller may be in a transaction, and hold locks of others
        } else if (write) {
            inode_write_and_put(inode);
        } else {
            inode_put(leave(inode));
            gone++;
        }
    }
    return gone;
}

// ---- whole file systems -----------------------------------------------------------------------------------------------

int inode_write(struct inode *inode) {
    if (!(__atomic_fetch_and(&inode->flags, ~(uint32_t)INODE_DIRTY, __ATOMIC_ACQ_REL) & INODE_DIRTY)) return 0;
    if (inode->fs->flags & FS_MOUNT_READ_ONLY || inode->flags & INODE_BAD || inode->ops->change == NULL) return 0;
    struct inode_change change = {.what = FS_SET_ACCESSED | FS_SET_MODIFIED, .accessed = inode->accessed, .modified = inode->modified};
    int error = inode->ops->change(inode, &change);
    if (error == -ENOENT && inode->flags & INODE_DELETED) return 0;  // a driver that finds files by their names
    if (error != 0) inode_mark_dirty(inode);
    return error;
}

// The next inode after `previous` (held; NULL: from the start) that is dirty, or that is as far as one step looks; held.
static struct inode *next_of(struct filesystem *fs, struct inode *previous) {
    spin_lock(&cache.lock);
    struct list_node *node = previous == NULL ? list_first(&fs->inode_list) : NULL;
    if (previous != NULL && list_node_is_linked(&previous->in_fs)) node = list_next(&fs->inode_list, &previous->in_fs);
    struct inode *found = NULL;
    for (unsigned steps = 0; node != NULL && found == NULL; node = list_next(&fs->inode_list, node)) {
        struct inode *inode = list_entry(node, struct inode, in_fs);
        if (++steps == LIST_STEPS || inode->flags & INODE_DIRTY) found = inode;
    }
    if (found != NULL) hold_locked(found);
    spin_unlock(&cache.lock);
    if (previous != NULL) inode_put(previous);
    return found;
}

int inodes_write(struct filesystem *fs) {
    int first = 0;
    for (struct inode *inode = next_of(fs, NULL); inode != NULL; inode = next_of(fs, inode)) {
        if (!(inode->flags & INODE_DIRTY)) continue;
        int error = rw_mutex_lock_killable(&inode->lock);
        if (error == 0) {
            error = inode_write(inode);
            rw_mutex_unlock(&inode->lock);
        }
        if (first == 0) first = error;
    }
    return first;
}

// Any unused inode of fs, out of the lists.
static struct inode *take_unused(struct filesystem *fs) {
    spin_lock(&cache.lock);
    struct inode *found = NULL;
    list_for_each_entry(inode, &fs->inode_list, struct inode, in_fs) {
        if (inode->refs != 0) continue;
        found = inode;
        break;
    }
    if (found != NULL) {
        if (list_node_is_linked(&found->lru)) {
            list_remove(&found->lru);
            cache.unused--;
        }
        unlink_locked(found);
    }
    spin_unlock(&cache.lock);
    return found;
}

int inodes_release(struct filesystem *fs) {
    for (struct inode *inode; (inode = take_unused(fs)) != NULL;) inode_put(leave(inode));
    return fs->inodes == 0 ? 0 : -EBUSY;
}

void inodes_tell(struct filesystem *fs) {
    spin_lock(&cache.lock);
    fs->ending = true;
    spin_unlock(&cache.lock);
}

int fs_damaged(struct filesystem *fs, const char *format, ...) {
    char text[sizeof fs->damage];
    va_list arguments;
    va_start(arguments, format);
    (void)fmt_vprint(text, sizeof text, format, arguments);
    va_end(arguments);
    uint32_t before = __atomic_fetch_or(&fs->flags, FS_MOUNT_READ_ONLY | FS_MOUNT_DAMAGED, __ATOMIC_ACQ_REL);
    if (before & FS_MOUNT_DAMAGED) return -EIO;
    memcpy(fs->damage, text, sizeof text);
    log_error("%s on %s is damaged, read-only from now on: %s", fs->type->name, fs->device != NULL ? fs->device->name : "no device",
              text);
    return -EIO;
}
