// A process's table of handles. Internal to kernel/object.
#pragma once
#include "kernel/object/handle.h"
#include "kernel/object/job.h"

#define HANDLE_INDEX_MASK ((1u << HANDLE_INDEX_BITS) - 1)

// The first value in an entry, and the next one after a value: generations go round from 0x1fff to 1, so that values stay
// positive.
static inline uint32_t handle_first_value(uint32_t index) { return 1u << HANDLE_INDEX_BITS | index; }
static inline uint32_t handle_next_value(uint32_t value) {
    int next;
    if (unlikely(__builtin_sadd_overflow((int)value, 1 << HANDLE_INDEX_BITS, &next)))
        return handle_first_value(value & HANDLE_INDEX_MASK);
    return (uint32_t)next;
}
static inline uintptr_t handle_free_entry(uint32_t value, uint32_t next) {
    return ((uintptr_t)value << 32) + (uintptr_t)next * 2 + 1;
}
static inline uint32_t handle_free_entry_value(uintptr_t entry) { return (uint32_t)(entry >> 32); }
static inline uint32_t handle_free_entry_next(uintptr_t entry) { return (uint32_t)entry >> 1; }
static inline uintptr_t *handle_entry_at(struct handle_table *table, uint32_t index) {
    return &table->directory[index >> HANDLE_CHUNK_BITS][index & ((1u << HANDLE_CHUNK_BITS) - 1)];
}

// Gives h a free entry and its value, charged to the process's job; false when there is none at hand. table->lock and
// h->object->tree are held, or nobody else knows h.
[[nodiscard]] static inline bool handle_table_insert_at_hand(struct handle_table *table, struct handle *h) {
    uint32_t index = table->free;
    if (unlikely(index >= 1u << HANDLE_CHUNK_BITS)) return false;  // HANDLE_NO_ENTRY too
    if (unlikely(table->room <= 0) || unlikely(!job_stock_take(table->job, JOB_HANDLES, 1))) return false;
    table->room--;
    uintptr_t *at = &table->first[index], entry = *at;
    table->free = handle_free_entry_next(entry);
    h->table = table;
    h->value = (kpio_handle)handle_free_entry_value(entry);
    __atomic_store_n(at, (uintptr_t)h, __ATOMIC_RELEASE);
    return true;
}

// The same with everything that may take: the value, or -EMFILE, -ENFILE, -ENOMEM. Takes table->lock.
[[nodiscard]] int64_t handle_table_insert(struct handle_table *table, struct handle *h);

// Clears h's entry, *at, and its value. object->tree is held. A full barrier stands between that and
// what follows: who then sees no wait through h, and no binding, has not missed any (object_expect_waits).
static inline void handle_table_remove_at(struct handle_table *table, struct handle *h, uint32_t value, uintptr_t *at) {
    __atomic_store_n(&h->value, 0, __ATOMIC_RELAXED);
    spin_lock(&table->lock);
    __atomic_store_n(at, handle_free_entry(handle_next_value(value), table->free), __ATOMIC_RELEASE);
    table->free = value & HANDLE_INDEX_MASK;
    table->room++;
    if (job_stock_put(table->job, JOB_HANDLES, 1) || unlikely(table->job->no_stock != 0)) job_stock_trim(table->job, JOB_HANDLES);
    spin_unlock(&table->lock);
}

static inline void handle_table_remove(struct handle_table *table, struct handle *h) {
    uint32_t value = (uint32_t)h->value, index = value & HANDLE_INDEX_MASK;
    bool near = likely(index < 1u << HANDLE_CHUNK_BITS);
    handle_table_remove_at(table, h, value, near ? &table->first[index] : handle_entry_at(table, index));
}

// Puts h at the value it has in another table (fork); the table is not in use yet. 0, -ENFILE or -ENOMEM.
[[nodiscard]] int handle_table_insert_at(struct handle_table *table, struct handle *h, kpio_handle value);
// After handle_table_insert_at: makes the gaps free entries.
void handle_table_fill_gaps(struct handle_table *table);
