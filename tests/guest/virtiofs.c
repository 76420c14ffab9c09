// The driver of virtio's file system device, killed while threads use a folder of the host. The suite plays init: it keeps the session
// for the next driver. The rules of file systems in general are those of fs_conformance (kpio.driver=virtio_fs).
#include "lib/fmt.h"
#include "lib/string.h"
#include "tests/guest/kt/driver.h"

#define RW (KPIO_RIGHT_READ | KPIO_RIGHT_WRITE)
#define DEVICE (0x1af4u | 0x105au << 16)
#define WORKERS 4u
#define BYTES 65536u

static struct kt_driver driver = {.program = "/drv/virtio_fs", .device = DEVICE};
static kpio_handle channel, root;

static void begin(void) {
    kt_device_need(DEVICE, 0);
    KT_EQUAL(kt_init_start(), 0);
    channel = KT_HANDLE(kpio_fuse_create());
    root = KT_HANDLE(kpio_fuse_mount(channel, 0, "stateless,timeout=600"));
    kt_init_mount(channel);
}

// The next driver gets what the last one has had kept.
static void start(void) {
    kpio_handle kept = kt_init_kept();
    if (kept > 0 && driver.state > 0) kt_close(driver.state);
    if (kept > 0) driver.state = kept;
    KT_EQUAL(kt_driver_start(&driver), 0);
}

static void finish(void) {
    kt_close(root);
    kt_close(channel);
    KT_EQUAL(kt_driver_kill(&driver), 0);
    kpio_handle kept = kt_init_kept();
    if (kept > 0) kt_close(kept);
    if (driver.state > 0) kt_close(driver.state);
    driver.state = KPIO_HANDLE_NONE;
    KT_EQUAL(kt_init_stop(), 0);
}

// The first case: the host has not been asked INIT yet, so it knows nothing of what this driver was told of.
KT_TEST(a_session_that_the_host_does_not_know_begins_anew) {
    struct {
        uint32_t version, agreed;
        struct fuse_init_out init;
    } state = {1, 1, {.major = FUSE_MAJOR, .minor = FUSE_MINOR, .max_write = 4096}};
    char text[8];
    begin();
    driver.state = KT_HANDLE(kpio_vmo_create(4096, 0));
    KT_OK(kpio_vmo_write(driver.state, 0, &state, sizeof state));
    start();
    KT_EQUAL(kt_init_fresh(), 1);
    KT_OK(file_save(root, "begun", "anew", 4));
    KT_EQUAL(file_load(root, "begun", text, sizeof text), 4);
    finish();
}

struct worker {
    struct thread thread;
    unsigned number;
    uint32_t stop;
    uint64_t rounds;
    uint8_t written[BYTES], read[BYTES];
};
static struct worker workers[WORKERS];

// What is open is written, made durable, and read through another open, which does not find it cached. None of it fails. EXDEV: what
// came is something else.
static int64_t one_round(struct worker *w, kpio_handle file, const char *name) {
    memset(w->written, (int)(w->rounds + w->number), BYTES);
    int64_t error = file_write_all(file, w->written, BYTES, 0);
    if (error >= 0) error = kpio_file_sync(file, 0);
    int64_t again = error < 0 ? error : file_open(root, name, 0, KPIO_RIGHT_READ);
    if (again < 0) return again;
    error = file_read_all((kpio_handle)again, w->read, BYTES, 0);
    (void)kpio_handle_close((uint64_t)again);
    if (error == BYTES && memcmp(w->written, w->read, BYTES) != 0) return -EXDEV;
    return error < 0 ? error : error == BYTES ? 0 : -ENODATA;
}

static int64_t work(void *arg) {
    struct worker *w = arg;
    char name[16];
    (void)fmt_print(name, sizeof name, "kept%u", w->number);
    int64_t file = file_open(root, name, 0, RW), error = file < 0 ? file : 0;
    for (; error == 0 && (w->rounds == 0 || __atomic_load_n(&w->stop, __ATOMIC_ACQUIRE) == 0); w->rounds++)
        error = one_round(w, (kpio_handle)file, name);
    if (file > 0) (void)kpio_handle_close((uint64_t)file);
    return error;
}

KT_TEST(what_is_open_outlives_the_driver) {
    uint64_t rounds = 0;
    char name[16];
    begin();
    start();
    for (unsigned i = 0; i < WORKERS; i++) {
        (void)fmt_print(name, sizeof name, "kept%u", i);
        KT_OK(file_save(root, name, "", 0));
    }
    for (unsigned i = 0; i < WORKERS; i++) {
        workers[i].number = i;
        workers[i].stop = 0;
        workers[i].rounds = 0;
        KT_EQUAL(thread_spawn(&workers[i].thread, "worker", work, &workers[i], NULL, 0), 0);
    }
    for (unsigned kills = 0; kills < (kt_long() ? 1000u : 20u); kills++) {
        time_sleep_ms(kt_random() % 20);
        KT_EQUAL(kt_driver_kill(&driver), 0);
        start();
    }
    for (unsigned i = 0; i < WORKERS; i++) {
        int64_t result;
        __atomic_store_n(&workers[i].stop, 1, __ATOMIC_RELEASE);
        KT_EQUAL(thread_join(&workers[i].thread, &result), 0);
        KT_EQUAL(result, 0);
        KT_CHECK(workers[i].rounds > 0);
        rounds += workers[i].rounds;
    }
    KT_EQUAL(kt_init_fresh(), 1);  // the first
    kt_note("%lu rounds", (unsigned long)rounds);
    finish();
}

struct renamer {
    struct thread thread;
    uint32_t stop;
    uint64_t done, lost;
};

static bool is_there(const char *name) {
    struct kpio_stat stat;
    return kpio_path_stat(root, name, 0, &stat) == 0;
}

static int64_t rename_on(void *arg) {
    struct renamer *r = arg;
    const char *from = "here", *to = "there";
    while (__atomic_load_n(&r->stop, __ATOMIC_ACQUIRE) == 0) {
        int64_t error = kpio_path_rename(root, from, root, to, 0);
        if (error != 0 && error != -ENOTCONN) return error;
        if (error == 0) r->done++;
        else r->lost++;
        bool old = is_there(from), new = is_there(to);
        if (old == new || (error == 0 && old)) return -EXDEV;
        if (old) continue;
        const char *other = from;
        from = to;
        to = other;
    }
    return 0;
}

// Names: the answer of what was under way may be lost with the driver. It was done or not, and nothing in between.
KT_TEST(names_are_changed_or_not) {
    static struct renamer r;
    int64_t result;
    r = (struct renamer){0};
    begin();
    start();
    KT_OK(file_save(root, "here", "x", 1));
    if (is_there("there")) KT_OK(kpio_path_unlink(root, "there", 0));
    KT_EQUAL(thread_spawn(&r.thread, "renamer", rename_on, &r, NULL, 0), 0);
    for (unsigned kills = 0; kills < (kt_long() ? 500u : 10u); kills++) {
        time_sleep_ms(kt_random() % 20);
        KT_EQUAL(kt_driver_kill(&driver), 0);
        start();
    }
    __atomic_store_n(&r.stop, 1, __ATOMIC_RELEASE);
    KT_EQUAL(thread_join(&r.thread, &result), 0);
    KT_EQUAL(result, 0);
    kt_note("%lu done, %lu lost", (unsigned long)r.done, (unsigned long)r.lost);
    finish();
}
