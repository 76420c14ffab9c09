#include "kernel/fs/vfs/open.h"

#include "abi/fs.h"
#include "abi/gen/errors.h"
#include "kernel/fs/vfs/entry.h"
#include "kernel/fs/vfs/fifo.h"
#include "kernel/fs/vfs/walk.h"
#include "kernel/object/process.h"

#define OPEN_FLAGS                                                                                                     \
    (KPIO_OPEN_CREATE | KPIO_OPEN_EXCLUSIVE | KPIO_OPEN_TRUNCATE | KPIO_OPEN_APPEND | KPIO_OPEN_DIRECTORY |            \
     KPIO_OPEN_TEMPORARY | KPIO_OPEN_ROOT | KPIO_OPEN_SYNC | KPIO_OPEN_DATA_SYNC | KPIO_OPEN_NO_ACCESS_TIME |          \
     KPIO_OPEN_BY_TYPE | 0xff000000u)
#define PATH_FLAGS                                                                                                     \
    (uint32_t)(KPIO_PATH_NO_FOLLOW | KPIO_PATH_NO_LINKS | KPIO_PATH_NO_MOUNTS | KPIO_PATH_BENEATH | KPIO_PATH_IN_ROOT)
#define MODE_BITS 07777u

uint32_t walk_flags_of(uint32_t flags) {
    uint32_t walk = flags & KPIO_PATH_NO_FOLLOW ? 0 : WALK_FOLLOW;
    if (likely(!(flags & (PATH_FLAGS & ~(uint32_t)KPIO_PATH_NO_FOLLOW)))) return walk;
    if (flags & KPIO_PATH_NO_LINKS) walk |= WALK_NO_LINKS;
    if (flags & KPIO_PATH_NO_MOUNTS) walk |= WALK_NO_MOUNTS;
    if (flags & KPIO_PATH_BENEATH) walk |= WALK_BENEATH;
    if (flags & KPIO_PATH_IN_ROOT) walk |= WALK_IN_ROOT;
    return walk;
}

int walk_tell_rest(const struct walk *w) {
    struct thread *t = current_thread();
    size_t bytes = strlen(w->rest) + 1;
    memcpy(t->message_page, w->rest, bytes);  // at most FS_PATH_MAX
    t->block->path_key = w->at.mount->key;
    t->block->path_bytes = bytes - 1;
    return -EREMOTE;
}

struct opening {
    const struct open_request *r;
    struct walk walk;
    uint32_t wanted, have;  // rights
    bool created;
};

// ---- finding ------------------------------------------------------------------------------------------------------------

static int find_handle(const struct open_request *r, uint32_t need, struct handle **h, struct directory **d) {
    int error = handle_get_full(r->directory, KPIO_KIND_DIRECTORY, need, h);
    if (error == 0) *d = directory_of((*h)->object);
    return error;
}

static int begin(struct opening *o, uint32_t walk_flags) {
    struct handle *h;
    struct directory *d;
    uint32_t change = o->r->flags & (KPIO_OPEN_CREATE | KPIO_OPEN_TRUNCATE | KPIO_OPEN_TEMPORARY) ? KPIO_RIGHT_WRITE : 0;
    int error = find_handle(o->r, change | (o->r->rights == KPIO_RIGHTS_SAME ? 0 : o->r->rights), &h, &d);
    if (error != 0) return error;
    o->have = h->rights;
    o->wanted = (o->r->rights == KPIO_RIGHTS_SAME ? h->rights : o->r->rights) & FS_RIGHTS_ACCESS;
    walk_begin(&o->walk, d, o->r->path, walk_flags | (o->r->flags & KPIO_OPEN_CREATE ? WALK_CREATE : 0));
    return 0;
}

static int run_and_hold(struct walk *w) {
    int error = walk_run(w);
    for (unsigned tries = 0; error == 0 && (error = walk_hold(w)) == -EAGAIN && tries < 1000; tries++) {
        error = walk_restart(w);
        if (error == 0) error = walk_run(w);
    }
    return error == -EREMOTE ? walk_tell_rest(w) : error;
}

static int make(struct opening *o, const struct component *c) {
    const struct inode_new init = {.mode = FS_REGULAR | (o->r->mode & MODE_BITS)};
    struct inode *inode, *dir = o->walk.at.inode;
    if (!(o->walk.at.mount->rights & KPIO_RIGHT_WRITE)) return -EACCES;
    if (o->walk.at.mount->flags & FS_MOUNT_READ_ONLY) return -EROFS;
    int error = c != NULL ? entry_create(dir, c, &init, &inode) : entry_create_nameless(dir, &init, &inode);
    if (error != 0) return error;
    if (c == NULL && !(o->r->flags & KPIO_OPEN_EXCLUSIVE)) __atomic_fetch_or(&inode->flags, INODE_NAMELESS, __ATOMIC_RELEASE);
    o->walk.at.inode = inode;  // the walk's reference moves on
    inode_put(dir);
    o->created = true;
    return 0;
}

