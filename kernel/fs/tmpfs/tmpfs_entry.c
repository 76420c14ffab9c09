#include "abi/gen/errors.h"
#include "kernel/fs/tmpfs/tmpfs.h"
#include "kernel/sched/sched.h"

static uint32_t hash_of(const char *name, size_t bytes) {
    uint32_t hash = 0x811c9dc5;
    for (size_t i = 0; i < bytes; i++) hash = (hash ^ (uint8_t)name[i]) * 0x01000193;
    return hash;
}

static int compare(const struct tmpfs_entry *e, uint32_t hash, const char *name, size_t bytes) {
    if (e->hash != hash) return e->hash < hash ? -1 : 1;
    if (e->bytes != bytes) return e->bytes < bytes ? -1 : 1;
    return memcmp(e->text, name, bytes);
}

// The entry, or where it would hang.
static struct tmpfs_entry *descend(struct tmpfs_inode *dir, uint32_t hash, const char *name, size_t bytes, struct rb_node **parent,
                                   struct rb_node ***slot) {
    *parent = NULL;
    *slot = &dir->by_name.root;
    while (**slot != NULL) {
        struct tmpfs_entry *e = rb_entry(**slot, struct tmpfs_entry, by_name);
        int order = compare(e, hash, name, bytes);
        if (order == 0) return e;
        *parent = **slot;
        *slot = order > 0 ? &(*parent)->left : &(*parent)->right;
    }
    return NULL;
}

struct tmpfs_entry *tmpfs_entry_find(struct tmpfs_inode *dir, const char *name, size_t bytes) {
    struct rb_node *parent, **slot;
    return descend(dir, hash_of(name, bytes), name, bytes, &parent, &slot);
}

static size_t size_of(size_t bytes) { return sizeof(struct tmpfs_entry) + bytes; }

int tmpfs_entry_add(struct tmpfs_inode *dir, const char *name, size_t bytes, const struct inode *inode) {
    struct rb_node *parent, **slot;
    struct tmpfs_entry *e = tmpfs_alloc(tmpfs_of(dir->inode.fs), size_of(bytes));
    if (e == NULL) return -ENOSPC;
    e->hash = hash_of(name, bytes);
    e->bytes = (uint8_t)bytes;
    e->number = inode->number;
    e->type = FS_TYPE(inode->mode);
    e->cookie = ++dir->last_cookie;
    memcpy(e->text, name, bytes);
    (void)descend(dir, e->hash, name, bytes, &parent, &slot);
    rb_insert_at(&dir->by_name, &e->by_name, parent, slot);
    parent = rb_last(&dir->by_cookie);  // cookies only grow
    rb_insert_at(&dir->by_cookie, &e->by_cookie, parent, parent != NULL ? &parent->right : &dir->by_cookie.root);
    return 0;
}

void tmpfs_entry_remove(struct tmpfs_inode *dir, struct tmpfs_entry *e) {
    rb_remove(&dir->by_name, &e->by_name);
    rb_remove(&dir->by_cookie, &e->by_cookie);
    tmpfs_free(tmpfs_of(dir->inode.fs), e, size_of(e->bytes));
}

void tmpfs_entries_clear(struct tmpfs_inode *dir) {
    for (unsigned n = 1; !tmpfs_is_empty(dir); n++) {
        tmpfs_entry_remove(dir, rb_entry(rb_first(&dir->by_name), struct tmpfs_entry, by_name));
        if (n % 64 == 0) (void)sched_preempt_point();
    }
}

// The first entry whose cookie is larger.
static struct tmpfs_entry *entry_after(struct tmpfs_inode *dir, uint64_t cookie) {
    struct tmpfs_entry *found = NULL;
    for (struct rb_node *node = dir->by_cookie.root; node != NULL;) {
        struct tmpfs_entry *e = rb_entry(node, struct tmpfs_entry, by_cookie);
        if (e->cookie > cookie) found = e;
        node = e->cookie > cookie ? node->left : node->right;
    }
    return found;
}

int tmpfs_read_directory(struct inode *inode, uint64_t cookie, fs_emit *emit, void *context) {
    struct tmpfs_inode *dir = tmpfs_inode_of(inode);
    struct tmpfs_entry *e = entry_after(dir, cookie);
    for (unsigned n = 1; e != NULL && emit(context, e->text, e->bytes, e->number, e->type, e->cookie); n++) {
        e = rb_entry_or_null(rb_next(&e->by_cookie), struct tmpfs_entry, by_cookie);
        if (n % 64 == 0) (void)sched_preempt_point();
    }
    return 0;
}
