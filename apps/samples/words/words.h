// What the counting needs to know between one piece of a text and the next.
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct words {
    unsigned long lines, words, bytes;
    bool inside;  // a word, at the end of what was seen
};

void words_add(struct words *w, const char *text, size_t bytes);
