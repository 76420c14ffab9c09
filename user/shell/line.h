// Reading a line from the console: editing, history, Ctrl-C.
#pragma once
#include <stdbool.h>
#include <stddef.h>

#define LINE_MAX 256u

// Shows the prompt and reads a line without its end. False when the console cannot be read any more. Ctrl-C gives an
// empty line.
bool line_read(const char *prompt, char line[LINE_MAX]);
// Whether Ctrl-C was typed since; does not wait. Other keys stay for the next line.
bool line_interrupted(void);

// A byte that was typed already, as line_interrupted() has seen it.
bool line_next(char *c);
// What was typed for somebody who did not take it: the next lines begin with it. False: there is no room.
bool line_give_back(const char *text, size_t bytes);

// ---- the editor itself, without a console -------------------------------------------------------------------------------
#define HISTORY_MAX 16u

struct editor {
    char text[LINE_MAX];
    size_t used, cursor;
    char history[HISTORY_MAX][LINE_MAX];
    size_t history_count, history_at;
    enum { ESCAPE_NONE, ESCAPE_SEEN, ESCAPE_BRACKET } escape;
    char escape_number;
};
enum editor_result { EDITOR_MORE, EDITOR_LINE, EDITOR_CANCELLED };

void editor_begin(struct editor *editor);  // a new line; the history stays
// Takes one byte that was typed. Afterwards text, used and cursor are what the screen should show.
enum editor_result editor_type(struct editor *editor, char c);

// The same, shown on the console. `prompt` NULL: the line begins wherever the cursor was then.
enum editor_result line_type(struct editor *editor, const char *prompt, char c);
