// Unix sockets.
#include "tests/linux/lt.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>

static void make(int type, int pair[2]) { LT_OK(socketpair(AF_UNIX, type, 0, pair)); }
static void end(int pair[2]) {
    LT_OK(close(pair[0]));
    LT_OK(close(pair[1]));
}

LT_TEST(bytes_on_their_way) {
    int s[2], bytes = -1;
    char got[8];
    LT_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
    LT_OK(ioctl(s[0], TIOCOUTQ, &bytes));
    LT_EQUAL(bytes, 0);
    LT_EQUAL(write(s[0], "hello", 5), 5);
    LT_OK(ioctl(s[0], TIOCOUTQ, &bytes));
    LT_CHECK(bytes >= 5);  // Linux counts what holds them, too
    LT_OK(ioctl(s[1], FIONREAD, &bytes));
    LT_EQUAL(bytes, 5);
    LT_EQUAL(read(s[1], got, 8), 5);
    LT_OK(ioctl(s[0], TIOCOUTQ, &bytes));
    LT_EQUAL(bytes, 0);
    LT_OK(ioctl(s[1], FIONREAD, &bytes));
    LT_EQUAL(bytes, 0);
    LT_ERRNO(ioctl(s[0], TIOCOUTQ, LT_BAD_ADDRESS), EFAULT);
}

