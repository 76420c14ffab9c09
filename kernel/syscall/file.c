#include "kernel/fs/vfs/file.h"

#include "abi/fs.h"
#include "abi/fuse.h"
#include "kernel/fs/vfs/content.h"
#include "kernel/fs/vfs/directory.h"
#include "kernel/fs/vfs/file_driver.h"
#include "kernel/fs/vfs/lock.h"
#include "kernel/fs/vfs/seal.h"
#include "kernel/ipc/pipe.h"
#include "kernel/mm/slub.h"
#include "kernel/syscall/vector.h"

#define WRITE_FLAGS ((uint32_t)(KPIO_WRITE_APPEND | KPIO_WRITE_SYNC | KPIO_WRITE_DATA_SYNC))

// The file of a handle, referenced: every call here may block.
static inline int file_get(uint64_t value, uint32_t rights, struct file **out) {
    struct object *o;
    int error = handle_get((kpio_handle)value, KPIO_KIND_FILE, rights, &o);
    if (unlikely(error != 0)) return error;
    if (unlikely(!object_tryget(o))) return -EBADF;
    *out = file_of(o);
    return 0;
}
static inline void file_put(struct file *f) { object_put(&f->object); }

int64_t sys_file_read(uint64_t handle, uint64_t buffer, uint64_t size, uint64_t offset, uint64_t e, uint64_t g) {
    struct file *f;
    int error = file_get(handle, KPIO_RIGHT_READ, &f);
    if (unlikely(error != 0)) return error;
    int64_t done = user_range_valid(user_ptr(buffer), size) ? file_read(f, user_ptr(buffer), size, (int64_t)offset) : -EFAULT;
    file_put(f);
    return done;
}

int64_t sys_file_write(uint64_t handle, uint64_t buffer, uint64_t size, uint64_t offset, uint64_t flags, uint64_t g) {
    struct file *f;
    int error = file_get(handle, KPIO_RIGHT_WRITE, &f);
    if (unlikely(error != 0)) return error;
    int64_t done = -EFAULT;
    if ((uint32_t)flags & ~WRITE_FLAGS) done = -EINVAL;
    else if (user_range_valid(user_ptr(buffer), size)) done = file_write(f, user_ptr(buffer), size, (int64_t)offset, (unsigned)flags);
    file_put(f);
    return done;
}

int64_t sys_file_read_vector(uint64_t handle, uint64_t parts, uint64_t count, uint64_t offset, uint64_t flags, uint64_t g) {
    struct file *f;
    struct vector v;
    int64_t done = file_get(handle, KPIO_RIGHT_READ, &f);
    if (done != 0) return done;
    done = (uint32_t)flags & ~(uint32_t)KPIO_READ_NOWAIT ? -EINVAL : 0;
    if (done == 0) {
        done = vector_read(&v, parts, count);
        if (done == 0)
            done = (uint32_t)flags != 0 ? file_read_resident(f, v.parts, v.count, (int64_t)offset)
                                        : file_read_vector(f, v.parts, v.count, (int64_t)offset);
        vector_end(&v);
    }
    file_put(f);
    return done;
}

int64_t sys_file_write_vector(uint64_t handle, uint64_t parts, uint64_t count, uint64_t offset, uint64_t flags, uint64_t g) {
    struct file *f;
    struct vector v;
    int64_t done = file_get(handle, KPIO_RIGHT_WRITE, &f);
    if (done != 0) return done;
    done = (uint32_t)flags & ~WRITE_FLAGS ? -EINVAL : 0;
    if (done == 0) {
        done = vector_read(&v, parts, count);
        if (done == 0) done = file_write_vector(f, v.parts, v.count, (int64_t)offset, (unsigned)flags);
        vector_end(&v);
    }
    file_put(f);
    return done;
}

int64_t sys_file_copy(uint64_t from, uint64_t from_offset, uint64_t to, uint64_t to_offset, uint64_t size, uint64_t g) {
    struct file *source, *target;
    int64_t done = file_get(from, KPIO_RIGHT_READ, &source);
    if (done != 0) return done;
    done = file_get(to, KPIO_RIGHT_WRITE, &target);
    if (done == 0) {
        done = file_copy(source, (int64_t)from_offset, target, (int64_t)to_offset, size);
        file_put(target);
    }
    file_put(source);
    return done;
}

// A directory's offset is a cookie.
static int64_t seek_directory(struct object *o, int64_t offset, uint32_t whence) {
    struct directory *d = directory_of(o);
    if (whence > KPIO_SEEK_CURRENT || offset < 0 || (whence == KPIO_SEEK_CURRENT && offset != 0)) return -EINVAL;
    int error = mutex_lock_killable(&d->lock);
    if (error != 0) return error;
    if (whence == KPIO_SEEK_SET) d->offset = (uint64_t)offset;
    offset = (int64_t)d->offset;
    mutex_unlock(&d->lock);
    return offset;
}

