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
    *table = (struct handle_table){.free = HANDLE_NO_ENTRY, .room = KPIO_HANDLES_PER_PROCESS,
                                   .limit = KPIO_HANDLES_PER_PROCESS, .job = p->job};
    spin_init(&table->lock, "handle table");
    table->directory = &table->first;
    table->first = kmalloc(CHUNK_BYTES);
    return table->first ? 0 : -ENOMEM;
}

coldcall struct handle *handle_table_lookup_far(struct handle_table *table, kpio_handle value) {
    uint32_t index = (uint32_t)value & HANDLE_INDEX_MASK;
    if (index >= __atomic_load_n(&table->used_end, __ATOMIC_ACQUIRE)) return NULL;
    uintptr_t entry = __atomic_load_n(handle_entry_at(table, index), __ATOMIC_RELAXED);
    if (entry & 1) return NULL;
    struct handle *h = (struct handle *)entry;
    return h->value == value ? h : NULL;
}

static void set_used_end(struct handle_table *table, uint32_t end) {
    __atomic_store_n(&table->used_end, end, __ATOMIC_RELEASE);
    if (end <= CHUNK_ENTRIES) __atomic_store_n(&table->first_end, end, __ATOMIC_RELEASE);
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

// Pays for one more handle and, with `fresh`, makes room for it at used_end. table->lock held.
static inline int reserve(struct handle_table *table, bool fresh) {
    if (table->room <= 0) return -EMFILE;
    int error = likely(job_stock_take(table->job, JOB_HANDLES, 1)) ? 0 : job_charge(table->job, JOB_HANDLES, 1);
    if (error || !fresh) return error;
    error = grow(table);
    if (error) job_uncharge(table->job, JOB_HANDLES, 1);
    return error;
}

static inline void occupy(struct handle_table *table, struct handle *h, uint32_t value) {
    uint32_t index = value & HANDLE_INDEX_MASK;
    h->table = table;
    h->value = (kpio_handle)value;
    __atomic_store_n(handle_entry_at(table, index), (uintptr_t)h, __ATOMIC_RELEASE);
    if (index == table->used_end) set_used_end(table, index + 1);
    table->room--;
}

int64_t handle_table_insert(struct handle_table *table, struct handle *h) {
    spin_lock(&table->lock);
    int error = 0;
    if (!handle_table_insert_at_hand(table, h)) {
        uint32_t index = table->free;
        error = reserve(table, index == HANDLE_NO_ENTRY);
        if (!error) {
            uint32_t value = handle_first_value(table->used_end);
            if (index != HANDLE_NO_ENTRY) {
                uintptr_t entry = *handle_entry_at(table, index);
                table->free = handle_free_entry_next(entry);
                value = handle_free_entry_value(entry);
            }
            occupy(table, h, value);
        }
    }
    spin_unlock(&table->lock);
    return error ? error : h->value;
}

int handle_table_insert_at(struct handle_table *table, struct handle *h, kpio_handle value) {
    uint32_t index = (uint32_t)value & HANDLE_INDEX_MASK;
    spin_lock(&table->lock);
    int error = 0;
    while (table->used_end < index) {
        error = grow(table);
        if (error) break;
        *handle_entry_at(table, table->used_end) = handle_free_entry(handle_first_value(table->used_end), HANDLE_NO_ENTRY);
        set_used_end(table, table->used_end + 1);
    }
    if (!error) error = reserve(table, index == table->used_end);
    if (!error) occupy(table, h, (uint32_t)value);
    spin_unlock(&table->lock);
    return error;
}

void handle_table_fill_gaps(struct handle_table *table) {
    spin_lock(&table->lock);
    table->free = HANDLE_NO_ENTRY;
    for (uint32_t index = table->used_end; index-- > 0;) {
        uintptr_t *entry = handle_entry_at(table, index);
        if (!(*entry & 1)) continue;
        *entry = handle_free_entry(handle_free_entry_value(*entry), table->free);
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
    assert(handle_table_count(table) == 0);
    if (table->directory != &table->first) {
        for (uint32_t i = 1; i < DIRECTORY_ENTRIES; i++) kfree(table->directory[i]);
        kfree(table->directory);
    }
    kfree(table->first);
    *table = (struct handle_table){.free = HANDLE_NO_ENTRY};
}
