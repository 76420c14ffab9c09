// Locks of files whose driver serves them: fcntl and flock of programs on a mount of libfuse, which has a table of all locks. How it
// stands is asked by names that are there when it is so.
// links: fuse3
#include "tests/linux/lt.h"

#include <sys/file.h>

#define FUSE_USE_VERSION 31
#include <fuse3/fuse_lowlevel.h>

#include "tests/linux/host.h"

// ---- the driver ---------------------------------------------------------------------------------------------------------------

enum { NODE = 2, SIZE = 4096, LOCKS_MAX = 32 };

struct lock {
    int used, whole, type;        // whole: of flock
    uint64_t owner;
    off_t start, last;
    pid_t pid;
    fuse_req_t waits;             // NULL: it is held
};
static struct lock table[LOCKS_MAX];

static int is_in_the_way(const struct lock *l, const struct lock *wanted) {
    if (!l->used || l->waits != NULL || l->owner == wanted->owner || l->whole != wanted->whole) return 0;
    return l->start <= wanted->last && wanted->start <= l->last && (l->type == F_WRLCK || wanted->type == F_WRLCK);
}

static struct lock *conflict_of(const struct lock *wanted) {
    for (unsigned i = 0; i < LOCKS_MAX; i++)
        if (is_in_the_way(&table[i], wanted)) return &table[i];
    return NULL;
}

static int enter(const struct lock *l) {
    for (unsigned i = 0; i < LOCKS_MAX; i++) {
        if (table[i].used) continue;
        table[i] = *l;
        table[i].used = 1;
        return 0;
    }
    return ENOLCK;
}

static void grant(void) {
    for (unsigned i = 0; i < LOCKS_MAX; i++) {
        struct lock *l = &table[i];
        if (!l->used || l->waits == NULL || conflict_of(l) != NULL) continue;
        fuse_req_t req = l->waits;
        l->waits = NULL;
        fuse_req_interrupt_func(req, NULL, NULL);
        fuse_reply_err(req, 0);
    }
}

// The cases unlock what they locked, or all of an owner's.
static void unlock(uint64_t owner, int whole, off_t start, off_t last) {
    for (unsigned i = 0; i < LOCKS_MAX; i++) {
        struct lock *l = &table[i];
        if (l->used && l->waits == NULL && l->owner == owner && l->whole == whole && l->start >= start && l->last <= last) l->used = 0;
    }
    grant();
}

static void interrupted(fuse_req_t req, void *data) {
    struct lock *l = data;
    if (!l->used || l->waits != req) return;
    l->used = 0;
    fuse_reply_err(req, EINTR);
}

static void set(fuse_req_t req, const struct lock *wanted, int sleeps) {
    struct lock l = *wanted;
    if (l.type == F_UNLCK) {
        unlock(l.owner, l.whole, l.start, l.last);
        fuse_reply_err(req, 0);
    } else if (conflict_of(&l) == NULL) {
        fuse_reply_err(req, enter(&l));
    } else if (!sleeps) {
        fuse_reply_err(req, EAGAIN);
    } else {
        l.waits = req;
        if (enter(&l) != 0) fuse_reply_err(req, ENOLCK);
        for (unsigned i = 0; i < LOCKS_MAX; i++)
            if (table[i].used && table[i].waits == req) fuse_req_interrupt_func(req, interrupted, &table[i]);
    }
}

static struct lock lock_of(const struct fuse_file_info *file, const struct flock *f) {
    return (struct lock){.type = f->l_type, .owner = file->lock_owner, .start = f->l_start, .pid = f->l_pid,
                         .last = f->l_len == 0 ? INT64_MAX : f->l_start + f->l_len - 1};
}

static void do_getlk(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *file, struct flock *f) {
    const struct lock wanted = lock_of(file, f), *l = conflict_of(&wanted);
    f->l_type = F_UNLCK;
    if (l != NULL)
        *f = (struct flock){.l_type = (short)l->type, .l_start = l->start, .l_pid = l->pid,
                            .l_len = l->last == INT64_MAX ? 0 : l->last - l->start + 1};
    fuse_reply_lock(req, f);
}

static void do_setlk(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *file, struct flock *f, int sleeps) {
    const struct lock wanted = lock_of(file, f);
    set(req, &wanted, sleeps);
}

static void do_flock(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *file, int how) {
    const struct lock wanted = {.whole = 1, .owner = file->lock_owner, .last = INT64_MAX,
                                .type = how & LOCK_UN ? F_UNLCK : how & LOCK_EX ? F_WRLCK : F_RDLCK};
    set(req, &wanted, !(how & LOCK_NB));
}

