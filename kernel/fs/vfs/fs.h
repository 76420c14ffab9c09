// What the VFS and a file system know of each other. A file system (ext4, FAT32, tmpfs, FUSE) makes `struct filesystem`,
// embeds `struct inode` in its own inodes and answers inode_ops. The VFS does the rest: paths, mounts, name cache, inode
// cache, handles, locks, attributes in memory, and through the page cache the data.
//
//     directory handle ─▶ path walk ─▶ name cache ─(miss)─▶ ops->lookup ─▶ inode number ─▶ inode_get ─▶ ops->read_inode
//
// Locks, in order: fs->rename_lock; inode->lock of directories, an ancestor before its descendants, else by address; of
// files, after directories; then the file system's own; then the caches'.
// What each operation finds held is said with it. Names come checked: 1..255 bytes, no '/', no NUL, neither "." nor "..".
// Also built for host tests.
#pragma once
#include "abi/types.h"
#include "kernel/block/page_cache.h"
#include "kernel/core/rcu.h"
#include "kernel/core/types.h"
#include "kernel/sched/mutex.h"
#include "lib/list.h"

#define FS_NAME_MAX 255u
#define FS_PATH_MAX 4096u
#define FS_SYMLINK_DEPTH 40u

struct filesystem;
struct inode;
struct handle;
struct object;
struct kpio_mount_info;

// Mode bits as POSIX (sys/stat.h): type in 0170000.
#define FS_TYPE(mode) ((mode) & 0170000u)
enum { FS_FIFO = 0010000, FS_CHAR = 0020000, FS_DIRECTORY = 0040000, FS_BLOCK = 0060000, FS_REGULAR = 0100000,
       FS_SYMLINK = 0120000, FS_SOCKET = 0140000 };

struct fs_time {
    int64_t seconds;        // since 1970-01-01 UTC
    uint32_t nanoseconds;
};
struct fs_time fs_now(void);  // the real clock

enum { INODE_IMMUTABLE = 1 << 0, INODE_APPEND = 1 << 1,  // as chattr +i, +a
       INODE_DELETED = 1 << 2,   // no name is left; freed with the last reference
       INODE_DIRTY = 1 << 3,     // times in memory are newer than the file system's: inode_write
       INODE_BAD = 1 << 4,       // could not be read, or is damaged: operations say -EIO
       INODE_NEW = 1 << 5,       // the inode cache's: being read
       INODE_NAMELESS = 1 << 6,  // DELETED, but made without a name: may get one
       INODE_REMOTE = 1 << 7 };  // of a file system that asks a process (fs->remote)

struct inode {
    struct filesystem *fs;
    const struct inode_ops *ops;
    uint64_t number;          // unique in the file system
    uint64_t number_shown;    // to programs, where that is another one (a driver's); 0: the same
    uint32_t generation;
    uint32_t refs;            // atomic
    uint32_t flags;           // INODE_*; atomic
    // Attributes: read with stat without the lock, changed with it.
    uint32_t mode, links, uid, gid;
    uint64_t device;          // of a device node: major << 32 | minor
    uint64_t size;            // of a regular file: cache.size says it; else here
    uint64_t blocks;          // allocated, in 512-byte units
    struct fs_time accessed, modified, changed, born;
    struct rw_mutex lock;     // directory: its entries; file: size, allocation and attributes
    struct file_cache cache;  // regular files
    struct vmo *memory;       // tmpfs: the content instead of a cache
    // The VFS's own.
    struct list_node hash, lru, in_fs;
    struct rcu_head rcu;
    struct inode *parent;     // directory: where ".." leads, referenced; itself for a root
    struct list names;        // directory: the cached names in it
    uint32_t mounts;          // directory: what is mounted on it; atomic
    int32_t writers;          // file: who may write it, or less than 0: who may execute it; atomic
    uint32_t seals;           // file in memory: KPIO_SEAL_*; changed under lock
    uint32_t write_maps;      // file: objects through which it may be mapped to be written; under lock, excl, when it grows
    void *vfs;                // file: its locks; symlink: its target
    nanos_t fresh_until;      // REMOTE: attributes may be shown without asking; atomic
};

