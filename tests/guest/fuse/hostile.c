// Drivers that lie, hang, die, or use their own mount: what comes of that is errors for who uses the mount.
#include "tests/guest/fuse/flawed.h"
#include "tests/guest/fuse/fuse.h"

// ---- drivers of the suite's own -----------------------------------------------------------------------------------------------

static const char *own_flaw(void) {
    const char *name = startup_page()->text;  // the program; its first argument says which
    return name + strlen(name) + 1;
}

int64_t flawed_result(int64_t result) {
    if (result == FLAWED_HANGS) time_sleep_ms(1000000);
    return result == FLAWED_SILENT ? FUSE_REPLY_NONE : result;
}

static int64_t answer_flawed(struct fuse_driver *driver, const struct fuse_call *call) {
    (void)driver;
    return flawed_result(flawed_answer(own_flaw(), &(struct flawed_call){call->header, call->body, call->reply}));
}

static int64_t run_flawed(void) {
    struct fuse_driver d = {.channel = startup_handle("fuse"), .answer = answer_flawed};
    (void)fuse_run(&d);
    return 0;
}

#define FLAW(name) KT_CHILD(name) { return run_flawed(); }
FLAW(huge_size) FLAW(no_type) FLAW(bad_time) FLAW(root_below) FLAW(itself) FLAW(short_entry) FLAW(long_entry) FLAW(odd_error)
FLAW(remote_error) FLAW(slash) FLAW(nul) FLAW(endless) FLAW(name_length) FLAW(other_type) FLAW(too_much) FLAW(wrote_more)
FLAW(hangs) FLAW(honest) FLAW(wrote_nothing)

// ---- what comes of it -------------------------------------------------------------------------------------------------------

static void end_flawed(struct mounted *m) {
    mounted_kill(m);
    mounted_end(m);
}

KT_TEST(an_honest_driver_of_that_kind_works) {
    struct mounted m;
    char text[128];
    mounted_begin_child(&m, "honest", NULL);
    KT_EQUAL(stat_of(m.root, "file").size, 100);
    KT_EQUAL(file_load(m.root, "file", text, sizeof text), 100);
    KT_EQUAL(text[99], 'x');
    KT_EQUAL(count_entries(m.root), 3);
    KT_EQUAL(stat_of(m.root, "dir/file").size, 100);
    end_flawed(&m);
}

KT_TEST(answers_that_cannot_be) {
    static const char *const flaws[] = {"huge_size", "no_type", "bad_time", "root_below",
                                        "short_entry", "long_entry", "odd_error", "remote_error"};
    for (unsigned i = 0; i < sizeof flaws / sizeof flaws[0]; i++) {
        struct mounted m;
        struct kpio_stat stat;
        mounted_begin_child(&m, flaws[i], NULL);
        int64_t error = kpio_path_stat(m.root, "file", 0, &stat);
        if (error != -EIO) kt_fail(__FILE__, __LINE__, "%s: stat is %ld", flaws[i], (long)error);
        KT_ERROR(file_open(m.root, "file", 0, KPIO_RIGHT_READ), EIO);
        KT_ERROR(kpio_path_stat(m.root, "none", 0, &stat), ENOENT);
        end_flawed(&m);
    }
}

KT_TEST(directories_that_cannot_be) {
    static const char *const flaws[] = {"slash", "nul", "name_length", "endless"};
    for (unsigned i = 0; i < sizeof flaws / sizeof flaws[0]; i++) {
        struct mounted m;
        struct directory_reader r;
        const struct kpio_directory_entry *entry;
        int64_t more;
        mounted_begin_child(&m, flaws[i], NULL);
        directory_rewind(&r, m.root);
        while ((more = directory_next(&r, &entry)) > 0) KT_CHECK(entry->name[0] == '.');
        if (more != -EIO) kt_fail(__FILE__, __LINE__, "%s: %ld", flaws[i], (long)more);
        end_flawed(&m);
    }
}

KT_TEST(a_directory_does_not_lie_in_itself) {
    struct mounted m;
    struct kpio_stat stat;
    mounted_begin_child(&m, "itself", NULL);
    KT_ERROR(kpio_path_stat(m.root, "dir/dir", 0, &stat), EIO);
    KT_ERROR(kpio_path_stat(m.root, "dir/dir/dir", 0, &stat), EIO);
    end_flawed(&m);
    // Nor in two places: it moves to where it was seen last, but not below itself.
    mounted_begin_child(&m, "honest", NULL);
    KT_ERROR(kpio_path_stat(m.root, "dir/dir", 0, &stat), EIO);
    end_flawed(&m);
}

