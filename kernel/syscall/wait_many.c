// handle_wait_many.
#include "kernel/ipc/wait_many.h"

#include "kernel/mm/charge.h"
#include "kernel/mm/slub.h"
#include "kernel/syscall/args.h"

#define ITEMS_SMALL 8u  // fit on the stack

// m->items and m->places are in place.
static int64_t wait_for(struct wait_many *m, struct user_ptr at, nanos_t deadline) {
    size_t bytes = m->count * sizeof(struct kpio_wait_item);
    int error = copy_from_user(m->items, at, bytes);
    if (error != 0) return error;
    for (uint32_t i = 0; i < m->count; i++) m->places[i].lock = NULL;
    int64_t result = wait_many(m, deadline);
    if (result < 0) return result;
    error = copy_to_user(at, m->items, bytes);
    return error != 0 ? error : result;
}

static int64_t wait_for_lots(struct wait_many *m, struct user_ptr at, nanos_t deadline) {
    struct job *job = current_process()->job;
    size_t items_bytes = m->count * sizeof(struct kpio_wait_item);
    size_t bytes = items_bytes + m->count * sizeof(struct wait_place);
    int64_t result = job_charge(job, JOB_KERNEL_BYTES, bytes);
    if (result != 0) return result;
    m->items = kmalloc(bytes);
    m->places = (struct wait_place *)((uint8_t *)m->items + items_bytes);
    result = m->items != NULL ? wait_for(m, at, deadline) : -ENOMEM;
    kfree(m->items);
    job_uncharge(job, JOB_KERNEL_BYTES, bytes);
    return result;
}

int64_t sys_handle_wait_many(uint64_t items, uint64_t count, uint64_t deadline, uint64_t d, uint64_t e, uint64_t f) {
    struct kpio_wait_item small_items[ITEMS_SMALL];
    struct wait_place small_places[ITEMS_SMALL];
    struct wait_many m = {.thread = current_thread(), .items = small_items, .places = small_places};
    if (count > KPIO_WAIT_ITEMS_MAX) return -EINVAL;
    m.count = (uint32_t)count;
    return count <= ITEMS_SMALL ? wait_for(&m, user_ptr(items), deadline) : wait_for_lots(&m, user_ptr(items), deadline);
}
