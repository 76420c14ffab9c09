#include "user/shell/words.h"

#include <stddef.h>

// A word is written over itself without what quoted it: `to` is never beyond `from`.
struct cut {
    char *from, *to;
    const char *wrong;
};

static void take_quoted(struct cut *c, char quote) {
    for (; *c->from != quote; *c->to++ = *c->from++) {
        if (quote == '"' && *c->from == '\\' && (c->from[1] == '"' || c->from[1] == '\\')) c->from++;
        if (*c->from != '\0') continue;
        c->wrong = quote == '"' ? "a \" is not closed" : "a ' is not closed";
        return;
    }
    c->from++;
}

static void take_escaped(struct cut *c) {
    if (*c->from == '\0') c->wrong = "nothing follows its last \\";
    else *c->to++ = *c->from++;
}

// To behind the word's end, where its terminator has its place.
static void take_word(struct cut *c) {
    while (*c->from != '\0' && *c->from != ' ' && c->wrong == NULL) {
        const char at = *c->from++;
        if (at == '\'' || at == '"') take_quoted(c, at);
        else if (at == '\\') take_escaped(c);
        else *c->to++ = at;
    }
    const char *end = c->from;
    c->from += *end == ' ';
    *c->to++ = '\0';  // it may stand where the space was
}

unsigned words_split(char *line, char **words, unsigned most, const char **wrong) {
    struct cut c = {.from = line, .to = line, .wrong = NULL};
    unsigned count = 0;
    for (;;) {
        while (*c.from == ' ') c.from++;
        if (*c.from == '\0') return count;
        if (count == most) c.wrong = "it has too many words";
        c.to = c.from;
        if (c.wrong == NULL) {
            words[count++] = c.to;
            take_word(&c);
        }
        if (c.wrong == NULL) continue;
        *wrong = c.wrong;
        return 0;
    }
}
