// Memory functions under other names, compared with the C library's at all small sizes and offsets.
#include <string.h>

#define memcpy kpio_memcpy
#define memmove kpio_memmove
#define memset kpio_memset
#define memcmp kpio_memcmp
#define memchr kpio_memchr
#define strlen kpio_strlen
#define strnlen kpio_strnlen
#define strcmp kpio_strcmp
#define strncmp kpio_strncmp
#define strchr kpio_strchr
#include "lib/string.c"
#undef memcpy
#undef memmove
#undef memset
#undef memcmp
#undef memchr
#undef strlen
#undef strnlen
#undef strcmp
#undef strncmp
#undef strchr

#include "tests/unit/unit.h"

enum { SPACE = 700 };
static unsigned char source[SPACE], mine[SPACE], theirs[SPACE];

static void fill(void) {
    for (size_t i = 0; i < SPACE; i++) {
        source[i] = (unsigned char)unit_random();
        mine[i] = theirs[i] = (unsigned char)unit_random();
    }
}

TEST(string_copies_all_sizes) {
    for (size_t size = 0; size < 600; size++) {
        size_t from = unit_random() % 16, to = unit_random() % 16;

        fill();
        CHECK(kpio_memcpy(mine + to, source + from, size) == mine + to);
        memcpy(theirs + to, source + from, size);
        CHECK(memcmp(mine, theirs, SPACE) == 0);
        CHECK(kpio_memset(mine + to, (int)size, size) == mine + to);
        memset(theirs + to, (int)size, size);
        CHECK(memcmp(mine, theirs, SPACE) == 0);
    }
}

TEST(string_moves_overlapping) {
    for (size_t size = 0; size < 400; size++) {
        for (int try = 0; try < 20; try++) {
            size_t from = unit_random() % 300, to = try % 2 == 0 ? unit_random() % 300 : (from + unit_random() % 40) % 300;

            fill();
            memcpy(theirs, mine, SPACE);
            kpio_memmove(mine + to, mine + from, size);
            memmove(theirs + to, theirs + from, size);
            CHECK(memcmp(mine, theirs, SPACE) == 0);
        }
    }
}

static int sign(int value) { return (value > 0) - (value < 0); }

TEST(string_compares) {
    for (size_t size = 0; size < 100; size++) {
        fill();
        memcpy(mine, source, SPACE);
        CHECK_EQ(kpio_memcmp(mine, source, size), 0);
        for (size_t at = 0; at < size; at++) {
            mine[at] ^= 0x81;
            CHECK_EQ(sign(kpio_memcmp(mine, source, size)), sign(memcmp(mine, source, size)));
            mine[at] ^= 0x81;
        }
        CHECK(kpio_memchr(source, source[size], SPACE) == memchr(source, source[size], SPACE));
    }
    CHECK(kpio_memchr("abc", 'd', 3) == NULL);
}

TEST(string_text) {
    static const char *const words[] = {"", "a", "ab", "abc", "abd", "\xff", "abcdefgh"};

    for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
        CHECK_EQ(kpio_strlen(words[i]), strlen(words[i]));
        CHECK_EQ(kpio_strnlen(words[i], 2), strnlen(words[i], 2));
        for (size_t k = 0; k < ARRAY_SIZE(words); k++) {
            CHECK_EQ(sign(kpio_strcmp(words[i], words[k])), sign(strcmp(words[i], words[k])));
            for (size_t n = 0; n < 5; n++)
                CHECK_EQ(sign(kpio_strncmp(words[i], words[k], n)), sign(strncmp(words[i], words[k], n)));
        }
        for (int c = 0; c < 256; c++) CHECK(kpio_strchr(words[i], c) == strchr(words[i], c));
    }
}
