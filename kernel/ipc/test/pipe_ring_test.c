// links: kernel/ipc/pipe_ring.c
#include "kernel/ipc/pipe_ring.h"
#include "tests/unit/unit.h"

#define SIZE 64u

static uint8_t bytes[SIZE];

static void write_bytes(struct pipe_ring *r, uint8_t first, uint32_t n) {
    for (uint32_t done = 0; done < n;) {
        uint8_t *at;
        uint32_t piece = pipe_ring_piece(r, r->tail + done, n - done, &at);
        CHECK(piece > 0 && at >= bytes && at + piece <= bytes + SIZE);
        for (uint32_t i = 0; i < piece; i++) at[i] = (uint8_t)(first + done + i);
        done += piece;
    }
    pipe_ring_publish(r, n);
}

static void read_bytes(struct pipe_ring *r, uint8_t first, uint32_t n) {
    for (uint32_t done = 0; done < n;) {
        uint8_t *at;
        uint32_t piece = pipe_ring_piece(r, r->head + done, n - done, &at);
        for (uint32_t i = 0; i < piece; i++) CHECK_EQ(at[i], (uint8_t)(first + done + i));
        done += piece;
    }
    pipe_ring_consume(r, n);
}

TEST(ring_keeps_the_bytes_across_every_wrap) {
    // Positions start near their own wrap.
    struct pipe_ring r = {.bytes = bytes, .size = SIZE, .head = 0u - 1000, .tail = 0u - 1000};
    uint8_t in = 0, out = 0;
    for (int step = 0; step < 20000; step++) {
        uint32_t n = (uint32_t)(unit_random() % (SIZE + 1));
        if (unit_random() % 2) {
            if (n > pipe_ring_room(&r)) n = pipe_ring_room(&r);
            write_bytes(&r, in, n);
            in = (uint8_t)(in + n);
        } else {
            if (n > pipe_ring_used(&r)) n = pipe_ring_used(&r);
            read_bytes(&r, out, n);
            out = (uint8_t)(out + n);
        }
        CHECK_EQ(pipe_ring_used(&r) + pipe_ring_room(&r), SIZE);
        CHECK_EQ((uint8_t)(in - out), pipe_ring_used(&r));
    }
}

TEST(ring_length_survives_the_wrap) {
    for (uint32_t at = 0; at < SIZE; at++) {
        struct pipe_ring r = {.bytes = bytes, .size = SIZE, .head = at, .tail = at};
        pipe_ring_put_length(&r, 0x01020304u + at);
        CHECK_EQ(pipe_ring_get_length(&r), 0x01020304u + at);
    }
}
