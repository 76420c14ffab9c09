// Numbers and records of the Linux ABI for x86-64 that liblinux speaks. Values are Linux's (include/uapi of Linux 6.1, and the
// System V ABI for x86-64); errors are those of abi/errors.def, which have Linux's numbers.
#pragma once
#include <stdint.h>

#include "user/libkpio/linux_errors.h"

// ---- open and fcntl ------------------------------------------------------------------------------------------------
#define LX_O_ACCMODE   3u
#define LX_O_WRONLY    1u
#define LX_O_RDWR      2u
#define LX_O_CREAT     0100u
#define LX_O_EXCL      0200u
#define LX_O_NOCTTY    0400u
#define LX_O_TRUNC     01000u
#define LX_O_APPEND    02000u
#define LX_O_NONBLOCK  04000u
#define LX_O_DSYNC     010000u
#define LX_O_ASYNC     020000u
#define LX_O_DIRECT    040000u
#define LX_O_LARGEFILE 0100000u
#define LX_O_DIRECTORY 0200000u
#define LX_O_NOFOLLOW  0400000u
#define LX_O_NOATIME   01000000u
#define LX_O_CLOEXEC   02000000u
#define LX_O_SYNC      (04000000u | LX_O_DSYNC)
#define LX_O_PATH      010000000u
#define LX_O_TMPFILE   (020000000u | LX_O_DIRECTORY)

#define LX_AT_FDCWD            (-100)
#define LX_AT_SYMLINK_NOFOLLOW 0x100u
#define LX_AT_REMOVEDIR        0x200u
#define LX_AT_SYMLINK_FOLLOW   0x400u
#define LX_AT_NO_AUTOMOUNT     0x800u
#define LX_AT_EMPTY_PATH       0x1000u
#define LX_AT_STATX_SYNC       0x6000u
#define LX_AT_EACCESS          0x200u

// ---- files ---------------------------------------------------------------------------------------------------------
#define LX_S_IFMT  0170000u
#define LX_S_IFIFO 0010000u
#define LX_S_IFCHR 0020000u
#define LX_S_IFDIR 0040000u
#define LX_S_IFBLK 0060000u
#define LX_S_IFREG 0100000u
#define LX_S_IFLNK 0120000u
#define LX_S_ISUID 04000u
#define LX_S_ISGID 02000u

// ---- memory --------------------------------------------------------------------------------------------------------
#define LX_PROT_READ  1u
#define LX_PROT_WRITE 2u
#define LX_PROT_EXEC  4u

// ---- signals -------------------------------------------------------------------------------------------------------
enum {
    LX_SIGHUP = 1, LX_SIGINT, LX_SIGQUIT, LX_SIGILL, LX_SIGTRAP, LX_SIGABRT, LX_SIGBUS, LX_SIGFPE, LX_SIGKILL, LX_SIGUSR1, LX_SIGSEGV,
    LX_SIGUSR2, LX_SIGPIPE, LX_SIGALRM, LX_SIGTERM, LX_SIGSTKFLT, LX_SIGCHLD, LX_SIGCONT, LX_SIGSTOP, LX_SIGTSTP, LX_SIGTTIN, LX_SIGTTOU,
    LX_SIGURG, LX_SIGXCPU, LX_SIGXFSZ, LX_SIGVTALRM, LX_SIGPROF, LX_SIGWINCH, LX_SIGIO, LX_SIGPWR, LX_SIGSYS, LX_SIGNALS = 64,
};
#define LX_SIGNAL_BIT(number) (1ull << ((number) - 1))

// ---- ELF auxiliary vector (System V ABI, and Linux's own) -----------------------------------------------------------------
enum {
    LX_AT_NULL = 0, LX_AT_PHDR = 3, LX_AT_PHENT = 4, LX_AT_PHNUM = 5, LX_AT_PAGESZ = 6, LX_AT_BASE = 7, LX_AT_FLAGS = 8, LX_AT_ENTRY = 9,
    LX_AT_UID = 11, LX_AT_EUID = 12, LX_AT_GID = 13, LX_AT_EGID = 14, LX_AT_PLATFORM = 15, LX_AT_HWCAP = 16, LX_AT_CLKTCK = 17,
    LX_AT_SECURE = 23, LX_AT_RANDOM = 25, LX_AT_HWCAP2 = 26,
    LX_AT_RSEQ_FEATURE_SIZE = 27, LX_AT_RSEQ_ALIGN = 28, LX_AT_EXECFN = 31, LX_AT_SYSINFO_EHDR = 33,
};

struct lx_timespec {
    int64_t seconds, nanoseconds;
};
struct lx_iovec {
    uint64_t base, size;
};
struct lx_timeval {
    int64_t seconds, microseconds;
};
struct lx_stat {
    uint64_t dev, ino, nlink;
    uint32_t mode, uid, gid, pad;
    uint64_t rdev;
    int64_t size, blksize, blocks;
    struct lx_timespec atime, mtime, ctime;
    int64_t unused[3];
};
struct lx_statx_time {
    int64_t seconds;
    uint32_t nanoseconds, pad;
};
struct lx_statx {
    uint32_t mask, blksize;
    uint64_t attributes;
    uint32_t nlink, uid, gid;
    uint16_t mode, pad;
    uint64_t ino, size, blocks, attributes_mask;
    struct lx_statx_time atime, btime, ctime, mtime;
    uint32_t rdev_major, rdev_minor, dev_major, dev_minor;
    uint64_t mount;
    uint64_t unused[13];
};
struct lx_statfs {
    int64_t type, bsize;
    uint64_t blocks, bfree, bavail, files, ffree;
    uint64_t fsid;
    int64_t namelen, frsize, flags, spare[4];
};
struct lx_dirent64 {
    uint64_t ino;
    int64_t off;
    uint16_t reclen;
    uint8_t type;
    char name[5];                      // as long as it takes; terminated
};
struct lx_flock {
    int16_t type, whence;
    uint32_t pad;
    int64_t start, len;
    int32_t pid;
    uint32_t pad_end;
};
_Static_assert(sizeof(struct lx_stat) == 144 && sizeof(struct lx_statx) == 256 && sizeof(struct lx_statfs) == 120, "ABI");
_Static_assert(sizeof(struct lx_flock) == 32, "ABI");

// ---- sockets -------------------------------------------------------------------------------------------------------
#ifndef ENOTSOCK
#define EDOM            33
#define ENOTSOCK        88
#define EDESTADDRREQ    89
#define ENOPROTOOPT     92
#define EPROTONOSUPPORT 93
#define ESOCKTNOSUPPORT 94
#define EAFNOSUPPORT    97
#define ECONNRESET      104
#define EISCONN         106
#define ENOBUFS         105
#define ENOTCONN        107
#define ETOOMANYREFS    109
#endif
