// What the tests of WASI preview 1 check with.
#pragma once
#include "tests/wasm/preview1/preview1.h"

// Made as a component, a program reaches preview 2 through an adapter inside of it, which says other errors in places and traps where
// there is nothing that it could hand on.
#ifdef COMPONENT
#define IS_COMPONENT 1
#else
#define IS_COMPONENT 0
#endif

// The test goes on after one that fails: all of them are told, and the status at the end says that there were any.
static int failures;

// Without printf, which would be most of the program: it is compiled each time in jit.
static inline void say(const char *text) {
    const __wasi_ciovec_t piece = {(const uint8_t *)text, strlen(text)};
    uint32_t written;
    p1_fd_write(1, &piece, 1, &written);
}
static inline void say_number(int number) {
    char text[12], *at = text + sizeof text - 1;
    unsigned rest = number < 0 ? -(unsigned)number : (unsigned)number;
    *at = '\0';
    do *--at = (char)('0' + rest % 10);
    while ((rest /= 10) != 0);
    if (number < 0) *--at = '-';
    say(at);
}

static inline void fail(const char *what, int line) {
    failures++;
    say("line ");
    say_number(line);
    say(": ");
    say(what);
}
static inline void check(int ok, const char *what, int line) {
    if (ok) return;
    fail(what, line);
    say("\n");
}
static inline void expect(int found, int wanted, const char *what, int line) {
    if (found == wanted) return;
    fail(what, line);
    say(" is ");
    say_number(found);
    say(", not ");
    say_number(wanted);
    say("\n");
}
#define CHECK(x) check(x, #x, __LINE__)
// The call, and the errno that it must return, by its name in the specification.
#define EXPECT(call, error) expect(p1_##call, __WASI_ERRNO_##error, #call, __LINE__)
#define OK(call) EXPECT(call, SUCCESS)

// Opens below a directory; -1 is told as a failure.
static inline int open_path(int directory, const char *path, int how, i64 rights) {
    i32 fd = -1;
    expect(p1_path_open(directory, 0, TEXT(path), how, rights, rights, 0, &fd), 0, path, __LINE__);
    return fd;
}

static inline int finish(const char *what) {
    if (failures == 0) say(what);
    if (failures == 0) say(" works\n");
    return failures != 0;
}
