// What a program writes, on its way to the screen.
#include "abi/gen/errors.h"
#include "lib/util.h"
#include "user/posixd/tty.h"

static uint32_t room(const struct tty *tty) { return TTY_OUTPUT - (tty->out_tail - tty->out_head); }

// Bytes for the screen, collected before they go to the console.
struct emission {
    uint32_t count;
    uint8_t bytes[256];
};

static void flush(struct tty *tty, struct emission *e) {
    if (e->count > 0) tty_emit(e->bytes, e->count);
    e->count = 0;
}

static void put(struct tty *tty, struct emission *e, uint8_t byte) {
    if (tty->kind == TTY_PTY) {
        tty->output[tty->out_tail++ % TTY_OUTPUT] = byte;
        return;
    }
    if (e->count == sizeof e->bytes) flush(tty, e);
    e->bytes[e->count++] = byte;
}

// The most bytes that one becomes: a tab.
#define EXPANSION 8u

static void put_tab(struct tty *tty, struct emission *e) {
    uint32_t blanks = 8 - tty->column % 8;
    tty->column += blanks;
    if ((tty->t.oflag & O_TABS) != O_TABS) put(tty, e, '\t');
    else
        while (blanks-- > 0) put(tty, e, ' ');
}

static void put_newline(struct tty *tty, struct emission *e) {
    if (tty->t.oflag & O_ONLRET) tty->column = 0;
    if (tty->t.oflag & O_ONLCR) {
        put(tty, e, '\r');
        tty->column = 0;
    }
    put(tty, e, '\n');
}

static void put_return(struct tty *tty, struct emission *e) {
    if (tty->t.oflag & O_ONOCR && tty->column == 0) return;
    if (tty->t.oflag & O_OCRNL) {
        put(tty, e, '\n');
        if (tty->t.oflag & O_ONLRET) tty->column = 0;
        return;
    }
    put(tty, e, '\r');
    tty->column = 0;
}

static void process(struct tty *tty, struct emission *e, uint8_t byte) {
    if (!(tty->t.oflag & O_OPOST)) {
        put(tty, e, byte);
        return;
    }
    switch (byte) {
    case '\n': put_newline(tty, e); return;
    case '\r': put_return(tty, e); return;
    case '\t': put_tab(tty, e); return;
    case '\b':
        if (tty->column > 0) tty->column--;
        put(tty, e, byte);
        return;
    default:
        if (tty->t.oflag & O_OLCUC && byte >= 'a' && byte <= 'z') byte = (uint8_t)(byte - 'a' + 'A');
        if (byte >= 0x20 && byte != 0x7f && !(tty->t.iflag & I_IUTF8 && (byte & 0xc0) == 0x80)) tty->column++;
        put(tty, e, byte);
    }
}

bool tty_is_writable(const struct tty *tty) { return !tty->flow_stopped && (tty->kind != TTY_PTY || room(tty) >= EXPANSION); }

uint32_t tty_write(struct tty *tty, const uint8_t *bytes, uint32_t count) {
    struct emission e = {.count = 0};
    uint32_t done = 0;
    while (done < count && tty_is_writable(tty)) process(tty, &e, bytes[done++]);
    flush(tty, &e);
    if (done > 0) tty_changed(tty);
    return done;
}

// What finds no room is lost, as on a wire.
void tty_echo(struct tty *tty, uint8_t byte) {
    struct emission e = {.count = 0};
    if (tty->kind == TTY_PTY && room(tty) < EXPANSION) return;
    process(tty, &e, byte);
    flush(tty, &e);
}

uint32_t tty_fetch(struct tty *tty, uint8_t *to, uint32_t size) {
    uint32_t count = MIN(size, tty->out_tail - tty->out_head);
    for (uint32_t i = 0; i < count; i++) to[i] = tty->output[tty->out_head++ % TTY_OUTPUT];
    if (count > 0) tty_changed(tty);
    return count;
}
