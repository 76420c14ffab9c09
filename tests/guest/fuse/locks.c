// Locks that the driver serves: it has one file and a table of what is locked.
#include "tests/guest/fuse/fuse.h"

#define LOCKS_MAX 16u

enum { HONEST, IGNORES, LIES_IN_TYPE, LIES_IN_RANGE, LIES_IN_SIZE };

struct entry {
    uint64_t unique;               // of who waits for it; 0: it is locked
    struct fuse_lk_in in;
    bool used;
};
static struct entry table[LOCKS_MAX];
static unsigned mode, interrupts, flushes, releases;
static uint64_t flock_owner;       // of the last RELEASE that unlocks

static bool is_in_the_way(const struct entry *e, const struct fuse_lk_in *in) {
    if (!e->used || e->unique != 0 || e->in.owner == in->owner || (e->in.lk_flags ^ in->lk_flags) & FUSE_LK_FLOCK) return false;
    if (e->in.lk.start > in->lk.end || in->lk.start > e->in.lk.end) return false;
    return e->in.lk.type == FUSE_LOCK_WRITE || in->lk.type == FUSE_LOCK_WRITE;
}

static struct entry *find_conflict(const struct fuse_lk_in *in) {
    for (unsigned i = 0; i < LOCKS_MAX; i++)
        if (is_in_the_way(&table[i], in)) return &table[i];
    return NULL;
}

static int64_t note(const struct fuse_lk_in *in, uint64_t unique) {
    for (unsigned i = 0; i < LOCKS_MAX; i++) {
        if (table[i].used) continue;
        table[i] = (struct entry){unique, *in, true};
        return unique != 0 ? FUSE_REPLY_NONE : 0;
    }
    return -ENOSPC;
}

static void grant_waiting(struct fuse_driver *d) {
    for (unsigned i = 0; i < LOCKS_MAX; i++) {
        struct entry *e = &table[i];
        if (!e->used || e->unique == 0 || find_conflict(&e->in) != NULL) continue;
        uint64_t unique = e->unique;
        e->unique = 0;
        (void)answer_late(d, unique, 0, NULL, 0);
    }
}

// As whole locks: the cases unlock what they locked, or all of an owner's.
static void unlock(struct fuse_driver *d, uint64_t owner, uint32_t lk_flags, uint64_t start, uint64_t end) {
    for (unsigned i = 0; i < LOCKS_MAX; i++) {
        struct entry *e = &table[i];
        bool same = e->used && e->unique == 0 && e->in.owner == owner && e->in.lk_flags == lk_flags;
        if (same && e->in.lk.start >= start && e->in.lk.end <= end) e->used = false;
    }
    grant_waiting(d);
}

static int64_t get_lock(const struct fuse_lk_in *in, struct fuse_lk_out *out) {
    const struct entry *e = find_conflict(in);
    *out = (struct fuse_lk_out){.lk.type = FUSE_LOCK_NONE};
    if (e != NULL) out->lk = e->in.lk;
    if (mode == LIES_IN_TYPE) out->lk.type = 7;
    if (mode == LIES_IN_RANGE) out->lk = (struct fuse_file_lock){10, 5, FUSE_LOCK_READ, 1};
    return mode == LIES_IN_SIZE ? (int64_t)sizeof *out - 1 : (int64_t)sizeof *out;
}

static int64_t set_lock(struct fuse_driver *d, const struct fuse_call *call) {
    const struct fuse_lk_in *in = call->body;
    if (mode == LIES_IN_SIZE) return 8;
    if (in->fh != PLAIN_HANDLE) return -EIO;
    if (in->lk.type == FUSE_LOCK_NONE) {
        unlock(d, in->owner, in->lk_flags, in->lk.start, in->lk.end);
        return 0;
    }
    if (find_conflict(in) == NULL) return note(in, 0);
    return call->header->opcode == FUSE_SETLKW ? note(in, call->header->unique) : -EAGAIN;
}

