// links: user/shell/editor.c lib/string.c
#include <string.h>

#include "tests/unit/unit.h"
#include "user/shell/line.h"

static struct editor editor;

// Types a text; the result of its last byte.
static enum editor_result type(const char *text) {
    enum editor_result result = EDITOR_MORE;
    for (; *text != 0; text++) {
        result = editor_type(&editor, *text);
        CHECK_EQ(editor.cursor <= editor.used && editor.used < LINE_MAX, 1);
        CHECK_EQ(strlen(editor.text), editor.used);
        if (result == EDITOR_LINE && text[1] != 0) editor_begin(&editor);
    }
    return result;
}

static void fresh(void) {
    memset(&editor, 0, sizeof(editor));
    editor_begin(&editor);
}

TEST(editor_types_and_erases) {
    fresh();
    CHECK_EQ(type("helx\x7flo\r"), EDITOR_LINE);
    CHECK_EQ(strcmp(editor.text, "hello"), 0);
}

TEST(editor_inserts_in_the_middle) {
    fresh();
    (void)type("ac\x1b[Db\x1b[H>\x1b[F<");
    CHECK_EQ(strcmp(editor.text, ">abc<"), 0);
    (void)type("\x1b[D\x1b[D\x1b[3~");
    CHECK_EQ(strcmp(editor.text, ">ab<"), 0);
    (void)type("\x15");
    CHECK_EQ(strcmp(editor.text, "<"), 0);
}

TEST(editor_recalls_history) {
    fresh();
    (void)type("one\rtwo\r");
    editor_begin(&editor);
    (void)type("\x1b[A");
    CHECK_EQ(strcmp(editor.text, "two"), 0);
    (void)type("\x1b[A\x1b[A\x1b[A");
    CHECK_EQ(strcmp(editor.text, "one"), 0);
    (void)type("\x1b[B\x1b[B");
    CHECK_EQ(strcmp(editor.text, ""), 0);
}

TEST(editor_cancels) {
    fresh();
    CHECK_EQ(type("abc\x03"), EDITOR_CANCELLED);
    CHECK_EQ(editor.used, 0);
}

TEST(editor_takes_any_bytes) {
    fresh();
    for (int i = 0; i < 200000; i++) {
        if (editor_type(&editor, (char)unit_random()) != EDITOR_MORE) editor_begin(&editor);
        CHECK_EQ(editor.cursor <= editor.used && editor.used < LINE_MAX, 1);
        CHECK_EQ(strlen(editor.text), editor.used);
    }
}
