// bench.c - WebAssembly programs in their host, measured alike on KPIO and on Linux.
//
// Made to run under `qemu -icount shift=0`, where the TSC advances by one for each instruction of the guest: every "ns" is a count of
// instructions, user and kernel. All files are in /wasm: the host, artifacts and modules.
//
//   bench WORD,...       rows whose name contains one of the words
//
// Output: JSON lines. "ns" is the median over the samples, "min" and "max" are the extremes; a row that fails gives "error". Where a
// program measures itself, it prints its lines, and the host only runs it.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "lib/bench_mark.h"
#include "tests/bench/wasm/steps.h"

#define HOST "/wasm/wasmhost"
enum { MAX_WORDS = 20, MAX_SAMPLES = 32, IDLE_DEFAULT = 1000 };

static uint64_t tsc(void) {
    uint32_t lo, hi;
    __asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi)::"memory");
    return (uint64_t)hi << 32 | lo;
}
static uint64_t real_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}
static void end_line(void) {  // and waits: the console must be silent while a row is measured
    puts("}");
    fflush(stdout);
    tcdrain(1);
}

struct row {
    const char *name;
    int samples;                       // one more comes before, which warms
    uint64_t (*measure)(const struct row *row);  // 0: failed, and `why` says how
    const char *words[MAX_WORDS];      // of the program that is run
    const char *others[MAX_WORDS];     // of one that runs beside it
    bool again;                        // that ends in a trap at once, and is started again and again
    bool two;                          // and one more of it: what each writes the other one reads
};
static char why[256];

static void no_input(void) {
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    dup2(null, 0);
    close(null);
}

// ---- programs -------------------------------------------------------------------------------------------------------------------

struct running {
    pid_t pid;
    int output;  // read end of its standard output
};

static char *const no_environment[] = {NULL};

// False with `why`. `keep`: its output is ours.
static int start(const char *const *words, struct running *out, int keep) {
    posix_spawn_file_actions_t actions;
    int pipe_ends[2] = {-1, -1};
    if (!keep && pipe2(pipe_ends, O_CLOEXEC) != 0) {
        snprintf(why, sizeof why, "pipe: %s", strerror(errno));
        return 0;
    }
    posix_spawn_file_actions_init(&actions);
    if (!keep) posix_spawn_file_actions_adddup2(&actions, pipe_ends[1], 1);
    int error = posix_spawn(&out->pid, words[0], &actions, NULL, (char *const *)(uintptr_t)words, no_environment);
    posix_spawn_file_actions_destroy(&actions);
    if (!keep) close(pipe_ends[1]);
    out->output = pipe_ends[0];
    if (error == 0) return 1;
    if (!keep) close(pipe_ends[0]);
    snprintf(why, sizeof why, "%s: %s", words[0], strerror(error));
    return 0;
}

static int reap(struct running *r) {
    int status;
    if (r->output >= 0) close(r->output);
    if (waitpid(r->pid, &status, 0) != r->pid || status == 0) return 1;
    snprintf(why, sizeof why, "the program ended with wait status %#x", status);
    return 0;
}

// `size` bytes, or fewer at the end.
static size_t take(int fd, void *to, size_t size) {
    size_t got = 0;
    for (ssize_t n; got < size && (n = read(fd, (char *)to + got, size - got)) > 0;) got += (size_t)n;
    return got;
}
static void drain(int fd) {
    char rest[4096];
    while (read(fd, rest, sizeof rest) > 0) continue;
}

// From the spawn to the first byte that the program prints.
static uint64_t first_output(const struct row *row) {
    struct running r;
    char byte;
    uint64_t before = tsc();
    if (!start(row->words, &r, 0)) return 0;
    size_t got = take(r.output, &byte, 1);
    uint64_t taken = tsc() - before;
    drain(r.output);
    if (!reap(&r)) return 0;
    snprintf(why, sizeof why, "the program printed nothing");
    return got == 1 ? taken : 0;
}

// The same since the machine was switched on: once a boot.
static uint64_t power_on(const struct row *row) {
    struct running r;
    char byte;
    if (!start(row->words, &r, 0)) return 0;
    size_t got = take(r.output, &byte, 1);
    uint64_t now = tsc();
    drain(r.output);
    snprintf(why, sizeof why, "the program printed nothing");
    return reap(&r) && got == 1 ? now : 0;
}

