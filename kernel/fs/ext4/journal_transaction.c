// Handles: the running transaction takes them while the log has room for what they may change.
#include "abi/gen/errors.h"
#include "kernel/core/assert.h"
#include "kernel/fs/ext4/journal_internal.h"
#include "kernel/mm/slub.h"

struct journal_transaction *journal_transaction_create(struct journal *j) {
    struct journal_transaction *t = kzalloc(sizeof *t);
    if (t == NULL) return NULL;
    t->refs = 1;
    t->started = arch_now();
    list_init(&t->records);
    list_init(&t->callbacks);
    list_init(&t->checkpoint);
    completion_init(&t->idle, "transaction");
    completion_init(&t->switched, "transaction");
    completion_init(&t->logged, "transaction");
    completion_init(&t->committed, "transaction");
    (void)j;
    return t;
}

void journal_transaction_put(struct journal_transaction *t) {
    if (__atomic_fetch_sub(&t->refs, 1, __ATOMIC_ACQ_REL) == 1) kfree(t);
}

// Blocks, the descriptors that name them, the revokes, and the commit record.
uint32_t journal_need(const struct journal *j, const struct journal_transaction *t, uint32_t more) {
    uint32_t blocks = more + (t == NULL ? 0 : t->buffers + t->reserved), revokes = t == NULL ? 0 : t->revokes.count;
    uint32_t need = blocks + (blocks + j->tags - 1) / j->tags + 1 + JOURNAL_SLACK;
    return revokes == 0 ? need : need + (revokes + j->revokes_each - 1) / j->revokes_each;
}

uint32_t journal_free_locked(const struct journal *j) {
    uint32_t size = j->end - j->first, taken = j->used + j->committing_need;
    return taken < size ? size - taken : 0;
}

enum { STARTED, NO_TRANSACTION, IS_LOCKED, TOO_LARGE, NO_ROOM };

// j->lock is held.
static int try_start(struct journal *j, uint32_t credits, struct journal_handle *handle) {
    struct journal_transaction *t = j->running;
    if (unlikely(t == NULL)) return NO_TRANSACTION;
    if (unlikely(t->state != T_RUNNING)) return IS_LOCKED;
    uint32_t need = journal_need(j, t, credits);
    if (unlikely(need > j->max_transaction)) return TOO_LARGE;
    if (unlikely(need > journal_free_locked(j) || j->records > j->record_limit * 2)) return NO_ROOM;
    t->handles++;
    t->reserved += credits;
    *handle = (struct journal_handle){.journal = j, .transaction = t, .credits = credits};
    return STARTED;
}

static int begin_transaction(struct journal *j) {
    struct journal_transaction *t = journal_transaction_create(j);
    if (t == NULL) return -ENOMEM;
    spin_lock(&j->lock);
    if (j->running == NULL && !journal_error(j)) {
        t->id = j->next_id++;
        j->running = t;
        t = NULL;
    }
    spin_unlock(&j->lock);
    kfree(t);
    return 0;
}

// The running transaction takes no handles now: waits until the next one may.
static void wait_switched(struct journal *j) {
    spin_lock(&j->lock);
    struct journal_transaction *t = j->running;
    if (t == NULL || t->state != T_LOCKED) {
        spin_unlock(&j->lock);
        return;
    }
    __atomic_fetch_add(&t->refs, 1, __ATOMIC_RELAXED);
    spin_unlock(&j->lock);
    completion_wait(&t->switched);
    journal_transaction_put(t);
}

// Commits what is running, and writes homes until a quarter of the log is free for the next.
static int make_room(struct journal *j, uint32_t credits) {
    mutex_lock(&j->mutex);
    spin_lock(&j->lock);
    uint32_t need = journal_need(j, j->running, credits);
    bool too_large = need > j->max_transaction, no_room = need > journal_free_locked(j), many = j->records > j->record_limit * 2;
    spin_unlock(&j->lock);
    int error = too_large || many ? journal_commit_locked(j) : 0;
    if (!error && (no_room || many)) error = journal_checkpoint_locked(j, many ? UINT32_MAX : (j->end - j->first) / 2);
    mutex_unlock(&j->mutex);
    return error;
}

int journal_start(struct journal *j, uint32_t credits, struct journal_handle *handle) {
    if (unlikely(journal_need(j, NULL, credits) > j->max_transaction)) return -ENOSPC;
    for (;;) {
        int error = 0;
        if (unlikely(journal_error(j))) return -EROFS;
        spin_lock(&j->lock);
        int result = try_start(j, credits, handle);
        spin_unlock(&j->lock);
        if (likely(result == STARTED)) return 0;
        if (result == NO_TRANSACTION) error = begin_transaction(j);
        else if (result == IS_LOCKED) wait_switched(j);
        else error = make_room(j, credits);
        if (error) return error == -ENOMEM ? error : -EROFS;
    }
}

int journal_extend(struct journal_handle *handle, uint32_t credits) {
    struct journal *j = handle->journal;
    spin_lock(&j->lock);
    uint32_t need = journal_need(j, handle->transaction, credits);
    bool fits = need <= j->max_transaction && need <= journal_free_locked(j);
    if (fits) {
        handle->transaction->reserved += credits;
        handle->credits += credits;
    }
    spin_unlock(&j->lock);
    return fits ? 0 : -EAGAIN;
}

void journal_stop(struct journal_handle *handle) {
    struct journal *j = handle->journal;
    struct journal_transaction *t = handle->transaction;
    spin_lock(&j->lock);
    assert(t->handles > 0 && t->reserved >= handle->credits);
    t->reserved -= handle->credits;
    bool last = --t->handles == 0 && t->state == T_LOCKED;
    if (last) completion_signal(&t->idle);
    spin_unlock(&j->lock);
    *handle = (struct journal_handle){0};
}

uint32_t journal_transaction_id(const struct journal_handle *handle) { return handle->transaction->id; }

void journal_on_commit(struct journal_handle *handle, struct journal_callback *callback) {
    spin_lock(&handle->journal->lock);
    list_push_back(&handle->transaction->callbacks, &callback->node);
    spin_unlock(&handle->journal->lock);
}
