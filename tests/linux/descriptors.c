// The table of descriptors, status flags, transfers at positions.
#include "tests/linux/lt.h"

#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <termios.h>

LT_TEST(dup_shares_offset) {
    char c;
    lt_make("file", "0123456789");
    int a = (int)LT_OK(open("file", O_RDONLY)), b = (int)LT_OK(dup(a));
    LT_EQUAL(read(a, &c, 1), 1);
    LT_EQUAL(read(b, &c, 1), 1);
    LT_EQUAL(c, '1');
    LT_OK(close(a));
    LT_EQUAL(read(b, &c, 1), 1);
    LT_EQUAL(c, '2');
    LT_ERRNO(dup(a), EBADF);
    LT_EQUAL(dup(b), a);
}

LT_TEST(dup2_and_dup3) {
    lt_make("file", "0123456789");
    int a = (int)LT_OK(open("file", O_RDONLY | O_CLOEXEC));
    LT_EQUAL(dup2(a, 50), 50);
    LT_EQUAL(fcntl(50, F_GETFD), 0);
    LT_EQUAL(dup2(a, a), a);
    LT_EQUAL(fcntl(a, F_GETFD), FD_CLOEXEC);
    LT_EQUAL(dup3(a, 50, O_CLOEXEC), 50);
    LT_EQUAL(fcntl(50, F_GETFD), FD_CLOEXEC);
    LT_ERRNO(dup3(a, a, 0), EINVAL);
    LT_ERRNO(syscall(SYS_dup3, a, 51, O_APPEND), EINVAL);
    LT_ERRNO(dup2(99, 50), EBADF);
    LT_ERRNO(dup2(99, 99), EBADF);
    LT_ERRNO(dup2(a, -1), EBADF);
    LT_EQUAL(dup2(a, 700), 700);
    LT_OK(close(700));
    LT_ERRNO(close(700), EBADF);
}

LT_TEST(fcntl_duplicates) {
    int a = (int)LT_OK(open(".", O_RDONLY));
    LT_EQUAL(fcntl(a, F_DUPFD, 40), 40);
    LT_EQUAL(fcntl(a, F_DUPFD, 40), 41);
    LT_EQUAL(fcntl(a, F_DUPFD_CLOEXEC, 40), 42);
    LT_EQUAL(fcntl(42, F_GETFD), FD_CLOEXEC);
    LT_EQUAL(fcntl(42, F_SETFD, 0), 0);
    LT_EQUAL(fcntl(42, F_GETFD), 0);
    LT_ERRNO(fcntl(a, F_DUPFD, -1), EINVAL);
    LT_ERRNO(fcntl(99, F_GETFD), EBADF);
    LT_ERRNO(fcntl(a, 9999), EINVAL);
}

LT_TEST(lowest_number) {
    int a = (int)LT_OK(open(".", O_RDONLY)), b = (int)LT_OK(open(".", O_RDONLY)), c = (int)LT_OK(open(".", O_RDONLY));
    LT_OK(close(b));
    LT_OK(close(a));
    LT_EQUAL(open(".", O_RDONLY), a);
    LT_EQUAL(open(".", O_RDONLY), b);
    LT_EQUAL(open(".", O_RDONLY), c + 1);
    LT_OK(close(0 + c));
    LT_EQUAL(open(".", O_RDONLY), c);
}

LT_TEST(many_descriptors) {
    int first = (int)LT_OK(open(".", O_RDONLY));
    for (int i = 1; i < 300; i++) LT_EQUAL(dup(first), first + i);
    for (int i = 0; i < 300; i++) LT_OK(close(first + i));
    LT_EQUAL(open(".", O_RDONLY), first);
}

LT_TEST(status_flags) {
    int fd = (int)LT_OK(open("file", O_RDWR | O_CREAT | O_APPEND | O_NONBLOCK, 0644)), other = (int)LT_OK(dup(fd));
    const int large = 0100000;
    LT_EQUAL(fcntl(fd, F_GETFL), O_RDWR | O_APPEND | O_NONBLOCK | large);
    LT_EQUAL(fcntl(fd, F_SETFL, O_NOATIME), 0);
    LT_EQUAL(fcntl(other, F_GETFL), O_RDWR | O_NOATIME | large);
    LT_EQUAL(fcntl(fd, F_SETFL, O_WRONLY | O_CREAT), 0);
    LT_EQUAL(fcntl(fd, F_GETFL), O_RDWR | large);
    LT_EQUAL(fcntl((int)LT_OK(open("file", O_WRONLY | O_DSYNC)), F_GETFL), O_WRONLY | O_DSYNC | large);
    LT_EQUAL(fcntl((int)LT_OK(open("file", O_RDONLY | O_SYNC | O_NOFOLLOW)), F_GETFL), O_RDONLY | O_SYNC | O_NOFOLLOW | large);
    LT_EQUAL(fcntl((int)LT_OK(open(".", O_RDONLY | O_DIRECTORY)), F_GETFL), O_RDONLY | O_DIRECTORY | large);
    LT_EQUAL(fcntl((int)LT_OK(open(".", O_PATH | O_RDWR)), F_GETFL), O_PATH);
}

