// A memory is an object of the pool that is mapped over all of the range which the engine asks for: what lies beyond its size is out
// of reach, so that growing it is one call, which reserves before it returns, and nothing is mapped again.
#define _GNU_SOURCE
#include "user/wasmhost/memory.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>

#include "abi/gen/stubs.h"

#define MAXIMUM (1ull << 46)  // where the module says none: more than there are addresses
#define PAGE 4096ull
#define KEPT_MAX 4            // memories of instances that ended, for the next ones
#define KEPT_SIZE (1ull << 20)  // and their size: what is kept stays reserved

struct memory {
    struct memory *next;  // of the kept ones
    kpio_handle object;
    uint64_t address, size, range;
    uint64_t guard;                // the end of the range, into which the memory never grows
    uint64_t first_size, maximum;  // as it was made
};

static struct {
    kpio_handle aspace, account;
    pthread_mutex_t lock;  // of what follows
    struct memory *kept;
    unsigned kept_count;
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER};

void memory_open(const char *name, uint64_t limit) {
    pool.aspace = (kpio_handle)getauxval(KPIO_AT_ASPACE);
    if (pool.aspace == KPIO_HANDLE_NONE) return;
    const char *slash = strrchr(name, '/');
    if (slash != NULL) name = slash + 1;
    size_t bytes = strnlen(name, KPIO_NAME_MAX);
    int64_t account = kpio_wasm_pool_open(limit, (const uint8_t *)name, bytes);
    if (account > 0) pool.account = (kpio_handle)account;
}

// A range of addresses that shows the memory at its beginning: 0, or a negative errno.
static int64_t show(struct memory *m, uint64_t range) {
    int64_t at = kpio_aspace_map(pool.aspace, m->object, 0, range, KPIO_MAP_READ | KPIO_MAP_WRITE, 0);
    if (at < 0) return at;
    if (m->range != 0) (void)kpio_aspace_unmap(pool.aspace, m->address, m->range);
    m->address = (uint64_t)at;
    m->range = range;
    return 0;
}

static uint8_t *get_memory(void *env, size_t *size, size_t *capacity) {
    const struct memory *m = env;
    *size = m->size;
    *capacity = m->range - m->guard;
    return (uint8_t *)m->address;
}

// The next instance of a module asks for the same again. Its pages go back to the pool: they are zero when they come again.
static bool keep(struct memory *m) {
    if (m->size != m->first_size || m->size == 0 || m->size > KEPT_SIZE) return false;
    if (kpio_vmo_op(m->object, KPIO_VMO_OP_DECOMMIT, 0, m->size) != 0) return false;
    pthread_mutex_lock(&pool.lock);
    bool kept = pool.kept_count < KEPT_MAX;
    if (kept) {
        m->next = pool.kept;
        pool.kept = m;
        pool.kept_count++;
    }
    pthread_mutex_unlock(&pool.lock);
    return kept;
}

static struct memory *take_kept(uint64_t size, uint64_t maximum, uint64_t range, uint64_t guard) {
    pthread_mutex_lock(&pool.lock);
    struct memory **at = &pool.kept;
    while (*at != NULL && ((*at)->first_size != size || (*at)->maximum != maximum || (*at)->range != range || (*at)->guard != guard))
        at = &(*at)->next;
    struct memory *m = *at;
    if (m != NULL) {
        *at = m->next;
        pool.kept_count--;
    }
    pthread_mutex_unlock(&pool.lock);
    return m;
}

static void end_memory(struct memory *m) {
    if (m->range != 0) (void)kpio_aspace_unmap(pool.aspace, m->address, m->range);
    (void)kpio_handle_close(m->object);
    free(m);
}

static void drop_memory(void *env) {
    if (!keep(env)) end_memory(env);
}

// What is kept must not be in the way of what is wanted. Whether there was any.
static bool release_kept(void) {
    pthread_mutex_lock(&pool.lock);
    struct memory *m = pool.kept, *next;
    pool.kept = NULL;
    pool.kept_count = 0;
    pthread_mutex_unlock(&pool.lock);
    bool any = m != NULL;
    for (; m != NULL; m = next) {
        next = m->next;
        end_memory(m);
    }
    return any;
}

static uint64_t whole_pages(uint64_t bytes) { return (bytes + PAGE - 1) & ~(PAGE - 1); }

static wasmtime_error_t *grow_memory(void *env, size_t size) {
    struct memory *m = env;
    int64_t error = size > m->size ? kpio_vmo_resize(m->object, size) : 0;
    if (error == -ENOMEM && release_kept()) error = kpio_vmo_resize(m->object, size);
    if (error != 0) return wasmtime_error_new("the memory cannot grow");
    if (size > m->range - m->guard && show(m, whole_pages(size + size / 2) + m->guard) != 0)  // of 64 bits: it may move
        return wasmtime_error_new("no addresses for the memory");
    m->size = size;
    return NULL;
}

static wasmtime_error_t *make_memory(uint64_t size, uint64_t maximum, uint64_t range, uint64_t guard, struct memory **out) {
    struct memory *m = calloc(1, sizeof *m);
    if (m == NULL) return wasmtime_error_new("no memory");
    int64_t object = kpio_wasm_pool_vmo(pool.account, size, maximum);
    if (object == -ENOMEM && release_kept()) object = kpio_wasm_pool_vmo(pool.account, size, maximum);
    if (object < 0) {
        free(m);
        return wasmtime_error_new("the WASM pool has no room for its memory, or its limit is reached");
    }
    *m = (struct memory){.object = (kpio_handle)object, .size = size, .guard = guard, .first_size = size, .maximum = maximum};
    if (show(m, range) != 0) {
        end_memory(m);
        return wasmtime_error_new("no addresses for the memory");
    }
    *out = m;
    return NULL;
}

static wasmtime_error_t *new_memory(void *env, const wasm_memorytype_t *type, size_t minimum, size_t maximum, size_t reserved,
                                    size_t guard, wasmtime_linear_memory_t *out) {
    const uint64_t most = maximum < MAXIMUM ? maximum : MAXIMUM;
    const uint64_t beyond = whole_pages(guard), range = whole_pages(minimum > reserved ? minimum : reserved) + beyond;
    struct memory *m = take_kept(minimum, most, range, beyond);
    if (m == NULL) {
        wasmtime_error_t *error = make_memory(minimum, most, range, beyond, &m);
        if (error != NULL) return error;
    }
    *out = (wasmtime_linear_memory_t){m, get_memory, grow_memory, drop_memory};
    return NULL;
}

void memory_configure(wasm_config_t *config) {
    wasmtime_memory_creator_t creator = {.new_memory = new_memory};
    if (pool.account != KPIO_HANDLE_NONE) wasmtime_config_host_memory_creator_set(config, &creator);
}
