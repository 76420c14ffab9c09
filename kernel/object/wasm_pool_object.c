#include "kernel/object/wasm_pool_object.h"

#include "abi/gen/errors.h"
#include "kernel/mm/slub.h"
#include "kernel/mm/vmo.h"
#include "kernel/object/vmo_object.h"

static const struct object_ops wasm_pool_ops = {
    .name = "wasm pool",
    .rights = KPIO_RIGHT_READ | KPIO_RIGHT_WRITE | KPIO_RIGHT_DUPLICATE | KPIO_RIGHT_TRANSFER | KPIO_RIGHT_EXPIRE,
};

int wasm_pool_create(struct job *job, uint64_t limit, struct wasm_pool **out) {
    struct wasm_pool *pool = kzalloc(sizeof(*pool));
    if (pool == NULL) return -ENOMEM;
    int error = object_init(&pool->object, KPIO_KIND_WASM_POOL, &wasm_pool_ops, job, sizeof(*pool));
    if (error != 0) {
        kfree(pool);
        return error;
    }
    pool->account.limit = limit;
    *out = pool;
    return 0;
}

static void memory_gone(struct vmo *vmo) { object_put(&container_of(vmo->account, struct wasm_pool, account)->object); }

int wasm_pool_make_vmo(struct wasm_pool *pool, struct job *job, uint64_t size, uint64_t maximum, struct object **out) {
    struct vmo *vmo;
    int error = vmo_create_pool(job, size, maximum, &pool->account, &vmo);
    if (error != 0) return error;
    object_get(&pool->object);
    vmo->release = memory_gone;
    error = vmo_object_create(job, vmo, out);
    vmo_put(vmo);
    return error;
}
