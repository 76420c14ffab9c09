// Values and records of the file-system calls (abi/syscalls.def, docs/storage.md). Modes and file types are those of POSIX
// (sys/stat.h), numbers in octal; errors are Linux's.
#pragma once
#include <stddef.h>
#include <stdint.h>

#define KPIO_PATH_MAX 4096u           // bytes of a path with its terminator
#define KPIO_FILE_NAME_MAX 255u
#define KPIO_OFFSET_CURRENT (-1)      // as an offset: where the last transfer ended

enum {  // flags of the path calls
    KPIO_PATH_NO_FOLLOW = 1 << 16,    // a symlink at the end is what is meant, not what it names
    KPIO_PATH_NO_LINKS = 1 << 17,     // ELOOP at any symlink
    KPIO_PATH_NO_MOUNTS = 1 << 18,    // EXDEV at any mount point
    KPIO_PATH_BENEATH = 1 << 19,      // EXDEV where a path or link leaves the directory
    KPIO_PATH_IN_ROOT = 1 << 20,      // the directory is the root for this path
};
enum {  // flags of path_open, beside those above
    KPIO_OPEN_CREATE = 1 << 0,
    KPIO_OPEN_EXCLUSIVE = 1 << 1,     // with CREATE: EEXIST when it exists, links too
    KPIO_OPEN_TRUNCATE = 1 << 2,
    KPIO_OPEN_APPEND = 1 << 3,        // status flag: writes go to the end
    KPIO_OPEN_DIRECTORY = 1 << 4,     // ENOTDIR unless it is one
    KPIO_OPEN_TEMPORARY = 1 << 5,     // a file without a name, in the directory that the path names; EXCLUSIVE: it gets none
    KPIO_OPEN_ROOT = 1 << 6,          // a directory: paths through the new handle do not leave it
    KPIO_OPEN_SYNC = 1 << 7,          // status flag: each write is durable when it returns
    KPIO_OPEN_DATA_SYNC = 1 << 8,     // status flag: the same without times
    KPIO_OPEN_NO_ACCESS_TIME = 1 << 9,// status flag
    KPIO_OPEN_BY_TYPE = 1 << 10,      // the rights are a file's; a directory gets all that its handle has, EISDIR with WRITE; a
                                      // file that is not written gets READ and EXECUTE where these may be had,
                                      // a nameless one EXECUTE
};
#define KPIO_FILE_FLAGS_KEPT 0xff000388u // what file_flags shows; bits 24..31 are the holder's own

struct kpio_time {
    int64_t seconds;                  // since 1970-01-01 UTC
    uint32_t nanoseconds, reserved;
};
enum { KPIO_STAT_IMMUTABLE = 1 << 0, KPIO_STAT_APPEND = 1 << 1, KPIO_STAT_MOUNT_ROOT = 1 << 2, KPIO_STAT_DELETED = 1 << 3 };
struct kpio_stat {
    uint64_t inode, fs;               // together unique since boot
    uint64_t size, blocks;            // bytes; 512-byte units
    uint32_t mode, links, uid, gid;
    uint64_t device;                  // of a device node: major << 32 | minor
    uint32_t block_size, flags;       // best size of transfers; KPIO_STAT_*
    struct kpio_time accessed, modified, changed, born;
    uint64_t mount;                   // id of the mount that it was reached through
    uint64_t generation;
};
_Static_assert(sizeof(struct kpio_stat) == 144, "ABI");

enum {  // kpio_attributes.what
    KPIO_SET_MODE = 1 << 0, KPIO_SET_UID = 1 << 1, KPIO_SET_GID = 1 << 2, KPIO_SET_ACCESSED = 1 << 3, KPIO_SET_MODIFIED = 1 << 4,
    KPIO_SET_ACCESSED_NOW = 1 << 5, KPIO_SET_MODIFIED_NOW = 1 << 6, KPIO_SET_SIZE = 1 << 7 /* alone, and by a path */,
};
struct kpio_attributes {
    uint32_t what, mode, uid, gid;    // mode: permission bits
    struct kpio_time accessed, modified;
    uint64_t size;
};

