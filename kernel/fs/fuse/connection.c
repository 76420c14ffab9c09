#include "kernel/fs/fuse/connection.h"

#include "abi/gen/errors.h"
#include "kernel/core/assert.h"
#include "kernel/core/log.h"
#include "kernel/fs/fuse/internal.h"
#include "kernel/mm/slub.h"
#include "lib/string.h"

void fuse_connection_init(struct fuse_connection *c) {
    memset(c, 0, sizeof *c);
    wait_queue_init(&c->idle, "fuse connection");
    list_init(&c->queue);
    list_init(&c->interrupts);
    list_init(&c->starting);
    list_init(&c->callers);
    for (unsigned i = 0; i < FUSE_TABLE; i++) list_init(&c->table[i]);
    c->forgets_end = &c->forgets;
    c->state = FUSE_GONE;
    c->timeout = FUSE_TIMEOUT_DEFAULT;
}

// ---- requests ---------------------------------------------------------------------------------------------------------

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

// The lock is held. There is no driver, and the next one goes on where the last one was: what is asked meanwhile is for that one.
static bool waits_for_next_locked(const struct fuse_connection *c) { return c->state == FUSE_GONE && c->stateless && !c->closed; }

// The lock is held. What nobody waits for will be heard by a driver.
static bool is_heard_locked(const struct fuse_connection *c) {
    return c->state == FUSE_READY || c->state == FUSE_STARTING || waits_for_next_locked(c);
}

static void announce(struct fuse_connection *c) {
    if (c->changed != NULL) c->changed(c);
}

// The lock is held: one thread of the driver is to look.
static void wake_driver_locked(struct fuse_connection *c) { (void)wait_queue_wake_locked(&c->idle, 1, 0); }

// The lock is held. Nobody is told.
static void enqueue_locked(struct fuse_connection *c, struct fuse_request *r) {
    struct fuse_in_header *h = (struct fuse_in_header *)r->body;
    r->unique = h->unique = c->unique += 2;  // odd ones are interrupts
    h->len = r->in_bytes + (r->opcode == FUSE_WRITE ? r->bytes : 0);
    r->state = FUSE_QUEUED;
    if (r->opcode == FUSE_INIT) list_push_front(&c->queue, &r->node);
    else list_push_back(&c->queue, &r->node);
    c->counts.requests++;
    c->counts.queued++;
}

// The lock is held: a thread of the driver's that may have the caller's CPU, and is to be given it. NULL: there is none.
static struct thread *claim_driver_locked(struct fuse_connection *c) {
    struct list_node *first = list_first(&c->idle.waiters);
    struct thread *t = first != NULL ? list_entry(first, struct thread, wait.node) : NULL;
    if (t == NULL || current_thread()->aspace == NULL || !sched_can_switch(t)) return NULL;
    list_remove(first);
    wait_claim_locked(t, 0);
    return t;
}

// ---- callers ------------------------------------------------------------------------------------------------------------

static void unlink_caller(struct thread *t) {
    struct fuse_request *r = t->wait.object;
    list_remove(&t->wait.node);
    if (r != NULL) r->waiter = NULL;
}

// The lock is held and released. 0: woken, look again. `next`, if there is one, gets the CPU.
static int wait_unlock(struct fuse_connection *c, struct list *row, struct fuse_request *r, nanos_t deadline, struct thread *next) {
    struct thread *t = current_thread();
    list_push_back(row, &t->wait.node);
    if (r != NULL) r->waiter = t;
    wait_prepare(&c->idle.lock, unlink_caller, NULL, r);
    spin_unlock(&c->idle.lock);
    int64_t result = next != NULL ? wait_block_lend_killable(deadline, next) : wait_block_killable(deadline);
    return result == -EINTR ? 0 : (int)result;
}

