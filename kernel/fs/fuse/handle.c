// What is open at the driver. A handle ends with FLUSH, if the driver has that, then RELEASE: messages that nobody waits for, made
// together with the handle.
#include "abi/gen/errors.h"
#include "kernel/core/assert.h"
#include "kernel/fs/fuse/fuse.h"
#include "kernel/mm/slub.h"

#define LINUX_READ_ONLY 0u
#define LINUX_WRITE_ONLY 1u
#define LINUX_READ_WRITE 2u
#define LINUX_APPEND 02000u

// ---- ends -------------------------------------------------------------------------------------------------------------

// RELEASE was answered, or cannot be.
static void released(struct fuse_connection *c, struct fuse_request *r) {
    if (r->context != NULL) fuse_forget_put(c, r->context);
}

// The same of FLUSH.
static void flushed(struct fuse_connection *c, struct fuse_request *r) {
    if (r->context != NULL) fuse_send(c, r->context);
}

struct fuse_request *fuse_handle_release(uint32_t opcode, uint64_t nodeid, uint64_t fh, struct fuse_forget *node) {
    struct fuse_request *r = fuse_request_alloc(opcode, nodeid, sizeof(struct fuse_release_in), 0);
    if (r == NULL) return NULL;
    *(struct fuse_release_in *)fuse_arguments(r) = (struct fuse_release_in){.fh = fh};
    r->context = node;
    r->done = released;
    return r;
}

struct fuse_handle *fuse_handle_make(struct fuse_node *node, uint64_t fh, uint32_t open_flags, bool writes) {
    bool directory = FS_TYPE(node->inode.mode) == FS_DIRECTORY;
    struct fuse_handle *h = kzalloc(sizeof *h);
    if (h == NULL) return NULL;
    *h = (struct fuse_handle){
        .c = fuse_of_node(node)->c, .forget = node->forget, .fh = fh, .epoch = node->epoch, .refs = 1, .open_flags = open_flags,
        .writes = writes};
    h->release = fuse_handle_release(directory ? FUSE_RELEASEDIR : FUSE_RELEASE, node->nodeid, fh, h->forget);
    if (!directory) h->flush = fuse_request_alloc(FUSE_FLUSH, node->nodeid, sizeof(struct fuse_flush_in), 0);
    if (h->release != NULL && (directory || h->flush != NULL)) {
        if (!directory) *(struct fuse_flush_in *)fuse_arguments(h->flush) = (struct fuse_flush_in){.fh = fh};
        fuse_forget_hold(h->forget);
        return h;
    }
    kfree(h->release);
    kfree(h->flush);
    kfree(h);
    return NULL;
}

// The driver it was of is gone.
static void drop(struct fuse_handle *h) {
    fuse_forget_put(h->c, h->forget);
    kfree(h->flush);
    kfree(h->release);
}

static void send_release(struct fuse_handle *h) {
    struct fuse_connection *c = h->c;
    bool flushes = h->flush != NULL && !(__atomic_load_n(&c->missing, __ATOMIC_RELAXED) >> FUSE_FLUSH & 1);
    if (flushes) {
        h->flush->context = h->release;
        h->flush->done = flushed;
        fuse_send(c, h->flush);
    } else {
        kfree(h->flush);
        fuse_send(c, h->release);
    }
}

void fuse_handle_put(struct fuse_handle *h) {
    if (h == NULL || __atomic_sub_fetch(&h->refs, 1, __ATOMIC_ACQ_REL) != 0) return;
    const struct fuse_connection *c = h->c;
    if (h->epoch == c->epoch || c->stateless) send_release(h);
    else drop(h);
    kfree(h);
}

static void given_back(struct fuse_connection *c, struct fuse_request *r) {
    (void)c;
    fuse_handle_put(r->context);
}

void fuse_handle_lend(struct fuse_handle *h, struct fuse_request *r) {
    if (h == NULL) return;
    fuse_handle_get(h);
    r->context = h;
    r->done = given_back;
}

int fuse_handle_check(const struct fuse_handle *h, struct fuse_node *node) {
    int error = fuse_check_node(node);
    return error == 0 && h->epoch != node->epoch && !fuse_of_node(node)->c->stateless ? -ESTALE : error;
}

// ---- the handles of a node ----------------------------------------------------------------------------------------------

void fuse_handle_add(struct fuse_node *node, struct fuse_handle *h) {
    struct fuse_fs *f = fuse_of_node(node);
    spin_lock(&f->lock);
    list_push_back(&node->handles, &h->node);
    spin_unlock(&f->lock);
}

