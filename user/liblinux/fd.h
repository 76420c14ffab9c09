// File descriptors: small numbers for kernel handles. Each descriptor has a handle of its own; what duplicates share (offset,
// status flags, owner of locks) is in the kernel's object. A fork finds the same handles at the same values.
//
// Lock: process->files_lock guards the table. A call works on a copy of the entry (lx_fd_get): a close meanwhile makes the
// kernel's calls on its handle fail or end. Copies are taken without the lock: `sequence` is odd while an entry or the table's
// place changes, and another number afterwards; what was the table's memory before stays readable.
#pragma once
#include "abi/gen/errors.h"
#include "user/liblinux/context.h"
#include "user/liblinux/limits.h"
#include "user/libkpio/linux_launch.h"

#define LX_TYPE_DIRECTORY 4u  // mode >> 12
#define LX_TYPE_REGULAR   8u
#define LX_FD_LIMIT 1048576u
struct lx_files {
    struct lx_fd *entries;   // kind NONE: free
    uint32_t capacity;       // entries there are
    uint32_t free_from;      // no entry below it is free
    uint32_t limit;          // RLIMIT_NOFILE: numbers stay below
    uint32_t sequence;
};

[[nodiscard]] int lx_files_create(struct lx_process *p);  // an empty table: 0 or -ENOMEM
// A table with the entries of another, for a process whose handles have the same values. 0 or -ENOMEM.
[[nodiscard]] int lx_files_copy(struct lx_process *child, const struct lx_process *p);
// The entry of a number: 0 or -EBADF.
[[nodiscard]] int64_t lx_fd_get_locked(struct lx_process *p, uint64_t number, struct lx_fd *out);
[[nodiscard]] static inline int64_t lx_fd_get(struct lx_process *p, uint64_t number, struct lx_fd *out) {
    const struct lx_files *files = p->files;
    uint32_t sequence = __atomic_load_n(&files->sequence, __ATOMIC_ACQUIRE), index = (uint32_t)number;
    if (__builtin_expect(!(sequence & 1), 1) && index < files->capacity) {
        *out = *(const volatile struct lx_fd *)&files->entries[index];
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (__builtin_expect(__atomic_load_n(&files->sequence, __ATOMIC_RELAXED) == sequence, 1))
            return __builtin_expect(out->kind != LX_KIND_NONE, 1) ? 0 : -EBADF;
    }
    return lx_fd_get_locked(p, number, out);
}
// The short way of reads and writes: the handle of a file that was opened for `need` (LX_FD_READ or WRITE), or 0: whatever it is,
// lx_fd_get says.
[[nodiscard]] static inline kpio_handle lx_fd_file(const struct lx_process *p, uint64_t number, uint8_t need) {
    const struct lx_files *files = p->files;
    uint32_t sequence = __atomic_load_n(&files->sequence, __ATOMIC_ACQUIRE), index = (uint32_t)number;
    if (__builtin_expect(sequence & 1 || index >= files->capacity, 0)) return KPIO_HANDLE_NONE;
    if (need == LX_FD_WRITE && __builtin_expect(p->limits[LX_RLIMIT_FSIZE].current != LX_UNLIMITED, 0)) return KPIO_HANDLE_NONE;
    const volatile struct lx_fd *fd = &files->entries[index];
    kpio_handle handle = fd->handle;
    bool good = fd->kind == LX_KIND_FILE && fd->flags & need;
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return __builtin_expect(good && __atomic_load_n(&files->sequence, __ATOMIC_RELAXED) == sequence, 1) ? handle : KPIO_HANDLE_NONE;
}
// The lowest free number from `from` on for the entry, which is taken over: the number, or -EMFILE, -ENOMEM (then its handles are
// closed).
[[nodiscard]] int64_t lx_fd_install(struct lx_process *p, const struct lx_fd *fd, uint64_t from);
// Puts it at this number; what was there is closed. The number, or -EBADF (too large), -ENOMEM (closed, as above).
[[nodiscard]] int64_t lx_fd_install_at(struct lx_process *p, const struct lx_fd *fd, uint64_t number);
// Takes the entry out, its handles stay open: 0 or -EBADF.
[[nodiscard]] int64_t lx_fd_remove(struct lx_process *p, uint64_t number, struct lx_fd *out);
// Sets or clears flags of the entry: 0 or -EBADF.
[[nodiscard]] int64_t lx_fd_set_flags(struct lx_process *p, uint64_t number, uint8_t clear, uint8_t set);
// Puts `fresh` in the place of an entry that still has old's handle; nothing is closed: 0, or -EBADF.
[[nodiscard]] int64_t lx_fd_replace(struct lx_process *p, uint64_t number, const struct lx_fd *old, const struct lx_fd *fresh);
// Whether an entry of that kind has this in `extra`.
[[nodiscard]] bool lx_fd_extra_used(struct lx_process *p, uint8_t kind, uint32_t extra);
// A second entry with handles of its own: 0 or a negative errno.
[[nodiscard]] int64_t lx_fd_duplicate(const struct lx_fd *from, struct lx_fd *out);
// As a launch block says it, and back.
void lx_fd_describe(const struct lx_fd *fd, int32_t number, struct lx_launch_fd *out);
void lx_fd_from_launch(const struct lx_launch_fd *from, struct lx_fd *out);
// Closes the handles of an entry.
void lx_fd_close(const struct lx_fd *fd);
void lx_fd_close_handles(const struct lx_fd *fd);  // whatever its kind

// Moves the offset of one that has one (a file, a directory; others: see lseek). whence: KPIO_SEEK_*.
[[nodiscard]] int64_t lx_fd_seek(const struct lx_fd *fd, int64_t offset, uint32_t whence);

#define LX_IO_MAX 0x7ffff000ull  // bytes of one transfer, as on Linux

// ---- what each kind does; fd_ops.c has the table ----------------------------------------------------------------------
// offset KPIO_OFFSET_CURRENT: the description's own. Bytes or a negative errno; buffer is the program's.
#define LX_NO_VECTOR 600
#define LX_NO_OBJECT 601  // of `status`: there is no kernel object (yet); LX_FD_NONBLOCK of the entry counts
struct lx_fd_ops {
    int64_t (*read)(struct lx_thread *t, const struct lx_fd *fd, uint64_t buffer, uint64_t size, int64_t offset);
    int64_t (*write)(struct lx_thread *t, const struct lx_fd *fd, uint64_t buffer, uint64_t size, int64_t offset);
    // `count` pieces at `at`, as one transfer; NULL, or what returns -LX_NO_VECTOR: one after the other.
    int64_t (*vector)(struct lx_thread *t, const struct lx_fd *fd, uint64_t at, uint64_t count, bool write);
    // Clears, then sets LX_O_* that fcntl may change: what they are then; NULL: there are none. Files: file_flags.h.
    int64_t (*status)(const struct lx_fd *fd, uint32_t clear, uint32_t set);
    int64_t (*ioctl)(struct lx_thread *t, const struct lx_fd *fd, uint64_t request, uint64_t argument);
    int64_t (*stat)(struct lx_thread *t, const struct lx_fd *fd, struct kpio_stat *out);
};
const struct lx_fd_ops *lx_fd_ops(uint8_t kind);
