// The boot console as a terminal.
#include "lib/util.h"
#include "user/libkpio/terminal.h"
#include "user/posixd/posixd.h"

enum { SIGNAL_WINCH = 28, ROOM_AGAIN_MS = 5 };

static struct thread thread;
static bool framed;                    // the other side speaks as terminal.h says

// ---- output -------------------------------------------------------------------------------------------------------------------

// A byte that the other side would take for its own counts with the one that says it is none.
static void emit(const uint8_t *bytes, uint32_t count) {
    uint8_t line[256];
    uint32_t used = 0;
    for (uint32_t i = 0; i < count; i++) {
        line[used++] = bytes[i];
        if (framed && bytes[i] == TERMINAL_ESCAPE) line[used++] = TERMINAL_ESCAPE;
    }
    (void)kpio_console_emit(startup_handle("console"), line, used);
}

void console_drain(void) {
    const struct tty *tty = &state->ttys[0];
    while (tty->kind == TTY_CONSOLE && tty->out_head != tty->out_tail) {
        const uint32_t at = tty->out_head % TTY_OUTPUT, there = MIN(tty->out_tail - tty->out_head, TTY_OUTPUT - at);
        const uint32_t count = MIN(there, 128u);
        emit(&tty->output[at], count);
        tty_change(tty)->out_head += count;
        state_commit();
        tty_changed(tty);
    }
}

// ---- window -------------------------------------------------------------------------------------------------------------------

static void resize(struct winsize size) {
    const struct tty *tty = &state->ttys[0];
    if (size.rows == tty->size.rows && size.columns == tty->size.columns) return;
    tty_change(tty)->size = size;
    tty_signal(tty, SIGNAL_WINCH);
}

static uint16_t read_number(const char **at) {
    uint32_t number = 0;
    while (**at >= '0' && **at <= '9' && number < UINT16_MAX) number = number * 10 + (uint32_t)(*(*at)++ - '0');
    return (uint16_t)MIN(number, (uint32_t)UINT16_MAX);
}

void console_set_up(bool fresh) {
    const char *at = startup_setting("window");
    struct winsize size = {0};
    framed = at != NULL;
    if (at != NULL) size.rows = read_number(&at);
    if (at != NULL && *at == 'x') at++, size.columns = read_number(&at);
    if (fresh && size.rows > 0 && size.columns > 0) tty_change(&state->ttys[0])->size = size;
}

// ---- input --------------------------------------------------------------------------------------------------------------------

enum parse { PARSE_BYTES, PARSE_ESCAPE, PARSE_WINDOW };

static void take_digit(struct typed *typed, uint8_t c) {
    const bool digit = c >= '0' && c <= '9', letter = c >= 'a' && c <= 'f';
    typed->value = typed->value << 4 | (uint32_t)(digit ? c - '0' : c - 'a' + 10);
    typed->digits++;
    if (!digit && !letter) typed->at = PARSE_BYTES;
    else if (typed->digits == TERMINAL_WINDOW_DIGITS) {
        typed->at = PARSE_BYTES;
        resize((struct winsize){.rows = (uint16_t)(typed->value >> 16), .columns = (uint16_t)typed->value});
    }
}

// Whether the byte was typed; else it is part of what the other side tells.
static bool is_typed(uint8_t c) {
    if (!framed) return true;
    struct typed *typed = state_change(&state->typed, sizeof *typed);
    if (typed->at == PARSE_WINDOW) return take_digit(typed, c), false;
    if (typed->at == PARSE_ESCAPE) {
        typed->at = c == TERMINAL_WINDOW ? PARSE_WINDOW : PARSE_BYTES;
        typed->digits = typed->value = 0;
        return c == TERMINAL_ESCAPE;
    }
    if (c == TERMINAL_ESCAPE) typed->at = PARSE_ESCAPE;
    return c != TERMINAL_ESCAPE;
}

// What finds no room waits: the kernel then leaves in the line what comes behind it.
static void type(const uint8_t *bytes, uint32_t count) {
    while (count > 0) {
        mutex_lock(&state_lock);
        const uint32_t taken = tty_input(tty_change(&state->ttys[0]), bytes, count);
        settle();
        mutex_unlock(&state_lock);
        bytes += taken;
        count -= taken;
        if (count > 0) time_sleep_ms(ROOM_AGAIN_MS);
    }
}

static int64_t run(void *arg) {
    for (;;) {
        uint8_t bytes[64];
        uint32_t typed = 0;
        int64_t count = kpio_console_read(startup_handle("console"), bytes, sizeof bytes, KPIO_TIME_NEVER);
        if (count < 0 && count != -EINTR) return count;
        mutex_lock(&state_lock);
        for (int64_t i = 0; i < count; i++)
            if (is_typed(bytes[i])) bytes[typed++] = bytes[i];
        settle();
        mutex_unlock(&state_lock);
        type(bytes, typed);
    }
}

int console_start(void) { return thread_spawn(&thread, "console", run, NULL, NULL, 0); }
