// Whom datagram sockets talk to, and how many connections wait for a listener.
#include "tests/linux/lt.h"

#include <poll.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

static struct sockaddr_un name_of(const char *path) {
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    snprintf(name.sun_path, sizeof name.sun_path, "%s", path);
    return name;
}
static int bound(int type, const char *path) {
    const struct sockaddr_un name = name_of(path);
    int fd = (int)LT_OK(socket(AF_UNIX, type, 0));
    LT_OK(bind(fd, (const struct sockaddr *)&name, sizeof name));
    return fd;
}
static int connect_to(int fd, const char *path) {
    const struct sockaddr_un name = name_of(path);
    return connect(fd, (const struct sockaddr *)&name, sizeof name);
}
static int part(int fd) { return connect(fd, &(struct sockaddr){.sa_family = AF_UNSPEC}, sizeof(struct sockaddr)); }
static ssize_t send_to(int fd, const char *path, const char *text) {
    const struct sockaddr_un name = name_of(path);
    return sendto(fd, text, strlen(text), 0, (const struct sockaddr *)&name, sizeof name);
}
static void expect(int fd, const char *text) {
    char got[32] = "";
    LT_EQUAL(recv(fd, got, sizeof got - 1, MSG_DONTWAIT), strlen(text));
    LT_TEXT(got, text);
}
static void expect_nothing(int fd) {
    char byte;
    LT_ERRNO(recv(fd, &byte, 1, MSG_DONTWAIT), EAGAIN);
}

// ---- datagrams -------------------------------------------------------------------------------------------------------------------

LT_TEST(only_the_peer_may_send) {
    int a = bound(SOCK_DGRAM, "a"), b = bound(SOCK_DGRAM, "b"), c = bound(SOCK_DGRAM, "c");
    int nameless = (int)LT_OK(socket(AF_UNIX, SOCK_DGRAM, 0));
    LT_EQUAL(send_to(c, "a", "before"), 6);
    LT_OK(connect_to(a, "b"));
    LT_EQUAL(send_to(b, "a", "from b"), 6);
    LT_ERRNO(send_to(c, "a", "x"), EPERM);
    LT_ERRNO(send_to(nameless, "a", "x"), EPERM);
    LT_ERRNO(connect_to(c, "a"), EPERM);
    LT_ERRNO(connect_to(nameless, "a"), EPERM);
    LT_OK(connect_to(b, "a"));
    LT_EQUAL(send(b, "again", 5, 0), 5);
    LT_EQUAL(send_to(a, "c", "to c"), 4);  // a peer is no bound for what is sent
    expect(c, "to c");
    expect(a, "before");
    expect(a, "from b");
    expect(a, "again");
    expect_nothing(a);
    LT_OK(part(a));
    LT_EQUAL(send_to(c, "a", "now"), 3);
    LT_EQUAL(send_to(nameless, "a", "too"), 3);
    expect(a, "now");
    expect(a, "too");
}

LT_TEST(who_was_connected_before) {
    int a = bound(SOCK_DGRAM, "a"), b = bound(SOCK_DGRAM, "b"), c = bound(SOCK_DGRAM, "c");
    LT_OK(connect_to(c, "a"));
    LT_EQUAL(send(c, "1", 1, 0), 1);
    LT_OK(connect_to(a, "b"));
    LT_ERRNO(send(c, "2", 1, 0), EPERM);
    LT_ERRNO(write(c, "2", 1), EPERM);
    LT_OK(connect_to(c, "b"));  // it gives the other one up
    LT_EQUAL(send(c, "to b", 4, 0), 4);
    expect(b, "to b");
    expect(a, "1");
    expect_nothing(a);
}

// It is said of the name, whenever that comes.
LT_TEST(a_name_that_comes_later) {
    int a = (int)LT_OK(socket(AF_UNIX, SOCK_DGRAM, 0)), b = bound(SOCK_DGRAM, "b"), c = bound(SOCK_DGRAM, "c");
    const struct sockaddr_un name = name_of("a");
    LT_OK(connect_to(a, "b"));
    LT_OK(bind(a, (const struct sockaddr *)&name, sizeof name));
    LT_ERRNO(send_to(c, "a", "x"), EPERM);
    LT_EQUAL(send_to(b, "a", "y"), 1);
    expect(a, "y");
}

LT_TEST(another_peer) {
    int a = bound(SOCK_DGRAM, "a"), b = bound(SOCK_DGRAM, "b"), c = bound(SOCK_DGRAM, "c");
    LT_OK(connect_to(a, "b"));
    LT_EQUAL(send_to(b, "a", "old"), 3);
    LT_OK(connect_to(a, "b"));  // the same: nothing changes
    expect(a, "old");
    LT_EQUAL(send_to(b, "a", "older"), 5);
    LT_OK(connect_to(a, "c"));
    expect_nothing(a);  // what the former one sent went with it
    LT_ERRNO(send_to(b, "a", "x"), EPERM);
    LT_EQUAL(send_to(c, "a", "new"), 3);
    expect(a, "new");
    LT_EQUAL(send_to(c, "a", "newer"), 5);
    LT_OK(part(a));
    expect_nothing(a);
}