static void interrupted(struct fuse_driver *d, uint64_t unique) {
    interrupts++;
    for (unsigned i = 0; i < LOCKS_MAX && mode != IGNORES; i++) {
        if (!table[i].used || table[i].unique != unique) continue;
        table[i].used = false;
        (void)answer_late(d, unique, -EINTR, NULL, 0);
    }
}

static unsigned count(bool waiting) {
    unsigned n = 0;
    for (unsigned i = 0; i < LOCKS_MAX; i++) n += table[i].used && (table[i].unique != 0) == waiting;
    return n;
}

static bool set_mode(const char *name) {
    static const char *const modes[] = {"honest", "ignores", "type", "range", "size"};
    for (unsigned i = 0; i < 5; i++) {
        if (strcmp(name, modes[i]) != 0) continue;
        mode = i;
        return true;
    }
    return false;
}

static bool is_so(const char *name) {
    if (strcmp(name, "waits") == 0) return count(true) != 0;
    if (strcmp(name, "none waits") == 0) return count(true) == 0;
    if (strcmp(name, "none held") == 0) return count(false) == 0;
    if (strcmp(name, "one held") == 0) return count(false) == 1;
    if (strcmp(name, "interrupted") == 0) return interrupts != 0;
    if (strcmp(name, "flushed") == 0) return flushes != 0;
    return strcmp(name, "flock released") == 0 ? flock_owner != 0 : set_mode(name);
}

static int64_t serves_locks(struct fuse_driver *d, const struct fuse_call *call) {
    static const struct plain_file file = {.size = 4096, .is_so = is_so};
    const struct fuse_release_in *release = call->body;
    int64_t result = plain_answer(&file, call);
    if (result != PLAIN_NOT) return result;
    switch (call->header->opcode) {
    case FUSE_GETLK: return get_lock(call->body, (struct fuse_lk_out *)call->reply);
    case FUSE_SETLK:
    case FUSE_SETLKW: return set_lock(d, call);
    case FUSE_FLUSH:
        flushes++;
        unlock(d, ((const struct fuse_flush_in *)call->body)->lock_owner, 0, 0, UINT64_MAX);
        return 0;
    case FUSE_RELEASE:
        releases++;
        if (!(release->release_flags & FUSE_RELEASE_FLOCK_UNLOCK)) return 0;
        flock_owner = release->lock_owner;
        unlock(d, flock_owner, FUSE_LK_FLOCK, 0, UINT64_MAX);
        return 0;
    default: return -ENOSYS;
    }
}

static int64_t run_with(uint32_t flags) {
    struct fuse_driver d = {.channel = startup_handle("fuse"), .flags = flags, .answer = serves_locks, .interrupted = interrupted};
    (void)fuse_run(&d);
    return 0;
}

KT_CHILD(serves_locks) { return run_with(FUSE_POSIX_LOCKS | FUSE_FLOCK_LOCKS); }
KT_CHILD(serves_no_locks) { return run_with(0); }

// ---- users ------------------------------------------------------------------------------------------------------------------

static int64_t lock(kpio_handle file, uint32_t flags, uint64_t start, uint64_t bytes, uint64_t deadline) {
    struct kpio_file_lock l = {.flags = flags, .start = start, .bytes = bytes};
    return kpio_file_lock(file, &l, deadline);
}

// Two open files.
static void begin(struct mounted *m, kpio_handle *a, kpio_handle *b) {
    mounted_begin_native(m, "serves_locks", NULL);
    *a = open_file(m->root, "file", 0, RW);
    *b = open_file(m->root, "file", 0, RW);
}

static void end(struct mounted *m, kpio_handle a, kpio_handle b) {
    kt_close(a);
    kt_close(b);
    mounted_end(m);
}

struct waiter {
    struct thread thread;
    kpio_handle file;
    uint32_t flags;
    uint64_t deadline;
    int64_t result;
};

