// Conformance tests of the Linux ABI: each program runs on Linux and on KPIO from the same binary, and must tell the same cases with
// the same results (tests/system/test_linux.py). Plain C over the C library; a program is one source.
//
//     LT_TEST(name) { ... LT_EQUAL(read(fd, b, 4), 4); LT_ERRNO(open("x", O_RDONLY), ENOENT); }
//
// A check that fails ends its case. A case starts in an empty folder of its own, with three descriptors; what it
// leaves there is removed at the program's end.
// Where the first checks need something that need not be there on every host: LT_SKIP(reason), also told by both.
//
// LT_BEGIN(argc, argv), defined before this is included, runs before anything else.
#pragma once
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct lt_case {
    const char *name;
    void (*run)(void);
    struct lt_case *next;
};
static struct lt_case *lt_first, **lt_last = &lt_first;
static jmp_buf lt_end;
static char lt_reason[400];
static enum { LT_PASSED, LT_FAILED, LT_SKIPPED } lt_result;

#define LT_TEST(name_)                                                                                                             \
    static void lt_run_##name_(void);                                                                                              \
    __attribute__((constructor)) static void lt_register_##name_(void) {                                                           \
        static struct lt_case lt_case_ = {.name = #name_, .run = lt_run_##name_};                                                  \
        *lt_last = &lt_case_;                                                                                                      \
        lt_last = &lt_case_.next;                                                                                                  \
    }                                                                                                                              \
    static void lt_run_##name_(void)

__attribute__((format(printf, 1, 2))) static inline void lt_say(const char *format, ...) {
    char line[600];
    va_list arguments;
    va_start(arguments, format);
    int bytes = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (bytes > (int)sizeof line - 1) bytes = sizeof line - 1;
    if (write(1, line, (size_t)bytes) != bytes) _exit(3);
}

__attribute__((noreturn, format(printf, 4, 5))) static inline void lt_stop(int result, const char *file, int line,
                                                                           const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int bytes = vsnprintf(lt_reason, sizeof lt_reason, format, arguments);
    va_end(arguments);
    if (result == LT_FAILED && bytes > 0 && bytes < (int)sizeof lt_reason)
        snprintf(lt_reason + bytes, sizeof lt_reason - (size_t)bytes, " (%s:%d)", file, line);
    lt_result = result;
    longjmp(lt_end, 1);
}

