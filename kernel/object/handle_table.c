#include "kernel/object/handle_table.h"

#include "abi/gen/errors.h"
#include "kernel/core/assert.h"
#include "kernel/mm/slub.h"
#include "kernel/object/process.h"
#include "lib/string.h"

#define CHUNK_ENTRIES (1u << HANDLE_CHUNK_BITS)
#define CHUNK_BYTES (CHUNK_ENTRIES * sizeof(uintptr_t))
#define DIRECTORY_ENTRIES (1u << (HANDLE_INDEX_BITS - HANDLE_CHUNK_BITS))

int handle_table_init(struct handle_table *table, struct process *p) {
    *table = (struct handle_table){.free = HANDLE_NO_ENTRY, .limit = KPIO_HANDLES_PER_PROCESS, .process = p};
    spin_init(&table->lock, "handle table");
    table->directory = &table->first;
    table->first = kmalloc(CHUNK_BYTES);
    return table->first ? 0 : -ENOMEM;
}

// Makes room for the entry at used_end. table->lock held.
static int grow(struct handle_table *table) {
    uint32_t chunk = table->used_end >> HANDLE_CHUNK_BITS;
    if (chunk >= DIRECTORY_ENTRIES) return -EMFILE;
    if (table->used_end & (CHUNK_ENTRIES - 1) || chunk == 0) return 0;
    uintptr_t *entries = kmalloc(CHUNK_BYTES);
    if (!entries) return -ENOMEM;
    if (table->directory == &table->first) {
        uintptr_t **directory = kzalloc(DIRECTORY_ENTRIES * sizeof(*directory));
        if (!directory) {
            kfree(entries);
            return -ENOMEM;
        }
        directory[0] = table->first;
        __atomic_store_n(&table->directory, directory, __ATOMIC_RELEASE);
    }
    table->directory[chunk] = entries;
    return 0;
}

// Pays for one more handle. table->lock held.
static int pay(struct handle_table *table) {
    if (table->count >= table->limit) return -EMFILE;
    if (likely(table->prepaid)) return table->prepaid--, 0;
    struct job *job = table->process->job;
    if (job_charge(job, JOB_HANDLES, HANDLE_PREPAY) == 0) {
        table->prepaid = HANDLE_PREPAY - 1;
        return 0;
    }
    return job_charge(job, JOB_HANDLES, 1);
}

void handle_table_refund(struct handle_table *table) {
    job_uncharge(table->process->job, JOB_HANDLES, HANDLE_PREPAY);
    table->prepaid -= HANDLE_PREPAY;
}

int64_t handle_table_insert_slowly(struct handle_table *table, struct handle *h) {
    int error = pay(table);
    if (unlikely(error)) goto fail;
    uint32_t index = table->free, generation = 1;
    if (index != HANDLE_NO_ENTRY) {
        uintptr_t entry = *handle_entry_at(table, index);
        table->free = handle_free_entry_next(entry);
        generation = handle_free_entry_generation(entry);
    } else {
        error = grow(table);
        if (error) {
            table->prepaid++;
            goto fail;
        }
        index = table->used_end;
    }
    h->table = table;
    h->value = (kpio_handle)(generation << HANDLE_INDEX_BITS | index);
    __atomic_store_n(handle_entry_at(table, index), (uintptr_t)h, __ATOMIC_RELEASE);
    if (index == table->used_end) __atomic_store_n(&table->used_end, index + 1, __ATOMIC_RELEASE);
    table->count++;
    spin_unlock(&table->lock);
    return h->value;
fail:
    spin_unlock(&table->lock);
    return error;
}

int handle_table_insert_at(struct handle_table *table, struct handle *h, kpio_handle value) {
    uint32_t index = (uint32_t)value & HANDLE_INDEX_MASK;
    spin_lock(&table->lock);
    int error = 0;
    while (!error && table->used_end <= index) {
        error = grow(table);
        if (error) break;
        *handle_entry_at(table, table->used_end) = handle_free_entry(1, HANDLE_NO_ENTRY);
        table->used_end++;
    }
    if (!error) error = pay(table);
    if (!error) {
        h->table = table;
        h->value = value;
        *handle_entry_at(table, index) = (uintptr_t)h;
        table->count++;
    }
    spin_unlock(&table->lock);
    return error;
}

void handle_table_fill_gaps(struct handle_table *table) {
    spin_lock(&table->lock);
    for (uint32_t index = table->used_end; index-- > 0;) {
        uintptr_t *entry = handle_entry_at(table, index);
        if (!(*entry & 1)) continue;
        *entry = handle_free_entry(handle_free_entry_generation(*entry), table->free);
        table->free = index;
    }
    spin_unlock(&table->lock);
}

#define DESCRIBE_STEP 512

unsigned handle_table_describe(struct handle_table *table, uint32_t *cursor, struct kpio_handle_info *infos, unsigned max,
                               bool *more) {
    uint32_t end = __atomic_load_n(&table->used_end, __ATOMIC_ACQUIRE);
    unsigned found = 0;
    for (unsigned step = 0; step < DESCRIBE_STEP && found < max && *cursor < end; step++) {
        uintptr_t entry = __atomic_load_n(handle_entry_at(table, (*cursor)++), __ATOMIC_RELAXED);
        if (!(entry & 1)) handle_describe((struct handle *)entry, &infos[found++]);
    }
    *more = *cursor < end;
    return found;
}

void handle_table_destroy(struct handle_table *table) {
    assert(table->count == 0);
    job_uncharge(table->process->job, JOB_HANDLES, table->prepaid);
    if (table->directory != &table->first) {
        for (uint32_t i = 1; i < DIRECTORY_ENTRIES; i++) kfree(table->directory[i]);
        kfree(table->directory);
    }
    kfree(table->first);
    *table = (struct handle_table){.free = HANDLE_NO_ENTRY};
}
