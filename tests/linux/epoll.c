// epoll.
#include "tests/linux/lt.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>

struct setting {
    int epoll, in, out;
};
static struct setting make(void) {
    int p[2];
    LT_OK(pipe(p));
    return (struct setting){(int)LT_OK(epoll_create1(EPOLL_CLOEXEC)), p[0], p[1]};
}
static void end(struct setting s) {
    LT_OK(close(s.epoll));
    if (s.in >= 0) LT_OK(close(s.in));
    if (s.out >= 0) LT_OK(close(s.out));
}
static struct epoll_event got[8];
static int look(int epoll) { return epoll_wait(epoll, got, 8, 0); }
static int control(int epoll, int op, int fd, uint32_t events, uint64_t data) {
    struct epoll_event event = {.events = events, .data.u64 = data};
    return epoll_ctl(epoll, op, fd, &event);
}
static void fill(struct setting s, size_t n) { LT_EQUAL(write(s.out, "abcdefgh", n), n); }
static void drain(struct setting s, size_t n) {
    char bytes[8];
    LT_EQUAL(read(s.in, bytes, n), n);
}

LT_TEST(level) {
    struct setting s = make();
    LT_OK(control(s.epoll, EPOLL_CTL_ADD, s.in, EPOLLIN, 0x123456789abcdef0));
    LT_EQUAL(look(s.epoll), 0);
    fill(s, 2);
    for (int i = 0; i < 3; i++) {
        LT_EQUAL(look(s.epoll), 1);
        LT_EQUAL(got[0].events, EPOLLIN);
        LT_CHECK(got[0].data.u64 == 0x123456789abcdef0);
    }
    drain(s, 2);
    LT_EQUAL(look(s.epoll), 0);
    end(s);
}

LT_TEST(edge) {
    struct setting s = make();
    LT_OK(control(s.epoll, EPOLL_CTL_ADD, s.in, EPOLLIN | EPOLLET, 1));
    fill(s, 1);
    LT_EQUAL(look(s.epoll), 1);
    LT_EQUAL(look(s.epoll), 0);
    fill(s, 1);
    LT_EQUAL(look(s.epoll), 1);
    LT_EQUAL(look(s.epoll), 0);
    fill(s, 1);
    drain(s, 3);
    LT_EQUAL(look(s.epoll), 0);
    end(s);
}

LT_TEST(once) {
    struct setting s = make();
    LT_OK(control(s.epoll, EPOLL_CTL_ADD, s.in, EPOLLIN | EPOLLONESHOT, 1));
    fill(s, 1);
    LT_EQUAL(look(s.epoll), 1);
    LT_EQUAL(look(s.epoll), 0);
    fill(s, 1);
    LT_EQUAL(look(s.epoll), 0);
    LT_OK(control(s.epoll, EPOLL_CTL_MOD, s.in, EPOLLIN | EPOLLONESHOT, 2));
    LT_EQUAL(look(s.epoll), 1);
    LT_EQUAL(got[0].data.u64, 2);
    LT_EQUAL(look(s.epoll), 0);
    end(s);
}

LT_TEST(arguments) {
    struct setting s = make();
    struct epoll_event event = {.events = EPOLLIN};
    LT_ERRNO(epoll_ctl(99, EPOLL_CTL_ADD, s.in, &event), EBADF);
    LT_ERRNO(epoll_ctl(s.epoll, EPOLL_CTL_ADD, 99, &event), EBADF);
    LT_ERRNO(epoll_ctl(s.epoll, EPOLL_CTL_ADD, s.in, LT_BAD_ADDRESS), EFAULT);
    LT_ERRNO(epoll_ctl(s.epoll, 77, s.in, &event), EINVAL);
    LT_ERRNO(epoll_ctl(s.in, EPOLL_CTL_ADD, s.out, &event), EINVAL);
    LT_ERRNO(epoll_ctl(s.epoll, EPOLL_CTL_ADD, s.epoll, &event), EINVAL);
    LT_ERRNO(epoll_ctl(s.epoll, EPOLL_CTL_MOD, s.in, &event), ENOENT);
    LT_ERRNO(epoll_ctl(s.epoll, EPOLL_CTL_DEL, s.in, &event), ENOENT);
    LT_OK(epoll_ctl(s.epoll, EPOLL_CTL_ADD, s.in, &event));
    LT_ERRNO(epoll_ctl(s.epoll, EPOLL_CTL_ADD, s.in, &event), EEXIST);
    LT_OK(epoll_ctl(s.epoll, EPOLL_CTL_DEL, s.in, NULL));
    LT_ERRNO(epoll_wait(s.epoll, got, 0, 0), EINVAL);
    LT_ERRNO(epoll_wait(s.in, got, 1, 0), EINVAL);
    LT_ERRNO(epoll_wait(99, got, 1, 0), EBADF);
    LT_ERRNO(epoll_create1(1), EINVAL);
    LT_ERRNO(syscall(SYS_epoll_create, 0), EINVAL);
    LT_ERRNO(read(s.epoll, got, 1), EINVAL);
    lt_make("file", "");
    int file = (int)LT_OK(open("file", O_RDONLY));
    LT_ERRNO(epoll_ctl(s.epoll, EPOLL_CTL_ADD, file, &event), EPERM);
    LT_OK(close(file));
    end(s);
}

