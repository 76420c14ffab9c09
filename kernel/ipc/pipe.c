// Reading and writing pipes.
#include "kernel/ipc/pipe.h"

#include "abi/gen/errors.h"
#include "kernel/ipc/pipe_wait.h"
#include "kernel/mm/usercopy.h"

static void unlink_waiter(struct thread *t) { list_remove(&t->wait.node); }

void pipe_wake_locked(struct pipe_side *side, const struct handle *via, bool all, int64_t result) {
    list_for_each_entry_safe(t, &side->waiters, struct thread, wait.node) {
        if (via != NULL && t->wait.via != via) continue;
        list_remove(&t->wait.node);
        wait_wake_locked(t, result);
        if (!all) return;
    }
}

// pipe->lock is held and released. Waits on a side, in front of the others if it is this thread's; 0: look again.
static int64_t wait_on_side(struct pipe *pipe, struct pipe_side *side, kpio_handle value, bool mine, bool nowait,
                            nanos_t deadline) {
    struct handle *via;
    // Looked up again, as a quiescent point may have passed; under the lock, so that whoever ends the handle after this
    // finds the wait.
    int error = nowait ? -EAGAIN : handle_get_full(value, KPIO_KIND_PIPE, 0, &via);
    if (error == 0 && via->object != &side->end->object) error = -EBADF;
    if (error != 0) {
        spin_unlock(&pipe->lock);
        return error;
    }
    if (mine) list_push_front(&side->waiters, &current_thread()->wait.node);
    else list_push_back(&side->waiters, &current_thread()->wait.node);
    wait_prepare(&pipe->lock, unlink_waiter, via, pipe);
    spin_unlock(&pipe->lock);
    return wait_block(deadline);
}

// The side is free again; what changed lets the other side go on.
static void finish(struct pipe *pipe, struct pipe_side *side, struct pipe_side *other) {
    spin_lock(&pipe->lock);
    side->busy = false;
    pipe_wake_locked(side, NULL, false, 0);
    pipe_wake_locked(other, NULL, false, 0);
    struct pipe_end *peer = other->end;
    spin_unlock(&pipe->lock);
    if (peer != NULL) object_signal(&peer->object);
}

// ---- reading -----------------------------------------------------------------------------------------------------------

// The reading side is ours. Copies n bytes from the head on.
static int copy_out(struct pipe_ring *ring, uint32_t from, struct user_ptr buffer, uint32_t n) {
    for (uint32_t done = 0; done < n;) {
        uint8_t *bytes;
        uint32_t piece = pipe_ring_piece(ring, from + done, n - done, &bytes);
        int error = copy_to_user(user_add(buffer, done), bytes, piece);
        if (error != 0) return error;
        done += piece;
    }
    return 0;
}

static int64_t take(struct pipe *pipe, struct user_ptr buffer, uint64_t size) {
    struct pipe_ring *ring = &pipe->ring;
    uint32_t used = pipe_ring_used(ring), header = 0, record = used;
    if (pipe->mode != PIPE_STREAM) {
        header = PIPE_RECORD_HEADER;
        record = pipe_ring_get_length(ring);
    }
    uint32_t n = size < record ? (uint32_t)size : record;
    int error = copy_out(ring, ring->head + header, buffer, n);
    if (error != 0) return error;
    // A message goes as a whole, also if the buffer was too small for it.
    pipe_ring_consume(ring, pipe->mode == PIPE_STREAM ? n : header + record);
    return n;
}

int64_t pipe_read(struct pipe_end *end, kpio_handle value, struct user_ptr buffer, uint64_t size, bool nowait,
                  nanos_t deadline) {
    struct pipe *pipe = end->pipe;
    struct pipe_side *side = &pipe->reader;
    if (end->writer) return -EBADF;
    spin_lock(&pipe->lock);
    while (side->busy || pipe_ring_used(&pipe->ring) == 0) {
        if (!side->busy && !pipe->writer.open) {
            pipe_wake_locked(side, NULL, false, 0);
            spin_unlock(&pipe->lock);
            return 0;
        }
        int64_t error = wait_on_side(pipe, side, value, false, nowait, deadline);
        if (error != 0) return error;
        spin_lock(&pipe->lock);
    }
    side->busy = true;
    spin_unlock(&pipe->lock);
    int64_t result = take(pipe, buffer, size);
    finish(pipe, side, &pipe->writer);
    return result;
}

