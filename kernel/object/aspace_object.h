// Address spaces as objects, and what ties a mapping to the handle that it was made through.
#pragma once
#include "kernel/mm/aspace.h"
#include "kernel/object/handle.h"

struct aspace_object {
    struct object object;
    struct aspace *aspace;
};
static inline struct aspace *aspace_of(struct object *o) { return container_of(o, struct aspace_object, object)->aspace; }

// An object for a, charged to job, with a reference for the caller. It takes its own reference on a. An address space
// may have several. 0, -ENOMEM, -ENFILE.
[[nodiscard]] int aspace_object_create(struct job *job, struct aspace *a, struct object **out);
