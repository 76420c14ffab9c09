// splice, tee, vmsplice, and reads and writes that do not wait.
#include "tests/linux/lt.h"

#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

static void make(int fds[2]) { LT_OK(pipe(fds)); }
static void text_of(int fd, char *to, size_t size) {
    const ssize_t got = LT_OK(read(fd, to, size - 1));
    to[got] = 0;
}

LT_TEST(file_to_pipe) {
    int p[2];
    char got[32];
    make(p);
    lt_make("file", "0123456789");
    int file = (int)LT_OK(open("file", O_RDONLY));
    LT_EQUAL(splice(file, NULL, p[1], NULL, 4, 0), 4);
    LT_EQUAL(lseek(file, 0, SEEK_CUR), 4);
    off_t at = 8;
    LT_EQUAL(splice(file, &at, p[1], NULL, 100, SPLICE_F_MOVE), 2);
    LT_EQUAL(at, 10);
    LT_EQUAL(lseek(file, 0, SEEK_CUR), 4);
    LT_EQUAL(splice(file, &at, p[1], NULL, 100, 0), 0);
    text_of(p[0], got, sizeof got);
    LT_TEXT(got, "012389");
    at = -1;
    LT_ERRNO(splice(file, &at, p[1], NULL, 1, 0), EINVAL);
}

LT_TEST(pipe_to_file) {
    int p[2];
    char got[32];
    make(p);
    lt_make("file", "..........");
    int file = (int)LT_OK(open("file", O_RDWR));
    LT_EQUAL(write(p[1], "abcdef", 6), 6);
    off_t at = 3;
    LT_EQUAL(splice(p[0], NULL, file, &at, 2, 0), 2);
    LT_EQUAL(at, 5);
    LT_EQUAL(lseek(file, 0, SEEK_CUR), 0);
    LT_EQUAL(splice(p[0], NULL, file, NULL, 100, SPLICE_F_MORE), 4);
    LT_EQUAL(lseek(file, 0, SEEK_CUR), 4);
    LT_EQUAL(pread(file, got, 10, 0), 10);
    got[10] = 0;
    LT_TEXT(got, "cdefb.....");
    LT_OK(close(p[1]));
    LT_EQUAL(splice(p[0], NULL, file, NULL, 100, 0), 0);
    LT_OK(fcntl(file, F_SETFL, O_APPEND));
    make(p);
    LT_EQUAL(write(p[1], "x", 1), 1);
    LT_ERRNO(splice(p[0], NULL, file, NULL, 1, 0), EINVAL);
}

LT_TEST(pipe_to_pipe) {
    int a[2], b[2];
    char got[32];
    make(a);
    make(b);
    LT_EQUAL(write(a[1], "abcdef", 6), 6);
    LT_EQUAL(splice(a[0], NULL, b[1], NULL, 4, 0), 4);
    text_of(b[0], got, sizeof got);
    LT_TEXT(got, "abcd");
    text_of(a[0], got, sizeof got);
    LT_TEXT(got, "ef");
    LT_ERRNO(splice(a[0], NULL, a[1], NULL, 1, 0), EINVAL);
    LT_ERRNO(splice(a[0], NULL, b[1], NULL, 1, SPLICE_F_NONBLOCK), EAGAIN);
    LT_OK(fcntl(b[1], F_SETFL, O_NONBLOCK));
    LT_ERRNO(splice(a[0], NULL, b[1], NULL, 1, 0), EAGAIN);
    signal(SIGPIPE, SIG_IGN);
    LT_EQUAL(write(a[1], "x", 1), 1);
    LT_OK(close(b[0]));
    LT_ERRNO(splice(a[0], NULL, b[1], NULL, 1, 0), EPIPE);
    text_of(a[0], got, sizeof got);
    LT_TEXT(got, "x");
    signal(SIGPIPE, SIG_DFL);
}

