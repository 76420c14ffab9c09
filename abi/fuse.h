// The messages of FUSE, protocol 7.31: what a kernel asks the driver of a file system. Numbers and layouts are those of Linux
// (include/uapi/linux/fuse.h there is the reference); the definitions here are our own. Everything is little-endian.
//
//     request   struct fuse_in_header, the operation's own structure, then names (each with its NUL) or data
//     reply     struct fuse_out_header, and if its error is 0 the operation's structure or data
//     notice    as a reply with unique 0: error is the kind (FUSE_NOTIFY_*)
#pragma once
#include <stdint.h>

#define FUSE_MAJOR 7u
#define FUSE_MINOR 31u
#define FUSE_MINOR_LEAST 12u      // what a driver must speak at least: from there on the layouts are these
#define FUSE_MINOR_BATCH_FORGET 16u  // what it must speak to know that message
#define FUSE_ROOT 1ull            // node of the root
#define FUSE_NAME_MAX 1024u       // in a directory entry
#define FUSE_READ_BUFFER_MIN 8192u  // of the driver: smaller buffers are refused

enum fuse_opcode {
    FUSE_LOOKUP = 1, FUSE_FORGET, FUSE_GETATTR, FUSE_SETATTR, FUSE_READLINK, FUSE_SYMLINK, FUSE_MKNOD = 8, FUSE_MKDIR, FUSE_UNLINK,
    FUSE_RMDIR, FUSE_RENAME, FUSE_LINK, FUSE_OPEN, FUSE_READ, FUSE_WRITE, FUSE_STATFS, FUSE_RELEASE, FUSE_FSYNC = 20, FUSE_SETXATTR,
    FUSE_GETXATTR, FUSE_LISTXATTR, FUSE_REMOVEXATTR, FUSE_FLUSH, FUSE_INIT, FUSE_OPENDIR, FUSE_READDIR, FUSE_RELEASEDIR, FUSE_FSYNCDIR,
    FUSE_GETLK, FUSE_SETLK, FUSE_SETLKW, FUSE_ACCESS, FUSE_CREATE, FUSE_INTERRUPT, FUSE_BMAP, FUSE_DESTROY, FUSE_IOCTL, FUSE_POLL,
    FUSE_NOTIFY_REPLY, FUSE_BATCH_FORGET, FUSE_FALLOCATE, FUSE_READDIRPLUS, FUSE_RENAME2, FUSE_LSEEK, FUSE_COPY_FILE_RANGE,
};

struct fuse_in_header {
    uint32_t len, opcode;         // len: of the whole request
    uint64_t unique, nodeid;
    uint32_t uid, gid, pid, padding;
};
struct fuse_out_header {
    uint32_t len;
    int32_t error;                // 0 or a negative errno
    uint64_t unique;
};

struct fuse_attr {
    uint64_t ino, size, blocks, atime, mtime, ctime;
    uint32_t atimensec, mtimensec, ctimensec, mode, nlink, uid, gid, rdev, blksize, flags;
};
struct fuse_entry_out {
    uint64_t nodeid;              // 0: no such name, which may be remembered for entry_valid
    uint64_t generation, entry_valid, attr_valid;
    uint32_t entry_valid_nsec, attr_valid_nsec;
    struct fuse_attr attr;
};
struct fuse_attr_out {
    uint64_t attr_valid;
    uint32_t attr_valid_nsec, dummy;
    struct fuse_attr attr;
};
struct fuse_forget_in { uint64_t nlookup; };
struct fuse_forget_one { uint64_t nodeid, nlookup; };
struct fuse_batch_forget_in { uint32_t count, dummy; };
enum { FUSE_GETATTR_FH = 1 << 0 };
struct fuse_getattr_in { uint32_t getattr_flags, dummy; uint64_t fh; };
enum { FATTR_MODE = 1 << 0, FATTR_UID = 1 << 1, FATTR_GID = 1 << 2, FATTR_SIZE = 1 << 3, FATTR_ATIME = 1 << 4, FATTR_MTIME = 1 << 5,
       FATTR_FH = 1 << 6, FATTR_ATIME_NOW = 1 << 7, FATTR_MTIME_NOW = 1 << 8, FATTR_LOCKOWNER = 1 << 9, FATTR_CTIME = 1 << 10 };
