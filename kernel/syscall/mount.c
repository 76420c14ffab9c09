#include "kernel/syscall/mount.h"

#include "kernel/block/disk_object.h"
#include "kernel/fs/vfs/directory.h"
#include "kernel/fs/vfs/mount.h"
#include "kernel/fs/vfs/vfs.h"
#include "kernel/syscall/path.h"

#define TYPE_MAX 15

struct mounting {
    char type[TYPE_MAX + 1], options[MOUNT_OPTIONS_MAX + 1];
    uint32_t flags;
    struct block_device *device;  // referenced and claimed
};

static int decode(struct mounting *m, uint64_t type, uint64_t disk, uint64_t flags, uint64_t options) {
    *m = (struct mounting){.flags = (uint32_t)flags};
    if ((uint32_t)flags & ~(uint32_t)(KPIO_MOUNT_READ_ONLY | KPIO_MOUNT_NO_ACCESS_TIME)) return -EINVAL;
    int64_t bytes = strncpy_from_user(m->type, user_ptr(type), sizeof m->type);
    if (bytes >= 0 && options != 0) bytes = strncpy_from_user(m->options, user_ptr(options), sizeof m->options);
    if (bytes < 0) return bytes == -E2BIG ? -EINVAL : (int)bytes;
    if ((kpio_handle)disk == KPIO_HANDLE_NONE) return 0;
    struct object *o;
    uint32_t rights = KPIO_RIGHT_READ | (flags & KPIO_MOUNT_READ_ONLY ? 0 : KPIO_RIGHT_WRITE);
    int error = handle_get((kpio_handle)disk, KPIO_KIND_DISK, rights, &o);
    return error != 0 ? error : disk_object_take(o, &m->device);
}
_Static_assert((int)KPIO_MOUNT_READ_ONLY == FS_MOUNT_READ_ONLY && (int)KPIO_MOUNT_NO_ACCESS_TIME == FS_MOUNT_NO_ACCESS_TIME &&
                   (int)KPIO_MOUNT_DAMAGED == FS_MOUNT_DAMAGED, "one set of bits");

static int mount_volume(struct mounting *m, struct filesystem **out) {
    const struct fs_type *type = m->type[0] != '\0' ? fs_type_find(m->type) : NULL;
    bool any = m->type[0] == '\0';
    if (!any && (type == NULL || type->no_device == (m->device != NULL))) return -EINVAL;
    if (any && m->device == NULL) return -EINVAL;
    int error = vfs_prepare();
    if (error != 0) return error;
    return any ? fs_type_probe(m->device, m->flags, m->options, out) : type->mount(m->device, m->flags, m->options, out);
}

int64_t mount_show(struct filesystem *fs) {
    struct process *p = current_process();
    struct mount_table *table;
    struct mount *mount;
    struct directory *d;
    uint32_t rights = FS_RIGHTS_ACCESS;
    if (!p->jit || !fs->type->executes) rights &= ~KPIO_RIGHT_EXECUTE;
    int error = mount_root(fs, rights, &table, &mount);
    if (error != 0) return error;
    struct place root = {mount, mount->root};
    error = directory_create(p->job, table, &root, &root, NULL, &d);
    mount_put(mount);
    mount_table_put(table);
    if (error != 0) return error;
    return handle_install_in(&p->handles, &d->object, (DIRECTORY_RIGHTS & ~FS_RIGHTS_ACCESS) | rights);
}

int64_t sys_fs_mount(uint64_t type, uint64_t disk, uint64_t flags, uint64_t options, uint64_t e, uint64_t f) {
    struct mounting m;
    struct filesystem *fs;
    int64_t result = decode(&m, type, disk, flags, options);
    if (result == 0) result = mount_volume(&m, &fs);
    if (result != 0 && m.device != NULL) {
        block_release(m.device);
        block_put(m.device);
    }
    return result != 0 ? result : mount_show(fs);
}

// ---- mounts in mounts -----------------------------------------------------------------------------------------------------

