// Manifests: lines of `key = value` in sections.
//
//     # a comment
//     [section name]
//     key = value, up to the end of the line
//
// Blank lines are skipped. A key is of letters, digits, '.', '_' and '-'. A value may be empty; blanks around it do not
// count. Errors name the line and the column, both from 1.
#pragma once

#include "lib/text.h"

enum manifest_kind { MANIFEST_END, MANIFEST_SECTION, MANIFEST_ENTRY, MANIFEST_BAD };

struct manifest_item {
    enum manifest_kind kind;
    struct text section;  // the one this is in, or that begins here; size 0 before the first
    struct text key;      // MANIFEST_ENTRY
    struct text value;    // MANIFEST_ENTRY
    unsigned line;
    unsigned column;         // of the key, of the section's name, or of what is wrong
    unsigned value_column;   // MANIFEST_ENTRY: where its value begins
    const char *reason;      // MANIFEST_BAD
};

struct manifest_reader {
    struct text rest;
    struct text section;
    unsigned line;
};

void manifest_open(struct manifest_reader *reader, struct text content);

// The next item, MANIFEST_END after the last. After MANIFEST_BAD it goes on with the next line, so that all errors of a
// file can be shown.
struct manifest_item manifest_next(struct manifest_reader *reader);
