// `kpio bench storage`: what files cost, on the ext4 of the first disk. The same work as the disk_* tests of
// tests/bench/linux/bench.c, which names each of them alike.
//
// A test that waits for the disk leaves the processor idle, and virtual time then runs as it likes. So a thread of the idle
// class counts loops of two instructions, which are taken off: what is left is what anybody else did, interrupts included. Of
// how many requests and interrupts that was, each line says the mean for an operation.
#include "abi/gen/errors.h"
#include "lib/fmt.h"
#include "lib/string.h"
#include "tests/bench/guest/lib/bench.h"
#include "user/libkpio/file.h"
#include "user/libkpio/thread.h"

enum { PAGE = 4096, CHUNK = 64 << 10, MIB = 1 << 20, BIG_MIB = 64, SAMPLES = 9 };

static kpio_handle root, folder, file;
static uint8_t buffer[CHUNK] __attribute__((aligned(PAGE)));
static volatile uint64_t spins;

[[gnu::noreturn]] static int64_t spin(void *arg) {
    for (;;) __asm__ volatile("1: incq %0\n\tjmp 1b" : "+m"(spins));
}

#define check(call) bench_check(#call, call)
static void exactly(int64_t result, int64_t wanted) {
    if (check(result) != wanted) bench_fail("storage", "moved less", 0);
}

static const char *name_of(uint32_t i) {
    static char name[16];
    (void)fmt_print(name, sizeof(name), "f%06u", i);
    return name;
}

// ---- what is measured --------------------------------------------------------------------------------------------------------

static void read_at(uint32_t bytes, uint64_t at) { exactly(kpio_file_read(file, buffer, bytes, (int64_t)at), bytes); }
static void write_at(uint32_t bytes, uint64_t at) { exactly(kpio_file_write(file, buffer, bytes, (int64_t)at, 0), bytes); }
static void sync_file(void) { (void)check(kpio_file_sync(file, 0)); }

static void open_big(uint32_t n) {
    file = (kpio_handle)check(file_open(root, "big", KPIO_OPEN_CREATE, KPIO_RIGHT_READ | KPIO_RIGHT_WRITE));
    if (check(kpio_file_seek(file, 0, KPIO_SEEK_END)) == (int64_t)BIG_MIB * MIB) return;
    for (uint64_t at = 0; at < (uint64_t)BIG_MIB * MIB; at += CHUNK) write_at(CHUNK, at);
    sync_file();
}
static void close_file(uint32_t n) { (void)check(kpio_handle_close(file)); }

static void read_big(uint32_t mib) {
    for (uint64_t at = 0; at < (uint64_t)mib * MIB; at += CHUNK) read_at(CHUNK, at);
}
static void cold(uint32_t n) {
    open_big(n);
    (void)check(kpio_file_advise(file, 0, (uint64_t)BIG_MIB * MIB, KPIO_ADVICE_DROP));
}
static void warm(uint32_t n) {
    open_big(n);
    read_big(BIG_MIB);
    read_big(BIG_MIB);
}
static void read_4k(uint32_t n) {
    while (n--) read_at(PAGE, (n & 63) * PAGE);
}
static void read_random(uint32_t n) {  // 16,384 pages; a step that meets each once
    for (uint32_t i = 0, page = 7; i < n; i++, page = (page + 6007) % (BIG_MIB * MIB / PAGE)) read_at(PAGE, (uint64_t)page * PAGE);
}
static void overwrite_sync(uint32_t n) {
    while (n--) write_at(PAGE, (n & 63) * PAGE), sync_file();
}
static void open_log(uint32_t n) {
    file = (kpio_handle)check(file_open(root, "log", KPIO_OPEN_CREATE | KPIO_OPEN_TRUNCATE, KPIO_RIGHT_READ | KPIO_RIGHT_WRITE));
}
static void close_log(uint32_t n) {
    close_file(n);
    (void)check(kpio_path_unlink(root, "log", 0));
}
static void append_sync(uint32_t n) {
    for (uint32_t i = 0; i < n; i++) write_at(PAGE, (uint64_t)i * PAGE), sync_file();
}
static void write_big(uint32_t mib) {
    for (uint64_t at = 0; at < (uint64_t)mib * MIB; at += CHUNK) write_at(CHUNK, at);
    sync_file();
}
static void create(uint32_t n) {
    while (n--) {
        kpio_handle made = (kpio_handle)check(file_open(folder, name_of(n), KPIO_OPEN_CREATE | KPIO_OPEN_EXCLUSIVE, KPIO_RIGHT_WRITE));
        exactly(kpio_file_write(made, buffer, 1024, 0, 0), 1024);
        (void)check(kpio_handle_close(made));
    }
}
static void stat_all(uint32_t n) {
    struct kpio_stat st;
    while (n--) (void)check(kpio_path_stat(folder, name_of(n), 0, &st));
}
static void unlink_all(uint32_t n) {
    while (n--) (void)check(kpio_path_unlink(folder, name_of(n), 0));
}
static struct kpio_disk_info disk_info(void) {
    struct kpio_disk_info info;
    (void)check(kpio_disk_list(startup_handle("system"), 0, &info));
    return info;
}

static int64_t mount_disk(void) {
    kpio_handle disk = (kpio_handle)check(kpio_disk_open(startup_handle("system"), (const uint8_t *)"vda", 3));
    int64_t result = kpio_fs_mount("ext4", disk, 0, NULL);
    (void)kpio_handle_close(disk);
    return check(result);
}
// A mount ends a little after its last handle, and what it still writes is not the next one's.
static void unmount(uint32_t n) {
    (void)check(kpio_fs_sync(root));
    (void)check(kpio_handle_close(folder));
    (void)check(kpio_handle_close(root));
    while (disk_info().flags & KPIO_DISK_CLAIMED) (void)kpio_thread_yield();
}
static void open_folder(void) { folder = (kpio_handle)check(directory_open(root, "files")); }
static void mount(uint32_t n) { root = (kpio_handle)mount_disk(); }
static void after_mount(uint32_t n) { open_folder(); }