LT_TEST(families_and_types) {
    int pair[2];
    LT_ERRNO(socket(12345, SOCK_STREAM, 0), EAFNOSUPPORT);
    LT_ERRNO(socket(AF_UNIX, 77, 0), EINVAL);
    LT_ERRNO(socket(AF_UNIX, SOCK_STREAM, 5), EPROTONOSUPPORT);
    LT_ERRNO(socketpair(AF_UNIX, SOCK_RDM, 0, pair), ESOCKTNOSUPPORT);
    LT_ERRNO(syscall(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, 8), EFAULT);
    int fd = (int)LT_OK(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    LT_EQUAL(fcntl(fd, F_GETFL), O_RDWR | O_NONBLOCK);
    LT_EQUAL(fcntl(fd, F_GETFD), FD_CLOEXEC);
    char c;
    LT_ERRNO(send(fd, "x", 1, 0), ENOTCONN);
    LT_ERRNO(recv(fd, &c, 1, 0), EINVAL);
    LT_OK(shutdown(fd, SHUT_RD));
    LT_OK(close(fd));
    LT_ERRNO(send(1, "x", 1, 0), ENOTSOCK);
    LT_ERRNO(send(99, "x", 1, 0), EBADF);
}

LT_TEST(streams) {
    int pair[2];
    char got[10] = "";
    make(SOCK_STREAM, pair);
    LT_EQUAL(send(pair[0], "hello", 5, 0), 5);
    LT_EQUAL(write(pair[1], "world", 5), 5);
    LT_EQUAL(recv(pair[1], got, 2, MSG_PEEK), 2);
    LT_EQUAL(recv(pair[1], got, 3, 0), 3);
    LT_EQUAL(read(pair[1], got + 3, 7), 2);
    LT_TEXT(got, "hello");
    LT_EQUAL(recv(pair[0], got, 10, 0), 5);
    LT_TEXT(got, "world");
    LT_ERRNO(recv(pair[0], got, 1, MSG_DONTWAIT), EAGAIN);
    LT_OK(fcntl(pair[0], F_SETFL, O_NONBLOCK));
    LT_ERRNO(recv(pair[0], got, 1, 0), EAGAIN);
    int bytes;
    LT_EQUAL(write(pair[1], "xyz", 3), 3);
    LT_OK(ioctl(pair[0], FIONREAD, &bytes));
    LT_EQUAL(bytes, 3);
    end(pair);
}

static void *sends_late(void *fd) {
    for (int i = 0; i < 4; i++) {
        usleep(5000);
        if (write(*(int *)fd, "ab", 2) != 2) return (void *)1;
    }
    return NULL;
}

LT_TEST(waiting_for_all) {
    int pair[2];
    char got[9] = "";
    pthread_t thread;
    make(SOCK_STREAM, pair);
    LT_EQUAL(pthread_create(&thread, NULL, sends_late, &pair[1]), 0);
    LT_EQUAL(recv(pair[0], got, 8, MSG_WAITALL), 8);
    LT_TEXT(got, "abababab");
    LT_EQUAL(pthread_join(thread, NULL), 0);
    end(pair);
}

LT_TEST(messages_are_kept_apart) {
    int types[] = {SOCK_DGRAM, SOCK_SEQPACKET};
    for (int i = 0; i < 2; i++) {
        int pair[2];
        char got[10];
        make(types[i], pair);
        LT_EQUAL(send(pair[0], "hello", 5, 0), 5);
        LT_EQUAL(send(pair[0], "x", 1, 0), 1);
        LT_EQUAL(recv(pair[1], got, 2, MSG_PEEK | MSG_TRUNC), 5);
        LT_EQUAL(recv(pair[1], got, 3, 0), 3);
        LT_EQUAL(recv(pair[1], got, 10, MSG_TRUNC), 1);
        LT_EQUAL(send(pair[0], "", 0, 0), 0);
        LT_EQUAL(recv(pair[1], got, 10, 0), 0);
        static char large[200000];
        LT_EQUAL(send(pair[0], large, sizeof large, 0), sizeof large);
        static char back[sizeof large];
        LT_EQUAL(recv(pair[1], back, sizeof back, 0), sizeof large);
        LT_ERRNO(send(pair[0], large, 100000000, 0), EMSGSIZE);
        end(pair);
    }
}

static volatile sig_atomic_t signals;
static void count_signal(int number) { signals++; }

LT_TEST(the_peer_is_gone) {
    int pair[2];
    char c;
    struct sigaction action = {.sa_handler = count_signal};
    LT_OK(sigaction(SIGPIPE, &action, NULL));
    make(SOCK_STREAM, pair);
    LT_OK(close(pair[1]));
    LT_EQUAL(recv(pair[0], &c, 1, 0), 0);
    LT_ERRNO(send(pair[0], "x", 1, MSG_NOSIGNAL), EPIPE);
    LT_EQUAL(signals, 0);
    LT_ERRNO(send(pair[0], "x", 1, 0), EPIPE);
    LT_EQUAL(signals, 1);
    LT_ERRNO(write(pair[0], "x", 1), EPIPE);
    LT_EQUAL(signals, 2);
    LT_OK(close(pair[0]));
    make(SOCK_DGRAM, pair);
    LT_OK(close(pair[1]));
    LT_ERRNO(send(pair[0], "x", 1, 0), ECONNREFUSED);
    LT_OK(close(pair[0]));
    signal(SIGPIPE, SIG_DFL);
}

LT_TEST(shutting_down) {
    int pair[2];
    char c;
    make(SOCK_STREAM, pair);
    int copy = (int)LT_OK(dup(pair[0]));
    LT_EQUAL(send(pair[0], "x", 1, 0), 1);
    LT_OK(shutdown(copy, SHUT_WR));
    LT_ERRNO(send(pair[0], "x", 1, MSG_NOSIGNAL), EPIPE);
    LT_EQUAL(recv(pair[1], &c, 1, 0), 1);
    LT_EQUAL(recv(pair[1], &c, 1, 0), 0);
    LT_EQUAL(send(pair[1], "y", 1, 0), 1);
    LT_EQUAL(recv(pair[0], &c, 1, 0), 1);
    LT_OK(shutdown(pair[0], SHUT_RD));
    LT_EQUAL(recv(pair[0], &c, 1, 0), 0);
    LT_ERRNO(send(pair[1], "y", 1, MSG_NOSIGNAL), EPIPE);
    LT_ERRNO(shutdown(pair[0], 3), EINVAL);
    struct pollfd p = {.fd = pair[0], .events = POLLIN | POLLRDHUP};
    LT_EQUAL(poll(&p, 1, 0), 1);
    LT_EQUAL(p.revents, POLLIN | POLLRDHUP | POLLHUP);
    LT_OK(close(copy));
    end(pair);
}

// ---- descriptors and credentials -----------------------------------------------------------------------------------------

union control {
    char bytes[256];
    struct cmsghdr align;
};
static int64_t send_fds(int socket, const int *fds, unsigned count) {
    union control c = {0};
    struct iovec part = {"!", 1};
    struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = c.bytes, .msg_controllen = CMSG_SPACE(count * sizeof(int))};
    struct cmsghdr *h = CMSG_FIRSTHDR(&m);
    h->cmsg_level = SOL_SOCKET;
    h->cmsg_type = SCM_RIGHTS;
    h->cmsg_len = CMSG_LEN(count * sizeof(int));
    memcpy(CMSG_DATA(h), fds, count * sizeof(int));
    return sendmsg(socket, &m, 0);
}
// How many came.
static unsigned receive_fds(int socket, int *fds, unsigned room, int flags, int *told) {
    union control c = {0};
    char byte;
    struct iovec part = {&byte, 1};
    struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = c.bytes,
                       .msg_controllen = room == 0 ? 0 : CMSG_SPACE(room * sizeof(int))};
    LT_EQUAL(recvmsg(socket, &m, flags), 1);
    *told = m.msg_flags;
    struct cmsghdr *h = CMSG_FIRSTHDR(&m);
    if (h == NULL) return 0;
    LT_EQUAL(h->cmsg_level, SOL_SOCKET);
    LT_EQUAL(h->cmsg_type, SCM_RIGHTS);
    unsigned count = (unsigned)((h->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    memcpy(fds, CMSG_DATA(h), count * sizeof(int));
    return count;
}

LT_TEST(descriptors_travel) {
    int pair[2], p[2], fds[4], told;
    char c;
    make(SOCK_STREAM, pair);
    LT_OK(pipe(p));
    lt_make("file", "text");
    int file = (int)LT_OK(open("file", O_RDONLY)), null = (int)LT_OK(open("/dev/null", O_RDWR));
    LT_EQUAL(send_fds(pair[0], (int[]){p[1], file, null}, 3), 1);
    LT_OK(close(file));
    LT_EQUAL(receive_fds(pair[1], fds, 4, MSG_CMSG_CLOEXEC, &told), 3);
    LT_EQUAL(told & MSG_CTRUNC, 0);
    LT_EQUAL(fcntl(fds[0], F_GETFD), FD_CLOEXEC);
    LT_EQUAL(write(fds[0], "z", 1), 1);
    LT_EQUAL(read(p[0], &c, 1), 1);
    LT_EQUAL(read(fds[1], &c, 1), 1);
    LT_EQUAL(c, 't');
    LT_ERRNO(write(fds[1], &c, 1), EBADF);
    LT_EQUAL(write(fds[2], "gone", 4), 4);
    LT_EQUAL(read(fds[2], &c, 1), 0);
    for (int i = 0; i < 3; i++) LT_OK(close(fds[i]));
    LT_ERRNO(send_fds(pair[0], (int[]){99}, 1), EBADF);
    LT_OK(close(null));
    end(p);
    end(pair);
}

LT_TEST(sockets_travel) {
    int pair[2], other[2], fds[2], told, status;
    char c;
    make(SOCK_STREAM, pair);
    make(SOCK_STREAM, other);
    pid_t child = (pid_t)LT_OK(fork());
    if (child == 0) {
        close(pair[0]);
        end(other);
        if (receive_fds(pair[1], fds, 1, 0, &told) != 1) _exit(1);
        if (read(fds[0], &c, 1) != 1 || c != 'q') _exit(2);
        _exit(write(fds[0], "r", 1) == 1 ? 0 : 3);
    }
    LT_EQUAL(send_fds(pair[0], &other[1], 1), 1);
    LT_EQUAL(write(other[0], "q", 1), 1);
    LT_EQUAL(read(other[0], &c, 1), 1);
    LT_EQUAL(c, 'r');
    LT_EQUAL(waitpid(child, &status, 0), child);
    LT_EQUAL(status, 0);
    end(other);
    end(pair);
}

LT_TEST(no_room_for_descriptors) {
    int pair[2], fds[4], told, next;
    make(SOCK_STREAM, pair);
    lt_make("file", "");
    int file = (int)LT_OK(open("file", O_RDONLY));
    next = (int)LT_OK(dup(file));
    LT_OK(close(next));
    LT_EQUAL(send_fds(pair[0], (int[]){file, file}, 2), 1);
    LT_EQUAL(receive_fds(pair[1], fds, 0, 0, &told), 0);
    LT_EQUAL(told & MSG_CTRUNC, MSG_CTRUNC);
    LT_EQUAL(dup(file), next);  // none was left behind
    LT_OK(close(next));
    LT_OK(close(file));
    end(pair);
}

LT_TEST(peeking_at_descriptors) {
    int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
    for (int i = 0; i < 3; i++) {
        int pair[2], p[2], fds[2], told;
        char c;
        make(types[i], pair);
        LT_OK(pipe2(p, O_NONBLOCK));
        lt_make("file", "text");
        int file = (int)LT_OK(open("file", O_RDONLY));
        LT_EQUAL(send_fds(pair[0], (int[]){p[1], file}, 2), 1);
        LT_OK(close(p[1]));
        for (int times = 0; times < 3; times++) {
            LT_EQUAL(receive_fds(pair[1], fds, 2, MSG_PEEK | (times == 1 ? MSG_CMSG_CLOEXEC : 0), &told), 2);
            LT_EQUAL(told & MSG_CTRUNC, 0);
            LT_EQUAL(fcntl(fds[0], F_GETFD), times == 1 ? FD_CLOEXEC : 0);
            LT_EQUAL(write(fds[0], "z", 1), 1);
            LT_EQUAL(read(p[0], &c, 1), 1);
            LT_EQUAL(read(fds[1], &c, 1), 1);
            LT_EQUAL(c, "tex"[times]);  // one description
            LT_OK(close(fds[0]));
            LT_OK(close(fds[1]));
            LT_ERRNO(read(p[0], &c, 1), EAGAIN);  // another is still on its way
        }
        LT_EQUAL(receive_fds(pair[1], fds, 0, MSG_PEEK, &told), 0);
        LT_EQUAL(told & MSG_CTRUNC, MSG_CTRUNC);
        LT_EQUAL(receive_fds(pair[1], fds, 2, 0, &told), 2);
        LT_EQUAL(read(file, &c, 1), 1);
        LT_EQUAL(c, 't');
        LT_OK(close(fds[0]));
        LT_EQUAL(read(p[0], &c, 1), 0);
        LT_OK(close(fds[1]));
        LT_EQUAL(send_fds(pair[0], &file, 1), 1);
        LT_EQUAL(receive_fds(pair[1], fds, 1, MSG_PEEK, &told), 1);
        LT_OK(close(p[0]));
        LT_OK(close(file));
        end(pair);  // with one on its way that was looked at
        LT_OK(close(fds[0]));
    }
}

LT_TEST(credentials) {
    int pair[2], on = 1;
    struct ucred who;
    socklen_t size = sizeof who;
    make(SOCK_STREAM, pair);
    LT_OK(getsockopt(pair[0], SOL_SOCKET, SO_PEERCRED, &who, &size));
    LT_EQUAL(who.pid, getpid());
    LT_EQUAL(who.uid, geteuid());
    LT_OK(setsockopt(pair[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on));
    LT_EQUAL(send(pair[0], "x", 1, 0), 1);
    union control c;
    char byte;
    struct iovec part = {&byte, 1};
    struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = c.bytes, .msg_controllen = sizeof c};
    LT_EQUAL(recvmsg(pair[1], &m, 0), 1);
    struct cmsghdr *h = CMSG_FIRSTHDR(&m);
    LT_CHECK(h != NULL);
    LT_EQUAL(h->cmsg_type, SCM_CREDENTIALS);
    memcpy(&who, CMSG_DATA(h), sizeof who);
    LT_EQUAL(who.pid, getpid());
    LT_EQUAL(who.gid, getegid());
    end(pair);
}

LT_TEST(options) {
    int pair[2], value = 0;
    socklen_t size = sizeof value;
    make(SOCK_SEQPACKET, pair);
    LT_OK(getsockopt(pair[0], SOL_SOCKET, SO_TYPE, &value, &size));
    LT_EQUAL(value, SOCK_SEQPACKET);
    LT_OK(getsockopt(pair[0], SOL_SOCKET, SO_ERROR, &value, &size));
    LT_EQUAL(value, 0);
    LT_OK(getsockopt(pair[0], SOL_SOCKET, SO_DOMAIN, &value, &size));
    LT_EQUAL(value, AF_UNIX);
    LT_OK(getsockopt(pair[0], SOL_SOCKET, SO_RCVBUF, &value, &size));
    LT_CHECK(value > 0);
    LT_ERRNO(getsockopt(pair[0], SOL_SOCKET, 9999, &value, &size), ENOPROTOOPT);
    LT_ERRNO(getsockopt(pair[0], 6, 1, &value, &size), EOPNOTSUPP);
    LT_ERRNO(setsockopt(pair[0], SOL_SOCKET, SO_PASSCRED, &value, 1), EINVAL);
    struct sockaddr_un name;
    size = sizeof name;
    LT_OK(getsockname(pair[0], (struct sockaddr *)&name, &size));
    LT_EQUAL(size, 2);
    LT_EQUAL(name.sun_family, AF_UNIX);
    end(pair);
}

LT_TEST(several_messages) {
    int pair[2];
    char a[4], b[4];
    struct iovec out[2] = {{"one", 3}, {"two!", 4}}, in[2] = {{a, 4}, {b, 4}};
    struct mmsghdr sent[2] = {{.msg_hdr = {.msg_iov = &out[0], .msg_iovlen = 1}}, {.msg_hdr = {.msg_iov = &out[1], .msg_iovlen = 1}}};
    struct mmsghdr come[2] = {{.msg_hdr = {.msg_iov = &in[0], .msg_iovlen = 1}}, {.msg_hdr = {.msg_iov = &in[1], .msg_iovlen = 1}}};
    make(SOCK_SEQPACKET, pair);
    LT_EQUAL(sendmmsg(pair[0], sent, 2, 0), 2);
    LT_EQUAL(sent[1].msg_len, 4);
    LT_EQUAL(recvmmsg(pair[1], come, 2, 0, NULL), 2);
    LT_EQUAL(come[0].msg_len, 3);
    LT_EQUAL(come[1].msg_len, 4);
    LT_CHECK(memcmp(b, "two!", 4) == 0);
    end(pair);
}

// ---- names ---------------------------------------------------------------------------------------------------------------

static socklen_t name_of(struct sockaddr_un *name, const char *path, int abstract) {
    *name = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(name->sun_path + abstract, path, strlen(path));
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path) + 1);
}

