// FIFOs: pipes that are found by a path. Who opens one waits for the other side.
#include "tests/linux/lt.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/wait.h>

static void make(void) { LT_OK(mkfifo("fifo", 0600)); }
static int open_it(int flags) { return (int)LT_OK(open("fifo", flags)); }
static int events_of(int fd) {
    struct pollfd p = {.fd = fd, .events = POLLIN | POLLOUT};
    LT_OK(poll(&p, 1, 0));
    return p.revents;
}

LT_TEST(between_processes) {
    int status;
    char got[16] = "";
    make();
    pid_t child = (pid_t)LT_OK(fork());
    if (child == 0) {
        int fd = open("fifo", O_WRONLY);
        LT_DEMAND(fd >= 0 && write(fd, "hello", 5) == 5);
        _exit(0);
    }
    int fd = open_it(O_RDONLY);
    size_t size = 0;
    for (ssize_t n; (n = read(fd, got + size, sizeof got - size)) > 0;) size += (size_t)n;
    LT_EQUAL(size, 5);
    LT_TEXT(got, "hello");
    LT_EQUAL(waitpid(child, &status, 0), child);
    LT_EQUAL(status, 0);
}

// One round after the other: each waits for the next writer, and finds the end behind what it wrote.
LT_TEST(rounds) {
    int status;
    make();
    pid_t child = (pid_t)LT_OK(fork());
    if (child == 0) {
        for (char c = 0; c < 50; c++) {
            int fd = open("fifo", O_WRONLY);
            LT_DEMAND(fd >= 0 && write(fd, &c, 1) == 1 && close(fd) == 0);
            int back = open("back", O_RDONLY);  // in step
            char b;
            while (back < 0) back = open("back", O_RDONLY);
            LT_DEMAND(read(back, &b, 1) == 1 && b == c && close(back) == 0);
        }
        _exit(0);
    }
    LT_OK(mkfifo("back", 0600));
    for (char c = 0; c < 50; c++) {
        char got = -1;
        int fd = open_it(O_RDONLY);
        LT_EQUAL(read(fd, &got, 1), 1);
        LT_EQUAL(got, c);
        LT_EQUAL(read(fd, &got, 1), 0);
        LT_OK(close(fd));
        fd = (int)LT_OK(open("back", O_WRONLY));
        LT_EQUAL(write(fd, &c, 1), 1);
        LT_OK(close(fd));
    }
    LT_EQUAL(waitpid(child, &status, 0), child);
    LT_EQUAL(status, 0);
}