LT_TEST(with_oneself) {
    int a = bound(SOCK_DGRAM, "a"), b = bound(SOCK_DGRAM, "b");
    LT_OK(connect_to(a, "a"));
    LT_EQUAL(send(a, "me", 2, 0), 2);
    expect(a, "me");
    LT_ERRNO(send_to(b, "a", "x"), EPERM);
}

// What the peer was has gone: whoever has its name now is somebody else.
LT_TEST(a_peer_that_is_gone) {
    int a = bound(SOCK_DGRAM, "a"), b = bound(SOCK_DGRAM, "b");
    LT_OK(connect_to(a, "b"));
    LT_OK(close(b));
    LT_OK(unlink("b"));
    b = bound(SOCK_DGRAM, "b");
    LT_ERRNO(send_to(b, "a", "x"), EPERM);
    LT_OK(close(a));
    LT_ERRNO(send_to(b, "a", "x"), ECONNREFUSED);
}

LT_TEST(peers_in_other_processes) {
    int a = bound(SOCK_DGRAM, "a"), b = bound(SOCK_DGRAM, "b");
    LT_OK(connect_to(a, "b"));
    LT_EQUAL(LT_IN_A_CHILD({
                 LT_DEMAND(send_to(b, "a", "child") == 5);
                 int c = socket(AF_UNIX, SOCK_DGRAM, 0);
                 LT_DEMAND(c >= 0 && send_to(c, "a", "x") == -1 && errno == EPERM);
                 LT_DEMAND(part(a) == 0);
             }),
             0);
    expect_nothing(a);  // it was forgotten by the child, which shares the socket
}

// ---- connections ---------------------------------------------------------------------------------------------------------------

static int client(int type, int flags) { return (int)LT_OK(socket(AF_UNIX, type | flags, 0)); }

// One more than the backlog says.
static void count_waiting(int type, int backlog, int waiting) {
    int server = bound(type, "s"), fd;
    LT_OK(listen(server, backlog));
    for (int i = 0; i < waiting; i++) LT_OK(connect_to(client(type, SOCK_NONBLOCK), "s"));
    LT_ERRNO(connect_to(fd = client(type, SOCK_NONBLOCK), "s"), EAGAIN);
    LT_ERRNO(connect_to(fd, "s"), EAGAIN);
    LT_OK(close((int)LT_OK(accept(server, NULL, NULL))));
    LT_OK(connect_to(fd, "s"));
    LT_ERRNO(connect_to(client(type, SOCK_NONBLOCK), "s"), EAGAIN);
    LT_OK(listen(server, backlog + 1));
    LT_OK(connect_to(client(type, SOCK_NONBLOCK), "s"));
    LT_ERRNO(connect_to(client(type, SOCK_NONBLOCK), "s"), EAGAIN);
    LT_OK(close(server));
    LT_OK(unlink("s"));
    LT_ERRNO(connect_to(client(type, SOCK_NONBLOCK), "s"), ENOENT);
}

LT_TEST(how_many_wait) {
    count_waiting(SOCK_STREAM, 0, 1);
    count_waiting(SOCK_STREAM, 3, 4);
    count_waiting(SOCK_SEQPACKET, 5, 6);
    count_waiting(SOCK_STREAM, 100, 101);
}

// Any number below zero is the most there may be.
LT_TEST(a_backlog_below_zero) {
    int server = bound(SOCK_STREAM, "s");
    LT_OK(listen(server, -1));
    for (int i = 0; i < 80; i++) LT_OK(connect_to(client(SOCK_STREAM, SOCK_NONBLOCK), "s"));
}

// Who may wait does, until somebody is accepted, the listener has more room, or is gone.
LT_TEST(waiting_for_room) {
    for (int way = 0; way < 3; way++) {
        int server = bound(SOCK_STREAM, "s"), status;
        LT_OK(listen(server, 0));
        LT_OK(connect_to(client(SOCK_STREAM, 0), "s"));
        int told[2];
        char byte;
        LT_OK(pipe(told));
        pid_t child = (pid_t)LT_OK(fork());
        if (child == 0) {
            close(server);
            int fd = client(SOCK_STREAM, 0);
            const struct timeval little = {.tv_usec = 10000}, none = {0};
            LT_DEMAND(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &little, sizeof little) == 0);
            LT_DEMAND(connect_to(fd, "s") == -1 && errno == EAGAIN);
            LT_DEMAND(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &none, sizeof none) == 0);
            LT_DEMAND(write(told[1], "w", 1) == 1);
            int result = connect_to(fd, "s");
            _exit(result == 0 ? 0 : errno);
        }
        LT_EQUAL(read(told[0], &byte, 1), 1);
        if (way == 0) LT_OK(close((int)LT_OK(accept(server, NULL, NULL))));
        else if (way == 1) LT_OK(listen(server, 1));
        else LT_OK(close(server));
        LT_EQUAL(waitpid(child, &status, 0), child);
        LT_EQUAL(status, way == 2 ? ECONNREFUSED << 8 : 0);
        close(server);
        LT_OK(unlink("s"));
    }
}
