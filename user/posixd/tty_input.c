// The line discipline: what was typed becomes lines, signals and echo.
#include "abi/gen/errors.h"
#include "lib/string.h"
#include "lib/util.h"
#include "user/libkpio/node.h"
#include "user/posixd/tty.h"

enum { SIGNAL_INT = 2, SIGNAL_QUIT = 3, SIGNAL_TSTP = 20 };
#define BELL 7
#define DISABLED 0                // _POSIX_VDISABLE: no such character

static const uint8_t *at(const struct tty *tty, uint32_t counter) { return &tty->input[counter % TTY_INPUT]; }
static const uint8_t *mark(const struct tty *tty, uint32_t counter) { return &tty->marks[counter % TTY_INPUT]; }
static bool is(const struct tty *tty, uint8_t byte, unsigned which) { return tty->t.cc[which] != DISABLED && byte == tty->t.cc[which]; }
static bool canonical(const struct tty *tty) { return tty->t.lflag & L_ICANON; }
static bool extended(const struct tty *tty) { return tty->t.lflag & L_IEXTEN; }
static bool echoes(const struct tty *tty) { return tty->t.lflag & L_ECHO; }

void tty_init(struct tty *tty, enum tty_kind kind) {
    static const uint8_t cc[CC_COUNT] = {3, 28, 127, 21, 4, 0, 1, 0, 17, 19, 26, 0, 18, 15, 23, 22, 0};
    const uint32_t hangups = tty->hangups;
    memset((void *)tty, 0, offsetof(struct tty, input));
    tty->hangups = hangups;
    tty->kind = kind;
    tty->t.iflag = I_ICRNL | I_IXON;
    tty->t.oflag = O_OPOST | O_ONLCR;
    tty->t.cflag = 0xbf;          // 38400 baud, 8 bits, receiver on
    tty->t.lflag = L_ISIG | L_ICANON | L_ECHO | L_ECHOE | L_ECHOK | L_ECHOCTL | L_ECHOKE | L_IEXTEN;
    tty->t.ispeed = tty->t.ospeed = 38400;
    memcpy(tty->t.cc, cc, sizeof cc);
    if (kind == TTY_CONSOLE) tty->size = (struct winsize){.rows = 25, .columns = 80};
}

// ---- echo -----------------------------------------------------------------------------------------------------------------

static bool is_control(const struct tty *tty, uint8_t byte) {
    return tty->t.lflag & L_ECHOCTL && (byte < 0x20 || byte == 0x7f) && byte != '\t' && byte != '\n';
}

static void echo_text(struct tty *tty, const char *text) {
    for (; *text != 0; text++) tty_echo(tty, (uint8_t)*text);
}

static void echo_byte(struct tty *tty, uint8_t byte) {
    if (tty->head == tty->tail || tty->ready == tty->tail) tty->edit_column = tty->column;
    if (!is_control(tty, byte)) {
        tty_echo(tty, byte);
        return;
    }
    tty_echo(tty, '^');
    tty_echo(tty, byte ^ 0x40);
}

// ---- editing ----------------------------------------------------------------------------------------------------------------

static bool is_continuation(const struct tty *tty, uint8_t byte) { return tty->t.iflag & I_IUTF8 && (byte & 0xc0) == 0x80; }

static uint32_t width_of_tab(struct tty *tty) {
    uint32_t column = tty->edit_column;
    for (uint32_t i = tty->ready; i != tty->tail; i++) {
        uint8_t byte = *at(tty, i);
        if (byte == '\t') column += 8 - column % 8;
        else if (is_control(tty, byte)) column += 2;
        else if (!is_continuation(tty, byte)) column++;
    }
    return tty->column > column ? tty->column - column : 0;
}

// The byte is out of the line already.
static void erase_echo(struct tty *tty, uint8_t byte) {
    if (!echoes(tty)) return;
    if (!(tty->t.lflag & L_ECHOE)) {
        echo_byte(tty, tty->t.cc[CC_ERASE]);
        return;
    }
    if (byte == '\t') {
        for (uint32_t width = width_of_tab(tty); width > 0; width--) tty_echo(tty, '\b');
        return;
    }
    if (is_control(tty, byte)) echo_text(tty, "\b \b");
    if (byte >= 0x20 || is_control(tty, byte)) echo_text(tty, "\b \b");
}

static bool erase_one(struct tty *tty) {
    if (tty->tail == tty->ready) return false;
    uint8_t byte = *at(tty, --tty->tail);
    while (is_continuation(tty, byte) && tty->tail != tty->ready) byte = *at(tty, --tty->tail);
    erase_echo(tty, byte);
    return true;
}

