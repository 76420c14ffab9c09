// A wait goes in rounds. A round is over when all has ended that had begun to end before the round, and a grace period after that;
// the caller tries again whenever something has come back in it. Others may have been faster each time: then, as long as
// anything is on its way, there is another round.
#include "kernel/mm/memory_wait.h"

#include "kernel/core/assert.h"
#include "kernel/core/rcu.h"
#include "kernel/mm/page.h"
#include "kernel/mm/reaper.h"
#include "kernel/sched/sched.h"

#define ROUNDS 16u
#define SCARCE 64u                   // memory is, when less than this part of its pages is free
#define LOOK_NS 200000u              // between looks at what others do
#define PATIENCE_NS 2000000000u      // without anything having ended
#define JUST_NOW_NS 10000000u        // what has ended since may have come back after the caller had looked

static struct spinlock debts_lock = SPINLOCK_INIT("memory debts");  // a leaf
static struct list debts = LIST_INIT(debts);                        // the oldest first
static uint64_t debts_made;
static uint64_t debts_paid, last_paid;                              // how many, and when; atomic

void memory_owe(struct memory_debt *debt) {
    spin_lock(&debts_lock);
    debt->number = debts_made++;
    list_push_back(&debts, &debt->node);
    spin_unlock(&debts_lock);
}

void memory_pay(struct memory_debt *debt) {
    spin_lock(&debts_lock);
    if (list_node_is_linked(&debt->node)) list_remove(&debt->node);
    spin_unlock(&debts_lock);
    __atomic_store_n(&last_paid, (uint64_t)arch_now(), __ATOMIC_RELAXED);
    __atomic_fetch_add(&debts_paid, 1, __ATOMIC_RELEASE);
}

static uint64_t progress(void) { return __atomic_load_n(&debts_paid, __ATOMIC_ACQUIRE) + reaper_ended(); }

static bool is_over(const struct memory_wait *w) {
    spin_lock(&debts_lock);
    const struct memory_debt *oldest = list_first_entry(&debts, struct memory_debt, node);
    bool owed = oldest != NULL && oldest->number < w->debts_before;
    spin_unlock(&debts_lock);
    return !owed && reaper_ended() >= w->items_before;
}

// Whether there is anything to wait for.
static bool begin_round(struct memory_wait *w) {
    if (w->rounds == ROUNDS) return false;
    w->debts_before = __atomic_load_n(&debts_made, __ATOMIC_RELAXED);
    w->items_before = reaper_added();
    w->since = arch_now();
    w->seen = progress();
    bool first = w->rounds++ == 0;
    w->in_round = true;
    if (!is_over(w)) return true;
    bool scarce = page_free_count() < page_array_count / SCARCE;
    return first && (scarce || w->since - __atomic_load_n(&last_paid, __ATOMIC_RELAXED) < JUST_NOW_NS);
}

// Whoever has begun to end and does not get on is waited for once, and by nobody else from then on.
static void give_up(struct memory_wait *w) {
    struct memory_debt *debt;
    spin_lock(&debts_lock);
    while ((debt = list_first_entry(&debts, struct memory_debt, node)) != NULL && debt->number < w->debts_before) list_remove(&debt->node);
    spin_unlock(&debts_lock);
    w->items_before = 0;
}

// Looks again in a moment: true when something has ended.
static bool look_later(struct memory_wait *w) {
    sched_sleep_until(arch_now() + LOOK_NS);
    uint64_t now = arch_now(), made = progress();
    if (made == w->seen) {
        if (now - w->since > PATIENCE_NS) give_up(w);
        return false;
    }
    w->seen = made;
    w->since = now;
    return true;
}

static bool is_killed(void) { return __atomic_load_n(&current_thread()->pending, __ATOMIC_RELAXED) & PENDING_KILL; }

bool memory_wait(struct memory_wait *w) {
    assert(lockdep_held() == 0);
    if (!w->in_round && !begin_round(w)) return false;
    while (!is_killed()) {
        if (reaper_end_next()) return true;
        if (is_over(w)) {
            w->in_round = false;
            rcu_barrier();
            return true;
        }
        if (look_later(w)) return true;
    }
    return false;
}