struct inode_new {            // what create makes
    uint32_t mode, uid, gid;  // with the type
    uint64_t device;          // CHAR, BLOCK
    const char *target;       // SYMLINK
    size_t target_bytes;
};

enum { FS_SET_MODE = 1 << 0, FS_SET_UID = 1 << 1, FS_SET_GID = 1 << 2, FS_SET_ACCESSED = 1 << 3, FS_SET_MODIFIED = 1 << 4 };
struct inode_change {
    uint32_t what;            // FS_SET_*
    uint32_t mode, uid, gid;
    struct fs_time accessed, modified;
};

enum { FS_RENAME_EXCHANGE = 1 << 0, FS_RENAME_NO_REPLACE = 1 << 1 };
enum { FS_ALLOCATE_KEEP_SIZE = 1 << 0, FS_ALLOCATE_PUNCH_HOLE = 1 << 1, FS_ALLOCATE_ZERO_RANGE = 1 << 2 };
enum { FS_XATTR_CREATE = 1 << 0, FS_XATTR_REPLACE = 1 << 1 };

// A lock that a file's driver may serve: KPIO_LOCK_* (abi/fs.h), both ends inclusive. Owners have numbers that are never used again.
// TEST: filled in with the lock in the way, if there is one (else kind NONE).
struct fs_lock {
    uint32_t flags;
    uint64_t start, last, owner, process;
};

// An ioctl that goes to a file's driver. data: in_bytes for it, then room for out_bytes of its answer, which becomes how many came.
struct fs_control {
    uint32_t command;         // Linux's number
    uint64_t argument;        // as the caller gave it
    void *data;
    uint32_t in_bytes, out_bytes;
};

// One entry of a directory. Returns false: no more wanted now; the entry counts as not taken.
typedef bool fs_emit(void *context, const char *name, size_t bytes, uint64_t number, uint32_t type, uint64_t next_cookie);