enum { KPIO_SEEK_SET, KPIO_SEEK_CURRENT, KPIO_SEEK_END, KPIO_SEEK_DATA, KPIO_SEEK_HOLE };
enum { KPIO_ALLOCATE_KEEP_SIZE = 1 << 0, KPIO_ALLOCATE_PUNCH_HOLE = 1 << 1, KPIO_ALLOCATE_ZERO_RANGE = 1 << 2 };
enum { KPIO_FIFO_NEED_PEER = 1 << 0 };  // fifo_open: ENXIO when nobody has the other end
enum { KPIO_READ_NOWAIT = 1 << 0 };  // what is not in memory: EAGAIN
enum {  // events of a file whose driver tells them (file_poll), with Linux's numbers; the file's signals too, as answered last
    KPIO_POLL_IN = 1, KPIO_POLL_PRIORITY = 2, KPIO_POLL_OUT = 4, KPIO_POLL_ERROR = 8, KPIO_POLL_HANGUP = 0x10, KPIO_POLL_ALL = 0xffff,
};
#define KPIO_SIGNAL_POLL_AGAIN (1u << 16)  // they may be others by now
enum { KPIO_WRITE_APPEND = 1 << 0, KPIO_WRITE_SYNC = 1 << 1, KPIO_WRITE_DATA_SYNC = 1 << 2 };
// A piece of memory for the vector calls.
struct kpio_io_vector {
    uint64_t address, size;
};
#define KPIO_IO_VECTORS_MAX 1024u
enum { KPIO_SYNC_DATA = 1 << 0 };
enum {  // what can no longer be done to a file in memory (file_seal)
    KPIO_SEAL_SEAL = 1 << 0, KPIO_SEAL_SHRINK = 1 << 1, KPIO_SEAL_GROW = 1 << 2,
    KPIO_SEAL_WRITE = 1 << 3, KPIO_SEAL_FUTURE_WRITE = 1 << 4,  // FUTURE: but through mappings that there are
};
enum { KPIO_ADVICE_NORMAL, KPIO_ADVICE_DROP };
enum { KPIO_UNLINK_DIRECTORY = 1 << 0 };
enum { KPIO_RENAME_NO_REPLACE = 1 << 0, KPIO_RENAME_EXCHANGE = 1 << 1 };
enum { KPIO_XATTR_CREATE = 1 << 0, KPIO_XATTR_REPLACE = 1 << 1, KPIO_XATTR_REMOVE = 1 << 2 };
#define KPIO_XATTR_SIZE_MAX 65536u

// What directory_read writes, one after the other, each aligned to 8 bytes. "." and ".." are the first two.
struct kpio_directory_entry {
    uint64_t inode;
    uint64_t next;                    // the offset after this entry
    uint16_t bytes;                   // of this record, padding included
    uint8_t type;                     // mode >> 12
    uint8_t name_bytes;
    char name[4];                     // terminated; as long as it takes
};
_Static_assert(offsetof(struct kpio_directory_entry, name) == 20, "ABI");

enum {  // kpio_file_lock.flags
    KPIO_LOCK_SHARED = 0, KPIO_LOCK_EXCLUSIVE = 1, KPIO_LOCK_NONE = 2,  // NONE: unlock
    KPIO_LOCK_KIND = 3,
    KPIO_LOCK_WHOLE = 1 << 2,         // flock: another name space than ranges; owned by the file
    KPIO_LOCK_PROCESS = 1 << 3,       // owned by the process (fcntl), else by the file (open file description)
    KPIO_LOCK_TEST = 1 << 4,          // describes a lock in the way (flags NONE: there is none)
};
struct kpio_file_lock {
    uint32_t flags, reserved;
    uint64_t start, bytes;            // bytes 0: to the end, however far that moves
    uint64_t process;                 // TEST: id of the owner; 0: a file
};

enum { KPIO_MOUNT_READ_ONLY = 1 << 0, KPIO_MOUNT_NO_ACCESS_TIME = 1 << 1, KPIO_MOUNT_DAMAGED = 1 << 2 /* told only */,
       KPIO_MOUNT_LOCAL = 1 << 3 /* mount_attach */ };
enum { KPIO_DETACH_LAZY = 1 << 0, KPIO_DETACH_FORCE = 1 << 1 };
struct kpio_fs_statistics {
    uint64_t block_size, blocks, blocks_free, blocks_available, inodes, inodes_free, name_max, id;
    uint32_t type_magic, flags;       // as Linux statfs; KPIO_MOUNT_*
    char type[16];
    char device[16];
};
_Static_assert(sizeof(struct kpio_fs_statistics) == 104, "ABI");