static int64_t wait_for_lock(void *arg) {
    struct waiter *w = arg;
    w->result = lock(w->file, w->flags, 0, w->flags & KPIO_LOCK_WHOLE ? 0 : 10, w->deadline);
    return 0;
}

static void start_waiting(const struct mounted *m, struct waiter *w, kpio_handle file, uint32_t flags) {
    *w = (struct waiter){.file = file, .flags = flags | KPIO_LOCK_EXCLUSIVE, .deadline = KPIO_TIME_NEVER};
    KT_EQUAL(thread_spawn(&w->thread, "waiter", wait_for_lock, w, NULL, 0), 0);
    await_driver(m, "waits");
}

static void end_waiting(struct waiter *w, int64_t result) {
    KT_EQUAL(thread_join(&w->thread, NULL), 0);
    KT_EQUAL(w->result, result);
}

KT_TEST(a_driver_grants_and_refuses_locks) {
    struct mounted m;
    struct kpio_file_lock l = {.flags = KPIO_LOCK_EXCLUSIVE | KPIO_LOCK_TEST};
    kpio_handle a, b;
    begin(&m, &a, &b);
    KT_OK(lock(a, KPIO_LOCK_EXCLUSIVE | KPIO_LOCK_PROCESS, 100, 100, 0));
    KT_ERROR(lock(b, KPIO_LOCK_SHARED, 150, 10, 0), EAGAIN);
    KT_OK(lock(b, KPIO_LOCK_SHARED, 200, 0, 0));
    KT_OK(kpio_file_lock(b, &l, 0));
    KT_CHECK((l.flags & KPIO_LOCK_KIND) == KPIO_LOCK_EXCLUSIVE && l.start == 100 && l.bytes == 100 && l.process != 0);
    l = (struct kpio_file_lock){.flags = KPIO_LOCK_EXCLUSIVE | KPIO_LOCK_PROCESS | KPIO_LOCK_TEST};
    KT_OK(kpio_file_lock(a, &l, 0));
    KT_CHECK((l.flags & KPIO_LOCK_KIND) == KPIO_LOCK_SHARED && l.start == 200 && l.bytes == 0);
    l = (struct kpio_file_lock){.flags = KPIO_LOCK_SHARED | KPIO_LOCK_TEST, .start = 300};
    KT_OK(kpio_file_lock(a, &l, 0));
    KT_EQUAL(l.flags & KPIO_LOCK_KIND, KPIO_LOCK_NONE);
    KT_OK(lock(a, KPIO_LOCK_EXCLUSIVE | KPIO_LOCK_WHOLE, 0, 0, 0));
    KT_ERROR(lock(b, KPIO_LOCK_SHARED | KPIO_LOCK_WHOLE, 0, 0, 0), EAGAIN);
    KT_ERROR(lock(b, KPIO_LOCK_SHARED | KPIO_LOCK_WHOLE | KPIO_LOCK_TEST, 0, 0, 0), EOPNOTSUPP);
    KT_ERROR(lock(b, KPIO_LOCK_SHARED, 1ull << 63, 1, 0), EOVERFLOW);
    KT_OK(lock(a, KPIO_LOCK_NONE | KPIO_LOCK_WHOLE, 0, 0, 0));
    KT_OK(lock(b, KPIO_LOCK_NONE, 0, 0, 0));
    await_driver(&m, "one held");
    kt_close(a);
    kt_close(b);
    await_driver(&m, "none held");
    mounted_end(&m);
}

KT_TEST(locks_stay_here_without_the_flags) {
    struct mounted m;
    mounted_begin_native(&m, "serves_no_locks", NULL);
    kpio_handle a = open_file(m.root, "file", 0, RW), b = open_file(m.root, "file", 0, RW);
    KT_OK(lock(a, KPIO_LOCK_EXCLUSIVE, 0, 0, 0));
    KT_ERROR(lock(b, KPIO_LOCK_SHARED, 0, 0, 0), EAGAIN);
    KT_OK(lock(a, KPIO_LOCK_EXCLUSIVE | KPIO_LOCK_WHOLE, 0, 0, 0));
    KT_ERROR(ask_driver(&m, "one held"), EBUSY);
    KT_ERROR(ask_driver(&m, "none held"), ENOENT);
    end(&m, a, b);
}