// NULL entries: -EOPNOTSUPP (xattrs, allocate) or -EPERM (link, symlinks on FAT). On success an operation that changes
// something has updated the attributes in memory of the inodes concerned (links, size, times) and made them part of its own
// transaction; a failed one has changed nothing. "excl": inode->lock is held by a writer; "shared": by a reader.
struct inode_ops {
    // dir shared. *number of the entry: 0, -ENOENT, -EIO.
    int (*lookup)(struct inode *dir, const char *name, size_t bytes, uint64_t *number);
    // dir excl; the name does not exist. The new inode, with a reference. -ENOSPC, -EDQUOT, -EMLINK, -EINVAL (name), ...
    int (*create)(struct inode *dir, const char *name, size_t bytes, const struct inode_new *init, struct inode **out);
    // dir excl, inode excl. -EMLINK, ... REMOTE ones: 1, the name leads to another inode, which is the same file to whoever serves it.
    int (*link)(struct inode *dir, const char *name, size_t bytes, struct inode *inode);
    // dir excl, inode excl. A directory must be empty: -ENOTEMPTY. links falls; at 0 (2 for directories) it is DELETED and
    // stays on an orphan list until ops->evict.
    int (*unlink)(struct inode *dir, const char *name, size_t bytes, struct inode *inode);
    // from_dir, to_dir, inode excl (the first two may be one). `replaced` is what to_name names now, excl, or NULL; type and
    // emptiness: the file system checks emptiness (-ENOTEMPTY), the VFS the rest (types, loops). EXCHANGE: both names swap
    // their inodes. NO_REPLACE: there is no such name, which who knows more of it may find otherwise (-EEXIST).
    int (*rename)(struct inode *from_dir, const char *from_name, size_t from_bytes, struct inode *inode, struct inode *to_dir,
                  const char *to_name, size_t to_bytes, struct inode *replaced, unsigned flags);
    // dir shared. Entries from cookie on (0: the first), "." and ".." not among them: 0 or -EIO. Cookies stay good while
    // entries come and go: none that stays is shown twice or left out.
    int (*read_directory)(struct inode *dir, uint64_t cookie, fs_emit *emit, void *context);
    // Any lock. Bytes of the target (not terminated), at most `size`.
    int64_t (*read_link)(struct inode *inode, char *buffer, size_t size);
    // excl. Changes attributes.
    int (*change)(struct inode *inode, const struct inode_change *change);
    // excl. The page cache was resized; frees what lies beyond, or records the larger size.
    int (*resize)(struct inode *inode, uint64_t size);
    // excl; FS_ALLOCATE_*. Pages of a punched or zeroed range are gone from the cache already; where the file is to become
    // longer the VFS calls resize afterwards. -ENOSPC, -EOPNOTSUPP, ...
    int (*allocate)(struct inode *inode, uint64_t offset, uint64_t bytes, unsigned flags);
    // No lock. Data in the range have been written by the page cache; makes all that is needed to find them durable.
    // data_only: fdatasync.
    int (*sync)(struct inode *inode, bool data_only);
    // shared / excl. Names with their prefix ("user.mime"). Bytes of the value, -ENODATA, -ERANGE when it does not fit;
    // size 0 asks how large. list: names, each with its NUL.
    int64_t (*xattr_get)(struct inode *inode, const char *name, void *value, size_t size);
    int (*xattr_set)(struct inode *inode, const char *name, const void *value, size_t size, unsigned flags);
    int (*xattr_remove)(struct inode *inode, const char *name);
    int64_t (*xattr_list)(struct inode *inode, char *list, size_t size);
    // The last reference of a DELETED inode is gone (or of any, where the file system keeps its inodes in memory, when it is
    // unmounted): frees its blocks and its number. The cache is empty. Does not fail: what
    // cannot be done is left to the orphan list.
    void (*evict)(struct inode *inode);
    // ---- The rest is for inodes that are REMOTE, and NULL elsewhere. Each may wait for a process, so long as fs says, and ends with
    // -EINTR when the thread is killed. Not even the VFS's locks are waited for otherwise, where one may be held meanwhile.
    // Instead of lookup. dir shared. The child with a reference, or NULL where there is none, and until when a name may lead there
    // (0: ask each time).
    int (*find)(struct inode *dir, const char *name, size_t bytes, struct inode **out, nanos_t *until);
    // dir excl. Whether the last answer about a name of it was that there is no such name, and nothing was changed here since.
    bool (*was_free)(const struct inode *dir, const char *name, size_t bytes);
    // No lock of this inode. Its attributes may be shown afterwards, at least once.
    int (*revalidate)(struct inode *inode);
    // No lock. A regular file is opened with these rights and flags (KPIO_OPEN_*): *opened is its state there, until release,
    // which does not block.
    int (*open)(struct inode *inode, uint32_t rights, uint32_t flags, void **opened);
    void (*release)(struct inode *inode, void *opened);
    // Data past the page cache; read: no lock, write: excl. Bytes, or an error; -EAGAIN: through the cache, please.
    int64_t (*read)(struct inode *inode, void *opened, uint64_t offset, struct user_ptr to, uint64_t bytes);
    int64_t (*write)(struct inode *inode, void *opened, uint64_t offset, struct user_ptr from, uint64_t bytes);
    // excl. The range was written in the cache just now, and times in memory say so.
    int (*written)(struct inode *inode, void *opened, uint64_t offset, uint64_t bytes);
    // shared. As content_seek. -EOPNOTSUPP: all is data.
    int64_t (*seek)(struct inode *inode, uint64_t offset, bool data);
    // No lock. A lock through an open file, by the handle of that value: 0, 1 (its driver serves none of this kind), or what it says;
    // -EAGAIN (deadline 0), -ECANCELED (the handle went, or the thread is killed), -EINTR, -ETIMEDOUT. May be NULL.
    int (*lock)(struct inode *inode, void *opened, struct fs_lock *lock, kpio_handle via, nanos_t deadline);
    // After lock was asked. The handle goes: ends waits through it, and the ranges of that owner (0: of nobody). Does not block.
    void (*lock_gone)(struct inode *inode, const struct handle *via, uint64_t owner);
    // No lock. Which of these events (KPIO_POLL_*) hold of an open file, whose object is told when others may. -EOPNOTSUPP: it is
    // always ready. May be NULL.
    int64_t (*poll)(struct inode *inode, void *opened, struct object *file, uint32_t events);
    // Signals of the file that poll has asked about; READABLE and WRITABLE of others. Does not block.
    uint32_t (*poll_signals)(struct inode *inode, void *opened);
    // No lock. What the driver says of an ioctl, at least 0, or an error; -ENOTTY: it has none. May be NULL.
    int64_t (*control)(struct inode *inode, void *opened, struct fs_control *control);
    // to excl, both of one file system, the ranges apart. Bytes that the driver has copied, perhaps fewer, and the target's cache says
    // so; -EOPNOTSUPP: read and write, please. May be NULL.
    int64_t (*copy)(struct inode *from, void *from_opened, uint64_t from_offset, struct inode *to, void *to_opened, uint64_t to_offset,
                    uint64_t bytes);
};

