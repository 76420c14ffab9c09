// poll, ppoll, select, pselect.
#include "tests/linux/lt.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>

static volatile sig_atomic_t signals;
static void count_signal(int number) { signals++; }
static void handle(int number, int flags) {
    struct sigaction action = {.sa_handler = count_signal, .sa_flags = flags};
    signals = 0;
    LT_OK(sigaction(number, &action, NULL));
}
static long now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}
// What poll tells of one descriptor now.
static int events_of(int fd, int events) {
    struct pollfd p = {.fd = fd, .events = (short)events};
    return poll(&p, 1, 0) < 0 ? -1 : p.revents;
}
#define ALL (POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM | POLLRDHUP)
#define IN  (POLLIN | POLLRDNORM)
#define OUT (POLLOUT | POLLWRNORM)

LT_TEST(poll_of_pipes) {
    int p[2];
    char c;
    LT_OK(pipe(p));
    LT_EQUAL(events_of(p[0], ALL), 0);
    LT_EQUAL(events_of(p[1], ALL), OUT);
    LT_EQUAL(events_of(p[1], POLLIN), 0);
    LT_EQUAL(write(p[1], "x", 1), 1);
    LT_EQUAL(events_of(p[0], ALL), IN);
    LT_EQUAL(events_of(p[0], 0), 0);
    LT_OK(close(p[1]));
    LT_EQUAL(events_of(p[0], ALL), IN | POLLHUP);
    LT_EQUAL(read(p[0], &c, 1), 1);
    LT_EQUAL(events_of(p[0], ALL), POLLHUP);
    LT_EQUAL(events_of(p[0], 0), POLLHUP);
    LT_OK(close(p[0]));
    LT_OK(pipe(p));
    LT_OK(close(p[0]));
    LT_EQUAL(events_of(p[1], ALL), OUT | POLLERR);
    LT_OK(close(p[1]));
}

LT_TEST(poll_of_others) {
    int fd = eventfd(0, 0);
    LT_OK(fd);
    LT_EQUAL(events_of(fd, POLLIN | POLLOUT), POLLOUT);
    LT_EQUAL(eventfd_write(fd, 1), 0);
    LT_EQUAL(events_of(fd, POLLIN | POLLOUT), POLLIN | POLLOUT);
    LT_OK(close(fd));
    fd = (int)LT_OK(timerfd_create(CLOCK_MONOTONIC, 0));
    LT_EQUAL(events_of(fd, POLLIN | POLLOUT), 0);
    struct itimerspec soon = {.it_value.tv_nsec = 1000000};
    LT_OK(timerfd_settime(fd, 0, &soon, NULL));
    struct pollfd p = {.fd = fd, .events = POLLIN};
    LT_EQUAL(poll(&p, 1, LT_HANG_MS), 1);
    LT_EQUAL(p.revents, POLLIN);
    LT_OK(close(fd));
    lt_make("file", "text");
    fd = (int)LT_OK(open("file", O_RDONLY));
    LT_EQUAL(events_of(fd, POLLIN | POLLOUT | POLLRDNORM), POLLIN | POLLOUT | POLLRDNORM);
    LT_OK(close(fd));
}

LT_TEST(poll_of_none_and_bad_ones) {
    struct pollfd p[3] = {{.fd = -1, .events = POLLIN, .revents = 7}, {.fd = 99, .events = POLLIN}, {.fd = -99}};
    LT_EQUAL(poll(p, 3, 1000), 1);
    LT_EQUAL(p[0].revents, 0);
    LT_EQUAL(p[1].revents, POLLNVAL);
    LT_EQUAL(p[2].revents, 0);
    long before = now_ms();
    LT_EQUAL(poll(NULL, 0, 30), 0);
    LT_CHECK(now_ms() - before >= 29);
    LT_ERRNO(poll(LT_BAD_ADDRESS, 1, 0), EFAULT);
}

LT_TEST(poll_waits) {
    int p[2];
    LT_OK(pipe(p));
    struct pollfd two[2] = {{.fd = p[0], .events = POLLIN}, {.fd = p[0], .events = POLLIN}};
    long before = now_ms();
    LT_EQUAL(poll(two, 2, 40), 0);
    LT_CHECK(now_ms() - before >= 39);
    pid_t child = (pid_t)LT_OK(fork());
    if (child == 0) {
        usleep(20000);
        _exit(write(p[1], "x", 1) == 1 ? 0 : 1);
    }
    LT_EQUAL(poll(two, 2, -1), 2);
    LT_EQUAL(two[1].revents, POLLIN);
    LT_EQUAL(waitpid(child, NULL, 0), child);
    LT_OK(close(p[0]));
    LT_OK(close(p[1]));
}