struct fuse_setattr_in {
    uint32_t valid, padding;      // FATTR_*
    uint64_t fh, size, lock_owner, atime, mtime, ctime;
    uint32_t atimensec, mtimensec, ctimensec, mode, unused4, uid, gid, unused5;
};
struct fuse_mknod_in { uint32_t mode, rdev, umask, padding; };
struct fuse_mkdir_in { uint32_t mode, umask; };
struct fuse_rename_in { uint64_t newdir; };
enum { FUSE_RENAME_NOREPLACE = 1 << 0, FUSE_RENAME_EXCHANGE = 1 << 1 };
struct fuse_rename2_in { uint64_t newdir; uint32_t flags, padding; };
struct fuse_link_in { uint64_t oldnodeid; };
struct fuse_open_in { uint32_t flags, open_flags; };
struct fuse_create_in { uint32_t flags, mode, umask, open_flags; };
enum { FOPEN_DIRECT_IO = 1 << 0, FOPEN_KEEP_CACHE = 1 << 1, FOPEN_NONSEEKABLE = 1 << 2, FOPEN_CACHE_DIR = 1 << 3, FOPEN_STREAM = 1 << 4 };
struct fuse_open_out { uint64_t fh; uint32_t open_flags, padding; };
enum { FUSE_RELEASE_FLUSH = 1 << 0, FUSE_RELEASE_FLOCK_UNLOCK = 1 << 1 };
struct fuse_release_in { uint64_t fh; uint32_t flags, release_flags; uint64_t lock_owner; };
struct fuse_flush_in { uint64_t fh; uint32_t unused, padding; uint64_t lock_owner; };
struct fuse_read_in { uint64_t fh, offset; uint32_t size, read_flags; uint64_t lock_owner; uint32_t flags, padding; };
enum { FUSE_WRITE_CACHE = 1 << 0, FUSE_WRITE_LOCKOWNER = 1 << 1, FUSE_WRITE_KILL_PRIV = 1 << 2 };
struct fuse_write_in { uint64_t fh, offset; uint32_t size, write_flags; uint64_t lock_owner; uint32_t flags, padding; };
struct fuse_write_out { uint32_t size, padding; };
struct fuse_statfs_out {
    uint64_t blocks, bfree, bavail, files, ffree;
    uint32_t bsize, namelen, frsize, padding, spare[6];
};
enum { FUSE_FSYNC_FDATASYNC = 1 << 0 };
struct fuse_fsync_in { uint64_t fh; uint32_t fsync_flags, padding; };
struct fuse_setxattr_in { uint32_t size, flags; };
struct fuse_getxattr_in { uint32_t size, padding; };
struct fuse_getxattr_out { uint32_t size, padding; };
struct fuse_access_in { uint32_t mask, padding; };
struct fuse_interrupt_in { uint64_t unique; };
enum { FUSE_LOCK_READ, FUSE_LOCK_WRITE, FUSE_LOCK_NONE };  // fuse_file_lock.type
#define FUSE_LOCK_END INT64_MAX   // fuse_file_lock.end: however far the end of the file moves
struct fuse_file_lock { uint64_t start, end; uint32_t type, pid; };  // end is inclusive
enum { FUSE_LK_FLOCK = 1 << 0 };
struct fuse_lk_in { uint64_t fh, owner; struct fuse_file_lock lk; uint32_t lk_flags, padding; };
struct fuse_lk_out { struct fuse_file_lock lk; };
struct fuse_fallocate_in { uint64_t fh, offset, length; uint32_t mode, padding; };
struct fuse_lseek_in { uint64_t fh, offset; uint32_t whence, padding; };
struct fuse_lseek_out { uint64_t offset; };
struct fuse_copy_file_range_in { uint64_t fh_in, off_in, nodeid_out, fh_out, off_out, len, flags; };  // answered by fuse_write_out
enum { FUSE_IOCTL_UNRESTRICTED = 1 << 1, FUSE_IOCTL_RETRY = 1 << 2, FUSE_IOCTL_DIR = 1 << 4 };
struct fuse_ioctl_in { uint64_t fh; uint32_t flags, cmd; uint64_t arg; uint32_t in_size, out_size; };  // then in_size bytes
struct fuse_ioctl_out { int32_t result; uint32_t flags, in_iovs, out_iovs; };  // then at most out_size bytes
// Direction and size of an ioctl's argument, as its number tells.
#define FUSE_IOCTL_TAKES(cmd) ((uint32_t)(cmd) >> 30 & 1)  // goes to the driver
#define FUSE_IOCTL_GIVES(cmd) ((uint32_t)(cmd) >> 31 & 1)  // comes from it
#define FUSE_IOCTL_BYTES(cmd) ((uint32_t)(cmd) >> 16 & 0x3fff)
enum { FUSE_POLL_SCHEDULE_NOTIFY = 1 << 0 };
struct fuse_poll_in { uint64_t fh, kh; uint32_t flags, events; };
struct fuse_poll_out { uint32_t revents, padding; };

