// Ids of jobs, processes and threads: small numbers, unique among the living, reused as late as possible. They fit 30
// bits, for futex owners and process ids. The table is also how the living are enumerated.
//
//   id = index | generation << ID_INDEX_BITS, never 0; an entry holds an object, or (odd) the next free index
// Lock: one for allocation and release, a leaf. Lookups take none (RCU).
#pragma once
#include "kernel/object/object.h"

#define ID_INDEX_BITS 17
#define ID_BITS 30
#define ID_LIMIT (1ull << ID_BITS)  // other objects' ids start here

// Gives o an id under which it is found from now on. 0, -ENFILE (too many), -ENOMEM.
[[nodiscard]] int id_alloc(struct object *o);
void id_free(struct object *o);
// The object, or NULL. Valid as RCU says; it may be on its way out: object_tryget.
struct object *id_find(uint64_t id);
// Steps through all entries: the next living object, or NULL at the end; or NULL with *more set after a bounded number
// of empty entries, for a preemption point. Start with *cursor = 0.
struct object *id_next(uint32_t *cursor, bool *more);