// Whether it can be asked now: 0 with the lock held.
static inline __attribute__((always_inline)) int begin_call(struct fuse_connection *c, const struct fuse_request *r, nanos_t deadline) {
    for (;;) {
        spin_lock(&c->idle.lock);
        uint64_t self = fuse_current_process();
        bool waits = c->state == FUSE_STARTING || waits_for_next_locked(c);
        int error = c->state == FUSE_ENDED || (c->state == FUSE_GONE && !waits) ? -ENOTCONN : 0;
        if (error == 0 && self != 0 && self == c->driver) error = -EDEADLK;
        if (error == 0 && !waits && !c->stateless && r->epoch != FUSE_ANY_EPOCH && r->epoch != c->epoch) error = -ESTALE;
        if (error == 0 && c->counts.queued + c->counts.sent >= FUSE_REQUESTS_MAX) error = -EBUSY;
        if (error == 0 && !waits) return 0;
        if (error == 0) error = wait_unlock(c, &c->starting, NULL, deadline, NULL);
        else spin_unlock(&c->idle.lock);
        if (error != 0) return error;
    }
}

// The lock is held, and let go while somebody copies.
static void await_copy_locked(struct fuse_connection *c, struct fuse_request *r) {
    while (r->state == FUSE_BUSY) {
        spin_unlock(&c->idle.lock);
        cpu_relax();
        spin_lock(&c->idle.lock);
    }
}

// The driver has it and is to be told, once, that nobody cares any more.
static void interrupt_locked(struct fuse_connection *c, struct fuse_request *r) {
    if (list_node_is_linked(&r->interrupt_node)) return;
    list_push_back(&c->interrupts, &r->interrupt_node);
    c->counts.interrupts++;
    wake_driver_locked(c);
}

static void orphan_locked(struct fuse_connection *c, struct fuse_request *r) {
    r->state = FUSE_ORPHANED;
    interrupt_locked(c, r);
}

// The caller goes. What the driver has stays in the table without the caller's pages; the request is a copy of nothing then.
static int leave_unlock(struct fuse_connection *c, struct fuse_request *r, int error) {
    await_copy_locked(c, r);
    if (r->state == FUSE_DONE) error = r->error;
    bool silent = error == -ETIMEDOUT && r->state == FUSE_SENT && c->heard <= r->sent;
    if (error == -ETIMEDOUT && r->state != FUSE_DONE) c->counts.timeouts++;
    bool untaken = error == -ETIMEDOUT && r->state == FUSE_QUEUED && c->heard + c->timeout <= arch_now();
    if (r->state == FUSE_QUEUED) {
        list_remove(&r->node);
        c->counts.queued--;
        r->state = FUSE_DONE;
    } else if (r->state == FUSE_SENT) {
        r->pages = NULL;
        r->space = NULL;
        orphan_locked(c, r);
    }
    spin_unlock(&c->idle.lock);
    if (silent || untaken) fuse_connection_lose(c, "its driver does not answer");
    else announce(c);
    return error;
}

// A driver that does not even answer INIT is waited for once.
static void give_up_silent(struct fuse_connection *c) {
    spin_lock(&c->idle.lock);
    bool silent = c->state == FUSE_STARTING && c->heard + c->timeout <= arch_now();
    spin_unlock(&c->idle.lock);
    if (silent) fuse_connection_lose(c, "its driver does not begin");
}

int fuse_call(struct fuse_connection *c, struct fuse_request *r) {
    nanos_t deadline = arch_now() + c->timeout;
    int error = begin_call(c, r, deadline);
    if (error == -ETIMEDOUT) give_up_silent(c);
    if (error != 0) return error == -ECANCELED ? -EINTR : error;
    enqueue_locked(c, r);
    bool watched = c->changed != NULL && c->watched(c);
    struct thread *next = watched ? NULL : claim_driver_locked(c);
    if (next == NULL) wake_driver_locked(c);
    if (watched) {
        spin_unlock(&c->idle.lock);
        c->changed(c);
        spin_lock(&c->idle.lock);
    }
    while (r->state != FUSE_DONE && error == 0) {
        error = wait_unlock(c, &c->callers, r, deadline, next);
        next = NULL;
        spin_lock(&c->idle.lock);
    }
    if (r->state != FUSE_DONE) return leave_unlock(c, r, error == -ECANCELED ? -EINTR : error);
    error = r->error;
    spin_unlock(&c->idle.lock);
    return error;
}

