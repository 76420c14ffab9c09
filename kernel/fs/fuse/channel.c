#include "kernel/fs/fuse/channel.h"

#include "abi/gen/errors.h"
#include "kernel/fs/fuse/fuse.h"
#include "kernel/mm/slub.h"
#include "kernel/mm/aspace.h"
#include "kernel/mm/usercopy.h"
#include "kernel/object/process.h"

static struct kmem_cache channel_cache;

uint64_t fuse_current_process(void) {
    struct process *p = current_thread()->process;
    return p != NULL ? p->object.id : 0;
}

struct handle *fuse_current_handle(kpio_handle value) { return handle_lookup(value); }

// ---- the object ---------------------------------------------------------------------------------------------------------

static void changed(struct fuse_connection *c) { object_signal(&fuse_channel_of_connection(c)->object); }

static void lost(struct fuse_connection *c) {
    struct fuse_channel *channel = fuse_channel_of_connection(c);
    struct fuse_fs *f = fuse_hold(channel);
    if (f == NULL) return;
    fuse_poll_end(f);
    fuse_let_go(channel);
}

// A watcher that comes now asks for the signals after this request is queued.
static bool watched(const struct fuse_connection *c) {
    const struct fuse_channel *channel = container_of(c, const struct fuse_channel, connection);
    return __atomic_load_n(&channel->object.watchers, __ATOMIC_RELAXED) != NULL;
}

// Said where there is a mount that misses it.
static void lose(struct object *o, const char *why) {
    struct fuse_channel *channel = fuse_channel_of(o);
    bool mounted = __atomic_load_n(&channel->mounted, __ATOMIC_RELAXED);
    fuse_connection_lose(&channel->connection, mounted ? why : NULL);
}

static void channel_no_receivers(struct object *o) { lose(o, "the driver of a mount is gone"); }

static void channel_unreachable(struct object *o) {
    fuse_connection_close(&fuse_channel_of(o)->connection);
    lose(o, "nobody can serve a mount any more");
}

static void channel_handle_gone(struct object *o, struct handle *h) {
    object_cancel_waits(o, &fuse_channel_of(o)->connection.idle, h);
}

static void channel_destroy(struct object *o) { fuse_connection_end(&fuse_channel_of(o)->connection); }

static uint32_t channel_signals(struct object *o, uint64_t *value) {
    struct fuse_connection *c = &fuse_channel_of(o)->connection;
    *value = 0;
    spin_lock(&c->idle.lock);
    uint32_t signals = fuse_has_work_locked(c) ? KPIO_SIGNAL_READABLE : 0;
    signals |= KPIO_SIGNAL_WRITABLE;  // replies need no room
    if (c->state == FUSE_GONE || c->state == FUSE_ENDED) signals |= KPIO_SIGNAL_PEER_GONE;
    spin_unlock(&c->idle.lock);
    return signals;
}

static void channel_free(struct rcu_head *head) { slub_free(&channel_cache, fuse_channel_of(container_of(head, struct object, rcu))); }

static const struct object_ops channel_ops = {
    .name = "fuse",
    .rights = FUSE_RIGHTS_OWNER | FUSE_RIGHTS_DRIVER,
    .unreachable = channel_unreachable,
    .destroy = channel_destroy,
    .free = channel_free,
    .handle_gone = channel_handle_gone,
    .no_receivers = channel_no_receivers,
    .signals = channel_signals,
};

void fuse_channel_init(void) { slub_cache_init(&channel_cache, "fuse", sizeof(struct fuse_channel), 0); }

int fuse_channel_create(struct job *job, struct fuse_channel **out) {
    struct fuse_channel *channel = slub_alloc_zeroed(&channel_cache);
    if (channel == NULL) return -ENOMEM;
    int error = object_init(&channel->object, KPIO_KIND_FUSE, &channel_ops, job, sizeof *channel);
    if (error != 0) {
        slub_free(&channel_cache, channel);
        return error;
    }
    fuse_connection_init(&channel->connection);
    channel->connection.make_init = fuse_make_init;
    channel->connection.changed = changed;
    channel->connection.watched = watched;
    channel->connection.lost = lost;
    channel->connection.late = fuse_late;
    *out = channel;
    return 0;
}

void fuse_channel_info(struct fuse_channel *channel, struct kpio_fuse_info *out) {
    _Static_assert((int)KPIO_FUSE_READY == FUSE_READY && (int)KPIO_FUSE_ENDED == FUSE_ENDED, "one set of states");
    struct fuse_connection *c = &channel->connection;
    spin_lock(&c->idle.lock);
    struct fuse_statistics s = c->counts;
    uint32_t state = c->state;
    uint64_t driver = c->driver;
    spin_unlock(&c->idle.lock);
    *out = (struct kpio_fuse_info){
        .state = state, .mounted = __atomic_load_n(&channel->mounted, __ATOMIC_RELAXED), .queued = s.queued, .sent = s.sent,
        .requests = s.requests, .replies = s.replies, .failed = s.failed, .timeouts = s.timeouts, .interrupts = s.interrupts,
        .forgets = s.forgets, .drivers = s.drivers, .latency_ns = s.latency_ns, .longest_ns = s.longest_ns, .driver = driver,
    };
}

