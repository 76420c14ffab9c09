#include "kernel/fs/ext4/freed.h"

#include "kernel/core/log.h"
#include "kernel/mm/slub.h"

// To who allocates next. Any context.
static void hand_over(struct ext4_freed *f) {
    struct ext4 *v = f->volume;
    spin_lock(&v->counters);
    list_push_back(&v->committed, &f->node);
    if (--v->discards == 0 && v->discards_awaited) {
        v->discards_awaited = false;
        completion_signal(&v->discarded);  // who waited takes the lock once more before the volume may go
    }
    spin_unlock(&v->counters);
}

static void discarded(struct block_request *request);

// False: all of it was, or the device does not take it.
static bool discard_next(struct ext4_freed *f) {
    struct ext4 *v = f->volume;
    unsigned shift = v->block_bits - SECTOR_SHIFT;
    if (f->next == f->count || !__atomic_load_n(&v->discard, __ATOMIC_RELAXED)) return false;
    struct ext4_run run = f->runs[f->next++];
    f->request = (struct block_request){.op = BLOCK_DISCARD, .sector = run.start << shift, .sectors = (uint64_t)run.count << shift,
                                        .done = discarded, .context = f};
    block_submit(v->fs.device, &f->request);
    return true;
}

// After an error, which the device has logged, the volume does without.
static void discarded(struct block_request *request) {
    struct ext4_freed *f = request->context;
    if (request->error != 0) __atomic_store_n(&f->volume->discard, false, __ATOMIC_RELAXED);
    if (!discard_next(f)) hand_over(f);
}

// In the journal's context, which does not wait for discards: run by run they go on from the device's interrupts.
static void committed(struct journal_callback *callback, int error) {
    struct ext4_freed *f = container_of(callback, struct ext4_freed, callback);
    if (error != 0) f->count = 0;  // nothing is written any more: they stay withheld
    spin_lock(&f->volume->counters);
    f->volume->discards++;
    spin_unlock(&f->volume->counters);
    if (!discard_next(f)) hand_over(f);
}

void ext4_await_discards(struct ext4 *v) {
    mutex_lock(&v->discard_lock);
    spin_lock(&v->counters);
    bool wait = v->discards != 0;
    if (wait) {
        completion_init(&v->discarded, "ext4_discard");
        v->discards_awaited = true;
    }
    spin_unlock(&v->counters);
    if (wait) {
        completion_wait(&v->discarded);
        spin_lock(&v->counters);
        spin_unlock(&v->counters);
    }
    mutex_unlock(&v->discard_lock);
}

void ext4_note_freed(struct ext4_tx *tx, uint64_t start, uint32_t count) {
    struct ext4 *v = tx->volume;
    uint32_t id = journal_transaction_id(&tx->handle);
    struct ext4_freed *f = v->freed;
    if (f != NULL && f->transaction == id && f->count != 0) {
        struct ext4_run *last = &f->runs[f->count - 1];
        bool same_group = (start - v->first_data_block) % v->blocks_per_group != 0;
        if (last->start + last->count == start && same_group) {
            last->count += count;
            return;
        }
        if (start + count == last->start && (last->start - v->first_data_block) % v->blocks_per_group != 0) {
            last->start = start;
            last->count += count;
            return;
        }
    }
    if (f == NULL || f->transaction != id || f->count == EXT4_FREED_RUNS) {
        f = kmalloc(sizeof *f);
        if (f == NULL) {
            log_debug("ext4: %u freed blocks stay withheld until the volume is unmounted", count);
            return;
        }
        *f = (struct ext4_freed){.callback.done = committed, .volume = v, .transaction = id};
        v->freed = f;
        journal_on_commit(&tx->handle, &f->callback);
    }
    f->runs[f->count++] = (struct ext4_run){start, count};
}

static struct ext4_freed *take_committed(struct ext4 *v) {
    spin_lock(&v->counters);
    struct ext4_freed *f = list_pop_front_entry(&v->committed, struct ext4_freed, node);
    spin_unlock(&v->counters);
    return f;
}

void ext4_reuse_committed(struct ext4 *v) {
    for (struct ext4_freed *f; !list_is_empty(&v->committed) && (f = take_committed(v)) != NULL;) {
        for (uint32_t i = 0; i < f->count; i++) ext4_let_go(v, f->runs[i].start, f->runs[i].count);
        if (v->freed == f) v->freed = NULL;
        kfree(f);
    }
}

void ext4_drop_freed(struct ext4 *v) {
    ext4_await_discards(v);
    for (struct ext4_freed *f; (f = take_committed(v)) != NULL;) kfree(f);
}
