// The memory of a file as an object that can be mapped.
#include "abi/gen/errors.h"
#include "kernel/fs/vfs/content.h"
#include "kernel/fs/vfs/directory.h"
#include "kernel/fs/vfs/entry.h"
#include "kernel/fs/vfs/file.h"
#include "kernel/fs/vfs/seal.h"
#include "kernel/mm/slub.h"
#include "kernel/object/vmo_object.h"

struct file_memory {
    struct vmo_object memory;  // first: vmo_of works on it
    struct object *family;
    struct inode *inode;
    struct mount *mount;
    struct file *file;      // of a REMOTE inode, whose driver is asked for pages as one who has it open; referenced
    uint32_t rights;
};

static struct file_memory *memory_of(struct object *o) {
    struct vmo_object *memory = container_of(o, struct vmo_object, object);
    return container_of(memory, struct file_memory, memory);
}

static void uncount(struct inode *inode, uint32_t rights) {
    if (rights & KPIO_RIGHT_WRITE) {
        inode_put_write(inode);
        seal_put_map(inode);
    }
    if (rights & KPIO_RIGHT_EXECUTE) inode_put_execute(inode);
}

static void memory_destroy(struct object *o) {
    struct file_memory *m = memory_of(o);
    vmo_put(m->memory.vmo);
    uncount(m->inode, m->rights);
    if (m->file != NULL) object_put(&m->file->object);
    inode_put_later(m->inode);
    mount_put(m->mount);
    object_put(m->family);
}

static const struct object_ops memory_ops = {
    .name = "file memory",
    .rights = VMO_RIGHTS_DATA | KPIO_RIGHT_EXECUTE,
    .destroy = memory_destroy,
};

static int memory_make(struct job *job, struct file *f, uint32_t rights, struct object **out) {
    struct vmo *vmo;
    int error = content_vmo(f->inode, &vmo);
    if (error != 0) return error;
    struct file_memory *m = kzalloc(sizeof *m);
    error = m != NULL ? object_init(&m->memory.object, KPIO_KIND_VMO, &memory_ops, job, sizeof *m) : -ENOMEM;
    if (error != 0) {
        kfree(m);
        vmo_put(vmo);
        return error;
    }
    m->family = object_join_family(&m->memory.object, &f->object);
    m->memory.vmo = vmo;
    if (vmo->id == 0) vmo->id = m->memory.object.id;
    m->inode = f->inode;
    m->mount = f->mount;
    m->rights = rights;
    if (f->opened != NULL) {
        object_get(&f->object);
        m->file = f;
    }
    inode_hold(m->inode);
    mount_hold(m->mount);
    *out = &m->memory.object;
    return 0;
}

int file_memory_create(struct job *job, struct file *f, uint32_t rights, struct object **out) {
    if (f->inode->flags & INODE_BAD) return -EIO;
    if (FS_TYPE(f->inode->mode) != FS_REGULAR) return -EINVAL;
    if (rights & KPIO_RIGHT_WRITE && rights & KPIO_RIGHT_EXECUTE) return -EINVAL;
    int error = rights & KPIO_RIGHT_WRITE ? inode_check_change(f->inode) : 0;
    if (error == 0 && rights & KPIO_RIGHT_WRITE) {
        error = seal_get_map(f->inode);
        if (error == 0 && (error = inode_get_write(f->inode)) != 0) seal_put_map(f->inode);
    }
    if (error == 0 && rights & KPIO_RIGHT_EXECUTE) error = inode_get_execute(f->inode);
    if (error != 0) return error;
    error = memory_make(job, f, rights, out);
    if (error != 0) uncount(f->inode, rights);
    return error;
}
