#include "tests/unit/unit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static struct unit_case *first, **last = &first;
static jmp_buf case_end;
static void *expected_panic[5];
static bool panic_is_expected;
static const char *running;
static uint64_t random_state;

void unit_register(struct unit_case *added)
{
    *last = added;
    last = &added->next;
}

void unit_fail(const char *file, int line, const char *format, ...)
{
    va_list args;

    printf("KTEST fail %s: ", running);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    printf(" (%s:%d)\n", file, line);
    longjmp(case_end, 1);
}

void unit_check_equal(const char *file, int line, const char *text, int64_t a, int64_t b)
{
    if (a != b)
        unit_fail(file, line, "%s: %lld (%#llx) is not %lld (%#llx)", text, (long long)a, (unsigned long long)a,
                  (long long)b, (unsigned long long)b);
}

void *(*unit_expect_panic(void))[5]
{
    panic_is_expected = true;
    return &expected_panic;
}

void unit_no_panic(const char *file, int line, const char *text)
{
    panic_is_expected = false;
    unit_fail(file, line, "no panic from %s", text);
}

void unit_panicked(const char *message)
{
    if (panic_is_expected) {
        panic_is_expected = false;
        __builtin_longjmp(expected_panic, 1);
    }
    printf("KTEST fail %s: panic: %s\n", running, message);
    longjmp(case_end, 1);
}

uint64_t unit_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static bool run_case(const struct unit_case *tested)
{
    running = tested->name;
    random_state = 0x9e3779b97f4a7c15;
    panic_is_expected = false;
    printf("KTEST start %s\n", running);
    fflush(stdout);
    if (setjmp(case_end) != 0)
        return false;
    tested->run();
    printf("KTEST pass %s\n", running);
    return true;
}

// With an argument, only the cases whose name contains it.
int main(int argc, char **argv)
{
    int passed = 0, failed = 0;

    for (struct unit_case *tested = first; tested; tested = tested->next) {
        if (argc > 1 && !strstr(tested->name, argv[1]))
            continue;
        if (run_case(tested))
            passed++;
        else
            failed++;
    }
    printf("KTEST done %d passed %d failed\n", passed, failed);
    return failed != 0;
}
