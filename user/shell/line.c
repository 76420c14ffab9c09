#include "user/shell/line.h"

#include "lib/string.h"
#include "user/libkpio/print.h"
#include "user/libkpio/startup.h"

// `cursor`: where it stands in the line that is shown.
static void redraw(const struct editor *e, const char *prompt, size_t cursor) {
    if (prompt != NULL) print("\r%s", prompt);
    else if (cursor > 0) print("\x1b[%zuD", cursor);
    print("%s\x1b[K", e->text);
    if (e->cursor < e->used) print("\x1b[%zuD", e->used - e->cursor);
}

enum editor_result line_type(struct editor *e, const char *prompt, char c) {
    const size_t used = e->used, cursor = e->cursor;
    const enum editor_result result = editor_type(e, c);
    if (result == EDITOR_CANCELLED) print("^C");
    if (result != EDITOR_MORE) print("\n");
    else if (e->cursor == e->used && e->used == used + 1 && e->text[used] == c) print_text(&c, 1);
    else redraw(e, prompt, cursor);
    return result;
}

#define INTERRUPT '\x03'  // Ctrl-C

// What is typed comes in pieces; those behind the end of a line belong to the next one.
static struct {
    char bytes[2048];
    size_t have, taken;
} typed;

static bool next_byte(char *c) {
    while (typed.taken == typed.have) {
        int64_t got = kpio_console_read(startup_handle("console"), typed.bytes, sizeof(typed.bytes), KPIO_TIME_NEVER);
        if (got < 0 && got != -EINTR) return false;
        typed.have = got > 0 ? (size_t)got : 0;
        typed.taken = 0;
    }
    *c = typed.bytes[typed.taken++];
    return true;
}

// Looks at the console without waiting. Where nobody takes what is typed and it has no room any more, it is dropped.
static void fetch(void) {
    char dropped[64];
    if (typed.taken == typed.have) typed.taken = typed.have = 0;
    const bool room = typed.have < sizeof typed.bytes;
    char *to = room ? typed.bytes + typed.have : dropped;
    int64_t got = kpio_console_read(startup_handle("console"), to, room ? sizeof typed.bytes - typed.have : sizeof dropped, 0);
    if (got <= 0) return;
    if (room) typed.have += (size_t)got;
    else if (memchr(dropped, INTERRUPT, (size_t)got) != NULL) typed.bytes[typed.have - 1] = INTERRUPT;
}

bool line_interrupted(void) {
    fetch();
    for (size_t i = typed.have; i-- > typed.taken;) {
        if (typed.bytes[i] != INTERRUPT) continue;
        typed.taken = i + 1;  // what was typed before it is dropped, as in a line
        return true;
    }
    return false;
}

bool line_next(char *c) {
    if (typed.taken == typed.have) return false;
    *c = typed.bytes[typed.taken++];
    return true;
}

bool line_give_back(const char *text, size_t bytes) {
    const size_t left = typed.have - typed.taken;
    if (bytes > sizeof typed.bytes - left) return false;
    memmove(typed.bytes + bytes, typed.bytes + typed.taken, left);
    memcpy(typed.bytes, text, bytes);
    typed.taken = 0;
    typed.have = bytes + left;
    return true;
}

bool line_read(const char *prompt, char line[LINE_MAX]) {
    static struct editor editor;
    char c;
    editor_begin(&editor);
    print("%s", prompt);
    while (next_byte(&c)) {
        if (line_type(&editor, prompt, c) == EDITOR_MORE) continue;
        memcpy(line, editor.text, LINE_MAX);
        return true;
    }
    return false;
}
