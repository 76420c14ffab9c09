// SO_RCVTIMEO and SO_SNDTIMEO of unix sockets.
#include "tests/linux/lt.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

static long long now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000ll + now.tv_nsec / 1000;
}

static void set(int fd, int option, long seconds, long microseconds) {
    const struct timeval value = {seconds, microseconds};
    LT_OK(setsockopt(fd, SOL_SOCKET, option, &value, sizeof value));
}
static long long get(int fd, int option) {
    struct timeval value;
    socklen_t size = sizeof value;
    LT_OK(getsockopt(fd, SOL_SOCKET, option, &value, &size));
    LT_EQUAL(size, sizeof value);
    return value.tv_sec * 1000000ll + value.tv_usec;
}

LT_TEST(values) {
    const struct timeval bad[] = {{.tv_usec = 1000000}, {.tv_usec = -1}};
    const int options[] = {SO_RCVTIMEO, SO_SNDTIMEO};
    int pair[2], other;
    LT_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    for (int i = 0; i < 2; i++) {
        LT_EQUAL(get(pair[0], options[i]), 0);
        set(pair[0], options[i], 1, 500000);
        LT_CHECK(get(pair[0], options[i]) >= 1500000 && get(pair[0], options[i]) <= 1510000);
        LT_ERRNO(setsockopt(pair[0], SOL_SOCKET, options[i], &bad[0], sizeof bad[0]), EDOM);
        LT_ERRNO(setsockopt(pair[0], SOL_SOCKET, options[i], &bad[1], sizeof bad[1]), EDOM);
        LT_ERRNO(setsockopt(pair[0], SOL_SOCKET, options[i], &bad[0], 8), EINVAL);
        LT_ERRNO(setsockopt(pair[0], SOL_SOCKET, options[i], LT_BAD_ADDRESS, sizeof bad[0]), EFAULT);
        LT_CHECK(get(pair[0], options[i]) >= 1500000);
        LT_EQUAL(get(pair[1], options[i]), 0);
        set(pair[0], options[i], 3600, 0);
        LT_EQUAL(get(pair[0], options[i]), 3600000000ll);
    }
    LT_EQUAL(other = dup(pair[0]), pair[1] + 1);
    LT_EQUAL(get(other, SO_RCVTIMEO), 3600000000ll);
    set(pair[0], SO_RCVTIMEO, 0, 0);
    LT_EQUAL(get(pair[0], SO_RCVTIMEO), 0);
    LT_EQUAL(get(pair[0], SO_SNDTIMEO), 3600000000ll);
    LT_EQUAL(fcntl(pair[0], F_GETFL) & O_ACCMODE, O_RDWR);
}

