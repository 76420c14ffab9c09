#include "kernel/object/wasm_pool_object.h"

#include "kernel/object/vmo_object.h"
#include "kernel/syscall/args.h"

int64_t sys_wasm_pool_open(uint64_t limit, uint64_t name_at, uint64_t name_len, uint64_t d, uint64_t e, uint64_t f) {
    char name[KPIO_NAME_MAX + 1];
    struct wasm_pool *pool;
    int error = syscall_read_name(name_at, name_len, name);
    if (!error) error = wasm_pool_create(current_process()->job, limit, current_process()->id, name, &pool);
    return error ? error : handle_install(&pool->object);
}

int64_t sys_wasm_pool_list(uint64_t system, uint64_t after, uint64_t account_at, uint64_t d, uint64_t e, uint64_t f) {
    struct object *o;
    int error = handle_get((kpio_handle)system, KPIO_KIND_SYSTEM, KPIO_RIGHT_INSPECT, &o);
    if (error) return error;
    struct kpio_wasm_account account;
    uint64_t number = wasm_pool_next(after, &account);
    if (number == 0) return -ENOENT;
    error = copy_to_user(user_ptr(account_at), &account, sizeof(account));
    return error ? error : (int64_t)number;
}

int64_t sys_wasm_pool_vmo(uint64_t pool, uint64_t size, uint64_t maximum, uint64_t d, uint64_t e, uint64_t f) {
    struct object *o, *vmo;
    int error = syscall_get(pool, KPIO_KIND_WASM_POOL, KPIO_RIGHT_WRITE, &o);
    if (error) return error;
    error = wasm_pool_make_vmo(wasm_pool_of(o), current_process()->job, size, maximum, &vmo);
    object_put(o);
    return error ? error : handle_install_in(&current_process()->handles, vmo, VMO_RIGHTS_DATA);
}

int64_t sys_wasm_pool_info(uint64_t pool, uint64_t info_at, uint64_t count, uint64_t d, uint64_t e, uint64_t f) {
    struct object *o;
    int error = handle_get((kpio_handle)pool, KPIO_KIND_WASM_POOL, KPIO_RIGHT_READ, &o);
    if (error) return error;
    const struct wasm_account *account = &wasm_pool_of(o)->account;
    struct wasm_pool_stats stats;
    wasm_pool_get_stats(&stats);
    const uint64_t info[] = {account->current, account->peak, account->limit, stats.size, stats.size - stats.reserved};
    uint64_t give = MIN(count, (uint64_t)ARRAY_SIZE(info));
    error = copy_to_user(user_ptr(info_at), info, give * sizeof(info[0]));
    return error ? error : (int64_t)ARRAY_SIZE(info);
}
