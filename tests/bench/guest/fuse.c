// `kpio bench fuse`: what a file system behind a channel costs, bin/memfs serving it with one thread. Both sides count. The same is done
// with the ext4 of the first disk, and with the driver in memory that is a WebAssembly program (apps/fs/memory).
#include "abi/gen/errors.h"
#include "lib/string.h"
#include "lib/util.h"
#include "tests/bench/guest/lib/bench.h"
#include "user/libkpio/wasm_driver.h"

enum { PAGE = 4096, MIB = 1 << 20 };

static uint8_t buffer[MIB] __attribute__((aligned(PAGE)));

struct mounted {
    kpio_handle root, process, file;
};

static kpio_handle start_native(kpio_handle end, const char *const *settings) {
    const struct process_grant grant = {"fuse", end, KPIO_RIGHTS_SAME, KPIO_SEND_MOVE};
    struct program program;
    (void)bench_check("memfs", archive_program(bench_archive(), "/bin/memfs", &program));
    const struct process_spec spec = {
        .name = "memfs", .job = startup_handle("job"), .program = &program, .grants = &grant, .grant_count = 1, .settings = settings};
    return (kpio_handle)bench_check("spawn", process_spawn(&spec, NULL));
}

static kpio_handle start_wasm(kpio_handle end, const char *const *settings) {
    const char *what = "";
    const struct wasm_driver driver = {.archive = bench_archive(), .artifact = "lib/kpio/fs/memory.aot", .name = "memory",
                                       .memory_limit = "64M", .arguments = settings, .memory = startup_handle("root"),
                                       .job = startup_handle("job"), .channel = end};
    kpio_handle process = (kpio_handle)bench_check("wasmhost", wasm_driver_spawn(&driver, &what));
    (void)kpio_handle_close((uint64_t)end);
    return process;
}

static void mount(struct mounted *m, const char *const *settings, kpio_handle (*start)(kpio_handle end, const char *const *settings)) {
    kpio_handle channel = (kpio_handle)bench_check("create", kpio_fuse_create());
    m->root = (kpio_handle)bench_check("mount", kpio_fuse_mount(channel, 0, NULL));
    m->process = start((kpio_handle)bench_check("serve", kpio_fuse_serve(channel)), settings);
    (void)kpio_handle_close((uint64_t)channel);
    m->file = (kpio_handle)bench_check("file", file_open(m->root, "file", KPIO_OPEN_CREATE, KPIO_RIGHT_READ | KPIO_RIGHT_WRITE));
    (void)bench_check("fill", file_write_all(m->file, buffer, sizeof buffer, 0));
}

static void mount_disk(struct mounted *m) {
    kpio_handle disk = (kpio_handle)bench_check("disk", kpio_disk_open(startup_handle("system"), (const uint8_t *)"vda", 3));
    m->root = (kpio_handle)bench_check("mount", kpio_fs_mount("ext4", disk, 0, NULL));
    m->file = (kpio_handle)bench_check("file", file_open(m->root, "file", KPIO_OPEN_CREATE, KPIO_RIGHT_READ | KPIO_RIGHT_WRITE));
    (void)bench_check("fill", file_write_all(m->file, buffer, sizeof buffer, 0));
    (void)bench_check("sync", kpio_file_sync(m->file, 0));
}

static void unmount(const struct mounted *m) {
    (void)kpio_handle_close((uint64_t)m->file);
    (void)kpio_handle_close((uint64_t)m->root);
    (void)bench_check("end", wait_terminated(m->process, time_after_ms(20000), NULL));
    (void)kpio_handle_close((uint64_t)m->process);
}

static void stat_file(void *context, uint32_t n) {
    const struct mounted *m = context;
    struct kpio_stat stat;
    while (n--) (void)bench_check("stat", kpio_path_stat(m->root, "file", 0, &stat));
}

static void read_4k(void *context, uint32_t n) {
    const struct mounted *m = context;
    while (n--) (void)bench_check("read", kpio_file_read(m->file, buffer, PAGE, (int64_t)(n % 256) * PAGE));
}

static void read_1m(void *context, uint32_t n) {
    const struct mounted *m = context;
    while (n--) (void)bench_check("read", kpio_file_read(m->file, buffer, MIB, 0));
}

static void create_unlink(void *context, uint32_t n) {
    const struct mounted *m = context;
    while (n--) {
        int64_t made = file_open(m->root, "new", KPIO_OPEN_CREATE | KPIO_OPEN_EXCLUSIVE, KPIO_RIGHT_WRITE);
        (void)kpio_handle_close((uint64_t)bench_check("create", made));
        (void)bench_check("unlink", kpio_path_unlink(m->root, "new", 0));
    }
}

int main(int argc, char **argv) {
    static const char *const ask[] = {"valid_ms", "0", "direct", "1", NULL}, *const keep[] = {"valid_ms", "1000000", NULL};
    static const char *const ask_wasm[] = {"valid_ms=0", "direct=1", NULL};
    struct mounted m;
    mount(&m, ask, start_native);
    bench_run(&(struct bench){"fuse_stat_uncached", "insns", 20, 50, NULL, stat_file, NULL, &m});
    bench_run(&(struct bench){"fuse_read_4k_direct", "insns", 20, 50, NULL, read_4k, NULL, &m});
    bench_run(&(struct bench){"fuse_read_1m_direct", "insns", 9, 4, NULL, read_1m, NULL, &m});
    unmount(&m);
    mount(&m, keep, start_native);
    bench_run(&(struct bench){"fuse_create_unlink", "insns", 20, 20, NULL, create_unlink, NULL, &m});
    bench_run(&(struct bench){"fuse_stat_warm", "insns", 20, 50, NULL, stat_file, NULL, &m});
    bench_run(&(struct bench){"fuse_read_warm_4k", "insns", 20, 50, NULL, read_4k, NULL, &m});
    unmount(&m);
    mount(&m, ask_wasm, start_wasm);
    bench_run(&(struct bench){"wasmfs_stat_uncached", "insns", 20, 50, NULL, stat_file, NULL, &m});
    bench_run(&(struct bench){"wasmfs_read_4k", "insns", 20, 50, NULL, read_4k, NULL, &m});
    bench_run(&(struct bench){"wasmfs_read_1m", "insns", 9, 4, NULL, read_1m, NULL, &m});
    unmount(&m);
    mount_disk(&m);
    bench_run(&(struct bench){"ext4_read_1m_warm", "insns", 9, 4, NULL, read_1m, NULL, &m});
    bench_run(&(struct bench){"ext4_stat_warm", "insns", 20, 50, NULL, stat_file, NULL, &m});
    bench_run(&(struct bench){"ext4_read_warm_4k", "insns", 20, 50, NULL, read_4k, NULL, &m});
    return 0;
}
