// Formatting, compared with the C library's wherever both define the result.
// links: lib/fmt.c
#include "lib/fmt.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "lib/util.h"
#include "tests/unit/unit.h"

#define CHECK_SAME(...)                                                                         \
    do {                                                                                        \
        char mine[256], theirs[256];                                                            \
        size_t length = fmt_print(mine, sizeof(mine), __VA_ARGS__);                             \
        int expected = snprintf(theirs, sizeof(theirs), __VA_ARGS__);                           \
        if (strcmp(mine, theirs) != 0)                                                          \
            unit_fail(__FILE__, __LINE__, "\"%s\" is not \"%s\"", mine, theirs);                \
        CHECK_EQ(length, expected);                                                             \
    } while (0)

TEST(fmt_integers) {
    static const int64_t values[] = {0, 1, -1, 9, 10, 127, 128, -128, 255, 32767, -32768, INT_MAX, INT_MIN, LONG_MAX, LONG_MIN};

    for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
        long value = values[i];

        CHECK_SAME("%d|%i|%u|%x|%X|%o", (int)value, (int)value, (unsigned)value, (unsigned)value, (unsigned)value, (unsigned)value);
        CHECK_SAME("%ld|%lu|%lx|%llx|%zu", value, (unsigned long)value, (unsigned long)value, (unsigned long long)value, (size_t)value);
        CHECK_SAME("%hhd|%hhu|%hd|%hu", (signed char)value, (unsigned char)value, (short)value, (unsigned short)value);
        CHECK_SAME("%8d|%-8d|%08d|%+d|% d", (int)value, (int)value, (int)value, (int)value, (int)value);
        CHECK_SAME("%.5d|%10.5d|%-10.5d|%.0d", (int)value, (int)value, (int)value, (int)value);
        CHECK_SAME("%#x|%#lx|%#010x|%#o", (unsigned)value, (unsigned long)value, (unsigned)value, (unsigned)value);
        CHECK_SAME("%*d|%-*d|%.*d", 12, (int)value, 12, (int)value, 12, (int)value);
        CHECK_SAME("%jd|%td", (intmax_t)value, (ptrdiff_t)value);
    }
}

TEST(fmt_text) {
    CHECK_SAME("%s|%10s|%-10s|%.2s|%10.2s", "kpio", "kpio", "kpio", "kpio", "kpio");
    CHECK_SAME("%c%5c%-5c|", 'a', 'b', 'c');
    CHECK_SAME("100%% and %s", "more");
    CHECK_SAME("%.*s", 3, "abcdef");
    CHECK_SAME("%s", (char *)"");
    CHECK_SAME("%p", (void *)0x1234);
    CHECK_SAME("%*d|", -6, 42);
}

TEST(fmt_string_is_not_read_beyond_its_precision) {
    char unterminated[3] = {'a', 'b', 'c'};
    char text[16];

    fmt_print(text, sizeof(text), "%.3s", unterminated);
    CHECK(strcmp(text, "abc") == 0);
}

TEST(fmt_truncates_and_terminates) {
    char text[8];

    memset(text, 'x', sizeof(text));
    CHECK_EQ(fmt_print(text, sizeof(text), "%s", "0123456789"), 10);
    CHECK(strcmp(text, "0123456") == 0);
    CHECK_EQ(fmt_print(text, 1, "%d", 12345), 5);
    CHECK(text[0] == '\0');
    CHECK_EQ(fmt_print(NULL, 0, "%d", 12345), 5);
}

TEST(fmt_odd_formats_are_printed_as_they_stand) {
    // Not literals, since the compiler knows that they are wrong.
    static const char *const formats[][2] = {{"%", "%"}, {"a%", "a%"}, {"%q!", "%q!"}, {"%-5", "%-5"}, {"%l", "%l"}};
    char text[32];

    for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
        const char *volatile format = formats[i][0];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-security"
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        fmt_print(text, sizeof(text), format);
#pragma GCC diagnostic pop
        CHECK(strcmp(text, formats[i][1]) == 0);
    }
    const char *volatile nothing = NULL;
    fmt_print(text, sizeof(text), "%s", nothing);
    CHECK(strcmp(text, "(null)") == 0);
}