static bool is_word(uint8_t byte) {
    return (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || byte == '_' || byte >= 0x80;
}

static void erase_word(struct tty *tty) {
    bool seen = false;
    while (tty->tail != tty->ready) {
        bool word = is_word(*at(tty, tty->tail - 1));
        if (seen && !word) return;
        seen = seen || word;
        (void)erase_one(tty);
    }
}

static void kill_line(struct tty *tty) {
    const uint32_t both = L_ECHOK | L_ECHOKE | L_ECHOE;
    if (echoes(tty) && (tty->t.lflag & both) != both) {
        tty->tail = tty->ready;
        echo_byte(tty, tty->t.cc[CC_KILL]);
        if (tty->t.lflag & L_ECHOK) tty_echo(tty, '\n');
        return;
    }
    while (erase_one(tty)) continue;
}

static void reprint(struct tty *tty) {
    if (!echoes(tty)) return;
    echo_byte(tty, tty->t.cc[CC_REPRINT]);
    tty_echo(tty, '\n');
    tty->edit_column = tty->column;
    for (uint32_t i = tty->ready; i != tty->tail; i++) echo_byte(tty, *at(tty, i));
}

// ---- taking bytes in ------------------------------------------------------------------------------------------------------------

bool tty_has_room(const struct tty *tty) { return tty->tail - tty->head < TTY_INPUT - 1 || (canonical(tty) && tty->ready == tty->head); }

static bool append(struct tty *tty, uint8_t byte, uint8_t marks) {
    const uint32_t limit = marks & MARK_END ? TTY_INPUT : TTY_INPUT - 1;  // the end of a line always fits
    if (tty->tail - tty->head >= limit) {
        if (tty->t.iflag & I_IMAXBEL) tty_echo(tty, BELL);
        return false;
    }
    *tty_change_byte(at(tty, tty->tail)) = byte;
    *tty_change_byte(mark(tty, tty->tail)) = marks;
    tty->tail++;
    return true;
}

static void end_line(struct tty *tty, uint8_t byte, uint8_t marks) {
    if (append(tty, byte, marks | MARK_END)) tty->ready = tty->tail;
}

void tty_flush_input(struct tty *tty) {
    tty->head = tty->ready = tty->tail;
    tty->literal = 0;
}

static bool take_signal(struct tty *tty, uint8_t byte) {
    uint32_t number = is(tty, byte, CC_INTR) ? SIGNAL_INT : is(tty, byte, CC_QUIT) ? SIGNAL_QUIT : is(tty, byte, CC_SUSP) ? SIGNAL_TSTP : 0;
    if (number == 0 || !(tty->t.lflag & L_ISIG)) return false;
    if (!(tty->t.lflag & L_NOFLSH)) tty_flush_input(tty);
    tty->flow_stopped = tty->t.iflag & I_IXON ? 0 : tty->flow_stopped;
    if (echoes(tty)) echo_byte(tty, byte);
    tty_signal(tty, number);
    return true;
}

static bool take_flow(struct tty *tty, uint8_t byte) {
    if (!(tty->t.iflag & I_IXON)) return false;
    if (is(tty, byte, CC_START)) tty->flow_stopped = 0;
    else if (is(tty, byte, CC_STOP)) tty->flow_stopped = 1;
    else {
        if (tty->t.iflag & I_IXANY) tty->flow_stopped = 0;
        return false;
    }
    return true;
}

static bool take_edit(struct tty *tty, uint8_t byte) {
    if (is(tty, byte, CC_ERASE)) (void)erase_one(tty);
    else if (is(tty, byte, CC_KILL)) kill_line(tty);
    else if (extended(tty) && is(tty, byte, CC_WERASE)) erase_word(tty);
    else if (extended(tty) && is(tty, byte, CC_REPRINT)) reprint(tty);
    else return false;
    return true;
}

static void take_line(struct tty *tty, uint8_t byte) {
    bool newline = byte == '\n', ends = is(tty, byte, CC_EOL) || (extended(tty) && is(tty, byte, CC_EOL2));
    if (is(tty, byte, CC_EOF)) {
        end_line(tty, 0, MARK_EOF);
        return;
    }
    if (newline || ends) {
        if (echoes(tty) || (newline && tty->t.lflag & L_ECHONL)) echo_byte(tty, byte);
        end_line(tty, byte, 0);
        return;
    }
    if (echoes(tty) && tty->tail - tty->head < TTY_INPUT - 1) echo_byte(tty, byte);
    (void)append(tty, byte, 0);
}

static void take_plain(struct tty *tty, uint8_t byte) {
    if (echoes(tty)) echo_byte(tty, byte);
    if (append(tty, byte, 0) && !canonical(tty)) tty->ready = tty->tail;
}

static void take(struct tty *tty, uint8_t byte) {
    if (tty->t.iflag & I_ISTRIP) byte &= 0x7f;
    if (tty->literal) {
        tty->literal = 0;
        take_plain(tty, byte);
        return;
    }
    if (take_flow(tty, byte) || take_signal(tty, byte)) return;
    if (byte == '\r' && tty->t.iflag & I_IGNCR) return;
    if (byte == '\r' && tty->t.iflag & I_ICRNL) byte = '\n';
    else if (byte == '\n' && tty->t.iflag & I_INLCR) byte = '\r';
    if (tty->t.iflag & I_IUCLC && extended(tty) && byte >= 'A' && byte <= 'Z') byte = (uint8_t)(byte - 'A' + 'a');
    if (!canonical(tty)) {
        take_plain(tty, byte);
        return;
    }
    if (extended(tty) && is(tty, byte, CC_LNEXT)) {
        tty->literal = 1;
        if (echoes(tty) && tty->t.lflag & L_ECHOCTL) echo_text(tty, "^\b");
        return;
    }
    if (!take_edit(tty, byte)) take_line(tty, byte);
}

uint32_t tty_input(struct tty *tty, const uint8_t *bytes, uint32_t count) {
    uint32_t done = 0;
    while (done < count && (canonical(tty) || tty_has_room(tty))) take(tty, bytes[done++]);
    if (done > 0) tty_changed(tty);
    return done;
}

// ---- reading ------------------------------------------------------------------------------------------------------------------

uint32_t tty_readable(const struct tty *tty) {
    uint32_t count = 0;
    for (uint32_t i = tty->head; i != tty->ready; i++) count += !(tty->marks[i % TTY_INPUT] & MARK_EOF);
    return count;
}

static uint32_t least(const struct tty *tty) { return tty->t.cc[CC_TIME] == 0 && tty->t.cc[CC_MIN] > 0 ? tty->t.cc[CC_MIN] : 1; }

bool tty_is_readable(const struct tty *tty) {
    return canonical(tty) ? tty->ready != tty->head : tty->ready - tty->head >= least(tty);
}

static int64_t read_line(struct tty *tty, uint8_t *to, uint32_t size, uint32_t *timeout) {
    uint32_t count = 0;
    if (tty->ready == tty->head) return -EAGAIN;
    while (count < size && tty->head != tty->ready) {
        uint8_t marks = *mark(tty, tty->head);
        if (!(marks & MARK_EOF)) to[count++] = *at(tty, tty->head);
        tty->head++;
        if (marks & MARK_END) break;
    }
    // An end of file right behind what filled the buffer belongs to this line.
    bool goes_on = count > 0 && !(*mark(tty, tty->head - 1) & MARK_END) && tty->head != tty->ready;
    if (goes_on && *mark(tty, tty->head) & MARK_EOF) {
        tty->head++;
        goes_on = false;
    }
    *timeout = goes_on ? NODE_MORE : 0;
    return count;
}

// How long to wait for the rest, or -EAGAIN at once for who does not wait.
static int64_t read_nothing(const struct tty *tty, uint32_t there, uint32_t flags, uint32_t *timeout) {
    const uint32_t time = tty->t.cc[CC_TIME];
    if (time > 0 && (there > 0 || tty->t.cc[CC_MIN] == 0) && !(flags & NODE_NOWAIT)) *timeout = time | (there > 0 ? NODE_WHOLE_TIMEOUT : 0);
    return -EAGAIN;
}

static int64_t read_raw(struct tty *tty, uint8_t *to, uint32_t size, uint32_t flags, uint32_t *timeout) {
    const uint32_t there = tty->ready - tty->head, time = tty->t.cc[CC_TIME], least = tty->t.cc[CC_MIN];
    bool enough = there >= MIN(size, least) && (there > 0 || time == 0);
    if (flags & NODE_NOWAIT) enough = there > 0 || (least == 0 && time == 0);
    if (!enough && !(flags & NODE_EXPIRED)) return read_nothing(tty, there, flags, timeout);
    uint32_t count = MIN(size, there);
    for (uint32_t i = 0; i < count; i++) to[i] = *at(tty, tty->head++);
    *timeout = tty->head != tty->ready ? NODE_MORE : 0;
    return count;
}

int64_t tty_read(struct tty *tty, uint8_t *to, uint32_t size, uint32_t flags, uint32_t *timeout) {
    *timeout = 0;
    if (size == 0) return 0;
    int64_t result = canonical(tty) ? read_line(tty, to, size, timeout) : read_raw(tty, to, size, flags, timeout);
    if (result >= 0) tty_changed(tty);
    return result;
}

// Out of canonical mode what is being edited can be read; into it, what is there counts as one line.
void tty_mode_changed(struct tty *tty, uint32_t old_lflag) {
    if (!((old_lflag ^ tty->t.lflag) & L_ICANON)) return;
    tty->literal = 0;
    if (canonical(tty) && tty->tail != tty->head && !(*mark(tty, tty->tail - 1) & MARK_END))
        *tty_change_byte(mark(tty, tty->tail - 1)) |= MARK_END;
    tty->ready = tty->tail;
    tty_changed(tty);
}
