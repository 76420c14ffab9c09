#include "user/shell/line.h"

#include "lib/string.h"
#include "user/libkpio/print.h"
#include "user/libkpio/startup.h"

static void redraw(const struct editor *e, const char *prompt) {
    print("\r%s%s\x1b[K", prompt, e->text);
    if (e->cursor < e->used) print("\x1b[%zuD", e->used - e->cursor);
}

#define INTERRUPT '\x03'  // Ctrl-C

// What is typed comes in pieces; those behind the end of a line belong to the next one.
static struct {
    char bytes[512];
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

bool line_interrupted(void) {
    if (typed.taken == typed.have) typed.taken = typed.have = 0;
    const size_t room = sizeof(typed.bytes) - typed.have;
    int64_t got = room > 0 ? kpio_console_read(startup_handle("console"), typed.bytes + typed.have, room, 0) : 0;
    if (got > 0) typed.have += (size_t)got;
    for (size_t i = typed.have; i-- > typed.taken;) {
        if (typed.bytes[i] != INTERRUPT) continue;
        typed.taken = i + 1;  // what was typed before it is dropped, as in a line
        return true;
    }
    return false;
}

bool line_read(const char *prompt, char line[LINE_MAX]) {
    static struct editor editor;
    char c;
    editor_begin(&editor);
    print("%s", prompt);
    while (next_byte(&c)) {
        size_t used = editor.used;
        enum editor_result result = editor_type(&editor, c);
        if (result == EDITOR_CANCELLED) print("^C");
        if (result != EDITOR_MORE) {
            print("\n");
            memcpy(line, editor.text, LINE_MAX);
            return true;
        }
        bool appended = editor.cursor == editor.used && editor.used == used + 1 && editor.text[used] == c;
        if (appended)
            print_text(&c, 1);
        else
            redraw(&editor, prompt);
    }
    return false;
}