LT_TEST(a_full_pipe) {
    int p[2];
    static char page[4096];
    LT_OK(pipe2(p, O_NONBLOCK));
    while (write(p[1], page, sizeof page) > 0) {}
    lt_make("file", "text");
    int file = (int)LT_OK(open("file", O_RDONLY));
    LT_ERRNO(splice(file, NULL, p[1], NULL, 4, 0), EAGAIN);
    LT_EQUAL(lseek(file, 0, SEEK_CUR), 0);
    struct iovec part = {page, 1};
    LT_ERRNO(vmsplice(p[1], &part, 1, SPLICE_F_NONBLOCK), EAGAIN);
}

LT_TEST(sockets) {
    int p[2], s[2];
    char got[32];
    make(p);
    LT_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
    LT_EQUAL(write(p[1], "to a socket", 11), 11);
    LT_EQUAL(splice(p[0], NULL, s[0], NULL, 100, 0), 11);
    LT_EQUAL(splice(s[1], NULL, p[1], NULL, 100, 0), 11);
    text_of(p[0], got, sizeof got);
    LT_TEXT(got, "to a socket");
    LT_ERRNO(splice(s[1], NULL, p[1], NULL, 100, SPLICE_F_NONBLOCK), EAGAIN);
    off_t at = 0;
    LT_ERRNO(splice(s[1], &at, p[1], NULL, 100, 0), EINVAL);
}

LT_TEST(bad_splices) {
    int p[2], q[2];
    make(p);
    make(q);
    lt_make("file", "text");
    int file = (int)LT_OK(open("file", O_RDWR)), reader = (int)LT_OK(open("file", O_RDONLY));
    off_t at = 0;
    LT_ERRNO(splice(file, NULL, file, NULL, 1, 0), EINVAL);
    LT_ERRNO(splice(file, NULL, p[1], NULL, 1, 0x100), EINVAL);
    LT_EQUAL(splice(file, NULL, p[1], NULL, 0, 0), 0);
    LT_ERRNO(splice(99, NULL, p[1], NULL, 1, 0), EBADF);
    LT_ERRNO(splice(file, NULL, 99, NULL, 1, 0), EBADF);
    LT_ERRNO(splice(p[1], NULL, file, NULL, 1, 0), EBADF);
    LT_ERRNO(splice(p[0], NULL, reader, NULL, 1, 0), EBADF);
    LT_ERRNO(splice(p[0], &at, file, NULL, 1, 0), ESPIPE);
    LT_ERRNO(splice(file, NULL, p[1], &at, 1, 0), ESPIPE);
    LT_ERRNO(splice(file, LT_BAD_ADDRESS, p[1], NULL, 1, 0), EFAULT);
    LT_ERRNO(tee(p[0], p[1], 1, 0), EINVAL);
    LT_ERRNO(tee(file, p[1], 1, 0), EINVAL);
    LT_ERRNO(tee(p[0], q[1], 1, 0x100), EINVAL);
    LT_ERRNO(tee(p[1], q[1], 1, 0), EBADF);
    LT_EQUAL(tee(p[0], q[1], 0, 0), 0);
    struct iovec part = {&at, 8};
    LT_ERRNO(vmsplice(file, &part, 1, 0), EBADF);
    LT_ERRNO(vmsplice(99, &part, 1, 0), EBADF);
    LT_ERRNO(vmsplice(p[1], &part, 1, 0x100), EINVAL);
    LT_ERRNO(vmsplice(p[1], &part, 1025, 0), EINVAL);
    LT_EQUAL(vmsplice(p[1], &part, 0, 0), 0);
}

LT_TEST(tee_leaves_it) {
    int a[2], b[2];
    char got[32];
    make(a);
    make(b);
    LT_EQUAL(write(a[1], "abcdef", 6), 6);
    LT_EQUAL(tee(a[0], b[1], 3, 0), 3);
    LT_EQUAL(tee(a[0], b[1], 100, 0), 6);
    text_of(b[0], got, sizeof got);
    LT_TEXT(got, "abcabcdef");
    text_of(a[0], got, sizeof got);
    LT_TEXT(got, "abcdef");
    LT_ERRNO(tee(a[0], b[1], 1, SPLICE_F_NONBLOCK), EAGAIN);
    LT_OK(close(a[1]));
    LT_EQUAL(tee(a[0], b[1], 1, 0), 0);
}

