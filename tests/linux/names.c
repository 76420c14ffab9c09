// Names of unix sockets, datagrams between them, and who sent what.
static void in_place_of_main(int argc, char **argv);
#define LT_BEGIN(argc_, argv_) in_place_of_main(argc_, argv_)
#include "tests/linux/lt.h"

#include <poll.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>

struct name {
    struct sockaddr_un address;
    socklen_t size;
};

static struct name path_name(const char *path) {
    struct name n = {.address = {.sun_family = AF_UNIX}};
    strcpy(n.address.sun_path, path);
    n.size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path) + 1);
    return n;
}

// Of this run: others may be at work on the same machine, started by the same program too.
static int this_run;
__attribute__((constructor)) static void note_run(void) { this_run = (int)getpid(); }
static struct name abstract_name(const char *text) {
    struct name n = {.address = {.sun_family = AF_UNIX}};
    int bytes = snprintf(n.address.sun_path + 1, sizeof n.address.sun_path - 1, "kpio-%d-%s", this_run, text);
    n.size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)bytes);
    return n;
}

static int make(int type) { return (int)LT_OK(socket(AF_UNIX, type, 0)); }
static int binds(int fd, const struct name *n) { return bind(fd, (const struct sockaddr *)&n->address, n->size); }
static int connects(int fd, const struct name *n) { return connect(fd, (const struct sockaddr *)&n->address, n->size); }
static ssize_t sends(int fd, const char *text, const struct name *n) {
    return sendto(fd, text, strlen(text), MSG_NOSIGNAL, (const struct sockaddr *)&n->address, n->size);
}

static int bound(int type, const struct name *n) {
    int fd = make(type);
    LT_OK(binds(fd, n));
    return fd;
}

static int is_name(const struct sockaddr_un *got, socklen_t size, const struct name *n) {
    return size == n->size && memcmp(got, &n->address, size) == 0;
}

// A datagram, and from whom.
static void expect(int fd, const char *text, const struct name *from) {
    char got[100] = {0};
    struct sockaddr_un address;
    socklen_t size = sizeof address;
    LT_EQUAL(recvfrom(fd, got, sizeof got - 1, MSG_DONTWAIT, (struct sockaddr *)&address, &size), strlen(text));
    LT_TEXT(got, text);
    if (from == NULL) LT_EQUAL(size, 0);
    else LT_CHECK(is_name(&address, size, from));
}

// ---- who finds whom -----------------------------------------------------------------------------------------------------

static int ask(const struct name *n) {
    char c = 0;
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (connects(fd, n) != 0) return errno;
    if (write(fd, "?", 1) != 1 || read(fd, &c, 1) != 1) return 201;
    return c == '!' ? 0 : 202;
}

static void found_by_one_forked_before(const struct name *n) {
    int go[2], status;
    char c;
    LT_OK(pipe(go));
    pid_t child = (pid_t)LT_OK(fork());
    if (child == 0) {
        close(go[1]);
        if (read(go[0], &c, 1) != 0) _exit(203);
        _exit(ask(n));
    }
    int fd = bound(SOCK_STREAM, n);
    LT_OK(listen(fd, 3));
    LT_OK(close(go[0]));
    LT_OK(close(go[1]));
    int one = (int)LT_OK(accept(fd, NULL, NULL));
    LT_EQUAL(read(one, &c, 1), 1);
    LT_EQUAL(write(one, "!", 1), 1);
    LT_EQUAL(waitpid(child, &status, 0), child);
    LT_EQUAL(status, 0);
    LT_OK(close(one));
    LT_OK(close(fd));
}

LT_TEST(a_path_is_found_by_one_forked_before) {
    struct name n = path_name("s");
    found_by_one_forked_before(&n);
}

LT_TEST(an_abstract_name_is_found_by_one_forked_before) {
    struct name n = abstract_name("before");
    found_by_one_forked_before(&n);
}

