// links: user/shell/words.c
#include <string.h>

#include "tests/unit/unit.h"
#include "user/shell/words.h"

// The words of a line, each in brackets; or what is wrong with it.
static const char *split(const char *text) {
    static char line[256], joined[600];
    char *words[4];
    const char *wrong = NULL;
    strcpy(line, text);
    unsigned count = words_split(line, words, 4, &wrong);
    if (wrong != NULL) return count == 0 ? wrong : "words and an error";
    joined[0] = '\0';
    for (unsigned i = 0; i < count; i++) strcat(strcat(strcat(joined, "["), words[i]), "]");
    return joined;
}
#define SPLITS(text, into) CHECK_EQ(strcmp(split(text), into), 0)

TEST(words_at_spaces) {
    SPLITS("", "");
    SPLITS("   ", "");
    SPLITS("one", "[one]");
    SPLITS("  one  two ", "[one][two]");
    SPLITS("a b c d", "[a][b][c][d]");
    SPLITS("a b c d ", "[a][b][c][d]");
}

TEST(words_quoted) {
    SPLITS("'a b' \"c d\"", "[a b][c d]");
    SPLITS("a'b c'd\"e f\"g", "[ab cde fg]");
    SPLITS("'' \"\"", "[][]");
    SPLITS("''", "[]");
    SPLITS("'\"' \"'\"", "[\"][']");
    SPLITS("'a\\b'", "[a\\b]");
    SPLITS("\"a\\b\"", "[a\\b]");
    SPLITS("\"a\\\"b\\\\\"", "[a\"b\\]");
    SPLITS("a\\ b \\'c \\\\", "[a b]['c][\\]");
    SPLITS("\\a", "[a]");
}

TEST(words_that_are_not_closed) {
    SPLITS("'", "a ' is not closed");
    SPLITS("app run x 'a b", "a ' is not closed");
    SPLITS("app \"a'", "a \" is not closed");
    SPLITS("\"a\\\"", "a \" is not closed");
    SPLITS("\"a\\", "a \" is not closed");
    SPLITS("a \\", "nothing follows its last \\");
    SPLITS("a b c d e", "it has too many words");
}

// Whatever is typed: the words lie in the line, and are terminated there.
TEST(words_of_any_bytes) {
    static const char set[] = " '\"\\ab";
    for (int round = 0; round < 100000; round++) {
        char line[24], *words[8];
        const char *wrong = NULL;
        size_t bytes = unit_random() % (sizeof line - 1);
        for (size_t i = 0; i < bytes; i++) line[i] = set[unit_random() % (sizeof set - 1)];
        line[bytes] = '\0';
        unsigned count = words_split(line, words, 8, &wrong);
        for (unsigned i = 0; i < count; i++) {
            CHECK_EQ(words[i] >= line && words[i] <= line + bytes, 1);
            CHECK_EQ(words[i] + strlen(words[i]) <= line + bytes, 1);
            CHECK_EQ(i == 0 || words[i] > words[i - 1] + strlen(words[i - 1]), 1);
        }
    }
}
