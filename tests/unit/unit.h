// Host unit tests. A program is one file of
//
//     TEST(list_push_then_pop)
//     {
//         CHECK(list_is_empty(&list));
//         CHECK_EQ(list_length(&list), 3);
//     }
//
// A failed check ends its case; the program runs the others and exits with 1. It prints the lines that guests print
// (docs/testing.md). A panic or failed assertion of the code under test fails the case, unless it is expected.
#pragma once
#include <stdint.h>

struct unit_case {
    const char *name;
    void (*run)(void);
    struct unit_case *next;
};

#define TEST(name)                                                                    \
    static void test_##name(void);                                                    \
    __attribute__((constructor)) static void register_##name(void)                    \
    {                                                                                 \
        static struct unit_case unit_case_##name = {#name, test_##name, 0};           \
        unit_register(&unit_case_##name);                                             \
    }                                                                                 \
    static void test_##name(void)

#define CHECK(expr) ((expr) ? (void)0 : unit_fail(__FILE__, __LINE__, "%s", #expr))
// Compares as 64-bit integers and prints both.
#define CHECK_EQ(a, b) unit_check_equal(__FILE__, __LINE__, #a " == " #b, (int64_t)(a), (int64_t)(b))
// Holds if the statement panics.
#define CHECK_PANICS(statement)                                     \
    do {                                                            \
        if (__builtin_setjmp(*unit_expect_panic()) == 0) {          \
            statement;                                              \
            unit_no_panic(__FILE__, __LINE__, #statement);          \
        }                                                           \
    } while (0)

void unit_register(struct unit_case *added);
[[gnu::noreturn]] void unit_fail(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void unit_check_equal(const char *file, int line, const char *text, int64_t a, int64_t b);

// The code under test panicked: ends an expected panic at its check, else the case. Called by kernel_host.c.
[[gnu::noreturn]] void unit_panicked(const char *message);
void *(*unit_expect_panic(void))[5];
[[gnu::noreturn]] void unit_no_panic(const char *file, int line, const char *text);

// A pseudo-random number, the same sequence in each run of a case.
uint64_t unit_random(void);