// A server that is a child, with its own end; then another one.
LT_TEST(servers_come_and_go) {
    struct name n = abstract_name("go");
    for (int i = 0; i < 3; i++) {
        int ready[2], status;
        char c;
        LT_OK(pipe(ready));
        pid_t child = (pid_t)LT_OK(fork());
        if (child == 0) {
            int fd = socket(AF_UNIX, SOCK_STREAM, 0);
            if (binds(fd, &n) != 0 || listen(fd, 1) != 0) _exit(1);
            close(ready[0]);
            close(ready[1]);
            int one = accept(fd, NULL, NULL);
            if (one < 0 || read(one, &c, 1) != 1 || write(one, "!", 1) != 1) _exit(2);
            _exit(0);
        }
        LT_OK(close(ready[1]));
        LT_EQUAL(read(ready[0], &c, 1), 0);
        LT_OK(close(ready[0]));
        LT_EQUAL(ask(&n), 0);
        LT_EQUAL(waitpid(child, &status, 0), child);
        LT_EQUAL(status, 0);
        LT_EQUAL(ask(&n), ECONNREFUSED);
    }
}

// What an executed program says of a socket that it was given.
static void in_place_of_main(int argc, char **argv) {
    struct sockaddr_un address;
    socklen_t size = sizeof address;
    int listens = 0;
    if (argc < 3 || strcmp(argv[1], "--tell") != 0) return;
    if (getsockname(atoi(argv[2]), (struct sockaddr *)&address, &size) != 0) _exit(1);
    if (strcmp(address.sun_path, "inherited") != 0) _exit(2);
    size = sizeof listens;
    if (getsockopt(atoi(argv[2]), SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0 || !listens) _exit(3);
    int one = accept(atoi(argv[2]), NULL, NULL);
    _exit(one >= 0 && write(one, "!", 1) == 1 ? 0 : 4);
}

LT_TEST(a_name_outlives_exec) {
    struct name n = path_name("inherited");
    char number[12], self[4096], c;
    int status, fd = bound(SOCK_STREAM, &n);
    LT_OK(listen(fd, 1));
    snprintf(number, sizeof number, "%d", fd);
    ssize_t bytes = LT_OK(readlink("/proc/self/exe", self, sizeof self - 1));
    self[bytes] = 0;
    pid_t child = (pid_t)LT_OK(fork());
    if (child == 0) {
        execl(self, self, "--tell", number, (char *)NULL);
        _exit(9);
    }
    LT_OK(close(fd));
    fd = make(SOCK_STREAM);
    LT_OK(connects(fd, &n));
    LT_EQUAL(read(fd, &c, 1), 1);
    LT_EQUAL(waitpid(child, &status, 0), child);
    LT_EQUAL(status, 0);
    LT_OK(close(fd));
}

LT_TEST(names_that_lead_nowhere) {
    struct name none = path_name("none"), file = path_name("file"), below = path_name("file/x"), dead = path_name("dead"),
                odd = none;
    int stream = make(SOCK_STREAM), datagram = make(SOCK_DGRAM), packets = make(SOCK_SEQPACKET);
    lt_make("file", "");
    LT_ERRNO(connects(stream, &none), ENOENT);
    LT_ERRNO(connects(datagram, &none), ENOENT);
    LT_ERRNO(sends(datagram, "x", &none), ENOENT);
    LT_ERRNO(connects(stream, &file), ECONNREFUSED);
    LT_ERRNO(connects(stream, &below), ENOTDIR);
    LT_ERRNO(binds(stream, &file), EADDRINUSE);
    LT_ERRNO(binds(stream, &below), ENOTDIR);
    LT_OK(close(bound(SOCK_STREAM, &dead)));
    LT_ERRNO(connects(stream, &dead), ECONNREFUSED);
    LT_ERRNO(connects(datagram, &dead), ECONNREFUSED);
    LT_ERRNO(sends(datagram, "x", &dead), ECONNREFUSED);
    LT_ERRNO(binds(stream, &dead), EADDRINUSE);
    odd.address.sun_family = AF_INET;
    LT_ERRNO(connects(stream, &odd), EINVAL);
    LT_ERRNO(binds(stream, &odd), EINVAL);
    LT_ERRNO(connect(stream, (struct sockaddr *)&none.address, 1), EINVAL);
    LT_ERRNO(connect(stream, (struct sockaddr *)&none.address, 2), EINVAL);
    LT_ERRNO(connect(stream, (struct sockaddr *)&none.address, 111), EINVAL);
    LT_ERRNO(connect(stream, LT_BAD_ADDRESS, 10), EFAULT);
    LT_ERRNO(bind(stream, LT_BAD_ADDRESS, 10), EFAULT);
    LT_ERRNO(connects(1, &none), ENOTSOCK);
    LT_ERRNO(binds(77, &none), EBADF);
    LT_ERRNO(sends(stream, "x", &none), EOPNOTSUPP);
    LT_ERRNO(sends(packets, "x", &none), ENOTCONN);
    LT_OK(close(stream));
    LT_OK(close(datagram));
    LT_OK(close(packets));
}

LT_TEST(names_of_another_type) {
    struct name s = path_name("s"), d = abstract_name("d");
    int server = bound(SOCK_STREAM, &s), datagrams = bound(SOCK_DGRAM, &d), client = make(SOCK_DGRAM), stream = make(SOCK_STREAM);
    LT_OK(listen(server, 1));
    LT_ERRNO(connects(client, &s), EPROTOTYPE);
    LT_ERRNO(sends(client, "x", &s), EPROTOTYPE);
    LT_ERRNO(connects(stream, &d),
             ECONNREFUSED);  // abstract names are apart for each type
    LT_OK(close(bound(SOCK_SEQPACKET, &d)));
    LT_ERRNO(listen(datagrams, 1), EOPNOTSUPP);
    LT_ERRNO(accept(datagrams, NULL, NULL), EOPNOTSUPP);
    LT_ERRNO(connects(server, &s), EINVAL);
    LT_OK(close(server));
    LT_OK(close(datagrams));
    LT_OK(close(client));
    LT_OK(close(stream));
}

// A file is a name: under another path, and not after it has gone, though the socket lives.
LT_TEST(files_stand_for_names) {
    struct name one = path_name("one"), two = path_name("two"), three = path_name("three");
    struct sockaddr_un told;
    socklen_t size = sizeof told;
    int server = bound(SOCK_STREAM, &one), client = make(SOCK_STREAM);
    LT_OK(listen(server, 4));
    LT_OK(rename("one", "two"));
    LT_ERRNO(connects(client, &one), ENOENT);
    LT_OK(connects(client, &two));
    LT_OK(getpeername(client, (struct sockaddr *)&told, &size));
    LT_CHECK(is_name(&told, size, &one));  // as it was bound
    LT_OK(link("two", "three"));
    LT_OK(unlink("two"));
    int other = make(SOCK_STREAM);
    LT_OK(connects(other, &three));
    LT_OK(unlink("three"));
    for (int i = 0; i < 4; i++) {  // numbers of files are used again
        int next = bound(SOCK_STREAM, &one);
        LT_ERRNO(connects(make(SOCK_STREAM), &one), ECONNREFUSED);
        LT_OK(close(next));
        LT_OK(unlink("one"));
    }
}

LT_TEST(a_name_is_chosen) {
    struct sockaddr_un address;
    socklen_t size = sizeof address;
    int fd = make(SOCK_DGRAM), other = make(SOCK_DGRAM);
    sa_family_t family = AF_UNIX;
    LT_OK(bind(fd, (struct sockaddr *)&family, sizeof family));
    LT_OK(getsockname(fd, (struct sockaddr *)&address, &size));
    LT_EQUAL(size, sizeof family + 6);
    LT_EQUAL(address.sun_path[0], 0);
    LT_EQUAL(sendto(other, "x", 1, 0, (struct sockaddr *)&address, size), 1);
    expect(fd, "x", NULL);
    LT_OK(close(fd));
    LT_OK(close(other));
}

// ---- datagrams ----------------------------------------------------------------------------------------------------------

LT_TEST(datagrams_to_names) {
    struct name s = path_name("s"), c = abstract_name("client");
    struct sockaddr_un told;
    socklen_t size = sizeof told;
    int server = bound(SOCK_DGRAM, &s), client = bound(SOCK_DGRAM, &c), nobody = make(SOCK_DGRAM);
    LT_EQUAL(sends(nobody, "one", &s), 3);
    LT_EQUAL(sends(client, "two", &s), 3);
    LT_EQUAL(sends(client, "", &s), 0);
    expect(server, "one", NULL);
    expect(server, "two", &c);
    expect(server, "", &c);
    LT_EQUAL(sends(server, "back", &c), 4);
    expect(client, "back", &s);
    LT_ERRNO(recv(client, &told, 1, MSG_DONTWAIT), EAGAIN);
    LT_ERRNO(send(client, "x", 1, 0), ENOTCONN);
    LT_ERRNO(getpeername(client, (struct sockaddr *)&told, &size), ENOTCONN);
    LT_OK(connects(client, &s));
    LT_OK(getpeername(client, (struct sockaddr *)&told, &size));
    LT_CHECK(is_name(&told, size, &s));
    LT_EQUAL(write(client, "three", 5), 5);
    expect(server, "three", &c);
    LT_EQUAL(sends(client, "four", &s), 4);
    expect(server, "four", &c);
    LT_OK(close(server));
    LT_ERRNO(send(client, "x", 1, 0), ECONNREFUSED);
    LT_OK(close(client));
    LT_OK(close(nobody));
}

LT_TEST(datagrams_change_their_peer) {
    struct name a = path_name("a"), b = path_name("b");
    int first = bound(SOCK_DGRAM, &a), second = bound(SOCK_DGRAM, &b), client = make(SOCK_DGRAM);
    struct sockaddr none = {.sa_family = AF_UNSPEC};
    LT_OK(connects(client, &a));
    LT_EQUAL(send(client, "1", 1, 0), 1);
    LT_OK(connects(client, &b));
    LT_EQUAL(send(client, "2", 1, 0), 1);
    LT_OK(connect(client, &none, sizeof none));
    LT_ERRNO(send(client, "3", 1, 0), ENOTCONN);
    LT_EQUAL(sends(client, "4", &a), 1);
    expect(first, "1", NULL);
    expect(first, "4", NULL);
    expect(second, "2", NULL);
    LT_OK(connects(second, &a));
    LT_OK(connect(second, &none, sizeof none));
    LT_EQUAL(sends(client, "5", &b), 1);  // still its name
    expect(second, "5", NULL);
    LT_OK(close(first));
    LT_OK(close(second));
    LT_OK(close(client));
}

LT_TEST(datagrams_fill_the_queue) {
    struct name n = path_name("s");
    char c[10];
    int server = bound(SOCK_DGRAM, &n), client = make(SOCK_DGRAM | SOCK_NONBLOCK), other = make(SOCK_DGRAM);
    struct pollfd p = {.fd = client, .events = POLLIN | POLLOUT}, q = {.fd = server, .events = POLLIN | POLLOUT};
    LT_EQUAL(poll(&p, 1, 0), 1);
    LT_EQUAL(p.revents, POLLOUT);
    LT_OK(connects(client, &n));
    int count = 0;
    while (send(client, "x", 1, 0) == 1) LT_CHECK(++count < 100000);
    LT_EQUAL(errno, EAGAIN);
    LT_EQUAL(poll(&q, 1, 0), 1);
    LT_EQUAL(q.revents, POLLIN | POLLOUT);
    LT_CHECK(!(fcntl(server, F_GETFL) & O_NONBLOCK));
    LT_OK(connects(other, &n));
    LT_ERRNO(send(other, "x", 1, MSG_DONTWAIT), EAGAIN);
    while (count-- > 0) LT_EQUAL(recv(server, c, sizeof c, MSG_DONTWAIT), 1);
    LT_ERRNO(recv(server, c, sizeof c, MSG_DONTWAIT), EAGAIN);
    LT_EQUAL(send(other, "y", 1, 0), 1);
    expect(server, "y", NULL);
    LT_OK(close(server));
    LT_OK(close(client));
    LT_OK(close(other));
}

LT_TEST(datagrams_and_shutdown) {
    struct name n = path_name("s");
    char c;
    int pair[2], server = bound(SOCK_DGRAM, &n), client = make(SOCK_DGRAM), other = make(SOCK_DGRAM);
    LT_OK(connects(client, &n));
    LT_OK(connects(other, &n));
    LT_OK(shutdown(client, SHUT_WR));
    LT_ERRNO(send(client, "x", 1, MSG_NOSIGNAL), EPIPE);
    LT_EQUAL(send(other, "x", 1, 0), 1);  // the way is the other's, too
    expect(server, "x", NULL);
    LT_OK(shutdown(server, SHUT_RD));
    LT_EQUAL(recv(server, &c, 1, 0), 0);
    LT_ERRNO(send(other, "x", 1, MSG_NOSIGNAL), EPIPE);
    LT_OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
    LT_OK(close(pair[1]));
    LT_ERRNO(recv(pair[0], &c, 1, MSG_DONTWAIT), EAGAIN);  // no end of file
    LT_OK(close(pair[0]));
}

LT_TEST(parts_of_a_datagram) {
    struct name n = path_name("s");
    struct sockaddr_un from;
    char a[3] = {0}, b[10];
    struct iovec parts[2] = {{a, 2}, {b, 2}};
    struct msghdr m = {.msg_name = &from, .msg_namelen = sizeof from, .msg_iov = parts, .msg_iovlen = 2};
    int server = bound(SOCK_DGRAM, &n), client = make(SOCK_DGRAM);
    LT_EQUAL(sends(client, "abcdef", &n), 6);
    LT_EQUAL(recvmsg(server, &m, MSG_PEEK), 4);
    LT_EQUAL(m.msg_flags, MSG_TRUNC);
    LT_EQUAL(m.msg_namelen, 0);
    m.msg_namelen = sizeof from;
    LT_EQUAL(recvmsg(server, &m, MSG_TRUNC), 6);
    LT_TEXT(a, "ab");
    struct iovec out[2] = {{"12", 2}, {"345", 3}};
    m = (struct msghdr){.msg_name = &n.address, .msg_namelen = n.size, .msg_iov = out, .msg_iovlen = 2};
    LT_EQUAL(sendmsg(client, &m, 0), 5);
    expect(server, "12345", NULL);
    LT_OK(connects(client, &n));
    LT_EQUAL(writev(client, out, 2), 5);
    expect(server, "12345", NULL);
    static char large[150000];
    LT_EQUAL(send(client, large, sizeof large, 0), sizeof large);
    LT_EQUAL(recv(server, large, sizeof large, 0), sizeof large);
    LT_OK(close(server));
    LT_OK(close(client));
}

// ---- beside messages ----------------------------------------------------------------------------------------------------

union control {
    char bytes[CMSG_SPACE(254 * sizeof(int)) + CMSG_SPACE(sizeof(struct ucred))];
    struct cmsghdr align;
};

static ssize_t send_beside(int fd, int type, const void *data, size_t size, const struct name *to) {
    static union control c;
    memset(&c, 0, sizeof c);
    struct iovec part = {"!", 1};
    struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = c.bytes, .msg_controllen = CMSG_SPACE(size)};
    if (to != NULL) {
        m.msg_name = (void *)&to->address;
        m.msg_namelen = to->size;
    }
    struct cmsghdr *h = CMSG_FIRSTHDR(&m);
    h->cmsg_level = SOL_SOCKET;
    h->cmsg_type = type;
    h->cmsg_len = CMSG_LEN(size);
    memcpy(CMSG_DATA(h), data, size);
    return syscall(SYS_sendmsg, fd, &m,
                   MSG_NOSIGNAL);  // musl's function takes less than the call
}

