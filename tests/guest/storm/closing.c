// Handles that are closed on one CPU while others use them: an object that is on its way out is not brought back.
#include "tests/guest/kt/kt.h"
#include "user/libkpio/file.h"

enum { USERS = 3 };

static kpio_handle shared, other;  // what is used; a second handle of the pair
static volatile bool stop;

struct kind {
    const char *name;
    int64_t (*make)(void);
    void (*use)(kpio_handle h);
};

static int64_t make_vmo(void) { return kpio_vmo_create(4096, KPIO_VMO_RESIZABLE); }
static void use_vmo(kpio_handle h) {
    uint64_t word = 1;
    (void)kpio_vmo_write(h, 0, &word, 8);
    (void)kpio_vmo_resize(h, kt_random() % 4 * 4096 + 4096);
    int64_t copy = kpio_vmo_clone(h, 0, 0, 4096);
    if (copy > 0) (void)kpio_handle_close((uint64_t)copy);
}

static int64_t make_pipe(void) { return kpio_pipe_create(0, 4096, &other); }
static void use_pipe(kpio_handle h) {
    uint64_t word = 1;
    (void)kpio_pipe_read(h, &word, 8, KPIO_PIPE_NOWAIT, 0);
    (void)kpio_pipe_resize(h, kt_random() % 2 ? 65536 : 4096);
    (void)kpio_pipe_label(h, (const uint8_t *)&word, sizeof word);
}

static int64_t make_port(void) { return kpio_port_create(); }
static void use_port(kpio_handle h) {
    struct kpio_port_packet packet;
    for (unsigned i = 0; i < 40; i++) (void)kpio_port_post(h, i, 0);  // more than the first room
    (void)kpio_port_bind(h, kt_process(), KPIO_SIGNAL_TERMINATED, kt_random(), 0);
    (void)kpio_port_wait(h, &packet, 1, 0);
}

static int64_t make_job(void) {
    const struct kpio_job_limits limits = {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX};
    return kpio_job_create(kt_job(), &limits, (const uint8_t *)"closing", 7);
}
static void use_job(kpio_handle h) {
    const struct kpio_job_limits limits = {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX};
    int64_t below = kpio_job_create(h, &limits, (const uint8_t *)"below", 5);
    if (below > 0) (void)kpio_handle_close((uint64_t)below);
}

static int64_t make_process(void) { return kpio_process_create(kt_job(), 0, (const uint8_t *)"closing", 7, &other); }
static void use_process(kpio_handle h) {
    int64_t thread = kpio_thread_create(h, (const uint8_t *)"closing", 7);
    if (thread > 0) (void)kpio_handle_close((uint64_t)thread);
}
static int64_t make_aspace(void) {
    int64_t process = make_process();
    kpio_handle space = other;
    other = (kpio_handle)process;
    return process < 0 ? process : space;
}
static void use_aspace(kpio_handle h) {
    uint64_t info[6];
    (void)kpio_aspace_query(h, 0, info, 6);
    int64_t at = kpio_aspace_map(h, 0, 0, 4096, KPIO_MAP_RESERVE, 0);
    if (at > 0) (void)kpio_aspace_unmap(h, (uint64_t)at, 4096);
}

static int64_t make_event(void) { return kpio_event_create(); }
static void use_event(kpio_handle h) {
    (void)kpio_event_wait(h, 1, 0, time_now() + 5000);
    (void)kpio_event_signal(h, 1, 2);
}

static int64_t make_timer(void) { return kpio_timer_create(); }
static void use_timer(kpio_handle h) {
    (void)kpio_timer_set(h, time_now() + 1000, 1000);
    (void)kpio_timer_read(h, 0, time_now() + 5000);
}

static int64_t make_endpoint(void) { return kpio_endpoint_create(); }
static void use_endpoint(kpio_handle h) {
    if (kpio_ipc_call(h, KPIO_MESSAGE(1, 8, 0), time_now() + 5000) >= 0) return;
    if (kpio_ipc_receive(h, time_now() + 5000) < 0) return;
    int64_t reply = kpio_reply_save();
    if (reply > 0) (void)kpio_reply_send((kpio_handle)reply, KPIO_MESSAGE(2, 8, 0));
}

static int64_t make_thread(void) { return kpio_thread_create(kt_process(), (const uint8_t *)"closing", 7); }
static void use_thread(kpio_handle h) {
    struct kpio_thread_info info;
    (void)kpio_thread_info(h, &info);
    (void)kpio_thread_set_schedule(h, KPIO_SCHED_FAIR, 100, 0);
    (void)kpio_thread_kill(h);
}

static int64_t make_pool(void) { return kpio_wasm_pool_open(1 << 20, (const uint8_t *)"closing", 7); }
static void use_pool(kpio_handle h) {
    int64_t vmo = kpio_wasm_pool_vmo(h, 4096, 8192);
    if (vmo > 0) (void)kpio_handle_close((uint64_t)vmo);
}

static int64_t make_counter(void) { return kpio_counter_create(0, 0); }
static void use_counter(kpio_handle h) {
    uint64_t value;
    (void)kpio_counter_add(h, 1, 0, time_now() + 5000);
    (void)kpio_counter_read(h, &value, 0, time_now() + 5000);
}

static kpio_handle tree;  // a tmpfs