// ---- the driver's memory ------------------------------------------------------------------------------------------------

struct memory {
    struct fuse_user user;
    bool out;                        // from the kernel
    struct user_parts parts;
};

static size_t copy_piece(const struct memory *m, struct user_ptr at, void *kernel, size_t bytes) {
    return m->out ? copy_to_user_nowait(at, kernel, bytes) : copy_from_user_nowait(kernel, at, bytes);
}

static __attribute__((noinline)) size_t copy_pieces(struct memory *m, uint64_t offset, void *kernel, size_t bytes) {
    struct user_ptr at;
    for (size_t n; bytes > 0 && (n = user_parts_find(&m->parts, offset, bytes, &at)) != 0; bytes -= n) {
        size_t left = copy_piece(m, at, kernel, n);
        if (left != 0) return bytes - n + left;
        kernel = (uint8_t *)kernel + n;
        offset += n;
    }
    return bytes;
}

// Mostly all is in one piece.
static size_t copy(struct fuse_user *u, uint64_t offset, void *kernel, size_t bytes) {
    struct memory *m = container_of(u, struct memory, user);
    struct user_ptr at = {0};  // of no bytes there is no place
    if (likely(user_parts_find(&m->parts, offset, bytes, &at) == bytes)) return copy_piece(m, at, kernel, bytes);
    return copy_pieces(m, offset, kernel, bytes);
}

static size_t copy_space(struct fuse_user *u, uint64_t offset, struct aspace *space, uint64_t address, size_t bytes, bool *absent) {
    struct memory *m = container_of(u, struct memory, user);
    return aspace_copy(space, address, &m->parts, offset, bytes, !m->out, absent);
}

static int fault_in(struct fuse_user *u, uint64_t offset, size_t bytes) {
    struct memory *m = container_of(u, struct memory, user);
    struct user_ptr at;
    for (size_t n; bytes > 0; bytes -= n, offset += n) {
        n = user_parts_find(&m->parts, offset, bytes, &at);
        int error = n != 0 ? user_fault_in(at, n, m->out) : -EFAULT;
        if (error != 0) return error;
    }
    return sched_preempt_point() ? -EINTR : 0;
}

static const struct fuse_user_ops user_ops = {.copy = copy, .copy_space = copy_space, .fault_in = fault_in};

// ---- a driver's calls -----------------------------------------------------------------------------------------------------

int fuse_channel_reply(struct fuse_channel *channel, const struct kpio_io_vector *parts, uint32_t count, struct thread **next) {
    struct memory m = {.user.ops = &user_ops, .parts = {.parts = parts, .count = count}};
    for (uint32_t i = 0; i < count; i++)
        if (!checked_add(m.user.bytes, parts[i].size, &m.user.bytes)) return -EINVAL;
    return fuse_reply(&channel->connection, &m.user, fuse_notify, next);
}

// Whether the running thread waits now, through that handle: 0, and then it has been queued. 1: there is something to do.
static int begin_wait(struct fuse_channel *channel, kpio_handle via, nanos_t deadline) {
    struct fuse_connection *c = &channel->connection;
    struct handle *h;
    int error = handle_get_full(via, KPIO_KIND_FUSE, KPIO_RIGHT_RECEIVE, &h);
    if (error != 0) return error;
    if (h->object != &channel->object) return -EBADF;
    if (deadline == 0 || object_nonblock(&channel->object)) return deadline == 0 ? -ETIMEDOUT : -EAGAIN;
    spin_lock(&c->idle.lock);
    object_expect_waits(&channel->object);
    bool gone = h->value == KPIO_HANDLE_NONE;
    if (gone || fuse_has_work_locked(c)) {
        spin_unlock(&c->idle.lock);
        return gone ? -ECANCELED : 1;
    }
    wait_queue_join_unlock(&c->idle, h, channel);
    return 0;
}

// 0: look again. `next` gets the CPU back that it gave. Who goes to sleep on somebody's else, whom another has answered, would have
// the next that gives one lose its place.
static int64_t await_work(struct fuse_channel *channel, kpio_handle via, nanos_t deadline, struct thread *next) {
    struct thread *self = current_thread();
    if (next == NULL && self->entity != &self->own_entity) sched_adopt(&self->own_entity);
    int error = begin_wait(channel, via, deadline);
    if (error == 0) return next != NULL ? wait_block_return(deadline, next) : wait_block(deadline);
    if (next != NULL) sched_wake(next);
    return error < 0 ? error : 0;
}

int64_t fuse_channel_receive(struct fuse_channel *channel, kpio_handle via, struct user_ptr to, uint64_t bytes, nanos_t deadline,
                             struct thread *next) {
    const struct kpio_io_vector whole = {to.v, bytes};
    struct memory m = {.user = {&user_ops, bytes}, .out = true, .parts = {.parts = &whole, .count = 1}};
    // With `next` there was nothing to do a moment ago.
    int64_t n = next != NULL ? await_work(channel, via, deadline, next) : 0;
    while (n == 0) {
        n = fuse_take(&channel->connection, &m.user, fuse_current_process());
        if (n == -EAGAIN) n = await_work(channel, via, deadline, NULL);
    }
    return n;
}
