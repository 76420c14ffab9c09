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
        fuse_enqueue_locked(c, init);
        fuse_wake_driver_locked(c);
    }
    spin_unlock(&c->idle.lock);
    if (!starts) kfree(init);
    fuse_announce(c);
}

void fuse_connection_ready(struct fuse_connection *c) {
    spin_lock(&c->idle.lock);
    if (c->state == FUSE_STARTING) c->state = FUSE_READY;
    wake_all_locked(&c->starting);
    spin_unlock(&c->idle.lock);
}

// Whether what was sent may be asked of the next driver.
static bool may_repeat_locked(const struct fuse_connection *c, const struct fuse_request *r) {
    return fuse_waits_for_next_locked(c) && !r->detached && r->replays && r->state != FUSE_ORPHANED;
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
        if (fuse_waits_for_next_locked(c) && r->opcode != FUSE_INIT) continue;
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
    struct fuse_forget *forgets = fuse_waits_for_next_locked(c) ? NULL : take_forgets_locked(c);
    for (struct fuse_request *r; (r = next_lost_locked(c)) != NULL;) {
        fuse_finish_unlock(c, r, -ENOTCONN);
        spin_lock(&c->idle.lock);
    }
    if (!c->stateless || c->closed) wake_all_locked(&c->starting);
    (void)wait_queue_wake_locked(&c->idle, UINT32_MAX, 0);
    spin_unlock(&c->idle.lock);
    drop_forgets(forgets);
    fuse_announce(c);
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
    if (c->lost != NULL) c->lost(c);
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