static int64_t make_file(void) { return file_open(tree, ".", KPIO_OPEN_TEMPORARY, KPIO_RIGHTS_SAME); }
static void use_file(kpio_handle h) {
    struct kpio_file_lock lock = {.flags = KPIO_LOCK_SHARED, .bytes = kt_random() % 100 + 1};
    uint64_t word = 1;
    (void)kpio_file_lock(h, &lock, 0);
    (void)kpio_file_write(h, &word, sizeof word, (int64_t)(kt_random() % 10000), 0);
    (void)kpio_file_resize(h, kt_random() % 10000);
}

static int64_t make_directory(void) { return directory_open(tree, "."); }
static void use_directory(kpio_handle h) {
    static const char *const names[] = {"a", "b", "c"};
    const char *name = names[kt_random() % 3];
    int64_t file = file_open(h, name, KPIO_OPEN_CREATE, KPIO_RIGHTS_SAME);
    (void)kpio_path_unlink(h, name, 0);
    if (file > 0) (void)kpio_handle_close((uint64_t)file);
}

static const struct kind *kind;

static int64_t use_often(void *arg) {
    while (!stop) {
        kpio_handle h = __atomic_load_n(&shared, __ATOMIC_RELAXED);
        if (h <= 0) continue;
        kind->use(h);
        int64_t copy = kpio_handle_dup(h, KPIO_RIGHTS_SAME);
        if (copy > 0) (void)kpio_handle_close((uint64_t)copy);
    }
    return 0;
}

// Without what is still on its way back.
static uint64_t kernel_bytes(void) {
    struct kpio_system_info system;
    struct kpio_job_info info;
    KT_EQUAL(kpio_system_info(kt_system(), &system), 0);
    KT_EQUAL(kpio_job_info(kt_job(), &info), 0);
    return info.used.kernel_bytes;
}

// What the case before left may take a while to go.
static uint64_t settled_bytes(void) {
    uint64_t bytes = kernel_bytes(), end = kt_soon();
    for (unsigned same = 0; same < 5 && time_now() < end; same++) {
        time_sleep_ms(1);
        uint64_t now = kernel_bytes();
        if (now != bytes) same = 0;
        bytes = now;
    }
    return bytes;
}

// What is charged for objects comes back: soon, as some of it is given back a grace period later.
static void expect_charge(uint64_t bytes) {
    uint64_t end = kt_soon();
    while (kernel_bytes() != bytes && time_now() < end) time_sleep_ms(1);
    KT_EQUAL(kernel_bytes(), bytes);
}

static void close_often(const struct kind *of) {
    static struct thread users[USERS];
    unsigned made = 0;
    kind = of;
    stop = false;
    shared = 0;
    for (unsigned i = 0; i < USERS; i++) KT_EQUAL(thread_spawn(&users[i], "user", use_often, NULL, NULL, 0), 0);
    for (uint64_t end = time_after_ms(kt_long() ? 20000 : 500); time_now() < end; made++) {
        other = 0;
        kpio_handle h = KT_HANDLE(kind->make());
        __atomic_store_n(&shared, h, __ATOMIC_RELAXED);
        for (uint64_t until = time_now() + kt_random() % 20000; time_now() < until;) continue;
        kt_close(h);
        if (other > 0) kt_close(other);
    }
    stop = true;
    for (unsigned i = 0; i < USERS; i++) KT_EQUAL(thread_join(&users[i], NULL), 0);
    kt_note("%u of kind %s", made, of->name);
}

static void close_while_used(const struct kind *of) {
    const uint64_t charged = settled_bytes();
    close_often(of);
    expect_charge(charged);
}

static void close_in_a_tree(const struct kind *of) {
    const uint64_t charged = settled_bytes();
    tree = KT_HANDLE(kpio_fs_mount("tmpfs", 0, 0, NULL));
    close_often(of);
    kt_close(tree);
    expect_charge(charged);
}

KT_TEST(closed_while_used_vmo) { close_while_used(&(struct kind){"vmo", make_vmo, use_vmo}); }
KT_TEST(closed_while_used_pipe) { close_while_used(&(struct kind){"pipe", make_pipe, use_pipe}); }
KT_TEST(closed_while_used_port) { close_while_used(&(struct kind){"port", make_port, use_port}); }
KT_TEST(closed_while_used_job) { close_while_used(&(struct kind){"job", make_job, use_job}); }
KT_TEST(closed_while_used_process) { close_while_used(&(struct kind){"process", make_process, use_process}); }
KT_TEST(closed_while_used_event) { close_while_used(&(struct kind){"event", make_event, use_event}); }
KT_TEST(closed_while_used_timer) { close_while_used(&(struct kind){"timer", make_timer, use_timer}); }
KT_TEST(closed_while_used_endpoint) { close_while_used(&(struct kind){"endpoint", make_endpoint, use_endpoint}); }
KT_TEST(closed_while_used_thread) { close_while_used(&(struct kind){"thread", make_thread, use_thread}); }
KT_TEST(closed_while_used_pool) { close_while_used(&(struct kind){"wasm_pool", make_pool, use_pool}); }
KT_TEST(closed_while_used_aspace) { close_while_used(&(struct kind){"aspace", make_aspace, use_aspace}); }
KT_TEST(closed_while_used_counter) { close_while_used(&(struct kind){"counter", make_counter, use_counter}); }

KT_TEST(closed_while_used_file) { close_in_a_tree(&(struct kind){"file", make_file, use_file}); }
KT_TEST(closed_while_used_directory) { close_in_a_tree(&(struct kind){"directory", make_directory, use_directory}); }