LT_TEST(duplicates_are_others) {
    struct setting s = make();
    int copy = (int)LT_OK(dup(s.in));
    LT_OK(control(s.epoll, EPOLL_CTL_ADD, s.in, EPOLLIN, 1));
    LT_OK(control(s.epoll, EPOLL_CTL_ADD, copy, EPOLLIN, 2));
    fill(s, 1);
    LT_EQUAL(look(s.epoll), 2);
    LT_EQUAL(got[0].data.u64 + got[1].data.u64, 3);
    LT_OK(control(s.epoll, EPOLL_CTL_DEL, copy, 0, 0));
    LT_EQUAL(look(s.epoll), 1);
    LT_EQUAL(got[0].data.u64, 1);
    LT_OK(close(copy));
    end(s);
}

LT_TEST(the_closed_leave) {
    struct setting s = make();
    LT_OK(control(s.epoll, EPOLL_CTL_ADD, s.in, EPOLLIN, 1));
    fill(s, 1);
    LT_OK(close(s.in));
    LT_EQUAL(look(s.epoll), 0);
    int other = (int)LT_OK(eventfd(1, 0));
    LT_EQUAL(other, s.in);
    LT_EQUAL(look(s.epoll), 0);
    LT_OK(control(s.epoll, EPOLL_CTL_ADD, other, EPOLLIN, 3));
    LT_EQUAL(look(s.epoll), 1);
    LT_EQUAL(got[0].data.u64, 3);
    end(s);
}

LT_TEST(hangups_are_always_told) {
    struct setting s = make();
    LT_OK(control(s.epoll, EPOLL_CTL_ADD, s.in, 0, 1));
    fill(s, 1);
    LT_EQUAL(look(s.epoll), 0);
    LT_OK(close(s.out));
    s.out = -1;
    LT_EQUAL(look(s.epoll), 1);
    LT_EQUAL(got[0].events, EPOLLHUP);
    LT_OK(control(s.epoll, EPOLL_CTL_MOD, s.in, EPOLLIN | EPOLLRDHUP, 1));
    LT_EQUAL(look(s.epoll), 1);
    LT_EQUAL(got[0].events, EPOLLIN | EPOLLHUP);
    end(s);
}

LT_TEST(nested) {
    struct setting s = make();
    int outer = (int)LT_OK(epoll_create1(0));
    LT_OK(control(outer, EPOLL_CTL_ADD, s.epoll, EPOLLIN, 7));
    LT_OK(control(s.epoll, EPOLL_CTL_ADD, s.in, EPOLLIN, 1));
    LT_EQUAL(look(outer), 0);
    fill(s, 1);
    LT_EQUAL(look(outer), 1);
    LT_EQUAL(got[0].data.u64, 7);
    struct pollfd p = {.fd = s.epoll, .events = POLLIN};
    LT_EQUAL(poll(&p, 1, 0), 1);
    LT_EQUAL(p.revents, POLLIN);
    drain(s, 1);
    LT_EQUAL(look(outer), 0);
    LT_OK(close(outer));
    end(s);
}

