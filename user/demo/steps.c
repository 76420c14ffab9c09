#include "lib/string.h"
#include "protocols/gen/counter.h"
#include "protocols/gen/rng.h"
#include "user/demo/demo.h"

static struct client counter = {.name = "counter", .timeout_ns = PATIENCE_NS};
static struct counter_add_reply last;

static int64_t add(uint64_t amount) {
    struct counter_add_request request = {amount};
    return counter_add(&counter, &request, &last);
}

static int64_t fail(uint32_t how, uint64_t timeout_ns) {
    struct counter_fail_request request = {how};
    struct counter_fail_reply reply;
    uint64_t saved = counter.timeout_ns;
    counter.timeout_ns = timeout_ns;
    int64_t result = counter_fail(&counter, &request, &reply);
    counter.timeout_ns = saved;
    return result;
}

void demo_services(void) {
    enum { CALLS = 1000 };
    int64_t error = add(1);
    row("a service found by its name", error == 0, "%s, process %lu", error_name(error), (unsigned long)last.pid);
    uint64_t start = time_now();
    for (unsigned i = 0; i < CALLS && error == 0; i++) error = add(1);
    row("1,000 calls to it", error == 0 && last.total == CALLS + 1, "%lu ns each",
        (unsigned long)((time_now() - start) / CALLS));
}

void demo_isolation(void) {
    struct kpio_system_info info;
    int64_t result = kpio_system_info(startup_handle("console"), &info);
    row("asking the system without the right to", result == -EACCES, "%s", error_name(result));
    result = kpio_handle_close(12345);
    row("using a handle that it was never given", result == -EBADF, "%s", error_name(result));
    result = control("nobody", "kill");
    row("a service that does not exist", result == -ENOENT, "%s", error_name(result));
}

// After trouble: how long until a call succeeds again.
static void recovered(const char *what, uint64_t start, uint64_t total, uint64_t old_pid) {
    int64_t error = add(1);
    bool good = error == 0 && last.total == total + 1 && last.pid != old_pid;
    row(what, good, "%s after %lu us, process %lu, total kept: %s", error_name(error),
        (unsigned long)microseconds_since(start), (unsigned long)last.pid, last.total == total + 1 ? "yes" : "no");
}

void demo_crash(void) {
    uint64_t total = last.total, pid = last.pid, start = time_now();
    int64_t result = fail(0, PATIENCE_NS);
    row("it writes through a bad pointer", result == -EPIPE, "its caller gets %s in %lu us", error_name(result),
        (unsigned long)microseconds_since(start));
    recovered("... and is started again", start, total, pid);
}

void demo_hang(void) {
    uint64_t total = last.total, pid = last.pid, start = time_now();
    int64_t result = fail(1, 100000000ull);
    row("it hangs; the caller has a deadline", result == -ETIMEDOUT, "%s after %lu us", error_name(result),
        (unsigned long)microseconds_since(start));
    client_close(&counter);
    start = time_now();
    int64_t error = -1;
    // The watchdog needs a moment: until then the old endpoint still answers to nobody.
    counter.timeout_ns = 200000000ull;
    for (uint64_t deadline = time_now() + PATIENCE_NS; error != 0 && time_now() < deadline;) {
        error = add(0);
        if (error != 0) client_close(&counter);
    }
    counter.timeout_ns = PATIENCE_NS;
    row("... its watchdog kills it", error == 0 && last.pid != pid && last.total == total,
        "runs again after %lu us, process %lu", (unsigned long)microseconds_since(start), (unsigned long)last.pid);
}

void demo_replace(void) {
    enum { CALLS_BEFORE = 500, CALLS_AFTER = 500 };
    uint64_t total = last.total, version = last.version, start = time_now(), slowest = 0, calls = 0;
    uint64_t end = UINT64_MAX, deadline = time_now() + PATIENCE_NS;
    unsigned failed = 0;
    int64_t error = 0;
    // The new version starts beside the calls; how many the old one still answers is the machine's business.
    for (; calls < end && time_now() < deadline; calls++) {
        if (calls == CALLS_BEFORE) error = control("counter", "replace");
        if (error) break;
        uint64_t before = time_now();
        failed += add(1) != 0;
        uint64_t took = microseconds_since(before);
        if (took > slowest) slowest = took;
        if (end == UINT64_MAX && last.version != version) end = calls + 1 + CALLS_AFTER;
    }
    row("a new version takes over while it is called", error == 0 && failed == 0 && last.version == version + 1,
        "%s, version %lu, %u calls failed, slowest %lu us", error_name(error), (unsigned long)last.version, failed,
        (unsigned long)slowest);
    row("... with the state of the old one", last.total == total + calls, "%lu of %lu counted, %lu ms in all",
        (unsigned long)(last.total - total), (unsigned long)calls, (unsigned long)(microseconds_since(start) / 1000));
}

void demo_other_program(void) {
    const char *path = startup_setting("successor");
    uint64_t total = last.total, version = last.version;
    int64_t error = control_program("counter", "replace", "/bin/nowhere");
    row("a new version that is not there", error == -ENOENT && add(1) == 0 && last.version == version, "%s; the old one goes on",
        error_name(error));
    if (path == NULL) return;
    error = control_program("counter", "replace", path);
    for (uint64_t deadline = time_now() + PATIENCE_NS; error == 0 && last.version == version && time_now() < deadline;) {
        error = add(1);
        total++;
    }
    row("a new version from another file", error == 0 && last.version == version + 1 && last.total == total + 1,
        "version %lu of %s, total kept: %s", (unsigned long)last.version, path, last.total == total + 1 ? "yes" : "no");
}

void demo_rng(void) {
    enum { CALLS = 300, KILLS = 3 };
    static struct client rng = {.name = "rng", .timeout_ns = PATIENCE_NS};
    static struct rng_read_reply reply;
    struct rng_read_request request = {64};
    int64_t error = rng_read(&rng, &request, &reply);
    if (error == -ENOENT) {
        row("the random number driver", true, "not here: the machine has no such device");
        return;
    }
    unsigned done = 0;
    uint64_t start = time_now();
    for (unsigned i = 0; i < CALLS; i++) {
        if (i % (CALLS / KILLS) == CALLS / KILLS / 2) (void)control("rng", "kill");
        error = rng_read(&rng, &request, &reply);
        done += error == 0 && reply.data_size == 64;
    }
    row("the random number driver, killed 3 times", done == CALLS, "%u of %u reads done, lost %u times, %lu ms", done,
        CALLS, rng.lost, (unsigned long)(microseconds_since(start) / 1000));
}
