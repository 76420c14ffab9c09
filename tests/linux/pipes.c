// Pipes: bytes, packets, ends, and flags that duplicates and children share.
#include "tests/linux/lt.h"

#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

static volatile sig_atomic_t signals;
static void count_signal(int number) { signals++; }
static void handle(int number, int flags) {
    struct sigaction action = {.sa_handler = count_signal, .sa_flags = flags};
    signals = 0;
    LT_OK(sigaction(number, &action, NULL));
}
static void make(int fds[2]) { LT_OK(pipe(fds)); }
static void end(int fds[2]) {
    LT_OK(close(fds[0]));
    LT_OK(close(fds[1]));
}

LT_TEST(bytes_go_through) {
    int p[2];
    char got[8] = "";
    make(p);
    LT_EQUAL(p[1], p[0] + 1);
    LT_EQUAL(write(p[1], "abc", 3), 3);
    LT_EQUAL(write(p[1], "de", 2), 2);
    LT_EQUAL(read(p[0], got, 4), 4);
    LT_EQUAL(read(p[0], got + 4, 4), 1);
    LT_TEXT(got, "abcde");
    LT_EQUAL(write(p[1], "", 0), 0);
    LT_EQUAL(read(p[0], got, 0), 0);
    LT_ERRNO(read(p[1], got, 1), EBADF);
    LT_ERRNO(write(p[0], got, 1), EBADF);
    LT_ERRNO(write(p[1], LT_BAD_ADDRESS, 1), EFAULT);
    LT_ERRNO(lseek(p[0], 0, SEEK_SET), ESPIPE);
    LT_ERRNO(pread(p[0], got, 1, 0), ESPIPE);
    end(p);
}

LT_TEST(pieces) {
    int p[2];
    char a[3] = "", b[5] = "";
    struct iovec out[] = {{"ab", 2}, {"", 0}, {"cdef", 4}}, in[] = {{a, 2}, {b, 4}};
    make(p);
    LT_EQUAL(writev(p[1], out, 3), 6);
    LT_EQUAL(readv(p[0], in, 2), 6);
    LT_TEXT(a, "ab");
    LT_TEXT(b, "cdef");
    LT_ERRNO(readv(p[0], in, 1025), EINVAL);
    end(p);
}

LT_TEST(flags_of_pipe2) {
    int p[2];
    LT_OK(pipe2(p, O_CLOEXEC | O_NONBLOCK));
    LT_EQUAL(fcntl(p[0], F_GETFD), FD_CLOEXEC);
    LT_EQUAL(fcntl(p[0], F_GETFL), O_RDONLY | O_NONBLOCK);
    LT_EQUAL(fcntl(p[1], F_GETFL), O_WRONLY | O_NONBLOCK);
    char c;
    LT_ERRNO(read(p[0], &c, 1), EAGAIN);
    end(p);
    LT_ERRNO(pipe2(p, O_APPEND), EINVAL);
    LT_ERRNO(syscall(SYS_pipe2, 8, 0), EFAULT);
}

LT_TEST(the_end_of_a_pipe) {
    int p[2];
    char c;
    make(p);
    LT_EQUAL(write(p[1], "x", 1), 1);
    LT_OK(close(p[1]));
    LT_EQUAL(read(p[0], &c, 1), 1);
    LT_EQUAL(read(p[0], &c, 1), 0);
    LT_OK(close(p[0]));
}

LT_TEST(nobody_reads) {
    int p[2];
    handle(SIGPIPE, 0);
    make(p);
    LT_OK(close(p[0]));
    LT_ERRNO(write(p[1], "x", 1), EPIPE);
    LT_EQUAL(signals, 1);
    signal(SIGPIPE, SIG_IGN);
    LT_ERRNO(write(p[1], "x", 1), EPIPE);
    LT_EQUAL(signals, 1);
    LT_OK(close(p[1]));
    signal(SIGPIPE, SIG_DFL);
}

LT_TEST(duplicates_share_nonblock) {
    int p[2];
    char c;
    make(p);
    int copy = (int)LT_OK(dup(p[0]));
    LT_OK(fcntl(copy, F_SETFL, O_NONBLOCK));
    LT_EQUAL(fcntl(p[0], F_GETFL), O_RDONLY | O_NONBLOCK);
    LT_EQUAL(fcntl(p[1], F_GETFL), O_WRONLY);
    LT_ERRNO(read(p[0], &c, 1), EAGAIN);
    int off = 0;
    LT_OK(ioctl(p[0], FIONBIO, &off));
    LT_EQUAL(fcntl(copy, F_GETFL), O_RDONLY);
    LT_OK(close(copy));
    end(p);
}

LT_TEST(children_share_nonblock) {
    int p[2], status;
    char c;
    make(p);
    pid_t child = (pid_t)LT_OK(fork());
    if (child == 0) _exit(fcntl(p[0], F_SETFL, O_NONBLOCK) == 0 ? 7 : 1);
    LT_EQUAL(waitpid(child, &status, 0), child);
    LT_EQUAL(status, 7 << 8);
    LT_ERRNO(read(p[0], &c, 1), EAGAIN);
    end(p);
}