KT_TEST(a_lock_is_waited_for_at_the_driver) {
    static struct waiter w;
    struct mounted m;
    kpio_handle a, b;
    begin(&m, &a, &b);
    for (unsigned i = 0; i < 2; i++) {
        uint32_t whole = i != 0 ? KPIO_LOCK_WHOLE : 0;
        KT_OK(lock(a, KPIO_LOCK_EXCLUSIVE | whole, 0, 0, 0));
        start_waiting(&m, &w, b, whole);
        KT_OK(lock(a, KPIO_LOCK_NONE | whole, 0, 0, 0));
        end_waiting(&w, 0);
        KT_ERROR(lock(a, KPIO_LOCK_SHARED | whole, 0, 0, 0), EAGAIN);
        KT_OK(lock(b, KPIO_LOCK_NONE | whole, 0, 0, 0));
    }
    await_driver(&m, "none held");
    KT_OK(lock(a, KPIO_LOCK_EXCLUSIVE, 0, 0, 0));
    KT_ERROR(lock(b, KPIO_LOCK_EXCLUSIVE, 0, 0, time_after_ms(20)), ETIMEDOUT);
    await_driver(&m, "none waits");
    KT_EQUAL(mounted_info(&m).state, KPIO_FUSE_READY);
    end(&m, a, b);
}

KT_TEST(who_waits_for_a_lock_is_ended) {
    static struct waiter w;
    struct mounted m;
    kpio_handle a, b;
    begin(&m, &a, &b);
    KT_OK(lock(a, KPIO_LOCK_EXCLUSIVE, 0, 0, 0));
    start_waiting(&m, &w, b, 0);
    KT_OK(kpio_thread_interrupt(w.thread.handle, 1));
    end_waiting(&w, -EINTR);
    KT_ERROR(ask_driver(&m, "none waits"), ENOENT);
    start_waiting(&m, &w, b, 0);
    kt_close(b);
    end_waiting(&w, -ECANCELED);
    await_driver(&m, "none waits");
    b = open_file(m.root, "file", 0, RW);
    start_waiting(&m, &w, b, 0);
    KT_OK(kpio_thread_kill(w.thread.handle));
    KT_EQUAL(thread_join(&w.thread, NULL), 0);
    await_driver(&m, "none waits");
    await_driver(&m, "one held");
    kt_close(a);
    kt_close(b);
    await_driver(&m, "none held");
    mounted_end(&m);
}

// The driver grants it when nobody is there any more who would unlock it.
KT_TEST(a_lock_that_comes_too_late_is_given_back) {
    static struct waiter w;
    struct mounted m;
    kpio_handle a, b;
    begin(&m, &a, &b);
    KT_ERROR(ask_driver(&m, "ignores"), ENOENT);
    for (unsigned i = 0; i < 2; i++) {
        uint32_t whole = i != 0 ? KPIO_LOCK_WHOLE : 0;
        KT_OK(lock(a, KPIO_LOCK_EXCLUSIVE | whole, 0, 0, 0));
        start_waiting(&m, &w, b, whole);
        KT_OK(kpio_thread_kill(w.thread.handle));
        KT_EQUAL(thread_join(&w.thread, NULL), 0);
        await_driver(&m, "interrupted");
        KT_ERROR(ask_driver(&m, "waits"), ENOENT);
        KT_OK(lock(a, KPIO_LOCK_NONE | whole, 0, 0, 0));
        await_driver(&m, "none waits");
        await_driver(&m, "none held");
    }
    end(&m, a, b);
}