// Copies out the record of this type: bytes of it, 0: there is none.
static size_t receive_beside(int fd, int type, void *data, size_t room, int *flags) {
    static union control c;
    char byte;
    struct iovec part = {&byte, 1};
    struct msghdr m = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = c.bytes, .msg_controllen = room == 0 ? 0 : CMSG_SPACE(room)};
    LT_EQUAL(recvmsg(fd, &m, 0), 1);
    *flags = m.msg_flags;
    for (struct cmsghdr *h = CMSG_FIRSTHDR(&m); h != NULL; h = CMSG_NXTHDR(&m, h)) {
        if (h->cmsg_type != type) continue;
        size_t bytes = h->cmsg_len - CMSG_LEN(0);
        memcpy(data, CMSG_DATA(h), bytes < room ? bytes : room);
        return bytes;
    }
    return 0;
}

static struct ucred receive_credentials(int fd) {
    struct ucred who = {0};
    int flags;
    LT_EQUAL(receive_beside(fd, SCM_CREDENTIALS, &who, sizeof who, &flags), sizeof who);
    return who;
}

static void want_credentials(int fd, int on) { LT_OK(setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof on)); }

// Each message tells who sent it.
static void credentials_of(int type) {
    int pair[2], status;
    LT_OK(socketpair(AF_UNIX, type, 0, pair));
    LT_EQUAL(send(pair[0], "a", 1, 0), 1);
    want_credentials(pair[1], 1);
    struct ucred who = receive_credentials(pair[1]);  // sent before anybody asked
    LT_EQUAL(who.pid, 0);
    LT_EQUAL(who.uid, 65534);
    pid_t child = (pid_t)LT_OK(fork());
    if (child == 0) _exit(send(pair[0], "b", 1, 0) == 1 ? 0 : 1);
    LT_EQUAL(waitpid(child, &status, 0), child);
    LT_EQUAL(status, 0);
    LT_EQUAL(send(pair[0], "c", 1, 0), 1);
    who = receive_credentials(pair[1]);
    LT_EQUAL(who.pid, child);
    LT_EQUAL(who.uid, getuid());
    who = receive_credentials(pair[1]);
    LT_EQUAL(who.pid, getpid());
    int copy = (int)LT_OK(dup(pair[1])), on = 0;
    socklen_t size = sizeof on;
    LT_OK(getsockopt(copy, SOL_SOCKET, SO_PASSCRED, &on, &size));
    LT_EQUAL(on, 1);
    want_credentials(copy, 0);
    LT_EQUAL(send(pair[0], "d", 1, 0), 1);
    int flags;
    LT_EQUAL(receive_beside(pair[1], SCM_CREDENTIALS, &who, sizeof who, &flags), 0);
    LT_OK(close(copy));
    LT_OK(close(pair[0]));
    LT_OK(close(pair[1]));
}

