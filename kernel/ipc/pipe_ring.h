// The bytes of a pipe: a ring that one reader and one writer may use at once. Streams are plain bytes; in the modes that
// keep messages apart each is preceded by its length. Pure; tested on the host. Internal to kernel/ipc.
//
// The writer fills [tail, tail + n) while the reader sees only what is published by moving tail; and the other way round.
// So user memory is copied without a lock: the pipe only makes sure that there is one of each.
#pragma once
#include "kernel/core/types.h"

struct pipe_ring {
    uint8_t *bytes;
    uint32_t size;        // a power of two
    uint32_t head, tail;  // positions ever read and written, modulo 2^32; atomic
};

static inline uint32_t pipe_ring_used(const struct pipe_ring *r) {
    return __atomic_load_n(&r->tail, __ATOMIC_ACQUIRE) - __atomic_load_n(&r->head, __ATOMIC_ACQUIRE);
}
static inline uint32_t pipe_ring_room(const struct pipe_ring *r) { return r->size - pipe_ring_used(r); }

// The piece of the ring at `position` that is contiguous, at most `want` bytes: its length; *bytes gets where it is.
uint32_t pipe_ring_piece(const struct pipe_ring *r, uint32_t position, uint32_t want, uint8_t **bytes);
static inline void pipe_ring_publish(struct pipe_ring *r, uint32_t n) {
    __atomic_store_n(&r->tail, r->tail + n, __ATOMIC_RELEASE);
}
static inline void pipe_ring_consume(struct pipe_ring *r, uint32_t n) {
    __atomic_store_n(&r->head, r->head + n, __ATOMIC_RELEASE);
}

#define PIPE_RECORD_HEADER 4u
// Writes and reads the length that precedes a message.
void pipe_ring_put_length(struct pipe_ring *r, uint32_t length);
uint32_t pipe_ring_get_length(const struct pipe_ring *r);
