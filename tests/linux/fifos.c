// FIFOs: pipes that are found by a path. Who opens one waits for the other side.
#include "tests/linux/lt.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
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