LT_TEST(credentials_of_streams) { credentials_of(SOCK_STREAM); }
LT_TEST(credentials_of_datagrams) { credentials_of(SOCK_DGRAM); }
LT_TEST(credentials_of_seqpackets) { credentials_of(SOCK_SEQPACKET); }

// A read of a stream does not mix bytes of several senders.
LT_TEST(credentials_keep_bytes_apart) {
    int pair[2], status;
    char got[10];
    LT_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    want_credentials(pair[1], 1);
    LT_EQUAL(send(pair[0], "ab", 2, 0), 2);
    LT_EQUAL(send(pair[0], "cd", 2, 0), 2);
    pid_t child = (pid_t)LT_OK(fork());
    if (child == 0) _exit(send(pair[0], "ef", 2, 0) == 2 ? 0 : 1);
    LT_EQUAL(waitpid(child, &status, 0), child);
    LT_EQUAL(receive_credentials(pair[1]).pid, getpid());
    LT_EQUAL(recv(pair[1], got, sizeof got, 0), 3);
    LT_EQUAL(receive_credentials(pair[1]).pid, child);
    LT_EQUAL(receive_credentials(pair[1]).pid, child);
    LT_OK(close(pair[0]));
    LT_OK(close(pair[1]));
}

LT_TEST(credentials_that_are_told) {
    int pair[2];
    struct ucred who = {.pid = getpid(), .uid = getuid(), .gid = getgid()};
    LT_OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
    want_credentials(pair[1], 1);
    LT_EQUAL(send_beside(pair[0], SCM_CREDENTIALS, &who, sizeof who, NULL), 1);
    LT_EQUAL(receive_credentials(pair[1]).pid, getpid());
    LT_ERRNO(send_beside(pair[0], SCM_CREDENTIALS, &who, sizeof who - 4, NULL), EINVAL);
    LT_ERRNO(send_beside(pair[0], 77, &who, sizeof who, NULL), EINVAL);
    LT_OK(close(pair[0]));
    LT_OK(close(pair[1]));
}

