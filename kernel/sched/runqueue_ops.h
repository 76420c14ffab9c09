// What a CPU does with its run queue. Inline: wake-ups and switches consist of little else.
#pragma once
#include "abi/types.h"
#include "kernel/core/assert.h"
#include "kernel/sched/runqueue.h"

// The rank that e has in the run queue: its class's, or more when who runs on it inherits.
static inline uint8_t runqueue_rank_of(const struct sched_entity *e) {
    uint8_t rank = e->class_ == KPIO_SCHED_REALTIME ? RANK_REALTIME - 1 + e->priority
                   : e->class_ == KPIO_SCHED_FAIR   ? RANK_FAIR
                                                    : RANK_IDLE;
    return e->thread->boost > rank ? e->thread->boost : rank;
}

static inline struct list *runqueue_list(struct runqueue *rq, uint8_t rank) {
    return rank == RANK_IDLE ? &rq->idle_class : &rq->realtime[rank - RANK_REALTIME + 1u];
}

// Puts a competing entity into its queue.
static inline void runqueue_insert(struct runqueue *rq, struct sched_entity *e, bool at_front) {
    rq->queued++;
    if (likely(e->rank == RANK_FAIR)) {
        fair_insert(&rq->fair, e);
        return;
    }
    unsigned priority = e->rank - RANK_REALTIME + 1u;
    struct list *list = runqueue_list(rq, e->rank);
    if (e->rank != RANK_IDLE) rq->realtime_set[priority / 64] |= 1ull << priority % 64;
    if (at_front) {
        list_push_front(list, &e->fifo);
    } else {
        list_push_back(list, &e->fifo);
    }
    e->queued = true;
}

// Takes it out; it goes on competing.
static inline void runqueue_take_out(struct runqueue *rq, struct sched_entity *e) {
    rq->queued--;
    if (likely(e->rank == RANK_FAIR)) {
        fair_remove(&rq->fair, e);
        return;
    }
    list_remove(&e->fifo);
    e->queued = false;
    if (e->rank == RANK_IDLE) return;
    unsigned priority = e->rank - RANK_REALTIME + 1u;
    if (list_is_empty(&rq->realtime[priority])) rq->realtime_set[priority / 64] &= ~(1ull << priority % 64);
}

static inline void runqueue_join(struct runqueue *rq, struct sched_entity *e) {
    e->rank = runqueue_rank_of(e);
    if (likely(e->rank == RANK_FAIR)) {
        fair_join(&rq->fair, e);
        return;
    }
    e->competing = true;
    e->slice_left = e->rank == RANK_IDLE ? IDLE_SLICE_NS : REALTIME_SLICE_NS;
}

static inline void runqueue_leave(struct runqueue *rq, struct sched_entity *e) {
    if (likely(e->rank == RANK_FAIR)) {
        fair_leave(&rq->fair, e);
    } else {
        e->competing = false;
    }
}

// The entity is at rest: it begins to compete and is queued.
static inline void runqueue_enqueue(struct runqueue *rq, struct sched_entity *e) {
    assert(!e->queued && !e->competing);
    runqueue_join(rq, e);
    runqueue_insert(rq, e, false);
}

// It is queued: back to rest.
static inline void runqueue_dequeue(struct runqueue *rq, struct sched_entity *e) {
    runqueue_take_out(rq, e);
    runqueue_leave(rq, e);
}

// Queues the one that was to start next: something else happens first.
static inline void runqueue_flush_incoming(struct runqueue *rq) {
    struct sched_entity *e = rq->incoming;
    if (likely(e == NULL)) return;
    rq->incoming = NULL;
    runqueue_insert(rq, e, false);
}

// Accounts the running entity up to now; returns true when its slice is used up.
static inline bool runqueue_charge(struct runqueue *rq, nanos_t now) {
    struct sched_entity *e = rq->running;
    uint64_t ns = now - e->exec_start;  // both read on this CPU, in this order
    e->exec_start = now;
    e->runtime += ns;
    if (likely(e->rank == RANK_FAIR)) return fair_charge(&rq->fair, e, ns);
    e->slice_left -= (int64_t)ns;
    if (e->slice_left > 0) return false;
    e->slice_left = e->rank == RANK_IDLE ? IDLE_SLICE_NS : REALTIME_SLICE_NS;
    return true;
}

// The running entity stops: requeued, or at rest. It was charged.
static inline void runqueue_stop(struct runqueue *rq, bool requeue, bool slice_over) {
    struct sched_entity *e = rq->running;
    rq->running = NULL;
    if (requeue) {
        runqueue_insert(rq, e, !slice_over);
    } else {
        runqueue_leave(rq, e);
    }
}

static inline struct sched_entity *runqueue_best(struct runqueue *rq) {
    uint64_t high = rq->realtime_set[1], low = rq->realtime_set[0];
    if (unlikely((high | low) != 0)) {
        unsigned priority = high != 0 ? 64 + log2_floor(high) : log2_floor(low);
        return list_first_entry(&rq->realtime[priority], struct sched_entity, fifo);
    }
    struct sched_entity *e = fair_pick(&rq->fair);
    if (e != NULL) return e;
    return list_first_entry(&rq->idle_class, struct sched_entity, fifo);
}

// Takes the best entity out of its queue and makes it the running one; NULL: nothing is queued.
static inline struct sched_entity *runqueue_start_next(struct runqueue *rq, nanos_t now) {
    struct sched_entity *e = runqueue_best(rq);
    if (e == NULL) return NULL;
    runqueue_take_out(rq, e);
    e->exec_start = now;
    rq->running = e;
    return e;
}

// Makes e, which is at rest, the running one.
static inline void runqueue_start(struct runqueue *rq, struct sched_entity *e, nanos_t now) {
    runqueue_join(rq, e);
    e->exec_start = now;
    rq->running = e;
}

// Sets slice_end and the hardware for the running entity; after changes of who runs or waits.
static inline void runqueue_set_slice(struct runqueue *rq, nanos_t now) {
    struct sched_entity *e = rq->running;
    rq->slice_end = TIME_NEVER;
    if (rq->queued == 0 || e == NULL) return;
    if (e->rank > RANK_FAIR && (rq->realtime_set[0] | rq->realtime_set[1]) == 0) return;
    if (e->rank == RANK_FAIR) {
        rq->slice_end = now + fair_slice_left(e);
    } else {
        // Only equals take turns: whoever is more urgent preempts, and nobody else gets a turn.
        if (list_is_empty(runqueue_list(rq, e->rank))) return;
        rq->slice_end = now + (uint64_t)(e->slice_left > 0 ? e->slice_left : 0);
    }
    sched_timer_request(rq, rq->slice_end);
}

// Whether the queued entity e should run instead of the running one, which was charged.
static inline bool runqueue_preempts(const struct runqueue *rq, const struct sched_entity *e) {
    const struct sched_entity *running = rq->running;
    if (running == NULL || e->rank > running->rank) return true;
    return e->rank == RANK_FAIR && running->rank == RANK_FAIR && fair_preempts(&rq->fair, e, running);
}
