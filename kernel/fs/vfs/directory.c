#include "kernel/fs/vfs/directory.h"

#include "abi/gen/errors.h"
#include "kernel/fs/vfs/lock.h"
#include "kernel/fs/vfs/walk.h"
#include "kernel/mm/slub.h"

static struct kmem_cache directory_cache;

static void place_hold(const struct place *p) {
    mount_hold(p->mount);
    inode_hold(p->inode);
}
static void place_put_later(const struct place *p) {
    inode_put_later(p->inode);
    mount_put(p->mount);
}

static void directory_unreachable(struct object *o) { locks_release_file(o, directory_of(o)->at.inode); }

static void directory_handle_gone(struct object *o, struct handle *h) { locks_handle_gone(directory_of(o)->at.inode, h); }

static void directory_destroy(struct object *o) {
    struct directory *d = directory_of(o);
    place_put_later(&d->at);
    place_put_later(&d->root);
    mount_table_put(d->table);
    if (d->family != NULL) object_put(d->family);
}

static void directory_free(struct rcu_head *head) { slub_free(&directory_cache, directory_of(container_of(head, struct object, rcu))); }

static uint32_t directory_signals(struct object *o, uint64_t *value) {
    *value = 0;
    return KPIO_SIGNAL_READABLE;
}

static const struct object_ops directory_ops = {
    .name = "directory",
    .rights = DIRECTORY_RIGHTS,
    .unreachable = directory_unreachable,
    .destroy = directory_destroy,
    .free = directory_free,
    .handle_gone = directory_handle_gone,
    .signals = directory_signals,
};

void directory_init(void) { slub_cache_init(&directory_cache, "directory", sizeof(struct directory), 0); }

struct object *object_join_family(struct object *o, struct object *through) {
    struct object *head = object_family(through);
    object_get(head);
    o->tree = &head->tree_lock;
    return head;
}

int directory_create(struct job *job, struct mount_table *table, const struct place *at, const struct place *root,
                     struct object *family, struct directory **out) {
    struct directory *d = slub_alloc_zeroed(&directory_cache);
    if (d == NULL) return -ENOMEM;
    int error = object_init(&d->object, KPIO_KIND_DIRECTORY, &directory_ops, job, sizeof *d);
    if (error != 0) {
        slub_free(&directory_cache, d);
        return error;
    }
    if (family != NULL) d->family = object_join_family(&d->object, family);
    d->table = table;
    d->at = *at;
    d->root = *root;
    mount_table_hold(table);
    place_hold(at);
    place_hold(root);
    mutex_init(&d->lock, "directory");
    *out = d;
    return 0;
}

// ---- its path -----------------------------------------------------------------------------------------------------------

struct search {
    uint64_t number;
    char *text;
    size_t bytes;
};

static bool find_number(void *context, const char *name, size_t bytes, uint64_t number, uint32_t type, uint64_t next) {
    struct search *s = context;
    if (number != s->number) return true;
    memcpy(s->text, name, bytes);
    s->bytes = bytes;
    return false;
}

// The name of a directory in its parent, both held.
static int name_of(struct inode *dir, struct inode *parent, struct search *s) {
    s->number = dir->number;
    s->bytes = 0;
    if (dir->fs->remote) {  // whose numbers in directories need not be those of inodes
        s->bytes = name_of_child(parent, dir, s->text);
        return s->bytes == 0 ? -ENOENT : 0;
    }
    int error = rw_mutex_lock_shared_killable(&parent->lock);
    if (error != 0) return error;
    error = parent->ops->read_directory(parent, 0, find_number, s);
    rw_mutex_unlock_shared(&parent->lock);
    return error != 0 ? error : s->bytes == 0 ? -ENOENT : 0;
}

// One level up from a held place, which becomes the parent's, held. -ENOENT: nothing is above.
static int level_up(struct place *p, struct search *s) {
    while (p->inode == p->mount->root) {
        struct place up = {p->mount->parent, p->mount->point};
        if (up.mount == NULL) return -ENOENT;
        place_hold(&up);
        inode_put(p->inode);
        mount_put(p->mount);
        *p = up;
    }
    struct inode *parent = p->inode->parent;
    if (parent == p->inode || parent == NULL || !inode_tryhold(parent)) return -ENOENT;
    int error = name_of(p->inode, parent, s);
    inode_put(p->inode);
    p->inode = parent;
    return error;
}

// Written from the end of the buffer to its start, then moved.
int64_t place_path(const struct place *from, const struct place *root, char *buffer, size_t size) {
    char *text = kmalloc(FS_NAME_MAX + 1);
    if (text == NULL) return -ENOMEM;
    struct search s = {.text = text};
    struct place p = *from;
    size_t at = size;
    int error = size < 2 ? -ERANGE : 0;
    place_hold(&p);
    if (error == 0) buffer[--at] = '\0';
    while (error == 0 && (p.inode != root->inode || p.mount != root->mount)) {
        error = level_up(&p, &s);
        if (error == 0 && at < s.bytes + 1) error = -ERANGE;
        if (error != 0) break;
        at -= s.bytes + 1;
        buffer[at] = '/';
        memcpy(buffer + at + 1, s.text, s.bytes);
    }
    if (error == 0 && at == size - 1) buffer[--at] = '/';
    inode_put(p.inode);
    mount_put(p.mount);
    kfree(text);
    if (error != 0) return error;
    memmove(buffer, buffer + at, size - at);
    return (int64_t)(size - at - 1);
}

int64_t directory_path(struct directory *d, char *buffer, size_t size) { return place_path(&d->at, &d->root, buffer, size); }
