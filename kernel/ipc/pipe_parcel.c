#include "kernel/ipc/pipe_parcel.h"

#include "abi/gen/errors.h"
#include "kernel/core/assert.h"
#include "kernel/mm/charge.h"
#include "kernel/mm/slub.h"
#include "kernel/object/process.h"
#include "lib/string.h"

struct parcel_item {
    struct kpio_message_handle asked;
    struct handle *handle;     // in flight, or NULL
    struct pipe_end *carried;  // the pipe's end that it names, with a reference, or NULL
};
struct pipe_parcel {
    struct list_node node;     // in pipe->parcels
    struct pipe *pipe;         // which it goes through; its ends keep it, as do a reader and a writer at work
    struct job *job;
    uint64_t charged;
    uint32_t position, count, note_size;
    uint8_t *note;             // behind the items
    bool shown, dropped;       // a reader looks at it; it is off the queue meanwhile, and that reader's to free
    struct parcel_item item[];
};

static struct spinlock carry_lock = SPINLOCK_INIT("pipe carry");

// ---- pipes in pipes ------------------------------------------------------------------------------------------------------

#define LEVELS 5
#define LEVEL_FIRST 2  // of a pipe that another goes into first

static bool is_alone(const struct pipe *pipe) { return pipe->carries == 0 && pipe->carried == 0; }

static bool find_levels(struct pipe *pipe, struct pipe *in) {
    int inner = pipe->level, outer = in->level;
    if (is_alone(in)) outer = is_alone(pipe) ? LEVEL_FIRST : inner + 1;
    if (is_alone(pipe)) inner = outer - 1;
    if (inner >= outer || inner < 0 || outer >= LEVELS) return false;
    pipe->level = (int8_t)inner;
    in->level = (int8_t)outer;
    return true;
}

