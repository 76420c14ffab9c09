// Pipes as objects: making them, ending them, what ports see.
#include "abi/gen/errors.h"
#include "kernel/core/assert.h"
#include "kernel/ipc/advisory.h"
#include "kernel/ipc/pipe_parcel.h"
#include "kernel/ipc/pipe_wait.h"
#include "kernel/mm/charge.h"
#include "kernel/mm/slub.h"
#include "lib/string.h"

static struct kmem_cache pipe_cache, end_cache;

static struct pipe_side *side_of(struct pipe_end *end) { return end->writer ? &end->pipe->writer : &end->pipe->reader; }

static void pipe_free(struct rcu_head *head) {
    struct pipe *pipe = container_of(head, struct pipe, rcu);
    assert(list_is_empty(&pipe->parcels) && pipe->carries == 0 && pipe->carried == 0);
    advisory_free(pipe->locks);
    kfree(pipe->ring.bytes);
    slub_free(&pipe_cache, pipe);
}

// The pipe goes with its second end. Its job is kept by the charge until that is given back.
static void pipe_put(struct pipe *pipe) {
    spin_lock(&pipe->lock);
    bool last = --pipe->ends == 0;
    spin_unlock(&pipe->lock);
    if (!last) return;
    if (pipe->home.gone != NULL) pipe->home.gone(pipe);
    struct job *job = pipe->job;
    uint32_t bytes = pipe->ring.size + sizeof *pipe;
    rcu_call(&pipe->rcu, pipe_free);
    job_uncharge(job, JOB_KERNEL_BYTES, bytes);
}

static void end_handle_gone(struct object *o, struct handle *h) {
    struct pipe_end *end = pipe_end_of(o);
    struct advisory_locks *locks = advisory_of(&end->pipe->locks);
    if (unlikely(locks != NULL)) (void)advisory_handle_gone(locks, h);
    spin_lock(&end->pipe->lock);
    pipe_wake_locked(side_of(end), h, true, -ECANCELED);
    spin_unlock(&end->pipe->lock);
}

// pipe->lock is held. Whether it was the side's last end; another one leaves it, and what waits there is the others'.
static bool is_last_of_side(struct pipe_side *side, struct pipe_end *end) {
    struct pipe_end **at = &side->end;
    if (side->end == end && end->next == NULL) return true;
    while (*at != NULL && *at != end) at = &(*at)->next;
    if (*at == end) __atomic_store_n(at, end->next, __ATOMIC_RELEASE);
    pipe_count_ends_locked(end->pipe);
    return false;
}

// Who waits at this end's side gets `result`, when it goes: true. Others that have the side open keep it from that.
static bool close_side(struct pipe_end *end, bool unnamed, int64_t result) {
    struct pipe *pipe = end->pipe;
    struct pipe_side *side = side_of(end), *other = end->writer ? &pipe->reader : &pipe->writer;
    spin_lock(&pipe->lock);
    if (unnamed && !is_last_of_side(side, end)) {
        spin_unlock(&pipe->lock);
        return false;
    }
    side->open = false;
    if (unnamed) side->named = false;
    pipe_wake_locked(side, NULL, true, result);
    pipe_wake_locked(other, NULL, true, 0);  // to see that its peer is gone
    struct pipe_end *peer = other->end;
    spin_unlock(&pipe->lock);
    pipe_signal_ends(peer);
    return true;
}

static void end_unreachable(struct object *o) {
    struct pipe_end *end = pipe_end_of(o);
    advisory_release(advisory_of(&end->pipe->locks), o);
    const bool last = close_side(end, true, -ECANCELED);
    if (last && !end->writer) pipe_parcels_drop(end->pipe);  // nobody can take them any more
}

// What was written stays to be read, also by the end that is shut.
void pipe_shut(struct pipe_end *end) {
    (void)close_side(end, false, 0);
    spin_lock(&end->pipe->lock);
    struct pipe_end *own = side_of(end)->end;
    spin_unlock(&end->pipe->lock);
    pipe_signal_ends(own);
}

static void end_destroy(struct object *o) {
    struct pipe_end *end = pipe_end_of(o);
    pipe_label_drop(end);
    spin_lock(&end->pipe->lock);
    if (side_of(end)->end == end) {
        side_of(end)->end = NULL;
        side_of(end)->open = false;
    }
    spin_unlock(&end->pipe->lock);
    pipe_put(end->pipe);
    if (end->family != NULL) object_put(end->family);
}