// The directory and the last component; then the file is made there. -EEXIST: somebody else has made it.
static int create(struct opening *o) {
    bool exclusive = o->r->flags & KPIO_OPEN_EXCLUSIVE;
    uint32_t flags = walk_flags_of(o->r->flags) | WALK_PARENT;
    int error = begin(o, exclusive ? flags & ~(uint32_t)WALK_FOLLOW : flags);
    if (error != 0) return error;
    error = run_and_hold(&o->walk);
    if (error != 0) return error;
    if (o->walk.last_kind != LAST_NAME) return exclusive ? -EEXIST : -EISDIR;
    return make(o, &o->walk.last);
}

static int temporary(struct opening *o) {
    int error = begin(o, walk_flags_of(o->r->flags));
    if (error == 0) error = run_and_hold(&o->walk);
    if (error != 0) return error;
    return FS_TYPE(o->walk.at.inode->mode) == FS_DIRECTORY ? make(o, NULL) : -ENOTDIR;
}

// On success the walk stands, held, at what is to be opened.
static int find(struct opening *o) {
    if (o->r->flags & KPIO_OPEN_TEMPORARY) return temporary(o);
    bool creates = o->r->flags & KPIO_OPEN_CREATE, exclusive = creates && o->r->flags & KPIO_OPEN_EXCLUSIVE;
    int error = 0;
    for (unsigned tries = 0; tries < 100; tries++) {
        if (!exclusive) {
            error = begin(o, walk_flags_of(o->r->flags));
            if (error == 0) error = run_and_hold(&o->walk);
            if (error != -ENOENT || !creates) return error;
            walk_end(&o->walk);
        }
        o->walk.space = NULL;
        o->walk.held = false;
        error = create(o);
        if (error != -EEXIST || exclusive) return error;
        walk_end(&o->walk);
        o->walk.space = NULL;
        o->walk.held = false;
    }
    return error;
}

// ---- opening ------------------------------------------------------------------------------------------------------------

static int check_type(const struct opening *o, const struct inode *inode) {
    uint32_t type = FS_TYPE(inode->mode), flags = o->r->flags;
    bool writes = flags & (KPIO_OPEN_CREATE | KPIO_OPEN_TRUNCATE) || (flags & KPIO_OPEN_BY_TYPE && o->wanted & KPIO_RIGHT_WRITE);
    if (type == FS_DIRECTORY) return writes ? -EISDIR : 0;
    if (flags & (KPIO_OPEN_DIRECTORY | KPIO_OPEN_ROOT)) return -ENOTDIR;
    if (type == FS_REGULAR || o->wanted == 0) return 0;
    return type == FS_SYMLINK ? -ELOOP : -ENXIO;
}

// The wanted rights once it is known what they are for (KPIO_OPEN_BY_TYPE).
static void widen(struct opening *o, const struct inode *inode, uint32_t limit) {
    uint32_t more = o->have & limit, type = FS_TYPE(inode->mode);
    if (type == FS_DIRECTORY) o->wanted |= more & FS_RIGHTS_ACCESS;
    // A nameless file that is to get a name in this directory must have what the directory has.
    if (o->r->flags & KPIO_OPEN_TEMPORARY) o->wanted |= more & KPIO_RIGHT_EXECUTE;
    if (type == FS_REGULAR && !(o->wanted & KPIO_RIGHT_WRITE)) o->wanted |= more & (KPIO_RIGHT_READ | KPIO_RIGHT_EXECUTE);
}

static int check_access(struct opening *o, const struct inode *inode) {
    uint32_t limit = o->walk.at.mount->rights;
    if (!inode->fs->type->executes) limit &= ~KPIO_RIGHT_EXECUTE;
    if (o->r->flags & KPIO_OPEN_BY_TYPE) widen(o, inode, limit);
    if (o->r->rights == KPIO_RIGHTS_SAME) o->wanted &= limit;
    if (o->wanted & ~limit) return -EACCES;
    if (FS_TYPE(inode->mode) != FS_REGULAR || !(o->wanted & KPIO_RIGHT_WRITE)) return 0;
    if (o->walk.at.mount->flags & FS_MOUNT_READ_ONLY) return -EROFS;
    int error = inode_check_change(inode);
    bool appends = o->r->flags & KPIO_OPEN_APPEND && !(o->r->flags & KPIO_OPEN_TRUNCATE);
    if (error == 0 && inode->flags & INODE_APPEND && !appends) error = -EPERM;
    return error == -EROFS && o->r->rights == KPIO_RIGHTS_SAME ? (o->wanted &= ~KPIO_RIGHT_WRITE, 0) : error;
}