// Who asks on the listening socket asks for what it accepts.
LT_TEST(credentials_before_accept) {
    struct name n = path_name("s");
    int server = bound(SOCK_STREAM, &n), client = make(SOCK_STREAM), late = make(SOCK_STREAM);
    LT_OK(listen(server, 4));
    LT_OK(connects(late, &n));
    LT_EQUAL(send(late, "x", 1, 0), 1);
    int first = (int)LT_OK(accept(server, NULL, NULL));
    want_credentials(first, 1);
    LT_EQUAL(receive_credentials(first).pid, getpid());
    want_credentials(server, 1);
    LT_OK(connects(client, &n));
    int second = (int)LT_OK(accept(server, NULL, NULL));
    LT_EQUAL(send(client, "x", 1, 0), 1);
    LT_EQUAL(receive_credentials(second).pid, getpid());
    LT_OK(close(first));
    LT_OK(close(second));
    LT_OK(close(client));
    LT_OK(close(late));
    LT_OK(close(server));
}

#define MOST 253
static void send_many(int type) {
    int pair[2], fds[MOST + 1], flags, file;
    struct stat s, t;
    LT_OK(socketpair(AF_UNIX, type, 0, pair));
    lt_make("file", "text");
    file = (int)LT_OK(open("file", O_RDONLY));
    for (int i = 0; i <= MOST; i++) fds[i] = file;
    LT_ERRNO(send_beside(pair[0], SCM_RIGHTS, fds, sizeof fds, NULL), EINVAL);
    LT_EQUAL(send_beside(pair[0], SCM_RIGHTS, fds, MOST * sizeof fds[0], NULL), 1);
    LT_EQUAL(receive_beside(pair[1], SCM_RIGHTS, fds, sizeof fds, &flags), MOST * sizeof fds[0]);
    LT_EQUAL(flags & MSG_CTRUNC, 0);
    LT_OK(fstat(file, &s));
    for (int i = 0; i < MOST; i++) {
        LT_OK(fstat(fds[i], &t));
        LT_CHECK(s.st_ino == t.st_ino);
        LT_OK(close(fds[i]));
    }
    LT_OK(close(file));
    LT_OK(close(pair[0]));
    LT_OK(close(pair[1]));
}