LT_TEST(append) {
    char buffer[16] = {0};
    lt_make("file", "one");
    int fd = (int)LT_OK(open("file", O_RDWR | O_APPEND));
    LT_EQUAL(write(fd, "two", 3), 3);
    LT_EQUAL(lseek(fd, 0, SEEK_CUR), 6);
    LT_EQUAL(lseek(fd, 0, SEEK_SET), 0);
    LT_EQUAL(write(fd, "3", 1), 1);
    LT_EQUAL(pread(fd, buffer, 16, 0), 7);
    LT_TEXT(buffer, "onetwo3");
    LT_EQUAL(pwrite(fd, "4", 1, 0), 1);
    LT_EQUAL(pread(fd, buffer, 16, 0), 8);
    LT_TEXT(buffer, "onetwo34");
}

LT_TEST(access_mode_3) {
    char c;
    lt_make("file", "x");
    int fd = (int)LT_OK(open("file", 3));
    LT_EQUAL(fcntl(fd, F_GETFL) & 3, 3);
    LT_ERRNO(read(fd, &c, 1), EBADF);
    LT_ERRNO(write(fd, &c, 1), EBADF);
}

LT_TEST(path_only) {
    char c, text[8] = {0};
    struct stat st;
    lt_make("file", "text");
    LT_OK(symlink("file", "link"));
    int fd = (int)LT_OK(open("file", O_PATH | O_WRONLY | O_TRUNC)), link = (int)LT_OK(open("link", O_PATH | O_NOFOLLOW));
    LT_ERRNO(read(fd, &c, 1), EBADF);
    LT_ERRNO(lseek(fd, 0, SEEK_SET), EBADF);
    LT_ERRNO(syscall(SYS_fchmod, fd, 0600), EBADF);
    LT_ERRNO(ftruncate(fd, 0), EBADF);
    LT_ERRNO(fcntl(fd, F_SETFL, O_APPEND), EBADF);
    LT_ERRNO(ioctl(fd, FIONREAD, &c), EBADF);
    LT_OK(fstat(fd, &st));
    LT_EQUAL(st.st_size, 4);
    LT_OK(fstat(link, &st));
    LT_CHECK(S_ISLNK(st.st_mode));
    LT_EQUAL(readlinkat(link, "", text, sizeof text), 4);
    LT_TEXT(text, "file");
    LT_ERRNO(openat(fd, "below", O_RDONLY), ENOTDIR);
    int folder = (int)LT_OK(open(".", O_PATH));
    LT_OK(close((int)LT_OK(openat(folder, "file", O_RDONLY))));
}

LT_TEST(positions) {
    char buffer[16] = {0};
    int fd = (int)LT_OK(open("file", O_RDWR | O_CREAT, 0644));
    LT_EQUAL(pwrite(fd, "0123456789", 10, 5), 10);
    LT_EQUAL(lseek(fd, 0, SEEK_CUR), 0);
    LT_EQUAL(pread(fd, buffer, 4, 7), 4);
    LT_EQUAL(memcmp(buffer, "2345", 4), 0);
    LT_EQUAL(pread(fd, buffer, 4, 100), 0);
    LT_ERRNO(pread(fd, buffer, 4, -1), EINVAL);
    LT_ERRNO(pwrite(fd, buffer, 4, -1), EINVAL);
    LT_ERRNO(pread(99, buffer, 4, 0), EBADF);
    LT_ERRNO(pread((int)LT_OK(open(".", O_RDONLY)), buffer, 4, 0), EISDIR);
}

static long preadv2_(int fd, const struct iovec *parts, int count, long offset, int flags) {
    return syscall(SYS_preadv2, fd, parts, count, offset, 0, flags);
}
static long pwritev2_(int fd, const struct iovec *parts, int count, long offset, int flags) {
    return syscall(SYS_pwritev2, fd, parts, count, offset, 0, flags);
}

LT_TEST(vectors) {
    char a[4] = {0}, b[8] = {0};
    int fd = (int)LT_OK(open("file", O_RDWR | O_CREAT, 0644));
    struct iovec out[3] = {{"abc", 3}, {NULL, 0}, {"defg", 4}}, in[2] = {{a, 3}, {b, 8}};
    LT_EQUAL(writev(fd, out, 3), 7);
    LT_EQUAL(lseek(fd, 0, SEEK_CUR), 7);
    LT_EQUAL(preadv(fd, in, 2, 1), 6);
    LT_TEXT(a, "bcd");
    LT_TEXT(b, "efg");
    LT_EQUAL(pwritev(fd, out, 1, 10), 3);
    LT_EQUAL(lseek(fd, 0, SEEK_END), 13);
    LT_EQUAL(readv(fd, in, 2), 0);
    LT_EQUAL(readv(fd, in, 0), 0);
    LT_ERRNO(readv(fd, in, -1), EINVAL);
    LT_ERRNO(readv(fd, in, 1025), EINVAL);
    LT_ERRNO(readv(fd, LT_BAD_ADDRESS, 1), EFAULT);
    in[1].iov_len = (size_t)-1;
    LT_EQUAL(lseek(fd, 0, SEEK_SET), 0);
    LT_ERRNO(readv(fd, in, 2), EINVAL);
    LT_EQUAL(lseek(fd, 0, SEEK_CUR), 0);
    in[1].iov_len = 8;
    LT_EQUAL(preadv2_(fd, in, 2, -1, 0), 11);
    LT_EQUAL(lseek(fd, 0, SEEK_CUR), 11);
    LT_EQUAL(pwritev2_(fd, out, 1, 0, 0x10), 3);
    LT_EQUAL(lseek(fd, 0, SEEK_END), 16);
    LT_ERRNO(preadv2_(fd, in, 2, 0, 0x4000), EOPNOTSUPP);
}

