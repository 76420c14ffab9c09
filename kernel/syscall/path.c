#include "kernel/syscall/path.h"

#include "kernel/fs/vfs/directory.h"
#include "kernel/fs/vfs/open.h"
#include "kernel/ipc/pipe.h"

static coldpath int copy_long(struct path_text *p, uint64_t address) {
    p->text = kmalloc(FS_PATH_MAX);
    if (p->text == NULL) return -ENOMEM;
    int64_t bytes = strncpy_from_user(p->text, user_ptr(address), FS_PATH_MAX);
    return bytes == -E2BIG ? -ENAMETOOLONG : bytes < 0 ? (int)bytes : 0;
}

int path_copy(struct path_text *p, uint64_t address) {
    p->text = NULL;
    if (address == 0) return 0;
    int64_t bytes = strncpy_from_user(p->small, user_ptr(address), PATH_SMALL);
    if (unlikely(bytes == -E2BIG)) return copy_long(p, address);
    p->text = p->small;
    return bytes < 0 ? (int)bytes : 0;
}

// The FIFO whose pipe's end it is.
static coldpath int find_fifo(struct target *t, uint64_t handle, uint32_t rights, bool hold) {
    struct handle *h;
    int error = handle_get_full((kpio_handle)handle, KPIO_KIND_PIPE, rights, &h);
    if (error != 0) return error;
    const struct pipe_home *home = &pipe_end_of(h->object)->pipe->home;
    if (home->gone == NULL) return -EWRONGTYPE;
    if (hold && !object_tryget(h->object)) return -EBADF;
    t->held = hold ? h->object : NULL;
    t->rights = h->rights;
    t->at = (struct place){home->mount, home->inode};
    return 0;
}

// The handle's own file or directory.
static int find_own(struct target *t, uint64_t handle, uint32_t directory_rights, uint32_t file_rights, bool hold) {
    struct handle *h = handle_lookup((kpio_handle)handle);
    bool is_file = h != NULL && h->object->kind == KPIO_KIND_FILE;
    if (unlikely(h != NULL && h->object->kind == KPIO_KIND_PIPE)) return find_fifo(t, handle, file_rights, hold);
    int error = handle_get_full((kpio_handle)handle, is_file ? KPIO_KIND_FILE : KPIO_KIND_DIRECTORY,
                                is_file ? file_rights : directory_rights, &h);
    if (error != 0) return error;
    if (hold && !object_tryget(h->object)) return -EBADF;
    t->held = hold ? h->object : NULL;
    t->rights = h->rights;
    if (is_file) t->at = (struct place){file_of(h->object)->mount, file_of(h->object)->inode};
    else t->at = directory_of(h->object)->at;
    return 0;
}

static int find_by_path(struct target *t, uint64_t handle, uint64_t flags, uint32_t rights, bool hold) {
    struct handle *h;
    int error = handle_get_full((kpio_handle)handle, KPIO_KIND_DIRECTORY, rights, &h);
    if (error != 0) return error;
    t->rights = h->rights;
    walk_begin(&t->walk, directory_of(h->object), t->path.text, walk_flags_of((uint32_t)flags));
    error = walk_run(&t->walk);
    for (unsigned tries = 0; error == 0 && hold && (error = walk_hold(&t->walk)) == -EAGAIN && tries < 1000; tries++) {
        error = walk_restart(&t->walk);
        if (error == 0) error = walk_run(&t->walk);
    }
    if (unlikely(error != 0)) return error == -EREMOTE ? walk_tell_rest(&t->walk) : error;
    t->at = t->walk.at;
    return 0;
}

int target_find(struct target *t, uint64_t handle, uint64_t path, uint64_t flags, uint32_t directory_rights, uint32_t file_rights,
                bool hold) {
    t->walk.held = false;
    t->walk.space = NULL;
    t->held = NULL;
    int error = path_copy(&t->path, path);
    if (error != 0) return error;
    if (t->path.text == NULL) error = find_own(t, handle, directory_rights, file_rights, hold);
    else error = find_by_path(t, handle, flags, directory_rights, hold);
    if (error == 0) t->rights &= t->at.mount->rights | ~FS_RIGHTS_ACCESS;
    return error;
}

void target_end(struct target *t) {
    walk_end(&t->walk);
    path_free(&t->path);
    if (t->held != NULL) object_put(t->held);
}

int parent_find(struct parent_of *p, uint64_t handle, uint64_t path, uint64_t flags) {
    struct handle *h;
    p->walk.held = false;
    p->walk.space = NULL;
    int error = path_copy(&p->path, path);
    if (error == 0 && p->path.text == NULL) error = -EFAULT;
    if (error == 0) error = handle_get_full((kpio_handle)handle, KPIO_KIND_DIRECTORY, KPIO_RIGHT_WRITE, &h);
    if (error != 0) return error;
    p->rights = h->rights & FS_RIGHTS_ACCESS;
    walk_begin(&p->walk, directory_of(h->object), p->path.text, (walk_flags_of((uint32_t)flags) & ~(uint32_t)WALK_FOLLOW) | WALK_PARENT);
    error = walk_run(&p->walk);
    for (unsigned tries = 0; error == 0 && (error = walk_hold(&p->walk)) == -EAGAIN && tries < 1000; tries++) {
        error = walk_restart(&p->walk);
        if (error == 0) error = walk_run(&p->walk);
    }
    if (error != 0) return error == -EREMOTE ? walk_tell_rest(&p->walk) : error;
    p->rights &= p->walk.at.mount->rights;
    if (!(p->rights & KPIO_RIGHT_WRITE)) return -EACCES;
    return p->walk.at.mount->flags & FS_MOUNT_READ_ONLY ? -EROFS : 0;
}