// ---- writing -----------------------------------------------------------------------------------------------------------

static int copy_in(struct pipe_ring *ring, uint32_t to, struct user_ptr buffer, uint32_t n) {
    for (uint32_t done = 0; done < n;) {
        uint8_t *bytes;
        uint32_t piece = pipe_ring_piece(ring, to + done, n - done, &bytes);
        int error = copy_from_user(bytes, user_add(buffer, done), piece);
        if (error != 0) return error;
        done += piece;
    }
    return 0;
}

// The writing side is ours and there is room for a message, or for some bytes. Returns how many bytes it took.
static int64_t put(struct pipe *pipe, struct user_ptr buffer, uint64_t size) {
    struct pipe_ring *ring = &pipe->ring;
    uint32_t header = pipe->mode == PIPE_STREAM ? 0 : PIPE_RECORD_HEADER, room = pipe_ring_room(ring);
    uint32_t n = size < room - header ? (uint32_t)size : room - header;
    int error = copy_in(ring, ring->tail + header, buffer, n);
    if (error != 0) return error;
    if (header != 0) pipe_ring_put_length(ring, n);
    pipe_ring_publish(ring, header + n);
    return n;
}

// How much room must be there before anything is written.
static uint32_t room_needed(const struct pipe *pipe, uint64_t size, bool nowait) {
    if (pipe->mode != PIPE_STREAM) return (uint32_t)size + PIPE_RECORD_HEADER;
    return nowait && size <= PIPE_ATOMIC ? (uint32_t)size : 1;
}

// pipe->lock is held; released on an error. Waits until the side is free for this thread (`mine`: it has it) and there
// is room.
static int64_t wait_for_room(struct pipe *pipe, kpio_handle value, uint32_t needed, bool mine, bool nowait,
                             nanos_t deadline) {
    struct pipe_side *side = &pipe->writer;
    for (;;) {
        if (!pipe->reader.open) {
            pipe_wake_locked(side, NULL, false, 0);
            spin_unlock(&pipe->lock);
            return -EPIPE;
        }
        if ((mine || !side->busy) && pipe_ring_room(&pipe->ring) >= needed) return 0;
        int64_t error = wait_on_side(pipe, side, value, mine, nowait, deadline);
        if (error != 0) return error;
        spin_lock(&pipe->lock);
    }
}

int64_t pipe_write(struct pipe_end *end, kpio_handle value, struct user_ptr buffer, uint64_t size, bool nowait,
                   nanos_t deadline) {
    struct pipe *pipe = end->pipe;
    if (!end->writer) return -EBADF;
    if (pipe->mode != PIPE_STREAM && size > pipe->ring.size - PIPE_RECORD_HEADER) return -EMSGSIZE;
    if (pipe->mode == PIPE_STREAM && size == 0) return 0;
    uint64_t done = 0;
    bool mine = false;
    int64_t result = 0;
    do {
        spin_lock(&pipe->lock);
        result = wait_for_room(pipe, value, room_needed(pipe, size - done, nowait), mine, nowait, deadline);
        if (result != 0) break;
        pipe->writer.busy = mine = true;
        spin_unlock(&pipe->lock);
        result = put(pipe, user_add(buffer, done), size - done);
        if (result < 0) break;
        done += (uint64_t)result;
        if (done < size) {  // the reader makes room
            spin_lock(&pipe->lock);
            pipe_wake_locked(&pipe->reader, NULL, false, 0);
            struct pipe_end *peer = pipe->reader.end;
            spin_unlock(&pipe->lock);
            if (peer != NULL) object_signal(&peer->object);
        }
    } while (done < size);
    if (mine) finish(pipe, &pipe->writer, &pipe->reader);
    return done > 0 || result >= 0 ? (int64_t)done : result;
}
