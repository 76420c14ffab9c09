#include "tests/guest/fuse/fuse.h"

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

void mounted_start(struct mounted *m, const char *const *settings) {
    m->process = start_program(KT_HANDLE(kpio_fuse_serve(m->channel)), "/bin/memfs", settings);
}

void mounted_begin(struct mounted *m, const char *const *settings, const char *options) {
    m->channel = KT_HANDLE(kpio_fuse_create());
    m->root = KT_HANDLE(kpio_fuse_mount(m->channel, 0, options));
    mounted_start(m, settings);
}

void mounted_begin_child(struct mounted *m, const char *child, const char *options) {
    m->channel = KT_HANDLE(kpio_fuse_create());
    m->root = KT_HANDLE(kpio_fuse_mount(m->channel, 0, options));
    kpio_handle end = KT_HANDLE(kpio_fuse_serve(m->channel));
    const struct process_grant grants[] = {{"fuse", end, KPIO_RIGHTS_SAME, KPIO_SEND_MOVE}};
    m->process = kt_spawn(child, grants, 1);
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
