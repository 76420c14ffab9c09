// Locks that the driver serves. It is told of an owner's end as of what is open: by messages that were made beforehand, FLUSH where a
// process closes a handle of the file, FLUSH and RELEASE where the open file itself goes.
//
// A lock that comes when nobody waits for it any more is given back: nobody would ever unlock it.
#include "abi/fs.h"
#include "abi/gen/errors.h"
#include "kernel/core/assert.h"
#include "kernel/fs/fuse/fuse.h"
#include "kernel/mm/slub.h"
#include "kernel/object/process.h"

// A process that has locked ranges of the file.
struct fuse_locker {
    struct list_node node;
    uint64_t owner;
    struct fuse_handle *h;          // open: with it this ends
    struct fuse_request *flush;
};

// A lock that was asked for; of its request.
struct attempt {
    struct fuse_handle *h;          // held
    struct fuse_request *undo;
};

// What a stateless driver granted its successor would not know.
static bool is_served(const struct fuse_fs *f, uint32_t flags) {
    if (f->c->stateless) return false;
    return fuse_wants(f, flags & KPIO_LOCK_WHOLE ? FUSE_FLOCK_LOCKS : FUSE_POSIX_LOCKS);
}

static void put(struct fuse_lk_in *in, const struct fuse_handle *h, const struct fs_lock *lock, uint32_t kind) {
    static const uint32_t types[] = {
        [KPIO_LOCK_SHARED] = FUSE_LOCK_READ, [KPIO_LOCK_EXCLUSIVE] = FUSE_LOCK_WRITE, [KPIO_LOCK_NONE] = FUSE_LOCK_NONE};
    *in = (struct fuse_lk_in){
        .fh = h->fh, .owner = lock->owner, .lk = {lock->start, MIN(lock->last, (uint64_t)FUSE_LOCK_END), types[kind], 0},
        .lk_flags = lock->flags & KPIO_LOCK_WHOLE ? FUSE_LK_FLOCK : 0};
    if (kind != KPIO_LOCK_NONE) in->lk.pid = (uint32_t)current_process()->id;
}

static struct fuse_request *make(uint32_t opcode, const struct fuse_node *node, const struct fuse_handle *h, const struct fs_lock *lock,
                                 uint32_t kind) {
    struct fuse_request *r = fuse_request_alloc(opcode, node->nodeid, sizeof(struct fuse_lk_in), 0);
    if (r == NULL) return NULL;
    put(fuse_arguments(r), h, lock, kind);
    r->epoch = node->epoch;
    return r;
}

// ---- what is in the way -----------------------------------------------------------------------------------------------------

static bool is_good(const struct fuse_file_lock *lk) {
    if (lk->type == FUSE_LOCK_NONE) return true;
    return lk->type < FUSE_LOCK_NONE && lk->start <= lk->end && lk->end <= FUSE_LOCK_END;
}

static int test(struct fuse_node *node, struct fuse_handle *h, struct fs_lock *lock) {
    struct fuse_lk_in in;
    struct fuse_lk_out out;
    if (lock->flags & KPIO_LOCK_WHOLE) return -EOPNOTSUPP;  // the protocol has no such question
    put(&in, h, lock, lock->flags & KPIO_LOCK_KIND);
    const struct fuse_question q = {
        .opcode = FUSE_GETLK, .node = node, .handle = h, .in = &in, .in_bytes = sizeof in, .out = &out, .out_least = sizeof out,
        .out_most = sizeof out};
    int64_t result = fuse_ask(fuse_of_node(node), &q);
    if (result < 0) return result == -ENOSYS ? -EOPNOTSUPP : (int)result;
    if (!is_good(&out.lk)) return -EIO;
    static const uint32_t kinds[] = {
        [FUSE_LOCK_READ] = KPIO_LOCK_SHARED, [FUSE_LOCK_WRITE] = KPIO_LOCK_EXCLUSIVE, [FUSE_LOCK_NONE] = KPIO_LOCK_NONE};
    lock->flags = (lock->flags & ~(uint32_t)KPIO_LOCK_KIND) | kinds[out.lk.type];
    lock->start = out.lk.start;
    lock->last = out.lk.end == FUSE_LOCK_END ? UINT64_MAX : out.lk.end;
    lock->process = out.lk.pid;
    return 0;
}