int fuse_handle_any(struct fuse_node *node, bool writes, struct fuse_handle **out) {
    struct fuse_fs *f = fuse_of_node(node);
    bool none = fuse_is_missing(f, FUSE_OPEN);
    *out = NULL;
    spin_lock(&f->lock);
    list_for_each_entry(h, &node->handles, struct fuse_handle, node) {
        if ((writes && !h->writes) || (h->epoch != f->c->epoch && !f->c->stateless)) continue;
        fuse_handle_get(h);
        *out = h;
        break;
    }
    spin_unlock(&f->lock);
    return *out != NULL || none ? 0 : -EBADF;
}

// The next that nobody has open.
static struct fuse_handle *take_closing(struct fuse_fs *f, struct fuse_node *node) {
    struct fuse_handle *found = NULL;
    spin_lock(&f->lock);
    list_for_each_entry(h, &node->handles, struct fuse_handle, node) {
        if (!h->closing) continue;
        list_remove(&h->node);
        found = h;
        break;
    }
    spin_unlock(&f->lock);
    return found;
}

void fuse_handles_settle(struct fuse_node *node) {
    if (FS_TYPE(node->inode.mode) == FS_REGULAR && list_node_is_linked(&node->inode.cache.node)) return;
    for (struct fuse_handle *h; (h = take_closing(fuse_of_node(node), node)) != NULL;) fuse_handle_put(h);
}

void fuse_handles_drop(struct fuse_node *node) {
    for (struct fuse_handle *h; (h = list_pop_front_entry(&node->handles, struct fuse_handle, node)) != NULL;)
        fuse_handle_put(h);
    fuse_handle_put(node->created);
    fuse_handle_put(node->reading);
}

// ---- opening ------------------------------------------------------------------------------------------------------------

static int ask_open(struct fuse_node *node, uint32_t opcode, uint32_t flags, struct fuse_open_out *out) {
    struct fuse_open_in in = {.flags = flags};
    const struct fuse_question q = {
        .opcode = opcode, .node = node, .opens = true, .in = &in, .in_bytes = sizeof in, .out = out, .out_least = sizeof *out,
        .out_most = sizeof *out};
    int64_t result = fuse_ask(fuse_of_node(node), &q);
    return result < 0 ? (int)result : 0;
}

// The one that create left for the open that follows it.
static struct fuse_handle *take_created(struct fuse_node *node) { return fuse_handle_take(node, &node->created); }

static int open_new(struct fuse_node *node, uint32_t rights, struct fuse_handle **out) {
    bool writes = rights & KPIO_RIGHT_WRITE;
    struct fuse_open_out answer = {0};
    // The page cache reads what is written in part, so who writes can read.
    uint32_t flags = writes ? LINUX_READ_WRITE : LINUX_READ_ONLY;
    int error = ask_open(node, FUSE_OPEN, flags, &answer);
    bool none = error == -ENOSYS && fuse_wants(fuse_of_node(node), FUSE_NO_OPEN_SUPPORT);
    if (error != 0 && !none) return error == -ENOSYS ? -EOPNOTSUPP : error;
    if (none) answer = (struct fuse_open_out){.open_flags = FOPEN_KEEP_CACHE};
    *out = fuse_handle_make(node, answer.fh, answer.open_flags, writes);
    return *out != NULL ? 0 : -ENOMEM;
}

int fuse_open(struct inode *inode, uint32_t rights, uint32_t flags, void **opened) {
    struct fuse_node *node = fuse_node_of(inode);
    struct fuse_handle *h = take_created(node);
    int error = fuse_check_node(node);
    (void)flags;
    if (error == 0 && h == NULL) error = open_new(node, rights, &h);
    if (error != 0) {
        fuse_handle_put(h);
        return error;
    }
    // Unless the driver says that what is cached is good: another open may have been told otherwise.
    if (!(h->open_flags & (FOPEN_KEEP_CACHE | FOPEN_DIRECT_IO)) && inode->cache.dirty_pages == 0 && inode->writers <= 1)
        file_cache_drop(&inode->cache, 0, UINT64_MAX);
    fuse_handle_add(node, h);
    *opened = h;
    return 0;
}

void fuse_release(struct inode *inode, void *opened) {
    struct fuse_node *node = fuse_node_of(inode);
    struct fuse_fs *f = fuse_of_node(node);
    struct fuse_handle *h = opened;
    fuse_locks_leave(node, h);
    fuse_poll_leave(f, h);
    spin_lock(&f->lock);
    h->closing = true;
    spin_unlock(&f->lock);
    fuse_handles_settle(node);
}

int fuse_open_directory(struct fuse_node *dir, struct fuse_handle **out) {
    struct fuse_open_out answer = {0};
    int error = ask_open(dir, FUSE_OPENDIR, LINUX_READ_ONLY, &answer);
    if (error != 0) return error;
    *out = fuse_handle_make(dir, answer.fh, answer.open_flags, false);
    return *out != NULL ? 0 : -ENOMEM;
}