// From the spawn to `_start`, where the program (apps/start.c) reads the clock, which it then prints.
static uint64_t spawn_to_start(const struct row *row) {
    struct running r;
    uint64_t began = 0, before = real_ns();
    if (!start(row->words, &r, 0)) return 0;
    size_t got = take(r.output, &began, sizeof began);
    if (!reap(&r)) return 0;
    snprintf(why, sizeof why, "the program told no time");
    return got == sizeof began && began > before ? began - before : 0;
}

// The steps of a start, each as a row, by a host that tells them and ends where the program would begin. The second time counts.
static uint64_t start_in_steps(const struct row *row) {
    struct start_steps s;
    uint64_t before = 0;
    for (int i = 0; i < 2; i++) {
        struct running r;
        before = tsc();
        if (!start(row->words, &r, 0)) return 0;
        size_t got = take(r.output, &s, sizeof s);
        if (!reap(&r)) return 0;
        snprintf(why, sizeof why, "the host told no steps");
        if (got != sizeof s) return 0;
    }
    const uint64_t known = s.engine + s.load + s.define + s.instantiate;
    const struct {
        const char *name;
        uint64_t taken;
    } told[] = {{"spawn", s.began - before}, {"engine", s.engine}, {"load", s.load}, {"define", s.define},
                {"instantiate", s.instantiate}, {"rest", s.ended - s.began - known}};
    for (size_t i = 0; i < sizeof told / sizeof *told; i++) {
        printf("{\"name\":\"%s_%s\",\"ns\":%llu", row->name, told[i].name, (unsigned long long)told[i].taken);
        end_line();
    }
    return 1;
}

// The whole program, from the spawn to its end.
static uint64_t whole(const struct row *row) {
    struct running r;
    uint64_t before = tsc();
    if (!start(row->words, &r, 0)) return 0;
    drain(r.output);
    return reap(&r) ? tsc() - before : 0;
}

// The program measures, and prints its lines itself.
static uint64_t itself(const struct row *row) {
    struct running r;
    fflush(stdout);
    return start(row->words, &r, 1) && reap(&r);
}

// Starts the other program again and again, in a process of its own, until there is this file; each must trap, or it ends with a failure.
#define STOP "/tmp/stop"
static pid_t start_again_and_again(const struct row *row) {
    struct running r;
    int status = 0;
    pid_t pid = fork();
    if (pid != 0) return pid;
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    dup2(null, 2);  // what they say of their traps is long, and the same each time
    while (access(STOP, F_OK) != 0) {
        if (!start(row->others, &r, 0)) _exit(1);
        close(r.output);
        if (waitpid(r.pid, &status, 0) != r.pid || status != 134 << 8) _exit(1);
    }
    _exit(0);
}

