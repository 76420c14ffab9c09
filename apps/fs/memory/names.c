#include "apps/fs/memory/memory.h"

#include <stdlib.h>
#include <string.h>

static uint32_t hash_of(const char *name) {
    uint32_t hash = 2166136261u;
    while (*name != 0) hash = (hash ^ (uint8_t)*name++) * 16777619u;
    return hash;
}

struct entry *entry_find(const struct node *dir, const char *name) {
    const uint32_t hash = hash_of(name);
    struct entry *e = dir->first;
    while (e != NULL && (e->hash != hash || strcmp(e->name, name) != 0)) e = e->next;
    return e;
}

bool entry_add(struct node *dir, const char *name, struct node *child) {
    const size_t bytes = strlen(name) + 1;
    struct entry *e = malloc(sizeof *e + bytes);
    if (e == NULL) return false;
    *e = (struct entry){.previous = dir->last, .cookie = ++dir->last_cookie, .child = child, .hash = hash_of(name)};
    memcpy(e->name, name, bytes);
    if (dir->last != NULL) dir->last->next = e;
    else dir->first = e;
    dir->last = e;
    if (node_is_directory(child)) dir->attr.nlink++;
    node_touch(dir, true);
    return true;
}

void entry_remove(struct node *dir, struct entry *e) {
    if (e->previous != NULL) e->previous->next = e->next;
    else dir->first = e->next;
    if (e->next != NULL) e->next->previous = e->previous;
    else dir->last = e->previous;
    if (node_is_directory(e->child)) dir->attr.nlink--;
    free(e);
    node_touch(dir, true);
}

// A directory that may get names: NULL and *error.
static struct node *directory(uint64_t number, int32_t *error) {
    struct node *dir = node_find(number);
    *error = dir == NULL ? -FS_ESTALE : node_is_directory(dir) ? 0 : -FS_ENOTDIR;
    return *error == 0 ? dir : NULL;
}

static int32_t tell(struct node *n, struct fuse_attr *out) {
    n->lookups++;
    *out = n->attr;
    return 0;
}

int32_t memory_lookup(struct fs *fs, uint64_t number, const char *name, struct fuse_attr *out) {
    int32_t error;
    const struct node *dir = directory(number, &error);
    if (dir == NULL) return error;
    const struct entry *e = entry_find(dir, name);
    return e != NULL ? tell(e->child, out) : -FS_ENOENT;
}

int32_t memory_make(struct fs *fs, uint64_t number, const char *name, uint32_t mode, uint32_t rdev, const char *target,
                    struct fuse_attr *out) {
    int32_t error;
    struct node *dir = directory(number, &error);
    if (dir == NULL) return error;
    if (entry_find(dir, name) != NULL) return -FS_EEXIST;
    if (dir->attr.nlink == 0) return -FS_ENOENT;
    char *copy = target != NULL ? strdup(target) : NULL;
    struct node *n = target == NULL || copy != NULL ? node_make(mode) : NULL;
    if (n == NULL) {
        free(copy);
        return -FS_ENOSPC;
    }
    n->target = copy;
    n->attr.size = copy != NULL ? strlen(copy) : 0;
    n->attr.rdev = rdev;
    if (entry_add(dir, name, n)) return tell(n, out);
    n->attr.nlink = 0;
    node_settle(n);
    return -FS_ENOSPC;
}

int32_t memory_link(struct fs *fs, uint64_t node, uint64_t number, const char *name, struct fuse_attr *out) {
    int32_t error;
    struct node *dir = directory(number, &error), *n = node_find(node);
    if (dir == NULL || n == NULL) return dir == NULL ? error : -FS_ENOENT;
    if (entry_find(dir, name) != NULL) return -FS_EEXIST;
    if (!entry_add(dir, name, n)) return -FS_ENOSPC;
    n->attr.nlink++;
    node_touch(n, false);
    return tell(n, out);
}

// A name less for a node, whose entry is gone already.
static void lose(struct node *n) {
    n->attr.nlink = node_is_directory(n) ? 0 : n->attr.nlink - 1;
    node_touch(n, false);
    node_settle(n);
}

int32_t memory_unlink(struct fs *fs, uint64_t number, const char *name, bool is_directory) {
    int32_t error;
    struct node *dir = directory(number, &error);
    if (dir == NULL) return error;
    struct entry *e = entry_find(dir, name);
    if (e == NULL) return -FS_ENOENT;
    struct node *n = e->child;
    if (node_is_directory(n) != is_directory) return is_directory ? -FS_ENOTDIR : -FS_EISDIR;
    if (n->first != NULL) return -FS_ENOTEMPTY;
    entry_remove(dir, e);
    lose(n);
    return 0;
}

static int32_t exchange(struct node *from, struct entry *a, struct node *to, struct entry *b) {
    struct node *first = a->child, *second = b->child;
    from->attr.nlink += (uint32_t)node_is_directory(second) - (uint32_t)node_is_directory(first);
    to->attr.nlink += (uint32_t)node_is_directory(first) - (uint32_t)node_is_directory(second);
    a->child = second;
    b->child = first;
    node_touch(first, false);
    node_touch(second, false);
    node_touch(from, true);
    node_touch(to, true);
    return 0;
}

// The kernel has seen to it that no directory comes to lie in itself.
int32_t memory_rename(struct fs *fs, uint64_t from_number, const char *name, uint64_t to_number, const char *new_name, uint32_t flags) {
    int32_t error = 0;
    struct node *from = directory(from_number, &error), *to = from != NULL ? directory(to_number, &error) : NULL;
    if (to == NULL) return error;
    struct entry *e = entry_find(from, name), *old = entry_find(to, new_name);
    if (e == NULL) return -FS_ENOENT;
    if (flags & FUSE_RENAME_EXCHANGE) return old != NULL ? exchange(from, e, to, old) : -FS_ENOENT;
    if (old != NULL && flags & FUSE_RENAME_NOREPLACE) return -FS_EEXIST;
    struct node *n = e->child, *replaced = old != NULL ? old->child : NULL;
    if (replaced == n) return 0;
    if (replaced != NULL && replaced->first != NULL) return -FS_ENOTEMPTY;
    if (!entry_add(to, new_name, n)) return -FS_ENOSPC;
    entry_remove(from, e);
    if (old != NULL) entry_remove(to, old);
    if (replaced != NULL) lose(replaced);
    node_touch(n, false);
    return 0;
}

int32_t memory_list(struct fs *fs, uint64_t number, uint64_t after, struct fs_list *list) {
    int32_t error;
    const struct node *dir = directory(number, &error);
    if (dir == NULL) return error;
    for (const struct entry *e = dir->first; e != NULL; e = e->next)
        if (e->cookie > after && !fs_list_add(list, e->cookie, e->child->attr.ino, e->child->attr.mode, e->name)) break;
    return 0;
}

int32_t memory_read_link(struct fs *fs, uint64_t node, struct fs_reply *reply) {
    const struct node *n = node_find(node);
    if (n == NULL || n->target == NULL) return n == NULL ? -FS_ESTALE : -FS_EINVAL;
    return fs_reply_show(reply, n->target, (uint32_t)n->attr.size) ? 0 : -FS_EIO;
}