LT_TEST(without_waiting) {
    char c = 0;
    make();
    LT_ERRNO(open("fifo", O_WRONLY | O_NONBLOCK), ENXIO);
    int reader = open_it(O_RDONLY | O_NONBLOCK);
    LT_EQUAL(fcntl(reader, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    LT_EQUAL(read(reader, &c, 1), 0);
    LT_EQUAL(events_of(reader), 0);
    int writer = open_it(O_WRONLY | O_NONBLOCK);
    LT_ERRNO(read(reader, &c, 1), EAGAIN);
    LT_EQUAL(events_of(writer), POLLOUT);
    LT_EQUAL(write(writer, "x", 1), 1);
    LT_EQUAL(events_of(reader), POLLIN);
    LT_EQUAL(read(reader, &c, 1), 1);
    LT_EQUAL(c, 'x');
    LT_OK(close(writer));
    LT_EQUAL(events_of(reader), POLLHUP);
    LT_EQUAL(read(reader, &c, 1), 0);
    writer = open_it(O_WRONLY);
    LT_EQUAL(events_of(reader), 0);
    LT_ERRNO(read(reader, &c, 1), EAGAIN);
}

LT_TEST(nobody_reads) {
    char c;
    make();
    signal(SIGPIPE, SIG_IGN);
    int reader = open_it(O_RDONLY | O_NONBLOCK), writer = open_it(O_WRONLY);
    LT_OK(close(reader));
    LT_ERRNO(write(writer, "x", 1), EPIPE);
    LT_CHECK(events_of(writer) & POLLERR);
    reader = open_it(O_RDONLY);
    LT_EQUAL(write(writer, "y", 1), 1);
    LT_EQUAL(read(reader, &c, 1), 1);
    LT_EQUAL(c, 'y');
    signal(SIGPIPE, SIG_DFL);
}

LT_TEST(both_ends_at_once) {
    char got[8] = "";
    make();
    int fd = open_it(O_RDWR);
    LT_EQUAL(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDWR);
    LT_EQUAL(events_of(fd), POLLOUT);
    LT_EQUAL(write(fd, "abc", 3), 3);
    LT_EQUAL(events_of(fd), POLLIN | POLLOUT);
    int other = open_it(O_RDONLY);
    LT_EQUAL(read(other, got, 2), 2);
    LT_EQUAL(read(fd, got + 2, 4), 1);
    LT_TEXT(got, "abc");
    int copy = (int)LT_OK(dup(fd));
    LT_OK(close(fd));
    LT_EQUAL(write(copy, "d", 1), 1);
    LT_OK(close(copy));
    LT_EQUAL(read(other, got, 8), 1);
    LT_EQUAL(read(other, got, 8), 0);
}

LT_TEST(what_is_left_goes_with_the_last) {
    char c;
    make();
    int fd = open_it(O_RDWR);
    LT_EQUAL(write(fd, "lost", 4), 4);
    LT_OK(close(fd));
    fd = open_it(O_RDONLY | O_NONBLOCK);
    LT_EQUAL(read(fd, &c, 1), 0);
}

// The writer's bytes stay for the reader that comes, while the writer has it open.
LT_TEST(several_readers_in_turn) {
    char got[4] = "";
    make();
    int first = open_it(O_RDONLY | O_NONBLOCK), writer = open_it(O_WRONLY);
    LT_EQUAL(write(writer, "ab", 2), 2);
    LT_EQUAL(read(first, got, 1), 1);
    LT_OK(close(first));
    int second = open_it(O_RDONLY);
    LT_EQUAL(read(second, got + 1, 1), 1);
    LT_TEXT(got, "ab");
}

static volatile sig_atomic_t signals;
static void count(int number) { signals++; }

LT_TEST(a_signal_ends_the_wait) {
    const struct sigaction action = {.sa_handler = count};
    make();
    LT_OK(sigaction(SIGALRM, &action, NULL));
    ualarm(20000, 20000);  // again and again: the first may come before the call does
    LT_ERRNO(open("fifo", O_RDONLY), EINTR);
    LT_ERRNO(open("fifo", O_WRONLY), EINTR);
    ualarm(0, 0);
    signal(SIGALRM, SIG_DFL);
}

static void *open_to_write(void *result) {
    *(int *)result = open("fifo", O_WRONLY);
    return NULL;
}

LT_TEST(threads) {
    pthread_t thread[8];
    int fds[8];
    make();
    for (int i = 0; i < 8; i++) LT_EQUAL(pthread_create(&thread[i], NULL, open_to_write, &fds[i]), 0);
    int reader = open_it(O_RDONLY);
    for (int i = 0; i < 8; i++) LT_EQUAL(pthread_join(thread[i], NULL), 0);
    for (int i = 0; i < 8; i++) LT_EQUAL(write(fds[i], "x", 1), 1);
    for (int i = 0; i < 8; i++) LT_OK(close(fds[i]));
    char got[16];
    LT_EQUAL(read(reader, got, 16), 8);
    LT_EQUAL(read(reader, got, 16), 0);
}

LT_TEST(names) {
    struct stat s;
    char c;
    make();
    LT_ERRNO(mkfifo("fifo", 0600), EEXIST);
    LT_OK(stat("fifo", &s));
    LT_CHECK(S_ISFIFO(s.st_mode));
    LT_OK(link("fifo", "other"));
    LT_OK(symlink("fifo", "link"));
    int reader = open_it(O_RDONLY | O_NONBLOCK), writer = (int)LT_OK(open("other", O_WRONLY));
    LT_EQUAL(write(writer, "x", 1), 1);
    LT_EQUAL(read(reader, &c, 1), 1);
    LT_OK(close(writer));
    writer = (int)LT_OK(open("link", O_WRONLY));
    LT_ERRNO(open("link", O_WRONLY | O_NOFOLLOW), ELOOP);
    LT_ERRNO(open("fifo", O_WRONLY | O_DIRECTORY), ENOTDIR);
    LT_ERRNO(open("fifo", O_CREAT | O_EXCL | O_WRONLY, 0600), EEXIST);
    LT_OK(unlink("fifo"));
    LT_OK(unlink("other"));
    LT_EQUAL(write(writer, "y", 1), 1);
    LT_EQUAL(read(reader, &c, 1), 1);
    LT_OK(fstat(reader, &s));
    LT_CHECK(S_ISFIFO(s.st_mode));
    LT_ERRNO(lseek(reader, 0, SEEK_SET), ESPIPE);
    int path = (int)LT_OK(open("link", O_PATH | O_NOFOLLOW));
    LT_OK(close(path));
}

LT_TEST(created_when_it_is_there) {
    make();
    int reader = open_it(O_RDONLY | O_NONBLOCK), writer = (int)LT_OK(open("fifo", O_CREAT | O_TRUNC | O_WRONLY, 0600));
    LT_EQUAL(write(writer, "x", 1), 1);
    LT_OK(close(reader));
}

// ---- what each open has of its own ---------------------------------------------------------------------------------------------

static int flags_of(int fd) { return (int)LT_OK(fcntl(fd, F_GETFL)) & (O_ACCMODE | O_NONBLOCK); }

LT_TEST(each_waits_as_it_was_opened) {
    char c = 0;
    make();
    int a = open_it(O_RDONLY | O_NONBLOCK), writer = open_it(O_WRONLY), b = open_it(O_RDONLY), copy = (int)LT_OK(dup(a));
    LT_EQUAL(flags_of(a), O_RDONLY | O_NONBLOCK);
    LT_EQUAL(flags_of(b), O_RDONLY);
    LT_EQUAL(flags_of(writer), O_WRONLY);
    LT_ERRNO(read(a, &c, 1), EAGAIN);
    LT_OK(fcntl(copy, F_SETFL, 0));  // what duplicates share
    LT_EQUAL(flags_of(a), O_RDONLY);
    LT_OK(fcntl(b, F_SETFL, O_NONBLOCK));
    LT_EQUAL(flags_of(a), O_RDONLY);
    LT_ERRNO(read(b, &c, 1), EAGAIN);
    int both = open_it(O_RDWR | O_NONBLOCK);
    LT_EQUAL(flags_of(both), O_RDWR | O_NONBLOCK);
    LT_EQUAL(flags_of(writer), O_WRONLY);
    LT_EQUAL(write(both, "xy", 2), 2);
    LT_EQUAL(read(b, &c, 1), 1);
    LT_EQUAL(read(a, &c, 1), 1);
    LT_EQUAL(c, 'y');
}

// The last of those who have a side open ends it, whichever that is.
LT_TEST(the_last_one_ends_a_side) {
    char c = 0;
    make();
    int a = open_it(O_RDONLY | O_NONBLOCK), b = open_it(O_RDONLY | O_NONBLOCK);
    int one = open_it(O_WRONLY), two = open_it(O_WRONLY), three = open_it(O_WRONLY);
    LT_OK(close(two));
    LT_EQUAL(events_of(a), 0);
    LT_EQUAL(write(three, "z", 1), 1);
    LT_EQUAL(events_of(a), POLLIN);
    LT_EQUAL(events_of(b), POLLIN);
    LT_EQUAL(read(b, &c, 1), 1);
    LT_EQUAL(events_of(a), 0);
    LT_OK(close(one));
    LT_ERRNO(read(a, &c, 1), EAGAIN);
    LT_OK(close(three));
    LT_EQUAL(read(a, &c, 1), 0);
    LT_EQUAL(events_of(b), POLLHUP);
    one = open_it(O_WRONLY);
    LT_EQUAL(events_of(b), 0);
    LT_OK(close(b));
    LT_EQUAL(write(one, "q", 1), 1);
    LT_OK(close(a));
    signal(SIGPIPE, SIG_IGN);
    LT_ERRNO(write(one, "q", 1), EPIPE);
    signal(SIGPIPE, SIG_DFL);
}

static void *poll_one(void *fd) {
    struct pollfd p = {.fd = *(int *)fd, .events = POLLIN};
    return (void *)(long)(poll(&p, 1, LT_HANG_MS) == 1 && p.revents & POLLIN ? 0 : 1);
}
LT_TEST(all_who_have_it_open_are_told) {
    pthread_t thread[4];
    int fds[4];
    void *result;
    make();
    for (int i = 0; i < 4; i++) {
        fds[i] = open_it(O_RDONLY | O_NONBLOCK);
        LT_EQUAL(pthread_create(&thread[i], NULL, poll_one, &fds[i]), 0);
    }
    int writer = open_it(O_WRONLY);
    LT_EQUAL(write(writer, "w", 1), 1);
    for (int i = 0; i < 4; i++) {
        LT_EQUAL(pthread_join(thread[i], &result), 0);
        LT_CHECK(result == NULL);
    }
}

LT_TEST(opened_again_through_proc) {
    char path[40], c;
    int p[2];
    LT_OK(pipe(p));
    snprintf(path, sizeof path, "/proc/self/fd/%d", p[0]);
    int again = (int)LT_OK(open(path, O_RDONLY | O_NONBLOCK));
    LT_EQUAL(flags_of(again), O_RDONLY | O_NONBLOCK);
    LT_EQUAL(flags_of(p[0]), O_RDONLY);
    LT_ERRNO(read(again, &c, 1), EAGAIN);
    snprintf(path, sizeof path, "/proc/self/fd/%d", p[1]);
    int writer = (int)LT_OK(open(path, O_WRONLY | O_NONBLOCK));
    LT_EQUAL(flags_of(p[1]), O_WRONLY);
    LT_OK(close(p[1]));
    LT_EQUAL(write(writer, "k", 1), 1);
    LT_OK(close(writer));
    LT_OK(close(p[0]));
    LT_EQUAL(read(again, &c, 1), 1);
    LT_EQUAL(c, 'k');
    LT_EQUAL(read(again, &c, 1), 0);
    make();
    int fifo = open_it(O_RDWR);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fifo);
    again = (int)LT_OK(open(path, O_RDONLY | O_NONBLOCK));
    LT_ERRNO(read(again, &c, 1), EAGAIN);
    LT_OK(close(fifo));
    LT_EQUAL(read(again, &c, 1), 0);
}

LT_TEST(an_open_one_is_the_file) {
    struct stat file, open_one;
    make();
    LT_OK(chmod("fifo", 0640));
    int fd = open_it(O_RDONLY | O_NONBLOCK);
    for (int i = 0; i < 3; i++) {
        if (i == 1) LT_OK(fchmod(fd, 0604));
        if (i == 2) LT_OK(futimens(fd, (const struct timespec[2]){{.tv_sec = 5}, {.tv_sec = 7}}));
        LT_OK(stat("fifo", &file));
        LT_OK(fstat(fd, &open_one));
        LT_CHECK(S_ISFIFO(open_one.st_mode));
        LT_EQUAL(open_one.st_mode & 07777, i == 0 ? 0640 : 0604);
        LT_CHECK(open_one.st_ino == file.st_ino && open_one.st_dev == file.st_dev && open_one.st_nlink == 1);
        LT_CHECK(open_one.st_uid == file.st_uid && open_one.st_gid == file.st_gid);
        LT_EQUAL(open_one.st_mtim.tv_sec, file.st_mtim.tv_sec);
        if (i == 2) LT_EQUAL(open_one.st_mtim.tv_sec, 7);
    }
    LT_OK(unlink("fifo"));
    LT_OK(fstat(fd, &open_one));
    LT_CHECK(S_ISFIFO(open_one.st_mode) && open_one.st_nlink == 0);
}

// ---- locks -----------------------------------------------------------------------------------------------------------------------

static int lock_range(int fd, int command, short type, off_t start, off_t length) {
    struct flock l = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length};
    return fcntl(fd, command, &l);
}

