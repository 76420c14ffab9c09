#include "user/memfs/memfs.h"

#include "abi/gen/errors.h"
#include "lib/string.h"
#include "lib/util.h"

#define TYPE(mode) ((mode) & 0170000u)

static struct memfs_time now(void) {
    uint64_t ns = (uint64_t)kpio_clock_get(1);
    return (struct memfs_time){ns / 1000000000, (uint32_t)(ns % 1000000000)};
}

void memfs_touch(struct memfs_node *node, bool content) {
    node->changed = now();
    if (content) node->modified = node->changed;
}

static bool by_number(const struct rb_node *a, const struct rb_node *b) {
    return container_of((struct rb_node *)a, struct memfs_node, by_number)->number <
           container_of((struct rb_node *)b, struct memfs_node, by_number)->number;
}

struct memfs_node *memfs_find(struct memfs *m, uint64_t number) {
    for (struct rb_node *at = m->nodes.root; at != NULL;) {
        struct memfs_node *node = container_of(at, struct memfs_node, by_number);
        if (node->number == number) return node;
        at = number < node->number ? at->left : at->right;
    }
    return NULL;
}

struct memfs_node *memfs_make(struct memfs *m, uint32_t mode) {
    struct memfs_node *node = heap_alloc(sizeof *node);
    if (node == NULL) return NULL;
    node->number = ++m->last_number;
    node->mode = mode;
    node->links = TYPE(mode) == 0040000 ? 2 : 1;
    memfs_touch(node, true);
    node->accessed = node->modified;
    rb_tree_init(&node->pages, NULL);
    list_init(&node->entries);
    list_init(&node->xattrs);
    rb_insert(&m->nodes, &node->by_number, by_number);
    m->count++;
    return node;
}

int64_t memfs_begin(struct memfs *m) {
    rb_tree_init(&m->nodes, NULL);
    m->root = memfs_make(m, 0040755);
    if (m->root == NULL) return -ENOMEM;
    m->root->parent = m->root;
    return 0;
}

void memfs_settle(struct memfs *m, struct memfs_node *node) {
    if (node->links != 0 || node->lookups != 0 || node == m->root) return;
    memfs_resize(node, 0);
    memfs_xattrs_clear(node);
    heap_free(node->target);
    rb_remove(&m->nodes, &node->by_number);
    m->count--;
    heap_free(node);
}

struct memfs_entry *memfs_lookup(struct memfs_node *dir, const char *name) {
    size_t bytes = strlen(name);
    list_for_each_entry(e, &dir->entries, struct memfs_entry, node)
        if (e->bytes == bytes && memcmp(e->name, name, bytes) == 0) return e;
    return NULL;
}

int64_t memfs_enter(struct memfs_node *dir, const char *name, struct memfs_node *child) {
    size_t bytes = strlen(name);
    struct memfs_entry *e = heap_alloc(sizeof *e + bytes + 1);
    if (e == NULL) return -ENOSPC;
    e->cookie = ++dir->last_cookie;
    e->child = child;
    e->bytes = (uint32_t)bytes;
    memcpy(e->name, name, bytes);
    list_push_back(&dir->entries, &e->node);
    if (TYPE(child->mode) == 0040000) {
        child->parent = dir;
        dir->links++;
    }
    memfs_touch(dir, true);
    return 0;
}

void memfs_remove(struct memfs_node *dir, struct memfs_entry *e) {
    if (TYPE(e->child->mode) == 0040000) dir->links--;
    list_remove(&e->node);
    heap_free(e);
    memfs_touch(dir, true);
}

void memfs_attr(const struct memfs_node *n, struct fuse_attr *out) {
    *out = (struct fuse_attr){
        .ino = n->number, .size = n->size, .blocks = n->pages_used * (PAGE_BYTES / 512), .mode = n->mode, .nlink = n->links,
        .uid = n->uid, .gid = n->gid, .rdev = n->rdev, .blksize = PAGE_BYTES,
        .atime = n->accessed.seconds, .atimensec = n->accessed.nanoseconds, .mtime = n->modified.seconds,
        .mtimensec = n->modified.nanoseconds, .ctime = n->changed.seconds, .ctimensec = n->changed.nanoseconds};
}

void memfs_entry_out(struct memfs *m, struct memfs_node *node, struct fuse_entry_out *out) {
    uint64_t seconds = m->valid_ns / 1000000000;
    uint32_t rest = (uint32_t)(m->valid_ns % 1000000000);
    *out = (struct fuse_entry_out){
        .nodeid = node->number, .entry_valid = seconds, .attr_valid = seconds, .entry_valid_nsec = rest, .attr_valid_nsec = rest};
    memfs_attr(node, &out->attr);
    node->lookups++;
}
