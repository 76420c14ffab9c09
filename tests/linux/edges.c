// Corners of calls whose middle other programs try: flags together, what is no file, the end of things.
#include "tests/linux/lt.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/xattr.h>

#define PAGE 4096ul
#ifndef F_OFD_GETLK
#define F_OFD_GETLK 36
#endif

enum { NO_XDEV = 1, NO_MAGICLINKS = 2, NO_SYMLINKS = 4 };
static int open2(const char *path, unsigned long long resolve) {
    struct {
        unsigned long long flags, mode, resolve;
    } how = {O_RDONLY | O_CLOEXEC, 0, resolve};
    return (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how);
}

LT_TEST(links_of_proc_and_dev_are_links) {
    const char *const magic[] = {"/proc/self/exe", "/proc/self/fd/1", "/proc/self/cwd", "/proc/self/root"};
    for (int i = 0; i < 4; i++) {
        LT_ERRNO(open2(magic[i], NO_MAGICLINKS), ELOOP);
        LT_ERRNO(open2(magic[i], NO_SYMLINKS), ELOOP);
    }
    LT_OK(open2("/proc/self/status", NO_MAGICLINKS));
    LT_ERRNO(open2("/proc/self/status", NO_SYMLINKS), ELOOP);
    LT_OK(open2("/proc/self/exe", 0));
    LT_ERRNO(open2("/dev/stdin", NO_SYMLINKS), ELOOP);
    LT_OK(open2("/dev/null", NO_SYMLINKS | NO_MAGICLINKS));
    LT_OK(open2("/proc/uptime", NO_SYMLINKS | NO_MAGICLINKS));
}

LT_TEST(attributes_of_what_is_no_file) {
    int ends[2], pair[2], event = (int)LT_OK(eventfd(0, 0));
    char bytes[8];
    LT_OK(pipe(ends));
    LT_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    const int fds[] = {ends[0], ends[1]};
    for (int i = 0; i < 2; i++) {
        LT_ERRNO(fgetxattr(fds[i], "user.a", bytes, 8), ENODATA);
        LT_ERRNO(fsetxattr(fds[i], "user.a", "x", 1, 0), EPERM);
        LT_ERRNO(fremovexattr(fds[i], "user.a"), EPERM);
        LT_EQUAL(flistxattr(fds[i], bytes, 8), 0);
        LT_ERRNO(fsetxattr(fds[i], "", "x", 1, 0), ERANGE);
        LT_ERRNO(fsetxattr(fds[i], "none.a", "x", 1, 0), EOPNOTSUPP);
    }
    LT_EQUAL(flistxattr(event, bytes, 8), 0);
    LT_EQUAL(listxattr("/proc/self/status", bytes, 8), 0);
    LT_EQUAL(listxattr("/dev/null", bytes, 8), 0);
    LT_ERRNO(fgetxattr(-1, "user.a", bytes, 8), EBADF);
}

LT_TEST(copies_at_the_end_of_a_file) {
    int fd = (int)LT_OK(open("file", O_RDWR | O_CREAT, 0600));
    LT_EQUAL(write(fd, "0123456789", 10), 10);
    LT_EQUAL(syscall(SYS_copy_file_range, fd, NULL, fd, NULL, 5ul, 0), 0);
    loff_t from = 6, to = 10;
    LT_EQUAL(syscall(SYS_copy_file_range, fd, &from, fd, &to, 100ul, 0), 4);
    LT_EQUAL(from, 10);
    LT_EQUAL(to, 14);
    from = 10, to = 13;
    LT_ERRNO(syscall(SYS_copy_file_range, fd, &from, fd, &to, 100ul, 0), EINVAL);
    from = 100, to = 0;
    LT_EQUAL(syscall(SYS_copy_file_range, fd, &from, fd, &to, 5ul, 0), 0);
    LT_EQUAL(lseek(fd, 0, SEEK_END), 14);
}

LT_TEST(seeking_in_what_has_no_position) {
    sigset_t set;
    int ends[2];
    sigemptyset(&set);
    LT_EQUAL(lseek((int)LT_OK(eventfd(0, 0)), 5, SEEK_SET), 0);
    LT_EQUAL(lseek((int)LT_OK(epoll_create1(0)), 5, SEEK_SET), 0);
    LT_EQUAL(lseek((int)LT_OK(timerfd_create(CLOCK_MONOTONIC, 0)), 5, SEEK_END), 0);
    LT_EQUAL(lseek((int)LT_OK(signalfd(-1, &set, 0)), 5, SEEK_CUR), 0);
    LT_OK(pipe(ends));
    LT_ERRNO(lseek(ends[0], 0, SEEK_CUR), ESPIPE);
}