static void do_flush(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *file) {
    unlock(file->lock_owner, 0, 0, INT64_MAX);
    fuse_reply_err(req, 0);
}

static void do_release(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *file) {
    if (file->flock_release) unlock(file->lock_owner, 1, 0, INT64_MAX);
    fuse_reply_err(req, 0);
}

static int is_so(const char *what) {
    unsigned held = 0, waiting = 0;
    for (unsigned i = 0; i < LOCKS_MAX; i++) {
        held += table[i].used && table[i].waits == NULL;
        waiting += table[i].used && table[i].waits != NULL;
    }
    if (strcmp(what, "f") == 0) return 1;
    if (strcmp(what, "waits") == 0) return waiting != 0;
    return strncmp(what, "held-", 5) == 0 && held == (unsigned)atoi(what + 5);
}

static struct stat attr_of(fuse_ino_t node) {
    return (struct stat){.st_ino = node, .st_mode = node == NODE ? S_IFREG | 0666 : S_IFDIR | 0755, .st_nlink = 1,
                         .st_size = node == NODE ? SIZE : 0};
}

static void do_lookup(fuse_req_t req, fuse_ino_t parent, const char *name) {
    const struct fuse_entry_param e = {.ino = NODE, .attr = attr_of(NODE)};
    if (is_so(name)) fuse_reply_entry(req, &e);
    else fuse_reply_err(req, ENOENT);
}

static void do_getattr(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *file) {
    const struct stat attr = attr_of(node);
    fuse_reply_attr(req, &attr, 0);
}

static void do_open(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *file) { fuse_reply_open(req, file); }

static const struct fuse_lowlevel_ops ops = {.lookup = do_lookup, .getattr = do_getattr, .open = do_open, .getlk = do_getlk,
                                             .setlk = do_setlk, .flock = do_flock, .flush = do_flush, .release = do_release};

// ---- its users ------------------------------------------------------------------------------------------------------------------

static pid_t driver;

static void ready(void) {
    mount_apart();
    if (access("/dev/fuse", R_OK | W_OK) != 0) LT_SKIP("/dev/fuse: %s", strerror(errno));
    LT_OK(mkdir("m", 0755));
}

// Mounted on "m", served by a child, which alone has the channel; the file, open.
static int begin(void) {
    char *words[] = {"locks", NULL};
    struct fuse_args args = FUSE_ARGS_INIT(1, words);
    ready();
    struct fuse_session *session = fuse_session_new(&args, &ops, sizeof ops, NULL);
    LT_CHECK(session != NULL);
    LT_EQUAL(fuse_session_mount(session, "m"), 0);
    driver = (pid_t)LT_OK(fork());
    if (driver == 0) _exit(fuse_session_loop(session) == 0 ? 0 : 1);
    LT_OK(close(fuse_session_fd(session)));
    return (int)LT_OK(open("m/f", O_RDWR));
}

static int ended(pid_t child) {
    int status;
    LT_EQUAL(waitpid(child, &status, 0), child);
    return status;
}

static void end(int file) {
    LT_OK(close(file));
    LT_OK(umount2("m", MNT_DETACH));
    LT_EQUAL(ended(driver), 0);
}

static void await(const char *name) {
    while (access(name, F_OK) != 0) usleep(1000);
}

static int range(int file, int command, short type, off_t start, off_t bytes) {
    struct flock f = {.l_type = type, .l_start = start, .l_len = bytes};
    return fcntl(file, command, &f);
}

// What a child finds and does: it ends with the number of what was wrong.
static int look_from_outside(pid_t holder) {
    const int file = open("m/f", O_RDWR);
    struct flock f = {.l_type = F_RDLCK, .l_start = 150, .l_len = 10};
    if (file < 0 || fcntl(file, F_GETLK, &f) != 0) return 1;
    if (f.l_type != F_WRLCK || f.l_start != 100 || f.l_len != 100 || f.l_pid != holder) return 2;
    if (range(file, F_SETLK, F_RDLCK, 150, 10) != -1 || (errno != EAGAIN && errno != EACCES)) return 3;
    if (range(file, F_SETLK, F_WRLCK, 200, 0) != 0) return 4;
    return access("m/held-2", F_OK) == 0 ? 0 : 5;
}