// ---- owners -------------------------------------------------------------------------------------------------------------------

static void locker_free(struct fuse_locker *l) {
    if (l == NULL) return;
    kfree(l->flush);
    kfree(l);
}

static struct fuse_locker *locker_make(const struct fuse_node *node, struct fuse_handle *h, uint64_t owner) {
    struct fuse_locker *l = kmalloc(sizeof *l);
    if (l == NULL) return NULL;
    *l = (struct fuse_locker){.owner = owner, .h = h};
    l->flush = fuse_request_alloc(FUSE_FLUSH, node->nodeid, sizeof(struct fuse_flush_in), 0);
    if (l->flush == NULL) {
        kfree(l);
        return NULL;
    }
    *(struct fuse_flush_in *)fuse_arguments(l->flush) = (struct fuse_flush_in){.fh = h->fh, .lock_owner = owner};
    return l;
}

// The next of that owner, or (h not NULL) that goes with the handle; out of the list, and the handle held.
static struct fuse_locker *take_locker(struct fuse_node *node, uint64_t owner, const struct fuse_handle *h) {
    struct fuse_fs *f = fuse_of_node(node);
    struct fuse_locker *found = NULL;
    spin_lock(&f->lock);
    list_for_each_entry(l, &node->lockers, struct fuse_locker, node) {
        if (h != NULL ? l->h != h : l->owner != owner) continue;
        list_remove(&l->node);
        fuse_handle_get(l->h);
        found = l;
        break;
    }
    spin_unlock(&f->lock);
    return found;
}

static void locker_leave(struct fuse_connection *c, struct fuse_locker *l) {
    if (l->h->epoch == c->epoch) {
        fuse_handle_lend(l->h, l->flush);
        fuse_send(c, l->flush);
        l->flush = NULL;
    }
    fuse_handle_put(l->h);
    locker_free(l);
}

void fuse_lock_gone(struct inode *inode, const struct handle *via, uint64_t owner) {
    struct fuse_node *node = fuse_node_of(inode);
    struct fuse_connection *c = fuse_of_node(node)->c;
    fuse_cancel_calls(c, via);
    for (struct fuse_locker *l; owner != 0 && (l = take_locker(node, owner, NULL)) != NULL;) locker_leave(c, l);
}

void fuse_locks_leave(struct fuse_node *node, struct fuse_handle *h) {
    struct fuse_fs *f = fuse_of_node(node);
    if (likely(!h->locked)) return;
    for (struct fuse_locker *l; (l = take_locker(node, 0, h)) != NULL;) locker_leave(f->c, l);
    if (f->fs.domain != NULL) cache_domain_start(f->fs.domain);  // RELEASE, and with it who waits for the lock, waits for what is dirty
}

// The last messages of the open file say whose locks end with it.
static void note_owner(struct fuse_fs *f, struct fuse_handle *h, const struct fs_lock *lock) {
    struct fuse_release_in *release = fuse_arguments(h->release);
    struct fuse_flush_in *flush = fuse_arguments(h->flush);
    spin_lock(&f->lock);
    h->locked = true;
    if (!(lock->flags & KPIO_LOCK_PROCESS)) release->lock_owner = flush->lock_owner = lock->owner;
    if (lock->flags & KPIO_LOCK_WHOLE) release->release_flags |= FUSE_RELEASE_FLOCK_UNLOCK;
    spin_unlock(&f->lock);
}

// ---- locking --------------------------------------------------------------------------------------------------------------------