static bool carry(struct pipe *pipe, struct pipe *in) {
    spin_lock(&carry_lock);
    bool may = pipe != in && find_levels(pipe, in);
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

// What has not been delivered goes.
static void empty(struct pipe_parcel *parcel) {
    for (unsigned i = 0; i < parcel->count; i++) {
        struct pipe_end *end = parcel->item[i].carried;
        if (end != NULL) carry_end(end->pipe, parcel->pipe);
        if (parcel->item[i].handle != NULL) handle_drop(parcel->item[i].handle);
        if (end != NULL) object_put(&end->object);
    }
    parcel->count = 0;
}

void pipe_parcel_free(struct pipe_parcel *parcel) {
    struct job *job = parcel->job;
    const uint64_t charged = parcel->charged;
    empty(parcel);
    kfree(parcel);
    job_uncharge(job, JOB_KERNEL_BYTES, charged);
}

static int add_item(struct pipe_parcel *parcel, struct kpio_message_handle asked) {
    struct object *o;
    int error = handle_check_transfer(&current_process()->handles, asked.handle, asked.rights, asked.mode);
    if (error == 0) error = handle_get(asked.handle, KPIO_KIND_NONE, 0, &o);
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

static int allocate(struct pipe *pipe, const struct pipe_cargo *cargo, struct pipe_parcel **out) {
    const uint64_t items = cargo->handle_count * sizeof(struct parcel_item), size = sizeof **out + items + cargo->note_size;
    const uint64_t charged = size + cargo->handle_count * sizeof(struct handle);
    int error = job_charge(pipe->job, JOB_KERNEL_BYTES, charged);
    if (error != 0) return error;
    struct pipe_parcel *parcel = kzalloc(size);
    if (parcel == NULL) {
        job_uncharge(pipe->job, JOB_KERNEL_BYTES, charged);
        return -ENOMEM;
    }
    parcel->pipe = pipe;
    parcel->job = pipe->job;
    parcel->charged = charged;
    parcel->note = (uint8_t *)parcel + sizeof *parcel + items;
    parcel->note_size = cargo->note_size;
    memcpy(parcel->note, cargo->note, cargo->note_size);
    *out = parcel;
    return 0;
}

#define STEP 32u  // handles between two preemption points

int pipe_parcel_make(struct pipe *pipe, const struct pipe_cargo *cargo, struct pipe_parcel **out) {
    struct pipe_parcel *parcel;
    int error = allocate(pipe, cargo, &parcel);
    if (error != 0) return error;
    while (parcel->count < cargo->handle_count && error == 0) {
        error = add_item(parcel, cargo->handles[parcel->count]);
        if (parcel->count % STEP == STEP - 1 && sched_preempt_point()) error = -EINTR;
    }
    if (error == 0) *out = parcel;
    else pipe_parcel_free(parcel);
    return error;
}

uint32_t pipe_parcel_handles(const struct pipe_parcel *parcel) { return parcel->count; }

// ---- on the way ---------------------------------------------------------------------------------------------------------

static bool same_note(const struct pipe_parcel *a, const struct pipe_parcel *b) {
    return a->note_size == b->note_size && memcmp(a->note, b->note, a->note_size) == 0;
}

// pipe->lock is held. A stream's bytes have the note of those before them until another comes.
static bool says_nothing_new(struct pipe *pipe, const struct pipe_parcel *parcel) {
    if (pipe->mode != PIPE_STREAM || parcel->count > 0) return false;
    const struct pipe_parcel *last = pipe->noted;
    list_for_each_entry(waiting, &pipe->parcels, struct pipe_parcel, node) last = waiting;
    return last != NULL && same_note(last, parcel);
}

void pipe_parcel_send(struct pipe_parcel *parcel, uint32_t position) {
    struct pipe *pipe = parcel->pipe;
    for (unsigned i = 0; i < parcel->count; i++) {
        struct kpio_message_handle e = parcel->item[i].asked;
        struct handle *h;
        if (handle_take(&current_process()->handles, e.handle, e.rights, e.mode, &h) == 0) parcel->item[i].handle = h;
        if (i % STEP == STEP - 1) (void)sched_preempt_point();
    }
    parcel->position = position;
    spin_lock(&pipe->lock);
    bool wanted = pipe->reader.open && !says_nothing_new(pipe, parcel);
    if (wanted) {
        list_push_back(&pipe->parcels, &parcel->node);
        pipe->parcel_count++;
        pipe->parcel_handles += parcel->count;
    }
    spin_unlock(&pipe->lock);
    if (!wanted) pipe_parcel_free(parcel);
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

// pipe->lock is held.
static struct pipe_parcel *first_at(struct pipe *pipe, uint32_t position) {
    struct pipe_parcel *first = list_first_entry(&pipe->parcels, struct pipe_parcel, node);
    return first != NULL && first->position == position ? first : NULL;
}

static void unlink_locked(struct pipe *pipe, struct pipe_parcel *parcel) {
    list_remove(&parcel->node);
    pipe->parcel_count--;
    pipe->parcel_handles -= parcel->count;
}

struct pipe_parcel *pipe_parcel_take(struct pipe *pipe, uint32_t position) {
    spin_lock(&pipe->lock);
    struct pipe_parcel *first = first_at(pipe, position);
    if (first != NULL) unlink_locked(pipe, first);
    spin_unlock(&pipe->lock);
    return first;
}

uint32_t pipe_parcel_note(struct pipe *pipe, uint32_t position, uint8_t *note, uint32_t room) {
    uint32_t size = 0;
    spin_lock(&pipe->lock);
    const struct pipe_parcel *parcel = first_at(pipe, position);
    if (parcel == NULL && pipe->mode == PIPE_STREAM) parcel = pipe->noted;
    if (parcel != NULL) {
        size = parcel->note_size;
        memcpy(note, parcel->note, MIN(size, room));
    }
    spin_unlock(&pipe->lock);
    return size;
}

void pipe_parcel_done(struct pipe *pipe, struct pipe_parcel *parcel) {
    empty(parcel);
    spin_lock(&pipe->lock);
    const bool keep = pipe->mode == PIPE_STREAM && parcel->note_size > 0 && pipe->reader.open;
    if (keep) {
        struct pipe_parcel *old = pipe->noted;
        pipe->noted = parcel;
        parcel = old;
    }
    spin_unlock(&pipe->lock);
    if (parcel != NULL) pipe_parcel_free(parcel);
}

void pipe_parcels_drop(struct pipe *pipe) {
    struct pipe_parcel *parcel;
    do {
        spin_lock(&pipe->lock);
        parcel = list_first_entry(&pipe->parcels, struct pipe_parcel, node);
        if (parcel != NULL) unlink_locked(pipe, parcel);
        else {
            parcel = pipe->noted;
            pipe->noted = NULL;
        }
        const bool shown = parcel != NULL && parcel->shown;
        if (shown) parcel->dropped = true;
        spin_unlock(&pipe->lock);
        if (parcel != NULL && !shown) pipe_parcel_free(parcel);
    } while (parcel != NULL);
}

// Of this kind; h may be NULL.
static struct kpio_message_handle arrive(struct handle *h, uint32_t kind) {
    struct kpio_message_handle arrived = {.kind = kind};
    if (h == NULL) return arrived;
    arrived.rights = h->rights;
    int64_t value = handle_put(&current_process()->handles, h);
    if (value > 0) arrived.handle = (kpio_handle)value;
    else if (value != -EBADF) handle_drop(h);
    return arrived;
}

struct kpio_message_handle pipe_parcel_arrive(struct pipe_parcel *parcel, uint32_t i) {
    struct handle *h = parcel->item[i].handle;
    parcel->item[i].handle = NULL;
    return arrive(h, parcel->item[i].asked.kind);
}

uint32_t pipe_parcel_show(struct pipe *pipe, uint32_t position, struct kpio_message_handle *handles, uint32_t room) {
    spin_lock(&pipe->lock);
    struct pipe_parcel *parcel = first_at(pipe, position);
    if (parcel != NULL) parcel->shown = true;
    spin_unlock(&pipe->lock);
    if (parcel == NULL) return 0;
    const uint32_t count = parcel->count;
    for (uint32_t i = 0; i < count && i < room; i++) {
        struct handle *h = parcel->item[i].handle, *copy;
        if (h == NULL || handle_copy_in_flight(h, &copy) != 0) copy = NULL;
        handles[i] = arrive(copy, parcel->item[i].asked.kind);
        if (i % STEP == STEP - 1) (void)sched_preempt_point();
    }
    spin_lock(&pipe->lock);
    parcel->shown = false;
    const bool dropped = parcel->dropped;
    spin_unlock(&pipe->lock);
    if (dropped) pipe_parcel_free(parcel);
    return count;
}