// Every call that receives comes back, and not too early.
static void receive_in_vain(int fd) {
    struct sockaddr_un from;
    socklen_t size = sizeof from;
    char byte;
    struct iovec part = {&byte, 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    set(fd, SO_RCVTIMEO, 0, 20000);
    for (int way = 0; way < 6; way++) {
        long long begin = now_us();
        switch (way) {
        case 0: LT_ERRNO(recv(fd, &byte, 1, 0), EAGAIN); break;
        case 1: LT_ERRNO(read(fd, &byte, 1), EAGAIN); break;
        case 2: LT_ERRNO(recvfrom(fd, &byte, 1, 0, (struct sockaddr *)&from, &size), EAGAIN); break;
        case 3: LT_ERRNO(recvmsg(fd, &message, 0), EAGAIN); break;
        case 4: LT_ERRNO(readv(fd, &part, 1), EAGAIN); break;
        case 5: LT_ERRNO(recv(fd, &byte, 1, MSG_PEEK), EAGAIN); break;
        }
        LT_CHECK(now_us() - begin >= 20000);
    }
    LT_ERRNO(recv(fd, &byte, 1, MSG_DONTWAIT), EAGAIN);
}

static void send_in_vain(int fd) {
    static char much[4096];
    struct iovec part = {much, sizeof much};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    while (send(fd, much, sizeof much, MSG_DONTWAIT) > 0) {}
    while (send(fd, much, 1, MSG_DONTWAIT) > 0) {}
    LT_EQUAL(errno, EAGAIN);
    set(fd, SO_SNDTIMEO, 0, 20000);
    for (int way = 0; way < 4; way++) {
        long long begin = now_us();
        switch (way) {
        case 0: LT_ERRNO(send(fd, much, sizeof much, 0), EAGAIN); break;
        case 1: LT_ERRNO(write(fd, much, sizeof much), EAGAIN); break;
        case 2: LT_ERRNO(sendmsg(fd, &message, 0), EAGAIN); break;
        case 3: LT_ERRNO(writev(fd, &part, 1), EAGAIN); break;
        }
        LT_CHECK(now_us() - begin >= 20000);
    }
}

static void in_vain(int type) {
    int pair[2];
    char byte = 'x';
    LT_OK(socketpair(AF_UNIX, type, 0, pair));
    receive_in_vain(pair[0]);
    LT_EQUAL(write(pair[1], "a", 1), 1);
    LT_EQUAL(recv(pair[0], &byte, 1, 0), 1);
    LT_EQUAL(byte, 'a');
    send_in_vain(pair[1]);
}
LT_TEST(streams) { in_vain(SOCK_STREAM); }
LT_TEST(datagrams) { in_vain(SOCK_DGRAM); }
LT_TEST(seqpackets) { in_vain(SOCK_SEQPACKET); }

// What came before the time was over is the result.
LT_TEST(a_part_of_it) {
    int pair[2];
    char text[8];
    static char much[1 << 20];
    LT_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    set(pair[0], SO_RCVTIMEO, 0, 20000);
    set(pair[1], SO_SNDTIMEO, 0, 20000);
    LT_EQUAL(write(pair[1], "abc", 3), 3);
    LT_EQUAL(recv(pair[0], text, sizeof text, MSG_WAITALL), 3);
    ssize_t sent = write(pair[1], much, sizeof much);
    LT_CHECK(sent > 0 && sent < (ssize_t)sizeof much);
}

LT_TEST(a_child_has_them_too) {
    int pair[2], status = -1;
    char byte;
    LT_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    set(pair[0], SO_RCVTIMEO, 0, 20000);
    pid_t child = (pid_t)LT_OK(fork());
    if (child == 0) _exit(read(pair[0], &byte, 1) == -1 && errno == EAGAIN ? 3 : 4);
    LT_EQUAL(waitpid(child, &status, 0), child);
    LT_EQUAL(status, 3 << 8);
}

LT_TEST(accepting) {
    struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "socket"};
    int server = (int)LT_OK(socket(AF_UNIX, SOCK_STREAM, 0)), client = (int)LT_OK(socket(AF_UNIX, SOCK_STREAM, 0));
    LT_OK(bind(server, (struct sockaddr *)&name, sizeof name));
    LT_OK(listen(server, 1));
    set(server, SO_RCVTIMEO, 0, 20000);
    set(client, SO_RCVTIMEO, 0, 20000);
    long long begin = now_us();
    LT_ERRNO(accept(server, NULL, NULL), EAGAIN);
    LT_CHECK(now_us() - begin >= 20000);
    set(server, SO_RCVTIMEO, LT_HANG_MS / 1000, 0);
    LT_OK(connect(client, (struct sockaddr *)&name, sizeof name));
    int served = (int)LT_OK(accept(server, NULL, NULL));
    LT_EQUAL(get(served, SO_RCVTIMEO), 0);
    receive_in_vain(client);
}

static void note(int number) { (void)number; }
// A call that would be made again after a handler is not, since its time would begin again.
LT_TEST(a_signal_ends_it) {
    struct sigaction action = {.sa_handler = note, .sa_flags = SA_RESTART};
    const struct itimerval often = {.it_value = {.tv_usec = 20000}, .it_interval = {.tv_usec = 20000}}, never = {.it_value = {0}};
    int pair[2];
    char byte;
    LT_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    set(pair[0], SO_RCVTIMEO, LT_HANG_MS / 1000, 0);
    LT_OK(sigaction(SIGALRM, &action, NULL));
    LT_OK(setitimer(ITIMER_REAL, &often, NULL));
    LT_ERRNO(recv(pair[0], &byte, 1, 0), EINTR);
    LT_OK(setitimer(ITIMER_REAL, &never, NULL));
}