// What may be called on files and directories alike.
static int either_get(uint64_t value, uint32_t rights, struct object **out) {
    struct handle *h = handle_lookup((kpio_handle)value);
    bool directory = h != NULL && h->object->kind == KPIO_KIND_DIRECTORY;
    int error = handle_get((kpio_handle)value, directory ? KPIO_KIND_DIRECTORY : KPIO_KIND_FILE, rights, out);
    return error == 0 && !object_tryget(*out) ? -EBADF : error;
}

int64_t sys_file_seek(uint64_t handle, uint64_t offset, uint64_t whence, uint64_t d, uint64_t e, uint64_t g) {
    struct object *o;
    int error = either_get(handle, 0, &o);
    if (error != 0) return error;
    int64_t at = o->kind == KPIO_KIND_FILE ? file_seek(file_of(o), (int64_t)offset, (unsigned)whence)
                                           : seek_directory(o, (int64_t)offset, (uint32_t)whence);
    object_put(o);
    return at;
}

int64_t sys_file_resize(uint64_t handle, uint64_t size, uint64_t c, uint64_t d, uint64_t e, uint64_t g) {
    struct file *f;
    int error = file_get(handle, KPIO_RIGHT_WRITE, &f);
    if (error != 0) return error;
    error = (int64_t)size < 0 ? -EINVAL : file_resize(f, size);
    file_put(f);
    return error;
}

int64_t sys_file_allocate(uint64_t handle, uint64_t flags, uint64_t offset, uint64_t size, uint64_t e, uint64_t g) {
    struct file *f;
    int error = file_get(handle, KPIO_RIGHT_WRITE, &f);
    if (error != 0) return error;
    uint32_t asked = (uint32_t)flags, punch = KPIO_ALLOCATE_PUNCH_HOLE, zero = KPIO_ALLOCATE_ZERO_RANGE;
    bool known = !(asked & ~(punch | zero | KPIO_ALLOCATE_KEEP_SIZE)) && (asked & (punch | zero)) != (punch | zero);
    if (!known || (asked & punch && !(asked & KPIO_ALLOCATE_KEEP_SIZE))) error = -EINVAL;
    else error = file_allocate(f, asked, offset, size);
    file_put(f);
    return error;
}

int64_t sys_file_sync(uint64_t handle, uint64_t flags, uint64_t c, uint64_t d, uint64_t e, uint64_t g) {
    struct object *o;
    int error = either_get(handle, 0, &o);
    if (error != 0) return error;
    if ((uint32_t)flags & ~(uint32_t)KPIO_SYNC_DATA) error = -EINVAL;
    else if (o->kind == KPIO_KIND_FILE) error = file_sync(file_of(o), flags & KPIO_SYNC_DATA);
    else error = content_sync(directory_of(o)->at.inode, flags & KPIO_SYNC_DATA);
    object_put(o);
    return error;
}

int64_t sys_file_advise(uint64_t handle, uint64_t offset, uint64_t size, uint64_t advice, uint64_t e, uint64_t g) {
    struct file *f;
    int error = file_get(handle, 0, &f);
    if (error != 0) return error;
    if ((uint32_t)advice > KPIO_ADVICE_DROP) error = -EINVAL;
    else if ((uint32_t)advice == KPIO_ADVICE_DROP && f->inode->cache.ops != NULL)
        file_cache_drop(&f->inode->cache, offset, size == 0 ? UINT64_MAX - offset : size);
    file_put(f);
    return error;
}

int64_t sys_file_flags(uint64_t handle, uint64_t clear, uint64_t set, uint64_t d, uint64_t e, uint64_t g) {
    struct file *f;
    int error = file_get(handle, 0, &f);
    if (error != 0) return error;
    uint32_t flags = __atomic_load_n(&f->flags, __ATOMIC_RELAXED);
    bool valid = !(((uint32_t)clear | (uint32_t)set) & ~KPIO_FILE_FLAGS_KEPT);
    while (valid && (clear | set) != 0 &&
           !__atomic_compare_exchange_n(&f->flags, &flags, (flags & ~(uint32_t)clear) | (uint32_t)set, true, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED)) {
    }
    file_put(f);
    return valid ? (int64_t)((flags & ~(uint32_t)clear) | (uint32_t)set) : -EINVAL;
}

int64_t sys_file_seal(uint64_t handle, uint64_t add, uint64_t c, uint64_t d, uint64_t e, uint64_t g) {
    const uint32_t all = KPIO_SEAL_SEAL | KPIO_SEAL_SHRINK | KPIO_SEAL_GROW | KPIO_SEAL_WRITE | KPIO_SEAL_FUTURE_WRITE;
    struct file *f;
    int64_t result = file_get(handle, (uint32_t)add != 0 ? KPIO_RIGHT_WRITE : 0, &f);
    if (result != 0) return result;
    result = (uint32_t)add & ~all ? -EINVAL : file_seal(f, (uint32_t)add);
    file_put(f);
    return result;
}

