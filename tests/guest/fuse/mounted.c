#include "tests/guest/fuse/fuse.h"

#include "lib/fmt.h"
#include "user/libkpio/wasm_driver.h"

static kpio_handle start_program(kpio_handle end, const char *path, const char *const *settings) {
    const struct process_grant grants[] = {{"fuse", end, KPIO_RIGHTS_SAME, KPIO_SEND_MOVE},
                                           {"console", kt_system(), KPIO_RIGHT_LOG, KPIO_SEND_COPY}};
    const char *what = "";
    struct program program;
    KT_EQUAL(archive_program(kt_archive(), path, &program), 0);
    const struct process_spec spec = {
        .name = "memfs", .job = kt_job(), .program = &program, .grants = grants, .grant_count = 2, .settings = settings};
    int64_t process = process_spawn(&spec, &what);
    if (process < 0) kt_fail(__FILE__, __LINE__, "spawn %s: %s: %s", path, what, error_name(process));
    return (kpio_handle)process;
}

// ---- drivers in WebAssembly -----------------------------------------------------------------------------------------------------

bool mounted_in_wasm(void) {
    const char *driver = startup_setting("driver");
    return driver != NULL && strcmp(driver, "wasm") == 0;
}

static kpio_handle start_wasm(kpio_handle end, const char *artifact, const char *const *arguments) {
    const struct lx_launch_fd console = {.number = 2, .handle = kt_system(), .kind = LX_KIND_CONSOLE, .flags = LX_FD_WRITE};
    const struct wasm_driver driver = {.archive = kt_archive(), .artifact = artifact, .name = "driver", .memory_limit = "256M",
                                       .arguments = arguments, .memory = startup_handle("root"), .job = kt_job(), .channel = end,
                                       .fds = &console, .fd_count = 1};
    const char *what = "";
    int64_t process = wasm_driver_spawn(&driver, &what);
    kt_close(end);
    if (process < 0) kt_fail(__FILE__, __LINE__, "%s: %s: %s", artifact, what, error_name(process));
    return (kpio_handle)process;
}

// Keys and values become words.
static kpio_handle start_memory(kpio_handle end, const char *const *settings) {
    char texts[WASM_DRIVER_ARGUMENTS][32];
    const char *words[WASM_DRIVER_ARGUMENTS + 1];
    unsigned count = 0;
    for (; settings != NULL && settings[2 * count] != NULL && count < WASM_DRIVER_ARGUMENTS; count++) {
        (void)fmt_print(texts[count], sizeof texts[count], "%s=%s", settings[2 * count], settings[2 * count + 1]);
        words[count] = texts[count];
    }
    words[count] = NULL;
    return start_wasm(end, "lib/kpio/fs/memory.aot", words);
}

// ---- either -----------------------------------------------------------------------------------------------------------------------

void mounted_start(struct mounted *m, const char *const *settings) {
    kpio_handle end = KT_HANDLE(kpio_fuse_serve(m->channel));
    m->process = mounted_in_wasm() ? start_memory(end, settings) : start_program(end, "/bin/memfs", settings);
}

void mounted_start_child(struct mounted *m, const char *child) {
    kpio_handle end = KT_HANDLE(kpio_fuse_serve(m->channel));
    const char *const words[] = {child, NULL};
    const struct process_grant grants[] = {{"fuse", end, KPIO_RIGHTS_SAME, KPIO_SEND_MOVE}};
    m->process = mounted_in_wasm() ? start_wasm(end, "lib/kpio/fs/flawed.aot", words) : kt_spawn(child, grants, 1);
}

// Only where a case says so a driver is given up because it takes its time.
static void begin(struct mounted *m, const char *options) {
    m->channel = KT_HANDLE(kpio_fuse_create());
    m->root = KT_HANDLE(kpio_fuse_mount(m->channel, 0, options != NULL ? options : "timeout=600"));
}

void mounted_begin(struct mounted *m, const char *const *settings, const char *options) {
    begin(m, options);
    mounted_start(m, settings);
}

void mounted_begin_native(struct mounted *m, const char *child, const char *options) {
    if (mounted_in_wasm()) kt_skip("the driver is a native one");
    mounted_begin_child(m, child, options);
}

void mounted_begin_child(struct mounted *m, const char *child, const char *options) {
    begin(m, options);
    mounted_start_child(m, child);
}

void mounted_kill(struct mounted *m) {
    KT_OK(kpio_process_kill(m->process, 1));
    (void)kt_wait(m->process);
    m->process = 0;
}

void mounted_end(struct mounted *m) {
    kt_close(m->root);
    if (m->process != 0) (void)kt_wait(m->process);  // it is told that the mount has ended
    kt_close(m->channel);
}

void mounted_ready(const struct mounted *m) {
    for (uint64_t until = kt_soon(); mounted_info(m).state != KPIO_FUSE_READY && time_now() < until;) time_sleep_ms(1);
    KT_EQUAL(mounted_info(m).state, KPIO_FUSE_READY);
}

struct kpio_fuse_info mounted_info(const struct mounted *m) {
    struct kpio_fuse_info info;
    KT_OK(kpio_fuse_info(m->channel, &info));
    return info;
}

kpio_handle open_file(kpio_handle dir, const char *path, uint32_t flags, uint32_t rights) {
    return KT_HANDLE(file_open(dir, path, flags, rights));
}

struct kpio_stat stat_of(kpio_handle dir, const char *path) {
    struct kpio_stat stat;
    KT_OK(kpio_path_stat(dir, path, KPIO_PATH_NO_FOLLOW, &stat));
    return stat;
}

unsigned count_entries(kpio_handle dir) {
    struct directory_reader r;
    const struct kpio_directory_entry *entry;
    unsigned count = 0;
    int64_t more;
    directory_rewind(&r, dir);
    while ((more = directory_next(&r, &entry)) > 0) count++;
    KT_OK(more);
    return count;
}
