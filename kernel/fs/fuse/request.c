// Requests: made, finished, freed, and those that nobody waits for.
#include "abi/gen/errors.h"
#include "kernel/core/assert.h"
#include "kernel/fs/fuse/internal.h"
#include "kernel/mm/slub.h"
#include "lib/string.h"

// Those that the next driver can be asked again, as doing them twice is as good as once.
static bool is_repeatable(uint32_t opcode) {
    switch (opcode) {
    case FUSE_LOOKUP:
    case FUSE_GETATTR:
    case FUSE_SETATTR:
    case FUSE_READLINK:
    case FUSE_OPEN:
    case FUSE_READ:
    case FUSE_WRITE:
    case FUSE_STATFS:
    case FUSE_FSYNC:
    case FUSE_GETXATTR:
    case FUSE_LISTXATTR:
    case FUSE_OPENDIR:
    case FUSE_READDIR:
    case FUSE_FSYNCDIR:
    case FUSE_READDIRPLUS:
    case FUSE_LSEEK:
    case FUSE_ACCESS:
        return true;
    default:
        return false;
    }
}

struct fuse_request *fuse_request_alloc(uint32_t opcode, uint64_t nodeid, uint32_t arguments, uint32_t reply) {
    if (arguments > FUSE_ARGUMENTS_MAX) return NULL;
    uint32_t in = (uint32_t)sizeof(struct fuse_in_header) + arguments, room = (uint32_t)align_up(in, 8);
    struct fuse_request *r = kmalloc(sizeof *r + room + reply);
    if (r == NULL) return NULL;
    *r = (struct fuse_request){
        .opcode = opcode, .epoch = FUSE_ANY_EPOCH, .replays = is_repeatable(opcode), .in_bytes = in, .out = r->body + room,
        .out_least = reply, .out_most = reply};
    *(struct fuse_in_header *)r->body =
        (struct fuse_in_header){.opcode = opcode, .nodeid = nodeid, .pid = (uint32_t)fuse_current_process()};
    memset(fuse_arguments(r), 0, room - sizeof(struct fuse_in_header));
    return r;
}

// The lock is held. It is over, and who waits for it still has to be woken: the thread, or NULL. Who owns it may free it from then on.
static struct thread *finish_locked(struct fuse_connection *c, struct fuse_request *r, int error) {
    struct thread *t = r->waiter;
    if (list_node_is_linked(&r->interrupt_node)) list_remove(&r->interrupt_node);
    r->error = error;
    r->waiter = NULL;
    __atomic_store_n(&r->state, FUSE_DONE, __ATOMIC_RELEASE);
    if (error != 0) c->counts.failed++;
    if (t == NULL) return NULL;
    list_remove(&t->wait.node);
    wait_claim_locked(t, 0);
    return t;
}

// Not under the lock. It was finished, and is nobody's.
static inline __attribute__((always_inline)) void dispose(struct fuse_connection *c, struct fuse_request *r) {
    if (unlikely(r->done != NULL)) r->done(c, r);
    kfree(r);
}

struct thread *fuse_finish_unlock_quietly(struct fuse_connection *c, struct fuse_request *r, int error) {
    bool ours = r->abandoned || r->detached;  // else who waits frees it
    struct thread *waiter = finish_locked(c, r, error);
    spin_unlock(&c->idle.lock);
    if (ours) dispose(c, r);
    return waiter;
}

void fuse_finish_unlock(struct fuse_connection *c, struct fuse_request *r, int error) {
    struct thread *waiter = fuse_finish_unlock_quietly(c, r, error);
    if (waiter != NULL) sched_wake(waiter);
}

// ---- what callers leave -----------------------------------------------------------------------------------------------------

// The caller goes; whether it is over.
static coldpath bool abandon(struct fuse_connection *c, struct fuse_request *r) {
    spin_lock(&c->idle.lock);
    fuse_await_copy_locked(c, r);
    bool over = r->state == FUSE_DONE || r->state == FUSE_FRESH;
    if (!over) r->abandoned = true;
    spin_unlock(&c->idle.lock);
    return over;
}

// One that the driver still has stays until its reply, or until the driver is lost.
void fuse_request_free(struct fuse_connection *c, struct fuse_request *r) {
    if (r == NULL) return;
    if (likely(__atomic_load_n(&r->state, __ATOMIC_ACQUIRE) == FUSE_DONE) || abandon(c, r)) dispose(c, r);
}

void fuse_send(struct fuse_connection *c, struct fuse_request *r) {
    r->detached = true;
    spin_lock(&c->idle.lock);
    if (!fuse_is_heard_locked(c)) {
        fuse_finish_unlock(c, r, -ENOTCONN);
        return;
    }
    fuse_enqueue_locked(c, r);
    if (r->opcode == FUSE_NOTIFY_REPLY) ((struct fuse_in_header *)r->body)->unique = r->address;
    fuse_wake_driver_locked(c);
    spin_unlock(&c->idle.lock);
    fuse_announce(c);
}

void fuse_send_forget(struct fuse_connection *c, struct fuse_forget *f) {
    if (f == NULL) return;
    f->next = NULL;
    spin_lock(&c->idle.lock);
    bool wanted = f->one.nlookup != 0 && fuse_is_heard_locked(c) && (c->stateless || f->epoch == c->epoch);
    if (wanted) {
        bool first = c->forgets == NULL;
        *c->forgets_end = f;
        c->forgets_end = &f->next;
        if (first) fuse_wake_driver_locked(c);
    }
    spin_unlock(&c->idle.lock);
    if (wanted) fuse_announce(c);
    else kfree(f);
}