KT_TEST(a_file_does_not_become_a_directory) {
    struct mounted m;
    mounted_begin_child(&m, "other_type", NULL);
    KT_ERROR(file_open(m.root, "file", 0, KPIO_RIGHT_READ), EIO);  // which asks for the attributes once more
    end_flawed(&m);
}

KT_TEST(data_that_cannot_be) {
    struct mounted m;
    char byte = 0;
    mounted_begin_child(&m, "too_much", NULL);
    kpio_handle file = open_file(m.root, "file", 0, KPIO_RIGHT_READ);
    KT_ERROR(kpio_file_read(file, &byte, 1, 0), EIO);
    kt_close(file);
    end_flawed(&m);
    static const char *const flaws[] = {"wrote_more", "wrote_nothing"};
    for (unsigned i = 0; i < 2; i++) {
        mounted_begin_child(&m, flaws[i], NULL);
        file = open_file(m.root, "file", 0, RW);
        KT_ERROR(kpio_file_write(file, &byte, 1, 0, 0), EIO);
        kt_close(file);
        end_flawed(&m);
    }
}

// ---- hanging ------------------------------------------------------------------------------------------------------------------

KT_TEST(a_hanging_driver_is_given_up) {
    struct mounted m;
    struct kpio_stat stat;
    mounted_begin_child(&m, "hangs", "timeout=1");
    mounted_ready(&m);
    uint64_t start = time_now();
    KT_ERROR(kpio_path_stat(m.root, "file", 0, &stat), ETIMEDOUT);
    KT_CHECK(time_now() - start >= 1000000000);
    const uint64_t requests = mounted_info(&m).requests;
    KT_ERROR(kpio_path_stat(m.root, "file", 0, &stat), ENOTCONN);  // at once: nobody waits for it a second time
    KT_ERROR(file_open(m.root, "file", 0, KPIO_RIGHT_READ), ENOTCONN);
    KT_EQUAL(mounted_info(&m).requests, requests);
    KT_EQUAL(mounted_info(&m).timeouts, 1);
    KT_EQUAL(mounted_info(&m).state, KPIO_FUSE_GONE);
    end_flawed(&m);
}

static int64_t stat_in(void *root) {
    struct kpio_stat stat;
    return kpio_path_stat(*(kpio_handle *)root, "file", 0, &stat);
}

KT_CHILD(asker) {
    kpio_handle root = startup_handle("root");
    return stat_in(&root);
}

// One waits for the driver, others for it; all can be killed at once, long before any deadline.
KT_TEST(who_waits_for_a_hanging_driver_can_be_killed) {
    struct mounted m;
    kpio_handle askers[4];
    mounted_begin_child(&m, "hangs", "timeout=600");
    const struct process_grant grants[] = {{"root", m.root, KPIO_RIGHTS_SAME, KPIO_SEND_COPY}};
    for (unsigned i = 0; i < 4; i++) askers[i] = kt_spawn("asker", grants, 1);
    time_sleep_ms(200);
    for (unsigned i = 0; i < 4; i++) {
        KT_OK(kpio_process_kill(askers[i], 9));
        KT_EQUAL(kt_wait(askers[i]), 9);
    }
    KT_CHECK(mounted_info(&m).sent <= 4);
    end_flawed(&m);
}

// ---- its own mount ------------------------------------------------------------------------------------------------------------

static kpio_handle own_root;

static int64_t asks_itself(struct fuse_driver *driver, const struct fuse_call *call) {
    struct kpio_stat stat;
    if (call->header->opcode != FUSE_LOOKUP) return answer_flawed(driver, call);
    // What it gets is what it answers.
    return kpio_path_stat(own_root, "other", 0, &stat);
}

KT_CHILD(own_mount) {
    struct fuse_driver d = {.channel = startup_handle("fuse"), .answer = asks_itself};
    own_root = startup_handle("root");
    (void)fuse_run(&d);
    return 0;
}

KT_TEST(a_driver_gets_no_answer_from_itself) {
    if (mounted_in_wasm()) kt_skip("a driver in WebAssembly has no way to its own mount");
    struct mounted m = {.channel = KT_HANDLE(kpio_fuse_create())};
    struct kpio_stat stat;
    m.root = KT_HANDLE(kpio_fuse_mount(m.channel, 0, "timeout=600"));
    const struct process_grant grants[] = {{"fuse", KT_HANDLE(kpio_fuse_serve(m.channel)), KPIO_RIGHTS_SAME, KPIO_SEND_MOVE},
                                           {"root", m.root, KPIO_RIGHTS_SAME, KPIO_SEND_COPY}};
    m.process = kt_spawn("own_mount", grants, 2);
    KT_ERROR(kpio_path_stat(m.root, "file", 0, &stat), EDEADLK);
    end_flawed(&m);
}
