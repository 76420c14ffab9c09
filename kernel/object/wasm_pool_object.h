// An account in the WASM pool, for one instance: what its linear memories may take together.
#pragma once
#include "abi/types.h"
#include "kernel/mm/wasm_pool.h"
#include "kernel/object/object.h"
#include "lib/rbtree.h"
#include "lib/util.h"

struct wasm_pool {
    struct object object;
    struct wasm_account account;  // its memories keep a reference on the object
    struct rb_node node;          // of all accounts, by number; under their lock
    uint64_t number;              // from 1, in the order in which they were opened
    uint64_t process;             // id of who opened it
    char name[KPIO_NAME_MAX + 1];
};
static inline struct wasm_pool *wasm_pool_of(struct object *o) { return container_of(o, struct wasm_pool, object); }

// With a reference for the caller. 0, -ENOMEM, -ENFILE.
[[nodiscard]] int wasm_pool_create(struct job *job, uint64_t limit, uint64_t process, const char *name, struct wasm_pool **out);
// The account with the lowest number above `after`: tells of it and returns its number; 0: there is none.
uint64_t wasm_pool_next(uint64_t after, struct kpio_wasm_account *out);
// A linear memory as a VMO object, with a reference for the caller. 0, -EINVAL, -ENOMEM, -ENFILE.
[[nodiscard]] int wasm_pool_make_vmo(struct wasm_pool *pool, struct job *job, uint64_t size, uint64_t maximum,
                                     struct object **out);