LT_TEST(close_ranges) {
    int a = (int)LT_OK(open(".", O_RDONLY));
    for (int i = 100; i < 110; i++) LT_EQUAL(dup2(a, i), i);
    LT_EQUAL(syscall(SYS_close_range, 103, 105, 0), 0);
    LT_EQUAL(fcntl(102, F_GETFD), 0);
    LT_ERRNO(fcntl(103, F_GETFD), EBADF);
    LT_ERRNO(fcntl(105, F_GETFD), EBADF);
    LT_EQUAL(fcntl(106, F_GETFD), 0);
    LT_EQUAL(syscall(SYS_close_range, 107, ~0u, 4), 0);
    LT_EQUAL(fcntl(107, F_GETFD), FD_CLOEXEC);
    LT_EQUAL(syscall(SYS_close_range, 100, ~0u, 0), 0);
    LT_ERRNO(fcntl(109, F_GETFD), EBADF);
    LT_EQUAL(fcntl(a, F_GETFD), 0);
    LT_ERRNO(syscall(SYS_close_range, 5, 4, 0), EINVAL);
    LT_ERRNO(syscall(SYS_close_range, 5, 6, 64), EINVAL);
}

LT_TEST(ioctls) {
    int left = -1, on = 1;
    struct termios t;
    lt_make("file", "0123456789");
    int fd = (int)LT_OK(open("file", O_RDONLY));
    LT_EQUAL(lseek(fd, 3, SEEK_SET), 3);
    LT_OK(ioctl(fd, FIONREAD, &left));
    LT_EQUAL(left, 7);
    LT_OK(ioctl(fd, FIOCLEX));
    LT_EQUAL(fcntl(fd, F_GETFD), FD_CLOEXEC);
    LT_OK(ioctl(fd, FIONCLEX));
    LT_EQUAL(fcntl(fd, F_GETFD), 0);
    LT_OK(ioctl(fd, FIONBIO, &on));
    LT_EQUAL(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    LT_ERRNO(ioctl(fd, TCGETS, &t), ENOTTY);
    LT_EQUAL(isatty(fd), 0);
    LT_ERRNO(ioctl(99, FIONREAD, &left), EBADF);
}

LT_TEST(room) {
    struct stat st;
    char c = 1;
    int fd = (int)LT_OK(open("file", O_RDWR | O_CREAT, 0644)), r = (int)LT_OK(open("file", O_RDONLY));
    LT_OK(fallocate(fd, 0, 0, 10000));
    LT_OK(fstat(fd, &st));
    LT_EQUAL(st.st_size, 10000);
    LT_CHECK(st.st_blocks >= 20);
    LT_OK(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 100000));
    LT_OK(fstat(fd, &st));
    LT_EQUAL(st.st_size, 10000);
    LT_EQUAL(pwrite(fd, "x", 1, 5000), 1);
    LT_OK(fallocate(fd, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, 4096, 4096));
    LT_EQUAL(pread(fd, &c, 1, 5000), 1);
    LT_EQUAL(c, 0);
    LT_ERRNO(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 4096), EOPNOTSUPP);
    LT_ERRNO(fallocate(fd, 0x8000, 0, 4096), EOPNOTSUPP);
    LT_ERRNO(fallocate(fd, 0, 0, 0), EINVAL);
    LT_ERRNO(fallocate(fd, 0, -1, 10), EINVAL);
    LT_ERRNO(fallocate(r, 0, 0, 10), EBADF);
    LT_ERRNO(fallocate((int)LT_OK(open(".", O_RDONLY)), 0, 0, 10), EBADF);
    LT_EQUAL(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
    LT_EQUAL(posix_fadvise(fd, 0, 0, 99), EINVAL);
    LT_EQUAL(posix_fadvise(99, 0, 0, 0), EBADF);
    LT_OK(fsync(fd));
    LT_OK(fdatasync(fd));
    LT_OK(syncfs(fd));
    LT_ERRNO(fsync(99), EBADF);
    LT_OK(sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE));
    LT_ERRNO(sync_file_range(fd, 0, 0, 64), EINVAL);
}