static void *connects(void *address) {
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un *name = address;
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 5);
    if (connect(fd, (struct sockaddr *)name, size) != 0) return (void *)(long)errno;
    char c;
    if (read(fd, &c, 1) != 1 || write(fd, &c, 1) != 1) return (void *)1;
    return (void *)(long)close(fd);
}

static void serve(struct sockaddr_un *name, socklen_t size) {
    pthread_t thread;
    void *result;
    char c;
    int fd = (int)LT_OK(socket(AF_UNIX, SOCK_STREAM, 0));
    LT_ERRNO(listen(fd, 5), EINVAL);
    LT_OK(bind(fd, (struct sockaddr *)name, size));
    LT_ERRNO(bind(fd, (struct sockaddr *)&(struct sockaddr_un){.sun_family = AF_UNIX, .sun_path = "\0other"}, 8), EINVAL);
    int refused = (int)LT_OK(socket(AF_UNIX, SOCK_STREAM, 0));
    LT_ERRNO(connect(refused, (struct sockaddr *)name, size), ECONNREFUSED);
    LT_ERRNO(bind(refused, (struct sockaddr *)name, size), EADDRINUSE);
    LT_OK(listen(fd, 5));
    struct pollfd p = {.fd = fd, .events = POLLIN};
    LT_EQUAL(poll(&p, 1, 0), 0);
    LT_EQUAL(pthread_create(&thread, NULL, connects, name), 0);
    LT_EQUAL(poll(&p, 1, LT_HANG_MS), 1);
    struct sockaddr_un peer;
    socklen_t peer_size = sizeof peer;
    int one = (int)LT_OK(accept4(fd, (struct sockaddr *)&peer, &peer_size, SOCK_CLOEXEC));
    LT_EQUAL(peer_size, 2);
    LT_EQUAL(fcntl(one, F_GETFD), FD_CLOEXEC);
    LT_EQUAL(write(one, "k", 1), 1);
    LT_EQUAL(read(one, &c, 1), 1);
    LT_EQUAL(c, 'k');
    peer_size = sizeof peer;
    LT_OK(getsockname(one, (struct sockaddr *)&peer, &peer_size));
    LT_EQUAL(peer_size, size);
    LT_CHECK(memcmp(&peer, name, size) == 0);
    LT_EQUAL(pthread_join(thread, &result), 0);
    LT_EQUAL((long)result, 0);
    LT_EQUAL(read(one, &c, 1), 0);
    LT_OK(close(one));
    LT_OK(fcntl(fd, F_SETFL, O_NONBLOCK));
    LT_ERRNO(accept(fd, NULL, NULL), EAGAIN);
    LT_OK(close(fd));
    LT_ERRNO(connect(refused, (struct sockaddr *)name, size), ECONNREFUSED);
    LT_OK(close(refused));
}