// A directory of the caller's, held.
static int source_get(uint64_t source, struct directory **out, uint32_t *rights) {
    struct handle *h;
    int error = handle_get_full((kpio_handle)source, KPIO_KIND_DIRECTORY, KPIO_RIGHT_MANAGE, &h);
    if (error != 0) return error;
    if (!object_tryget(h->object)) return -EBADF;
    *out = directory_of(h->object);
    *rights = h->rights & (*out)->at.mount->rights & FS_RIGHTS_ACCESS;
    return 0;
}

static int attach(uint64_t directory, uint64_t path, const struct place *what, uint32_t rights, uint32_t flags, uint64_t key) {
    struct target t;
    int error = target_find(&t, directory, path, 0, KPIO_RIGHT_MANAGE, KPIO_RIGHT_MANAGE, true);
    if (error == 0 && FS_TYPE(t.at.inode->mode) != FS_DIRECTORY) error = -ENOTDIR;
    if (error == 0) {
        struct mount_table *table = t.held != NULL ? directory_of(t.held)->table : t.walk.from->table;
        error = mount_attach(table, &t.at, what, rights, flags & FS_MOUNT_READ_ONLY, key);
    }
    target_end(&t);
    return error;
}

int64_t sys_mount_attach(uint64_t directory, uint64_t path, uint64_t source, uint64_t flags, uint64_t key, uint64_t f) {
    struct directory *d = NULL;
    uint32_t rights = 0;
    bool local = flags & KPIO_MOUNT_LOCAL, sourced = (kpio_handle)source != KPIO_HANDLE_NONE;
    if ((uint32_t)flags & ~(uint32_t)(KPIO_MOUNT_READ_ONLY | KPIO_MOUNT_LOCAL) || local == sourced) return -EINVAL;
    int error = sourced ? source_get(source, &d, &rights) : 0;
    if (error != 0) return error;
    const struct place nowhere = {NULL, NULL};
    error = attach(directory, path, d != NULL ? &d->at : &nowhere, rights, (uint32_t)flags, key);
    if (d != NULL) object_put(&d->object);
    return error;
}

// A local mount is found by the path failing there, with nothing left of it.
int64_t sys_mount_detach(uint64_t directory, uint64_t path, uint64_t flags, uint64_t d, uint64_t e, uint64_t f) {
    struct target t;
    if ((uint32_t)flags & ~(uint32_t)(KPIO_DETACH_LAZY | KPIO_DETACH_FORCE)) return -EINVAL;
    int error = target_find(&t, directory, path, 0, KPIO_RIGHT_MANAGE, KPIO_RIGHT_MANAGE, true);
    bool local = error == -EREMOTE && *t.walk.rest == '\0';
    struct mount *m = local ? t.walk.at.mount : error == 0 ? t.at.mount : NULL;
    if (local && !t.walk.held && !mount_tryhold(m)) m = NULL;
    if (error == 0 && t.at.inode != m->root) error = -EINVAL;
    if (error == 0 && flags & KPIO_DETACH_FORCE && m->fs->ops->abort != NULL) m->fs->ops->abort(m->fs);
    if (m != NULL && (error == 0 || local)) {
        struct mount_table *table = t.held != NULL ? directory_of(t.held)->table : t.walk.from->table;
        error = mount_detach(table, m, flags & KPIO_DETACH_LAZY);
        if (local && !t.walk.held) mount_put(m);
    }
    target_end(&t);
    return error;
}

// The way to where a mount is seen, in `text`, of FS_PATH_MAX bytes.
static int64_t path_of(const struct directory *d, const struct mount *m, char *text) {
    const struct place point = {m->parent, m->point}, top = {(struct mount *)m, m->root};
    if (m == d->root.mount) return place_path(&d->root, &d->root, text, FS_PATH_MAX);
    if (m->parent == NULL) return place_path(&top, &d->root, text, FS_PATH_MAX);
    return place_path(&point, &d->root, text, FS_PATH_MAX);
}

