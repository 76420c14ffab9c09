// Reading and writing pipes.
#include "kernel/ipc/pipe.h"

#include "abi/gen/errors.h"
#include "kernel/ipc/pipe_parcel.h"
#include "kernel/ipc/pipe_wait.h"
#include "kernel/mm/usercopy.h"

void pipe_unlink_waiter(struct thread *t) { list_remove(&t->wait.node); }

void pipe_wake_locked(struct pipe_side *side, const struct handle *via, bool all, int64_t result) {
    list_for_each_entry_safe(t, &side->waiters, struct thread, wait.node) {
        if (via != NULL && t->wait.via != via) continue;
        list_remove(&t->wait.node);
        wait_wake_locked(t, result);
        if (!all) return;
    }
}

// pipe->lock is held and released. Waits on the end's side, in front of the others if it is this thread's; 0: look again.
static int64_t wait_on_side(struct pipe_end *end, kpio_handle value, bool mine, bool nowait, nanos_t deadline) {
    struct pipe *pipe = end->pipe;
    struct pipe_side *side = end->writer ? &pipe->writer : &pipe->reader;
    struct handle *via;
    // Looked up again, as a quiescent point may have passed; under the lock, so that whoever ends the handle after this
    // finds the wait.
    int error = nowait ? -EAGAIN : handle_get_full(value, KPIO_KIND_PIPE, 0, &via);
    if (error == 0 && via->object != &end->object) error = -EBADF;
    if (error != 0) {
        spin_unlock(&pipe->lock);
        return error;
    }
    if (mine) list_push_front(&side->waiters, &current_thread()->wait.node);
    else list_push_back(&side->waiters, &current_thread()->wait.node);
    wait_prepare(&pipe->lock, pipe_unlink_waiter, via, pipe);
    spin_unlock(&pipe->lock);
    return wait_block(deadline);
}

// The side is free again; what changed lets the other side go on.
static void finish(struct pipe *pipe, struct pipe_side *side, struct pipe_side *other) {
    spin_lock(&pipe->lock);
    side->held &= (uint8_t)~PIPE_BUSY;
    side->copying = false;
    pipe_wake_locked(side, NULL, false, 0);
    pipe_wake_locked(other, NULL, false, 0);
    struct pipe_end *peer = other->end;
    spin_unlock(&pipe->lock);
    pipe_signal_ends(peer);
}

// The side is ours. Copies n bytes between the ring, from a position on, and the caller's pieces behind `skip` bytes.
static int copy(struct pipe_ring *ring, uint32_t at, const struct pipe_buffer *b, uint64_t skip, uint32_t n, bool out) {
    for (const struct kpio_io_vector *part = b->parts; n > 0;) {
        if (skip >= part->size) {
            skip -= part++->size;
            continue;
        }
        uint8_t *bytes;
        uint32_t piece = pipe_ring_piece(ring, at, (uint32_t)MIN((uint64_t)n, part->size - skip), &bytes);
        struct user_ptr user = user_ptr(part->address + skip);
        int error = out ? copy_to_user(user, bytes, piece) : copy_from_user(bytes, user, piece);
        if (error != 0) return error;
        skip += piece;
        at += piece;
        n -= piece;
    }
    return 0;
}

// ---- reading -----------------------------------------------------------------------------------------------------------

// *parcel gets the handles that came with what was taken, or NULL.
static int64_t take(struct pipe *pipe, const struct pipe_buffer *b, bool peek, struct pipe_parcel **parcel) {
    struct pipe_ring *ring = &pipe->ring;
    bool stream = pipe->mode == PIPE_STREAM;
    uint32_t header = stream ? 0 : PIPE_RECORD_HEADER;
    // Bytes of a stream are not read beyond the place where other handles came.
    uint32_t record = stream ? MIN(pipe_ring_used(ring), pipe_parcel_distance(pipe, ring->head))
                             : pipe_ring_get_length(ring);
    uint32_t n = b->size < record ? (uint32_t)b->size : record;
    int error = copy(ring, ring->head + header, b, 0, n, true);
    if (error != 0) return error;
    if (!stream) current_thread()->block->message_bytes = record;
    if (peek) return n;
    // A message goes as a whole, also if the buffer was too small for it.
    uint32_t whole = stream ? n : header + record;
    *parcel = whole != 0 ? pipe_parcel_take(pipe, ring->head) : NULL;
    pipe_ring_consume(ring, whole);
    return n;
}

