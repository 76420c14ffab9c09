// Mounts: where file systems are seen. A mount table belongs to the directory handles that came from one fs_mount; there is no
// other tree.
//
//     table ──▶ mount (root of the table) ◀──parent── mount ──point──▶ the directory that it covers
//                 │root                                 │root
//                 ▼ inode                               ▼ inode, or none: a mount marked local
//
// A place is an inode as seen through a mount. Mounts are found without a lock (RCU); table->lock guards changes. A mount
// keeps its parent, its point and its root; with its last reference, and the last of its file system, the file system is
// unmounted, by the worker where the last reference goes.
#pragma once
#include "kernel/core/assert.h"
#include "kernel/fs/vfs/fs.h"

struct mount {
    struct mount *next;         // in the table
    struct mount *parent;       // NULL: the table's root
    struct inode *point, *root; // referenced; root NULL: local
    struct filesystem *fs;      // of root
    uint32_t rights;            // KPIO_RIGHT_* that handles opened through it have at most
    uint32_t flags;             // FS_MOUNT_READ_ONLY
    uint64_t key;               // local: the caller's word
    uint64_t id;
    uint32_t refs;              // atomic
    bool attached;
    struct rcu_head rcu;
    struct list_node node;      // the worker's
};
struct mount_table {
    struct spinlock lock;
    struct mount *first;
    uint32_t refs;
    struct rcu_head rcu;
};
struct place {
    struct mount *mount;
    struct inode *inode;
};

// A file system, just mounted, becomes the root of a new table; both with a reference for the caller. Takes fs over in every
// case.
[[nodiscard]] int mount_root(struct filesystem *fs, uint32_t rights, struct mount_table **table, struct mount **out);
// Shows `what` (its inode NULL: local) at `where`, a directory of the table. -ENOMEM, -EBUSY.
[[nodiscard]] int mount_attach(struct mount_table *table, const struct place *where, const struct place *what, uint32_t rights,
                               uint32_t flags, uint64_t key);
// Takes the mount out of its table. -EBUSY when it is in use and lazy is not set, or something is mounted in it; -EINVAL:
// it is no mount of the table, or the root. Lazy: what is mounted in it goes too.
[[nodiscard]] int mount_detach(struct mount_table *table, struct mount *mount, bool lazy);
static inline void mount_table_hold(struct mount_table *table) { __atomic_fetch_add(&table->refs, 1, __ATOMIC_RELAXED); }
void mount_table_put(struct mount_table *table);  // any context; with the last reference its mounts are detached

static inline void mount_hold(struct mount *m) { __atomic_fetch_add(&m->refs, 1, __ATOMIC_RELAXED); }
[[nodiscard]] static inline bool mount_tryhold(struct mount *m) {
    uint32_t refs = __atomic_load_n(&m->refs, __ATOMIC_RELAXED);
    do {
        if (refs == 0) return false;
    } while (!__atomic_compare_exchange_n(&m->refs, &refs, refs + 1, true, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED));
    return true;
}
void mount_put(struct mount *m);  // any context
// The mount of the table with the lowest id above `after`, held, or NULL.
struct mount *mount_next(struct mount_table *table, uint64_t after);
// What is mounted on the place, or NULL. Within an RCU section.
struct mount *mount_on(const struct mount_table *table, const struct place *place);

// ---- the worker: what must not be done where a last reference goes -------------------------------------------------------
[[nodiscard]] int vfs_worker_start(void);
void inode_put_later(struct inode *inode);  // any context
// Waits until it has done what it has now, for what counts memory: 2 s at most (a disk may take long), and not of a thread
// that is killed or interrupted.
void vfs_worker_flush(void);
void vfs_worker_add_mount(struct mount *m);
// fs could not end: the worker tries again whenever an inode of it is let go.
void vfs_worker_add_filesystem(struct filesystem *fs);

// The file systems that are mounted. A held one stays.
struct filesystem *filesystem_next(struct filesystem *previous);  // NULL: the first; held; puts the previous one
void filesystem_put(struct filesystem *fs);  // may block, for what is to be written; not for who still uses an inode
// Nobody can reach fs any more: writes what is to be written, then as filesystem_end.
[[nodiscard]] bool filesystem_finish(struct filesystem *fs);
// Nobody can reach fs any more: unmounts it and frees it, unless an inode of it is in use (by memory that a futex names, by
// who takes it out of memory right now): false. May block.
[[nodiscard]] bool filesystem_end(struct filesystem *fs);
uint32_t filesystems_mounted(void);  // how many, those included whose unmounting is not finished
// Everything of fs durable: 0 or the first error. A damaged one drops, with a message, what it cannot write any more: -EIO.
[[nodiscard]] int filesystem_sync(struct filesystem *fs);