// From which room on a pipe is WRITABLE: what is written as a whole fits. The smallest rings hold little more than that.
static uint32_t room_to_tell(const struct pipe *pipe) {
    uint32_t header = pipe->mode == PIPE_STREAM ? 0 : PIPE_RECORD_HEADER;
    return header + (pipe->ring.size > PIPE_ATOMIC ? PIPE_ATOMIC : 1);
}

static uint32_t end_signals(struct object *o, uint64_t *value) {
    struct pipe_end *end = pipe_end_of(o);
    struct pipe *pipe = end->pipe;
    uint32_t signals = 0;
    spin_lock(&pipe->lock);
    if (end->writer) {
        *value = pipe_ring_room(&pipe->ring);
        bool parcels = pipe->parcel_count < pipe->parcel_limit && pipe->parcel_handles <= PIPE_HANDLES_MAX / 2;
        if (*value >= room_to_tell(pipe) && parcels) signals |= KPIO_SIGNAL_WRITABLE;
        if (!(pipe->reader.open && pipe->writer.open)) signals |= KPIO_SIGNAL_PEER_GONE;
    } else {
        bool awaited = pipe->home.gone != NULL && end->seen == pipe->writer.opens;  // nobody has come to write yet
        bool open = pipe->reader.open && (pipe->writer.open || pipe->mode == PIPE_MAILBOX || awaited);
        *value = pipe_ring_used(&pipe->ring);
        if (*value != 0) signals |= KPIO_SIGNAL_DATA;
        if (*value != 0 || !open) signals |= KPIO_SIGNAL_READABLE;
        if (!open) signals |= KPIO_SIGNAL_PEER_GONE;
    }
    spin_unlock(&pipe->lock);
    return signals;
}

#define END_RIGHTS                                                                                                     \
    (KPIO_RIGHT_DUPLICATE | KPIO_RIGHT_TRANSFER | KPIO_RIGHT_INSPECT | KPIO_RIGHT_WAIT | KPIO_RIGHT_EXPIRE)
#define END_OPS .unreachable = end_unreachable, .destroy = end_destroy, .handle_gone = end_handle_gone, .signals = end_signals
static const struct object_ops reader_ops = {.name = "pipe reader", .rights = END_RIGHTS | KPIO_RIGHT_READ, END_OPS};
static const struct object_ops writer_ops = {.name = "pipe writer", .rights = END_RIGHTS | KPIO_RIGHT_WRITE, END_OPS};

int pipe_end_make(struct pipe *pipe, bool writer, struct pipe_end **out) {
    struct pipe_end *end = slub_alloc_zeroed(&end_cache);
    if (end == NULL) return -ENOMEM;
    int error = object_init(&end->object, KPIO_KIND_PIPE, writer ? &writer_ops : &reader_ops, pipe->job, sizeof *end);
    if (error != 0) {
        slub_free(&end_cache, end);
        return error;
    }
    end->pipe = pipe;
    end->writer = writer;
    if (pipe->id == 0) pipe->id = end->object.id;
    *out = end;
    return 0;
}

void pipe_end_unmake(struct pipe_end *end) {
    spin_lock(&end->pipe->lock);
    end->pipe->ends++;  // which its end gives back
    spin_unlock(&end->pipe->lock);
    object_put(&end->object);
}

static int end_create(struct pipe *pipe, bool writer, struct pipe_end **out) {
    int error = pipe_end_make(pipe, writer, out);
    if (error != 0) return error;
    struct pipe_side *side = side_of(*out);
    side->end = *out;
    side->open = side->named = true;
    pipe->ends++;
    return 0;
}

static int pipe_alloc(struct job *job, enum pipe_mode mode, uint32_t size, struct pipe **out) {
    int error = job_charge(job, JOB_KERNEL_BYTES, size + sizeof(struct pipe));
    if (error != 0) return error;
    struct pipe *pipe = slub_alloc_zeroed(&pipe_cache);
    uint8_t *bytes = pipe != NULL ? kmalloc(size) : NULL;
    if (bytes == NULL) {
        if (pipe != NULL) slub_free(&pipe_cache, pipe);
        job_uncharge(job, JOB_KERNEL_BYTES, size + sizeof(struct pipe));
        return -ENOMEM;
    }
    spin_init(&pipe->lock, "pipe");
    list_init(&pipe->reader.waiters);
    list_init(&pipe->writer.waiters);
    list_init(&pipe->parcels);
    pipe->mode = (uint8_t)mode;
    pipe->job = job;
    pipe->parcel_limit = PIPE_PARCELS_DEFAULT;
    pipe->ring = (struct pipe_ring){.bytes = bytes, .size = size};
    *out = pipe;
    return 0;
}

