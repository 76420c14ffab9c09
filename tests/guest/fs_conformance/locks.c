// Advisory locks.
#include "tests/guest/fs_conformance/fs.h"

static int64_t lock(kpio_handle file, uint32_t flags, uint64_t start, uint64_t bytes, uint64_t deadline) {
    struct kpio_file_lock l = {.flags = flags, .start = start, .bytes = bytes};
    return kpio_file_lock(file, &l, deadline);
}
static struct kpio_file_lock test(kpio_handle file, uint32_t flags, uint64_t start, uint64_t bytes) {
    struct kpio_file_lock l = {.flags = flags | KPIO_LOCK_TEST, .start = start, .bytes = bytes};
    KT_OK(kpio_file_lock(file, &l, 0));
    return l;
}

KT_TEST(ranges_of_open_files) {
    kpio_handle dir = fs_begin();
    fs_write_text(dir, "file", "x");
    kpio_handle a = fs_open(dir, "file", 0, RW), b = fs_open(dir, "file", 0, RW), twin = KT_HANDLE(kpio_handle_dup(a, KPIO_RIGHTS_SAME));
    KT_OK(lock(a, KPIO_LOCK_EXCLUSIVE, 100, 100, 0));
    KT_ERROR(lock(b, KPIO_LOCK_EXCLUSIVE, 150, 10, 0), EAGAIN);
    KT_ERROR(lock(b, KPIO_LOCK_SHARED, 199, 1, 0), EAGAIN);
    KT_OK(lock(b, KPIO_LOCK_SHARED, 200, 0, 0));
    KT_OK(lock(twin, KPIO_LOCK_EXCLUSIVE, 150, 10, 0));  // one owner
    struct kpio_file_lock found = test(b, KPIO_LOCK_EXCLUSIVE, 0, 0);
    KT_CHECK((found.flags & KPIO_LOCK_KIND) == KPIO_LOCK_EXCLUSIVE && found.start == 100 && found.bytes == 100 && found.process == 0);
    KT_OK(lock(a, KPIO_LOCK_NONE, 120, 10, 0));  // cuts a hole
    KT_OK(lock(b, KPIO_LOCK_EXCLUSIVE, 120, 10, 0));
    KT_ERROR(lock(b, KPIO_LOCK_EXCLUSIVE, 119, 1, 0), EAGAIN);
    KT_ERROR(lock(b, KPIO_LOCK_EXCLUSIVE, 130, 1, 0), EAGAIN);
    KT_OK(lock(a, KPIO_LOCK_SHARED, 100, 20, 0));  // less than before
    KT_OK(lock(b, KPIO_LOCK_SHARED, 110, 5, 0));
    KT_ERROR(lock(a, KPIO_LOCK_EXCLUSIVE, 100, 20, 0), EAGAIN);
    KT_EQUAL(test(a, KPIO_LOCK_SHARED, 300, 1).flags & KPIO_LOCK_KIND, KPIO_LOCK_NONE);
    kt_close(b);
    KT_OK(lock(a, KPIO_LOCK_EXCLUSIVE, 0, 0, 0));
    kt_close(a);
    b = fs_open(dir, "file", 0, RW);
    KT_ERROR(lock(b, KPIO_LOCK_SHARED, 0, 1, 0), EAGAIN);  // the twin holds it
    kt_close(twin);
    KT_OK(lock(b, KPIO_LOCK_SHARED, 0, 1, 0));
    KT_ERROR(lock(b, 3, 0, 1, 0), EINVAL);
    KT_ERROR(lock(b, 1u << 9, 0, 1, 0), EINVAL);
    KT_ERROR(lock(b, KPIO_LOCK_SHARED, 10, UINT64_MAX, 0), EOVERFLOW);
    KT_ERROR(lock(b, KPIO_LOCK_WHOLE, 10, 0, 0), EINVAL);
    kt_close(b);
    fs_end();
}

KT_TEST(whole_files) {
    kpio_handle dir = fs_begin();
    fs_write_text(dir, "file", "x");
    kpio_handle a = fs_open(dir, "file", 0, RW), b = fs_open(dir, "file", 0, RW);
    KT_OK(lock(a, KPIO_LOCK_WHOLE | KPIO_LOCK_SHARED, 0, 0, 0));
    KT_OK(lock(b, KPIO_LOCK_WHOLE | KPIO_LOCK_SHARED, 0, 0, 0));
    KT_ERROR(lock(a, KPIO_LOCK_WHOLE | KPIO_LOCK_EXCLUSIVE, 0, 0, 0), EAGAIN);
    KT_OK(lock(b, KPIO_LOCK_WHOLE | KPIO_LOCK_NONE, 0, 0, 0));
    KT_OK(lock(a, KPIO_LOCK_WHOLE | KPIO_LOCK_EXCLUSIVE, 0, 0, 0));
    KT_ERROR(lock(b, KPIO_LOCK_WHOLE | KPIO_LOCK_SHARED, 0, 0, 0), EAGAIN);
    KT_OK(lock(b, KPIO_LOCK_EXCLUSIVE, 0, 0, 0));  // ranges are another name space
    KT_ERROR(lock(b, KPIO_LOCK_WHOLE | KPIO_LOCK_SHARED, 0, 0, time_after_ms(20)), ETIMEDOUT);
    kt_close(a);
    KT_OK(lock(b, KPIO_LOCK_WHOLE | KPIO_LOCK_SHARED, 0, 0, 0));
    kt_close(b);
    fs_end();
}