enum {  // INIT: what the kernel can, and of that what the driver wants
    FUSE_ASYNC_READ = 1 << 0, FUSE_POSIX_LOCKS = 1 << 1, FUSE_ATOMIC_O_TRUNC = 1 << 3, FUSE_EXPORT_SUPPORT = 1 << 4,
    FUSE_BIG_WRITES = 1 << 5, FUSE_DONT_MASK = 1 << 6, FUSE_FLOCK_LOCKS = 1 << 10, FUSE_AUTO_INVAL_DATA = 1 << 12,
    FUSE_DO_READDIRPLUS = 1 << 13, FUSE_READDIRPLUS_AUTO = 1 << 14, FUSE_WRITEBACK_CACHE = 1 << 16, FUSE_NO_OPEN_SUPPORT = 1 << 17,
    FUSE_PARALLEL_DIROPS = 1 << 18, FUSE_MAX_PAGES = 1 << 22, FUSE_CACHE_SYMLINKS = 1 << 23, FUSE_NO_OPENDIR_SUPPORT = 1 << 24,
};
struct fuse_init_in { uint32_t major, minor, max_readahead, flags; };
struct fuse_init_out {
    uint32_t major, minor, max_readahead, flags;
    uint16_t max_background, congestion_threshold;
    uint32_t max_write, time_gran;
    uint16_t max_pages, map_alignment;
    uint32_t unused[8];
};
#define FUSE_INIT_OUT_LEAST 24u  // up to max_write, which is all that a driver below 7.23 sends

// Entries of READDIR stand one behind the other, each padded to 8 bytes.
struct fuse_dirent { uint64_t ino, off; uint32_t namelen, type; };
struct fuse_direntplus { struct fuse_entry_out entry; struct fuse_dirent dirent; };
#define FUSE_DIRENT_SIZE(fixed, namelen) (((fixed) + (uint64_t)(namelen) + 7) & ~7ull)

enum fuse_notify { FUSE_NOTIFY_POLL = 1, FUSE_NOTIFY_INVAL_INODE, FUSE_NOTIFY_INVAL_ENTRY, FUSE_NOTIFY_STORE, FUSE_NOTIFY_RETRIEVE,
                   FUSE_NOTIFY_DELETE };
struct fuse_notify_inval_inode_out { uint64_t ino; int64_t off, len; };  // off < 0: attributes only; len <= 0: to the end
struct fuse_notify_inval_entry_out { uint64_t parent; uint32_t namelen, flags; };
struct fuse_notify_delete_out { uint64_t parent, child; uint32_t namelen, padding; };
struct fuse_notify_poll_wakeup_out { uint64_t kh; };
struct fuse_notify_store_out { uint64_t nodeid, offset; uint32_t size, padding; };  // then the data
// Answered by the message NOTIFY_REPLY with that unique, which nobody answers: fuse_notify_retrieve_in, then the data.
struct fuse_notify_retrieve_out { uint64_t notify_unique, nodeid, offset; uint32_t size, padding; };
struct fuse_notify_retrieve_in { uint64_t dummy1, offset; uint32_t size, dummy2; uint64_t dummy3, dummy4; };

#define FUSE_SIZE(name, bytes) _Static_assert(sizeof(struct fuse_##name) == (bytes), "wire layout")
FUSE_SIZE(in_header, 40);
FUSE_SIZE(out_header, 16);
FUSE_SIZE(attr, 88);
FUSE_SIZE(entry_out, 128);
FUSE_SIZE(attr_out, 104);
FUSE_SIZE(setattr_in, 88);
FUSE_SIZE(lk_in, 48);
FUSE_SIZE(read_in, 40);
FUSE_SIZE(write_in, 40);
FUSE_SIZE(release_in, 24);
FUSE_SIZE(flush_in, 24);
FUSE_SIZE(statfs_out, 80);
FUSE_SIZE(init_out, 64);
FUSE_SIZE(dirent, 24);
FUSE_SIZE(direntplus, 152);
FUSE_SIZE(fallocate_in, 32);
FUSE_SIZE(lseek_in, 24);
FUSE_SIZE(rename2_in, 16);
FUSE_SIZE(copy_file_range_in, 56);
FUSE_SIZE(ioctl_in, 32);
FUSE_SIZE(ioctl_out, 16);
FUSE_SIZE(poll_in, 24);
FUSE_SIZE(notify_store_out, 24);
FUSE_SIZE(notify_retrieve_out, 32);
FUSE_SIZE(notify_retrieve_in, 40);
#undef FUSE_SIZE
