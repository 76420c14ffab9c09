#include "lib/util.h"
#include "tests/guest/kt/kt.h"

kpio_handle kt_system(void) { return startup_handle("system"); }
kpio_handle kt_job(void) { return startup_handle("job"); }
kpio_handle kt_process(void) { return startup_handle("process"); }
kpio_handle kt_aspace(void) { return startup_handle("aspace"); }
bool kt_long(void) { return startup_setting("long") != NULL; }
uint64_t kt_soon(void) { return time_after_ms(KT_HANG_MS); }

void kt_close(kpio_handle handle) { KT_EQUAL(kpio_handle_close((uint64_t)handle), 0); }

uint64_t kt_setting(const char *key, uint64_t otherwise) {
    const char *text = startup_setting(key);
    uint64_t value = 0;
    if (text == NULL || *text == 0) return otherwise;
    for (; *text >= '0' && *text <= '9'; text++) value = value * 10 + (uint64_t)(*text - '0');
    return value;
}

uint64_t kt_random(void) {
    static uint64_t state;
    if (state == 0) state = kt_setting("seed", 1) * 0x9e3779b97f4a7c15ull | 1;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

const struct archive *kt_archive(void) {
    static struct archive archive;
    if (archive.data == NULL) KT_EQUAL(archive_open(&archive), 0);
    return &archive;
}

kpio_handle kt_spawn_in(kpio_handle job, const char *child, const struct process_grant *grants, uint32_t count) {
    struct process_grant all[16] = {{"console", kt_system(), KPIO_RIGHT_LOG, KPIO_SEND_COPY}};
    const char *self = startup_page()->text, *what = "";
    const char *arguments[] = {self, child, NULL};
    struct program program;

    KT_CHECK(count < ARRAY_SIZE(all));
    for (uint32_t i = 0; i < count; i++) all[i + 1] = grants[i];
    KT_EQUAL(archive_program(kt_archive(), self, &program), 0);
    const struct process_spec spec = {.name = child, .job = job, .program = &program, .grants = all,
                                      .grant_count = count + 1, .arguments = arguments};
    int64_t process = process_spawn(&spec, &what);
    if (process < 0) kt_fail(__FILE__, __LINE__, "spawn %s: %s: %s", child, what, error_name(process));
    return (kpio_handle)process;
}

kpio_handle kt_spawn(const char *child, const struct process_grant *grants, uint32_t count) {
    return kt_spawn_in(kt_job(), child, grants, count);
}

int64_t kt_wait(kpio_handle process) {
    int64_t status = 0;
    KT_EQUAL(wait_terminated(process, kt_soon(), &status), 0);
    kt_close(process);
    return status;
}

int64_t kt_wait_queued(kpio_handle endpoint) {
    struct kpio_port_packet packet;
    int64_t port = kpio_port_create();
    if (port < 0) return port;
    int64_t result = kpio_port_bind((kpio_handle)port, endpoint, KPIO_SIGNAL_READABLE, 0, 0);
    if (result == 0) result = kpio_port_wait((kpio_handle)port, &packet, 1, kt_soon());
    (void)kpio_handle_close((uint64_t)port);
    return result < 0 ? result : 0;
}

static bool is_blocked(kpio_handle thread) {
    struct kpio_thread_info info = {0};
    KT_EQUAL(kpio_thread_info(thread, &info), 0);
    return info.state == KPIO_THREAD_BLOCKED && info.cpu_ns > 0;
}

void kt_all_blocked(const struct thread *threads, unsigned count) {
    // On its way to where it is meant to wait a thread may wait for other things: it must stay so for a while.
    unsigned seen = 0;
    for (uint64_t deadline = kt_soon(); time_now() < deadline; time_sleep_ms(2)) {
        unsigned i = 0;
        while (i < count && is_blocked(threads[i].handle)) i++;
        seen = i == count ? seen + 1 : 0;
        if (seen == 5) return;
    }
    kt_fail(__FILE__, __LINE__, "a thread did not come to wait");
}

void kt_blocked(kpio_handle thread) { kt_all_blocked(&(struct thread){.handle = thread}, 1); }