static void attempted(struct fuse_connection *c, struct fuse_request *r) {
    struct attempt *a = r->context;
    if (r->late && a->undo != NULL) {
        fuse_handle_lend(a->h, a->undo);
        fuse_send(c, a->undo);
    } else {
        kfree(a->undo);
    }
    fuse_handle_put(a->h);
    kfree(a);
}

// A request that takes its `attempt` along. NULL: no memory.
static struct fuse_request *make_attempt(const struct fuse_node *node, struct fuse_handle *h, const struct fs_lock *lock, bool waits) {
    uint32_t kind = lock->flags & KPIO_LOCK_KIND;
    bool unlocks = kind == KPIO_LOCK_NONE;
    struct attempt *a = kzalloc(sizeof *a);
    struct fuse_request *r = make(waits ? FUSE_SETLKW : FUSE_SETLK, node, h, lock, kind);
    if (a != NULL && !unlocks) a->undo = make(FUSE_SETLK, node, h, lock, KPIO_LOCK_NONE);
    if (a == NULL || r == NULL || (!unlocks && a->undo == NULL)) {
        if (a != NULL) kfree(a->undo);
        kfree(a);
        kfree(r);
        return NULL;
    }
    fuse_handle_get(h);
    a->h = h;
    r->context = a;
    r->done = attempted;
    return r;
}

// The driver has granted it. -ECANCELED: too late, the handle it came through has given back its locks.
static int keep(struct fuse_node *node, struct fuse_locker **locker, kpio_handle via) {
    struct fuse_fs *f = fuse_of_node(node);
    spin_lock(&f->lock);
    bool gone = fuse_current_handle(via) == NULL, known = *locker == NULL;
    list_for_each_entry(l, &node->lockers, struct fuse_locker, node) known |= *locker != NULL && l->owner == (*locker)->owner;
    if (!gone && !known) {
        list_push_back(&node->lockers, &(*locker)->node);
        *locker = NULL;
    }
    spin_unlock(&f->lock);
    return gone ? -ECANCELED : 0;
}

static int change(struct fuse_node *node, struct fuse_handle *h, const struct fs_lock *lock, kpio_handle via, nanos_t deadline) {
    struct fuse_connection *c = fuse_of_node(node)->c;
    bool unlocks = (lock->flags & KPIO_LOCK_KIND) == KPIO_LOCK_NONE, waits = !unlocks && deadline != 0;
    bool needs_locker = !unlocks && lock->flags & KPIO_LOCK_PROCESS;
    struct fuse_locker *locker = needs_locker ? locker_make(node, h, lock->owner) : NULL;
    struct fuse_request *r = !needs_locker || locker != NULL ? make_attempt(node, h, lock, waits) : NULL;
    if (r == NULL) {
        locker_free(locker);
        return -ENOMEM;
    }
    if (!unlocks) note_owner(fuse_of_node(node), h, lock);
    int error = waits ? fuse_call_patiently(c, r, via, deadline) : fuse_call(c, r);
    if (error == 0 && !unlocks) {
        error = keep(node, &locker, via);
        r->late = error != 0;
    }
    fuse_request_free(c, r);
    locker_free(locker);
    if (error == -ENOSYS) return -EOPNOTSUPP;
    return error == -EAGAIN && !waits ? error : fuse_error(error);
}

int fuse_lock(struct inode *inode, void *opened, struct fs_lock *lock, kpio_handle via, nanos_t deadline) {
    struct fuse_node *node = fuse_node_of(inode);
    struct fuse_handle *h = opened;
    if (!is_served(fuse_of_node(node), lock->flags)) return 1;
    int error = fuse_check_node(node);
    if (error != 0) return error;
    if (lock->start > FUSE_LOCK_END) return -EOVERFLOW;
    return lock->flags & KPIO_LOCK_TEST ? test(node, h, lock) : change(node, h, lock, via, deadline);
}
