#include "user/shell/line.h"

#include "lib/string.h"
#include "user/libkpio/print.h"
#include "user/libkpio/startup.h"

static void redraw(const struct editor *e, const char *prompt) {
    print("\r%s%s\x1b[K", prompt, e->text);
    if (e->cursor < e->used) print("\x1b[%zuD", e->used - e->cursor);
}

// What is typed comes in pieces; those behind the end of a line belong to the next one.
static bool next_byte(char *c) {
    static char bytes[64];
    static size_t have, taken;
    while (taken == have) {
        int64_t got = kpio_console_read(startup_handle("console"), bytes, sizeof(bytes), KPIO_TIME_NEVER);
        if (got < 0 && got != -EINTR) return false;
        have = got > 0 ? (size_t)got : 0;
        taken = 0;
    }
    *c = bytes[taken++];
    return true;
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