LT_TEST(many_descriptors_through_a_stream) { send_many(SOCK_STREAM); }
LT_TEST(many_descriptors_in_a_datagram) { send_many(SOCK_DGRAM); }

LT_TEST(many_sockets_travel) {
    int pair[2], fds[100], back[100], flags;
    char c;
    LT_OK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair));
    for (int i = 0; i < 100; i += 2) LT_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds + i));
    LT_EQUAL(send_beside(pair[0], SCM_RIGHTS, fds, sizeof fds, NULL), 1);
    LT_EQUAL(receive_beside(pair[1], SCM_RIGHTS, back, sizeof back, &flags), sizeof back);
    for (int i = 0; i < 100; i++) LT_OK(close(fds[i]));
    for (int i = 0; i < 100; i += 2) {
        LT_EQUAL(write(back[i], "x", 1), 1);
        LT_EQUAL(read(back[i + 1], &c, 1), 1);
    }
    for (int i = 0; i < 100; i++) LT_OK(close(back[i]));
    LT_OK(close(pair[0]));
    LT_OK(close(pair[1]));
}

LT_TEST(less_room_than_descriptors) {
    int pair[2], p[2], fds[4], flags, next;
    char c;
    LT_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    LT_OK(pipe(p));
    next = (int)LT_OK(dup(0));
    LT_OK(close(next));
    LT_EQUAL(send_beside(pair[0], SCM_RIGHTS, (int[]){p[0], p[1], p[1], p[1]}, 16, NULL), 1);
    LT_EQUAL(receive_beside(pair[1], SCM_RIGHTS, fds, 8, &flags), 8);
    LT_EQUAL(flags & MSG_CTRUNC, MSG_CTRUNC);
    LT_EQUAL(dup(0), next + 2);
    LT_OK(close(next + 2));
    LT_OK(close(fds[1]));
    LT_OK(close(p[1]));
    LT_EQUAL(read(fds[0], &c, 1), 0);  // the others were closed
}

