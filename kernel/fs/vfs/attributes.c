#include "kernel/fs/vfs/attributes.h"

#include "abi/gen/errors.h"
#include "kernel/fs/vfs/entry.h"

static inline struct kpio_time shown(struct fs_time t) { return (struct kpio_time){t.seconds, t.nanoseconds, 0}; }

_Static_assert((int)KPIO_STAT_IMMUTABLE == INODE_IMMUTABLE && (int)KPIO_STAT_APPEND == INODE_APPEND, "shown as they are");

void place_stat(const struct place *at, struct kpio_stat *out) {
    const struct inode *inode = at->inode;
    uint32_t flags = inode->flags & (INODE_IMMUTABLE | INODE_APPEND);
    if (unlikely(inode == at->mount->root)) flags |= KPIO_STAT_MOUNT_ROOT;
    if (unlikely(inode->flags & INODE_DELETED)) flags |= KPIO_STAT_DELETED;
    *out = (struct kpio_stat){
        .inode = inode_number(inode),
        .fs = inode->fs->id,
        .size = inode_size(inode),
        .blocks = inode->blocks,
        .mode = inode->mode,
        .links = inode->links,
        .uid = inode->uid,
        .gid = inode->gid,
        .device = inode->device,
        .block_size = inode->fs->block_size,
        .flags = flags,
        .accessed = shown(inode->accessed),
        .modified = shown(inode->modified),
        .changed = shown(inode->changed),
        .born = shown(inode->born),
        .mount = at->mount->id,
        .generation = inode->generation,
    };
}

static int decode(const struct kpio_attributes *a, struct inode_change *change) {
    const uint32_t all = KPIO_SET_MODE | KPIO_SET_UID | KPIO_SET_GID | KPIO_SET_ACCESSED | KPIO_SET_MODIFIED | KPIO_SET_ACCESSED_NOW |
                         KPIO_SET_MODIFIED_NOW;
    if (a->what & ~all || (a->what & KPIO_SET_MODE && a->mode & ~07777u)) return -EINVAL;
    if (a->what & KPIO_SET_ACCESSED && a->accessed.nanoseconds >= 1000000000) return -EINVAL;
    if (a->what & KPIO_SET_MODIFIED && a->modified.nanoseconds >= 1000000000) return -EINVAL;
    struct fs_time now = fs_now();
    *change = (struct inode_change){
        .what = a->what & (KPIO_SET_ACCESSED_NOW - 1),
        .mode = a->mode,
        .uid = a->uid,
        .gid = a->gid,
        .accessed = {a->accessed.seconds, a->accessed.nanoseconds},
        .modified = {a->modified.seconds, a->modified.nanoseconds},
    };
    if (a->what & KPIO_SET_ACCESSED_NOW) change->what |= FS_SET_ACCESSED, change->accessed = now;
    if (a->what & KPIO_SET_MODIFIED_NOW) change->what |= FS_SET_MODIFIED, change->modified = now;
    return 0;
}
_Static_assert((int)KPIO_SET_MODE == FS_SET_MODE && (int)KPIO_SET_MODIFIED == FS_SET_MODIFIED && KPIO_SET_ACCESSED_NOW == 1 << 5,
               "one set of bits");

// Another owner does not inherit what the bits gave; set-gid without execution is another thing (mandatory locks).
static void drop_set_id(const struct inode *inode, struct inode_change *change) {
    uint32_t drop = 04000 | (inode->mode & 010 ? 02000u : 0u);
    if (FS_TYPE(inode->mode) == FS_DIRECTORY || !(inode->mode & drop)) return;
    change->what |= FS_SET_MODE;
    change->mode = inode->mode & 07777 & ~drop;
}

int inode_set_attributes(struct inode *inode, const struct kpio_attributes *a) {
    struct inode_change change;
    int error = decode(a, &change);
    if (error != 0) return error;
    error = rw_mutex_lock_killable(&inode->lock);
    if (error != 0) return error;
    error = inode_check_change(inode);
    if (error == 0 && inode->flags & INODE_APPEND) error = -EPERM;
    if (error == 0 && a->what & (KPIO_SET_UID | KPIO_SET_GID) && !(a->what & KPIO_SET_MODE)) drop_set_id(inode, &change);
    if (error == 0 && change.what != 0) {
        change.mode |= FS_TYPE(inode->mode);
        error = inode->ops->change != NULL ? inode->ops->change(inode, &change) : -EPERM;
    }
    rw_mutex_unlock(&inode->lock);
    return error;
}
