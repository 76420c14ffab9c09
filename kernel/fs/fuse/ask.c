#include "abi/gen/errors.h"
#include "kernel/fs/fuse/fuse.h"
#include "lib/string.h"

// Some errors make the kernel do something: a driver is not to have it do that.
int fuse_error(int error) {
    switch (error) {
    case -EAGAIN:
    case -ENOMEM:
    case -EREMOTE:
    case -EFAULT:
    case -EBADF:
        return -EIO;
    default:
        return error;
    }
}

static uint32_t bytes_of(const struct fuse_question *q) {
    uint64_t bytes = q->in_bytes + q->data_bytes;
    for (unsigned i = 0; i < 2; i++) bytes += q->name[i] != NULL ? q->name_bytes[i] + 1 : 0;
    return bytes > FUSE_ARGUMENTS_MAX ? UINT32_MAX : (uint32_t)bytes;
}

static void put(struct fuse_request *r, const struct fuse_question *q) {
    uint8_t *at = fuse_arguments(r);
    if (q->in_bytes != 0) memcpy(at, q->in, q->in_bytes);
    at += q->in_bytes;
    for (unsigned i = 0; i < 2; i++) {
        if (q->name[i] == NULL) continue;
        memcpy(at, q->name[i], q->name_bytes[i]);
        at += q->name_bytes[i] + 1;  // the request was zeroed
    }
    if (q->data_bytes != 0) memcpy(at, q->data, q->data_bytes);
}

static void opened(struct fuse_connection *c, struct fuse_request *r) { fuse_forget_put(c, r->context); }

static void hold_node(struct fuse_node *node, struct fuse_request *r) {
    fuse_forget_hold(node->forget);
    r->context = node->forget;
    r->done = opened;
}

int64_t fuse_ask(struct fuse_fs *f, const struct fuse_question *q) {
    if (fuse_is_missing(f, q->opcode)) return -ENOSYS;
    uint32_t arguments = bytes_of(q);
    if (arguments == UINT32_MAX) return -E2BIG;
    struct fuse_request *r = fuse_request_alloc(q->opcode, q->node != NULL ? q->node->nodeid : FUSE_ROOT, arguments, q->out_most);
    if (r == NULL) return -ENOMEM;
    put(r, q);
    if (q->node != NULL) r->epoch = q->node->epoch;
    if (unlikely(q->handle != NULL)) fuse_handle_lend(q->handle, r);
    if (unlikely(q->opens)) hold_node(q->node, r);
    r->out_least = q->out_least;
    int error = fuse_call(f->c, r);
    if (error == -ENOSYS && q->opcode != FUSE_IOCTL) __atomic_fetch_or(&f->c->missing, 1ull << q->opcode, __ATOMIC_RELAXED);
    int64_t result = error != 0 ? fuse_error(error) : (int64_t)r->out_bytes;
    if (error == 0 && r->out_bytes != 0) memcpy(q->out, r->out, r->out_bytes);
    fuse_request_free(f->c, r);
    return result;
}

int fuse_check_node(struct fuse_node *node) {
    struct fuse_connection *c = fuse_of_node(node)->c;
    uint64_t epoch = __atomic_load_n(&c->epoch, __ATOMIC_ACQUIRE);
    if (node->inode.flags & INODE_BAD) return -EIO;
    if (likely(node->epoch == epoch) || c->stateless) return 0;
    if (__atomic_load_n(&c->state, __ATOMIC_RELAXED) == FUSE_GONE) return -ENOTCONN;
    if (node->nodeid != FUSE_ROOT) return -ESTALE;
    node->epoch = epoch;
    fuse_expire(&node->inode);
    return 0;
}
