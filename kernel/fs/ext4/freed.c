#include "kernel/fs/ext4/freed.h"

#include "kernel/core/log.h"
#include "kernel/mm/slub.h"

// In the journal's context: only hands the runs over to who allocates next.
static void committed(struct journal_callback *callback, int error) {
    struct ext4_freed *f = container_of(callback, struct ext4_freed, callback);
    if (error != 0) f->count = 0;  // nothing is written any more: they stay withheld
    spin_lock(&f->volume->counters);
    list_push_back(&f->volume->committed, &f->node);
    spin_unlock(&f->volume->counters);
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
    for (struct ext4_freed *f; (f = take_committed(v)) != NULL;) kfree(f);
}
