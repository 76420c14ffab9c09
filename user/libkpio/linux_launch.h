// How a Linux program begins: somebody (the program `linux`, or liblinux itself for execve) fills a new address space with
// this library, a stack for it and a launch block, which says all that the library must know, and starts it at lx_begin.
// The library then loads the program. Used by native programs too: knows nothing of a running liblinux.
//
//     library (from its VMO) │ guard │ stack │ exception stack │ struct lx_thread │      launch block
//
// Handles in the block are values in the handle table of the process that is started.
#pragma once
#include <stdint.h>

#include "abi/types.h"
#include "lib/elf.h"

#define LX_LAUNCH_MAGIC 0x68636e75616c786cull
#define LX_LAUNCH_MAX (4u << 20)       // bytes of a block; arguments and environment share it (Linux: a quarter of the stack limit)

// What a descriptor stands for.
enum lx_kind {
    LX_KIND_NONE,
    LX_KIND_FILE,        // handle: kernel file
    LX_KIND_DIRECTORY,   // handle: kernel directory
    LX_KIND_PIPE,        // handle: one end of a pipe; LX_FD_WRITE says which
    LX_KIND_SOCKET,      // handle: the pipe end to read from; second: the one to write to (0 until connected)
    LX_KIND_COUNTER,     // handle: kernel counter (eventfd)
    LX_KIND_TIMER,       // handle: kernel timer (timerfd)
    LX_KIND_EPOLL,       // handle: kernel port
    LX_KIND_SIGNAL,      // signalfd; handle: an event
    LX_KIND_PROCESS,     // pidfd; handle: kernel process
    LX_KIND_NODE,        // handle: endpoint of one open of a served node (a terminal)
    LX_KIND_DEVICE,      // device: enum lx_device; no handle
    LX_KIND_PATH,        // O_PATH; handle: kernel directory or file
    LX_KIND_CONSOLE,     // handle: the system, with LOG: the boot console, without line editing
    LX_KIND_LOCAL,       // a directory that liblinux serves (user/liblinux/local.h); handle: a file that lists it
    LX_KIND_FUSE,        // /dev/fuse; handle: the driver's end of a FUSE channel; second: the one that mounts it
    LX_KIND_MEMORY,      // /proc/self/mem; handle: a file whose offset it has
    LX_KINDS,
};
enum lx_device { LX_DEVICE_NULL, LX_DEVICE_ZERO, LX_DEVICE_FULL, LX_DEVICE_RANDOM, LX_DEVICE_FUSE /* not kept */ };
enum {                   // struct lx_fd flags
    LX_FD_CLOEXEC = 1 << 0,
    LX_FD_NONBLOCK = 1 << 1,  // of kinds whose kernel object has no status flags
    LX_FD_READ = 1 << 2,      // may be read, written
    LX_FD_WRITE = 1 << 3,
    LX_FD_APPEND = 1 << 4,
};

#define LX_LIMITS 16u
enum { LX_LIMIT_RESIDENT = 5, LX_LIMIT_PROCESSES, LX_LIMIT_DESCRIPTORS };  // those that quotas of jobs are about
#define LX_GROUPS_MAX 32u
#define LX_ITIMERS 3u                // setitimer's: REAL, VIRTUAL, PROF
#define LX_SHARED_FOLDER "shm"       // of the file system in memory: what is mounted at LX_SHARED_POINT and shown as /dev/shm
#define LX_SHARED_POINT "/run/shm"
enum { LX_LOCAL_DEV = 1, LX_LOCAL_PROC, LX_LOCAL_SYS };  // keys of the local mounts (mount_attach)

struct lx_launch_fd {
    int32_t number;
    kpio_handle handle, second;        // of kind NONE: to be closed
    uint32_t extra;
    uint8_t kind, flags;               // enum lx_kind, LX_FD_*
    uint16_t device;
};

struct lx_launch_signal {
    uint8_t info[128];                 // siginfo_t
    uint64_t of_thread;                // 1: of pending[1]
};

struct lx_launch {
    uint64_t magic;
    uint64_t bytes;                    // of the block
    kpio_handle process, thread, aspace;
    kpio_handle image;                 // VMO that the library comes from; READ, EXECUTE, MAP
    kpio_handle root, cwd;             // directories
    kpio_handle program;               // the executable's file: READ, EXECUTE
    kpio_handle memory_fs, posixd, system; // or 0
    kpio_handle fuse, disk;            // of the program's own, which it is told of (KPIO_AT_*); or 0
    uint64_t image_offset, image_size; // of the library in its VMO
    uint64_t library, library_size;    // where it is mapped
    uint64_t area, area_size;          // the thread's
    uint32_t pid, ppid, umask;
    uint32_t uid, gid, euid, egid, suid, sgid;
    uint32_t groups[LX_GROUPS_MAX], group_count;
    uint32_t io_priority, death_signal, reaper;
    uint32_t processes_limited;        // RLIMIT_NPROC was set
    uint32_t strangers;                // threads of the program before ran (user/liblinux/strangers.h)
    uint32_t persona, limits_known;    // limits_known: what `limits` says holds, else the defaults, none above a most that is not 0
    uint64_t limits[LX_LIMITS][2];     // current and most, by number
    struct lx_launch_fd cwd_local;     // liblinux's own (context.h), as a descriptor
    uint64_t blocked, ignored;         // signals
    uint64_t pending[2];               // that were not taken: sent to the process, to the thread
    uint64_t itimers[LX_ITIMERS][2];   // setitimer's: deadline and interval, ns on their clocks; 0: not armed
    uint32_t fd_count, argc, envc, signal_count;
    // Offsets: struct lx_launch_fd[]; path of the program from the root, or an empty one; as it was called; argc + envc strings;
    // struct lx_launch_signal[], those of `pending` that have more to tell.
    uint32_t fds_at, executable_at, given_at, text_at, signals_at;
    uint32_t text_bytes;
    char name[16];
};

// Of the thread's area, from its end downwards.
#define LX_AREA_THREAD     4096u
#define LX_AREA_EXCEPTION 16384u
#define LX_AREA_STACK     24576u
#define LX_AREA_GUARD      4096u
#define LX_AREA_SIZE (LX_AREA_GUARD + LX_AREA_STACK + LX_AREA_EXCEPTION + LX_AREA_THREAD)

// The library's image.
struct lx_image {
    kpio_handle vmo;                   // READ, EXECUTE, MAP
    uint64_t offset, size;             // of the ELF file in it; offset in whole pages
    const void *file;                  // its first segment at least, readable here
    const void *data;                  // what is in the file for the writable segment, readable here
    const struct elf_segment *writable; // or NULL
    uint64_t quick;                    // bytes from the start that are mapped at once; 0: all of it
    struct elf_image elf;
};
// Fills in the rest from vmo, offset, size and file; `data` is right when the whole file is readable. 0 or -ENOEXEC, with *what.
[[nodiscard]] int lx_image_open(struct lx_image *image, const char **what);

struct lx_place {                      // of the new address space
    uint64_t library, area, launch;    // addresses
    uint64_t entry, stack;             // for process_start and process_exec; the argument is `launch`
};
// Maps library, area and block into an empty address space. The block (launch->bytes of it, any of its places in memory) gets
// library, area and image filled in here. 0 or a negative errno; what is mapped then goes with the address space.
[[nodiscard]] int64_t lx_launch_map(kpio_handle aspace, const struct lx_image *image, struct lx_launch *launch,
                                    struct lx_place *place);
// Maps a thread's area, its guard in place: its address or a negative errno.
[[nodiscard]] int64_t lx_area_map(kpio_handle aspace);
