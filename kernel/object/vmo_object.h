// VMOs as objects that handles name. The memory itself is kernel/mm/vmo.h.
#pragma once
#include "kernel/mm/vmo.h"
#include "kernel/object/object.h"

// What a handle on memory made by vmo_create carries; EXECUTE is added only for processes with the JIT right.
#define VMO_RIGHTS_DATA                                                                                               \
    (KPIO_RIGHT_READ | KPIO_RIGHT_WRITE | KPIO_RIGHT_MAP | KPIO_RIGHT_DUPLICATE | KPIO_RIGHT_TRANSFER |               \
     KPIO_RIGHT_INSPECT | KPIO_RIGHT_EXPIRE)

struct vmo_object {
    struct object object;
    struct vmo *vmo;
};
static inline struct vmo *vmo_of(struct object *o) { return container_of(o, struct vmo_object, object)->vmo; }

// An object for vmo, charged to job, with a reference for the caller. It takes its own reference on vmo.
// 0, -ENOMEM, -ENFILE.
[[nodiscard]] int vmo_object_create(struct job *job, struct vmo *vmo, struct object **out);