LT_TEST(sockets_in_both_directions) {
    int pair[2], epoll = (int)LT_OK(epoll_create1(0));
    LT_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    LT_OK(control(epoll, EPOLL_CTL_ADD, pair[0], EPOLLIN | EPOLLOUT | EPOLLRDHUP, 5));
    LT_EQUAL(look(epoll), 1);
    LT_EQUAL(got[0].events, EPOLLOUT);
    LT_EQUAL(write(pair[1], "x", 1), 1);
    LT_EQUAL(look(epoll), 1);
    LT_EQUAL(got[0].events, EPOLLIN | EPOLLOUT);
    LT_OK(control(epoll, EPOLL_CTL_MOD, pair[0], EPOLLIN | EPOLLOUT | EPOLLONESHOT, 6));
    LT_EQUAL(look(epoll), 1);
    LT_EQUAL(got[0].events, EPOLLIN | EPOLLOUT);
    LT_EQUAL(got[0].data.u64, 6);
    LT_EQUAL(look(epoll), 0);
    LT_OK(control(epoll, EPOLL_CTL_MOD, pair[0], EPOLLIN | EPOLLRDHUP, 8));
    LT_OK(shutdown(pair[1], SHUT_WR));
    LT_EQUAL(look(epoll), 1);
    LT_EQUAL(got[0].events, EPOLLIN | EPOLLRDHUP);
    LT_OK(close(pair[1]));
    LT_EQUAL(look(epoll), 1);
    LT_EQUAL(got[0].events, EPOLLIN | EPOLLRDHUP | EPOLLHUP);
    LT_OK(close(pair[0]));
    LT_EQUAL(look(epoll), 0);
    LT_OK(close(epoll));
}

LT_TEST(many) {
    enum { MANY = 50 };
    int fds[MANY], epoll = (int)LT_OK(epoll_create1(0));
    for (int i = 0; i < MANY; i++) {
        fds[i] = (int)LT_OK(eventfd(1, 0));
        LT_OK(control(epoll, EPOLL_CTL_ADD, fds[i], EPOLLIN | EPOLLET, (uint64_t)i));
    }
    uint64_t seen = 0;
    for (int n; (n = look(epoll)) > 0;)
        for (int i = 0; i < n; i++) seen |= 1ull << got[i].data.u64;
    LT_CHECK(seen == (1ull << MANY) - 1);
    for (int i = 0; i < MANY; i++) LT_OK(close(fds[i]));
    LT_OK(close(epoll));
}

static void *waits(void *epoll) {
    struct epoll_event event = {0};
    return (void *)(long)(epoll_wait(*(int *)epoll, &event, 1, LT_HANG_MS) == 1 ? event.data.u64 : 999);
}

LT_TEST(waiting_in_threads) {
    struct setting s = make();
    pthread_t thread[2];
    void *result[2];
    LT_OK(control(s.epoll, EPOLL_CTL_ADD, s.in, EPOLLIN, 4));
    for (int i = 0; i < 2; i++) LT_EQUAL(pthread_create(&thread[i], NULL, waits, &s.epoll), 0);
    usleep(20000);
    fill(s, 1);
    for (int i = 0; i < 2; i++) {
        LT_EQUAL(pthread_join(thread[i], &result[i]), 0);
        LT_EQUAL((long)result[i], 4);
    }
    end(s);
}

LT_TEST(children_share_it) {
    struct setting s = make();
    int status;
    LT_OK(control(s.epoll, EPOLL_CTL_ADD, s.in, EPOLLIN, 11));
    pid_t child = (pid_t)LT_OK(fork());
    if (child == 0) {
        int n = epoll_wait(s.epoll, got, 8, LT_HANG_MS);
        _exit(n == 1 && got[0].data.u64 == 11 ? 0 : 1);
    }
    fill(s, 1);
    LT_EQUAL(waitpid(child, &status, 0), child);
    LT_EQUAL(status, 0);
    end(s);
}

static volatile sig_atomic_t signals;
static void count_signal(int number) { signals++; }

LT_TEST(signals_end_it) {
    struct setting s = make();
    sigset_t blocked, none, now;
    struct sigaction action = {.sa_handler = count_signal, .sa_flags = SA_RESTART};
    LT_OK(sigaction(SIGUSR1, &action, NULL));
    sigemptyset(&none);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    LT_OK(sigprocmask(SIG_BLOCK, &blocked, NULL));
    LT_OK(raise(SIGUSR1));
    LT_EQUAL(epoll_wait(s.epoll, got, 1, 5), 0);
    LT_ERRNO(epoll_pwait(s.epoll, got, 1, LT_HANG_MS, &none), EINTR);
    LT_EQUAL(signals, 1);
    LT_EQUAL(epoll_pwait(s.epoll, got, 1, 5, &none), 0);
    LT_OK(sigprocmask(SIG_SETMASK, &none, &now));
    LT_EQUAL(sigismember(&now, SIGUSR1), 1);
    end(s);
}