static void check_locks(int reader, int writer, int other) {
    struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_END};
    LT_OK(flock(reader, LOCK_SH));
    LT_OK(flock(other, LOCK_SH | LOCK_NB));
    LT_ERRNO(flock(writer, LOCK_EX | LOCK_NB), EWOULDBLOCK);
    LT_OK(flock(reader, LOCK_UN));
    LT_OK(flock(other, LOCK_UN));
    LT_OK(flock(writer, LOCK_EX | LOCK_NB));
    LT_ERRNO(flock(other, LOCK_SH | LOCK_NB), EWOULDBLOCK);
    LT_OK(flock(writer, LOCK_UN));
    LT_ERRNO(lock_range(reader, F_SETLK, F_WRLCK, 0, 0), EBADF);
    LT_ERRNO(lock_range(writer, F_SETLK, F_RDLCK, 0, 0), EBADF);
    LT_OK(lock_range(writer, F_SETLK, F_WRLCK, 10, 5));
    LT_OK(lock_range(reader, F_SETLK, F_RDLCK, 100, 5));  // of the same process
    LT_EQUAL(LT_IN_A_CHILD({
                 LT_DEMAND(fcntl(writer, F_GETLK, &l) == 0 && l.l_type == F_WRLCK && l.l_start == 10 && l.l_len == 5);
                 LT_DEMAND(l.l_pid == getppid() && l.l_whence == SEEK_SET);
                 LT_DEMAND(lock_range(writer, F_SETLK, F_WRLCK, 0, 11) == -1 && (errno == EAGAIN || errno == EACCES));
                 LT_DEMAND(lock_range(reader, F_SETLK, F_RDLCK, 100, 1) == 0 && lock_range(writer, F_SETLK, F_WRLCK, 0, 10) == 0);
             }),
             0);
    LT_OK(lock_range(writer, F_SETLK, F_UNLCK, 0, 0));
    LT_OK(lock_range(writer, F_OFD_SETLK, F_WRLCK, 0, 0));
    LT_ERRNO(lock_range(other, F_OFD_SETLK, F_RDLCK, 0, 0), EAGAIN);
    LT_OK(lock_range(writer, F_OFD_SETLK, F_UNLCK, 0, 0));
    LT_OK(lock_range(other, F_OFD_SETLKW, F_RDLCK, 0, 0));
    LT_ERRNO(lock_range(writer, F_OFD_SETLK, F_WRLCK, 7, 1), EAGAIN);
}

