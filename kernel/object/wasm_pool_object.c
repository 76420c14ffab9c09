#include "kernel/object/wasm_pool_object.h"

#include "abi/gen/errors.h"
#include "kernel/mm/slub.h"
#include "kernel/mm/vmo.h"
#include "kernel/object/vmo_object.h"
#include "lib/string.h"

// All accounts, by number. A leaf.
static struct {
    struct spinlock lock;
    struct rb_tree tree;
    uint64_t opened;
} accounts = {.lock = SPINLOCK_INIT("wasm accounts"), .tree = RB_TREE_INIT(NULL)};

static const struct wasm_pool *pool_at(const struct rb_node *node) {
    return (const struct wasm_pool *)((const char *)node - offsetof(struct wasm_pool, node));
}

static bool has_lower_number(const struct rb_node *a, const struct rb_node *b) { return pool_at(a)->number < pool_at(b)->number; }

static void forget(struct object *o) {
    struct wasm_pool *pool = wasm_pool_of(o);
    spin_lock(&accounts.lock);
    rb_remove(&accounts.tree, &pool->node);
    spin_unlock(&accounts.lock);
}

static const struct object_ops wasm_pool_ops = {
    .name = "wasm pool",
    .destroy = forget,
    .rights = KPIO_RIGHT_READ | KPIO_RIGHT_WRITE | KPIO_RIGHT_DUPLICATE | KPIO_RIGHT_TRANSFER | KPIO_RIGHT_EXPIRE,
};

int wasm_pool_create(struct job *job, uint64_t limit, uint64_t process, const char *name, struct wasm_pool **out) {
    struct wasm_pool *pool = kzalloc(sizeof(*pool));
    if (pool == NULL) return -ENOMEM;
    int error = object_init(&pool->object, KPIO_KIND_WASM_POOL, &wasm_pool_ops, job, sizeof(*pool));
    if (error != 0) {
        kfree(pool);
        return error;
    }
    pool->account.limit = limit;
    pool->process = process;
    memcpy(pool->name, name, sizeof(pool->name));
    spin_lock(&accounts.lock);
    pool->number = ++accounts.opened;
    rb_insert(&accounts.tree, &pool->node, has_lower_number);
    spin_unlock(&accounts.lock);
    *out = pool;
    return 0;
}

// The node with the lowest number above `after`, or NULL.
static const struct wasm_pool *first_above(uint64_t after) {
    const struct wasm_pool *found = NULL;
    for (const struct rb_node *node = accounts.tree.root; node != NULL;) {
        const struct wasm_pool *pool = pool_at(node);
        if (pool->number > after) found = pool;
        node = pool->number > after ? node->left : node->right;
    }
    return found;
}

uint64_t wasm_pool_next(uint64_t after, struct kpio_wasm_account *out) {
    spin_lock(&accounts.lock);
    const struct wasm_pool *pool = first_above(after);
    if (pool != NULL) {
        const struct wasm_account *account = &pool->account;
        *out = (struct kpio_wasm_account){pool->process, account->current, account->peak, account->reserved, account->limit, {0}};
        memcpy(out->name, pool->name, sizeof(pool->name));
    }
    uint64_t number = pool != NULL ? pool->number : 0;
    spin_unlock(&accounts.lock);
    return number;
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
