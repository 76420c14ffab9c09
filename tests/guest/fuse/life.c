// Drivers that come and go, and what is dirty when they do.
#include "tests/guest/fuse/flawed.h"
#include "tests/guest/fuse/fuse.h"

#define BLOCK 65536u

KT_TEST(a_dead_driver_is_an_error) {
    struct mounted m;
    struct kpio_stat stat;
    char text[16];
    mounted_begin(&m, NULL, NULL);
    KT_OK(file_save(m.root, "a", "text", 4));
    kpio_handle file = open_file(m.root, "a", 0, RW);
    mounted_kill(&m);
    KT_ERROR(kpio_path_stat(m.root, "b", 0, &stat), ENOTCONN);
    KT_EQUAL(kpio_file_read(file, text, 4, 0), 4);  // what is cached is read
    KT_ERROR(kpio_file_write(file, "x", 1, 0, 0), ENOTCONN);
    KT_ERROR(kpio_path_make(m.root, "dir", 0040755, 0, 0), ENOTCONN);
    KT_EQUAL(mounted_info(&m).state, KPIO_FUSE_GONE);
    // The next one knows nothing of what the last one had.
    mounted_start(&m, NULL);
    KT_OK(file_save(m.root, "c", "new", 3));
    KT_ERROR(kpio_path_stat(m.root, "a", 0, &stat), ENOENT);
    KT_ERROR(kpio_file_write(file, "x", 1, 0, 0), ESTALE);
    KT_EQUAL(mounted_info(&m).drivers, 2);
    kt_close(file);
    mounted_end(&m);
}

// ---- stateless: what is open goes on --------------------------------------------------------------------------------------

static int64_t one_file(struct fuse_driver *driver, const struct fuse_call *call) {
    (void)driver;
    return flawed_result(one_file_answer(&(struct flawed_call){call->header, call->body, call->reply}));
}

KT_CHILD(one_file) {
    struct fuse_driver d = {.channel = startup_handle("fuse"), .answer = one_file};
    (void)fuse_run(&d);
    return 0;
}

struct reader {
    struct thread thread;
    kpio_handle root;
    uint32_t stop;
    uint64_t reads;
};

static int64_t read_on(void *arg) {
    struct reader *r = arg;
    static uint8_t buffers[4][8192];
    static uint32_t next;
    uint8_t *buffer = buffers[__atomic_fetch_add(&next, 1, __ATOMIC_RELAXED) % 4];
    int64_t file = file_open(r->root, "file", 0, KPIO_RIGHT_READ);
    if (file < 0) return file;
    for (uint64_t at = 0; __atomic_load_n(&r->stop, __ATOMIC_ACQUIRE) == 0; at = (at + 12345) % (1u << 19)) {
        int64_t n = kpio_file_read((kpio_handle)file, buffer, 8192, (int64_t)at);
        if (n != 8192) return n < 0 ? n : -EIO;
        for (uint32_t i = 0; i < 8192; i += 97)
            if (buffer[i] != (uint8_t)((at + i) * 7 >> 3)) return -ENXIO;
        __atomic_store_n(&r->reads, r->reads + 1, __ATOMIC_RELEASE);
    }
    return kpio_handle_close((uint64_t)file);
}

// 20 times, in the long form 1,000, the driver is killed while four threads read: none of them sees anything of it.
KT_TEST(readers_of_a_stateless_driver_outlive_it) {
    struct mounted m = {.channel = KT_HANDLE(kpio_fuse_create())};
    struct reader readers[4];
    m.root = KT_HANDLE(kpio_fuse_mount(m.channel, 0, "stateless,timeout=600"));
    mounted_start_child(&m, "one_file");
    for (unsigned i = 0; i < 4; i++) {
        readers[i] = (struct reader){.root = m.root};
        KT_EQUAL(thread_spawn(&readers[i].thread, "reader", read_on, &readers[i], NULL, 0), 0);
    }
    for (unsigned kills = 0; kills < (kt_long() ? 1000 : 20); kills++) {
        time_sleep_ms(kt_random() % 10);
        mounted_kill(&m);
        mounted_start_child(&m, "one_file");
    }
    uint64_t reads = 0;
    for (uint64_t until = kt_soon(); __atomic_load_n(&readers[0].reads, __ATOMIC_ACQUIRE) == 0 && time_now() < until;) time_sleep_ms(1);
    for (unsigned i = 0; i < 4; i++) {
        int64_t result;
        __atomic_store_n(&readers[i].stop, 1, __ATOMIC_RELEASE);
        KT_EQUAL(thread_join(&readers[i].thread, &result), 0);
        KT_EQUAL(result, 0);
        reads += readers[i].reads;
    }
    KT_CHECK(reads > 0);
    mounted_end(&m);
}

