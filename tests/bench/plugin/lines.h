// The cache lines that one CPU wrote: a hash table from line number to a count of writes.
#pragma once
#include <stdint.h>

#define LINE_SHIFT 6

struct line {
    uint64_t number; // physical address >> LINE_SHIFT, plus 1; 0 marks a free slot
    uint64_t writes;
    uint64_t vaddr, pc; // of the last write
};

struct line_table {
    struct line *slots; // a power of two of them
    uint64_t size, used;
};

// Counts a write to the line of `paddr`. One thread at a time for each table. Aborts when memory runs out: a count
// with gaps would be worse than none.
void lines_add(struct line_table *table, uint64_t paddr, uint64_t vaddr, uint64_t pc);

// The entry of a line, or NULL if it was not written.
struct line *lines_find(const struct line_table *table, uint64_t number);

// Forgets everything, keeps the memory.
void lines_clear(struct line_table *table);
