#include "kernel/ipc/pipe_ring.h"

uint32_t pipe_ring_piece(const struct pipe_ring *r, uint32_t position, uint32_t want, uint8_t **bytes) {
    uint32_t offset = position & (r->size - 1), to_end = r->size - offset;
    *bytes = r->bytes + offset;
    return want < to_end ? want : to_end;
}

void pipe_ring_put_length(struct pipe_ring *r, uint32_t length) {
    for (unsigned i = 0; i < PIPE_RECORD_HEADER; i++)
        r->bytes[(r->tail + i) & (r->size - 1)] = (uint8_t)(length >> 8 * i);
}

uint32_t pipe_ring_get_length(const struct pipe_ring *r) {
    uint32_t length = 0;
    for (unsigned i = 0; i < PIPE_RECORD_HEADER; i++)
        length |= (uint32_t)r->bytes[(r->head + i) & (r->size - 1)] << 8 * i;
    return length;
}