// ---- killed under load ------------------------------------------------------------------------------------------------------

struct worker {
    struct thread thread;
    kpio_handle root;
    uint32_t number, stop;
    uint64_t good, bad;
};

static bool is_expected(int64_t error) {
    return error >= 0 || error == -ENOTCONN || error == -ESTALE || error == -ENOENT || error == -EEXIST || error == -EIO || error == -EINTR;
}

static int64_t work_once(const struct worker *w, char *name, uint8_t *data) {
    struct kpio_stat stat;
    int64_t file = file_open(w->root, name, KPIO_OPEN_CREATE, RW);
    if (file < 0) return file;
    int64_t error = kpio_file_write((kpio_handle)file, data, BLOCK, 0, 0);
    if (error >= 0) error = kpio_file_read((kpio_handle)file, data, BLOCK, 0);
    if (error >= 0) error = kpio_file_sync((kpio_handle)file, 0);
    (void)kpio_handle_close((uint64_t)file);
    if (error >= 0) error = kpio_path_stat(w->root, name, 0, &stat);
    if (error >= 0) error = kpio_path_unlink(w->root, name, 0);
    return error;
}

static int64_t work(void *arg) {
    struct worker *w = arg;
    static uint8_t data[4][BLOCK];
    char name[] = "file0";
    name[4] = (char)('0' + w->number);
    while (__atomic_load_n(&w->stop, __ATOMIC_ACQUIRE) == 0) {
        int64_t error = work_once(w, name, data[w->number]);
        if (!is_expected(error)) return error;
        if (error >= 0) w->good++;
        else w->bad++;
    }
    return 0;
}

static void kill_under_load(const char *const *settings) {
    struct mounted m;
    struct worker workers[4];
    mounted_begin(&m, settings, NULL);
    for (unsigned i = 0; i < 4; i++) {
        workers[i] = (struct worker){.root = m.root, .number = i};
        KT_EQUAL(thread_spawn(&workers[i].thread, "worker", work, &workers[i], NULL, 0), 0);
    }
    for (unsigned kills = 0; kills < (kt_long() ? 500 : 15); kills++) {
        time_sleep_ms(kt_random() % 20);
        mounted_kill(&m);
        mounted_start(&m, settings);
    }
    uint64_t good = 0;
    for (unsigned i = 0; i < 4; i++) {
        int64_t result;
        __atomic_store_n(&workers[i].stop, 1, __ATOMIC_RELEASE);
        KT_EQUAL(thread_join(&workers[i].thread, &result), 0);
        KT_EQUAL(result, 0);
        good += workers[i].good;
    }
    KT_OK(file_save(m.root, "last", "x", 1));
    kt_note("%lu rounds were good", (unsigned long)good);
    mounted_end(&m);
}

KT_TEST(drivers_are_killed_under_load) {
    static const char *const settings[] = {"threads", "2", NULL};
    kill_under_load(settings);
}

KT_TEST(drivers_are_killed_under_load_with_write_back) {
    static const char *const settings[] = {"threads", "2", "writeback", "1", "plus", "1", "valid_ms", "5", NULL};
    kill_under_load(settings);
}

// ---- much that is dirty -------------------------------------------------------------------------------------------------------

struct filler {
    struct thread thread;
    kpio_handle file;
    uint64_t written;
    int64_t end;
};

// Until it is told that the driver is gone.
static int64_t fill(void *arg) {
    struct filler *f = arg;
    static uint8_t data[BLOCK];
    int64_t n = 0;
    for (uint64_t at = 0; n >= 0; at += BLOCK) {
        n = kpio_file_write(f->file, data, BLOCK, (int64_t)at, 0);
        if (n > 0) __atomic_store_n(&f->written, f->written + (uint64_t)n, __ATOMIC_RELEASE);
    }
    f->end = n;
    return 0;
}

