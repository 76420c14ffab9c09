// Reading directories and extended attributes: calls that fill a buffer.
#include "kernel/fs/vfs/attributes.h"
#include "kernel/fs/vfs/directory.h"
#include "kernel/fs/vfs/entry.h"
#include "kernel/syscall/path.h"

#define BUFFER_MAX 16384u  // of one directory_read

static int directory_get(uint64_t value, uint32_t rights, struct directory **out) {
    struct object *o;
    int error = handle_get((kpio_handle)value, KPIO_KIND_DIRECTORY, rights, &o);
    if (error == 0 && !object_tryget(o)) error = -EBADF;
    if (error == 0) *out = directory_of(o);
    return error;
}

// ---- entries ------------------------------------------------------------------------------------------------------------

// Cookies of the file system are shifted by the two entries that it does not tell.
#define COOKIE_DOT 0
#define COOKIE_DOT_DOT 1
#define COOKIE_REST 2

struct reading {
    uint8_t *buffer;
    size_t size, used;
    uint64_t next;      // offset after the last entry taken
    bool full;
};

static bool put_entry(struct reading *r, const char *name, size_t bytes, uint64_t number, uint32_t type, uint64_t next) {
    size_t record = align_up(offsetof(struct kpio_directory_entry, name) + bytes + 1, 8);
    r->full = record > r->size - r->used;
    if (r->full) return false;
    struct kpio_directory_entry *e = (struct kpio_directory_entry *)(r->buffer + r->used);
    memset(e, 0, record);
    e->inode = number;
    e->next = next;
    e->bytes = (uint16_t)record;
    e->type = (uint8_t)(type >> 12);
    e->name_bytes = (uint8_t)bytes;
    memcpy(e->name, name, bytes);
    r->used += record;
    r->next = next;
    return true;
}

static bool emit(void *context, const char *name, size_t bytes, uint64_t number, uint32_t type, uint64_t next) {
    return put_entry(context, name, bytes, number, type, next + COOKIE_REST);
}

static int fill(struct directory *d, struct reading *r, uint64_t offset) {
    struct inode *dir = d->at.inode;
    r->next = offset;
    // The root of a mount of FUSE has a number from its driver once it was asked.
    bool unknown = dir->flags & INODE_REMOTE && dir->number_shown == 0;
    int error = unknown && offset == COOKIE_DOT ? inode_refresh(dir) : 0;
    if (error == 0) error = rw_mutex_lock_shared_killable(&dir->lock);
    if (error != 0) return error;
    error = dir->flags & INODE_DELETED ? -ENOENT : dir->flags & INODE_BAD ? -EIO : 0;
    if (error == 0 && r->next == COOKIE_DOT) (void)put_entry(r, ".", 1, inode_number(dir), FS_DIRECTORY, COOKIE_DOT_DOT);
    bool top = dir == d->root.inode;
    if (error == 0 && r->next == COOKIE_DOT_DOT)
        (void)put_entry(r, "..", 2, inode_number(top ? dir : dir->parent), FS_DIRECTORY, COOKIE_REST);
    if (error == 0 && r->next >= COOKIE_REST && !r->full) error = dir->ops->read_directory(dir, r->next - COOKIE_REST, emit, r);
    rw_mutex_unlock_shared(&dir->lock);
    if (error == 0 && r->used == 0 && r->full) error = -EINVAL;  // not even one fits
    return r->used != 0 ? 0 : error;
}

static int64_t read_into(struct directory *d, struct user_ptr to, uint64_t size, int64_t offset) {
    struct reading r = {.size = MIN(size, BUFFER_MAX)};
    r.buffer = kmalloc(MAX(r.size, 64ul));
    if (r.buffer == NULL) return -ENOMEM;
    bool own = offset == KPIO_OFFSET_CURRENT;
    int error = own ? mutex_lock_killable(&d->lock) : 0;
    if (error != 0) {
        kfree(r.buffer);
        return error;
    }
    error = fill(d, &r, own ? d->offset : (uint64_t)offset);
    if (error == 0 && copy_to_user(to, r.buffer, r.used) != 0) error = -EFAULT;
    if (own && error == 0) d->offset = r.next;
    if (own) mutex_unlock(&d->lock);
    kfree(r.buffer);
    return error != 0 ? error : (int64_t)r.used;
}

int64_t sys_directory_read(uint64_t directory, uint64_t buffer, uint64_t size, uint64_t offset, uint64_t e, uint64_t f) {
    struct directory *d;
    int64_t result = directory_get(directory, KPIO_RIGHT_READ, &d);
    if (result != 0) return result;
    result = (int64_t)offset < KPIO_OFFSET_CURRENT ? -EINVAL : read_into(d, user_ptr(buffer), size, (int64_t)offset);
    object_put(&d->object);
    return result;
}

int64_t sys_directory_path(uint64_t directory, uint64_t buffer, uint64_t size, uint64_t d, uint64_t e, uint64_t f) {
    struct directory *dir;
    int64_t result = directory_get(directory, KPIO_RIGHT_INSPECT, &dir);
    if (result != 0) return result;
    char *text = kmalloc(FS_PATH_MAX);
    result = text != NULL ? directory_path(dir, text, MIN(size, FS_PATH_MAX)) : -ENOMEM;
    if (result >= 0 && copy_to_user(user_ptr(buffer), text, (size_t)result + 1) != 0) result = -EFAULT;
    kfree(text);
    object_put(&dir->object);
    return result;
}

// ---- extended attributes --------------------------------------------------------------------------------------------------

