// Test framework of the guest suites. A suite is one program tests/guest/NAME.c:
//
//     KT_TEST(dup_needs_right) { KT_ERROR(kpio_handle_dup(h, 0), EACCES); }
//
// Cases run in order of the file, each compared for free pages, handles and objects before and after. A failed check
// ends its case. The program gets everything that init has: the handles "system", "job", "initrd" and its own.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "user/libkpio/kpio.h"

enum {
    KT_LEAKY = 1 << 0,   // no comparison before and after (the case says why)
    KT_ALONE = 1 << 1,   // only where kpio.case names it: it wants a machine of its own
};

struct kt_case {
    const char *name;
    void (*run)(void);
    uint32_t flags;
};

#define KT_TEST_FLAGS(case_name, case_flags)                                                                     \
    static void kt_run_##case_name(void);                                                                        \
    static const struct kt_case kt_case_##case_name                                                              \
        __attribute__((used, retain, section("kt_cases"), aligned(8))) = {#case_name, kt_run_##case_name, case_flags}; \
    static void kt_run_##case_name(void)
#define KT_TEST(case_name) KT_TEST_FLAGS(case_name, 0)

// Ends the case as failed unless the condition holds. From the thread that runs the case only.
#define KT_CHECK(condition)                                                                                      \
    do {                                                                                                         \
        if (!(condition)) kt_fail(__FILE__, __LINE__, "%s", #condition);                                         \
    } while (0)
// ... unless the call returns exactly this.
#define KT_EQUAL(actual, expected)                                                                               \
    do {                                                                                                         \
        int64_t kt_actual = (int64_t)(actual), kt_expected = (int64_t)(expected);                                \
        if (kt_actual != kt_expected)                                                                            \
            kt_fail(__FILE__, __LINE__, "%s is %ld (%s), not %ld", #actual, (long)kt_actual,                     \
                    kt_actual < 0 ? error_name(kt_actual) : "", (long)kt_expected);                              \
    } while (0)
// ... unless the call fails with this errno.
#define KT_ERROR(actual, errno_)                                                                                 \
    do {                                                                                                         \
        int64_t kt_actual = (int64_t)(actual);                                                                   \
        if (kt_actual != -(errno_))                                                                              \
            kt_fail(__FILE__, __LINE__, "%s is %ld (%s), not -%s", #actual, (long)kt_actual,                     \
                    kt_actual < 0 ? error_name(kt_actual) : "no error", #errno_);                                \
    } while (0)
// The result of a call that must succeed.
#define KT_OK(actual)                                                                                            \
    ({                                                                                                           \
        int64_t kt_result = (int64_t)(actual);                                                                   \
        if (kt_result < 0) kt_fail(__FILE__, __LINE__, "%s: %s", #actual, error_name(kt_result));                \
        kt_result;                                                                                               \
    })
// A handle that a call returned.
#define KT_HANDLE(actual) ((kpio_handle)KT_OK(actual))

_Noreturn void kt_fail(const char *file, int line, const char *format, ...) __attribute__((format(printf, 3, 4)));
_Noreturn void kt_skip(const char *format, ...) __attribute__((format(printf, 1, 2)));
// A figure for the report: "KTEST note CASE: text".
void kt_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

// ---- what cases need again and again --------------------------------------------------------------------------------
kpio_handle kt_system(void);
kpio_handle kt_job(void);
kpio_handle kt_process(void);  // the suite's own
kpio_handle kt_aspace(void);
bool kt_long(void);            // the long form was asked for
uint64_t kt_setting(const char *key, uint64_t otherwise);  // a number from the command line, kpio.KEY=NUMBER
// Closes a handle that must be good.
void kt_close(kpio_handle handle);
// Random numbers, the same for the same seed (kpio.seed=N).
uint64_t kt_random(void);
// An address in the upper half, one that is not mapped, one below the least: for bad pointers.
#define KT_KERNEL_ADDRESS ((void *)0xffff800000000000ull)
#define KT_UNMAPPED_ADDRESS ((void *)0x7ffffffe0000ull)
#define KT_NULL_PAGE ((void *)0x10ull)

// ---- other processes: the same program, running KT_CHILD(name) instead of the cases ---------------------------------
struct kt_child {
    const char *name;
    int64_t (*run)(void);      // its exit status; handles through startup_handle
};
#define KT_CHILD(child_name)                                                                                     \
    static int64_t kt_child_run_##child_name(void);                                                              \
    static const struct kt_child kt_child_##child_name                                                           \
        __attribute__((used, retain, section("kt_children"), aligned(8))) = {#child_name, kt_child_run_##child_name}; \
    static int64_t kt_child_run_##child_name(void)
// Starts it in this job with the grants, and "console"; returns the process handle, fails the case when it cannot.
kpio_handle kt_spawn(const char *child, const struct process_grant *grants, uint32_t count);
kpio_handle kt_spawn_in(kpio_handle job, const char *child, const struct process_grant *grants, uint32_t count);
// Waits for its end (KT_HANG_MS at most, or the case fails), closes the handle, returns the exit status.
int64_t kt_wait(kpio_handle process);
// The boot archive, mapped once: for tests that start programs in other ways.
const struct archive *kt_archive(void);
// Waits until a thread of this process is blocked, having run.
void kt_blocked(kpio_handle thread);
void kt_all_blocked(const struct thread *threads, unsigned count);
// Waits until a call or send is queued at the endpoint: 0 or a negative errno. Any thread.
[[nodiscard]] int64_t kt_wait_queued(kpio_handle endpoint);
// Against hanging, and for nothing else: the machine below may have more to do. A little less than what the host takes for a hang, so
// that the case says where it was.
#define KT_HANG_MS 290000u
#define KT_HANG_NS (KT_HANG_MS * 1000000ull)
// A deadline for what must happen, however long it takes.
uint64_t kt_soon(void);