// ---- callers with patience ------------------------------------------------------------------------------------------------

// The lock is held, let go, and held again. -EINTR: interrupted, unless only a kill is to end it.
static int wait_via_locked(struct fuse_connection *c, struct fuse_request *r, kpio_handle via, nanos_t deadline, bool killable) {
    struct thread *t = current_thread();
    struct handle *h = fuse_current_handle(via);
    if (h == NULL) return -ECANCELED;
    list_push_back(&c->callers, &t->wait.node);
    r->waiter = t;
    wait_prepare(&c->idle.lock, unlink_caller, h, r);
    spin_unlock(&c->idle.lock);
    int error = (int)(killable ? wait_block_killable(deadline) : wait_block_slowly(deadline));
    spin_lock(&c->idle.lock);
    return killable && error == -EINTR ? 0 : error;
}

// The lock is held. 0: the driver was told, and answers yet.
static int interrupted_locked(struct fuse_connection *c, struct fuse_request *r) {
    await_copy_locked(c, r);
    if (r->state != FUSE_SENT) return -EINTR;
    interrupt_locked(c, r);
    return 0;
}

__attribute__((cold)) int fuse_call_patiently(struct fuse_connection *c, struct fuse_request *r, kpio_handle via, nanos_t deadline) {
    int error = begin_call(c, r, arch_now() + c->timeout);
    if (error == -ETIMEDOUT) give_up_silent(c);
    if (error != 0) return error;
    enqueue_locked(c, r);
    wake_driver_locked(c);
    spin_unlock(&c->idle.lock);
    announce(c);
    spin_lock(&c->idle.lock);
    for (bool told = false; r->state != FUSE_DONE && error == 0;) {
        error = wait_via_locked(c, r, via, deadline, told);
        if (error != -EINTR) continue;
        error = interrupted_locked(c, r);
        told = true;
    }
    if (r->state != FUSE_DONE) {
        int left = leave_unlock(c, r, -EINTR);  // which a driver cannot be blamed for
        return left == -EINTR ? error : left;
    }
    error = r->error;
    spin_unlock(&c->idle.lock);
    return error;
}

void fuse_cancel_calls(struct fuse_connection *c, const struct handle *via) {
    spin_lock(&c->idle.lock);
    list_for_each_entry_safe(t, &c->callers, struct thread, wait.node) {
        if (t->wait.via != via) continue;
        unlink_caller(t);
        wait_wake_locked(t, -ECANCELED);
    }
    spin_unlock(&c->idle.lock);
}

// ---- what callers leave -----------------------------------------------------------------------------------------------------

// The caller goes; whether it is over.
static coldpath bool abandon(struct fuse_connection *c, struct fuse_request *r) {
    spin_lock(&c->idle.lock);
    await_copy_locked(c, r);
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
    if (!is_heard_locked(c)) {
        fuse_finish_unlock(c, r, -ENOTCONN);
        return;
    }
    enqueue_locked(c, r);
    wake_driver_locked(c);
    spin_unlock(&c->idle.lock);
    announce(c);
}

void fuse_send_forget(struct fuse_connection *c, struct fuse_forget *f) {
    if (f == NULL) return;
    f->next = NULL;
    spin_lock(&c->idle.lock);
    bool wanted = f->one.nlookup != 0 && is_heard_locked(c) && (c->stateless || f->epoch == c->epoch);
    if (wanted) {
        bool first = c->forgets == NULL;
        *c->forgets_end = f;
        c->forgets_end = &f->next;
        if (first) wake_driver_locked(c);
    }
    spin_unlock(&c->idle.lock);
    if (wanted) announce(c);
    else kfree(f);
}

// ---- drivers come and go ------------------------------------------------------------------------------------------------

static void wake_all_locked(struct list *row) {
    for (struct thread *t; (t = list_pop_front_entry(row, struct thread, wait.node)) != NULL;) wait_wake_locked(t, 0);
}

