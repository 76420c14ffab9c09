// eventfd, timerfd, signalfd, pidfd.
#include "tests/linux/lt.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>

static int ready(int fd) {
    struct pollfd p = {.fd = fd, .events = POLLIN | POLLOUT};
    return poll(&p, 1, 0) < 0 ? -1 : p.revents;
}

LT_TEST(eventfd_counts) {
    uint64_t value = 0;
    int fd = (int)LT_OK(eventfd(5, EFD_NONBLOCK | EFD_CLOEXEC));
    LT_EQUAL(fcntl(fd, F_GETFL), O_RDWR | O_NONBLOCK);
    LT_EQUAL(fcntl(fd, F_GETFD), FD_CLOEXEC);
    value = 3;
    LT_EQUAL(write(fd, &value, 8), 8);
    LT_EQUAL(read(fd, &value, 100 > 8 ? 8 : 8), 8);
    LT_EQUAL(value, 8);
    LT_ERRNO(read(fd, &value, 8), EAGAIN);
    LT_ERRNO(read(fd, &value, 7), EINVAL);
    LT_ERRNO(write(fd, &value, 7), EINVAL);
    value = UINT64_MAX;
    LT_ERRNO(write(fd, &value, 8), EINVAL);
    value = UINT64_MAX - 1;
    LT_EQUAL(write(fd, &value, 8), 8);
    LT_EQUAL(ready(fd), POLLIN);
    value = 1;
    LT_ERRNO(write(fd, &value, 8), EAGAIN);
    LT_EQUAL(read(fd, &value, 8), 8);
    LT_CHECK(value == UINT64_MAX - 1);
    LT_OK(close(fd));
    LT_ERRNO(eventfd(0, 0x10000), EINVAL);
}

LT_TEST(eventfd_as_semaphore) {
    uint64_t value = 0;
    int fd = (int)LT_OK(eventfd(2, EFD_NONBLOCK | EFD_SEMAPHORE));
    for (int i = 0; i < 2; i++) {
        LT_EQUAL(read(fd, &value, 8), 8);
        LT_EQUAL(value, 1);
    }
    LT_ERRNO(read(fd, &value, 8), EAGAIN);
    LT_OK(close(fd));
}

static int there, back;
static void *answers(void *none) {
    uint64_t value;
    for (int i = 0; i < 200; i++) {
        if (read(there, &value, 8) != 8) return (void *)1;
        value++;
        if (write(back, &value, 8) != 8) return (void *)2;
    }
    return NULL;
}

LT_TEST(eventfd_between_threads) {
    pthread_t thread;
    void *result;
    there = (int)LT_OK(eventfd(0, 0));
    back = (int)LT_OK(eventfd(0, 0));
    LT_EQUAL(pthread_create(&thread, NULL, answers, NULL), 0);
    for (uint64_t i = 1; i <= 200; i++) {
        uint64_t value = i;
        LT_EQUAL(write(there, &value, 8), 8);
        LT_EQUAL(read(back, &value, 8), 8);
        LT_EQUAL(value, i + 1);
    }
    LT_EQUAL(pthread_join(thread, &result), 0);
    LT_CHECK(result == NULL);
    LT_OK(close(there));
    LT_OK(close(back));
}

LT_TEST(eventfd_after_fork) {
    uint64_t value = 4;
    int status, fd = (int)LT_OK(eventfd(0, 0));
    pid_t child = (pid_t)LT_OK(fork());
    if (child == 0) _exit(write(fd, &value, 8) == 8 ? 0 : 1);
    LT_EQUAL(read(fd, &value, 8), 8);
    LT_EQUAL(value, 4);
    LT_EQUAL(waitpid(child, &status, 0), child);
    LT_EQUAL(status, 0);
    LT_OK(close(fd));
}

// ---- timers --------------------------------------------------------------------------------------------------------------

