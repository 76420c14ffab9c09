#include "kernel/fs/vfs/directory.h"

#include "kernel/fs/vfs/attributes.h"
#include "kernel/fs/vfs/entry.h"
#include "kernel/fs/vfs/file.h"
#include "kernel/fs/vfs/link.h"
#include "kernel/fs/vfs/open.h"
#include "kernel/syscall/path.h"

int64_t sys_path_open(uint64_t directory, uint64_t path, uint64_t flags, uint64_t mode, uint64_t rights, uint64_t f) {
    struct path_text text;
    int64_t result = path_copy(&text, path);
    if (result == 0 && text.text == NULL) result = -EFAULT;
    const struct open_request request = {(kpio_handle)directory, text.text, (uint32_t)flags, (uint32_t)mode, (uint32_t)rights};
    if (result == 0) result = vfs_open(&request);
    path_free(&text);
    return result;
}

int64_t sys_fifo_open(uint64_t directory, uint64_t path, uint64_t flags, uint64_t rights, uint64_t e, uint64_t f) {
    struct path_text text;
    int64_t result = path_copy(&text, path);
    if (result == 0 && text.text == NULL) result = -EFAULT;
    const struct open_request request = {(kpio_handle)directory, text.text, (uint32_t)flags, 0, (uint32_t)rights};
    if (result == 0) result = vfs_open_fifo(&request);
    path_free(&text);
    return result;
}

// Attributes whose time is over: found again, held.
static coldpath int stat_remote(struct target *t, uint64_t at, uint64_t path, uint64_t flags, struct kpio_stat *stat) {
    if (t->walk.held && t->walk.asked == t->at.inode) {  // they came with the name, right now
        place_stat(&t->at, stat);
        return 0;
    }
    target_end(t);
    int error = target_find(t, at, path, flags, KPIO_RIGHT_INSPECT, KPIO_RIGHT_INSPECT, true);
    if (error == 0) error = inode_refresh(t->at.inode);
    if (error == 0) place_stat(&t->at, stat);
    return error;
}

// Of a cached path: no lock, no reference, no store but to the caller's own memory.
int64_t sys_path_stat(uint64_t at, uint64_t path, uint64_t flags, uint64_t stat_at, uint64_t e, uint64_t f) {
    struct target t;
    struct kpio_stat stat;
    if (unlikely((uint32_t)flags & ~PATH_FLAGS_ALL)) return -EINVAL;
    int error = target_find(&t, at, path, flags, KPIO_RIGHT_INSPECT, KPIO_RIGHT_INSPECT, false);
    if (likely(error == 0)) {
        if (likely(inode_is_fresh(t.at.inode))) place_stat(&t.at, &stat);
        else error = stat_remote(&t, at, path, flags, &stat);
    }
    if (likely(error == 0)) {
        error = copy_to_user(user_ptr(stat_at), &stat, sizeof stat);
    }
    target_end(&t);
    return error;
}

// For a change: RIGHT_WRITE of a directory's handle and of the mount, or MANAGE of a file's.
static int target_find_change(struct target *t, uint64_t at, uint64_t path, uint64_t flags) {
    int error = target_find(t, at, path, flags, KPIO_RIGHT_WRITE, KPIO_RIGHT_MANAGE, true);
    if (error != 0) return error;
    if (!(t->at.mount->rights & KPIO_RIGHT_WRITE)) return -EACCES;
    return t->at.mount->flags & FS_MOUNT_READ_ONLY ? -EROFS : 0;
}

// As by one who has it open for writing.
static int resize(struct inode *inode, uint64_t size) {
    if (FS_TYPE(inode->mode) == FS_DIRECTORY) return -EISDIR;
    int error = inode_get_write(inode);
    if (error != 0) return error;
    error = inode_resize(inode, size);
    inode_put_write(inode);
    return error;
}