KT_TEST(locks_end_with_their_driver) {
    static struct waiter w;
    struct mounted m;
    kpio_handle a, b;
    begin(&m, &a, &b);
    KT_OK(lock(a, KPIO_LOCK_EXCLUSIVE, 0, 0, 0));
    start_waiting(&m, &w, b, 0);
    mounted_kill(&m);
    end_waiting(&w, -ENOTCONN);
    KT_ERROR(lock(b, KPIO_LOCK_EXCLUSIVE, 0, 0, 0), ENOTCONN);
    mounted_start_child(&m, "serves_locks");
    await_driver(&m, "none held");
    KT_ERROR(lock(b, KPIO_LOCK_EXCLUSIVE, 0, 0, 0), ESTALE);
    kpio_handle c = open_file(m.root, "file", 0, RW);
    KT_OK(lock(c, KPIO_LOCK_EXCLUSIVE, 0, 0, 0));
    kt_close(a);
    kt_close(b);
    KT_ERROR(ask_driver(&m, "one held"), ENOENT);
    kt_close(c);
    mounted_end(&m);
}

KT_TEST(a_driver_lies_about_locks) {
    struct mounted m;
    struct kpio_file_lock l;
    static const char *const lies[] = {"type", "range", "size"};
    mounted_begin_native(&m, "serves_locks", NULL);
    kpio_handle a = open_file(m.root, "file", 0, RW);
    for (unsigned i = 0; i < 3; i++) {
        l = (struct kpio_file_lock){.flags = KPIO_LOCK_EXCLUSIVE | KPIO_LOCK_TEST};
        KT_ERROR(ask_driver(&m, lies[i]), ENOENT);
        KT_ERROR(kpio_file_lock(a, &l, 0), EIO);
    }
    KT_ERROR(lock(a, KPIO_LOCK_EXCLUSIVE, 0, 0, 0), EIO);
    KT_ERROR(lock(a, KPIO_LOCK_EXCLUSIVE | KPIO_LOCK_PROCESS, 0, 0, KPIO_TIME_NEVER), EIO);
    KT_ERROR(ask_driver(&m, "honest"), ENOENT);
    KT_OK(lock(a, KPIO_LOCK_EXCLUSIVE, 0, 0, 0));
    kt_close(a);
    mounted_end(&m);
}

KT_CHILD(locks_a_range) {
    kpio_handle file = (kpio_handle)file_open(startup_handle("dir"), "file", 0, RW);
    return lock(file, KPIO_LOCK_EXCLUSIVE | KPIO_LOCK_PROCESS, 0, 10, 0);
}

KT_TEST(the_driver_learns_of_an_owners_end) {
    struct mounted m;
    mounted_begin_native(&m, "serves_locks", NULL);
    const struct process_grant grant = {"dir", m.root, KPIO_RIGHTS_SAME, KPIO_SEND_COPY};
    kpio_handle a = open_file(m.root, "file", 0, RW), twin = KT_HANDLE(kpio_handle_dup(a, KPIO_RIGHTS_SAME));
    KT_OK(lock(a, KPIO_LOCK_EXCLUSIVE | KPIO_LOCK_PROCESS, 0, 10, 0));
    KT_EQUAL(kt_wait(kt_spawn("locks_a_range", &grant, 1)), -EAGAIN);
    kt_close(twin);  // POSIX: any handle of the process's
    await_driver(&m, "flushed");
    await_driver(&m, "none held");
    KT_EQUAL(kt_wait(kt_spawn("locks_a_range", &grant, 1)), 0);
    await_driver(&m, "none held");  // with the process
    twin = KT_HANDLE(kpio_handle_dup(a, KPIO_RIGHTS_SAME));
    KT_OK(lock(a, KPIO_LOCK_EXCLUSIVE | KPIO_LOCK_WHOLE, 0, 0, 0));
    kt_close(a);
    KT_ERROR(ask_driver(&m, "one held"), ENOENT);  // the open file is its owner
    kt_close(twin);
    await_driver(&m, "flock released");
    await_driver(&m, "none held");
    mounted_end(&m);
}
