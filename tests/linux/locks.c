// Advisory locks.
#include "tests/linux/lt.h"

#include <sys/file.h>
#include <sys/wait.h>

static struct flock range(int type, off_t start, off_t len) {
    return (struct flock){.l_type = (short)type, .l_whence = SEEK_SET, .l_start = start, .l_len = len};
}

LT_TEST(flocks) {
    lt_make("file", "");
    int a = (int)LT_OK(open("file", O_RDWR)), b = (int)LT_OK(open("file", O_RDONLY)), c = (int)LT_OK(dup(a));
    LT_OK(flock(a, LOCK_EX));
    LT_ERRNO(flock(b, LOCK_EX | LOCK_NB), EWOULDBLOCK);
    LT_ERRNO(flock(b, LOCK_SH | LOCK_NB), EWOULDBLOCK);
    LT_OK(flock(c, LOCK_SH));
    LT_OK(flock(b, LOCK_SH | LOCK_NB));
    LT_OK(close(a));
    LT_ERRNO(flock(b, LOCK_EX | LOCK_NB), EWOULDBLOCK);
    LT_OK(close(c));
    LT_OK(flock(b, LOCK_EX | LOCK_NB));
    LT_OK(flock(b, LOCK_UN));
    LT_OK(flock(b, LOCK_UN));
    LT_ERRNO(flock(b, 0), EINVAL);
    LT_ERRNO(flock(b, LOCK_SH | LOCK_EX), EINVAL);
    LT_ERRNO(flock(99, LOCK_SH), EBADF);
}

LT_TEST(description_locks) {
    lt_make("file", "0123456789");
    int a = (int)LT_OK(open("file", O_RDWR)), b = (int)LT_OK(open("file", O_RDWR));
    struct flock l = range(F_WRLCK, 10, 20);
    LT_OK(fcntl(a, F_OFD_SETLK, &l));
    l = range(F_RDLCK, 29, 5);
    LT_ERRNO(fcntl(b, F_OFD_SETLK, &l), EAGAIN);
    LT_OK(fcntl(b, F_OFD_GETLK, &l));
    LT_EQUAL(l.l_type, F_WRLCK);
    LT_EQUAL(l.l_start, 10);
    LT_EQUAL(l.l_len, 20);
    LT_EQUAL(l.l_pid, -1);
    l = range(F_WRLCK, 30, 0);
    LT_OK(fcntl(b, F_OFD_SETLK, &l));
    l = range(F_WRLCK, 100, 1);
    LT_OK(fcntl(a, F_OFD_GETLK, &l));
    LT_EQUAL(l.l_start, 30);
    LT_EQUAL(l.l_len, 0);
    l = range(F_UNLCK, 15, 5);
    LT_OK(fcntl(a, F_OFD_SETLK, &l));
    l = range(F_WRLCK, 15, 5);
    LT_OK(fcntl(b, F_OFD_SETLK, &l));
    l = range(F_WRLCK, 0, 1);
    LT_OK(fcntl(b, F_OFD_GETLK, &l));
    LT_EQUAL(l.l_type, F_UNLCK);
    l.l_pid = 5;
    l.l_type = F_WRLCK;
    LT_ERRNO(fcntl(b, F_OFD_SETLK, &l), EINVAL);
    LT_OK(close(a));
    l = range(F_WRLCK, 10, 5);
    LT_OK(fcntl(b, F_OFD_SETLK, &l));
}

LT_TEST(process_locks) {
    lt_make("file", "0123456789");
    int a = (int)LT_OK(open("file", O_RDWR)), b = (int)LT_OK(open("file", O_RDWR));
    struct flock l = range(F_WRLCK, 0, 10);
    LT_OK(fcntl(a, F_SETLK, &l));
    LT_OK(fcntl(b, F_SETLKW, &l));
    l = range(F_WRLCK, 5, 1);
    LT_ERRNO(fcntl(b, F_OFD_SETLK, &l), EAGAIN);
    LT_OK(fcntl(b, F_OFD_GETLK, &l));
    LT_EQUAL(l.l_pid, getpid());
    LT_EQUAL(l.l_len, 10);
    l = range(F_WRLCK, 0, 10);
    LT_OK(fcntl(a, F_GETLK, &l));
    LT_EQUAL(l.l_type, F_UNLCK);
    LT_OK(close(b));
    b = (int)LT_OK(open("file", O_RDWR));
    l = range(F_WRLCK, 5, 1);
    LT_OK(fcntl(b, F_OFD_SETLK, &l));
}

LT_TEST(truncate_keeps_locks) {
    lt_make("file", "0123456789");
    int a = (int)LT_OK(open("file", O_RDWR)), b = (int)LT_OK(open("file", O_RDWR));
    struct flock l = range(F_WRLCK, 0, 10);
    LT_OK(fcntl(a, F_SETLK, &l));
    LT_OK(truncate("file", 2));
    LT_ERRNO(fcntl(b, F_OFD_SETLK, &l), EAGAIN);
}