static void tell_of(const struct mount *m, struct kpio_mount_info *out) {
    struct filesystem *fs = m->fs;
    *out = (struct kpio_mount_info){.id = m->id, .parent = m->parent != NULL ? m->parent->id : 0, .key = m->key};
    out->flags = m->flags | (fs == NULL ? KPIO_MOUNT_LOCAL : __atomic_load_n(&fs->flags, __ATOMIC_RELAXED));
    if (fs == NULL) return;
    out->fs = fs->id;
    memcpy(out->type, fs->type->name, strnlen(fs->type->name, sizeof out->type - 1));
    if (fs->device != NULL) memcpy(out->device, fs->device->name, strnlen(fs->device->name, sizeof out->device - 1));
    if (fs->ops->about != NULL) fs->ops->about(fs, out);
}

static int64_t put_mount(const struct directory *d, const struct mount *m, uint64_t info_at, uint64_t path_at, uint64_t size) {
    struct kpio_mount_info info;
    char *text = kmalloc(FS_PATH_MAX);
    if (text == NULL) return -ENOMEM;
    tell_of(m, &info);
    int64_t bytes = path_of(d, m, text);
    if (bytes == -ENOENT || bytes == -EIO) bytes = *text = 0;
    int64_t result = bytes >= 0 && (uint64_t)bytes >= size ? -ERANGE : bytes;
    if (result >= 0 && copy_to_user(user_ptr(path_at), text, (size_t)bytes + 1) != 0) result = -EFAULT;
    if (result >= 0 && copy_to_user(user_ptr(info_at), &info, sizeof info) != 0) result = -EFAULT;
    kfree(text);
    return result;
}

int64_t sys_mount_list(uint64_t directory, uint64_t after, uint64_t info, uint64_t path, uint64_t size, uint64_t f) {
    struct object *o;
    int error = handle_get((kpio_handle)directory, KPIO_KIND_DIRECTORY, KPIO_RIGHT_INSPECT, &o);
    if (error != 0) return error;
    if (!object_tryget(o)) return -EBADF;
    const struct directory *d = directory_of(o);
    struct mount *m = mount_next(d->table, after);
    int64_t result = m == NULL ? -ENOENT : put_mount(d, m, info, path, size);
    if (m != NULL) mount_put(m);
    object_put(o);
    return result;
}

// ---- whole file systems -----------------------------------------------------------------------------------------------------

static int either_get(uint64_t value, uint32_t rights, struct object **out, struct filesystem **fs) {
    struct handle *h = handle_lookup((kpio_handle)value);
    bool file = h != NULL && h->object->kind == KPIO_KIND_FILE;
    int error = handle_get((kpio_handle)value, file ? KPIO_KIND_FILE : KPIO_KIND_DIRECTORY, rights, out);
    if (error == 0 && !object_tryget(*out)) error = -EBADF;
    if (error == 0) *fs = file ? file_of(*out)->inode->fs : directory_of(*out)->at.inode->fs;
    return error;
}

int64_t sys_fs_statistics(uint64_t at, uint64_t statistics, uint64_t c, uint64_t d, uint64_t e, uint64_t f) {
    struct object *o;
    struct filesystem *fs;
    struct fs_statistics s = {0};
    int error = either_get(at, KPIO_RIGHT_INSPECT, &o, &fs);
    if (error != 0) return error;
    fs->ops->statistics(fs, &s);
    struct kpio_fs_statistics out = {
        .block_size = s.block_size, .blocks = s.blocks, .blocks_free = s.blocks_free, .blocks_available = s.blocks_available,
        .inodes = s.inodes, .inodes_free = s.inodes_free, .name_max = s.name_max, .id = fs->id,
        .type_magic = s.type_magic, .flags = __atomic_load_n(&fs->flags, __ATOMIC_RELAXED),
    };
    memcpy(out.type, fs->type->name, strnlen(fs->type->name, sizeof out.type - 1));
    if (fs->device != NULL) memcpy(out.device, fs->device->name, strnlen(fs->device->name, sizeof out.device - 1));
    object_put(o);
    return copy_to_user(user_ptr(statistics), &out, sizeof out);
}

int64_t sys_fs_sync(uint64_t at, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f) {
    struct object *o;
    struct filesystem *fs;
    if ((kpio_handle)at == KPIO_HANDLE_NONE) return vfs_sync_all();
    int error = either_get(at, 0, &o, &fs);
    if (error != 0) return error;
    error = filesystem_sync(fs);
    object_put(o);
    return error;
}
