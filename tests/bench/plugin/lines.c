#include "tests/bench/plugin/lines.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_SIZE (1u << 14)

static struct line *slot_of(const struct line_table *table, uint64_t number)
{
    uint64_t at = (number * 0x9e3779b97f4a7c15ull) >> 20 & (table->size - 1);

    while (table->slots[at].number != 0 && table->slots[at].number != number)
        at = (at + 1) & (table->size - 1);
    return &table->slots[at];
}

static void grow(struct line_table *table)
{
    struct line_table old = *table;

    table->size = old.size ? old.size * 2 : FIRST_SIZE;
    table->slots = calloc(table->size, sizeof *table->slots);
    if (!table->slots) {
        fputs("kpio bench plugin: out of memory\n", stderr);
        abort();
    }
    for (uint64_t i = 0; i < old.size; i++)
        if (old.slots[i].number)
            *slot_of(table, old.slots[i].number) = old.slots[i];
    free(old.slots);
}

void lines_add(struct line_table *table, uint64_t paddr, uint64_t vaddr, uint64_t pc)
{
    struct line *line;

    if (table->used * 2 >= table->size)
        grow(table);
    line = slot_of(table, (paddr >> LINE_SHIFT) + 1);
    if (line->number == 0) {
        line->number = (paddr >> LINE_SHIFT) + 1;
        table->used++;
    }
    line->writes++;
    line->vaddr = vaddr;
    line->pc = pc;
}

struct line *lines_find(const struct line_table *table, uint64_t number)
{
    struct line *line = table->size ? slot_of(table, number) : NULL;

    return line && line->number ? line : NULL;
}

void lines_clear(struct line_table *table)
{
    if (table->size)
        memset(table->slots, 0, table->size * sizeof *table->slots);
    table->used = 0;
}