static int64_t takes_no_writes(struct fuse_driver *driver, const struct fuse_call *call) {
    (void)driver;
    return flawed_result(no_writes_answer(&(struct flawed_call){call->header, call->body, call->reply}));
}

KT_CHILD(takes_no_writes) {
    struct fuse_driver d = {.channel = startup_handle("fuse"), .flags = FUSE_WRITEBACK_CACHE, .answer = takes_no_writes};
    (void)fuse_run(&d);
    return 0;
}

// A writer fills the mount's dirty pages and waits for a driver that has stopped. Meanwhile tmpfs is written, sync of everything
// returns, memory is used and given back; with the driver's death the rest is free.
KT_TEST(nobody_else_waits_for_what_is_dirty) {
    struct mounted m;
    struct filler f = {0};
    mounted_begin_child(&m, "takes_no_writes", "dirty=4M,timeout=600");
    f.file = open_file(m.root, "file", 0, KPIO_RIGHT_WRITE);
    KT_EQUAL(thread_spawn(&f.thread, "filler", fill, &f, NULL, 0), 0);
    for (uint64_t before = 1, until = kt_soon(); time_now() < until;) {
        uint64_t now = __atomic_load_n(&f.written, __ATOMIC_ACQUIRE);
        if (now == before && now >= 2u << 20) break;
        before = now;
        time_sleep_ms(300);
    }
    KT_CHECK(f.written >= 2u << 20 && f.written <= 8u << 20);
    uint64_t until = kt_soon();
    KT_OK(kpio_fs_sync(0));
    kpio_handle other = KT_HANDLE(kpio_fs_mount("tmpfs", 0, 0, NULL));
    static uint8_t data[BLOCK];
    kpio_handle file = open_file(other, "file", KPIO_OPEN_CREATE, RW);
    for (unsigned i = 0; i < 256; i++) KT_EQUAL(kpio_file_write(file, data, BLOCK, (int64_t)i * BLOCK, 0), BLOCK);
    kt_close(file);
    kt_close(other);
    KT_CHECK(time_now() < until);
    mounted_kill(&m);
    KT_EQUAL(thread_join(&f.thread, NULL), 0);
    KT_CHECK(f.end == -ENOTCONN || f.end == -EIO);
    KT_CHECK(kpio_file_sync(f.file, 0) < 0);  // what was lost is told
    kt_close(f.file);
    mounted_end(&m);
}

// What waits for a driver ends when its mount is given up, though it is in use and stays.
KT_TEST(a_mount_is_given_up) {
    struct mounted m;
    struct kpio_mount_info info = {.id = 0};
    struct kpio_stat stat;
    uint8_t path[16];
    kpio_handle whole = KT_HANDLE(kpio_fs_mount("tmpfs", 0, 0, NULL));
    KT_OK(kpio_path_make(whole, "m", 0040755, 0, 0));
    mounted_begin(&m, NULL, "source=where it is from,subtype=memfs,timeout=600");
    KT_OK(kpio_mount_attach(whole, "m", m.root, 0, 0));
    kpio_handle file = open_file(whole, "m/file", KPIO_OPEN_CREATE, RW);
    const uint64_t root = KT_OK(kpio_mount_list(whole, 0, &info, path, sizeof path)) == 1 ? info.id : 0;
    KT_EQUAL(kpio_mount_list(whole, root, &info, path, sizeof path), 2);
    KT_CHECK(strcmp(info.type, "fuse") == 0 && strcmp(info.source, "where it is from") == 0 && strcmp(info.subtype, "memfs") == 0);
    KT_CHECK(info.fuse.state == KPIO_FUSE_READY && info.fuse.driver != 0 && info.fuse.requests > 0);
    KT_ERROR(kpio_mount_detach(whole, "m", KPIO_DETACH_FORCE), EBUSY);
    KT_ERROR(kpio_path_stat(whole, "m/other", 0, &stat), ENOTCONN);
    KT_EQUAL(kpio_mount_list(whole, root, &info, path, sizeof path), 2);
    KT_EQUAL(info.fuse.state, KPIO_FUSE_GONE);
    kt_close(file);
    KT_OK(kpio_mount_detach(whole, "m", 0));
    kt_close(whole);
    mounted_end(&m);
}