LT_TEST(append_flag_of_a_read) {
    char bytes[4];
    const struct iovec part = {bytes, 4};
    lt_make("file", "abcdef");
    int fd = (int)LT_OK(open("file", O_RDONLY));
    LT_EQUAL(syscall(SYS_preadv2, fd, &part, 1ul, 2ul, 0ul, 0x10), 4);
    LT_EQUAL(memcmp(bytes, "cdef", 4), 0);
}

// ---- epoll --------------------------------------------------------------------------------------------------------------------

static int add(int epoll, int fd, unsigned events) {
    struct epoll_event event = {.events = events, .data.fd = fd};
    return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

LT_TEST(epolls_do_not_lead_back) {
    int epolls[6];
    for (int i = 0; i < 6; i++) epolls[i] = (int)LT_OK(epoll_create1(0));
    LT_ERRNO(add(epolls[0], epolls[0], EPOLLIN), EINVAL);
    LT_OK(add(epolls[1], epolls[0], EPOLLIN));
    LT_ERRNO(add(epolls[0], epolls[1], EPOLLIN), ELOOP);
    LT_OK(add(epolls[2], epolls[1], EPOLLIN));
    LT_ERRNO(add(epolls[0], epolls[2], EPOLLIN), ELOOP);
    LT_OK(add(epolls[3], epolls[2], EPOLLIN));
    LT_OK(add(epolls[4], epolls[3], EPOLLIN));
    LT_ERRNO(add(epolls[5], epolls[4], EPOLLIN), ELOOP);  // too many in a row
    LT_OK(close(epolls[1]));
    LT_OK(add(epolls[0], epolls[2], EPOLLIN));
}

LT_TEST(exclusive_goes_with_few) {
    int ends[2], pair[2], epoll = (int)LT_OK(epoll_create1(0)), other = (int)LT_OK(epoll_create1(0));
    struct epoll_event event = {.events = EPOLLIN | EPOLLEXCLUSIVE};
    LT_OK(pipe(ends));
    LT_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    LT_ERRNO(add(epoll, ends[0], EPOLLIN | EPOLLEXCLUSIVE | EPOLLONESHOT), EINVAL);
    LT_ERRNO(add(epoll, pair[0], EPOLLIN | EPOLLEXCLUSIVE | EPOLLRDHUP), EINVAL);
    LT_ERRNO(add(epoll, other, EPOLLIN | EPOLLEXCLUSIVE), EINVAL);
    LT_OK(add(epoll, ends[0], EPOLLIN | EPOLLERR | EPOLLHUP | EPOLLET | EPOLLEXCLUSIVE));
    LT_OK(add(epoll, pair[0], EPOLLIN | EPOLLOUT | EPOLLEXCLUSIVE));
    LT_OK(epoll_ctl(epoll, EPOLL_CTL_DEL, ends[0], NULL));
    LT_OK(add(epoll, ends[0], EPOLLIN));
    LT_ERRNO(epoll_ctl(epoll, EPOLL_CTL_MOD, ends[0], &event), EINVAL);
}

// An edge of a socket tells all that it is ready for.
LT_TEST(an_edge_tells_all) {
    struct epoll_event told;
    int pair[2], epoll = (int)LT_OK(epoll_create1(0));
    LT_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    LT_OK(add(epoll, pair[0], EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET));
    LT_EQUAL(epoll_wait(epoll, &told, 1, 0), 1);
    LT_EQUAL(told.events, EPOLLOUT);
    LT_EQUAL(epoll_wait(epoll, &told, 1, 0), 0);
    LT_EQUAL(write(pair[1], "x", 1), 1);
    LT_EQUAL(epoll_wait(epoll, &told, 1, 0), 1);
    LT_EQUAL(told.events, EPOLLIN | EPOLLOUT);
    LT_EQUAL(epoll_wait(epoll, &told, 1, 0), 0);
    LT_OK(shutdown(pair[1], SHUT_WR));
    LT_EQUAL(epoll_wait(epoll, &told, 1, 0), 1);
    LT_EQUAL(told.events, EPOLLIN | EPOLLOUT | EPOLLRDHUP);
}

// ---- other descriptors ----------------------------------------------------------------------------------------------------------

LT_TEST(a_signalfd_that_changes_its_mask) {
    sigset_t some, none;
    struct signalfd_siginfo told;
    sigemptyset(&none);
    sigemptyset(&some);
    sigaddset(&some, SIGUSR1);
    LT_OK(sigprocmask(SIG_BLOCK, &some, NULL));
    int fd = (int)LT_OK(signalfd(-1, &some, SFD_NONBLOCK));
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    LT_OK(raise(SIGUSR1));
    LT_EQUAL(poll(&ready, 1, 0), 1);
    LT_EQUAL(signalfd(fd, &none, 0), fd);
    LT_EQUAL(poll(&ready, 1, 0), 0);
    LT_ERRNO(read(fd, &told, sizeof told), EAGAIN);
    LT_EQUAL(signalfd(fd, &some, 0), fd);
    LT_EQUAL(poll(&ready, 1, 0), 1);
    LT_EQUAL(read(fd, &told, sizeof told), sizeof told);
    LT_EQUAL(told.ssi_signo, SIGUSR1);
    LT_EQUAL(poll(&ready, 1, 0), 0);
}

LT_TEST(a_timer_that_is_stopped_keeps_its_period) {
    struct itimerspec stopped = {.it_interval = {0, 5000}}, told;
    int fd = (int)LT_OK(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
    LT_OK(timerfd_settime(fd, 0, &stopped, NULL));
    LT_OK(timerfd_gettime(fd, &told));
    LT_EQUAL(told.it_interval.tv_nsec, 5000);
    LT_EQUAL(told.it_value.tv_nsec, 0);
    usleep(1000);
    unsigned long long fired;
    LT_ERRNO(read(fd, &fired, 8), EAGAIN);
    LT_ERRNO(timerfd_settime(fd, 4, &stopped, NULL), EINVAL);
    // Only the real-time clock can be set, and only an absolute time on it is cancelled by that.
    int real = (int)LT_OK(timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK));
    struct itimerspec far = {.it_value = {4000000000, 0}};
    LT_OK(timerfd_settime(real, 3, &far, NULL));
    LT_OK(timerfd_settime(real, 2, &far, NULL));
    LT_ERRNO(read(real, &fired, 8), EAGAIN);
}

// Of leases and owners of signals: that there is none.
LT_TEST(what_fcntl_tells_of_what_is_not_there) {
    lt_make("file", "x");
    int fd = (int)LT_OK(open("file", O_RDONLY)), owner[2] = {7, 7};
    LT_EQUAL(fcntl(fd, 1025 /* F_GETLEASE */), F_UNLCK);
    LT_EQUAL(syscall(SYS_fcntl, fd, F_GETOWN, 0), 0);
    LT_EQUAL(fcntl(fd, 11 /* F_GETSIG */), 0);
    LT_OK(fcntl(fd, 16 /* F_GETOWN_EX */, owner));
    LT_EQUAL(owner[1], 0);
    LT_ERRNO(fcntl(fd, 99), EINVAL);
    LT_ERRNO(fcntl(fd, 1024 /* F_SETLEASE */, 99), EINVAL);
}

// ---- memory ---------------------------------------------------------------------------------------------------------------------

static char *map(size_t pages, int prot, int flags, int fd) {
    char *at = mmap(NULL, pages * PAGE, prot, flags, fd, 0);
    if (at == MAP_FAILED) LT_FAIL("mmap: errno %d", errno);
    return at;
}

LT_TEST(advice_for_what_is_not_there) {
    enum { HUGEPAGE = 14, POPULATE_READ = 22, POPULATE_WRITE = 23 };
    const int hints[] = {MADV_NORMAL, MADV_RANDOM, MADV_SEQUENTIAL, HUGEPAGE};
    char *at = map(6, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    for (int i = 0; i < 4; i++) LT_OK(madvise(at, 6 * PAGE, hints[i]));
    LT_OK(munmap(at + 3 * PAGE, PAGE));
    for (int i = 0; i < 4; i++) LT_ERRNO(madvise(at, 6 * PAGE, hints[i]), ENOMEM);
    LT_ERRNO(madvise(at, 6 * PAGE, MADV_DONTNEED), ENOMEM);
    LT_ERRNO(madvise(at, 6 * PAGE, POPULATE_READ), ENOMEM);
    LT_ERRNO(madvise(at + 3 * PAGE, PAGE, HUGEPAGE), ENOMEM);
    LT_OK(madvise(at, 0, HUGEPAGE));
    char *read_only = map(1, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1), *none = map(1, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    LT_OK(madvise(read_only, PAGE, POPULATE_READ));
    LT_ERRNO(madvise(read_only, PAGE, POPULATE_WRITE), EINVAL);
    LT_ERRNO(madvise(none, PAGE, POPULATE_READ), EINVAL);
}

// MADV_FREE loses what was written: of private memory that is of no file.
LT_TEST(free_is_of_own_memory) {
    lt_make("file", "x");
    int fd = (int)LT_OK(open("file", O_RDWR));
    char *own = map(1, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd), *shared = map(1, PROT_READ | PROT_WRITE, MAP_SHARED, fd);
    char *of_all = map(1, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1);
    own[0] = 'y';
    LT_ERRNO(madvise(own, PAGE, MADV_FREE), EINVAL);
    LT_ERRNO(madvise(shared, PAGE, MADV_FREE), EINVAL);
    LT_ERRNO(madvise(of_all, PAGE, MADV_FREE), EINVAL);
    LT_EQUAL(own[0], 'y');
    LT_OK(madvise(own, PAGE, MADV_DONTNEED));
    LT_EQUAL(own[0], 'x');
    char *memory = map(2, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    LT_OK(madvise(memory, 2 * PAGE, MADV_FREE));
    LT_OK(madvise(memory, 2 * PAGE, 11 /* MADV_DOFORK */));
    LT_OK(madvise(memory, 2 * PAGE, 19 /* MADV_KEEPONFORK */));
}

LT_TEST(flags_of_mappings) {
    lt_make("file", "x");
    int fd = (int)LT_OK(open("file", O_RDWR));
    const int validate = 3 /* MAP_SHARED_VALIDATE */;
    LT_ERRNO((long)mmap(NULL, PAGE, PROT_READ, validate | MAP_ANONYMOUS, -1, 0), EINVAL);
    LT_ERRNO((long)mmap(NULL, PAGE, PROT_READ, validate | 0x800000, fd, 0), EOPNOTSUPP);
    LT_ERRNO((long)mmap(NULL, PAGE, PROT_READ, validate | 0x80000 /* MAP_SYNC */, fd, 0), EOPNOTSUPP);
    char *at = map(1, PROT_READ | PROT_WRITE, validate | MAP_NORESERVE | MAP_POPULATE, fd);
    LT_EQUAL(at[0], 'x');
    LT_ERRNO((long)mmap(NULL, PAGE, PROT_READ, MAP_SHARED | MAP_ANONYMOUS | MAP_GROWSDOWN, -1, 0), EINVAL);
    LT_ERRNO((long)mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_GROWSDOWN, fd, 0), EINVAL);
    LT_OK(syscall(SYS_mprotect, at, PAGE, PROT_READ | 8 /* PROT_SEM */));
    LT_ERRNO(syscall(SYS_mprotect, at, PAGE, PROT_READ | 16), EINVAL);
    LT_ERRNO(mlockall(4 /* MCL_ONFAULT */), EINVAL);
    LT_ERRNO(mlockall(0), EINVAL);
    LT_ERRNO(mlockall(8), EINVAL);
}

// ---- prctl ----------------------------------------------------------------------------------------------------------------------

LT_TEST(prctl_keeps_what_it_is_told) {
    int value = 7;
    LT_EQUAL(prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0), 0);
    LT_EQUAL(prctl(PR_GET_KEEPCAPS, 0, 0, 0, 0), 1);
    LT_EQUAL(prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0), 0);
    LT_EQUAL(prctl(PR_GET_KEEPCAPS, 0, 0, 0, 0), 0);
    LT_EQUAL(prctl(PR_SET_TIMERSLACK, 123456, 0, 0, 0), 0);
    LT_EQUAL(prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0), 123456);
    LT_EQUAL(prctl(PR_SET_TIMERSLACK, 0, 0, 0, 0), 0);
    LT_CHECK(prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0) != 123456);
    LT_EQUAL(prctl(41 /* PR_SET_THP_DISABLE */, 1, 0, 0, 0), 0);
    LT_EQUAL(prctl(42 /* PR_GET_THP_DISABLE */, 0, 0, 0, 0), 1);
    LT_EQUAL(prctl(41, 0, 0, 0, 0), 0);
    LT_EQUAL(prctl(42, 0, 0, 0, 0), 0);
    LT_EQUAL(prctl(PR_GET_TSC, &value, 0, 0, 0), 0);
    LT_EQUAL(value, PR_TSC_ENABLE);
    LT_EQUAL(prctl(PR_SET_TSC, PR_TSC_ENABLE, 0, 0, 0), 0);
    LT_EQUAL(prctl(PR_GET_TIMING, 0, 0, 0, 0), 0);
    LT_EQUAL(prctl(37 /* PR_GET_CHILD_SUBREAPER */, &value, 0, 0, 0), 0);
    LT_EQUAL(value, 0);
    LT_ERRNO(prctl(10000, 0, 0, 0, 0), EINVAL);
}
