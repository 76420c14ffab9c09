#include "kernel/ipc/pipe_parcel.h"

#include "abi/gen/errors.h"
#include "kernel/core/assert.h"
#include "kernel/ipc/message.h"
#include "kernel/mm/charge.h"
#include "kernel/mm/slub.h"
#include "kernel/object/process.h"

struct pipe_parcel {
    struct list_node node;     // in pipe->parcels
    struct pipe *pipe;         // which it goes through; its ends keep it, as do a reader and a writer at work
    struct job *job;
    uint32_t position, count;
    struct {
        struct kpio_message_handle asked;
        struct handle *handle;     // in flight, or NULL
        struct pipe_end *carried;  // the pipe's end that it names, with a reference, or NULL
    } item[KPIO_MESSAGE_HANDLES_MAX];
};

static struct kmem_cache parcel_cache;
static struct spinlock carry_lock = SPINLOCK_INIT("pipe carry");

void pipe_parcel_init(void) { slub_cache_init(&parcel_cache, "pipe parcel", sizeof(struct pipe_parcel), 0); }

static uint64_t charged_bytes(unsigned count) { return sizeof(struct pipe_parcel) + count * sizeof(struct handle); }

// ---- pipes in pipes ------------------------------------------------------------------------------------------------------

static bool carry(struct pipe *pipe, struct pipe *in) {
    spin_lock(&carry_lock);
    bool may = pipe != in && pipe->carries == 0 && in->carried == 0;
    if (may) {
        pipe->carried++;
        in->carries++;
    }
    spin_unlock(&carry_lock);
    return may;
}

static void carry_end(struct pipe *pipe, struct pipe *in) {
    spin_lock(&carry_lock);
    pipe->carried--;
    in->carries--;
    spin_unlock(&carry_lock);
}

// ---- making and ending --------------------------------------------------------------------------------------------------

void pipe_parcel_free(struct pipe_parcel *parcel) {
    struct job *job = parcel->job;
    uint64_t bytes = charged_bytes(parcel->count);
    for (unsigned i = 0; i < parcel->count; i++) {
        struct pipe_end *end = parcel->item[i].carried;
        if (end != NULL) carry_end(end->pipe, parcel->pipe);
        if (parcel->item[i].handle != NULL) handle_drop(parcel->item[i].handle);
        if (end != NULL) object_put(&end->object);
    }
    slub_free(&parcel_cache, parcel);
    job_uncharge(job, JOB_KERNEL_BYTES, bytes);
}

static int add_item(struct pipe_parcel *parcel, struct kpio_message_handle asked) {
    struct object *o;
    int error = handle_get(asked.handle, KPIO_KIND_NONE, 0, &o);
    if (error != 0) return error;
    asked.kind = o->kind;
    if (o->kind == KPIO_KIND_PIPE) {
        if (!object_tryget(o)) return -EBADF;
        if (!carry(pipe_end_of(o)->pipe, parcel->pipe)) {
            object_put(o);
            return -EBUSY;
        }
        parcel->item[parcel->count].carried = pipe_end_of(o);
    }
    parcel->item[parcel->count++].asked = asked;
    return 0;
}

int pipe_parcel_make(struct pipe *pipe, unsigned count, struct pipe_parcel **out) {
    int error = message_handles_check(count);
    if (error == 0) error = job_charge(pipe->job, JOB_KERNEL_BYTES, charged_bytes(count));
    if (error != 0) return error;
    struct pipe_parcel *parcel = slub_alloc_zeroed(&parcel_cache);
    if (parcel == NULL) {
        job_uncharge(pipe->job, JOB_KERNEL_BYTES, charged_bytes(count));
        return -ENOMEM;
    }
    parcel->pipe = pipe;
    parcel->job = pipe->job;
    while (parcel->count < count && error == 0)
        error = add_item(parcel, message_entry(current_thread(), parcel->count));
    if (error == 0) {
        *out = parcel;
        return 0;
    }
    job_uncharge(pipe->job, JOB_KERNEL_BYTES, charged_bytes(count) - charged_bytes(parcel->count));
    pipe_parcel_free(parcel);
    return error;
}

// ---- on the way ---------------------------------------------------------------------------------------------------------

void pipe_parcel_send(struct pipe_parcel *parcel, uint32_t position) {
    struct pipe *pipe = parcel->pipe;
    for (unsigned i = 0; i < parcel->count; i++) {
        struct kpio_message_handle e = parcel->item[i].asked;
        struct handle *h;
        if (handle_take(&current_process()->handles, e.handle, e.rights, e.mode, &h) == 0) parcel->item[i].handle = h;
    }
    parcel->position = position;
    spin_lock(&pipe->lock);
    bool open = pipe->reader.open;
    if (open) {
        list_push_back(&pipe->parcels, &parcel->node);
        pipe->parcel_count++;
    }
    spin_unlock(&pipe->lock);
    if (!open) pipe_parcel_free(parcel);
}

uint32_t pipe_parcel_distance(struct pipe *pipe, uint32_t position) {
    uint32_t distance = UINT32_MAX;
    spin_lock(&pipe->lock);
    list_for_each_entry(parcel, &pipe->parcels, struct pipe_parcel, node) {
        if (parcel->position == position) continue;
        distance = parcel->position - position;
        break;
    }
    spin_unlock(&pipe->lock);
    return distance;
}

struct pipe_parcel *pipe_parcel_take(struct pipe *pipe, uint32_t position) {
    spin_lock(&pipe->lock);
    struct pipe_parcel *first = list_first_entry(&pipe->parcels, struct pipe_parcel, node);
    if (first != NULL && first->position != position) first = NULL;
    if (first != NULL) {
        list_remove(&first->node);
        pipe->parcel_count--;
    }
    spin_unlock(&pipe->lock);
    return first;
}

void pipe_parcels_drop(struct pipe *pipe) {
    struct pipe_parcel *parcel;
    do {
        spin_lock(&pipe->lock);
        parcel = list_pop_front_entry(&pipe->parcels, struct pipe_parcel, node);
        if (parcel != NULL) pipe->parcel_count--;
        spin_unlock(&pipe->lock);
        if (parcel != NULL) pipe_parcel_free(parcel);
    } while (parcel != NULL);
}

static struct kpio_message_handle arrive(struct pipe_parcel *parcel, unsigned i) {
    struct kpio_message_handle arrived = {.kind = parcel->item[i].asked.kind};
    struct handle *h = parcel->item[i].handle;
    parcel->item[i].handle = NULL;
    if (h == NULL) return arrived;
    arrived.rights = h->rights;
    int64_t value = handle_put(&current_process()->handles, h);
    if (value > 0) arrived.handle = (kpio_handle)value;
    else if (value != -EBADF) handle_drop(h);
    return arrived;
}

void pipe_parcel_deliver(struct pipe_parcel *parcel) {
    unsigned count = parcel != NULL ? parcel->count : 0;
    for (unsigned i = 0; i < KPIO_MESSAGE_HANDLES_MAX; i++) {
        struct kpio_message_handle arrived = {0};
        if (i < count) arrived = arrive(parcel, i);
        memcpy(&current_thread()->block->handles[i], &arrived, sizeof(arrived));
    }
}