struct waiting {
    kpio_handle file;
    int64_t result;
};
static int64_t wait_for_lock(void *arg) {
    struct waiting *w = arg;
    w->result = lock(w->file, KPIO_LOCK_EXCLUSIVE, 0, 10, kt_soon());
    return 0;
}

KT_TEST(waiting_for_a_lock) {
    static struct thread thread;
    kpio_handle dir = fs_begin();
    fs_write_text(dir, "file", "x");
    kpio_handle a = fs_open(dir, "file", 0, RW), b = fs_open(dir, "file", 0, RW);
    struct waiting w = {.file = b};
    KT_OK(lock(a, KPIO_LOCK_EXCLUSIVE, 0, 0, 0));
    KT_EQUAL(thread_spawn(&thread, "waits", wait_for_lock, &w, NULL, 0), 0);
    kt_blocked(thread.handle);
    KT_OK(lock(a, KPIO_LOCK_NONE, 0, 0, 0));
    (void)thread_join(&thread, NULL);
    KT_EQUAL(w.result, 0);
    KT_ERROR(lock(a, KPIO_LOCK_SHARED, 5, 1, 0), EAGAIN);
    kt_close(b);
    // One whose handle is closed.
    w.file = fs_open(dir, "file", 0, RW);
    KT_OK(lock(a, KPIO_LOCK_EXCLUSIVE, 0, 0, 0));
    KT_EQUAL(thread_spawn(&thread, "waits", wait_for_lock, &w, NULL, 0), 0);
    kt_blocked(thread.handle);
    kt_close(w.file);
    (void)thread_join(&thread, NULL);
    KT_EQUAL(w.result, -ECANCELED);
    kt_close(a);
    fs_end();
}

KT_TEST(directories_have_locks) {
    kpio_handle dir = fs_begin();
    fs_mkdir(dir, "folder");
    kpio_handle a = fs_opendir(dir, "folder"), b = fs_opendir(dir, "folder"), twin = KT_HANDLE(kpio_handle_dup(a, KPIO_RIGHTS_SAME));
    KT_OK(lock(a, KPIO_LOCK_WHOLE | KPIO_LOCK_EXCLUSIVE, 0, 0, 0));
    KT_ERROR(lock(b, KPIO_LOCK_WHOLE | KPIO_LOCK_SHARED, 0, 0, 0), EAGAIN);
    KT_ERROR(lock(dir, KPIO_LOCK_WHOLE | KPIO_LOCK_PROCESS, 0, 0, 0), EINVAL);
    KT_OK(lock(b, KPIO_LOCK_SHARED | KPIO_LOCK_PROCESS, 5, 10, 0));
    struct kpio_file_lock found = test(a, KPIO_LOCK_EXCLUSIVE, 0, 0);
    KT_CHECK((found.flags & KPIO_LOCK_KIND) == KPIO_LOCK_SHARED && found.start == 5 && found.bytes == 10 && found.process != 0);
    kt_close(a);
    KT_EQUAL(test(twin, KPIO_LOCK_EXCLUSIVE, 0, 0).flags & KPIO_LOCK_KIND, KPIO_LOCK_NONE);  // of the process: gone with any handle
    KT_ERROR(lock(b, KPIO_LOCK_WHOLE | KPIO_LOCK_SHARED, 0, 0, 0), EAGAIN);
    kt_close(twin);
    KT_OK(lock(b, KPIO_LOCK_WHOLE | KPIO_LOCK_EXCLUSIVE, 0, 0, 0));
    kt_close(b);
    fs_end();
}

// ---- processes: two children with a directory each tell the parent by files what they did --------------------------------------

KT_CHILD(locks_and_ends) {
    kpio_handle file = (kpio_handle)file_open(startup_handle("dir"), "file", 0, RW);
    return lock(file, KPIO_LOCK_EXCLUSIVE | KPIO_LOCK_PROCESS, 0, 10, 0);
}

KT_TEST(locks_of_processes) {
    kpio_handle dir = fs_begin();
    fs_write_text(dir, "file", "x");
    kpio_handle a = fs_open(dir, "file", 0, RW), again = fs_open(dir, "file", 0, RW), b = fs_open(dir, "file", 0, RW);
    const struct process_grant grant = {"dir", dir, KPIO_RIGHTS_SAME, KPIO_SEND_COPY};
    KT_OK(lock(a, KPIO_LOCK_EXCLUSIVE | KPIO_LOCK_PROCESS, 0, 10, 0));
    KT_OK(lock(again, KPIO_LOCK_EXCLUSIVE | KPIO_LOCK_PROCESS, 5, 10, 0));  // the same owner
    struct kpio_file_lock found = test(b, KPIO_LOCK_SHARED, 0, 1);
    KT_CHECK(found.process != 0 && found.start == 0);
    KT_EQUAL(kt_wait(kt_spawn("locks_and_ends", &grant, 1)), -EAGAIN);
    kt_close(again);  // POSIX: with any of the process's handles on the file all its locks go
    KT_EQUAL(test(b, KPIO_LOCK_SHARED, 0, 0).flags & KPIO_LOCK_KIND, KPIO_LOCK_NONE);
    KT_EQUAL(kt_wait(kt_spawn("locks_and_ends", &grant, 1)), 0);
    KT_OK(lock(a, KPIO_LOCK_EXCLUSIVE | KPIO_LOCK_PROCESS, 0, 10, 0));  // a dead process's are gone
    kt_close(a);
    kt_close(b);
    fs_end();
}