struct fs_statistics {
    uint64_t block_size, blocks, blocks_free, blocks_available, inodes, inodes_free, name_max, id;
    uint32_t type_magic;      // as Linux statfs
    uint32_t flags;           // FS_MOUNT_*
};
enum { FS_MOUNT_READ_ONLY = 1 << 0, FS_MOUNT_NO_ACCESS_TIME = 1 << 1, FS_MOUNT_DAMAGED = 1 << 2 };

struct fs_ops {
    // A zeroed inode in the file system's own structure, and back (after a grace period).
    struct inode *(*alloc_inode)(struct filesystem *fs);
    void (*free_inode)(struct inode *inode);
    // Fills inode (number is set): 0, -EIO, -ENOENT, -ESTALE (not in use) or -EAGAIN (the file has another number by now: it is
    // to be looked up again).
    int (*read_inode)(struct inode *inode);
    // Everything done so far durable: 0 or error. The page cache's dirty data were written before.
    int (*sync)(struct filesystem *fs);
    void (*statistics)(struct filesystem *fs, struct fs_statistics *out);
    // No inode is in memory any more; writes the rest, frees fs. Errors are logged.
    void (*unmount)(struct filesystem *fs);
    // REMOTE ones. Until when a name may lead to the inode that create or rename has just put there.
    nanos_t (*name_until)(struct inode *inode);
    // The last mount and open file are gone: sees to it that filesystem_finish is called, from where it may wait. Does not block.
    void (*finish)(struct filesystem *fs);
    // Whoever waits for the process ends with an error, now and from now on; does not block. NULL: nobody ever waits for one.
    void (*abort)(struct filesystem *fs);
    // What a list of mounts says of it beside its type: does not block. NULL: nothing.
    void (*about)(struct filesystem *fs, struct kpio_mount_info *out);
};

struct filesystem {
    const struct fs_ops *ops;
    const struct fs_type *type;
    struct block_device *device;  // NULL: none
    struct cache_domain *domain;
    uint64_t root;                // inode number
    uint64_t id;                  // unique since boot
    uint32_t flags;               // FS_MOUNT_*; atomic: damage sets READ_ONLY
    uint32_t block_size;
    uint64_t max_file_bytes;
    bool case_insensitive;        // FAT: the name cache compares so
    bool keeps_inodes;            // tmpfs: an inode stays in memory until it is deleted, or unmounted
    bool remote;                  // FUSE: nobody waits for it but who uses it; its names and attributes hold for a time
    uint32_t generation;          // of a remote one: cached names of an earlier one hold no more; atomic
    // The VFS's own.
    struct mutex rename_lock;
    struct list inode_list;       // in memory
    uint32_t inodes;              // their number
    bool ending;                  // it is unmounted once they are gone: the worker is told of each that is let go
    uint64_t names;               // cached ones in its directories
    uint32_t mounts;              // atomic
    struct list_node node;        // in the list of all
    struct list_node end_node;    // the worker's, while it cannot end
    char damage[96];              // the first, in words
};

struct fs_type {
    const char *name;             // "ext4"
    // Reads and checks the volume: 0 and *out, or -EINVAL (not this type), -EOPNOTSUPP (a feature, named in the log),
    // -EIO, -ENOMEM, -EROFS. The device stays claimed until unmount has returned: the VFS sees to that; NULL for
    // types without one.
    int (*mount)(struct block_device *device, unsigned flags, const char *options, struct filesystem **out);
    bool executes;                // its files may be mapped executable (docs: DESIGN section 3)
    bool no_device;               // lives in memory
};
extern const struct fs_type ext4_type, fat32_type, tmpfs_type;

