#include "drivers/console/hostrun/streams.h"

#include "lib/string.h"
#include "lib/util.h"
#include "user/libkpio/kpio.h"

#define HEADER_BYTES 8u
#define DATA_BYTES (PORT_SEND_BYTES - HEADER_BYTES)
#define SIGNAL_KILL 9  // of Linux, in a wait status
#define SIGNAL_SEGV 11

// ---- to the host ------------------------------------------------------------------------------------------------------------------

static int send_frame(struct streams *s, uint8_t *piece, uint32_t kind, uint32_t size) {
    const uint32_t header[2] = {kind, size};
    memcpy(piece, header, sizeof header);
    return port_send(&s->port, piece, HEADER_BYTES + size);
}

// Sends what a pipe has now: bytes, 0 at its end, -EAGAIN where it has none or the port has no room.
static int64_t forward(struct streams *s, kpio_handle pipe, uint32_t kind) {
    uint8_t *piece = port_room(&s->port);
    if (piece == NULL) return -EAGAIN;
    int64_t got = kpio_pipe_read(pipe, piece + HEADER_BYTES, DATA_BYTES, KPIO_PIPE_NOWAIT, 0);
    if (got <= 0) return got;
    int error = send_frame(s, piece, kind, (uint32_t)got);
    return error != 0 ? error : got;
}

static int wait_for_room(struct streams *s) {
    int error = 0;
    while (error == 0 && port_room(&s->port) == NULL) error = port_wait(&s->port, KPIO_TIME_NEVER);
    return error;
}

static int drain(struct streams *s, kpio_handle pipe, uint32_t kind) {
    for (;;) {
        int error = wait_for_room(s);
        if (error != 0) return error;
        int64_t got = forward(s, pipe, kind);
        if (got == 0 || got == -EAGAIN) return 0;
        if (got < 0 && got != -EINTR) return (int)got;
    }
}

int streams_tell(struct streams *s, uint32_t kind, const void *bytes, uint32_t size) {
    int error = wait_for_room(s);
    if (error != 0) return error;
    uint8_t *piece = port_room(&s->port);
    if (piece == NULL) return -EIO;
    memcpy(piece + HEADER_BYTES, bytes, size);
    error = send_frame(s, piece, kind, size);
    if (error == 0) error = port_flush(&s->port);
    return error;
}

// ---- from the host ----------------------------------------------------------------------------------------------------------------

static void end_input(struct streams *s) {
    s->input_ended = true;
    (void)kpio_handle_close((uint64_t)s->input);
}

// Takes one byte of a frame's header.
static void take_header(struct streams *s, uint8_t byte) {
    s->header |= (uint32_t)byte << 8 * s->header_bytes++;
    if (s->header_bytes < sizeof s->header) return;
    s->left = s->header;
    s->header = s->header_bytes = 0;
    if (s->left == 0) end_input(s);
}

// Gives the program what has come of its input, as far as it takes it now. Of a program that reads no more the rest is dropped.
static int feed(struct streams *s) {
    const uint8_t *piece;
    uint32_t bytes;
    while ((piece = port_received(&s->port, &bytes)) != NULL) {
        while (s->used < bytes) {
            if (s->left == 0 && !s->input_ended) {
                take_header(s, piece[s->used++]);
                continue;
            }
            uint32_t size = s->input_ended ? bytes - s->used : MIN(s->left, bytes - s->used);
            int64_t put = s->input_ended ? size : kpio_pipe_write(s->input, piece + s->used, size, KPIO_PIPE_NOWAIT, 0);
            if (put == -EAGAIN || put == -EINTR) return 0;
            if (put < 0) {
                end_input(s);
                continue;
            }
            s->used += (uint32_t)put;
            s->left -= MIN(s->left, (uint32_t)put);
        }
        s->used = 0;
        int error = port_release(&s->port);
        if (error != 0) return error;
    }
    return 0;
}

// ---- both -------------------------------------------------------------------------------------------------------------------------

struct waiting {
    struct kpio_wait_item items[5];
    uint64_t count;
};

static uint64_t want(struct waiting *w, kpio_handle handle, uint32_t signals) {
    w->items[w->count] = (struct kpio_wait_item){.handle = handle, .signals = signals};
    return w->count++;
}

// The wait status of a process that ended so. One that the system ended says nothing itself: that is said for it.
static int64_t wait_status(struct streams *s, int64_t status) {
    if (status >= 0) return (int64_t)((uint64_t)status & 0xffff);
    bool is_memory = status == KPIO_STATUS_FAULT - KPIO_EXC_NO_MEMORY;
    const char *text = is_memory ? "kpio: the program was ended: there is no memory for a page that it used\n"
                                 : "kpio: the program was ended by the system; -v shows why\n";
    int error = streams_tell(s, FRAME_ERROR, text, (uint32_t)strlen(text));
    if (error != 0) return error;
    return is_memory || status > KPIO_STATUS_FAULT ? SIGNAL_KILL : SIGNAL_SEGV;
}

int64_t streams_follow(struct streams *s, kpio_handle process) {
    const uint32_t readable = KPIO_SIGNAL_READABLE | KPIO_SIGNAL_PEER_GONE;
    bool open[2] = {true, s->error != KPIO_HANDLE_NONE};
    int64_t status;
    for (;;) {
        struct waiting w = {.count = 0};
        uint32_t bytes;
        uint64_t ended = want(&w, process, KPIO_SIGNAL_TERMINATED), device = want(&w, port_irq(&s->port), KPIO_SIGNAL_FIRED);
        bool room = port_room(&s->port) != NULL;
        if (open[0] && room) (void)want(&w, s->output, readable);
        if (open[1] && room) (void)want(&w, s->error, readable);
        if (!s->input_ended && port_received(&s->port, &bytes) != NULL)
            (void)want(&w, s->input, KPIO_SIGNAL_WRITABLE | KPIO_SIGNAL_PEER_GONE);
        int64_t error = kpio_handle_wait_many(w.items, w.count, KPIO_TIME_NEVER);
        if (error >= 0 && w.items[device].asserted != 0) error = port_take(&s->port);
        if (error >= 0) error = feed(s);
        if (error < 0 && error != -EINTR) return error;
        if (open[0] && forward(s, s->output, FRAME_OUTPUT) == 0) open[0] = false;
        if (open[1] && forward(s, s->error, FRAME_ERROR) == 0) open[1] = false;
        if (w.items[ended].asserted != 0) break;
    }
    int error = drain(s, s->output, FRAME_OUTPUT);
    if (error == 0 && s->error != KPIO_HANDLE_NONE) error = drain(s, s->error, FRAME_ERROR);
    if (error != 0) return error;
    int64_t result = wait_terminated(process, KPIO_TIME_NEVER, &status);
    return result < 0 ? result : wait_status(s, status);
}