// A client that does not wait for accept, and a socket that goes through one that is on its way.
LT_TEST(descriptors_before_accept) {
    struct name n = path_name("s");
    int p[2], pair[2], got, flags, server = bound(SOCK_STREAM, &n), client = make(SOCK_STREAM);
    char c;
    LT_OK(listen(server, 1));
    LT_OK(connects(client, &n));
    LT_OK(pipe(p));
    LT_EQUAL(send_beside(client, SCM_RIGHTS, &p[1], sizeof p[1], NULL), 1);
    int one = (int)LT_OK(accept(server, NULL, NULL));
    LT_EQUAL(receive_beside(one, SCM_RIGHTS, &got, sizeof got, &flags), sizeof got);
    LT_EQUAL(write(got, "x", 1), 1);
    LT_EQUAL(read(p[0], &c, 1), 1);
    LT_OK(close(got));
    LT_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    LT_EQUAL(send_beside(pair[0], SCM_RIGHTS, &p[1], sizeof p[1], NULL), 1);
    LT_EQUAL(send_beside(client, SCM_RIGHTS, &pair[1], sizeof pair[1], NULL), 1);
    LT_EQUAL(receive_beside(one, SCM_RIGHTS, &got, sizeof got, &flags), sizeof got);
    int inner;
    LT_EQUAL(receive_beside(got, SCM_RIGHTS, &inner, sizeof inner, &flags), sizeof inner);
    LT_EQUAL(write(inner, "y", 1), 1);
    LT_EQUAL(read(p[0], &c, 1), 1);
}