#define LT_SKIP(...) lt_stop(LT_SKIPPED, __FILE__, __LINE__, __VA_ARGS__)
#define LT_FAIL(...) lt_stop(LT_FAILED, __FILE__, __LINE__, __VA_ARGS__)
// How long to wait for what is to come: it tells a hang, and is no target.
#define LT_HANG_MS 300000
#define LT_CHECK(condition)                                                                                                        \
    do {                                                                                                                           \
        if (!(condition)) LT_FAIL("%s; errno %d", #condition, errno);                                                              \
    } while (0)
#define LT_EQUAL(a, b)                                                                                                             \
    do {                                                                                                                           \
        long long lt_a = (long long)(a), lt_b = (long long)(b);                                                                    \
        if (lt_a != lt_b) LT_FAIL("%s is %lld, not %s (%lld); errno %d", #a, lt_a, #b, lt_b, errno);                               \
    } while (0)
#define LT_TEXT(a, b)                                                                                                              \
    do {                                                                                                                           \
        const char *lt_a = (a), *lt_b = (b);                                                                                       \
        if (strcmp(lt_a, lt_b) != 0) LT_FAIL("%s is \"%s\", not \"%s\"", #a, lt_a, lt_b);                                          \
    } while (0)
// The call fails with -1 and this errno.
#define LT_ERRNO(call, error)                                                                                                      \
    do {                                                                                                                           \
        errno = 0;                                                                                                                 \
        long long lt_a = (long long)(call);                                                                                        \
        int lt_e = errno;                                                                                                          \
        if (lt_a != -1 || lt_e != (error)) LT_FAIL("%s gave %lld with errno %d, not %s", #call, lt_a, lt_e, #error);               \
    } while (0)
// The call does not return -1; its value.
#define LT_OK(call)                                                                                                                \
    ({                                                                                                                             \
        long long lt_a = (long long)(call);                                                                                        \
        if (lt_a == -1) LT_FAIL("%s: errno %d", #call, errno);                                                                     \
        lt_a;                                                                                                                      \
    })
// For cases that need them: a file with this text; how a call is made past the C library.
static inline void lt_make(const char *path, const char *text) {
    int fd = (int)LT_OK(open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644));
    LT_EQUAL(write(fd, text, strlen(text)), strlen(text));
    LT_OK(close(fd));
}
#define LT_BAD_ADDRESS ((void *)8)
// Waits until a thread of this process sleeps in a call; for any thread, as it does not end the case. On its way to where it is meant to
// sleep it may wait for other things: it must stay so for a while.
static inline void lt_asleep(pid_t tid) {
    char path[64], text[512];
    const char *name_end = NULL;
    int seen = 0;
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", (int)tid);
    do {
        if (name_end != NULL) usleep(1000);
        int fd = open(path, O_RDONLY);
        ssize_t bytes = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
        if (bytes <= 0) {
            lt_say("%s cannot be read: errno %d\n", path, errno);
            _exit(3);
        }
        close(fd);
        text[bytes] = 0;
        name_end = strrchr(text, ')');
        seen = name_end != NULL && strncmp(name_end, ") S", 3) == 0 ? seen + 1 : 0;
    } while (seen < 5);
}
// How often a storm blows: `few` times, or `many` where the environment says LT_LONG.
static inline unsigned lt_times(unsigned few, unsigned many) { return getenv("LT_LONG") != NULL ? many : few; }
// Pseudo-random numbers below `limit`, by LT_SEED.
static inline unsigned lt_random(unsigned limit) {
    static unsigned long long state;
    if (state == 0) state = (getenv("LT_SEED") != NULL ? strtoull(getenv("LT_SEED"), NULL, 10) : 1) * 2 + 1;
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    return (unsigned)(state >> 33) % limit;
}

// Returns whether it was not failed.
static inline int lt_run(const struct lt_case *c) {
    lt_say("KTEST start %s\n", c->name);
    lt_result = LT_PASSED;
    if (mkdir(c->name, 0755) != 0 || chdir(c->name) != 0) {
        lt_result = LT_FAILED;
        snprintf(lt_reason, sizeof lt_reason, "its folder: errno %d", errno);
    } else if (setjmp(lt_end) == 0) c->run();
    for (int fd = 3; fd < 1024; fd++) close(fd);
    if (lt_result == LT_PASSED) lt_say("KTEST pass %s\n", c->name);
    else lt_say("KTEST %s %s: %s\n", lt_result == LT_SKIPPED ? "skip" : "fail", c->name, lt_reason);
    return lt_result != LT_FAILED;
}

// What a child of the case ends with; and there, what must be so.
#define LT_IN_A_CHILD(...)                                                                                                         \
    ({                                                                                                                             \
        int lt_status;                                                                                                             \
        pid_t lt_child = (pid_t)LT_OK(fork());                                                                                     \
        if (lt_child == 0) {                                                                                                       \
            __VA_ARGS__                                                                                                            \
            _exit(0);                                                                                                              \
        }                                                                                                                          \
        LT_EQUAL(waitpid(lt_child, &lt_status, 0), lt_child);                                                                      \
        lt_status;                                                                                                                 \
    })
#define LT_DEMAND(condition)                                                                                                       \
    if (!(condition)) _exit(__LINE__ % 90 + 1)

static int lt_remove(const char *path, const struct stat *status, int type, struct FTW *walk) {
    (void)status, (void)walk;
    return type == FTW_DP ? rmdir(path) : unlink(path);
}

int main(int argc, char **argv) {
    unsigned passed = 0, failed = 0, skipped = 0;
    char home[4096];
#ifdef LT_BEGIN
    LT_BEGIN(argc, argv);
#endif
    // What started the program may ignore or block signals.
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    for (int number = 1; number < NSIG; number++) signal(number, SIG_DFL);
    const char *only = argc > 1 ? argv[1] : NULL, *name = strrchr(argv[0], '/');
    name = name != NULL ? name + 1 : argv[0];
    umask(022);
    snprintf(home, sizeof home, "lt.%s", name);
    if (mkdir(home, 0755) != 0 || chdir(home) != 0 || getcwd(home, sizeof home) == NULL) {
        lt_say("KTEST fail start: its folder: errno %d\n", errno);
        return 1;
    }
    for (const struct lt_case *c = lt_first; c != NULL; c = c->next) {
        if (only != NULL && strcmp(only, c->name) != 0) continue;
        int good = lt_run(c);
        if (!good) failed++;
        else if (lt_result == LT_SKIPPED) skipped++;
        else passed++;
        if (chdir(home) != 0) return 2;
    }
    if (nftw(home, lt_remove, 16, FTW_DEPTH | FTW_PHYS) != 0) {
        lt_say("KTEST fail end: its folder cannot be removed: errno %d\n", errno);
        failed++;
    }
    lt_say("KTEST done %u passed %u failed %u skipped\n", passed, failed, skipped);
    return failed != 0;
}
