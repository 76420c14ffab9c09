// Committing. Whoever wants the commit does it, in its own thread; only the order of requests is left to the interrupts:
//
//   blocks of the log (as few requests as they need) ─all done─▶ flush ─▶ commit record (FUA) ─▶ the committer wakes
//
// The first flush also covers file data written before, so that a commit orders them, too.
#include "abi/gen/errors.h"
#include "kernel/core/assert.h"
#include "kernel/fs/ext4/journal_internal.h"
#include "kernel/mm/slub.h"
#include "lib/string.h"

// ---- the requests ---------------------------------------------------------------------------------------------------------------

static void fail(struct journal *j, int error) {
    int none = 0;
    (void)__atomic_compare_exchange_n(&j->io_error, &none, error, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

static void commit_written(struct block_request *request) {
    struct journal *j = request->context;
    if (request->error) fail(j, request->error);
    completion_signal(&j->commit_done);
}

static void write_commit(struct journal *j) {
    j->commit_write.op = BLOCK_WRITE;
    j->commit_write.flags = journal_bug == JOURNAL_BUG_NO_FLUSH ? 0 : BLOCK_FUA;
    j->commit_write.vectors = &j->commit_vector;
    j->commit_write.vector_count = 1;
    j->commit_write.done = commit_written;
    j->commit_write.context = j;
    block_submit(j->device, &j->commit_write);
}

static void flushed(struct block_request *request) {
    struct journal *j = request->context;
    if (request->error) {
        fail(j, request->error);
        completion_signal(&j->commit_done);
        return;
    }
    __atomic_store_n(&j->flushed, j->flushes, __ATOMIC_RELEASE);
    write_commit(j);
}

// All blocks of the log are written: buffers may change again.
static void all_logged(struct journal *j) {
    struct journal_transaction *t = j->committing;
    if (j->io_error) {
        completion_signal(&j->commit_done);
        return;
    }
    __atomic_store_n(&t->state, T_LOGGED, __ATOMIC_RELEASE);
    completion_signal(&t->logged);
    if (journal_bug == JOURNAL_BUG_NO_FLUSH) {
        write_commit(j);
        return;
    }
    j->flushes++;
    j->flush.op = BLOCK_FLUSH;
    j->flush.done = flushed;
    j->flush.context = j;
    block_submit(j->device, &j->flush);
}

static void one_less(struct journal *j) {
    if (__atomic_fetch_sub(&j->pending, 1, __ATOMIC_ACQ_REL) == 1) all_logged(j);
}

static void slot_written(struct block_request *request) {
    struct log_slot *slot = container_of(request, struct log_slot, request);
    struct journal *j = slot->journal;
    if (request->error) fail(j, request->error);
    completion_signal(&slot->done);
    one_less(j);
}

static void submit_slot(struct journal *j, struct log_slot *slot) {
    if (slot->count == 0) return;
    slot->submitted = true;
    slot->request.op = BLOCK_WRITE;
    slot->request.vectors = slot->vectors;
    slot->request.vector_count = (uint16_t)slot->count;
    slot->request.done = slot_written;
    __atomic_fetch_add(&j->pending, 1, __ATOMIC_RELAXED);
    block_submit(j->device, &slot->request);
}

static void clear_slot(struct log_slot *slot) {
    if (slot->submitted) completion_wait(&slot->done);
    completion_init(&slot->done, "journal_slot");
    slot->submitted = false;
    slot->count = 0;
    slot->meta_used = 0;
}

// A slot that takes the block at the head.
static struct log_slot *slot_for_head(struct journal *j, bool meta) {
    struct log_slot *slot = &j->slots[j->slot];
    uint64_t block = journal_block(j, j->head);
    uint32_t limit = MIN(JOURNAL_SLOT_VECTORS, j->device->max_vectors);
    uint32_t sectors = ((slot->count + 1) << j->sectors_log);
    bool fits = slot->count < limit && sectors <= j->device->max_sectors && slot->end == block && !(meta && slot->meta_used == 2);
    if (slot->count > 0 && !fits) {
        submit_slot(j, slot);
        j->slot = (j->slot + 1) % JOURNAL_SLOTS;
        slot = &j->slots[j->slot];
        clear_slot(slot);
    }
    if (slot->count == 0) {
        slot->request.sector = block << j->sectors_log;
        slot->end = block;
    }
    return slot;
}

static void emit(struct journal *j, struct log_slot *slot, void *data) {
    slot->vectors[slot->count++] = (struct block_vector){data, j->block_size};
    slot->end++;
    j->head = journal_next_block(j, j->head);
    j->used++;
    j->committing->log_blocks++;
}

static void wait_slots(struct journal *j) {
    for (unsigned i = 0; i < JOURNAL_SLOTS; i++)
        if (j->slots[i].submitted) completion_wait(&j->slots[i].done);
}

// A zeroed descriptor or revoke block at the head. It is filled before anything else is emitted.
static void *emit_meta(struct journal *j, uint32_t type) {
    struct log_slot *slot = slot_for_head(j, true);
    uint8_t *block = slot->meta[slot->meta_used++];
    memset(block, 0, j->block_size);
    *(struct jbd2_header *)block = (struct jbd2_header){be32(JBD2_MAGIC), be32(type), be32(j->committing->id)};
    emit(j, slot, block);
    return block;
}

// ---- what is logged ---------------------------------------------------------------------------------------------------------------

static void log_revokes(struct journal *j, const struct journal_transaction *t) {
    bool wide = journal_has(j, JBD2_HAS_64BIT);
    for (uint32_t i = 0, left = t->revokes.count; left > 0;) {
        struct jbd2_revoke *block = emit_meta(j, JBD2_REVOKE);
        uint8_t *at = (uint8_t *)(block + 1);
        for (uint32_t here = MIN(left, j->revokes_each); here > 0; i++) {
            if (t->revokes.slots[i] >= REVOKE_GONE) continue;
            if (wide) *(uint64_t *)at = be64(t->revokes.slots[i]);
            else *(uint32_t *)at = be32((uint32_t)t->revokes.slots[i]);
            at += wide ? 8 : 4;
            here--, left--;
        }
        block->bytes = be32((uint32_t)(at - (uint8_t *)block));
        journal_set_tail(j, block);
    }
}

// The memory that the log write of r may read, or NULL when it has nothing to log.
static uint8_t *take(struct journal *j, struct journal_record *r, unsigned p) {
    spin_lock(&j->lock);
    bool dirty = r->state[p] == RECORD_DIRTY;
    r->taken = dirty;
    uint8_t *data = r->frozen != NULL ? r->frozen : r->buffer->data;
    spin_unlock(&j->lock);
    return dirty ? data : NULL;
}

// A copy that does not begin with the magic. It is the transaction's from now on; without memory there is one block, for one
// at a time.
static uint8_t *escape(struct journal *j, struct journal_record *r, uint8_t *data) {
    uint8_t *copy = r->frozen != NULL ? r->frozen : buffer_memory_alloc(j->block_size);
    if (copy == NULL) {
        if (j->bounce_used) return NULL;
        j->bounce_used = true;
        copy = j->bounce;
    } else {
        r->frozen = copy;
    }
    if (copy != data) memcpy(copy, data, j->block_size);
    memset(copy, 0, sizeof(uint32_t));
    return copy;
}

static void put_tag(struct journal *j, uint8_t *at, uint64_t block, uint32_t flags, const void *data) {
    uint32_t checksum = journal_has_checksums(j) ? journal_tag_checksum(j, j->committing->id, data) : 0;
    if (journal_has(j, JBD2_HAS_CSUM_V3)) {
        *(struct jbd2_tag_v3 *)at =
            (struct jbd2_tag_v3){be32((uint32_t)block), be32(flags), be32((uint32_t)(block >> 32)), be32(checksum)};
        return;
    }
    struct jbd2_tag tag = {be32((uint32_t)block), be16((uint16_t)checksum), be16((uint16_t)flags), be32((uint32_t)(block >> 32))};
    memcpy(at, &tag, j->tag_bytes < sizeof tag ? j->tag_bytes : sizeof tag);
}

// One descriptor and its blocks, from record *node on. Returns what comes next.
static struct list_node *log_batch(struct journal *j, struct journal_transaction *t, struct list_node *node) {
    unsigned p = t->id & 1, count = 0;
    uint8_t *descriptor = NULL, *at = NULL;
    for (; node != &t->records.ring && count < j->tags; node = node->next) {
        struct journal_record *r = journal_record_at(node, p);
        uint8_t *data = take(j, r, p);
        uint32_t magic, flags = count > 0 ? JBD2_TAG_SAME_UUID : 0;
        if (data == NULL) continue;
        memcpy(&magic, data, sizeof magic);
        if (unlikely(magic == be32(JBD2_MAGIC))) {
            data = escape(j, r, data);
            flags |= JBD2_TAG_ESCAPED;
            if (data == NULL) break;  // in the next batch, when the block is free
        }
        if (descriptor == NULL) {
            descriptor = emit_meta(j, JBD2_DESCRIPTOR);
            at = descriptor + sizeof(struct jbd2_header);
        }
        j->batch[count] = data;
        put_tag(j, at, r->buffer->block, flags, data);
        at += j->tag_bytes;
        if (count++ == 0) {
            memcpy(at, j->super->uuid, JBD2_UUID_BYTES);
            at += JBD2_UUID_BYTES;
        }
    }
    if (count == 0) return node;
    // The last tag says that it is: flags are in its second word, in the lower half of it.
    at -= j->tag_bytes + (count == 1 ? JBD2_UUID_BYTES : 0);
    at[7] |= JBD2_TAG_LAST;
    journal_set_tail(j, descriptor);
    for (unsigned i = 0; i < count; i++) emit(j, slot_for_head(j, false), j->batch[i]);
    if (j->bounce_used) {
        submit_slot(j, &j->slots[j->slot]);
        wait_slots(j);
        clear_slot(&j->slots[j->slot]);
        j->bounce_used = false;
    }
    return node;
}

static void log_all(struct journal *j, struct journal_transaction *t) {
    j->io_error = 0;
    j->pending = 1;
    completion_init(&j->commit_done, "journal_commit");
    for (unsigned i = 0; i < JOURNAL_SLOTS; i++) clear_slot(&j->slots[i]);
    t->log_start = j->head;
    log_revokes(j, t);
    for (struct list_node *node = t->records.ring.next; node != &t->records.ring;) node = log_batch(j, t, node);
    uint64_t block = journal_block(j, j->head);
    j->head = journal_next_block(j, j->head);
    j->used++;
    t->log_blocks++;
    journal_fill_commit(j, j->commit_block, t->id);
    j->commit_write.sector = block << j->sectors_log;
    j->commit_vector = (struct block_vector){j->commit_block, j->block_size};
    if (journal_bug == JOURNAL_BUG_COMMIT_FIRST)
        (void)block_write(j->device, j->commit_write.sector, j->commit_block, j->block_size, BLOCK_FUA);
    submit_slot(j, &j->slots[j->slot]);
    one_less(j);
    completion_wait(&j->commit_done);
}

// ---- before and after -------------------------------------------------------------------------------------------------------------

// Ends the running transaction's time of taking handles; it is the committing one then. NULL: there is nothing to commit.
static struct journal_transaction *switch_transaction(struct journal *j) {
    spin_lock(&j->lock);
    struct journal_transaction *t = j->running;
    if (t == NULL || (t->handles == 0 && journal_is_empty(t) && !t->wanted)) {
        spin_unlock(&j->lock);
        return NULL;
    }
    t->state = T_LOCKED;
    bool wait = t->handles > 0;
    spin_unlock(&j->lock);
    if (wait) completion_wait(&t->idle);
    spin_lock(&j->lock);
    j->running = NULL;
    t->state = T_COMMITTING;
    j->committing = t;
    j->committing_need = journal_need(j, t, 0);
    spin_unlock(&j->lock);
    completion_signal(&t->switched);
    return t;
}

// The committed version of r is in the log: its home is due, unless the block was revoked. j->lock is held, and released.
static void settle_record(struct journal *j, struct journal_transaction *t, struct journal_record *r) {
    unsigned p = t->id & 1;
    uint8_t state = r->state[p], *frozen = r->frozen;
    uint64_t block = r->buffer->block;
    r->frozen = NULL;
    r->taken = false;
    r->in[p] = NULL;
    list_remove(&r->node[p]);
    if (state != RECORD_JOINED && r->checkpoint != NULL) {
        list_remove(&r->checkpoint_node);
        r->checkpoint = NULL;
    }
    if (state == RECORD_DIRTY) {
        r->checkpoint = t;
        list_push_back(&t->checkpoint, &r->checkpoint_node);
    }
    bool forget = state == RECORD_FORGOTTEN && r->in[!p] == NULL;
    journal_record_drop_unlock(j, r);
    if (frozen != NULL) buffer_memory_free(frozen, j->block_size);
    if (forget) buffer_forget(j->config.cache, block, 1);
}

static void settle_records(struct journal *j, struct journal_transaction *t) {
    unsigned p = t->id & 1;
    for (;;) {
        spin_lock(&j->lock);
        struct list_node *node = list_first(&t->records);
        if (node == NULL) break;
        settle_record(j, t, journal_record_at(node, p));
    }
    spin_unlock(&j->lock);
}

static void finish(struct journal *j, struct journal_transaction *t, int error) {
    if (!error) settle_records(j, t);
    revoke_set_free(&t->revokes);
    spin_lock(&j->lock);
    t->error = error;
    t->state = T_DONE;
    j->committing = NULL;
    j->committing_need = 0;
    j->last_waiters = t->waiters;
    if (!error) j->committed = t->id;
    list_push_back(error ? &j->failed : &j->logged, &t->node);
    spin_unlock(&j->lock);
    for (struct journal_callback *c; (c = list_pop_front_entry(&t->callbacks, struct journal_callback, node)) != NULL;)
        c->done(c, error);
    if (error) completion_signal(&t->logged);
    completion_signal(&t->committed);
}

// The log on disk begins where this transaction does. Durable before the commit record is.
static int activate(struct journal *j, const struct journal_transaction *t) {
    if (j->active) return 0;
    int error = journal_write_super(j, j->head, t->id);
    j->active = !error;
    return error;
}

int journal_commit_locked(struct journal *j) {
    assert(mutex_is_held(&j->mutex));
    struct journal_transaction *t = switch_transaction(j);
    if (t == NULL) return journal_error(j);
    int error = journal_error(j);
    if (!error) error = activate(j, t);
    if (!error) {
        log_all(j, t);
        error = j->io_error;
    }
    if (error) journal_abort(j, error);
    finish(j, t, error);
    return error;
}

// ---- waiting ----------------------------------------------------------------------------------------------------------------------

static bool is_committed(const struct journal *j, uint32_t id) { return (int32_t)(j->committed - id) >= 0; }

// Commits the running transaction t, held. Others who want the same may join before it begins, and wait for it.
static void commit_wanted(struct journal *j, struct journal_transaction *t) {
    mutex_lock(&j->mutex);
    if (j->last_waiters > 1) sched_yield();  // those that the last commit woke have more to say
    if (j->running == t) (void)journal_commit_locked(j);
    mutex_unlock(&j->mutex);
}

// j->lock is held, and released: waits until t is committed or has failed.
static void await_unlock(struct journal *j, struct journal_transaction *t) {
    bool mine = t->state == T_RUNNING && !t->wanted;
    t->wanted = true;
    t->waiters++;
    __atomic_fetch_add(&t->refs, 1, __ATOMIC_RELAXED);
    spin_unlock(&j->lock);
    if (mine) commit_wanted(j, t);
    else completion_wait(&t->committed);
    journal_transaction_put(t);
}

// Commits up to `id`, unless that has been done, nothing is in it, or the journal has failed.
static void commit_up_to(struct journal *j, uint32_t id) {
    for (;;) {
        spin_lock(&j->lock);
        struct journal_transaction *t = j->running;
        bool empty = t != NULL && t->id == id && t->handles == 0 && journal_is_empty(t);
        if (is_committed(j, id) || journal_error(j) || empty) {
            spin_unlock(&j->lock);
            return;
        }
        if (j->committing != NULL && (t == NULL || t->id != id)) t = j->committing;
        if (t == NULL) {  // an id of the future: nothing of it is there yet
            spin_unlock(&j->lock);
            return;
        }
        await_unlock(j, t);
    }
}

int journal_wait(struct journal *j, uint32_t id, bool flush) {
    uint64_t started = __atomic_load_n(&j->flushes, __ATOMIC_ACQUIRE);
    commit_up_to(j, id);
    if (journal_error(j)) return -EIO;
    if (!flush || __atomic_load_n(&j->flushed, __ATOMIC_ACQUIRE) > started) return 0;
    return block_flush(j->device) ? -EIO : 0;
}

int journal_sync(struct journal *j, bool flush) {
    spin_lock(&j->lock);
    uint32_t id = j->running != NULL ? j->running->id : j->next_id - 1;
    spin_unlock(&j->lock);
    return journal_wait(j, id, flush);
}
