// The boot console as a terminal.
#include "lib/util.h"
#include "user/libkpio/terminal.h"
#include "user/posixd/posixd.h"

enum { SIGNAL_WINCH = 28, ROOM_AGAIN_MS = 5 };

static struct thread thread;
static bool framed;                    // the other side speaks as terminal.h says

void tty_emit(const uint8_t *bytes, uint32_t count) {
    const kpio_handle console = startup_handle("console");
    const uint8_t escape = TERMINAL_ESCAPE;
    if (console <= 0) return;
    for (uint32_t from = 0, i = 0; i < count; i++) {
        const bool escaped = framed && bytes[i] == escape;
        if (escaped || i + 1 == count) (void)kpio_console_emit(console, bytes + from, i + 1 - from);
        if (escaped) (void)kpio_console_emit(console, &escape, 1);
        if (escaped) from = i + 1;
    }
}

// ---- window -------------------------------------------------------------------------------------------------------------------

static void resize(struct winsize size) {
    struct tty *tty = &state->ttys[0];
    if (size.rows == tty->size.rows && size.columns == tty->size.columns) return;
    tty->size = size;
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
    if (fresh && size.rows > 0 && size.columns > 0) state->ttys[0].size = size;
}

// ---- input --------------------------------------------------------------------------------------------------------------------

enum parse { PARSE_BYTES, PARSE_ESCAPE, PARSE_WINDOW };
static struct {
    enum parse at;
    uint32_t digits, value;
} parser;

static void take_digit(uint8_t c) {
    const bool digit = c >= '0' && c <= '9', letter = c >= 'a' && c <= 'f';
    parser.value = parser.value << 4 | (uint32_t)(digit ? c - '0' : c - 'a' + 10);
    parser.digits++;
    if (!digit && !letter) parser.at = PARSE_BYTES;
    else if (parser.digits == TERMINAL_WINDOW_DIGITS) {
        parser.at = PARSE_BYTES;
        resize((struct winsize){.rows = (uint16_t)(parser.value >> 16), .columns = (uint16_t)parser.value});
    }
}

// Whether the byte was typed; else it is part of what the other side tells.
static bool is_typed(uint8_t c) {
    if (!framed) return true;
    if (parser.at == PARSE_WINDOW) return take_digit(c), false;
    if (parser.at == PARSE_ESCAPE) {
        parser.at = c == TERMINAL_WINDOW ? PARSE_WINDOW : PARSE_BYTES;
        parser.digits = parser.value = 0;
        return c == TERMINAL_ESCAPE;
    }
    if (c == TERMINAL_ESCAPE) parser.at = PARSE_ESCAPE;
    return c != TERMINAL_ESCAPE;
}

// What finds no room waits: the kernel then leaves in the line what comes behind it.
static void type(const uint8_t *bytes, uint32_t count) {
    while (count > 0) {
        mutex_lock(&state_lock);
        const uint32_t taken = tty_input(&state->ttys[0], bytes, count);
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
        mutex_unlock(&state_lock);
        type(bytes, typed);
    }
}

int console_start(void) { return thread_spawn(&thread, "console", run, NULL, NULL, 0); }