static uint64_t beside_again(const struct row *row) {
    int status = 0;
    pid_t pid = start_again_and_again(row);
    if (pid < 0) return 0;
    uint64_t done = itself(row);
    close(open(STOP, O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
    bool ended = waitpid(pid, &status, 0) == pid && status == 0;
    unlink(STOP);
    if (!ended) snprintf(why, sizeof why, "the other program did not trap");
    return done && ended;
}

static int start_between(const char *const *words, int input, int output, pid_t *pid) {
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, input, 0);
    posix_spawn_file_actions_adddup2(&actions, output, 1);
    int error = posix_spawn(pid, words[0], &actions, NULL, (char *const *)(uintptr_t)words, no_environment);
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

// Two of the other program, which talk without end. The limit of one ends it, and so the other's input or output.
static uint64_t beside_two(const struct row *row) {
    int pipes[2][2], status = 0, ended;
    pid_t pids[2] = {0, 0};
    if (pipe2(pipes[0], O_CLOEXEC) != 0 || pipe2(pipes[1], O_CLOEXEC) != 0) return 0;
    bool started = start_between(row->others, pipes[0][0], pipes[1][1], &pids[0]) == 0 &&
                   start_between(row->others, pipes[1][0], pipes[0][1], &pids[1]) == 0;
    for (int i = 0; i < 4; i++) close(pipes[i / 2][i % 2]);
    uint64_t done = started && itself(row);
    bool too_soon = waitpid(-1, &status, WNOHANG) != 0, stopped = false;
    for (ended = too_soon; ended < 2 && waitpid(-1, &status, 0) > 0; ended++) stopped |= status == 124 << 8;
    if (!started || too_soon || !stopped)
        snprintf(why, sizeof why, "of two programs %s; the last wait status is %#x",
                 !started ? "one did not start" : too_soon ? "one ended too soon" : "none was stopped by its limit", status);
    return done && !too_soon && stopped;
}

// The same while another program takes all that it can get, which its limits must stop, and nothing before.
static uint64_t beside(const struct row *row) {
    struct running greedy;
    int status;
    if (row->again) return beside_again(row);
    if (row->two) return beside_two(row);
    if (!start(row->others, &greedy, 0)) return 0;
    uint64_t done = itself(row);
    if (done && waitpid(greedy.pid, &status, WNOHANG) != 0) {
        snprintf(why, sizeof why, "the greedy program ended too soon, with wait status %#x", status);
        close(greedy.output);
        return 0;
    }
    close(greedy.output);
    bool stopped = waitpid(greedy.pid, &status, 0) == greedy.pid && (status == 124 << 8 || status == 134 << 8);
    if (!stopped) snprintf(why, sizeof why, "the greedy program was not stopped by its limit but ended with wait status %#x", status);
    return done && stopped;
}

// ---- idle programs --------------------------------------------------------------------------------------------------------------

// With what nobody has reserved of KPIO's WASM pool, which is not in MemFree.
static uint64_t free_memory(void) {
    unsigned long long kib, sum = 0;
    char line[128];
    FILE *file = fopen("/proc/meminfo", "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "MemFree: %llu kB", &kib) == 1 || sscanf(line, "WasmPoolFree: %llu kB", &kib) == 1) sum += kib;
    if (file != NULL) fclose(file);
    return (uint64_t)sum << 10;
}

// Bytes of memory that one more program takes, all of them alive and waiting for input that does not come.
static uint64_t idle_private(const struct row *row) {
    static struct running all[IDLE_DEFAULT];
    int input[2], count = 0;
    char byte;
    if (pipe(input) != 0 || dup2(input[0], 0) != 0) return 0;  // which they wait on
    close(input[0]);
    fcntl(input[1], F_SETFD, FD_CLOEXEC);
    uint64_t before = free_memory(), taken = 0;
    while (count < row->samples && start(row->words, &all[count], 0) && take(all[count].output, &byte, 1) == 1) count++;
    if (count == row->samples) taken = (before - free_memory()) / (uint64_t)count;
    else snprintf(why + strlen(why), sizeof why - strlen(why), " at program %d", count);
    close(input[1]);
    for (int i = 0; i < count; i++) reap(&all[i]);
    no_input();
    return taken;
}

// ---- the rows -------------------------------------------------------------------------------------------------------------------

#define AOT(...) {HOST, "--mode", "aot", __VA_ARGS__, NULL}
#define WAKE(name, mode, file) {HOST, "--mode", mode, "/wasm/wake." file, "--", name, NULL}
#define GREEDY(what, mode, file, seconds) \
    {HOST, "--mode", mode, "--cpu-time", seconds, "--memory", "64M", "--files", "50", "--dir", "/tmp::/tmp", "/wasm/greedy." file, "--", \
     what, NULL}
#define BESIDE(name, what, mode, file, seconds) name, 0, beside, WAKE(name, mode, file), GREEDY(what, mode, file, seconds)
#define JIT(...) {HOST, "--mode", "jit", __VA_ARGS__, NULL}
#define INTERP(...) {HOST, "--mode", "interp", __VA_ARGS__, NULL}

static const struct row rows[] = {
    {"power_on_to_hello_aot", 0, power_on, AOT("/wasm/hello.aot")},
    {"spawn_to_start_aot", 9, spawn_to_start, AOT("/wasm/start.aot")},
    {"spawn_to_start_component", 9, spawn_to_start, AOT("/wasm/start-component.aot")},
    {"start_aot", 0, start_in_steps, {"/wasm/steps", "--mode", "aot", "/wasm/start.aot", NULL}},
    {"start_component", 0, start_in_steps, {"/wasm/steps", "--mode", "aot", "/wasm/start-component.aot", NULL}},
    {"instantiate_warm", 0, itself, {"/wasm/instantiate", "/wasm/small.aot", NULL}},
    {"script_first_output", 1, first_output, INTERP("/wasm/qjs.wasm", "--", "-e", "print(6 * 7)")},
    {"script_jit_output", 1, first_output, JIT("/wasm/qjs.wasm", "--", "-e", "print(6 * 7)")},
    {"script_cached_output", 3, first_output, INTERP("/wasm/qjs.pulley", "--", "-e", "print(6 * 7)")},
    {"coremark_aot", 0, itself, AOT("/wasm/coremark.aot", "--", "coremark_aot")},
    {"coremark_jit", 0, itself, JIT("/wasm/coremark.wasm", "--", "coremark_jit")},
    {"coremark_interp", 0, itself, INTERP("/wasm/coremark.wasm", "--", "coremark_interp")},
    {"polybench_aot", 0, itself, AOT("/wasm/polybench.aot", "--", "polybench_aot")},
    {"sqlite_aot", 0, itself, AOT("--dir", "/tmp::/tmp", "/wasm/sqlite.aot", "--", "sqlite_aot")},
    {"quickjs_aot", 1, whole, AOT("--dir", "/wasm::/wasm,ro", "/wasm/qjs.aot", "--", "/wasm/work.js")},
    {"heap_512m", 0, itself, AOT("/wasm/heap.aot")},
    {"wasi_4k", 0, itself, AOT("--dir", "/tmp::/tmp", "/wasm/files.aot")},
    {"wake_alone", 0, itself, WAKE("wake_alone", "aot", "aot")},
    {BESIDE("wake_beside_loop", "loop", "aot", "aot", "0.5")},
    {BESIDE("wake_beside_recurse", "recurse", "aot", "aot", "0.5"), .again = true},
    {BESIDE("wake_beside_grow", "grow", "aot", "aot", "0.5")},
    {BESIDE("wake_beside_open", "open", "aot", "aot", "0.5")},
    {BESIDE("wake_beside_fill", "fill", "aot", "aot", "0.5"), .again = true},
    {BESIDE("wake_beside_talk", "talk", "aot", "aot", "0.5"), .two = true},
    {"wake_alone_jit", 0, itself, WAKE("wake_alone_jit", "jit", "wasm")},
    {BESIDE("wake_beside_loop_jit", "loop", "jit", "wasm", "1")},
    {BESIDE("wake_beside_recurse_jit", "recurse", "jit", "wasm", "1"), .again = true},
    {BESIDE("wake_beside_grow_jit", "grow", "jit", "wasm", "1")},
    {BESIDE("wake_beside_open_jit", "open", "jit", "wasm", "1")},
    {"wake_alone_interp", 0, itself, WAKE("wake_alone_interp", "interp", "wasm")},
    {BESIDE("wake_beside_loop_interp", "loop", "interp", "wasm", "0.6")},
    {BESIDE("wake_beside_recurse_interp", "recurse", "interp", "wasm", "0.6"), .again = true},
    {BESIDE("wake_beside_grow_interp", "grow", "interp", "wasm", "0.6")},
    {BESIDE("wake_beside_open_interp", "open", "interp", "wasm", "0.6")},
    {"compile_4m_jit", 1, first_output, JIT("/wasm/large.wasm")},
    {"idle_app_private", IDLE_DEFAULT, idle_private, AOT("/wasm/idle.aot")},
};

static int by_value(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void report_failure(const struct row *row) {
    printf("{\"name\":\"%s\",\"error\":\"%s\"", row->name, why);
    end_line();
}

static void run_row(const struct row *row, uint32_t mark) {
    uint64_t found[MAX_SAMPLES];
    int count = 0, warm = row->samples > 1 && row->measure != idle_private;
    why[0] = '\0';
    if (row->measure == idle_private || row->samples == 0 || warm) {
        uint64_t value = row->measure(row);
        if (value == 0) return report_failure(row);
        found[0] = value;
        count = !warm;
    }
    if (row->measure == itself || row->measure == beside || row->measure == start_in_steps) return;
    if (row->measure != idle_private) {
        bench_mark_begin();
        for (int i = 0; i < row->samples; i++) {
            found[count++] = row->measure(row);
            if (found[count - 1] == 0) return report_failure(row);
        }
        bench_mark_end();
        bench_mark_report(mark, (uint32_t)(row->samples > 0 ? row->samples : 1));
    }
    qsort(found, (size_t)count, sizeof *found, by_value);
    printf("{\"name\":\"%s\",\"ns\":%llu,\"min\":%llu,\"max\":%llu,\"n\":%d,\"mark\":%u", row->name, (unsigned long long)found[count / 2],
           (unsigned long long)found[0], (unsigned long long)found[count - 1], count, mark);
    end_line();
}

static int wanted(const char *name, char *words) {
    char copy[1024], *rest = copy;
    snprintf(copy, sizeof copy, "%s", words);
    for (char *word; (word = strsep(&rest, ",")) != NULL;)
        if (strcmp(name, word) == 0) return 1;
    return 0;
}

int main(int argc, char **argv) {
    mkdir("/tmp", 0777);
    no_input();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (argc < 2 || wanted(rows[i].name, argv[argc - 1])) run_row(&rows[i], (uint32_t)i + 1);
    printf("{\"name\":\"end\"");
    end_line();
    return 0;
}