LT_TEST(many) {
    enum { MANY = 100 };
    int p[MANY][2];
    struct pollfd all[MANY];
    for (int i = 0; i < MANY; i++) {
        LT_OK(pipe(p[i]));
        all[i] = (struct pollfd){.fd = p[i][0], .events = POLLIN};
    }
    LT_EQUAL(poll(all, MANY, 0), 0);
    LT_EQUAL(write(p[3][1], "x", 1), 1);
    LT_EQUAL(write(p[77][1], "x", 1), 1);
    LT_EQUAL(poll(all, MANY, -1), 2);
    for (int i = 0; i < MANY; i++) {
        LT_EQUAL(all[i].revents, i == 3 || i == 77 ? POLLIN : 0);
        LT_OK(close(p[i][0]));
        LT_OK(close(p[i][1]));
    }
}

LT_TEST(signals_end_poll) {
    int p[2];
    LT_OK(pipe(p));
    struct pollfd one = {.fd = p[0], .events = POLLIN};
    handle(SIGALRM, SA_RESTART);
    ualarm(20000, 20000);  // again and again: the first may come before the call does
    LT_ERRNO(poll(&one, 1, LT_HANG_MS), EINTR);
    ualarm(0, 0);
    LT_CHECK(signals >= 1);
    LT_OK(close(p[0]));
    LT_OK(close(p[1]));
}

LT_TEST(ppoll_changes_the_mask) {
    int p[2];
    sigset_t blocked, none, now;
    LT_OK(pipe(p));
    handle(SIGUSR1, 0);
    sigemptyset(&none);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    LT_OK(sigprocmask(SIG_BLOCK, &blocked, NULL));
    LT_OK(raise(SIGUSR1));
    LT_EQUAL(signals, 0);
    struct pollfd one = {.fd = p[0], .events = POLLIN};
    struct timespec long_time = {.tv_sec = LT_HANG_MS / 1000}, bad = {.tv_nsec = -1};
    LT_ERRNO(ppoll(&one, 1, &long_time, &none), EINTR);
    LT_EQUAL(signals, 1);
    LT_OK(sigprocmask(SIG_SETMASK, NULL, &now));
    LT_EQUAL(sigismember(&now, SIGUSR1), 1);
    LT_EQUAL(write(p[1], "x", 1), 1);
    LT_EQUAL(ppoll(&one, 1, NULL, &none), 1);
    LT_OK(sigprocmask(SIG_SETMASK, NULL, &now));
    LT_EQUAL(sigismember(&now, SIGUSR1), 1);
    LT_ERRNO(ppoll(&one, 1, &bad, NULL), EINVAL);
    LT_OK(sigprocmask(SIG_SETMASK, &none, NULL));
    LT_OK(close(p[0]));
    LT_OK(close(p[1]));
}

LT_TEST(select_tells) {
    int p[2];
    fd_set in, out, other;
    LT_OK(pipe(p));
    FD_ZERO(&in);
    FD_ZERO(&out);
    FD_ZERO(&other);
    FD_SET(p[0], &in);
    FD_SET(p[1], &out);
    FD_SET(p[0], &other);
    LT_EQUAL(select(p[1] + 1, &in, &out, &other, NULL), 1);
    LT_CHECK(!FD_ISSET(p[0], &in) && FD_ISSET(p[1], &out) && !FD_ISSET(p[0], &other));
    LT_EQUAL(write(p[1], "x", 1), 1);
    FD_SET(p[0], &in);
    LT_EQUAL(select(p[1] + 1, &in, &out, NULL, NULL), 2);
    LT_CHECK(FD_ISSET(p[0], &in) && FD_ISSET(p[1], &out));
    LT_OK(close(p[1]));
    LT_OK(close(p[0]));
    LT_ERRNO(select(p[0] + 1, &in, NULL, NULL, NULL), EBADF);
    LT_ERRNO(select(-1, NULL, NULL, NULL, NULL), EINVAL);
}

LT_TEST(select_and_time) {
    struct timeval time = {.tv_usec = 30000}, bad = {.tv_sec = -1};
    long before = now_ms();
    LT_EQUAL(syscall(SYS_select, 0, NULL, NULL, NULL, &time), 0);  // the C library hides what is left
    LT_CHECK(now_ms() - before >= 29);
    LT_EQUAL(time.tv_sec, 0);
    LT_EQUAL(time.tv_usec, 0);
    LT_ERRNO(select(0, NULL, NULL, NULL, &bad), EINVAL);
    struct timespec none = {0};
    LT_EQUAL(pselect(0, NULL, NULL, NULL, &none, NULL), 0);
}

LT_TEST(pselect_and_a_signal) {
    sigset_t blocked, none;
    handle(SIGUSR1, 0);
    sigemptyset(&none);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    LT_OK(sigprocmask(SIG_BLOCK, &blocked, NULL));
    LT_OK(raise(SIGUSR1));
    LT_ERRNO(pselect(0, NULL, NULL, NULL, NULL, &none), EINTR);
    LT_EQUAL(signals, 1);
    LT_OK(sigprocmask(SIG_SETMASK, &none, NULL));
}
