#include "abi/gen/errors.h"
#include "kernel/fs/tmpfs/tmpfs.h"

#define XATTR_BYTES_MAX 65536u  // names and values of one inode

struct tmpfs_xattr {
    struct list_node node;
    uint32_t name_bytes, value_bytes;  // the name with its terminator
    char text[];                       // name, value
};

static struct tmpfs_xattr *find(struct tmpfs_inode *i, const char *name) {
    list_for_each_entry(x, &i->xattrs, struct tmpfs_xattr, node)
        if (strcmp(x->text, name) == 0) return x;
    return NULL;
}

static void drop(struct tmpfs_inode *i, struct tmpfs_xattr *x) {
    list_remove(&x->node);
    i->xattr_bytes -= x->name_bytes + x->value_bytes;
    tmpfs_free(tmpfs_of(i->inode.fs), x, sizeof *x + x->name_bytes + x->value_bytes);
}

void tmpfs_xattrs_clear(struct tmpfs_inode *i) {
    while (!list_is_empty(&i->xattrs)) drop(i, list_first_entry(&i->xattrs, struct tmpfs_xattr, node));
}

int64_t tmpfs_xattr_get(struct inode *inode, const char *name, void *value, size_t size) {
    struct tmpfs_xattr *x = find(tmpfs_inode_of(inode), name);
    if (x == NULL) return -ENODATA;
    if (size != 0 && size < x->value_bytes) return -ERANGE;
    if (size != 0) memcpy(value, x->text + x->name_bytes, x->value_bytes);
    return x->value_bytes;
}

static bool is_known(const char *name) {
    static const char *const spaces[] = {"user.", "trusted.", "security.", "system."};
    for (unsigned i = 0; i < ARRAY_SIZE(spaces); i++)
        if (strncmp(name, spaces[i], strlen(spaces[i])) == 0) return true;
    return false;
}

int tmpfs_xattr_set(struct inode *inode, const char *name, const void *value, size_t size, unsigned flags) {
    struct tmpfs_inode *i = tmpfs_inode_of(inode);
    struct tmpfs_xattr *old = find(i, name);
    size_t name_bytes = strlen(name) + 1, before = old != NULL ? old->name_bytes + old->value_bytes : 0;
    if (!is_known(name)) return -EOPNOTSUPP;
    if (old != NULL && flags & FS_XATTR_CREATE) return -EEXIST;
    if (old == NULL && flags & FS_XATTR_REPLACE) return -ENODATA;
    if (i->xattr_bytes - before + name_bytes + size > XATTR_BYTES_MAX) return -ENOSPC;
    struct tmpfs_xattr *x = tmpfs_alloc(tmpfs_of(inode->fs), sizeof *x + name_bytes + size);
    if (x == NULL) return -ENOSPC;
    if (old != NULL) drop(i, old);
    x->name_bytes = (uint32_t)name_bytes;
    x->value_bytes = (uint32_t)size;
    memcpy(x->text, name, name_bytes);
    memcpy(x->text + name_bytes, value, size);
    list_push_back(&i->xattrs, &x->node);
    i->xattr_bytes += x->name_bytes + x->value_bytes;
    inode->changed = fs_now();
    return 0;
}

int tmpfs_xattr_remove(struct inode *inode, const char *name) {
    struct tmpfs_xattr *x = find(tmpfs_inode_of(inode), name);
    if (x == NULL) return -ENODATA;
    drop(tmpfs_inode_of(inode), x);
    inode->changed = fs_now();
    return 0;
}

int64_t tmpfs_xattr_list(struct inode *inode, char *list, size_t size) {
    size_t bytes = 0;
    list_for_each_entry(x, &tmpfs_inode_of(inode)->xattrs, struct tmpfs_xattr, node) {
        if (size != 0 && x->name_bytes > size - bytes) return -ERANGE;
        if (size != 0) memcpy(list + bytes, x->text, x->name_bytes);
        bytes += x->name_bytes;
    }
    return (int64_t)bytes;
}
