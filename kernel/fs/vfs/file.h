// An open file description: what a file handle names. Offset, status flags and lock owner are shared by all its duplicates.
// Locks, in order: file->lock (offset), inode->lock.
#pragma once
#include "kernel/fs/vfs/mount.h"
#include "kernel/object/handle.h"
#include "kernel/sched/mutex.h"

struct file {
    struct object object;
    struct object *family;   // whose derivation lock is ours; referenced
    struct inode *inode;     // referenced
    struct mount *mount;     // referenced: the file system stays mounted
    uint32_t flags;          // KPIO_FILE_FLAGS_KEPT; atomic
    bool writes;             // counts in inode->writers
    void *opened;            // of a REMOTE inode: what inode_ops.open gave
    uint32_t error_seen;     // of the page cache's error_sequence
    struct mutex lock;
    uint64_t offset;         // under lock
};
static inline struct file *file_of(struct object *o) { return container_of(o, struct file, object); }

// EXECUTE and MANAGE (attributes) come from the directory handle too.
#define FILE_RIGHTS                                                                                                    \
    (KPIO_RIGHT_READ | KPIO_RIGHT_WRITE | KPIO_RIGHT_EXECUTE | KPIO_RIGHT_MANAGE | KPIO_RIGHT_DUPLICATE |              \
     KPIO_RIGHT_TRANSFER | KPIO_RIGHT_INSPECT | KPIO_RIGHT_WAIT | KPIO_RIGHT_EXPIRE)

void file_init(void);
// With a reference for the caller; takes its own on the place. writes: it may be written through: -ETXTBSY while it is
// mapped executable. -ENOMEM, -ENFILE.
[[nodiscard]] int file_create(struct job *job, const struct place *place, uint32_t flags, bool writes, struct object *family,
                              struct file **out);

// Tells a REMOTE inode's driver, with the rights of the handle to come: 0, or what it says, or -EINTR. No lock held.
[[nodiscard]] int file_open(struct file *file, uint32_t rights);

// offset KPIO_OFFSET_CURRENT: the file's own, which moves. Bytes, or an error.
[[nodiscard]] int64_t file_read(struct file *file, struct user_ptr to, uint64_t bytes, int64_t offset);
[[nodiscard]] int64_t file_write(struct file *file, struct user_ptr from, uint64_t bytes, int64_t offset, unsigned flags);
// The same for pieces that the caller has checked to lie in user space, together at most INT64_MAX bytes: one operation on the
// offset, and one write.
[[nodiscard]] int64_t file_read_vector(struct file *file, const struct kpio_io_vector *parts, uint32_t count, int64_t offset);
// The same, no more than is in memory; -EAGAIN: nothing is, or the file's driver would have to be asked.
[[nodiscard]] int64_t file_read_resident(struct file *file, const struct kpio_io_vector *parts, uint32_t count, int64_t offset);
[[nodiscard]] int64_t file_write_vector(struct file *file, const struct kpio_io_vector *parts, uint32_t count, int64_t offset,
                                        unsigned flags);
// Through kernel memory; short at the end of `from`. -EINVAL: overlapping, or `to` is open to append.
[[nodiscard]] int64_t file_copy(struct file *from, int64_t from_offset, struct file *to, int64_t to_offset, uint64_t size);
[[nodiscard]] int64_t file_seek(struct file *file, int64_t offset, unsigned whence);
[[nodiscard]] int file_resize(struct file *file, uint64_t size);
[[nodiscard]] int file_allocate(struct file *file, unsigned flags, uint64_t offset, uint64_t bytes);
// Also tells once of every write-back that failed since the file was opened or synced last.
[[nodiscard]] int file_sync(struct file *file, bool data_only);
// Sets the inode's size; for TRUNCATE and file_resize. inode->lock is not held.
[[nodiscard]] int inode_resize(struct inode *inode, uint64_t size);

// Who may write and who may execute exclude each other: 0 or -ETXTBSY. Any context.
[[nodiscard]] int inode_get_write(struct inode *inode);
void inode_put_write(struct inode *inode);
[[nodiscard]] int inode_get_execute(struct inode *inode);
void inode_put_execute(struct inode *inode);

// The memory of a file as an object that can be mapped, with these of the rights READ, WRITE, EXECUTE: a reference for the
// caller. It keeps inode and mount, and counts as one who writes or executes as long as it or a mapping lives.
// -ETXTBSY, -EINVAL (no regular file, or WRITE with EXECUTE), -ENOMEM, -ENFILE.
[[nodiscard]] int file_memory_create(struct job *job, struct file *file, uint32_t rights, struct object **out);
