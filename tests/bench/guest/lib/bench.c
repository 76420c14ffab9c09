#include "tests/bench/guest/lib/bench.h"

#include "lib/fmt.h"
#include "lib/util.h"

#define WARM_UP_WINDOWS 2u

static uint32_t next_mark;

void bench_fail(const char *name, const char *what, int64_t error) {
    print("bench: %s: %s: %s\n", name, what, error_name(error));
    process_exit(1);
}

int64_t bench_check(const char *name, int64_t result) {
    if (result < 0) bench_fail(name, "failed", result);
    return result;
}

static void sort(uint64_t *samples, uint32_t count) {
    for (uint32_t i = 1; i < count; i++)
        for (uint32_t j = i; j > 0 && samples[j - 1] > samples[j]; j--) {
            uint64_t swap = samples[j];
            samples[j] = samples[j - 1];
            samples[j - 1] = swap;
        }
}

void bench_print_with(const char *name, const char *unit, const uint64_t *samples, uint32_t count, const char *more) {
    uint64_t sorted[BENCH_WINDOWS_MAX];
    for (uint32_t i = 0; i < count; i++) sorted[i] = samples[i];
    sort(sorted, count);
    print("{\"name\":\"%s\",\"unit\":\"%s\",\"value\":%lu,\"min\":%lu,\"max\":%lu,\"n\":%u%s}\n", name, unit,
          (unsigned long)sorted[count / 2], (unsigned long)sorted[0], (unsigned long)sorted[count - 1], count, more);
}

void bench_print(const char *name, const char *unit, const uint64_t *samples, uint32_t count) {
    bench_print_with(name, unit, samples, count, "");
}

void bench_value(const char *name, const char *unit, uint64_t value) { bench_print(name, unit, &value, 1); }

void bench_run(const struct bench *bench) {
    uint64_t samples[BENCH_WINDOWS_MAX];
    for (uint32_t i = 0; i < bench->windows + WARM_UP_WINDOWS; i++) {
        bool counts = i >= WARM_UP_WINDOWS;
        if (bench->prepare != NULL) bench->prepare(bench->context);
        if (counts) bench_mark_begin();
        uint64_t start = bench_clock();
        bench->operate(bench->context, bench->batch);
        uint64_t end = bench_clock();
        if (counts) bench_mark_end();
        if (bench->clean != NULL) bench->clean(bench->context);
        if (counts) samples[i - WARM_UP_WINDOWS] = div_round_up(end - start, bench->batch);
    }
    uint32_t mark = next_mark++;
    bench_mark_report(mark, bench->windows * bench->batch);
    char more[24];
    (void)fmt_print(more, sizeof(more), ",\"mark\":%u", mark);
    bench_print_with(bench->name, bench->unit, samples, bench->windows, more);
}

const struct archive *bench_archive(void) {
    static struct archive archive;
    if (archive.data == NULL) (void)bench_check("initrd", archive_open(&archive));
    return &archive;
}

kpio_handle bench_spawn(const char *role, const struct process_grant *grants, uint32_t count) {
    struct process_grant all[8] = {{"console", startup_handle("system"), KPIO_RIGHT_LOG, KPIO_SEND_COPY}};
    const char *self = startup_page()->text, *what = "";
    const char *arguments[] = {self, role, NULL};
    struct program program;

    for (uint32_t i = 0; i < count && i + 1 < ARRAY_SIZE(all); i++) all[i + 1] = grants[i];
    (void)bench_check(self, archive_program(bench_archive(), self, &program));
    const struct process_spec spec = {.name = role, .job = startup_handle("job"), .program = &program, .grants = all,
                                      .grant_count = count + 1, .arguments = arguments};
    int64_t process = process_spawn(&spec, &what);
    if (process < 0) bench_fail(role, what, process);
    return (kpio_handle)process;
}

void bench_reap(kpio_handle process) {
    (void)kpio_process_kill(process, 0);
    (void)bench_check("reap", wait_terminated(process, KPIO_TIME_NEVER, NULL));
    (void)kpio_handle_close((uint64_t)process);
}
