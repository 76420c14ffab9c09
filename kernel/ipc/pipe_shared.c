// Pipes whose sides come and go (FIFOs), and ends for those who open a side once more.
#include "abi/gen/errors.h"
#include "kernel/core/assert.h"
#include "kernel/ipc/advisory.h"
#include "kernel/ipc/pipe_wait.h"

bool pipe_tryhold(struct pipe *pipe) {
    spin_lock(&pipe->lock);
    const bool held = pipe->ends > 0;
    if (held) pipe->ends++;
    spin_unlock(&pipe->lock);
    return held;
}

void pipe_count_ends_locked(struct pipe *pipe) {
    const struct pipe_end *reader = pipe->reader.end, *writer = pipe->writer.end;
    const bool many = (reader != NULL && reader->next != NULL) || (writer != NULL && writer->next != NULL);
    pipe->reader.held = (uint8_t)((pipe->reader.held & PIPE_BUSY) | (many ? PIPE_MANY : 0));
    pipe->writer.held = (uint8_t)((pipe->writer.held & PIPE_BUSY) | (many ? PIPE_MANY : 0));
}

// pipe->lock is held. A side that was shut stays so; one that nobody had is open.
static void attach_locked(struct pipe_side *side, const struct pipe_side *other, struct pipe_end *fresh) {
    fresh->next = side->named ? side->end : NULL;
    fresh->seen = other->opens;
    fresh->pipe->ends++;
    if (!side->named) side->named = side->open = true;
    side->opens++;
    side->end = fresh;
    pipe_count_ends_locked(fresh->pipe);
}

int pipe_attach(struct pipe *pipe, bool writer, bool need_peer, struct pipe_end **out, uint32_t *peer_opens) {
    struct pipe_side *side = writer ? &pipe->writer : &pipe->reader, *other = writer ? &pipe->reader : &pipe->writer;
    struct pipe_end *fresh, *peer = NULL;
    int error = pipe_end_make(pipe, writer, &fresh);
    if (error != 0) return error;
    spin_lock(&pipe->lock);
    if (need_peer && !other->named) error = -ENXIO;
    else {
        attach_locked(side, other, fresh);
        pipe_wake_locked(other, NULL, true, 0);
        peer = other->end;
        *peer_opens = other->opens - other->named;  // one that is there has been met, whether it stays or not
    }
    spin_unlock(&pipe->lock);
    pipe_signal_ends(peer);
    if (error != 0) pipe_end_unmake(fresh);
    else *out = fresh;
    return error;
}

int pipe_attach_again(struct pipe_end *end, bool need_peer, struct pipe_end **out, uint32_t *peer_opens) {
    const int error = pipe_attach(end->pipe, end->writer, need_peer, out, peer_opens);
    if (error != 0) return error;
    struct pipe_end *made = *out;
    made->family = object_family(&end->object);
    made->object.tree = end->object.tree;
    object_get(made->family);
    return 0;
}

int pipe_lock(struct pipe_end *end, kpio_handle value, struct kpio_file_lock *lock, nanos_t deadline) {
    struct advisory_record wanted;
    const int error = advisory_decode(&end->object, lock, &wanted);
    if (error != 0) return error;
    struct advisory_locks *l = advisory_make(&end->pipe->locks);
    return l == NULL ? -ENOMEM : advisory_lock(l, &end->object, &wanted, value, lock, deadline);
}
