#include "kernel/fs/vfs/entry.h"

#include "abi/gen/errors.h"
#include "kernel/core/random.h"
#include "kernel/fs/vfs/name.h"
#include "lib/fmt.h"

int inode_check_change(const struct inode *inode) {
    if (inode->flags & INODE_BAD) return -EIO;
    if (__atomic_load_n(&inode->fs->flags, __ATOMIC_RELAXED) & FS_MOUNT_READ_ONLY) return -EROFS;
    return inode->flags & INODE_IMMUTABLE ? -EPERM : 0;
}

// Entries may be added, and `remove`d.
static int check_directory(const struct inode *dir, bool remove) {
    if (dir->flags & INODE_DELETED) return -ENOENT;
    int error = inode_check_change(dir);
    if (error == 0 && remove && dir->flags & INODE_APPEND) error = -EPERM;
    return error;
}

// Not there: 0. Drivers of remote file systems are promised that, too: some make what is there a second time.
static int check_free(struct inode *dir, const struct component *c) {
    struct inode *there;
    if (dir->fs->remote && name_find(dir, c) == NULL && dir->ops->was_free(dir, c->text, c->bytes)) return 0;
    int error = child_lookup(dir, c, &there);
    if (error == 0) inode_put(there);
    return error == 0 ? -EEXIST : error == -ENOENT ? 0 : error;
}

static int create_locked(struct inode *dir, const struct component *c, const struct inode_new *init, struct inode **out) {
    if (dir->flags & INODE_DELETED) return -ENOENT;
    int error = check_free(dir, c);
    if (error == 0) error = check_directory(dir, false);
    if (error == 0 && dir->ops->create == NULL) error = -EPERM;
    struct inode *inode;
    if (error == 0) error = dir->ops->create(dir, c->text, c->bytes, init, &inode);
    if (error != 0) return error;
    if (FS_TYPE(inode->mode) == FS_DIRECTORY && inode->parent == NULL) {
        inode_hold(dir);
        inode->parent = dir;
    }
    name_enter(dir, c, inode);
    *out = inode;
    return 0;
}

int entry_create(struct inode *dir, const struct component *c, const struct inode_new *init, struct inode **out) {
    int error = rw_mutex_lock_killable(&dir->lock);
    if (error != 0) return error;
    error = create_locked(dir, c, init, out);
    rw_mutex_unlock(&dir->lock);
    return error;
}

// With a name that nobody knows, which goes before the directory's lock is given up.
int entry_create_nameless(struct inode *dir, const struct inode_new *init, struct inode **out) {
    char text[32];
    uint64_t words[2];
    random_bytes(words, sizeof words);
    struct component c = {.text = text, .hash = NAME_HASH_START};
    c.bytes = (uint32_t)fmt_print(text, sizeof text, ".tmp%06lx%012lx", (unsigned long)(words[0] & 0xffffff),
                                  (unsigned long)(words[1] & 0xffffffffffff));
    for (uint32_t i = 0; i < c.bytes; i++) c.hash = name_hash_add(c.hash, text[i]);
    int error = rw_mutex_lock_killable(&dir->lock);
    if (error != 0) return error;
    error = create_locked(dir, &c, init, out);
    if (error == 0) {
        rw_mutex_lock(&(*out)->lock);  // nobody else knows it
        error = dir->ops->unlink(dir, c.text, c.bytes, *out);
        rw_mutex_unlock(&(*out)->lock);
        if (error == 0) inode_mark_deleted(*out);
        else inode_put(*out);
    }
    name_forget(dir, &c);  // that it is not there is of use to nobody, and would take the place of names that are looked for
    rw_mutex_unlock(&dir->lock);
    return error;
}

// Both locks are held, and the name is free.
static int link_locked(struct inode *dir, const struct component *c, struct inode *inode) {
    int error = check_directory(dir, false);
    bool nameless = inode->flags & INODE_NAMELESS;
    if (error == 0 && inode->flags & INODE_DELETED && !nameless) error = -ENOENT;
    if (error == 0 && inode->flags & (INODE_IMMUTABLE | INODE_APPEND)) error = -EPERM;
    if (error == 0) error = dir->ops->link != NULL ? dir->ops->link(dir, c->text, c->bytes, inode) : -EPERM;
    if (error < 0) return error;
    if (nameless) __atomic_fetch_and(&inode->flags, ~(uint32_t)(INODE_DELETED | INODE_NAMELESS), __ATOMIC_RELEASE);
    if (error == 0) name_enter(dir, c, inode);
    else name_forget(dir, c);
    return 0;
}

