// Pipes whose sides come and go (FIFOs): a side that nobody has gets a new end when somebody wants one.
#include "abi/gen/errors.h"
#include "kernel/core/assert.h"
#include "kernel/ipc/pipe_wait.h"

bool pipe_tryhold(struct pipe *pipe) {
    spin_lock(&pipe->lock);
    const bool held = pipe->ends > 0;
    if (held) pipe->ends++;
    spin_unlock(&pipe->lock);
    return held;
}

// pipe->lock is held. An end for one more who has the side open; NULL: there is none, and `fresh` is neither.
static struct pipe_end *attach_locked(struct pipe *pipe, struct pipe_side *side, const struct pipe_side *other, struct pipe_end *fresh) {
    struct pipe_end *end = side->named ? side->end : fresh;
    if (end == NULL) return NULL;
    if (end == fresh) {
        side->end = end;
        side->named = side->open = true;
        end->seen = other->opens;
        pipe->ends++;
    } else object_get(&end->object);
    side->opens++;
    return end;
}

int pipe_attach(struct pipe *pipe, bool writer, bool need_peer, struct pipe_end **out, uint32_t *peer_opens) {
    struct pipe_side *side = writer ? &pipe->writer : &pipe->reader, *other = writer ? &pipe->reader : &pipe->writer;
    struct pipe_end *fresh = NULL, *end = NULL;
    int error = 0;
    while (end == NULL && error == 0) {
        spin_lock(&pipe->lock);
        struct pipe_end *peer = NULL;
        if (need_peer && !other->named) error = -ENXIO;
        else end = attach_locked(pipe, side, other, fresh);
        if (end != NULL) {
            pipe_wake_locked(other, NULL, true, 0);
            peer = other->end;
            *peer_opens = other->opens - other->named;  // one that is there has been met, whether it stays or not
        }
        spin_unlock(&pipe->lock);
        if (peer != NULL) object_signal(&peer->object);
        if (end == NULL && error == 0) error = pipe_end_make(pipe, writer, &fresh);
    }
    if (fresh != NULL && fresh != end) pipe_end_unmake(fresh);
    if (error == 0) *out = end;
    return error;
}

bool pipe_end_serves(struct pipe_end *end) {
    struct pipe *pipe = end->pipe;
    const struct pipe_side *side = end->writer ? &pipe->writer : &pipe->reader;
    spin_lock(&pipe->lock);
    const bool serves = side->named && side->end == end;
    spin_unlock(&pipe->lock);
    return serves;
}