static int copy_name(char name[FS_NAME_MAX + 1], uint64_t address) {
    int64_t bytes = strncpy_from_user(name, user_ptr(address), FS_NAME_MAX + 1);
    if (bytes < 0) return bytes == -E2BIG ? -ERANGE : (int)bytes;
    const char *dot = strchr(name, '.');
    return bytes == 0 || dot == NULL || dot == name || dot[1] == '\0' ? -EINVAL : 0;
}

// Only what has content of its own carries attributes of users: on a link or node its mode says nothing of who may write them.
static bool takes(const struct inode *inode, const char *name) {
    uint32_t type = FS_TYPE(inode->mode);
    return type == FS_REGULAR || type == FS_DIRECTORY || strncmp(name, "user.", 5) != 0;
}

static int64_t get_or_list(struct inode *inode, const char *name, void *value, size_t size) {
    if (name != NULL ? inode->ops->xattr_get == NULL : inode->ops->xattr_list == NULL) return -EOPNOTSUPP;
    if (inode->flags & INODE_BAD) return -EIO;
    if (name != NULL && !takes(inode, name)) return -ENODATA;
    int error = rw_mutex_lock_shared_killable(&inode->lock);
    if (error != 0) return error;
    int64_t bytes = name != NULL ? inode->ops->xattr_get(inode, name, value, size) : inode->ops->xattr_list(inode, value, size);
    rw_mutex_unlock_shared(&inode->lock);
    return bytes;
}

// name NULL: the list.
static int64_t xattr_out(uint64_t at, uint64_t path, uint64_t flags, const char *name, uint64_t buffer, uint64_t size) {
    struct target t;
    if ((uint32_t)flags & ~PATH_FLAGS_ALL) return -EINVAL;
    size = MIN(size, (uint64_t)KPIO_XATTR_SIZE_MAX);
    void *value = size != 0 ? kmalloc(size) : NULL;
    if (size != 0 && value == NULL) return -ENOMEM;
    int64_t bytes = target_find(&t, at, path, flags, KPIO_RIGHT_INSPECT, KPIO_RIGHT_INSPECT, true);
    if (bytes == 0) bytes = get_or_list(t.at.inode, name, value, size);
    if (bytes > 0 && size != 0 && copy_to_user(user_ptr(buffer), value, (size_t)bytes) != 0) bytes = -EFAULT;
    target_end(&t);
    kfree(value);
    return bytes;
}

int64_t sys_path_xattr_get(uint64_t at, uint64_t path, uint64_t flags, uint64_t name_at, uint64_t buffer, uint64_t size) {
    char name[FS_NAME_MAX + 1];
    int error = copy_name(name, name_at);
    return error != 0 ? error : xattr_out(at, path, flags, name, buffer, size);
}

int64_t sys_path_xattr_list(uint64_t at, uint64_t path, uint64_t flags, uint64_t buffer, uint64_t size, uint64_t f) {
    return xattr_out(at, path, flags, NULL, buffer, size);
}

static int change(struct inode *inode, const char *name, const void *value, size_t size, uint32_t flags) {
    bool removes = flags & KPIO_XATTR_REMOVE;
    if (removes ? inode->ops->xattr_remove == NULL : inode->ops->xattr_set == NULL) return -EOPNOTSUPP;
    if (!takes(inode, name)) return -EPERM;
    int error = rw_mutex_lock_killable(&inode->lock);
    if (error != 0) return error;
    error = inode_check_change(inode);
    if (error == 0 && removes) error = inode->ops->xattr_remove(inode, name);
    else if (error == 0) error = inode->ops->xattr_set(inode, name, value, size, flags);
    rw_mutex_unlock(&inode->lock);
    return error;
}
_Static_assert((int)KPIO_XATTR_CREATE == FS_XATTR_CREATE && (int)KPIO_XATTR_REPLACE == FS_XATTR_REPLACE, "one set of bits");

static int xattr_in(uint64_t at, uint64_t path, uint32_t flags, const char *name, const void *value, size_t size) {
    struct target t;
    int error = target_find(&t, at, path, flags, KPIO_RIGHT_WRITE, KPIO_RIGHT_MANAGE, true);
    if (error == 0 && !(t.at.mount->rights & KPIO_RIGHT_WRITE)) error = -EACCES;
    if (error == 0 && t.at.mount->flags & FS_MOUNT_READ_ONLY) error = -EROFS;
    if (error == 0) error = change(t.at.inode, name, value, size, flags & (KPIO_XATTR_CREATE | KPIO_XATTR_REPLACE | KPIO_XATTR_REMOVE));
    target_end(&t);
    return error;
}

int64_t sys_path_xattr_set(uint64_t at, uint64_t path, uint64_t flags, uint64_t name_at, uint64_t value_at, uint64_t size) {
    const uint32_t own = KPIO_XATTR_CREATE | KPIO_XATTR_REPLACE | KPIO_XATTR_REMOVE;
    char name[FS_NAME_MAX + 1];
    if ((uint32_t)flags & ~(PATH_FLAGS_ALL | own) || popcount64(flags & own) > 1) return -EINVAL;
    int error = copy_name(name, name_at);
    if (error != 0) return error;
    if (size > KPIO_XATTR_SIZE_MAX) return -E2BIG;
    uint8_t *value = kmalloc(MAX(size, 1ul));
    if (value == NULL) return -ENOMEM;
    error = copy_from_user(value, user_ptr(value_at), flags & KPIO_XATTR_REMOVE ? 0 : size);
    if (error == 0) error = xattr_in(at, path, (uint32_t)flags, name, value, size);
    kfree(value);
    return error;
}
