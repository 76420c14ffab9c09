// What a program writes, on its way to the screen.
#include "abi/gen/errors.h"
#include "lib/util.h"
#include "user/posixd/tty.h"

static uint32_t room(const struct tty *tty) {
    return (tty->kind == TTY_PTY ? TTY_PTY_OUTPUT : TTY_OUTPUT) - (tty->out_tail - tty->out_head);
}

static void put(struct tty *tty, uint8_t byte) { *tty_change_byte(&tty->output[tty->out_tail++ % TTY_OUTPUT]) = byte; }

// The most bytes that one becomes: a tab.
#define EXPANSION 8u

static void put_tab(struct tty *tty) {
    uint32_t blanks = 8 - tty->column % 8;
    tty->column += blanks;
    if ((tty->t.oflag & O_TABS) != O_TABS) put(tty, '\t');
    else
        while (blanks-- > 0) put(tty, ' ');
}

static void put_newline(struct tty *tty) {
    if (tty->t.oflag & O_ONLRET) tty->column = 0;
    if (tty->t.oflag & O_ONLCR) {
        put(tty, '\r');
        tty->column = 0;
    }
    put(tty, '\n');
}

static void put_return(struct tty *tty) {
    if (tty->t.oflag & O_ONOCR && tty->column == 0) return;
    if (tty->t.oflag & O_OCRNL) {
        put(tty, '\n');
        if (tty->t.oflag & O_ONLRET) tty->column = 0;
        return;
    }
    put(tty, '\r');
    tty->column = 0;
}

static void process(struct tty *tty, uint8_t byte) {
    if (!(tty->t.oflag & O_OPOST)) {
        put(tty, byte);
        return;
    }
    switch (byte) {
    case '\n': put_newline(tty); return;
    case '\r': put_return(tty); return;
    case '\t': put_tab(tty); return;
    case '\b':
        if (tty->column > 0) tty->column--;
        put(tty, byte);
        return;
    default:
        if (tty->t.oflag & O_OLCUC && byte >= 'a' && byte <= 'z') byte = (uint8_t)(byte - 'a' + 'A');
        if (byte >= 0x20 && byte != 0x7f && !(tty->t.iflag & I_IUTF8 && (byte & 0xc0) == 0x80)) tty->column++;
        put(tty, byte);
    }
}

bool tty_is_writable(const struct tty *tty) { return !tty->flow_stopped && room(tty) >= EXPANSION; }

uint32_t tty_write(struct tty *tty, const uint8_t *bytes, uint32_t count) {
    uint32_t done = 0;
    while (done < count && tty_is_writable(tty)) process(tty, bytes[done++]);
    if (done > 0) tty_changed(tty);
    return done;
}

// What finds no room is lost, as on a wire.
void tty_echo(struct tty *tty, uint8_t byte) {
    if (room(tty) >= EXPANSION) process(tty, byte);
}

uint32_t tty_fetch(struct tty *tty, uint8_t *to, uint32_t size) {
    uint32_t count = MIN(size, tty->out_tail - tty->out_head);
    for (uint32_t i = 0; i < count; i++) to[i] = tty->output[tty->out_head++ % TTY_OUTPUT];
    if (count > 0) tty_changed(tty);
    return count;
}