LT_TEST(timerfd_once) {
    uint64_t fired = 0;
    struct itimerspec later = {.it_value.tv_sec = 1000}, soon = {.it_value.tv_nsec = 20000000}, now;
    int fd = (int)LT_OK(timerfd_create(CLOCK_MONOTONIC, 0));
    LT_EQUAL(fcntl(fd, F_GETFL) & ~O_ACCMODE, 0);
    LT_OK(timerfd_settime(fd, 0, &later, NULL));
    LT_OK(timerfd_gettime(fd, &now));
    LT_CHECK(now.it_value.tv_sec > 0 && (now.it_value.tv_sec < 1000 || now.it_value.tv_nsec == 0));
    LT_OK(timerfd_settime(fd, 0, &soon, NULL));
    LT_EQUAL(read(fd, &fired, 8), 8);
    LT_EQUAL(fired, 1);
    LT_OK(timerfd_gettime(fd, &now));
    LT_CHECK(now.it_value.tv_sec == 0 && now.it_value.tv_nsec == 0);
    LT_OK(fcntl(fd, F_SETFL, O_NONBLOCK));
    LT_ERRNO(read(fd, &fired, 8), EAGAIN);
    LT_ERRNO(read(fd, &fired, 4), EINVAL);
    LT_OK(close(fd));
}

LT_TEST(timerfd_periods) {
    uint64_t fired = 0;
    struct itimerspec often = {.it_value.tv_nsec = 5000000, .it_interval.tv_nsec = 5000000}, stop = {0}, old;
    int fd = (int)LT_OK(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
    LT_OK(timerfd_settime(fd, 0, &often, NULL));
    usleep(40000);
    LT_EQUAL(read(fd, &fired, 8), 8);
    LT_CHECK(fired >= 7);
    LT_OK(timerfd_settime(fd, 0, &stop, &old));
    LT_EQUAL(old.it_interval.tv_nsec, 5000000);
    LT_ERRNO(read(fd, &fired, 8), EAGAIN);
    LT_OK(close(fd));
}

LT_TEST(timerfd_absolute) {
    int clocks[] = {CLOCK_MONOTONIC, CLOCK_REALTIME};
    for (int i = 0; i < 2; i++) {
        uint64_t fired = 0;
        struct itimerspec at = {0};
        int fd = (int)LT_OK(timerfd_create(clocks[i], 0));
        LT_OK(clock_gettime(clocks[i], &at.it_value));
        at.it_value.tv_nsec += 20000000;
        if (at.it_value.tv_nsec >= 1000000000) {
            at.it_value.tv_nsec -= 1000000000;
            at.it_value.tv_sec++;
        }
        LT_OK(timerfd_settime(fd, TFD_TIMER_ABSTIME, &at, NULL));
        LT_EQUAL(read(fd, &fired, 8), 8);
        LT_EQUAL(fired, 1);
        struct timespec now;
        LT_OK(clock_gettime(clocks[i], &now));
        LT_CHECK(now.tv_sec > at.it_value.tv_sec || (now.tv_sec == at.it_value.tv_sec && now.tv_nsec >= at.it_value.tv_nsec));
        at.it_value.tv_sec = 1;  // long ago
        LT_OK(timerfd_settime(fd, TFD_TIMER_ABSTIME, &at, NULL));
        LT_EQUAL(read(fd, &fired, 8), 8);
        LT_OK(close(fd));
    }
}

LT_TEST(timerfd_arguments) {
    struct itimerspec bad = {.it_value.tv_nsec = 1000000000}, good = {0};
    LT_ERRNO(timerfd_create(77, 0), EINVAL);
    LT_ERRNO(timerfd_create(CLOCK_MONOTONIC, 1), EINVAL);
    int fd = (int)LT_OK(timerfd_create(CLOCK_MONOTONIC, 0));
    LT_ERRNO(timerfd_settime(fd, 0, &bad, NULL), EINVAL);
    LT_ERRNO(timerfd_settime(fd, 8, &good, NULL), EINVAL);
    LT_ERRNO(timerfd_settime(1, 0, &good, NULL), EINVAL);
    LT_ERRNO(timerfd_settime(99, 0, &good, NULL), EBADF);
    LT_ERRNO(write(fd, &good, 8), EINVAL);
    LT_OK(close(fd));
}

// ---- signals -------------------------------------------------------------------------------------------------------------

static sigset_t blocked(int a, int b) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, a);
    sigaddset(&set, b);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return set;
}
static void unblocked(sigset_t set) { sigprocmask(SIG_UNBLOCK, &set, NULL); }