static uint32_t round_size(uint64_t size) { return size < PIPE_SIZE_MIN ? PIPE_SIZE_MIN : 1u << log2_ceil(size); }

int pipe_create(struct job *job, enum pipe_mode mode, uint64_t size, struct pipe_end **reader, struct pipe_end **writer) {
    struct pipe *pipe;
    if (mode > PIPE_MAILBOX || size > PIPE_SIZE_MAX) return -EINVAL;
    int error = pipe_alloc(job, mode, size == 0 ? PIPE_SIZE_DEFAULT : round_size(size), &pipe);
    if (error != 0) return error;
    pipe->ends = 1;  // ours, until both exist
    error = end_create(pipe, false, reader);
    if (error == 0) {
        error = end_create(pipe, true, writer);
        if (error != 0) object_put(&(*reader)->object);
    }
    pipe_put(pipe);
    return error;
}

int pipe_create_shared(struct job *job, struct pipe_home home, struct pipe **out) {
    struct pipe *pipe;
    int error = pipe_alloc(job, PIPE_STREAM, PIPE_SIZE_DEFAULT, &pipe);
    if (error != 0) return error;
    pipe->home = home;
    pipe->ends = 1;  // the caller's
    *out = pipe;
    return 0;
}

void pipe_release(struct pipe *pipe) { pipe_put(pipe); }

// ---- size ----------------------------------------------------------------------------------------------------------------

void pipe_describe(struct pipe_end *end, struct kpio_pipe_info *info) {
    struct pipe *pipe = end->pipe;
    spin_lock(&pipe->lock);
    uint32_t used = pipe_ring_used(&pipe->ring);
    *info = (struct kpio_pipe_info){.mode = pipe->mode, .capacity = pipe->ring.size, .readable = used,
                                    .room = pipe->ring.size - used, .id = pipe->id,
                                    .peer = end->writer ? pipe->reader.named : pipe->writer.named};
    // A reader at work has not moved the head yet: what it reads is still there to be described.
    if (pipe->mode != PIPE_STREAM && used != 0) info->next = pipe_ring_get_length(&pipe->ring);
    spin_unlock(&pipe->lock);
}

void pipe_limit(struct pipe_end *end, uint32_t parcels) {
    struct pipe *pipe = end->pipe;
    spin_lock(&pipe->lock);
    pipe->parcel_limit = parcels;
    pipe_wake_locked(&pipe->writer, NULL, false, 0);
    struct pipe_end *writer = pipe->writer.end;
    spin_unlock(&pipe->lock);
    pipe_signal_ends(writer);
}

// The lock is held. Everything keeps its position; at most PIPE_SIZE_MAX bytes.
static int64_t replace_ring(struct pipe *pipe, uint8_t **bytes, uint32_t *size) {
    struct pipe_ring *old = &pipe->ring, ring = {.bytes = *bytes, .size = *size, .head = old->head, .tail = old->tail};
    if (pipe->reader.copying || pipe->writer.copying) return -EAGAIN;
    if (pipe_ring_used(old) > ring.size) return -EBUSY;
    for (uint32_t at = ring.head; at != ring.tail;) {
        uint8_t *from, *to;
        uint32_t n = pipe_ring_piece(old, at, ring.tail - at, &from);
        n = pipe_ring_piece(&ring, at, n, &to);
        memcpy(to, from, n);
        at += n;
    }
    *bytes = old->bytes;
    *size = old->size;
    *old = ring;
    return ring.size;
}

int64_t pipe_resize(struct pipe_end *end, uint64_t size) {
    struct pipe *pipe = end->pipe;
    if (size == 0 || size > PIPE_SIZE_MAX) return -EINVAL;
    uint32_t other = round_size(size);
    int64_t result = job_charge(pipe->job, JOB_KERNEL_BYTES, other);
    if (result != 0) return result;
    uint8_t *bytes = kmalloc(other);
    if (bytes != NULL) {
        spin_lock(&pipe->lock);
        result = replace_ring(pipe, &bytes, &other);
        bool grew = result > (int64_t)other;
        if (grew) pipe_wake_locked(&pipe->writer, NULL, false, 0);
        struct pipe_end *writer = pipe->writer.end;
        spin_unlock(&pipe->lock);
        if (grew) pipe_signal_ends(writer);
        kfree(bytes);
    }
    job_uncharge(pipe->job, JOB_KERNEL_BYTES, other);
    return bytes != NULL ? result : -ENOMEM;
}

void pipe_init(void) {
    slub_cache_init(&pipe_cache, "pipe", sizeof(struct pipe), 0);
    slub_cache_init(&end_cache, "pipe end", sizeof(struct pipe_end), 0);
}
