// Checkpoints: committed buffers are written home, then the log before the oldest that is not all home is free.
#include "abi/gen/errors.h"
#include "kernel/core/assert.h"
#include "kernel/fs/ext4/journal_internal.h"

#define BATCH 64u

// Takes records of t that nobody changes, for writing. *busy: one is in the running transaction, whose version must not
// reach home before its commit.
static size_t collect(struct journal *j, struct journal_transaction *t, struct buffer **buffers, bool *busy) {
    size_t count = 0;
    *busy = false;
    spin_lock(&j->lock);
    list_for_each(node, &t->checkpoint) {
        struct journal_record *r = list_entry(node, struct journal_record, checkpoint_node);
        if (count == BATCH) break;
        if (r->in[0] != NULL || r->in[1] != NULL) {
            *busy = true;
            continue;
        }
        r->home = true;
        buffer_get(r->buffer);
        buffers[count++] = r->buffer;
    }
    spin_unlock(&j->lock);
    return count;
}

static void written(struct journal *j, struct buffer *b) {
    spin_lock(&j->lock);
    struct journal_record *r = b->journal;
    r->home = false;
    if (b->error == 0) {
        list_remove(&r->checkpoint_node);
        r->checkpoint = NULL;
    }
    journal_record_drop_unlock(j, r);
    buffer_put(b);
}

// Writes home what can be of t. 0, an error, or -EAGAIN: the running transaction must be committed first.
static int write_home(struct journal *j, struct journal_transaction *t) {
    struct buffer *buffers[BATCH];
    bool busy;
    for (;;) {
        mutex_lock(&j->home_mutex);
        size_t count = collect(j, t, buffers, &busy);
        int error = count == 0 ? 0 : buffer_write_many(j->config.cache, buffers, count);
        for (size_t i = 0; i < count; i++) written(j, buffers[i]);
        mutex_unlock(&j->home_mutex);
        if (error) return error;
        if (count == 0) return busy ? -EAGAIN : 0;
    }
}

// The oldest transaction's blocks are home: its part of the log will be free. j->mutex is held.
static void retire(struct journal *j, struct journal_transaction *t) {
    spin_lock(&j->lock);
    list_remove(&t->node);
    j->tail = list_is_empty(&j->logged) ? j->head : list_first_entry(&j->logged, struct journal_transaction, node)->log_start;
    spin_unlock(&j->lock);
}

// What was written home is made durable, and then the superblock tells where the log begins now.
static int move_tail(struct journal *j, uint32_t freed) {
    struct journal_transaction *oldest = list_first_entry(&j->logged, struct journal_transaction, node);
    uint32_t id = oldest != NULL ? oldest->id : j->committed + 1;
    int error = block_flush(j->device);
    if (!error) error = journal_write_super(j, j->tail, id);
    if (error) return error;
    spin_lock(&j->lock);
    j->used -= freed;
    spin_unlock(&j->lock);
    return 0;
}

int journal_checkpoint_locked(struct journal *j, uint32_t blocks) {
    assert(mutex_is_held(&j->mutex));
    uint32_t freed = 0;
    int error = journal_error(j);
    while (!error && !list_is_empty(&j->logged)) {
        struct journal_transaction *t = list_first_entry(&j->logged, struct journal_transaction, node);
        if (blocks != UINT32_MAX && journal_free_locked(j) + freed >= blocks) break;
        error = write_home(j, t);
        if (error == -EAGAIN) {
            error = journal_commit_locked(j);
            continue;
        }
        if (error) break;
        freed += t->log_blocks;
        retire(j, t);
        journal_transaction_put(t);
    }
    if (!error && freed > 0) error = move_tail(j, freed);
    if (error) journal_abort(j, error);
    return error;
}

void journal_tick(struct journal *j, nanos_t now, nanos_t age) {
    spin_lock(&j->lock);
    bool old = j->running != NULL && !journal_is_empty(j->running) && j->running->started + age <= now;
    uint32_t size = j->end - j->first;
    bool much = j->records > j->record_limit || journal_free_locked(j) < size / 2;
    spin_unlock(&j->lock);
    if ((!old && !much) || journal_error(j)) return;
    mutex_lock(&j->mutex);
    int error = old ? journal_commit_locked(j) : 0;
    if (!error && much) (void)journal_checkpoint_locked(j, UINT32_MAX);
    mutex_unlock(&j->mutex);
}