static void deliver(struct pipe_delivery *d, struct pipe_parcel *parcel) {
    d->handle_count = parcel != NULL ? pipe_parcel_handles(parcel) : 0;
    for (uint32_t i = 0; i < d->handle_count && i < d->handle_room; i++) {
        d->handles[i] = pipe_parcel_arrive(parcel, i);
        if (i % 32 == 31) (void)sched_preempt_point();
    }
}

int64_t pipe_read(struct pipe_end *end, kpio_handle value, const struct pipe_buffer *b, uint32_t options, nanos_t deadline,
                  struct pipe_delivery *d) {
    struct pipe *pipe = end->pipe;
    struct pipe_side *side = &pipe->reader;
    struct pipe_parcel *parcel = NULL;
    bool nowait = options & KPIO_PIPE_NOWAIT || object_nonblock(&end->object);
    if (end->writer) return -EBADF;
    spin_lock(&pipe->lock);
    while (side->held & PIPE_BUSY || pipe_ring_used(&pipe->ring) == 0) {
        if (!(side->held & PIPE_BUSY) && !((pipe->writer.open || pipe->mode == PIPE_MAILBOX) && side->open)) {
            pipe_wake_locked(side, NULL, false, 0);
            spin_unlock(&pipe->lock);
            if (d != NULL) d->handle_count = d->note_size = 0;
            return 0;
        }
        int64_t error = wait_on_side(end, value, false, nowait, deadline);
        if (error != 0) return error;
        spin_lock(&pipe->lock);
    }
    side->held |= PIPE_BUSY;
    side->copying = true;
    spin_unlock(&pipe->lock);
    if (d != NULL) d->note_size = pipe_parcel_note(pipe, pipe->ring.head, d->note, d->note_room);
    int64_t result = take(pipe, b, options & KPIO_PIPE_PEEK, &parcel);
    const bool show = d != NULL && result >= 0 && options & KPIO_PIPE_COPY_HANDLES;
    if (show) d->handle_count = pipe_parcel_show(pipe, pipe->ring.head, d->handles, d->handle_room);
    finish(pipe, side, &pipe->writer);
    if (d != NULL && result >= 0 && !show) deliver(d, parcel);
    if (parcel != NULL) pipe_parcel_done(pipe, parcel);
    return result;
}

// ---- writing -----------------------------------------------------------------------------------------------------------

// The writing side is ours and there is room for a message, or for some bytes. Returns how many bytes it took; *parcel, if
// there is one, is the pipe's then.
static int64_t put(struct pipe *pipe, const struct pipe_buffer *b, uint64_t skip, struct pipe_parcel **parcel) {
    struct pipe_ring *ring = &pipe->ring;
    uint32_t header = pipe->mode == PIPE_STREAM ? 0 : PIPE_RECORD_HEADER, room = pipe_ring_room(ring);
    uint32_t n = (uint32_t)MIN(b->size - skip, (uint64_t)(room - header));
    int error = copy(ring, ring->tail + header, b, skip, n, false);
    if (error != 0) return error;
    if (header != 0) pipe_ring_put_length(ring, n);
    if (*parcel != NULL) pipe_parcel_send(*parcel, ring->tail);
    *parcel = NULL;
    pipe_ring_publish(ring, header + n);
    return n;
}

// What a write asks for, and how far it has come.
struct writing {
    struct pipe *pipe;
    struct pipe_end *end;
    kpio_handle value;
    bool nowait;
    nanos_t deadline;
    struct pipe_parcel *parcel;  // still to be sent
    bool mine;                   // the side
};

// pipe->lock is held. Whether there is room for `size` bytes, or for some.
static bool has_room(const struct writing *w, uint64_t size) {
    const struct pipe *pipe = w->pipe;
    uint32_t needed = w->nowait && size <= PIPE_ATOMIC ? (uint32_t)size : 1;
    if (pipe->mode != PIPE_STREAM) needed = (uint32_t)size + PIPE_RECORD_HEADER;
    if (w->parcel != NULL && pipe->parcel_count >= pipe->parcel_limit) return false;
    if (w->parcel != NULL && pipe->parcel_count > 0 &&
        pipe->parcel_handles + pipe_parcel_handles(w->parcel) > PIPE_HANDLES_MAX) return false;
    return pipe_ring_room(&pipe->ring) >= needed;
}

