#include "apps/samples/words/words.h"

#include <ctype.h>

void words_add(struct words *w, const char *text, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) {
        bool space = isspace((unsigned char)text[i]) != 0;
        w->lines += text[i] == '\n';
        w->words += !space && !w->inside;
        w->inside = !space;
    }
    w->bytes += bytes;
}
