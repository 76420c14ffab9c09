// A process's table of handles. Internal to kernel/object.
#pragma once
#include "kernel/object/handle.h"

#define HANDLE_INDEX_MASK ((1u << HANDLE_INDEX_BITS) - 1)
#define HANDLE_PREPAY 32  // handles charged to the job at a time

static inline uintptr_t handle_free_entry(uint32_t generation, uint32_t next) {
    return (uintptr_t)generation << 33 | (uintptr_t)next << 1 | 1;
}
static inline uint32_t handle_free_entry_next(uintptr_t entry) { return (uint32_t)(entry >> 1); }
static inline uint32_t handle_free_entry_generation(uintptr_t entry) { return (uint32_t)(entry >> 33); }
static inline uintptr_t *handle_entry_at(struct handle_table *table, uint32_t index) {
    return &table->directory[index >> HANDLE_CHUNK_BITS][index & ((1u << HANDLE_CHUNK_BITS) - 1)];
}
#define HANDLE_GENERATION_MAX 0x1fffu  // 13 bits: with the index, values stay positive

// table->lock is held and released.
coldpath int64_t handle_table_insert_slowly(struct handle_table *table, struct handle *h);
coldpath void handle_table_refund(struct handle_table *table);

// Gives h a free entry and its value; charged to the process's job. Takes table->lock. The value, or -EMFILE, -ENFILE,
// -ENOMEM. h->object->tree is held, or nobody else knows h.
[[nodiscard]] static inline int64_t handle_table_insert(struct handle_table *table, struct handle *h) {
    spin_lock(&table->lock);
    uint32_t index = table->free;
    if (unlikely(index == HANDLE_NO_ENTRY || !table->prepaid || table->count >= table->limit))
        return handle_table_insert_slowly(table, h);
    uintptr_t *entry = handle_entry_at(table, index);
    kpio_handle value = (kpio_handle)(handle_free_entry_generation(*entry) << HANDLE_INDEX_BITS | index);
    table->free = handle_free_entry_next(*entry);
    table->prepaid--;
    table->count++;
    h->table = table;
    h->value = value;
    __atomic_store_n(entry, (uintptr_t)h, __ATOMIC_RELEASE);
    spin_unlock(&table->lock);
    return value;
}

// Clears h's entry and value. object->tree is held.
static inline void handle_table_remove(struct handle_table *table, struct handle *h) {
    uint32_t index = (uint32_t)h->value & HANDLE_INDEX_MASK;
    uint32_t generation = (uint32_t)h->value >> HANDLE_INDEX_BITS;
    generation = generation == HANDLE_GENERATION_MAX ? 1 : generation + 1;
    spin_lock(&table->lock);
    h->value = 0;
    h->table = NULL;
    __atomic_store_n(handle_entry_at(table, index), handle_free_entry(generation, table->free), __ATOMIC_RELEASE);
    table->free = index;
    table->count--;
    if (unlikely(++table->prepaid > 2 * HANDLE_PREPAY)) handle_table_refund(table);
    spin_unlock(&table->lock);
}
// Puts h at the value it has in another table (fork); the table is not in use yet. 0, -ENFILE or -ENOMEM.
[[nodiscard]] int handle_table_insert_at(struct handle_table *table, struct handle *h, kpio_handle value);
// After handle_table_insert_at: makes the gaps free entries.
void handle_table_fill_gaps(struct handle_table *table);