int64_t sys_path_set_attributes(uint64_t at, uint64_t path, uint64_t flags, uint64_t attributes_at, uint64_t e, uint64_t f) {
    struct target t;
    struct kpio_attributes attributes;
    if ((uint32_t)flags & ~PATH_FLAGS_ALL) return -EINVAL;
    if (copy_from_user(&attributes, user_ptr(attributes_at), sizeof attributes) != 0) return -EFAULT;
    bool resizes = attributes.what & KPIO_SET_SIZE;
    if (resizes && (attributes.what != KPIO_SET_SIZE || path == 0 || (int64_t)attributes.size < 0)) return -EINVAL;
    int error = target_find_change(&t, at, path, flags);
    if (error == 0) error = resizes ? resize(t.at.inode, attributes.size) : inode_set_attributes(t.at.inode, &attributes);
    target_end(&t);
    return error;
}

// ---- names ------------------------------------------------------------------------------------------------------------

// What a last component that is no name means to who wants to make something there. A path that ends in a slash names a
// directory.
static int check_new_name(const struct parent_of *p, bool directory) {
    if (p->walk.last_kind != LAST_NAME) return -EEXIST;
    return p->walk.slash && !directory ? -ENOENT : 0;
}

static int make(struct parent_of *p, const struct inode_new *init) {
    struct inode *made;
    int error = check_new_name(p, FS_TYPE(init->mode) == FS_DIRECTORY);
    if (error == 0) error = entry_create(p->walk.at.inode, &p->walk.last, init, &made);
    if (error == 0) inode_put(made);
    return error;
}

int64_t sys_path_make(uint64_t directory, uint64_t path, uint64_t mode, uint64_t device, uint64_t flags, uint64_t f) {
    struct inode_new init = {.mode = (uint32_t)mode, .device = device};
    if (FS_TYPE(init.mode) == 0) init.mode |= FS_REGULAR;
    uint32_t type = FS_TYPE(init.mode);
    bool node = type == FS_CHAR || type == FS_BLOCK;
    bool known = node || type == FS_REGULAR || type == FS_DIRECTORY || type == FS_FIFO || type == FS_SOCKET;
    if (!known || init.mode & ~0177777u || (uint32_t)flags & ~PATH_FLAGS_ALL || (device != 0 && !node)) return -EINVAL;
    struct parent_of p;
    int error = parent_find(&p, directory, path, flags);
    if (error == 0) error = make(&p, &init);
    parent_end(&p);
    return error;
}

int64_t sys_path_symlink(uint64_t directory, uint64_t path, uint64_t target, uint64_t flags, uint64_t e, uint64_t f) {
    struct path_text text;
    struct parent_of p;
    if ((uint32_t)flags & ~PATH_FLAGS_ALL) return -EINVAL;
    int error = path_copy(&text, target);
    if (error == 0 && text.text == NULL) error = -EFAULT;
    if (error == 0 && *text.text == '\0') error = -ENOENT;
    if (error == 0) {
        struct inode_new init = {.mode = FS_SYMLINK | 0777, .target = text.text, .target_bytes = strlen(text.text)};
        error = parent_find(&p, directory, path, flags);
        if (error == 0) error = make(&p, &init);
        parent_end(&p);
    }
    path_free(&text);
    return error;
}

int64_t sys_path_readlink(uint64_t at, uint64_t path, uint64_t buffer, uint64_t size, uint64_t e, uint64_t f) {
    struct target t;
    const char *text;
    int64_t result = target_find(&t, at, path, KPIO_PATH_NO_FOLLOW, KPIO_RIGHT_INSPECT, KPIO_RIGHT_INSPECT, true);
    if (result == 0 && (FS_TYPE(t.at.inode->mode) != FS_SYMLINK || size == 0)) result = -EINVAL;
    if (result == 0) result = link_read(t.at.inode, &text);
    if (result == 0) {
        size_t bytes = MIN(strlen(text), size);
        result = copy_to_user(user_ptr(buffer), text, bytes) != 0 ? -EFAULT : (int64_t)bytes;
    }
    target_end(&t);
    return result;
}

