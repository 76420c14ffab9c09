#include "kernel/fs/vfs/file.h"

#include "abi/fs.h"
#include "abi/gen/errors.h"
#include "kernel/fs/vfs/attributes.h"
#include "kernel/fs/vfs/content.h"
#include "kernel/fs/vfs/directory.h"
#include "kernel/fs/vfs/entry.h"
#include "kernel/fs/vfs/file_driver.h"
#include "kernel/fs/vfs/lock.h"
#include "kernel/fs/vfs/seal.h"
#include "kernel/mm/slub.h"
#include "kernel/mm/usercopy.h"

static struct kmem_cache file_cache_objects;

// ---- who writes, who executes -------------------------------------------------------------------------------------------

static int count(struct inode *inode, int32_t step) {
    int32_t now = __atomic_load_n(&inode->writers, __ATOMIC_RELAXED);
    do {
        if (step > 0 ? now < 0 : now > 0) return -ETXTBSY;
    } while (!__atomic_compare_exchange_n(&inode->writers, &now, now + step, true, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
    return 0;
}
int inode_get_write(struct inode *inode) { return count(inode, 1); }
int inode_get_execute(struct inode *inode) { return count(inode, -1); }
void inode_put_write(struct inode *inode) { __atomic_fetch_sub(&inode->writers, 1, __ATOMIC_RELEASE); }
void inode_put_execute(struct inode *inode) { __atomic_fetch_add(&inode->writers, 1, __ATOMIC_RELEASE); }

// ---- the object -------------------------------------------------------------------------------------------------------

static void file_unreachable(struct object *o) { locks_release_file(o, file_of(o)->inode); }

static void file_handle_gone(struct object *o, struct handle *h) { locks_handle_gone(file_of(o)->inode, h); }

static void file_destroy(struct object *o) {
    struct file *f = file_of(o);
    if (f->writes) inode_put_write(f->inode);
    if (f->opened != NULL) f->inode->ops->release(f->inode, f->opened);
    inode_put_later(f->inode);
    mount_put(f->mount);
    if (f->family != NULL) object_put(f->family);
}

static void file_free(struct rcu_head *head) { slub_free(&file_cache_objects, file_of(container_of(head, struct object, rcu))); }

static uint32_t file_signals(struct object *o, uint64_t *value) {
    *value = 0;
    return file_poll_signals(file_of(o));
}

static const struct object_ops file_ops = {
    .name = "file",
    .rights = FILE_RIGHTS,
    .unreachable = file_unreachable,
    .destroy = file_destroy,
    .free = file_free,
    .handle_gone = file_handle_gone,
    .signals = file_signals,
};

void file_init(void) { slub_cache_init(&file_cache_objects, "file", sizeof(struct file), 0); }

int file_create(struct job *job, const struct place *place, uint32_t flags, bool writes, struct object *family, struct file **out) {
    if (writes && inode_get_write(place->inode) != 0) return -ETXTBSY;
    struct file *f = slub_alloc_zeroed(&file_cache_objects);
    int error = f != NULL ? object_init(&f->object, KPIO_KIND_FILE, &file_ops, job, sizeof *f) : -ENOMEM;
    if (error != 0) {
        if (f != NULL) slub_free(&file_cache_objects, f);
        if (writes) inode_put_write(place->inode);
        return error;
    }
    if (family != NULL) f->family = object_join_family(&f->object, family);
    f->inode = place->inode;
    f->mount = place->mount;
    inode_hold(f->inode);
    mount_hold(f->mount);
    f->flags = flags & KPIO_FILE_FLAGS_KEPT;
    f->writes = writes;
    f->error_seen = __atomic_load_n(&f->inode->cache.error_sequence, __ATOMIC_RELAXED);
    mutex_init(&f->lock, "file");
    *out = f;
    return 0;
}

int file_open(struct file *f, uint32_t rights) {
    struct inode *inode = f->inode;
    if (likely(!(inode->flags & INODE_REMOTE)) || FS_TYPE(inode->mode) != FS_REGULAR) return 0;
    int error = inode_refresh(inode);
    return error != 0 ? error : inode->ops->open(inode, rights, f->flags, &f->opened);
}

// ---- reading and writing ------------------------------------------------------------------------------------------------

#define DAY 86400
#define FAULT_IN_MOST 65536ul  // bytes, at once

static bool is_later(const struct fs_time *a, const struct fs_time *b) {
    return a->seconds != b->seconds ? a->seconds > b->seconds : a->nanoseconds > b->nanoseconds;
}

// As relatime: when it was read last counts only against when it was written last, and once a day.
static coldpath void touch_accessed(struct inode *inode) {
    struct fs_time now = fs_now();
    rw_mutex_lock(&inode->lock);
    inode->accessed = now;
    inode_mark_dirty(inode);
    rw_mutex_unlock(&inode->lock);
}

static inline bool is_noted(const struct inode *inode) {
    return is_later(&inode->accessed, &inode->modified) && is_later(&inode->accessed, &inode->changed);
}

static inline void note_read(struct file *f) {
    struct inode *inode = f->inode;
    if (likely(is_noted(inode))) return;
    if (inode->flags & INODE_REMOTE) return;  // its driver sees who reads
    if (f->flags & KPIO_OPEN_NO_ACCESS_TIME || inode->fs->flags & (FS_MOUNT_NO_ACCESS_TIME | FS_MOUNT_READ_ONLY)) return;
    touch_accessed(inode);
}

static inline int check_regular(const struct inode *inode) {
    if (unlikely(inode->flags & INODE_BAD)) return -EIO;
    return likely(FS_TYPE(inode->mode) == FS_REGULAR) ? 0 : -EINVAL;
}

static coldpath int64_t read_opened(struct file *f, uint64_t offset, struct user_ptr to, uint64_t bytes) {
    int64_t done = f->inode->ops->read(f->inode, f->opened, offset, to, bytes);
    return done != -EAGAIN ? done : content_read(f->inode, offset, to, bytes);
}

static inline int64_t read_some(struct file *f, uint64_t offset, struct user_ptr to, uint64_t bytes) {
    return likely(f->opened == NULL) ? content_read(f->inode, offset, to, bytes) : read_opened(f, offset, to, bytes);
}

static __attribute__((noinline)) int64_t read_slowly(struct file *f, struct user_ptr to, uint64_t bytes, int64_t offset) {
    int error = check_regular(f->inode);
    if (error != 0) return error;
    if (bytes > INT64_MAX) bytes = INT64_MAX;
    note_read(f);
    if (offset >= 0) return read_some(f, (uint64_t)offset, to, bytes);
    if (offset != KPIO_OFFSET_CURRENT) return -EINVAL;
    error = mutex_lock_killable(&f->lock);
    if (error != 0) return error;
    int64_t done = read_some(f, f->offset, to, bytes);
    if (done > 0) f->offset += (uint64_t)done;
    mutex_unlock(&f->lock);
    return done;
}

// At a given place of a file that was read before, or whose driver sees who reads: nothing but its content is looked at.
int64_t file_read(struct file *f, struct user_ptr to, uint64_t bytes, int64_t offset) {
    struct inode *inode = f->inode;
    bool placed = offset >= 0 && bytes <= INT64_MAX && check_regular(inode) == 0;
    if (likely(placed && f->opened == NULL && is_noted(inode))) return content_read(inode, (uint64_t)offset, to, bytes);
    if (placed && f->opened != NULL) return read_opened(f, (uint64_t)offset, to, bytes);
    return read_slowly(f, to, bytes, offset);
}

// At most `most` bytes.
static int64_t read_parts(struct file *f, uint64_t offset, const struct kpio_io_vector *parts, uint32_t count, uint64_t most) {
    int64_t done = 0;
    for (uint32_t i = 0; i < count; i++) {
        const uint64_t size = MIN(parts[i].size, most - (uint64_t)done);
        int64_t n = read_some(f, offset + (uint64_t)done, user_ptr(parts[i].address), size);
        if (n < 0) return done != 0 ? done : n;
        done += n;
        if ((uint64_t)n < parts[i].size) break;
    }
    return done;
}

int64_t file_read_vector(struct file *f, const struct kpio_io_vector *parts, uint32_t count, int64_t offset) {
    int error = check_regular(f->inode);
    if (error != 0) return error;
    note_read(f);
    if (offset >= 0) return read_parts(f, (uint64_t)offset, parts, count, UINT64_MAX);
    if (offset != KPIO_OFFSET_CURRENT) return -EINVAL;
    error = mutex_lock_killable(&f->lock);
    if (error != 0) return error;
    int64_t done = read_parts(f, f->offset, parts, count, UINT64_MAX);
    if (done > 0) f->offset += (uint64_t)done;
    mutex_unlock(&f->lock);
    return done;
}

static int64_t read_what_is_there(struct file *f, uint64_t offset, const struct kpio_io_vector *parts, uint32_t count) {
    if (offset >= inode_size(f->inode)) return 0;
    const uint64_t most = content_resident(f->inode, offset, INT64_MAX - offset);
    return most == 0 ? -EAGAIN : read_parts(f, offset, parts, count, most);
}

// When it was read is not noted: that may wait.
int64_t file_read_resident(struct file *f, const struct kpio_io_vector *parts, uint32_t count, int64_t offset) {
    int error = check_regular(f->inode);
    if (error != 0) return error;
    if (offset < 0 && offset != KPIO_OFFSET_CURRENT) return -EINVAL;
    if (f->opened != NULL) return -EAGAIN;
    if (offset >= 0) return read_what_is_there(f, (uint64_t)offset, parts, count);
    error = mutex_lock_killable(&f->lock);
    if (error != 0) return error;
    int64_t done = read_what_is_there(f, f->offset, parts, count);
    if (done > 0) f->offset += (uint64_t)done;
    mutex_unlock(&f->lock);
    return done;
}

static int check_write(const struct inode *inode, bool append) {
    int error = inode_check_change(inode);
    return error == 0 && inode->flags & INODE_APPEND && !append ? -EPERM : error;
}

static coldpath int64_t write_opened(struct file *f, uint64_t offset, struct user_ptr from, uint64_t bytes) {
    int64_t done = f->inode->ops->write(f->inode, f->opened, offset, from, bytes);
    return done != -EAGAIN ? done : content_write(f->inode, offset, from, bytes);
}

static inline int64_t write_some(struct file *f, uint64_t offset, struct user_ptr from, uint64_t bytes) {
    return likely(f->opened == NULL) ? content_write(f->inode, offset, from, bytes) : write_opened(f, offset, from, bytes);
}

static int64_t write_parts(struct file *f, uint64_t offset, const struct kpio_io_vector *parts, uint32_t count) {
    int64_t done = 0;
    for (uint32_t i = 0; i < count; i++) {
        int64_t n = seal_check_write(f->inode, offset + (uint64_t)done, parts[i].size);
        if (n == 0) n = write_some(f, offset + (uint64_t)done, user_ptr(parts[i].address), parts[i].size);
        if (n < 0) return done != 0 ? done : n;
        done += n;
        if ((uint64_t)n < parts[i].size) break;
    }
    return done;
}

static int64_t write_locked(struct file *f, const struct kpio_io_vector *parts, uint32_t count, uint64_t *offset, bool append) {
    struct inode *inode = f->inode;
    int64_t done = check_write(inode, append);
    if (done != 0) return done;
    if (append) *offset = inode_size(inode);
    done = write_parts(f, *offset, parts, count);
    if (done <= 0) return done;
    *offset += (uint64_t)done;
    inode->modified = inode->changed = fs_now();
    inode_mark_dirty(inode);
    if (unlikely(f->opened != NULL)) {
        int error = inode->ops->written(inode, f->opened, *offset - (uint64_t)done, (uint64_t)done);
        if (error != 0) return error;
    }
    return done;
}

// Under the inode's lock no fault is served for which a driver would have to be asked: *missed.
static inline __attribute__((always_inline)) int64_t write_once(struct file *f, const struct kpio_io_vector *parts, uint32_t count,
                                                                uint64_t *offset, bool append, bool *missed) {
    struct thread *t = current_thread();
    int64_t done = rw_mutex_lock_killable(&f->inode->lock);
    if (done != 0) return done;
    t->remote_faults = REMOTE_FAULTS_REFUSED;
    done = write_locked(f, parts, count, offset, append);
    *missed = t->remote_faults == REMOTE_FAULT_MET;
    t->remote_faults = REMOTE_FAULTS_SERVED;
    rw_mutex_unlock(&f->inode->lock);
    return done;
}

// What is left of the pieces behind that many bytes, of the first that has some.
static struct kpio_io_vector next_piece(const struct kpio_io_vector *parts, uint32_t count, uint64_t done) {
    for (uint32_t i = 0; i < count; done -= parts[i++].size)
        if (done < parts[i].size) return (struct kpio_io_vector){parts[i].address + done, parts[i].size - done};
    return (struct kpio_io_vector){0};
}

// Goes on where memory was missing. It is waited for without the lock, and somebody else may write in between.
static coldpath int64_t write_rest(struct file *f, const struct kpio_io_vector *parts, uint32_t count, uint64_t *offset, bool append,
                                   int64_t done) {
    uint64_t total = done > 0 ? (uint64_t)done : 0;
    for (bool missed = true; missed;) {
        const struct kpio_io_vector piece = next_piece(parts, count, total);
        done = piece.size != 0 ? user_fault_in(user_ptr(piece.address), MIN(piece.size, FAULT_IN_MOST), false) : 0;
        if (done == 0 && sched_preempt_point()) done = -EINTR;
        missed = false;
        if (done != 0 || piece.size == 0) break;
        done = write_once(f, &piece, 1, offset, append, &missed);
        if (done > 0) total += (uint64_t)done;
        if ((uint64_t)done == piece.size) missed = true;  // the next one
    }
    return total != 0 ? (int64_t)total : done;
}

static int64_t write_at(struct file *f, const struct kpio_io_vector *parts, uint32_t count, uint64_t *offset, unsigned flags) {
    bool append = f->flags & KPIO_OPEN_APPEND || flags & KPIO_WRITE_APPEND, missed = false;
    int64_t done = append ? inode_refresh(f->inode) : 0;
    if (done == 0) done = write_once(f, parts, count, offset, append, &missed);
    if (unlikely(missed)) done = write_rest(f, parts, count, offset, append, done);
    bool sync = f->flags & KPIO_OPEN_SYNC || flags & KPIO_WRITE_SYNC;
    if (done > 0 && (sync || f->flags & KPIO_OPEN_DATA_SYNC || flags & KPIO_WRITE_DATA_SYNC)) {
        int error = file_sync(f, !sync);
        if (error != 0) return error;
    }
    return done;
}

int64_t file_write_vector(struct file *f, const struct kpio_io_vector *parts, uint32_t count, int64_t offset, unsigned flags) {
    int error = check_regular(f->inode);
    if (error != 0) return error;
    if (offset >= 0) return write_at(f, parts, count, &(uint64_t){(uint64_t)offset}, flags);
    if (offset != KPIO_OFFSET_CURRENT) return -EINVAL;
    error = mutex_lock_killable(&f->lock);
    if (error != 0) return error;
    int64_t done = write_at(f, parts, count, &f->offset, flags);
    mutex_unlock(&f->lock);
    return done;
}

int64_t file_write(struct file *f, struct user_ptr from, uint64_t bytes, int64_t offset, unsigned flags) {
    const struct kpio_io_vector whole = {from.v, MIN(bytes, (uint64_t)INT64_MAX)};
    return file_write_vector(f, &whole, 1, offset, flags);
}

// ---- from file to file ------------------------------------------------------------------------------------------------------

#define COPY_CHUNK 16384u

static int64_t write_chunk(struct file *to, const void *bytes, uint64_t size, uint64_t offset) {
    struct inode *inode = to->inode;
    int64_t n = rw_mutex_lock_killable(&inode->lock);
    if (n != 0) return n;
    n = check_write(inode, false);
    if (n == 0) n = seal_check_write(inode, offset, size);
    if (n == 0) n = content_write_kernel(inode, offset, bytes, size);
    if (n > 0) {
        inode->modified = inode->changed = fs_now();
        inode_mark_dirty(inode);
        int error = to->opened != NULL ? inode->ops->written(inode, to->opened, offset, (uint64_t)n) : 0;
        if (error != 0) n = error;
    }
    rw_mutex_unlock(&inode->lock);
    return n;
}

static int64_t copy_chunks(struct file *from, uint64_t from_offset, struct file *to, uint64_t to_offset, uint64_t size, void *chunk) {
    uint64_t done = 0;
    while (done < size) {
        uint64_t wanted = MIN(size - done, (uint64_t)COPY_CHUNK);
        int64_t n = content_read_kernel(from->inode, from_offset + done, chunk, wanted);
        if (n > 0) n = write_chunk(to, chunk, (uint64_t)n, to_offset + done);
        if (n < 0) return done != 0 ? (int64_t)done : n;
        done += (uint64_t)n;
        if ((uint64_t)n < wanted || sched_preempt_point()) break;
    }
    return (int64_t)done;
}

static int64_t copy_through_memory(struct file *from, uint64_t from_offset, struct file *to, uint64_t to_offset, uint64_t size) {
    void *chunk = kmalloc(COPY_CHUNK);
    if (chunk == NULL) return -ENOMEM;
    int64_t done = copy_chunks(from, from_offset, to, to_offset, size, chunk);
    kfree(chunk);
    return done;
}

static int64_t copy_locked(struct file *from, int64_t from_offset, struct file *to, int64_t to_offset, uint64_t size) {
    uint64_t source = from_offset >= 0 ? (uint64_t)from_offset : from->offset, end, target_end;
    uint64_t target = to_offset >= 0 ? (uint64_t)to_offset : to->offset;
    if (!checked_add(source, size, &end) || !checked_add(target, size, &target_end) || (int64_t)end < 0 || (int64_t)target_end < 0)
        return -EINVAL;
    // What there is of it counts: at its end nothing overlaps.
    const uint64_t there = inode_size(from->inode);
    size = source < there ? MIN(size, there - source) : 0;
    if (from->inode == to->inode && size > 0 && source < target + size && target < source + size) return -EINVAL;
    note_read(from);
    int64_t done = size > 0 ? file_copy_there(from, source, to, target, size) : 0;
    if (done == -EOPNOTSUPP) done = copy_through_memory(from, source, to, target, size);
    if (done > 0 && from_offset < 0) from->offset += (uint64_t)done;
    if (done > 0 && to_offset < 0) to->offset += (uint64_t)done;
    return done;
}

int64_t file_copy(struct file *from, int64_t from_offset, struct file *to, int64_t to_offset, uint64_t size) {
    int error = check_regular(from->inode);
    if (error == 0) error = check_regular(to->inode);
    if (error == 0 && to->flags & KPIO_OPEN_APPEND) error = -EINVAL;
    if (from_offset < KPIO_OFFSET_CURRENT || to_offset < KPIO_OFFSET_CURRENT) error = -EINVAL;
    if (error != 0) return error;
    // The locks of both offsets, by address; one only for those that use it.
    struct file *a = from_offset < 0 ? from : NULL, *b = to_offset < 0 && (to != from || a == NULL) ? to : NULL;
    struct file *first = a == NULL || (b != NULL && b < a) ? b : a, *second = first == a ? b : a;
    if (first != NULL && (error = mutex_lock_killable(&first->lock)) != 0) return error;
    error = second != NULL ? mutex_lock_killable(&second->lock) : 0;
    int64_t done = error == 0 ? copy_locked(from, from_offset, to, to_offset, size) : error;
    if (second != NULL && error == 0) mutex_unlock(&second->lock);
    if (first != NULL) mutex_unlock(&first->lock);
    if (done > 0 && to->flags & (KPIO_OPEN_SYNC | KPIO_OPEN_DATA_SYNC)) {
        error = file_sync(to, !(to->flags & KPIO_OPEN_SYNC));
        if (error != 0) return error;
    }
    return done;
}

static int64_t seek_target(struct file *f, int64_t offset, unsigned whence) {
    int64_t base = whence == KPIO_SEEK_CURRENT ? (int64_t)f->offset : whence == KPIO_SEEK_END ? (int64_t)inode_size(f->inode) : 0, sum;
    if (whence <= KPIO_SEEK_END) {
        if (__builtin_add_overflow(base, offset, &sum)) return -EOVERFLOW;
        return sum >= 0 ? sum : -EINVAL;
    }
    if (whence > KPIO_SEEK_HOLE) return -EINVAL;
    if (offset < 0) return -ENXIO;
    sum = rw_mutex_lock_shared_killable(&f->inode->lock);
    if (sum != 0) return sum;
    sum = content_seek(f->inode, (uint64_t)offset, whence == KPIO_SEEK_DATA);
    rw_mutex_unlock_shared(&f->inode->lock);
    return sum;
}

int64_t file_seek(struct file *f, int64_t offset, unsigned whence) {
    int error = check_regular(f->inode);
    if (error != 0) return error;
    if (whence != KPIO_SEEK_SET) error = inode_refresh(f->inode);
    if (error == 0) error = mutex_lock_killable(&f->lock);
    if (error != 0) return error;
    int64_t target = seek_target(f, offset, whence);
    if (target >= 0) f->offset = (uint64_t)target;
    mutex_unlock(&f->lock);
    return target;
}

// ---- size -------------------------------------------------------------------------------------------------------------

int inode_resize(struct inode *inode, uint64_t size) {
    int error = check_regular(inode);
    if (error != 0) return error;
    error = rw_mutex_lock_killable(&inode->lock);
    if (error != 0) return error;
    error = check_write(inode, false);
    if (error == 0) error = seal_check_resize(inode, size);
    if (error == 0) error = content_resize(inode, size);
    if (error == 0) {
        inode->modified = inode->changed = fs_now();
        inode_mark_dirty(inode);
    }
    rw_mutex_unlock(&inode->lock);
    return error;
}

int file_resize(struct file *f, uint64_t size) { return inode_resize(f->inode, size); }

int file_allocate(struct file *f, unsigned flags, uint64_t offset, uint64_t bytes) {
    _Static_assert((int)KPIO_ALLOCATE_PUNCH_HOLE == FS_ALLOCATE_PUNCH_HOLE && (int)KPIO_ALLOCATE_KEEP_SIZE == FS_ALLOCATE_KEEP_SIZE &&
                   (int)KPIO_ALLOCATE_ZERO_RANGE == FS_ALLOCATE_ZERO_RANGE, "one set of bits");
    struct inode *inode = f->inode;
    int error = check_regular(inode);
    if (error != 0) return error;
    if (bytes == 0 || (int64_t)offset < 0 || (int64_t)bytes < 0) return -EINVAL;
    error = rw_mutex_lock_killable(&inode->lock);
    if (error != 0) return error;
    error = check_write(inode, !(flags & (FS_ALLOCATE_PUNCH_HOLE | FS_ALLOCATE_ZERO_RANGE)));
    if (error == 0) error = seal_check_allocate(inode, flags, offset, bytes);
    if (error == 0) error = content_allocate(inode, offset, bytes, flags);
    if (error == 0) {
        inode->modified = inode->changed = fs_now();
        inode_mark_dirty(inode);
    }
    rw_mutex_unlock(&inode->lock);
    return error;
}

int file_sync(struct file *f, bool data_only) {
    struct inode *inode = f->inode;
    if (inode->flags & INODE_BAD) return -EIO;
    int error = content_sync(inode, data_only);
    uint32_t sequence = __atomic_load_n(&inode->cache.error_sequence, __ATOMIC_ACQUIRE);
    if (inode->cache.ops == NULL || sequence == __atomic_exchange_n(&f->error_seen, sequence, __ATOMIC_RELAXED)) return error;
    return error != 0 ? error : inode->cache.error != 0 ? inode->cache.error : -EIO;
}