LT_TEST(ranges_are_locked_at_the_driver) {
    const int file = begin();
    const pid_t self = getpid();
    LT_OK(range(file, F_SETLK, F_WRLCK, 100, 100));
    LT_OK(access("m/held-1", F_OK));
    const pid_t child = (pid_t)LT_OK(fork());
    if (child == 0) _exit(look_from_outside(self));
    LT_EQUAL(ended(child), 0);
    await("m/held-1");  // a process's locks end with it
    struct flock f = {.l_type = F_WRLCK};
    LT_OK(fcntl(file, F_GETLK, &f));
    LT_EQUAL(f.l_type, F_UNLCK);  // its own are not in its way
    LT_OK(range(file, F_SETLK, F_UNLCK, 0, 0));
    await("m/held-0");
    end(file);
}

LT_TEST(any_descriptor_that_is_closed_ends_a_processs_locks) {
    const int file = begin(), other = (int)LT_OK(open("m/f", O_RDWR));
    LT_OK(range(file, F_SETLK, F_WRLCK, 0, 10));
    LT_OK(access("m/held-1", F_OK));
    LT_OK(close(other));
    await("m/held-0");
    end(file);
}

LT_TEST(a_lock_is_waited_for) {
    const int file = begin();
    LT_OK(range(file, F_SETLK, F_WRLCK, 0, 0));
    const pid_t child = (pid_t)LT_OK(fork());
    if (child == 0) _exit(range(open("m/f", O_RDWR), F_SETLKW, F_WRLCK, 10, 10) == 0 ? 0 : errno);
    await("m/waits");
    LT_OK(range(file, F_SETLK, F_UNLCK, 0, 0));
    LT_EQUAL(ended(child), 0);
    await("m/held-0");
    end(file);
}

static void ignore(int number) {}

LT_TEST(a_signal_ends_a_wait) {
    const int file = begin();
    LT_OK(range(file, F_SETLK, F_WRLCK, 0, 0));
    const pid_t child = (pid_t)LT_OK(fork());
    if (child == 0) {
        const struct sigaction action = {.sa_handler = ignore};
        sigaction(SIGUSR1, &action, NULL);
        _exit(range(open("m/f", O_RDWR), F_SETLKW, F_WRLCK, 0, 0) == -1 ? errno : 0);
    }
    await("m/waits");
    LT_OK(kill(child, SIGUSR1));
    LT_EQUAL(ended(child), EINTR << 8);
    LT_CHECK(access("m/waits", F_OK) == -1 && errno == ENOENT);
    LT_OK(access("m/held-1", F_OK));
    end(file);
}

LT_TEST(whole_files_are_locked_at_the_driver) {
    const int file = begin(), other = (int)LT_OK(open("m/f", O_RDWR)), twin = (int)LT_OK(dup(file));
    LT_OK(flock(file, LOCK_EX));
    LT_OK(flock(twin, LOCK_EX | LOCK_NB));  // one open file
    LT_ERRNO(flock(other, LOCK_SH | LOCK_NB), EWOULDBLOCK);
    LT_OK(range(other, F_SETLK, F_WRLCK, 0, 0));  // the other kind
    LT_OK(range(other, F_SETLK, F_UNLCK, 0, 0));
    const pid_t child = (pid_t)LT_OK(fork());
    if (child == 0) _exit(flock(open("m/f", O_RDWR), LOCK_SH) == 0 ? 0 : errno);
    await("m/waits");
    LT_OK(flock(twin, LOCK_UN));
    LT_EQUAL(ended(child), 0);
    await("m/held-0");
    LT_OK(flock(file, LOCK_SH));
    LT_OK(close(file));
    LT_OK(access("m/held-1", F_OK));  // the open file is there yet
    LT_OK(close(twin));
    await("m/held-0");
    LT_OK(flock(other, LOCK_EX | LOCK_NB));
    end(other);
}

LT_TEST(who_waits_learns_of_the_drivers_end) {
    const int file = begin();
    LT_OK(flock(file, LOCK_EX));
    const pid_t child = (pid_t)LT_OK(fork());
    if (child == 0) {
        const int result = flock(open("m/f", O_RDWR), LOCK_EX);
        _exit(result == -1 && (errno == ENOTCONN || errno == ECONNABORTED) ? 0 : 1);
    }
    await("m/waits");
    LT_OK(kill(driver, SIGKILL));
    LT_EQUAL(ended(driver), SIGKILL);
    LT_EQUAL(ended(child), 0);
    LT_ERRNO(flock(file, LOCK_SH | LOCK_NB), ENOTCONN);
    (void)close(file);  // Linux: ENOTCONN
    LT_OK(umount2("m", MNT_DETACH));
}