// ---- files in memory ---------------------------------------------------------------------------------------------------------

static void open_memory(uint32_t n) {
    kpio_handle memory = (kpio_handle)check(kpio_fs_mount("tmpfs", 0, 0, NULL));
    file = (kpio_handle)check(file_open(memory, "file", KPIO_OPEN_CREATE, KPIO_RIGHT_READ | KPIO_RIGHT_WRITE));
    (void)check(kpio_handle_close(memory));
    for (uint64_t at = 0; at < 64 * PAGE; at += PAGE) write_at(PAGE, at);
}
static void write_4k(uint32_t n) {
    while (n--) write_at(PAGE, (n & 63) * PAGE);
}

static const struct test {
    const char *name;
    uint32_t samples, batch;  // a sample is run(batch), with before(batch) and after(batch) not counted
    void (*run)(uint32_t), (*before)(uint32_t), (*after)(uint32_t);
} tests[] = {
    {"read_warm_4k", 50, 100, read_4k, open_big, close_file},
    {"read_warm_1m", SAMPLES, BIG_MIB, read_big, warm, close_file},
    {"read_cold_1m", SAMPLES, BIG_MIB, read_big, cold, close_file},
    {"read_rand_4k_cold", SAMPLES, 500, read_random, cold, close_file},
    {"overwrite_4k_fsync", SAMPLES, 20, overwrite_sync, open_big, close_file},
    {"append_4k_fsync", SAMPLES, 20, append_sync, open_log, close_log},
    {"write_seq_1m", SAMPLES, 32, write_big, open_log, close_log},
    {"create_1k", SAMPLES, 1000, create, NULL, unlink_all},
    {"stat", SAMPLES, 1000, stat_all, create, unlink_all},
    {"unlink", SAMPLES, 1000, unlink_all, create, NULL},
    {"mount", SAMPLES, 1, mount, unmount, after_mount},
    {"tmp_read_4k", 50, 100, read_4k, open_memory, close_file},
    {"tmp_write_4k", 50, 100, write_4k, open_memory, close_file},
};

// What a window cost: instructions but for idle ones, and what the disk was asked and told meanwhile.
struct window {
    uint64_t start, spins, insns, requests, interrupts;
};

static void window_open(struct window *w) {
    struct kpio_disk_info info = disk_info();
    w->requests = info.requests;
    w->interrupts = info.interrupts;
    w->spins = spins;
    w->start = bench_clock();
}

static void window_close(struct window *w) {
    uint64_t end = bench_clock();
    w->insns = end - w->start - 2 * (spins - w->spins);
    struct kpio_disk_info info = disk_info();
    w->requests = info.requests - w->requests;
    w->interrupts = info.interrupts - w->interrupts;
}

static void report(const char *name, const uint64_t *counted, uint32_t samples, uint64_t operations, const struct window *sum) {
    uint64_t requests = sum->requests * 1000 / operations, interrupts = sum->interrupts * 1000 / operations;
    char more[80];
    (void)fmt_print(more, sizeof(more), ",\"requests\":%lu.%03lu,\"interrupts\":%lu.%03lu", requests / 1000, requests % 1000,
                    interrupts / 1000, interrupts % 1000);
    bench_print_with(name, "insns", counted, samples, more);
}

static void run(const struct test *t) {
    uint64_t counted[BENCH_WINDOWS_MAX];
    struct window sum = {0}, w;
    for (uint32_t i = 0; i <= t->samples; i++) {  // the first is a warm-up
        if (t->before) t->before(t->batch);
        window_open(&w);
        t->run(t->batch);
        window_close(&w);
        if (t->after) t->after(t->batch);
        if (i == 0) continue;
        counted[i - 1] = w.insns / t->batch;
        sum.requests += w.requests;
        sum.interrupts += w.interrupts;
    }
    report(t->name, counted, t->samples, (uint64_t)t->samples * t->batch, &sum);
}

// 100,000 files: made once, as each of the three is the next one's beginning.
static void run_many(void) {
    static const struct test many[] = {{"create_1k_100k", 1, 100000, create, NULL, NULL},
                                       {"stat_100k", 1, 100000, stat_all, NULL, NULL},
                                       {"unlink_100k", 1, 100000, unlink_all, NULL, NULL}};
    for (uint32_t i = 0; i < 3; i++) {
        struct window w;
        window_open(&w);
        many[i].run(many[i].batch);
        window_close(&w);
        uint64_t counted = w.insns / many[i].batch;
        report(many[i].name, &counted, 1, many[i].batch, &w);
    }
}

static bool wanted(const char *name) {
    const char *only = startup_setting("only");
    return only == NULL || strncmp(name, only, strlen(only)) == 0;
}

int main(int argc, char **argv) {
    static struct thread spinner;
    memset(buffer, 'x', sizeof(buffer));
    root = (kpio_handle)mount_disk();
    int64_t made = directory_make(root, "files");
    if (made != -EEXIST) (void)check(made);
    open_folder();
    (void)check(thread_spawn(&spinner, "idle", spin, NULL, NULL, 0));
    (void)check(kpio_thread_set_schedule(spinner.handle, KPIO_SCHED_IDLE, 0, UINT64_MAX));
    for (uint32_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
        if (wanted(tests[i].name)) run(&tests[i]);
    if (wanted("many")) run_many();
    unmount(0);
    process_exit(0);  // the other thread has no end
}