LT_TEST(signalfd_tells) {
    struct signalfd_siginfo info[3];
    sigset_t set = blocked(SIGUSR1, SIGRTMIN + 3);
    int fd = (int)LT_OK(signalfd(-1, &set, SFD_NONBLOCK));
    LT_ERRNO(read(fd, info, sizeof info), EAGAIN);
    LT_ERRNO(read(fd, info, 100), EINVAL);
    LT_EQUAL(ready(fd), 0);
    LT_OK(kill(getpid(), SIGUSR1));
    LT_OK(sigqueue(getpid(), SIGRTMIN + 3, (union sigval){.sival_int = 42}));
    LT_EQUAL(ready(fd), POLLIN);
    LT_EQUAL(read(fd, info, sizeof info), 2 * sizeof info[0]);
    LT_EQUAL(info[0].ssi_signo, SIGUSR1);
    LT_EQUAL(info[0].ssi_pid, getpid());
    LT_EQUAL(info[0].ssi_code, SI_USER);
    LT_EQUAL(info[1].ssi_signo, SIGRTMIN + 3);
    LT_EQUAL(info[1].ssi_int, 42);
    LT_EQUAL(info[1].ssi_code, SI_QUEUE);
    LT_EQUAL(ready(fd), 0);
    LT_OK(close(fd));
    unblocked(set);
}

LT_TEST(signalfd_has_its_mask) {
    struct signalfd_siginfo info;
    sigset_t both = blocked(SIGUSR1, SIGUSR2), one;
    sigemptyset(&one);
    sigaddset(&one, SIGUSR2);
    int fd = (int)LT_OK(signalfd(-1, &one, SFD_NONBLOCK | SFD_CLOEXEC));
    LT_OK(raise(SIGUSR1));
    LT_EQUAL(ready(fd), 0);
    LT_ERRNO(read(fd, &info, sizeof info), EAGAIN);
    LT_EQUAL(signalfd(fd, &both, 0), fd);
    LT_EQUAL(ready(fd), POLLIN);
    LT_EQUAL(read(fd, &info, sizeof info), sizeof info);
    LT_EQUAL(info.ssi_signo, SIGUSR1);
    LT_ERRNO(signalfd(1, &both, 0), EINVAL);
    LT_OK(close(fd));
    unblocked(both);
}

static void *sends(void *none) {
    usleep(20000);
    kill(getpid(), SIGUSR1);
    return NULL;
}

LT_TEST(signalfd_waits) {
    struct signalfd_siginfo info;
    pthread_t thread;
    sigset_t set = blocked(SIGUSR1, SIGUSR2);
    int fd = (int)LT_OK(signalfd(-1, &set, 0));
    LT_EQUAL(pthread_create(&thread, NULL, sends, NULL), 0);
    LT_EQUAL(read(fd, &info, sizeof info), sizeof info);
    LT_EQUAL(info.ssi_signo, SIGUSR1);
    LT_EQUAL(pthread_join(thread, NULL), 0);
    LT_OK(close(fd));
    unblocked(set);
}

// ---- processes -----------------------------------------------------------------------------------------------------------

LT_TEST(pidfd_of_a_child) {
    int p[2];
    char c;
    LT_OK(pipe(p));
    pid_t child = (pid_t)LT_OK(fork());
    if (child == 0) {
        close(p[1]);
        (void)!read(p[0], &c, 1);
        _exit(3);
    }
    int fd = (int)syscall(SYS_pidfd_open, child, 0);
    LT_CHECK(fd >= 0);
    LT_EQUAL(fcntl(fd, F_GETFD), FD_CLOEXEC);
    struct pollfd poller = {.fd = fd, .events = POLLIN};
    LT_EQUAL(poll(&poller, 1, 0), 0);
    LT_OK(close(p[1]));
    LT_EQUAL(poll(&poller, 1, LT_HANG_MS), 1);
    LT_EQUAL(poller.revents, POLLIN);
    int status;
    LT_EQUAL(waitpid(child, &status, 0), child);
    LT_EQUAL(status, 3 << 8);
    LT_OK(close(fd));
    LT_OK(close(p[0]));
    LT_ERRNO(syscall(SYS_pidfd_open, 0, 0), EINVAL);
}