LT_TEST(between_processes) {
    int there[2], back[2], status;
    char c = 0;
    make(there);
    make(back);
    pid_t child = (pid_t)LT_OK(fork());
    if (child == 0) {
        close(there[1]);
        close(back[0]);
        while (read(there[0], &c, 1) == 1) {
            c++;
            if (write(back[1], &c, 1) != 1) _exit(1);
        }
        _exit(0);
    }
    close(there[0]);
    close(back[1]);
    for (int i = 0; i < 100; i++) {
        LT_EQUAL(write(there[1], &c, 1), 1);
        LT_EQUAL(read(back[0], &c, 1), 1);
        LT_EQUAL(c, i + 1);
    }
    LT_OK(close(there[1]));
    LT_EQUAL(read(back[0], &c, 1), 0);
    LT_EQUAL(waitpid(child, &status, 0), child);
    LT_EQUAL(status, 0);
    LT_OK(close(back[0]));
}

LT_TEST(a_full_pipe) {
    int p[2];
    static char page[4096];
    LT_OK(pipe2(p, O_NONBLOCK));
    LT_EQUAL(fcntl(p[1], F_GETPIPE_SZ), 65536);
    for (int i = 0; i < 16; i++) LT_EQUAL(write(p[1], page, 4096), 4096);
    LT_ERRNO(write(p[1], page, 1), EAGAIN);
    int bytes;
    LT_OK(ioctl(p[0], FIONREAD, &bytes));
    LT_EQUAL(bytes, 65536);
    struct pollfd poller = {.fd = p[1], .events = POLLOUT};
    LT_EQUAL(poll(&poller, 1, 0), 0);
    LT_EQUAL(read(p[0], page, 4096), 4096);
    LT_EQUAL(poll(&poller, 1, 0), 1);
    LT_EQUAL(write(p[1], page, 4096), 4096);
    LT_ERRNO(fcntl(p[1], F_SETPIPE_SZ, 4096), EBUSY);
    LT_EQUAL(fcntl(p[1], F_SETPIPE_SZ, 131072), 131072);
    LT_EQUAL(fcntl(p[0], F_GETPIPE_SZ), 131072);
    LT_EQUAL(write(p[1], page, 4096), 4096);
    end(p);
    lt_make("file", "");
    int file = (int)LT_OK(open("file", O_RDONLY));
    LT_ERRNO(fcntl(file, F_GETPIPE_SZ), EBADF);
    LT_OK(close(file));
}

LT_TEST(packets) {
    int p[2];
    static char bytes[3 * 4096];
    if (pipe2(p, O_DIRECT) != 0) LT_SKIP("no packets");
    LT_EQUAL(fcntl(p[1], F_GETFL), O_WRONLY | O_DIRECT);
    LT_EQUAL(write(p[1], "abcd", 4), 4);
    LT_EQUAL(write(p[1], "ef", 2), 2);
    LT_EQUAL(read(p[0], bytes, 2), 2);
    LT_EQUAL(read(p[0], bytes, sizeof bytes), 2);
    LT_EQUAL(bytes[0], 'e');
    LT_EQUAL(write(p[1], bytes, 5000), 5000);
    LT_EQUAL(read(p[0], bytes, sizeof bytes), 4096);
    LT_EQUAL(read(p[0], bytes, sizeof bytes), 904);
    end(p);
}

static int blocked_pipe[2];
static void *read_one(void *result) {
    char c;
    *(ssize_t *)result = read(blocked_pipe[0], &c, 1);
    return NULL;
}

LT_TEST(a_reader_waits) {
    pthread_t thread;
    ssize_t result = -5;
    make(blocked_pipe);
    LT_EQUAL(pthread_create(&thread, NULL, read_one, &result), 0);
    usleep(20000);
    LT_EQUAL(write(blocked_pipe[1], "x", 1), 1);
    LT_EQUAL(pthread_join(thread, NULL), 0);
    LT_EQUAL(result, 1);
    end(blocked_pipe);
}

LT_TEST(a_signal_ends_a_read) {
    int p[2];
    char c;
    make(p);
    handle(SIGALRM, 0);
    ualarm(20000, 20000);  // again and again: the first may come before the call does
    LT_ERRNO(read(p[0], &c, 1), EINTR);
    ualarm(0, 0);
    LT_CHECK(signals >= 1);
    signal(SIGALRM, SIG_DFL);
    end(p);
}

LT_TEST(large_writes_between_processes) {
    int p[2], status;
    static char bytes[300000];
    make(p);
    pid_t child = (pid_t)LT_OK(fork());
    if (child == 0) {
        close(p[0]);
        memset(bytes, 'y', sizeof bytes);
        _exit(write(p[1], bytes, sizeof bytes) == (ssize_t)sizeof bytes ? 0 : 1);
    }
    close(p[1]);
    size_t total = 0;
    for (ssize_t n; (n = read(p[0], bytes, 10000)) > 0; total += (size_t)n)
        for (ssize_t i = 0; i < n; i++) LT_CHECK(bytes[i] == 'y');
    LT_EQUAL(total, sizeof bytes);
    LT_EQUAL(waitpid(child, &status, 0), child);
    LT_EQUAL(status, 0);
    LT_OK(close(p[0]));
}

LT_TEST(what_fstat_tells) {
    int p[2];
    struct stat s;
    make(p);
    LT_OK(fstat(p[0], &s));
    LT_CHECK(S_ISFIFO(s.st_mode));
    end(p);
}
