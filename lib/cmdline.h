// Command lines: words separated by blanks, each `key=value` or `key`. A value may be put in double quotes to hold blanks.
#pragma once

#include "lib/text.h"

struct cmdline_word {
    struct text key;
    struct text value;  // data NULL: a key without "="
    size_t position;    // of the key in the line
};

struct cmdline_cursor {
    struct text line;
    size_t position;
};

// Steps through a line: starts with {line, 0}. False at the end.
bool cmdline_next(struct cmdline_cursor *cursor, struct cmdline_word *word);

enum cmdline_kind {
    CMDLINE_BOOL,      // bool: `key` alone means true
    CMDLINE_NUMBER,    // uint64_t in [low, high]
    CMDLINE_SIZE,      // the same with K, M, G, T
    CMDLINE_DURATION,  // the same with ns, us, ms, s
    CMDLINE_TEXT,      // struct text, not empty; points into the line
};

struct cmdline_option {
    const char *key;
    enum cmdline_kind kind;
    uint64_t low, high;  // both 0: any
    void *value;         // written when the option is there and valid; the last one counts
};

// Called for each word that is not understood: what is wrong with it. Parsing goes on.
typedef void cmdline_report_fn(void *context, const struct cmdline_word *word, const char *reason);

// Parses a line by a table. Returns the number of words refused.
unsigned cmdline_parse(struct text line, const struct cmdline_option *options, size_t count, cmdline_report_fn *report,
                       void *context);
