// The short way through a pipe: a small transfer in one piece, with the side free and no handles on their way, is done under
// the pipe's lock. User memory is copied without serving what would block; whatever else comes up goes the long way (pipe.c).
#include "abi/gen/errors.h"
#include "kernel/core/assert.h"
#include "kernel/ipc/pipe.h"
#include "kernel/ipc/pipe_wait.h"
#include "kernel/mm/usercopy.h"

static inline void wake_first(struct pipe_side *side) {
    struct thread *t = list_pop_front_entry(&side->waiters, struct thread, wait.node);
    if (t != NULL) wait_wake_locked(t, 0);
}

// The lock is held and released. What changed lets the other side go on; what is left is the next one's of this side.
static inline void done(struct pipe *pipe, struct pipe_side *side, struct pipe_side *other, bool left) {
    wake_first(other);
    if (left) wake_first(side);
    struct pipe_end *peer = other->end;
    spin_unlock(&pipe->lock);
    if (likely(peer != NULL)) object_signal(&peer->object);
}

static inline bool in_one_piece(const struct pipe_ring *ring, uint32_t position, uint32_t n) {
    return (position & (ring->size - 1)) + n <= ring->size;
}
static inline uint8_t *bytes_at(const struct pipe_ring *ring, uint32_t position) {
    return ring->bytes + (position & (ring->size - 1));
}

// The lock is held; released unless it says PIPE_SLOWLY.
static inline int64_t wait_for_data(struct pipe *pipe, struct handle *via, uint32_t options, nanos_t deadline) {
    bool waits = pipe->writer.open && pipe->reader.open && !(options & KPIO_PIPE_NOWAIT) && !object_nonblock(via->object);
    if (!waits || via->value == KPIO_HANDLE_NONE) return PIPE_SLOWLY;
    list_push_back(&pipe->reader.waiters, &current_thread()->wait.node);
    wait_prepare(&pipe->lock, pipe_unlink_waiter, via, pipe);
    spin_unlock(&pipe->lock);
    int64_t result = wait_block(deadline);
    return result == 0 ? PIPE_AGAIN : result;
}

// The lock is held. What was read, or PIPE_SLOWLY.
static inline int64_t take(struct pipe *pipe, struct user_ptr buffer, uint32_t size) {
    struct pipe_ring *ring = &pipe->ring;
    bool stream = pipe->mode == PIPE_STREAM;
    uint32_t header = stream ? 0 : PIPE_RECORD_HEADER;
    uint32_t record = stream ? pipe_ring_used(ring) : pipe_ring_get_length(ring);
    uint32_t n = MIN(size, record), position = ring->head + header;
    if (unlikely(!in_one_piece(ring, position, n) || copy_to_user_nowait(buffer, bytes_at(ring, position), n) != 0))
        return PIPE_SLOWLY;
    if (!stream) current_thread()->block->message_bytes = record;
    pipe_ring_consume(ring, stream ? n : header + record);
    return n;
}

int64_t pipe_read_quick(struct handle *via, struct user_ptr buffer, uint64_t size, uint32_t options, nanos_t deadline) {
    struct pipe_end *end = pipe_end_of(via->object);
    struct pipe *pipe = end->pipe;
    int64_t result = PIPE_SLOWLY;
    assert(!end->writer);
    if (unlikely(size > PIPE_ATOMIC || options & ~(uint32_t)KPIO_PIPE_NOWAIT)) return PIPE_SLOWLY;
    spin_lock(&pipe->lock);
    if (likely(!pipe->reader.held && list_is_empty(&pipe->parcels))) {
        if (pipe_ring_used(&pipe->ring) == 0) {
            result = wait_for_data(pipe, via, options, deadline);
            if (result != PIPE_SLOWLY) return result;
        } else {
            result = take(pipe, buffer, (uint32_t)size);
        }
    }
    if (unlikely(result == PIPE_SLOWLY)) {
        spin_unlock(&pipe->lock);
        return result;
    }
    done(pipe, &pipe->reader, &pipe->writer, pipe_ring_used(&pipe->ring) != 0);
    return result;
}

// The lock is held. What was written, or PIPE_SLOWLY.
static inline int64_t put(struct pipe *pipe, struct user_ptr buffer, uint32_t size) {
    struct pipe_ring *ring = &pipe->ring;
    uint32_t header = pipe->mode == PIPE_STREAM ? 0 : PIPE_RECORD_HEADER, position = ring->tail + header;
    if (unlikely(pipe_ring_room(ring) < size + header || !in_one_piece(ring, position, size))) return PIPE_SLOWLY;
    if (unlikely(copy_from_user_nowait(bytes_at(ring, position), buffer, size) != 0)) return PIPE_SLOWLY;
    if (header != 0) pipe_ring_put_length(ring, size);
    pipe_ring_publish(ring, header + size);
    return size;
}

int64_t pipe_write_quick(struct handle *via, struct user_ptr buffer, uint64_t size, uint32_t options) {
    struct pipe_end *end = pipe_end_of(via->object);
    struct pipe *pipe = end->pipe;
    int64_t result = PIPE_SLOWLY;
    assert(end->writer);
    if (unlikely(size - 1 >= PIPE_ATOMIC || options & ~(uint32_t)KPIO_PIPE_NOWAIT)) return PIPE_SLOWLY;
    spin_lock(&pipe->lock);
    if (likely(!(pipe->writer.held | pipe->demands) && pipe->reader.open && pipe->writer.open)) result = put(pipe, buffer, (uint32_t)size);
    if (unlikely(result == PIPE_SLOWLY)) {
        spin_unlock(&pipe->lock);
        return result;
    }
    done(pipe, &pipe->writer, &pipe->reader, pipe_ring_room(&pipe->ring) != 0);
    return result;
}