// A name more must not give more rights than the way that led to it.
static int check_rights(uint32_t from, uint32_t to) { return to & ~from & FS_RIGHTS_ACCESS ? -EACCES : 0; }

static int link_to(const struct target *t, uint64_t directory, uint64_t name) {
    struct parent_of p;
    int error = parent_find(&p, directory, name, 0);
    if (error == 0) error = check_new_name(&p, false);
    if (error == 0 && p.walk.at.mount != t->at.mount) error = -EXDEV;
    if (error == 0) error = check_rights(t->rights, p.rights);
    if (error == 0) error = entry_link(p.walk.at.inode, &p.walk.last, t->at.inode);
    parent_end(&p);
    return error;
}

int64_t sys_path_link(uint64_t at, uint64_t path, uint64_t directory, uint64_t name, uint64_t flags, uint64_t f) {
    struct target t;
    if ((uint32_t)flags & ~PATH_FLAGS_ALL) return -EINVAL;
    int error = target_find(&t, at, path, flags, 0, 0, true);
    if (error == 0) error = link_to(&t, directory, name);
    target_end(&t);
    return error;
}

static int unlink_at(const struct parent_of *p, bool directory) {
    switch (p->walk.last_kind) {
    case LAST_NAME: return entry_unlink(p->walk.at.inode, &p->walk.last, directory, p->walk.slash);
    case LAST_DOT: return directory ? -EINVAL : -EISDIR;
    case LAST_DOT_DOT: return directory ? -ENOTEMPTY : -EISDIR;
    default: return directory ? -EBUSY : -EISDIR;
    }
}

int64_t sys_path_unlink(uint64_t directory, uint64_t path, uint64_t flags, uint64_t d, uint64_t e, uint64_t f) {
    struct parent_of p;
    if ((uint32_t)flags & ~(PATH_FLAGS_ALL | KPIO_UNLINK_DIRECTORY)) return -EINVAL;
    int error = parent_find(&p, directory, path, flags);
    if (error == 0) error = unlink_at(&p, flags & KPIO_UNLINK_DIRECTORY);
    parent_end(&p);
    return error;
}

static int rename_to(const struct parent_of *from, const struct parent_of *to, uint32_t flags) {
    const struct walk *f = &from->walk, *t = &to->walk;
    if (f->at.mount != t->at.mount) return -EXDEV;
    if (t->last_kind != LAST_NAME) return flags & KPIO_RENAME_NO_REPLACE ? -EEXIST : -EBUSY;
    if (f->last_kind != LAST_NAME) return -EBUSY;
    int error = check_rights(from->rights, to->rights);
    if (error == 0 && flags & KPIO_RENAME_EXCHANGE) error = check_rights(to->rights, from->rights);
    if (error != 0) return error;
    return entry_rename(&(struct entry_rename){
        .from_dir = f->at.inode,
        .to_dir = t->at.inode,
        .from = f->last,
        .to = t->last,
        .from_slash = f->slash,
        .to_slash = t->slash,
        .exchange = flags & KPIO_RENAME_EXCHANGE,
        .no_replace = flags & KPIO_RENAME_NO_REPLACE,
    });
}

int64_t sys_path_rename(uint64_t directory, uint64_t path, uint64_t target, uint64_t name, uint64_t flags, uint64_t f) {
    const uint32_t both = KPIO_RENAME_NO_REPLACE | KPIO_RENAME_EXCHANGE;
    struct parent_of from, to;
    if ((uint32_t)flags & ~(PATH_FLAGS_ALL | both) || ((uint32_t)flags & both) == both) return -EINVAL;
    int error = parent_find(&from, directory, path, flags);
    if (error == 0) {
        error = parent_find(&to, target, name, flags);
        if (error == 0) error = rename_to(&from, &to, (uint32_t)flags);
        parent_end(&to);
    }
    parent_end(&from);
    return error;
}