LT_TEST(names_of_files) {
    struct sockaddr_un name;
    socklen_t size = name_of(&name, "sock", 0);
    serve(&name, size);
    struct stat s;
    LT_OK(stat("sock", &s));
    LT_CHECK(S_ISSOCK(s.st_mode));
    int fd = (int)LT_OK(socket(AF_UNIX, SOCK_STREAM, 0));
    LT_ERRNO(bind(fd, (struct sockaddr *)&name, size), EADDRINUSE);
    LT_OK(unlink("sock"));
    LT_ERRNO(connect(fd, (struct sockaddr *)&name, size), ENOENT);
    LT_OK(close(fd));
}

LT_TEST(abstract_names) {
    struct sockaddr_un name;
    char own[5];  // a name that no other process has, as long as `connects` takes it to be
    snprintf(own, sizeof own, "%04x", (unsigned)getpid() & 0xffff);
    name_of(&name, own, 1);
    serve(&name, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 5));
}

LT_TEST(both_names) {
    struct sockaddr_un server, client, told;
    socklen_t size = name_of(&server, "s", 0), client_size = name_of(&client, "c", 0), told_size = sizeof told;
    int a = (int)LT_OK(socket(AF_UNIX, SOCK_SEQPACKET, 0)), b = (int)LT_OK(socket(AF_UNIX, SOCK_SEQPACKET, 0));
    LT_OK(bind(a, (struct sockaddr *)&server, size));
    LT_OK(bind(b, (struct sockaddr *)&client, client_size));
    LT_OK(listen(a, 1));
    LT_OK(connect(b, (struct sockaddr *)&server, size));
    LT_ERRNO(connect(b, (struct sockaddr *)&server, size), EISCONN);
    int c = (int)LT_OK(accept(a, (struct sockaddr *)&told, &told_size));
    LT_EQUAL(told_size, client_size);
    LT_TEXT(told.sun_path, "c");
    told_size = sizeof told;
    LT_OK(getpeername(b, (struct sockaddr *)&told, &told_size));
    LT_TEXT(told.sun_path, "s");
    LT_EQUAL(send(b, "abc", 3, 0), 3);
    char got[8];
    LT_EQUAL(recv(c, got, 8, 0), 3);
    int wrong = (int)LT_OK(socket(AF_UNIX, SOCK_STREAM, 0));
    LT_ERRNO(connect(wrong, (struct sockaddr *)&server, size), EPROTOTYPE);
    LT_OK(close(wrong));
    LT_OK(close(a));
    LT_OK(close(b));
    LT_OK(close(c));
}