int entry_link(struct inode *dir, const struct component *c, struct inode *inode) {
    if (FS_TYPE(inode->mode) == FS_DIRECTORY) return -EPERM;
    int error = rw_mutex_lock_killable(&dir->lock);
    if (error != 0) return error;
    error = dir->flags & INODE_DELETED ? -ENOENT : check_free(dir, c);
    if (error == 0) error = rw_mutex_lock_killable(&inode->lock);
    if (error == 0) {
        error = link_locked(dir, c, inode);
        rw_mutex_unlock(&inode->lock);
    }
    rw_mutex_unlock(&dir->lock);
    return error;
}

// ---- unlink -----------------------------------------------------------------------------------------------------------

// Whether the inode may lose its name.
static int check_victim(const struct inode *inode) {
    if (__atomic_load_n(&inode->mounts, __ATOMIC_RELAXED) != 0) return -EBUSY;
    return inode->flags & (INODE_IMMUTABLE | INODE_APPEND) ? -EPERM : 0;
}

static void lost_name(struct inode *inode) {
    if (inode->links != 0 && FS_TYPE(inode->mode) != FS_DIRECTORY) return;
    inode_mark_deleted(inode);
    names_forget_in(inode);
}

static int unlink_locked(struct inode *dir, const struct component *c, struct inode *inode, bool want_directory, bool slash) {
    bool is_directory = FS_TYPE(inode->mode) == FS_DIRECTORY;
    if (!want_directory && is_directory) return -EISDIR;
    if (!is_directory && (want_directory || slash)) return -ENOTDIR;
    int error = check_directory(dir, true);
    if (error == 0) error = check_victim(inode);
    if (error != 0) return error;
    error = rw_mutex_lock_killable(&inode->lock);
    if (error != 0) return error;
    error = dir->ops->unlink(dir, c->text, c->bytes, inode);
    if (error == 0) {
        lost_name(inode);
        name_enter(dir, c, NULL);
    }
    rw_mutex_unlock(&inode->lock);
    return error;
}

int entry_unlink(struct inode *dir, const struct component *c, bool want_directory, bool slash) {
    struct inode *inode = NULL;
    int error = rw_mutex_lock_killable(&dir->lock);
    if (error != 0) return error;
    error = dir->flags & INODE_DELETED ? -ENOENT : child_lookup(dir, c, &inode);
    if (error == 0) error = unlink_locked(dir, c, inode, want_directory, slash);
    rw_mutex_unlock(&dir->lock);
    if (inode != NULL) inode_put(inode);
    return error;
}

// ---- rename -----------------------------------------------------------------------------------------------------------

struct renaming {
    const struct entry_rename *r;
    struct inode *moved, *replaced;  // held
};

static bool is_directory(const struct inode *inode) { return FS_TYPE(inode->mode) == FS_DIRECTORY; }

// An ancestor before its descendants, else by address. Between two directories that are no ancestors of each other, as long
// as the rename_lock is held.
static bool goes_first(const struct inode *a, const struct inode *b) {
    if (is_directory(a) != is_directory(b)) return is_directory(a);
    if (is_directory(a) && inode_is_below(b, a)) return true;
    if (is_directory(a) && inode_is_below(a, b)) return false;
    return a < b;
}

static int lock_two(struct inode *a, struct inode *b) {
    bool in_order = b == NULL || a == b || goes_first(a, b);
    struct inode *first = in_order ? a : b, *second = in_order ? b : a;
    int error = rw_mutex_lock_killable(&first->lock);
    if (error != 0 || second == NULL || second == first) return error;
    error = rw_mutex_lock_killable(&second->lock);
    if (error != 0) rw_mutex_unlock(&first->lock);
    return error;
}

static void unlock_two(struct inode *a, struct inode *b) {
    rw_mutex_unlock(&a->lock);
    if (b != NULL && b != a) rw_mutex_unlock(&b->lock);
}

