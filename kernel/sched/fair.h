// The fair class: earliest eligible virtual deadline first (EEVDF). Every competing entity (queued or running) has a
// virtual run time that advances by real time / weight. Their weighted average V is the time that an ideal machine would
// have given each. Who is not ahead of V is eligible; of those the one with the earliest virtual deadline (virtual run
// time at the start of its slice + slice / weight) runs. Pure logic: one CPU's, no locks.
//
// The tree is ordered by vruntime, so the eligible are a prefix of it; each node knows the earliest deadline below it. An
// entity that is queued alone is not in the tree: most of the time at most one waits. What wakes and switches use is
// inline.
#pragma once
#include "kernel/core/assert.h"
#include "kernel/sched/thread.h"

#define FAIR_WEIGHT 1024u       // of a normal entity
#define FAIR_SLICE_NS 3000000u  // what an entity asks for at a time
#define FAIR_REST_NS (FAIR_SLICE_NS / 2)  // virtual: how far behind V one that slept is at most
#define FAIR_FIRST_SLICE_NS (FAIR_SLICE_NS / 4)  // what one that rested so long asks for first
#define FAIR_CHARGE_MAX_NS (1ull << 40)   // a longer run counts as this: keeps the sums far from overflow

struct fair_queue {
    struct sched_entity *single;  // the only one queued; the tree is empty then
    struct rb_tree tree;
    uint64_t base;        // vruntimes are summed relative to this, near V
    int64_t sum;          // of weight * (vruntime - base) over the competing
    uint64_t sum_weight;  // of the competing
    uint32_t queued;
};

void fair_init(struct fair_queue *q);

// Real to virtual nanoseconds.
static inline uint64_t fair_to_virtual(uint64_t ns, uint32_t weight) {
    return weight == FAIR_WEIGHT ? ns : ns * FAIR_WEIGHT / weight;
}
// Moves the base to V, so that the sum stays small. Returns V.
static inline uint64_t fair_rebase(struct fair_queue *q) {
    if (q->sum_weight == 0) return q->base;
    int64_t step = q->sum / (int64_t)q->sum_weight;
    q->base += (uint64_t)step;
    q->sum -= step * (int64_t)q->sum_weight;
    return q->base;
}
static inline int64_t fair_relative(const struct fair_queue *q, const struct sched_entity *e) {
    return (int64_t)(e->vruntime - q->base);
}

// Where e joins a queue other than the one that it left: as far from V as it was there.
static inline uint64_t fair_place_moved(const struct fair_queue *q, const struct sched_entity *e, uint64_t average) {
    int64_t lag = e->lag;
    // Its own arrival moves V towards it: enlarge the lag so that what is left is what it was owed.
    if (lag != 0 && q->sum_weight != 0) lag += lag * (int64_t)e->weight / (int64_t)q->sum_weight;
    return average - (uint64_t)lag;
}
// e begins to compete. Not queued yet. At rest its vruntime stood still while V went on: so one that takes less than its share
// wakes behind V and goes first, and what another had taken too much is given back when V has come so far. Sleeping gains no
// more than FAIR_REST_NS. Several that rested so long are equal, and the first would keep the others waiting for a whole slice: so
// each asks for less at first.
static inline void fair_join(struct fair_queue *q, struct sched_entity *e) {
    assert(!e->competing);
    uint64_t average = fair_rebase(q), least = average - FAIR_REST_NS, slice = FAIR_SLICE_NS;
    if (unlikely(e->left != q)) {
        e->vruntime = fair_place_moved(q, e, average);
    } else if (e->vruntime - least >= FAIR_CHARGE_MAX_NS) {
        e->vruntime = least;  // behind that, or so long at rest that the difference says nothing
        slice = FAIR_FIRST_SLICE_NS;
    }
    e->deadline = e->vruntime + fair_to_virtual(slice, e->weight);
    q->sum += fair_relative(q, e) * (int64_t)e->weight;
    q->sum_weight += e->weight;
    e->competing = true;
}

// e ends to compete; it is not queued.
static inline void fair_leave(struct fair_queue *q, struct sched_entity *e) {
    assert(e->competing && !e->queued);
    int64_t limit = (int64_t)fair_to_virtual(2 * FAIR_SLICE_NS, e->weight);
    int64_t lag = (int64_t)(fair_rebase(q) - e->vruntime);
    e->lag = lag > limit ? limit : lag < -limit ? -limit : lag;
    q->sum -= fair_relative(q, e) * (int64_t)e->weight;
    q->sum_weight -= e->weight;
    e->competing = false;
    e->left = q;
    if (q->sum_weight == 0) q->sum = 0;
}

void fair_insert_more(struct fair_queue *q, struct sched_entity *e);
void fair_remove_more(struct fair_queue *q, struct sched_entity *e);
// Queues a competing entity, takes it out.
static inline void fair_insert(struct fair_queue *q, struct sched_entity *e) {
    e->queued = true;
    if (q->queued++ == 0) q->single = e;
    else fair_insert_more(q, e);
}
static inline void fair_remove(struct fair_queue *q, struct sched_entity *e) {
    e->queued = false;
    q->queued--;
    if (likely(q->single == e)) q->single = NULL;
    else fair_remove_more(q, e);
}

// The running entity used ns. Returns true when its slice is used up (and a new one begun).
static inline bool fair_charge(struct fair_queue *q, struct sched_entity *e, uint64_t ns) {
    if (unlikely(ns > FAIR_CHARGE_MAX_NS)) ns = FAIR_CHARGE_MAX_NS;
    uint64_t step = fair_to_virtual(ns, e->weight);
    e->vruntime += step;
    q->sum += (int64_t)(step * e->weight);
    if (likely((int64_t)(e->vruntime - e->deadline) < 0)) return false;
    fair_rebase(q);  // at least once a slice, so that the sum stays far from overflow
    e->deadline = e->vruntime + fair_to_virtual(FAIR_SLICE_NS, e->weight);
    return true;
}

struct sched_entity *fair_pick_tree(struct fair_queue *q);
// Who runs next, or NULL when none is queued. It stays queued.
static inline struct sched_entity *fair_pick(struct fair_queue *q) {
    if (likely(q->queued <= 1 && q->tree.root == NULL)) return q->single;
    return fair_pick_tree(q);
}
// Whether e should take the CPU from the running entity.
bool fair_preempts(const struct fair_queue *q, const struct sched_entity *e, const struct sched_entity *running);
// ns of run time until e's slice ends.
uint64_t fair_slice_left(const struct sched_entity *e);
// The virtual time of a whole slice.
static inline uint64_t fair_virtual_slice(const struct sched_entity *e) {
    return fair_to_virtual(FAIR_SLICE_NS, e->weight);
}