// A descriptor that was sent stays what it is: a named socket, a folder, a bound datagram socket.
LT_TEST(what_travels_stays_what_it_is) {
    struct name s = path_name("s"), d = path_name("d");
    struct sockaddr_un told;
    socklen_t size = sizeof told;
    int pair[2], got[3], flags, listens = 0;
    LT_OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
    int fds[3] = {bound(SOCK_STREAM, &s), bound(SOCK_DGRAM, &d), (int)LT_OK(open("/proc/self", O_RDONLY | O_DIRECTORY))};
    LT_OK(listen(fds[0], 1));
    LT_EQUAL(send_beside(pair[0], SCM_RIGHTS, fds, sizeof fds, NULL), 1);
    LT_EQUAL(receive_beside(pair[1], SCM_RIGHTS, got, sizeof got, &flags), sizeof got);
    for (int i = 0; i < 3; i++) LT_OK(close(fds[i]));
    LT_OK(getsockname(got[0], (struct sockaddr *)&told, &size));
    LT_CHECK(is_name(&told, size, &s));
    size = sizeof listens;
    LT_OK(getsockopt(got[0], SOL_SOCKET, SO_ACCEPTCONN, &listens, &size));
    LT_EQUAL(listens, 1);
    LT_OK(connects(make(SOCK_STREAM), &s));
    LT_EQUAL(sends(make(SOCK_DGRAM), "hi", &d), 2);
    expect(got[1], "hi", NULL);
    int status = (int)LT_OK(openat(got[2], "status", O_RDONLY));
    LT_OK(close(status));
}