void fuse_connection_start(struct fuse_connection *c) {
    struct fuse_request *init = c->make_init(c);
    spin_lock(&c->idle.lock);
    bool starts = c->state == FUSE_GONE && !c->announced && init != NULL;
    if (starts) {
        c->state = FUSE_STARTING;
        c->announced = true;
        c->heard = arch_now();
        c->counts.drivers++;
        init->detached = true;
        enqueue_locked(c, init);
        wake_driver_locked(c);
    }
    spin_unlock(&c->idle.lock);
    if (!starts) kfree(init);
    announce(c);
}

void fuse_connection_ready(struct fuse_connection *c) {
    spin_lock(&c->idle.lock);
    if (c->state == FUSE_STARTING) c->state = FUSE_READY;
    wake_all_locked(&c->starting);
    spin_unlock(&c->idle.lock);
}

// Whether what was sent may be asked of the next driver.
static bool may_repeat_locked(const struct fuse_connection *c, const struct fuse_request *r) {
    return waits_for_next_locked(c) && !r->detached && r->replays && r->state != FUSE_ORPHANED;
}

// The lock is held: some request that is to end now, out of the lists; NULL: there is none.
static struct fuse_request *next_lost_locked(struct fuse_connection *c) {
    for (unsigned i = 0; i < FUSE_TABLE; i++) {
        struct fuse_request *r = list_pop_front_entry(&c->table[i], struct fuse_request, node);
        if (r == NULL) continue;
        c->counts.sent--;
        if (!may_repeat_locked(c, r)) return r;
        r->state = FUSE_QUEUED;
        list_push_back(&c->queue, &r->node);
        c->counts.queued++;
        i--;
    }
    list_for_each_entry_safe(r, &c->queue, struct fuse_request, node) {
        if (waits_for_next_locked(c) && r->opcode != FUSE_INIT) continue;
        list_remove(&r->node);
        c->counts.queued--;
        return r;
    }
    return NULL;
}

static struct fuse_forget *take_forgets_locked(struct fuse_connection *c) {
    struct fuse_forget *all = c->forgets;
    c->forgets = NULL;
    c->forgets_end = &c->forgets;
    return all;
}

static void drop_forgets(struct fuse_forget *f) {
    for (struct fuse_forget *next; f != NULL; f = next) {
        next = f->next;
        kfree(f);
    }
}

// The lock is held in a state in which nobody enqueues any more, and released.
static void end_all_unlock(struct fuse_connection *c) {
    struct fuse_forget *forgets = waits_for_next_locked(c) ? NULL : take_forgets_locked(c);
    for (struct fuse_request *r; (r = next_lost_locked(c)) != NULL;) {
        fuse_finish_unlock(c, r, -ENOTCONN);
        spin_lock(&c->idle.lock);
    }
    if (!c->stateless || c->closed) wake_all_locked(&c->starting);
    (void)wait_queue_wake_locked(&c->idle, UINT32_MAX, 0);
    spin_unlock(&c->idle.lock);
    drop_forgets(forgets);
    announce(c);
}

void fuse_connection_lose(struct fuse_connection *c, const char *why) {
    spin_lock(&c->idle.lock);
    if (c->state == FUSE_GONE || c->state == FUSE_ENDED) {
        spin_unlock(&c->idle.lock);
        return;
    }
    c->state = FUSE_GONE;
    c->announced = false;
    c->driver = 0;
    c->epoch++;
    if (why != NULL) log_warn("fuse: %s", why);
    end_all_unlock(c);
}

void fuse_connection_close(struct fuse_connection *c) {
    spin_lock(&c->idle.lock);
    c->closed = true;
    if (c->state == FUSE_GONE) end_all_unlock(c);
    else spin_unlock(&c->idle.lock);
}

void fuse_connection_end(struct fuse_connection *c) {
    spin_lock(&c->idle.lock);
    c->state = FUSE_ENDED;
    end_all_unlock(c);
}
