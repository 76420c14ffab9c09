#include "tests/guest/kt/kt.h"

#include "lib/fmt.h"
#include "lib/string.h"
#include "lib/util.h"
#include "tests/guest/kt/balance.h"
#include "tests/guest/kt/jump.h"

extern const struct kt_case __start_kt_cases[], __stop_kt_cases[];
extern const struct kt_child __start_kt_children[], __stop_kt_children[];
#pragma weak __start_kt_cases
#pragma weak __stop_kt_cases
#pragma weak __start_kt_children
#pragma weak __stop_kt_children

enum { SETTLE_MS = 50 };
enum outcome { OUTCOME_PASS, OUTCOME_FAIL, OUTCOME_SKIP };

static struct {
    const struct kt_case *running;
    struct kt_jump jump;
    char reason[400];
    uint32_t passed, failed;
} state;

void kt_fail(const char *file, int line, const char *format, ...) {
    va_list args;
    va_start(args, format);
    size_t used = fmt_vprint(state.reason, sizeof(state.reason), format, args);
    va_end(args);
    if (used < sizeof(state.reason))
        (void)fmt_print(state.reason + used, sizeof(state.reason) - used, " (%s:%d)", file, line);
    if (state.running == NULL) {  // in a child
        print("child: %s\n", state.reason);
        process_exit(1);
    }
    kt_jump_to(&state.jump, OUTCOME_FAIL);
}

void kt_skip(const char *format, ...) {
    va_list args;
    va_start(args, format);
    (void)fmt_vprint(state.reason, sizeof(state.reason), format, args);
    va_end(args);
    kt_jump_to(&state.jump, OUTCOME_SKIP);
}

void kt_note(const char *format, ...) {
    char text[300];
    va_list args;
    va_start(args, format);
    (void)fmt_vprint(text, sizeof(text), format, args);
    va_end(args);
    print("KTEST note %s: %s\n", state.running != NULL ? state.running->name : "child", text);
}

static void case_failed(const char *name, const char *reason) {
    print("KTEST fail %s: %s\n", name, reason);
    state.failed++;
}

static void run_case(const struct kt_case *test) {
    struct kt_balance before, after;
    print("KTEST start %s\n", test->name);
    state.running = test;
    if (!(test->flags & KT_LEAKY)) kt_balance_settle();  // one that was skipped, failed or is leaky may have left what ends now
    kt_balance_take(&before);
    int outcome = kt_jump_mark(&state.jump);
    if (outcome == OUTCOME_PASS) test->run();  // comes back here a second time when it fails
    if (outcome == OUTCOME_SKIP) {
        print("KTEST skip %s: %s\n", test->name, state.reason);
        return;
    }
    if (outcome == OUTCOME_FAIL) {
        case_failed(test->name, state.reason);
        return;
    }
    // What ends late (a job with its last process, what waits for a grace period) has its time; a leak stays one.
    uint64_t deadline = kt_soon();
    while (!(test->flags & KT_LEAKY)) {
        kt_balance_take(&after);
        if (kt_balance_equal(&before, &after, state.reason, sizeof(state.reason))) break;
        if (time_now() >= deadline) {
            case_failed(test->name, state.reason);
            return;
        }
        time_sleep_ms(SETTLE_MS);
    }
    print("KTEST pass %s\n", test->name);
    state.passed++;
}

static int64_t run_child(const char *name) {
    for (const struct kt_child *child = __start_kt_children; child < __stop_kt_children; child++)
        if (strcmp(child->name, name) == 0) return child->run();
    print("no child %s in this suite\n", name);
    return -ENOENT;
}

int main(int argc, char **argv) {
    if (argc > 1) return (int)run_child(argv[1]);
    const char *only = startup_setting("case");
    kt_balance_warm_up();
    for (const struct kt_case *test = __start_kt_cases; test < __stop_kt_cases; test++)
        if (only == NULL ? !(test->flags & KT_ALONE) : strcmp(only, test->name) == 0) run_case(test);
    print("KTEST done %u passed %u failed\n", state.passed, state.failed);
    return state.failed != 0;
}