LT_TEST(memory_to_a_pipe) {
    int p[2];
    char got[32], x[4] = "", y[4] = "";
    make(p);
    struct iovec out[] = {{"abc", 3}, {"", 0}, {"defg", 4}}, in[] = {{x, 2}, {y, 3}};
    LT_EQUAL(vmsplice(p[1], out, 3, SPLICE_F_GIFT), 7);
    LT_EQUAL(vmsplice(p[0], in, 2, 0), 5);
    LT_TEXT(x, "ab");
    LT_TEXT(y, "cde");
    text_of(p[0], got, sizeof got);
    LT_TEXT(got, "fg");
    LT_ERRNO(vmsplice(p[0], in, 2, SPLICE_F_NONBLOCK), EAGAIN);
}

static int waiting[2];
static void *splice_one(void *to) { return (void *)splice(waiting[0], NULL, *(int *)to, NULL, 10, 0); }

LT_TEST(it_waits) {
    pthread_t thread;
    void *moved;
    int p[2];
    make(waiting);
    make(p);
    LT_EQUAL(pthread_create(&thread, NULL, splice_one, &p[1]), 0);
    LT_EQUAL(write(waiting[1], "xy", 2), 2);
    LT_EQUAL(pthread_join(thread, &moved), 0);
    LT_EQUAL((long)moved, 2);
}

// From a file to a socket pair, through a pipe, as servers do.
LT_TEST(much) {
    int p[2], s[2], status;
    static char bytes[200000], back[sizeof bytes];
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (char)(i * 7 + (i >> 8));
    int file = (int)LT_OK(open("file", O_RDWR | O_CREAT, 0600));
    LT_EQUAL(write(file, bytes, sizeof bytes), sizeof bytes);
    make(p);
    LT_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
    pid_t child = (pid_t)LT_OK(fork());
    if (child == 0) {
        off_t at = 0;
        close(s[1]);
        for (size_t left = sizeof bytes; left > 0;) {
            ssize_t n = splice(file, &at, p[1], NULL, left, 0);
            if (n <= 0) _exit(1);
            left -= (size_t)n;
            for (ssize_t m; n > 0; n -= m)
                if ((m = splice(p[0], NULL, s[0], NULL, (size_t)n, 0)) <= 0) _exit(2);
        }
        _exit(0);
    }
    LT_OK(close(s[0]));
    size_t total = 0;
    for (ssize_t n; (n = read(s[1], back + total, sizeof back - total)) > 0;) total += (size_t)n;
    LT_EQUAL(total, sizeof bytes);
    LT_EQUAL(memcmp(bytes, back, sizeof bytes), 0);
    LT_EQUAL(waitpid(child, &status, 0), child);
    LT_EQUAL(status, 0);
}

// ---- preadv2 and pwritev2 -----------------------------------------------------------------------------------------------------------

enum { NOWAIT = 8 };
static ssize_t preadv2_(int fd, const struct iovec *parts, int count, off_t at, int flags) {
    return syscall(SYS_preadv2, fd, parts, count, at, 0, flags);
}
static ssize_t pwritev2_(int fd, const struct iovec *parts, int count, off_t at, int flags) {
    return syscall(SYS_pwritev2, fd, parts, count, at, 0, flags);
}

LT_TEST(reads_that_do_not_wait) {
    char got[8] = "";
    struct iovec parts[] = {{got, 2}, {got + 2, 4}};
    lt_make("file", "abcdef");
    int file = (int)LT_OK(open("file", O_RDWR));
    const ssize_t moved = preadv2_(file, parts, 2, 0, NOWAIT);
    if (moved < 0) LT_CHECK(errno == EOPNOTSUPP || errno == EAGAIN);  // as the file system likes
    else LT_TEXT(got, "abcdef");
    int s[2];
    LT_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
    LT_ERRNO(preadv2_(s[0], parts, 1, -1, NOWAIT), EAGAIN);
    LT_EQUAL(pwritev2_(s[1], parts, 1, -1, NOWAIT), 2);
    LT_EQUAL(preadv2_(s[0], parts, 1, -1, NOWAIT), 2);
    LT_ERRNO(preadv2_(file, parts, 2, 0, 0x10000), EOPNOTSUPP);
}
