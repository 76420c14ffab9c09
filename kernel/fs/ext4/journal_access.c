// Buffers join transactions; revoked blocks leave them.
#include "abi/gen/errors.h"
#include "kernel/core/assert.h"
#include "kernel/fs/ext4/journal_internal.h"
#include "kernel/mm/slub.h"
#include "lib/string.h"

static struct journal_record *record_of(const struct buffer *b) { return __atomic_load_n(&b->journal, __ATOMIC_ACQUIRE); }

void journal_record_drop_unlock(struct journal *j, struct journal_record *r) {
    bool unused = r->in[0] == NULL && r->in[1] == NULL && r->checkpoint == NULL && !r->home;
    struct buffer *b = r->buffer;
    if (unused) {
        j->records--;
        b->journal = NULL;
        buffer_leave_journal(b);
    }
    spin_unlock(&j->lock);
    if (!unused) return;
    buffer_put(b);
    kfree(r);
}

// Gives the buffer a record. j->lock is held, and released meanwhile; the caller looks anew.
static int make_record(struct journal *j, struct buffer *b) {
    spin_unlock(&j->lock);
    struct journal_record *r = kzalloc(sizeof *r);
    if (r == NULL) {
        spin_lock(&j->lock);
        return -ENOMEM;
    }
    spin_lock(&j->lock);
    if (record_of(b) == NULL) {
        r->was_dirty = buffer_join_journal(b);
        r->buffer = b;
        buffer_get(b);
        __atomic_store_n(&b->journal, r, __ATOMIC_RELEASE);
        j->records++;
        r = NULL;
    }
    spin_unlock(&j->lock);
    kfree(r);
    spin_lock(&j->lock);
    return 0;
}

// What the committing transaction still has to log of r is kept in a copy. As make_record.
static int freeze(struct journal *j, struct journal_record *r, struct journal_transaction *committing) {
    spin_unlock(&j->lock);
    uint8_t *copy = buffer_memory_alloc(j->block_size);
    if (copy == NULL) {
        spin_lock(&j->lock);
        return -ENOMEM;
    }
    memcpy(copy, r->buffer->data, j->block_size);
    spin_lock(&j->lock);
    if (r->in[committing->id & 1] == committing && !r->taken && r->frozen == NULL && committing->state == T_COMMITTING) {
        r->frozen = copy;
        return 0;
    }
    spin_unlock(&j->lock);
    buffer_memory_free(copy, j->block_size);
    spin_lock(&j->lock);
    return 0;
}

// Waits until the committing transaction has been logged, or has failed. As make_record.
static void wait_logged(struct journal *j, struct journal_transaction *committing) {
    __atomic_fetch_add(&committing->refs, 1, __ATOMIC_RELAXED);
    spin_unlock(&j->lock);
    completion_wait(&committing->logged);
    journal_transaction_put(committing);
    spin_lock(&j->lock);
}

static void wait_home(struct journal *j) {
    spin_unlock(&j->lock);
    mutex_lock(&j->home_mutex);
    mutex_unlock(&j->home_mutex);
    spin_lock(&j->lock);
}

// The buffer has a record, and nobody but the handle's owner uses its memory: 0. j->lock is held, and released meanwhile.
static int make_writable(struct journal *j, const struct journal_transaction *t, struct buffer *b) {
    for (;;) {
        struct journal_record *r = record_of(b);
        int error = 0;
        if (unlikely(r == NULL)) {
            error = make_record(j, b);
        } else if (unlikely(r->home)) {
            wait_home(j);
        } else if (unlikely(__atomic_load_n(&b->state, __ATOMIC_ACQUIRE) & BUFFER_WRITING)) {  // from before it was the journal's
            spin_unlock(&j->lock);
            buffer_wait(b);
            spin_lock(&j->lock);
        } else {
            struct journal_transaction *c = r->in[~t->id & 1];
            if (c == NULL || c->state != T_COMMITTING || r->frozen != NULL || r->state[c->id & 1] != RECORD_DIRTY) return 0;
            if (r->taken) wait_logged(j, c);
            else error = freeze(j, r, c);
        }
        if (unlikely(error)) return error;
    }
}

// j->lock is held.
static void join(struct journal_record *r, struct journal_transaction *t, uint8_t state) {
    unsigned p = t->id & 1;
    if (r->in[p] == NULL) list_push_back(&t->records, &r->node[p]);
    r->in[p] = t;
    r->state[p] = state;
}

int journal_get_write_access(struct journal_handle *handle, struct buffer *b) {
    struct journal *j = handle->journal;
    struct journal_transaction *t = handle->transaction;
    unsigned p = t->id & 1;
    if (unlikely(journal_error(j))) return -EROFS;
    spin_lock(&j->lock);
    struct journal_record *r = record_of(b);
    if (likely(r != NULL && r->in[p] == t && r->state[p] != RECORD_FORGOTTEN)) {
        spin_unlock(&j->lock);
        return 0;
    }
    int error = make_writable(j, t, b);
    if (likely(!error)) {
        r = record_of(b);
        revoke_set_remove(&t->revokes, b->block);
        join(r, t, r->was_dirty ? RECORD_DIRTY : RECORD_JOINED);
        r->was_dirty = false;
        t->buffers++;
        assert(handle->credits > 0);
        if (handle->credits > 0) {
            handle->credits--;
            t->reserved--;
        }
    }
    spin_unlock(&j->lock);
    return error;
}

void journal_dirty(struct journal_handle *handle, struct buffer *b) {
    unsigned p = handle->transaction->id & 1;
    struct journal_record *r = record_of(b);
    verify(r != NULL && r->in[p] == handle->transaction);
    r->state[p] = RECORD_DIRTY;
}

int journal_revoke(struct journal_handle *handle, uint64_t block) {
    struct journal *j = handle->journal;
    struct journal_transaction *t = handle->transaction;
    unsigned p = t->id & 1;
    if (unlikely(journal_error(j))) return -EROFS;
    int error = journal_bug == JOURNAL_BUG_LOST_REVOKE ? 0 : revoke_set_add(j, &t->revokes, block);
    if (error) return error;
    struct buffer *b = buffer_find(j->config.cache, block);
    if (b == NULL) return 0;
    spin_lock(&j->lock);
    struct journal_record *r = record_of(b);
    if (r != NULL) {
        if (r->in[p] == t && r->state[p] != RECORD_FORGOTTEN) t->buffers--;
        join(r, t, RECORD_FORGOTTEN);
    }
    spin_unlock(&j->lock);
    buffer_put(b);
    if (r == NULL) buffer_forget(j->config.cache, block, 1);
    return 0;
}