// ---- the inode cache, for file systems and the VFS (kernel/fs/vfs/inode.c) --------------------------------------------------
// A file system's mount calls this first, with its zeroed structure.
void filesystem_init(struct filesystem *fs, const struct fs_type *type, const struct fs_ops *ops);
// The inode of that number, read if it is not in memory: 0 with a reference, or read_inode's error.
[[nodiscard]] int inode_get(struct filesystem *fs, uint64_t number, struct inode **out);
// The same; read_inode finds `source` in inode->vfs, and takes it from there.
[[nodiscard]] int inode_get_from(struct filesystem *fs, uint64_t number, void *source, struct inode **out);
// The inode of that number if it is in memory and read, with a reference, or NULL.
struct inode *inode_find(struct filesystem *fs, uint64_t number);
// Enters a new inode that create has filled (number set), with a reference. -ENOMEM.
[[nodiscard]] int inode_enter(struct filesystem *fs, uint64_t number, struct inode **out);
static inline uint64_t inode_number(const struct inode *inode) { return inode->number_shown != 0 ? inode->number_shown : inode->number; }
static inline void inode_hold(struct inode *inode) { __atomic_fetch_add(&inode->refs, 1, __ATOMIC_RELAXED); }
// Takes a reference unless the inode is on its way out of memory: for one found without a lock (RCU).
[[nodiscard]] bool inode_tryhold(struct inode *inode);
// May block: the last reference of a deleted inode evicts it. No lock held but the rename_lock and locks of directories.
void inode_put(struct inode *inode);
// The two halves, for who must not block: true: it was the last reference, and the inode, out of all lists, is the caller's
// to hand to inode_leave, which may block.
[[nodiscard]] bool inode_drop(struct inode *inode);
void inode_leave(struct inode *inode);
// file_cache_ops.mapped and .sync of every file system: a mapped file's inode stays; what mappings wrote becomes durable.
void inode_mapped(struct file_cache *cache, bool mapped);
int inode_sync_mapped(struct file_cache *cache, uint64_t offset, uint64_t bytes);
// The times changed; inode_write hands them to ops->change. inode->lock is held by the caller of inode_write (excl).
static inline void inode_mark_dirty(struct inode *inode) {
    if (!(__atomic_load_n(&inode->flags, __ATOMIC_RELAXED) & INODE_DIRTY))
        __atomic_fetch_or(&inode->flags, INODE_DIRTY, __ATOMIC_RELAXED);
}
[[nodiscard]] int inode_write(struct inode *inode);
// For ops->unlink and rename: the last name went.
static inline void inode_mark_deleted(struct inode *inode) {
    __atomic_fetch_or(&inode->flags, INODE_DELETED, __ATOMIC_RELEASE);
}
// All dirty inodes of fs: 0 or the first error. Then the file system's own records may be synced.
[[nodiscard]] int inodes_write(struct filesystem *fs);
// Takes up to `count` unused inodes out of memory; returns how many went.
uint32_t inodes_reclaim(uint32_t count);
// Who writes a dirty one that is to be reclaimed, with inode_write_and_put: not its finder, who may be in the middle of an
// operation. The reference is handed over. Set by the VFS; NULL: at once.
extern void (*inode_write_later)(struct inode *inode);
void inode_write_and_put(struct inode *inode);
// Before unmounting: takes all inodes of fs out of memory. -EBUSY when some are in use.
[[nodiscard]] int inodes_release(struct filesystem *fs);
// From now on inode_let_go is called, without locks, for each inode of fs that gets unused or has left memory. Set by the VFS.
void inodes_tell(struct filesystem *fs);
extern void (*inode_let_go)(void);
// Above this number unused ones are taken out of memory by whoever brings in more.
void inodes_set_limit(uint32_t limit);
// What the VFS keeps of an inode goes: called before it leaves memory. Set by the VFS.
extern void (*inode_forget)(struct inode *inode);
static inline uint64_t inode_size(const struct inode *inode) {
    return FS_TYPE(inode->mode) == FS_REGULAR && inode->memory == NULL ? inode->cache.size : inode->size;
}
// The volume is damaged: logged once with what and where, and from now on it is read-only. Returns -EIO.
int fs_damaged(struct filesystem *fs, const char *format, ...) __attribute__((format(printf, 2, 3)));
