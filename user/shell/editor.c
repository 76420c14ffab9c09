#include "lib/string.h"
#include "user/shell/line.h"

enum { CTRL_A = 1, CTRL_C = 3, CTRL_D = 4, CTRL_E = 5, BACKSPACE = 8, CTRL_K = 11, CTRL_U = 21, ESCAPE = 27, DELETE = 127 };

void editor_begin(struct editor *editor) {
    editor->used = editor->cursor = 0;
    editor->text[0] = 0;
    editor->history_at = editor->history_count;
    editor->escape = ESCAPE_NONE;
}

static void set_text(struct editor *e, const char *text) {
    e->used = e->cursor = strlen(text);
    memcpy(e->text, text, e->used + 1);
}

// direction -1: older, 1: newer; the newest is the empty line.
static void recall(struct editor *e, int direction) {
    if (direction < 0 && e->history_at == 0) return;
    if (direction > 0 && e->history_at == e->history_count) return;
    e->history_at = direction < 0 ? e->history_at - 1 : e->history_at + 1;
    set_text(e, e->history_at == e->history_count ? "" : e->history[e->history_at]);
}

static void remember(struct editor *e) {
    if (e->used == 0) return;
    if (e->history_count > 0 && strcmp(e->history[e->history_count - 1], e->text) == 0) return;
    if (e->history_count == HISTORY_MAX)
        memmove(e->history[0], e->history[1], sizeof(e->history[0]) * --e->history_count);
    memcpy(e->history[e->history_count++], e->text, e->used + 1);
}

static void insert(struct editor *e, char c) {
    if (e->used + 1 >= LINE_MAX) return;
    memmove(e->text + e->cursor + 1, e->text + e->cursor, e->used - e->cursor + 1);
    e->text[e->cursor++] = c;
    e->used++;
}

// Takes out the character at the cursor.
static void erase(struct editor *e) {
    if (e->cursor == e->used) return;
    memmove(e->text + e->cursor, e->text + e->cursor + 1, e->used - e->cursor);
    e->used--;
}

static void cut(struct editor *e, size_t from, size_t to) {
    memmove(e->text + from, e->text + to, e->used - to + 1);
    e->used -= to - from;
    e->cursor = from;
}

static void escape_end(struct editor *e, char c) {
    switch (c) {
    case 'A': recall(e, -1); break;
    case 'B': recall(e, 1); break;
    case 'C': e->cursor += e->cursor < e->used; break;
    case 'D': e->cursor -= e->cursor > 0; break;
    case 'H': e->cursor = 0; break;
    case 'F': e->cursor = e->used; break;
    case '~':
        if (e->escape_number == '3') erase(e);
        if (e->escape_number == '1' || e->escape_number == '7') e->cursor = 0;
        if (e->escape_number == '4' || e->escape_number == '8') e->cursor = e->used;
        break;
    default: break;
    }
}

static void escape_type(struct editor *e, char c) {
    if (e->escape == ESCAPE_SEEN) {
        e->escape = c == '[' || c == 'O' ? ESCAPE_BRACKET : ESCAPE_NONE;
        e->escape_number = 0;
    } else if ((c >= '0' && c <= '9') || c == ';') {
        e->escape_number = c;
    } else {
        e->escape = ESCAPE_NONE;
        escape_end(e, c);
    }
}

enum editor_result editor_type(struct editor *e, char c) {
    if (e->escape != ESCAPE_NONE) {
        escape_type(e, c);
        return EDITOR_MORE;
    }
    switch (c) {
    case '\r':
    case '\n': remember(e); return EDITOR_LINE;
    case CTRL_C: set_text(e, ""); return EDITOR_CANCELLED;
    case CTRL_A: e->cursor = 0; break;
    case CTRL_E: e->cursor = e->used; break;
    case CTRL_D: erase(e); break;
    case CTRL_K: e->used = e->cursor; e->text[e->used] = 0; break;
    case CTRL_U: cut(e, 0, e->cursor); break;
    case BACKSPACE:
    case DELETE:
        if (e->cursor > 0) cut(e, e->cursor - 1, e->cursor);
        break;
    case ESCAPE: e->escape = ESCAPE_SEEN; break;
    default:
        if (c >= ' ' && c < DELETE) insert(e, c);
        break;
    }
    return EDITOR_MORE;
}