LT_TEST(locks_of_a_fifo) {
    make();
    int reader = open_it(O_RDONLY | O_NONBLOCK), writer = open_it(O_WRONLY), other = open_it(O_RDONLY);
    check_locks(reader, writer, other);
    LT_OK(close(other));  // its lock goes with it
    LT_OK(lock_range(writer, F_OFD_SETLK, F_WRLCK, 7, 1));
}

LT_TEST(locks_of_a_pipe) {
    int p[2];
    char path[40];
    LT_OK(pipe(p));
    snprintf(path, sizeof path, "/proc/self/fd/%d", p[0]);
    check_locks(p[0], p[1], (int)LT_OK(open(path, O_RDONLY)));
}

// A process's locks go when it closes any descriptor of the pipe; who waits for them goes on.
LT_TEST(a_lock_is_waited_for) {
    int p[2], ready[2], status;
    char byte;
    LT_OK(pipe(p));
    LT_OK(pipe(ready));
    LT_OK(lock_range(p[1], F_SETLK, F_WRLCK, 0, 0));
    pid_t child = (pid_t)LT_OK(fork());
    if (child == 0) {
        LT_DEMAND(lock_range(p[1], F_SETLK, F_WRLCK, 0, 0) == -1);
        LT_DEMAND(write(ready[1], "r", 1) == 1);
        LT_DEMAND(lock_range(p[1], F_SETLKW, F_WRLCK, 0, 0) == 0);
        _exit(0);
    }
    LT_EQUAL(read(ready[0], &byte, 1), 1);
    LT_OK(close((int)LT_OK(dup(p[0]))));
    LT_EQUAL(waitpid(child, &status, 0), child);
    LT_EQUAL(status, 0);
    LT_OK(lock_range(p[1], F_SETLK, F_WRLCK, 0, 0));
}