static int make_object(struct opening *o, struct object **out, uint32_t *rights) {
    const struct place *at = &o->walk.at;
    struct directory *from = o->walk.from, *d;
    struct job *job = current_process()->job;
    *rights = (o->have & FS_RIGHTS_COMMON) | o->wanted;
    if (FS_TYPE(at->inode->mode) == FS_DIRECTORY) {
        const struct place *root = o->r->flags & KPIO_OPEN_ROOT ? at : &from->root;
        int error = directory_create(job, from->table, at, root, &from->object, &d);
        *rights |= o->have & KPIO_RIGHT_MANAGE;
        if (error == 0) *out = &d->object;
        return error;
    }
    struct file *f;
    int error = file_create(job, at, o->r->flags, o->wanted & KPIO_RIGHT_WRITE, &from->object, &f);
    if (error != 0) return error;
    error = file_open(f, o->wanted);
    if (error != 0) {
        object_put(&f->object);
        return error;
    }
    if (o->have & at->mount->rights & KPIO_RIGHT_WRITE) *rights |= KPIO_RIGHT_MANAGE;
    *out = &f->object;
    return 0;
}

// The object becomes a child of the directory handle, which may have gone since.
static int64_t install(const struct opening *o, struct object *made, uint32_t rights) {
    struct handle *h;
    struct directory *d;
    int error = find_handle(o->r, o->wanted, &h, &d);
    if (error == 0 && d != o->walk.from) error = -EBADF;
    if (error != 0) {
        object_put(made);
        return error;
    }
    return handle_install_child(made, rights, h);
}

static int64_t open_found(struct opening *o) {
    struct inode *inode = o->walk.at.inode;
    struct object *made;
    uint32_t rights, mode = inode->mode;
    int error = o->created ? 0 : check_type(o, inode);
    if (error == 0) error = check_access(o, inode);
    if (error == 0) error = make_object(o, &made, &rights);
    if (error != 0) return error;
    if (o->r->flags & KPIO_OPEN_TRUNCATE && !o->created && FS_TYPE(mode) == FS_REGULAR) {
        bool writes = o->wanted & KPIO_RIGHT_WRITE;  // truncating is writing, whatever the handle is for
        if (!writes) error = inode_get_write(inode);
        if (error == 0) error = inode_size(inode) != 0 ? inode_resize(inode, 0) : 0;
        if (error == 0 && !writes) inode_put_write(inode);
    }
    if (error != 0) {
        object_put(made);
        return error;
    }
    int64_t value = install(o, made, rights);
    return value < 0 ? value : value | (int64_t)mode << 32;
}

int64_t vfs_open(const struct open_request *r) {
    if (r->flags & ~(OPEN_FLAGS | PATH_FLAGS) || (r->rights != KPIO_RIGHTS_SAME && r->rights & ~FS_RIGHTS_ACCESS)) return -EINVAL;
    if (r->flags & KPIO_OPEN_CREATE && r->flags & (KPIO_OPEN_DIRECTORY | KPIO_OPEN_ROOT | KPIO_OPEN_TEMPORARY)) return -EINVAL;
    struct opening o = {.r = r};
    int error = find(&o);
    int64_t result = error != 0 ? error : open_found(&o);
    walk_end(&o.walk);
    return result;
}

// ---- FIFOs --------------------------------------------------------------------------------------------------------------

// The handle is none of the directory's children: the pipe is shared by all who found it, by whatever way.
static int64_t open_pipe(const struct opening *o, struct pipe *pipe) {
    struct pipe_end *end;
    uint32_t opens;
    int error = pipe_attach(pipe, o->wanted & KPIO_RIGHT_WRITE, o->r->flags & KPIO_FIFO_NEED_PEER, &end, &opens);
    if (error != 0) return error;
    uint32_t rights = ((o->have & FS_RIGHTS_COMMON) | o->wanted) & end->object.ops->rights;
    if (o->have & o->walk.at.mount->rights & KPIO_RIGHT_WRITE) rights |= KPIO_RIGHT_MANAGE;  // of the FIFO's attributes, as files have it
    object_get(&end->object);
    const int64_t value = handle_install_in(&current_process()->handles, &end->object, rights);
    if (value < 0) object_abandon(&end->object);
    else object_put(&end->object);
    return value < 0 ? value : value | (int64_t)(opens & 0x7fffffff) << 32;
}

int64_t vfs_open_fifo(const struct open_request *r) {
    const uint32_t walk = r->flags & ~(uint32_t)KPIO_FIFO_NEED_PEER;
    if (walk & ~PATH_FLAGS || (r->rights != KPIO_RIGHT_READ && r->rights != KPIO_RIGHT_WRITE)) return -EINVAL;
    struct opening o = {.r = r};
    struct pipe *pipe;
    int error = begin(&o, walk_flags_of(walk));
    if (error == 0) error = run_and_hold(&o.walk);
    if (error == 0 && FS_TYPE(o.walk.at.inode->mode) != FS_FIFO) error = -EINVAL;
    if (error == 0 && o.wanted & ~o.walk.at.mount->rights) error = -EACCES;
    if (error == 0) error = fifo_pipe(current_process()->job, &o.walk.at, &pipe);
    int64_t result = error;
    if (error == 0) {
        result = open_pipe(&o, pipe);
        pipe_release(pipe);
    }
    walk_end(&o.walk);
    return result;
}