LT_TEST(a_child_connects) {
    struct sockaddr_un name;
    socklen_t size = name_of(&name, "sock", 0);
    int status, fd = (int)LT_OK(socket(AF_UNIX, SOCK_STREAM, 0));
    LT_OK(bind(fd, (struct sockaddr *)&name, size));
    LT_OK(listen(fd, 5));
    pid_t child = (pid_t)LT_OK(fork());
    if (child == 0) {
        int own = socket(AF_UNIX, SOCK_STREAM, 0);
        if (connect(own, (struct sockaddr *)&name, size) != 0) _exit(1);
        _exit(write(own, "x", 1) == 1 ? 0 : 2);
    }
    int one = (int)LT_OK(accept(fd, NULL, NULL));
    struct ucred who;
    socklen_t who_size = sizeof who;
    LT_OK(getsockopt(one, SOL_SOCKET, SO_PEERCRED, &who, &who_size));
    LT_EQUAL(who.pid, child);
    char c;
    LT_EQUAL(read(one, &c, 1), 1);
    LT_EQUAL(waitpid(child, &status, 0), child);
    LT_EQUAL(status, 0);
    LT_OK(close(one));
    LT_OK(close(fd));
}

LT_TEST(locks) {
    int pair[2], other;
    struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_END};
    make(SOCK_STREAM, pair);
    LT_OK(flock(pair[0], LOCK_EX | LOCK_NB));
    LT_OK(flock(pair[1], LOCK_EX | LOCK_NB));  // another socket
    LT_OK(flock(other = (int)LT_OK(dup(pair[0])), LOCK_SH | LOCK_NB));
    LT_OK(close(other));
    LT_OK(fcntl(pair[0], F_SETLK, &l));
    LT_EQUAL(LT_IN_A_CHILD({
                 l = (struct flock){.l_type = F_RDLCK};
                 LT_DEMAND(fcntl(pair[0], F_SETLK, &l) == -1 && (errno == EAGAIN || errno == EACCES));
                 LT_DEMAND(fcntl(pair[1], F_SETLK, &l) == 0);
             }),
             0);
    LT_ERRNO(lseek(pair[0], 0, SEEK_SET), ESPIPE);
    LT_ERRNO(lseek(pair[0], 0, 9), EINVAL);
    end(pair);
}
