// Dead-lock detection. A call that found no idle receiver is queued; it would wait for ever if each receiver bound to the
// endpoint waits, directly or not, for the caller. The graph: a served caller waits for its server, a queued one for any
// receiver of its endpoint. So the caller is dead-locked when no thread that it reaches can still run by itself. A thread
// that waits in a receive, on a port, a futex or an event, or for a saved reply, can: someone outside may wake it.
//
// Of two calls that close a cycle at once exactly one fails: each queues itself first and looks then (a full fence
// between), so at least one sees the other; and who sees a cycle looks again under graph_lock and leaves its queue under
// it, so that the second finds a thread that runs.
//
// The walk reads other threads' waits without their locks. A cycle does not move, so a walk that found one is repeated:
// equal sums over (thread, number of its calls) mean that all of it stood still in between.
//
// Locks: graph_lock, then one endpoint's lock at a time. The walk is bounded by DEADLOCK_STEPS threads; a larger graph
// counts as live.
#include "kernel/ipc/message.h"
#include "kernel/object/process.h"

#define DEADLOCK_STEPS 65536

static struct spinlock graph_lock = SPINLOCK_INIT("dead-lock graph");
static uint64_t walk_number;  // guarded by graph_lock

struct walk {
    struct thread *self;
    struct endpoint *pending;  // endpoints found and not looked at yet, by walk_next
    uint64_t sum;              // over the waits seen
    unsigned steps;
};

enum outcome { LIVE, STUCK, QUEUED };

// Follows the servers of t: to a thread that can run (LIVE), to the caller itself (STUCK), or to a queue (*at).
static enum outcome follow(struct walk *w, struct thread *t, struct endpoint **at) {
    while (t != w->self) {
        if (++w->steps > DEADLOCK_STEPS) return LIVE;
        struct thread *server = __atomic_load_n(&t->server, __ATOMIC_ACQUIRE);
        bool sending = __atomic_load_n(&t->wait.lock, __ATOMIC_ACQUIRE) && t->wait.unlink == sender_unlink;
        if (!sending || t->saved) return LIVE;
        w->sum += ((uintptr_t)t ^ t->ipc_sequence * 0x9e3779b97f4a7c15u) * 0xbf58476d1ce4e5b9u;
        if (!server) {
            *at = t->wait.object;
            return QUEUED;
        }
        t = server;
    }
    return STUCK;
}

static void visit(struct walk *w, struct endpoint *e) {
    if (e->walk == walk_number) return;
    e->walk = walk_number;
    e->walk_next = w->pending;
    w->pending = e;
}

// Looks at all receivers of e. Returns whether one of them can run.
static bool has_live_receiver(struct walk *w, struct endpoint *e) {
    bool live = false;
    spin_lock(&e->lock);
    if (!e->bound_count || e->closed || e->idle) live = true;
    for (struct list_node *n = list_first(&e->bound); n && !live; n = list_next(&e->bound, n)) {
        struct endpoint *at;
        enum outcome outcome = follow(w, container_of(n, struct thread, bound_node), &at);
        if (outcome == LIVE) live = true;
        if (outcome == QUEUED) visit(w, at);
    }
    spin_unlock(&e->lock);
    return live;
}

// One walk from e. graph_lock is held. RCU keeps threads and endpoints.
static bool walk_is_live(struct thread *self, struct endpoint *e, uint64_t *sum) {
    struct walk w = {.self = self};
    walk_number++;
    visit(&w, e);
    while (w.pending) {
        struct endpoint *next = w.pending;
        w.pending = next->walk_next;
        if (has_live_receiver(&w, next)) return true;
    }
    *sum = w.sum;
    return false;
}

// Most calls queue at a server that is at work: seen without the global lock.
static bool is_plainly_live(struct thread *self, struct endpoint *e) {
    struct walk w = {.self = self};
    bool live = false;
    spin_lock(&e->lock);
    if (!e->bound_count || e->closed) live = true;
    for (struct list_node *n = list_first(&e->bound); n && !live; n = list_next(&e->bound, n)) {
        struct endpoint *at;
        live = follow(&w, container_of(n, struct thread, bound_node), &at) == LIVE;
    }
    spin_unlock(&e->lock);
    return live;
}

bool deadlock_found(struct endpoint *e) {
    struct thread *self = current_thread();
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (is_plainly_live(self, e)) return false;
    bool found = false;
    spin_lock(&graph_lock);
    for (unsigned tries = 0; tries < 3 && !found; tries++) {
        uint64_t first, second;
        if (walk_is_live(self, e, &first) || walk_is_live(self, e, &second)) break;
        found = first == second;
    }
    if (found) {
        spin_lock(&e->lock);
        // Only a queued caller leaves: one that was taken, or whose wait ended, is no part of a cycle.
        found = self->wait.lock == &e->lock && !self->server && !self->saved;
        if (found) {
            list_remove(&self->wait.node);
            wait_claim_locked(self, -EDEADLK);
        }
        spin_unlock(&e->lock);
    }
    spin_unlock(&graph_lock);
    if (found) self->state = THREAD_RUNNING;
    return found;
}
