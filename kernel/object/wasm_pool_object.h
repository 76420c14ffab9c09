// An account in the WASM pool, for one instance: what its linear memories may take together.
#pragma once
#include "kernel/mm/wasm_pool.h"
#include "kernel/object/object.h"
#include "lib/util.h"

struct wasm_pool {
    struct object object;
    struct wasm_account account;  // its memories keep a reference on the object
};
static inline struct wasm_pool *wasm_pool_of(struct object *o) { return container_of(o, struct wasm_pool, object); }

// With a reference for the caller. 0, -ENOMEM, -ENFILE.
[[nodiscard]] int wasm_pool_create(struct job *job, uint64_t limit, struct wasm_pool **out);
// A linear memory as a VMO object, with a reference for the caller. 0, -EINVAL, -ENOMEM, -ENFILE.
[[nodiscard]] int wasm_pool_make_vmo(struct wasm_pool *pool, struct job *job, uint64_t size, uint64_t maximum,
                                     struct object **out);
