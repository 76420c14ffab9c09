// Descriptors up to the limit: what fails says so and takes nothing, and what was closed is there again.
#include "tests/linux/lt.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>

enum { LIMIT = 100 };

static void limit(rlim_t most) {
    struct rlimit limits;
    LT_OK(getrlimit(RLIMIT_NOFILE, &limits));
    limits.rlim_cur = most;
    LT_OK(setrlimit(RLIMIT_NOFILE, &limits));
}

static int open_null(void) { return open("/dev/null", O_RDONLY); }
static int make_file(void) { return open("file", O_RDWR | O_CREAT, 0600); }
static int open_folder(void) { return open(".", O_RDONLY | O_DIRECTORY); }
static int open_status(void) { return open("/proc/self/status", O_RDONLY); }
static int duplicate(void) { return dup(1); }
static int duplicate_above(void) { return fcntl(1, F_DUPFD_CLOEXEC, 10); }
static int make_event(void) { return eventfd(0, 0); }
static int make_epoll(void) { return epoll_create1(0); }
static int make_timer(void) { return timerfd_create(CLOCK_MONOTONIC, 0); }
static int make_memory(void) { return memfd_create("memory", 0); }
static int make_socket(void) { return socket(AF_UNIX, SOCK_STREAM, 0); }
static int make_signals(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    return signalfd(-1, &set, 0);
}
static int make_pipe(void) {
    int fds[2];
    return pipe(fds) != 0 ? -1 : fds[1];
}
static int make_pair(void) {
    int fds[2];
    return socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0 ? -1 : fds[1];
}

static int (*const makers[])(void) = {
    open_null, make_file, open_folder, open_status, duplicate, duplicate_above, make_event, make_epoll, make_timer, make_memory,
    make_socket, make_signals, make_pipe, make_pair,
};
enum { MAKERS = sizeof makers / sizeof *makers };

// What is open from 3 on.
static unsigned open_count(void) {
    unsigned count = 0;
    for (int fd = 3; fd < LIMIT; fd++) count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static void close_all(void) {
    for (int fd = 3; fd < LIMIT; fd++) close(fd);
}

LT_TEST(each_kind_up_to_the_limit) {
    limit(LIMIT);
    for (unsigned round = 0; round < lt_times(3, 60); round++)
        for (unsigned i = 0; i < MAKERS; i++) {
            int fd;
            while ((fd = makers[i]()) >= 0) LT_CHECK(fd < LIMIT);
            if (errno != EMFILE) LT_FAIL("kind %u: errno %d", i, errno);
            unsigned room = LIMIT - 3 - open_count(), fits = makers[i] == make_pipe || makers[i] == make_pair ? 1 : 0;
            if (makers[i] == duplicate_above) fits = 7;
            if (room > fits) LT_FAIL("kind %u: %u descriptors are left", i, room);
            close_all();
        }
    limit(1024);
}

// All kinds in a random order, closed in another.
LT_TEST(all_kinds_at_random) {
    static unsigned kept[LIMIT];
    limit(LIMIT);
    for (unsigned step = 0; step < lt_times(3000, 200000); step++) {
        int fd = 3 + (int)lt_random(LIMIT - 3);
        if (lt_random(3) == 0) (void)close(fd);
        else if (lt_random(20) == 0) (void)dup2(1, fd);
        else if (makers[kept[fd] = lt_random(MAKERS)]() < 0 && errno != EMFILE) LT_FAIL("kind %u: errno %d", kept[fd], errno);
    }
    close_all();
    LT_EQUAL(open_count(), 0);
    for (int fd = 3; fd < LIMIT; fd++) LT_EQUAL(open_null(), fd);
    LT_ERRNO(open_null(), EMFILE);
    close_all();
    limit(1024);
}

static void fill(void) {
    while (open_null() >= 0) continue;
    LT_EQUAL(errno, EMFILE);
}

LT_TEST(two_do_not_fit_where_one_does) {
    int fds[2] = {-7, -7};
    limit(LIMIT);
    fill();
    LT_OK(close(50));
    for (unsigned i = 0; i < lt_times(100, 5000); i++) {
        LT_ERRNO(pipe(fds), EMFILE);
        LT_ERRNO(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), EMFILE);
        LT_CHECK(fds[0] == -7 && fds[1] == -7);
    }
    LT_EQUAL(open_null(), 50);
    close_all();
    limit(1024);
}

static ssize_t pass(int to, int fd) {
    char control[CMSG_SPACE(sizeof fd)] = "", byte = 'x';
    struct iovec data = {&byte, 1};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(header), &fd, sizeof fd);
    return sendmsg(to, &message, 0);
}

// A descriptor that finds no place is closed, which its pipe's other end sees.
LT_TEST(a_message_brings_what_does_not_fit) {
    int pair[2], sent[2];
    limit(LIMIT);
    for (unsigned i = 0; i < lt_times(30, 1500); i++) {
        char control[CMSG_SPACE(sizeof(int))], byte = 0;
        struct iovec data = {&byte, 1};
        struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
        LT_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
        LT_OK(pipe(sent));
        LT_EQUAL(pass(pair[0], sent[1]), 1);
        LT_OK(close(sent[1]));
        fill();
        LT_EQUAL(recvmsg(pair[1], &message, 0), 1);
        LT_EQUAL(byte, 'x');
        LT_CHECK(message.msg_flags & MSG_CTRUNC);
        struct pollfd gone = {.fd = sent[0], .events = POLLIN};
        LT_EQUAL(poll(&gone, 1, LT_HANG_MS), 1);
        LT_EQUAL(gone.revents, POLLHUP);
        close_all();
    }
    limit(1024);
}

// Descriptors that were on their way when both ends went.
LT_TEST(messages_that_nobody_takes) {
    for (unsigned i = 0; i < lt_times(50, 2000); i++) {
        int pair[2], sent[2];
        char byte;
        LT_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
        LT_OK(pipe(sent));
        for (int times = 0; times < 8; times++) LT_EQUAL(pass(pair[0], sent[1]), 1);
        LT_OK(close(sent[1]));
        LT_OK(close(pair[0]));
        LT_OK(close(pair[1]));
        LT_EQUAL(read(sent[0], &byte, 1), 0);
        LT_OK(close(sent[0]));
    }
}

// A full table is inherited, and goes with its process.
LT_TEST(full_tables) {
    struct rlimit limits;
    LT_OK(getrlimit(RLIMIT_NOFILE, &limits));
    limit(limits.rlim_max < 4096 ? limits.rlim_max : 4096);
    fill();
    for (unsigned i = 0; i < lt_times(10, 300); i++) {
        int status;
        pid_t child = (pid_t)LT_OK(fork());
        if (child == 0) {
            if (open_null() >= 0 || errno != EMFILE) _exit(1);
            if (close(500) != 0 || open_null() != 500) _exit(2);
            if (syscall(SYS_close_range, 3, ~0u, 0) != 0 || open_null() != 3) _exit(3);
            _exit(0);
        }
        LT_EQUAL(waitpid(child, &status, 0), child);
        LT_EQUAL(status, 0);
    }
    LT_OK(syscall(SYS_close_range, 3, ~0u, 0));
    limit(1024);
}