int64_t sys_file_lock(uint64_t handle, uint64_t lock_at, uint64_t deadline, uint64_t d, uint64_t e, uint64_t g) {
    struct object *o;
    struct kpio_file_lock lock;
    int error = syscall_get(handle, KPIO_KIND_NONE, 0, &o);
    if (error != 0) return error;
    const bool is_pipe = o->kind == KPIO_KIND_PIPE, known = is_pipe || o->kind == KPIO_KIND_FILE || o->kind == KPIO_KIND_DIRECTORY;
    error = known ? copy_from_user(&lock, user_ptr(lock_at), sizeof lock) : -EWRONGTYPE;
    if (error == 0 && is_pipe) error = pipe_lock(pipe_end_of(o), (kpio_handle)handle, &lock, deadline);
    else if (error == 0) {
        struct inode *inode = o->kind == KPIO_KIND_FILE ? file_of(o)->inode : directory_of(o)->at.inode;
        error = file_lock(o, inode, (kpio_handle)handle, &lock, deadline);
    }
    if (error == 0 && lock.flags & KPIO_LOCK_TEST) error = copy_to_user(user_ptr(lock_at), &lock, sizeof lock);
    object_put(o);
    return error;
}

int64_t sys_file_poll(uint64_t handle, uint64_t events, uint64_t c, uint64_t d, uint64_t e, uint64_t g) {
    struct file *f;
    int64_t result = file_get(handle, KPIO_RIGHT_WAIT, &f);
    if (result != 0) return result;
    result = (uint32_t)events & ~(uint32_t)KPIO_POLL_ALL ? -EINVAL : file_poll(f, (uint32_t)events);
    file_put(f);
    return result;
}

// With memory for both ways, which may be the same bytes of the caller's.
static int64_t control(struct file *f, uint32_t command, uint64_t argument, void *data) {
    const uint32_t bytes = FUSE_IOCTL_BYTES(command);
    struct fs_control c = {.command = command, .argument = argument, .data = data};
    if (FUSE_IOCTL_TAKES(command)) c.in_bytes = bytes;
    if (FUSE_IOCTL_GIVES(command)) c.out_bytes = bytes;
    int error = c.in_bytes != 0 ? copy_from_user(data, user_ptr(argument), bytes) : 0;
    if (error != 0) return error;
    int64_t result = file_control(f, &c);
    error = c.out_bytes != 0 ? copy_to_user(user_ptr(argument), data, c.out_bytes) : 0;
    return error != 0 ? error : result;
}

// Who has a handle for reading only of a file that is open for writing does not control it as one who writes.
int64_t sys_file_control(uint64_t handle, uint64_t command, uint64_t argument, uint64_t d, uint64_t e, uint64_t g) {
    struct handle *h;
    struct file *f;
    int64_t result = handle_get_full((kpio_handle)handle, KPIO_KIND_FILE, 0, &h);
    const uint32_t rights = result == 0 ? h->rights : 0;
    if (result == 0) result = file_get(handle, 0, &f);
    if (result != 0) return result;
    void *data = kmalloc(MAX(FUSE_IOCTL_BYTES(command), 1u));
    bool allowed = rights & KPIO_RIGHT_WRITE || (rights & KPIO_RIGHT_READ && !f->writes);
    result = !allowed ? -EACCES : data == NULL ? -ENOMEM : control(f, (uint32_t)command, argument, data);
    kfree(data);
    file_put(f);
    return result;
}

#define MEMORY_OWN (KPIO_RIGHT_MAP | KPIO_RIGHT_INSPECT | KPIO_RIGHT_EXPIRE)
#define MEMORY_INHERITED (KPIO_RIGHT_TRANSFER | KPIO_RIGHT_DUPLICATE)

int64_t sys_file_vmo(uint64_t handle, uint64_t rights, uint64_t c, uint64_t d, uint64_t e, uint64_t g) {
    struct file *f;
    struct object *memory;
    struct handle *h;
    if ((uint32_t)rights & ~(uint32_t)FS_RIGHTS_ACCESS) return -EINVAL;
    int error = file_get(handle, (uint32_t)rights, &f);
    if (error != 0) return error;
    error = file_memory_create(current_process()->job, f, (uint32_t)rights, &memory);
    // Creating it may have blocked: the handle must still be there.
    if (error == 0) {
        error = handle_get_full((kpio_handle)handle, KPIO_KIND_FILE, (uint32_t)rights, &h);
        if (error == 0 && file_of(h->object) != f) error = -EBADF;
        if (error != 0) object_put(memory);
    }
    int64_t value = error;
    uint32_t all = (uint32_t)rights | MEMORY_OWN;
    if (error == 0) value = handle_install_child(memory, all | (h->rights & MEMORY_INHERITED), h);
    file_put(f);
    return value;
}