static int check_types(const struct renaming *n) {
    const struct entry_rename *r = n->r;
    if (!is_directory(n->moved) && (r->from_slash || (r->to_slash && !r->exchange))) return -ENOTDIR;
    if (n->replaced == NULL) return r->exchange ? -ENOENT : 0;
    if (r->no_replace) return -EEXIST;
    if (r->exchange) return !is_directory(n->replaced) && r->to_slash ? -ENOTDIR : 0;
    if (is_directory(n->moved) && !is_directory(n->replaced)) return -ENOTDIR;
    return !is_directory(n->moved) && is_directory(n->replaced) ? -EISDIR : 0;
}

// A directory must not come to lie in itself, nor replace what it lies in.
static int check_loops(const struct renaming *n) {
    const struct entry_rename *r = n->r;
    if (is_directory(n->moved) && inode_is_below(r->to_dir, n->moved)) return -EINVAL;
    if (n->replaced != NULL && is_directory(n->replaced) && inode_is_below(r->from_dir, n->replaced))
        return r->exchange ? -EINVAL : -ENOTEMPTY;
    return 0;
}

static int check_rename(const struct renaming *n) {
    const struct entry_rename *r = n->r;
    int error = check_loops(n);
    if (error == 0) error = check_types(n);
    if (error == 0) error = check_directory(r->from_dir, true);
    if (error == 0) error = check_directory(r->to_dir, n->replaced != NULL);
    if (error == 0) error = check_victim(n->moved);
    if (error == 0 && n->replaced != NULL) error = check_victim(n->replaced);
    if (error == 0 && r->from_dir->ops->rename == NULL) error = -EPERM;
    return error;
}

static void move_directory(struct inode *inode, struct inode *from, struct inode *to) {
    if (!is_directory(inode) || from == to) return;
    inode_hold(to);
    rename_set_parent(inode, to);
    inode_put(from);  // held by the caller: not the last
}

static void renamed(const struct renaming *n) {
    const struct entry_rename *r = n->r;
    name_enter(r->from_dir, &r->from, r->exchange ? n->replaced : NULL);
    name_enter(r->to_dir, &r->to, n->moved);
    move_directory(n->moved, r->from_dir, r->to_dir);
    if (r->exchange) move_directory(n->replaced, r->to_dir, r->from_dir);
    else if (n->replaced != NULL) lost_name(n->replaced);
}

static int rename_found(struct renaming *n) {
    const struct entry_rename *r = n->r;
    if (n->moved == n->replaced) return r->no_replace ? -EEXIST : 0;  // two names of one file
    int error = check_rename(n);
    if (error != 0) return error;
    error = lock_two(n->moved, n->replaced);
    if (error != 0) return error;
    const unsigned flags = (r->exchange ? FS_RENAME_EXCHANGE : 0u) | (r->no_replace ? FS_RENAME_NO_REPLACE : 0u);
    error = r->from_dir->ops->rename(r->from_dir, r->from.text, r->from.bytes, n->moved, r->to_dir, r->to.text, r->to.bytes,
                                     n->replaced, flags);
    if (error == 0) renamed(n);
    unlock_two(n->moved, n->replaced);
    return error;
}

int entry_rename(const struct entry_rename *r) {
    struct renaming n = {.r = r};
    struct filesystem *fs = r->from_dir->fs;
    if (r->to_dir->fs != fs) return -EXDEV;
    // Within one directory too: who else moves directories decides by where they lie.
    int error = mutex_lock_killable(&fs->rename_lock);
    if (error != 0) return error;
    error = lock_two(r->from_dir, r->to_dir);
    if (error != 0) {
        mutex_unlock(&fs->rename_lock);
        return error;
    }
    error = (r->from_dir->flags | r->to_dir->flags) & INODE_DELETED ? -ENOENT : child_lookup(r->from_dir, &r->from, &n.moved);
    if (error == 0) error = child_lookup(r->to_dir, &r->to, &n.replaced);
    if (n.moved != NULL && (error == 0 || error == -ENOENT)) error = rename_found(&n);
    unlock_two(r->from_dir, r->to_dir);
    mutex_unlock(&fs->rename_lock);
    if (n.moved != NULL) inode_put(n.moved);
    if (n.replaced != NULL) inode_put(n.replaced);
    return error;
}
