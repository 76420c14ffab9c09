#include "kernel/ipc/wait_many.h"

#include "abi/gen/errors.h"
#include "kernel/core/assert.h"

#define ITEMS_STEP 64u  // between preemption points

// The source's watch lock is held.
static void wake(struct wait_many *m) {
    struct thread *t = m->thread;
    spin_lock(&t->many_lock);
    m->woken = true;
    if (__atomic_load_n(&t->wait.lock, __ATOMIC_RELAXED) == &t->many_lock) wait_wake_locked(t, 0);
    spin_unlock(&t->many_lock);
}

static inline struct wait_place *place_of(struct watcher *w) { return container_of(w, struct wait_place, watch); }

void wait_place_tell(struct watcher *w, uint32_t signals) {
    if (signals & w->signals) wake(place_of(w)->many);
}

void wait_place_left(struct watcher *w) {
    w->source = NULL;
    wake(place_of(w)->many);
}

// ---- the items -----------------------------------------------------------------------------------------------------------

static inline void look(struct kpio_wait_item *item, struct object *o) {
    uint64_t value = 0;
    item->asserted = o->ops->signals(o, &value) & item->signals;
    item->value = (uint32_t)value;
}

static int check_item(const struct kpio_wait_item *item, struct handle **h) {
    int error = handle_get_full(item->handle, KPIO_KIND_NONE, KPIO_RIGHT_WAIT, h);
    if (unlikely(error != 0)) return error;
    bool valid = !(item->signals & ~KPIO_SIGNALS_ALL) && (*h)->object->ops->signals != NULL;
    return likely(valid) ? 0 : -EINVAL;
}

static int look_only(struct kpio_wait_item *item) {
    struct handle *h;
    int error = check_item(item, &h);
    if (error == 0) look(item, h->object);
    return error;
}

// Links the place, unless a signal is asserted already.
static int link_item(struct wait_many *m, uint32_t i) {
    struct kpio_wait_item *item = &m->items[i];
    struct wait_place *place = &m->places[i];
    struct handle *h;
    int error = check_item(item, &h);
    if (unlikely(error != 0)) return error;
    struct object *o = h->object;
    struct spinlock *lock = watch_lock(o);
    place->watch = (struct watcher){.source = o, .via = h, .signals = item->signals, .waits = true};
    place->many = m;
    spin_lock(lock);
    error = watch_link(o, &place->watch);
    if (likely(error == 0)) {
        look(item, o);
        if (item->asserted != 0) watch_unlink(o, &place->watch);
        else place->lock = lock;
    }
    spin_unlock(lock);
    return error;
}

static inline bool step_done(uint32_t i) { return unlikely(i % ITEMS_STEP == ITEMS_STEP - 1) && sched_preempt_point(); }

// The first look: how many are asserted. Nothing is linked any more once one was found.
static int64_t begin(struct wait_many *m, bool only_look) {
    int64_t found = 0;
    for (uint32_t i = 0; i < m->count; i++) {
        int error = only_look || found != 0 ? look_only(&m->items[i]) : link_item(m, i);
        if (unlikely(error != 0)) return error;
        found += m->items[i].asserted != 0;
        if (step_done(i)) return -ECANCELED;
    }
    return found;
}

// The second and later ones, through the places: the handles may name something else by now.
static int64_t look_again(struct wait_many *m) {
    int64_t found = 0;
    for (uint32_t i = 0; i < m->count; i++) {
        struct wait_place *place = &m->places[i];
        struct object *o;
        spin_lock(place->lock);
        o = place->watch.source;
        if (o != NULL) look(&m->items[i], o);
        else m->items[i].asserted = KPIO_SIGNAL_REVOKED;
        spin_unlock(place->lock);
        found += m->items[i].asserted != 0;
        if (step_done(i)) return -ECANCELED;
    }
    return found;
}

static void let_go(struct wait_many *m) {
    for (uint32_t i = 0; i < m->count; i++) {
        struct wait_place *place = &m->places[i];
        if (place->lock == NULL) continue;
        spin_lock(place->lock);
        if (place->watch.source != NULL) watch_unlink(place->watch.source, &place->watch);
        spin_unlock(place->lock);
        (void)step_done(i);
    }
}

// ---- waiting -------------------------------------------------------------------------------------------------------------

static void unlink_nothing(struct thread *t) { (void)t; }

// Sleeps unless something happened since the last look; 0: look again.
static int64_t sleep(struct wait_many *m, nanos_t deadline) {
    struct thread *t = m->thread;
    int64_t result = 0;
    spin_lock(&t->many_lock);
    if (!m->woken) wait_prepare_self(t, &t->many_lock, unlink_nothing, NULL, m);
    bool sleeps = !m->woken;
    m->woken = false;
    spin_unlock(&t->many_lock);
    if (sleeps) result = wait_block(deadline);
    // What is told from here on is seen by the next look or sets it again.
    __atomic_store_n(&m->woken, false, __ATOMIC_SEQ_CST);
    return result;
}

int64_t wait_many(struct wait_many *m, nanos_t deadline) {
    assert(m->thread == current_thread());
    int64_t result = begin(m, deadline == 0);
    if (deadline == 0) return result;
    while (result == 0) {
        result = sleep(m, deadline);
        if (result == 0) result = look_again(m);
    }
    let_go(m);
    return result == -ETIMEDOUT ? 0 : result;
}