LT_TEST(ranges) {
    lt_make("file", "0123456789");
    int fd = (int)LT_OK(open("file", O_RDWR)), r = (int)LT_OK(open("file", O_RDONLY)), w = (int)LT_OK(open("file", O_WRONLY));
    struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_END, .l_start = -2, .l_len = -3};
    LT_OK(fcntl(fd, F_OFD_SETLK, &l));
    l = range(F_WRLCK, 0, 0);
    LT_OK(fcntl(w, F_OFD_GETLK, &l));
    LT_EQUAL(l.l_start, 5);
    LT_EQUAL(l.l_len, 3);
    LT_EQUAL(lseek(fd, 4, SEEK_SET), 4);
    l = (struct flock){.l_type = F_UNLCK, .l_whence = SEEK_CUR, .l_start = 1, .l_len = 1};
    LT_OK(fcntl(fd, F_OFD_SETLK, &l));
    l = range(F_WRLCK, 0, 0);
    LT_OK(fcntl(w, F_OFD_GETLK, &l));
    LT_EQUAL(l.l_start, 6);
    l = range(F_WRLCK, -1, 1);
    LT_ERRNO(fcntl(fd, F_SETLK, &l), EINVAL);
    l = range(F_WRLCK, 1, -2);
    LT_ERRNO(fcntl(fd, F_SETLK, &l), EINVAL);
    l = range(F_WRLCK, 0x7fffffffffffffff, 2);
    LT_ERRNO(fcntl(fd, F_SETLK, &l), EOVERFLOW);
    l = range(9, 0, 1);
    LT_ERRNO(fcntl(fd, F_SETLK, &l), EINVAL);
    LT_ERRNO(fcntl(fd, F_GETLK, &l), EINVAL);
    l = range(F_RDLCK, 0, 1);
    LT_ERRNO(fcntl(w, F_SETLK, &l), EBADF);
    l = range(F_WRLCK, 0, 1);
    LT_ERRNO(fcntl(r, F_SETLK, &l), EBADF);
    LT_ERRNO(fcntl(fd, F_SETLK, LT_BAD_ADDRESS), EFAULT);
}

// ---- directories ---------------------------------------------------------------------------------------------------------

LT_TEST(flocks_of_directories) {
    LT_OK(mkdir("folder", 0700));
    int a = (int)LT_OK(open("folder", O_RDONLY | O_DIRECTORY)), b = (int)LT_OK(open("folder", O_RDONLY)), c = (int)LT_OK(dup(a));
    int path = (int)LT_OK(open("folder", O_PATH));
    LT_OK(flock(a, LOCK_EX));
    LT_ERRNO(flock(b, LOCK_EX | LOCK_NB), EWOULDBLOCK);
    LT_ERRNO(flock(b, LOCK_SH | LOCK_NB), EWOULDBLOCK);
    LT_ERRNO(flock(path, LOCK_SH | LOCK_NB), EBADF);
    LT_OK(flock(c, LOCK_SH));
    LT_OK(flock(b, LOCK_SH | LOCK_NB));
    LT_OK(close(a));
    LT_ERRNO(flock(b, LOCK_EX | LOCK_NB), EWOULDBLOCK);
    LT_OK(rmdir("folder"));
    LT_OK(close(c));
    LT_OK(flock(b, LOCK_EX | LOCK_NB));
    LT_OK(flock(b, LOCK_UN));
}

LT_TEST(a_directory_is_waited_for) {
    int a = (int)LT_OK(open(".", O_RDONLY)), ready[2], status;
    char c;
    LT_OK(pipe(ready));
    LT_OK(flock(a, LOCK_EX));
    pid_t child = (pid_t)LT_OK(fork());
    if (child == 0) {
        int b = open(".", O_RDONLY);
        close(a);
        if (flock(b, LOCK_SH | LOCK_NB) != -1 || write(ready[1], "x", 1) != 1) _exit(1);
        _exit(flock(b, LOCK_EX) == 0 ? 0 : 2);
    }
    LT_EQUAL(read(ready[0], &c, 1), 1);
    LT_OK(close(a));  // the last descriptor of the one that has it
    LT_EQUAL(waitpid(child, &status, 0), child);
    LT_EQUAL(status, 0);
}

LT_TEST(ranges_of_directories) {
    int a = (int)LT_OK(open(".", O_RDONLY)), status;
    struct flock l = range(F_RDLCK, 0, 10);
    LT_OK(fcntl(a, F_SETLK, &l));
    l = range(F_WRLCK, 0, 10);
    LT_ERRNO(fcntl(a, F_SETLK, &l), EBADF);
    pid_t child = (pid_t)LT_OK(fork());
    if (child == 0) {
        int b = open(".", O_RDONLY);
        l = range(F_WRLCK, 5, 1);
        if (fcntl(b, F_GETLK, &l) != 0 || l.l_type != F_RDLCK || l.l_pid != getppid()) _exit(1);
        if (l.l_start != 0 || l.l_len != 10) _exit(2);
        l = range(F_RDLCK, 5, 0);
        _exit(fcntl(b, F_OFD_SETLK, &l) == 0 ? 0 : 3);
    }
    LT_EQUAL(waitpid(child, &status, 0), child);
    LT_EQUAL(status, 0);
    l = range(F_WRLCK, 0, 0);
    int other = (int)LT_OK(open(".", O_RDONLY));
    LT_OK(fcntl(other, F_OFD_GETLK, &l));
    LT_EQUAL(l.l_pid, getpid());
    LT_OK(close(other));  // any descriptor's end gives back the locks of the process
    other = (int)LT_OK(open(".", O_RDONLY));
    l = range(F_WRLCK, 0, 0);
    LT_OK(fcntl(other, F_OFD_GETLK, &l));
    LT_EQUAL(l.l_type, F_UNLCK);
}