// pipe->lock is held; released on an error. Waits until the side is free for this thread and there is room.
static int64_t wait_for_room(struct writing *w, uint64_t size) {
    struct pipe *pipe = w->pipe;
    struct pipe_side *side = &pipe->writer;
    for (;;) {
        if (!pipe->reader.open || !side->open) {
            pipe_wake_locked(side, NULL, false, 0);
            spin_unlock(&pipe->lock);
            return -EPIPE;
        }
        if ((w->mine || !(side->held & PIPE_BUSY)) && has_room(w, size)) return 0;
        if (pipe->mode != PIPE_STREAM && size > pipe->ring.size - PIPE_RECORD_HEADER) {  // it was made smaller
            pipe_wake_locked(side, NULL, false, 0);
            spin_unlock(&pipe->lock);
            return -EMSGSIZE;
        }
        int64_t error = wait_on_side(w->end, w->value, w->mine, w->nowait, w->deadline);
        if (error != 0) return error;
        spin_lock(&pipe->lock);
    }
}

static int64_t write_all(struct writing *w, const struct pipe_buffer *b) {
    struct pipe *pipe = w->pipe;
    uint64_t done = 0, size = b->size;
    int64_t result = 0;
    do {
        spin_lock(&pipe->lock);
        result = wait_for_room(w, size - done);
        if (result != 0) break;
        pipe->writer.held |= PIPE_BUSY;
        pipe->writer.copying = w->mine = true;
        spin_unlock(&pipe->lock);
        result = put(pipe, b, done, &w->parcel);
        if (result < 0) break;
        done += (uint64_t)result;
        if (done < size) {  // the reader makes room
            spin_lock(&pipe->lock);
            pipe->writer.copying = false;
            pipe_wake_locked(&pipe->reader, NULL, false, 0);
            struct pipe_end *peer = pipe->reader.end;
            spin_unlock(&pipe->lock);
            pipe_signal_ends(peer);
        }
    } while (done < size);
    if (w->mine) finish(pipe, &pipe->writer, &pipe->reader);
    return done > 0 || result >= 0 ? (int64_t)done : result;
}

int64_t pipe_write(struct pipe_end *end, kpio_handle value, const struct pipe_buffer *b, uint32_t options, nanos_t deadline,
                   const struct pipe_cargo *cargo) {
    struct pipe *pipe = end->pipe;
    uint64_t size = b->size;
    bool nowait = options & KPIO_PIPE_NOWAIT || object_nonblock(&end->object);
    struct writing w = {.pipe = pipe, .end = end, .value = value, .nowait = nowait, .deadline = deadline};
    if (!end->writer) return -EBADF;
    if (pipe->mode != PIPE_STREAM && size > pipe->ring.size - PIPE_RECORD_HEADER) return -EMSGSIZE;
    if (pipe->mode == PIPE_STREAM && size == 0) return cargo->handle_count != 0 ? -EINVAL : 0;
    if (pipe->demands && cargo->note_size == 0) return -ENODATA;
    if (cargo->handle_count + cargo->note_size != 0) {
        int error = pipe_parcel_make(pipe, cargo, &w.parcel);
        if (error != 0) return error;
    }
    int64_t result = write_all(&w, b);
    if (w.parcel != NULL) pipe_parcel_free(w.parcel);
    return result;
}

// ---- shared pipes --------------------------------------------------------------------------------------------------------------

int64_t pipe_await(struct pipe_end *end, kpio_handle value, uint32_t opens, nanos_t deadline) {
    struct pipe *pipe = end->pipe;
    const struct pipe_side *other = end->writer ? &pipe->reader : &pipe->writer;
    for (;;) {
        spin_lock(&pipe->lock);
        if (other->named || other->opens != opens) {
            spin_unlock(&pipe->lock);
            return 0;
        }
        int64_t error = wait_on_side(end, value, false, deadline == 0, deadline);
        if (error != 0) return error;
    }
}
