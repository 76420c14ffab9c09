#include "abi/gen/errors.h"
#include "lib/string.h"
#include "lib/util.h"
#include "user/memfs/memfs.h"

#define ALL_MAX 65536u

static struct memfs_xattr *find(struct memfs_node *n, const char *name) {
    list_for_each_entry(x, &n->xattrs, struct memfs_xattr, node)
        if (strcmp(x->text, name) == 0) return x;
    return NULL;
}

static void drop(struct memfs_xattr *x) {
    list_remove(&x->node);
    heap_free(x);
}

void memfs_xattrs_clear(struct memfs_node *n) {
    while (!list_is_empty(&n->xattrs)) drop(list_first_entry(&n->xattrs, struct memfs_xattr, node));
}

// What was asked for: how long it is, or it.
static int64_t give(const struct fuse_call *call, uint32_t wanted, const void *value, uint32_t bytes) {
    if (wanted == 0) {
        *(struct fuse_getxattr_out *)call->reply = (struct fuse_getxattr_out){.size = bytes};
        return sizeof(struct fuse_getxattr_out);
    }
    if (wanted < bytes) return -ERANGE;
    memcpy(call->reply, value, bytes);
    return bytes;
}

int64_t memfs_xattr_get(struct memfs_node *n, const struct fuse_call *call) {
    const struct fuse_getxattr_in *in = call->body;
    const struct memfs_xattr *x = find(n, (const char *)(in + 1));
    return x != NULL ? give(call, in->size, x->text + x->name_bytes, x->value_bytes) : -ENODATA;
}

int64_t memfs_xattr_list(struct memfs_node *n, const struct fuse_call *call) {
    const struct fuse_getxattr_in *in = call->body;
    uint32_t bytes = 0;
    list_for_each_entry(x, &n->xattrs, struct memfs_xattr, node) bytes += x->name_bytes;
    if (in->size == 0) return give(call, 0, NULL, bytes);
    if (in->size < bytes) return -ERANGE;
    bytes = 0;
    list_for_each_entry(x, &n->xattrs, struct memfs_xattr, node) {
        memcpy(call->reply + bytes, x->text, x->name_bytes);
        bytes += x->name_bytes;
    }
    return bytes;
}

static bool is_known(const char *name) {
    return strncmp(name, "user.", 5) == 0 || strncmp(name, "trusted.", 8) == 0 || strncmp(name, "security.", 9) == 0 ||
           strncmp(name, "system.", 7) == 0;
}

int64_t memfs_xattr_set(struct memfs_node *n, const struct fuse_call *call) {
    const struct fuse_setxattr_in *in = call->body;
    const char *name = (const char *)(in + 1);
    uint32_t name_bytes = (uint32_t)strlen(name) + 1, all = name_bytes + in->size;
    struct memfs_xattr *old = find(n, name);
    if (!is_known(name)) return -EOPNOTSUPP;
    if (old != NULL && in->flags & 1) return -EEXIST;
    if (old == NULL && in->flags & 2) return -ENODATA;
    list_for_each_entry(x, &n->xattrs, struct memfs_xattr, node) all += x == old ? 0 : x->name_bytes + x->value_bytes;
    struct memfs_xattr *x = all <= ALL_MAX ? heap_alloc(sizeof *x + name_bytes + in->size) : NULL;
    if (x == NULL) return -ENOSPC;
    if (old != NULL) drop(old);
    x->name_bytes = name_bytes;
    x->value_bytes = in->size;
    memcpy(x->text, name, name_bytes + in->size);
    list_push_back(&n->xattrs, &x->node);
    memfs_touch(n, false);
    return 0;
}

int64_t memfs_xattr_remove(struct memfs_node *n, const struct fuse_call *call) {
    struct memfs_xattr *x = find(n, call->body);
    if (x == NULL) return -ENODATA;
    drop(x);
    memfs_touch(n, false);
    return 0;
}
