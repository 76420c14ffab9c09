// Files in memory and their seals.
#include "tests/linux/lt.h"

#include <sys/mman.h>
#include <sys/syscall.h>

#define SEAL_SEAL 1
#define SEAL_SHRINK 2
#define SEAL_GROW 4
#define SEAL_WRITE 8
#define SEAL_FUTURE_WRITE 16
#define ADD_SEALS 1033
#define GET_SEALS 1034

static int make(unsigned flags) { return (int)syscall(SYS_memfd_create, "name", flags); }

LT_TEST(create) {
    struct stat st;
    char buffer[4] = {0}, name[300];
    int fd = (int)LT_OK(make(1));
    LT_EQUAL(fcntl(fd, F_GETFD), FD_CLOEXEC);
    LT_EQUAL(fcntl(fd, F_GETFL), O_RDWR | 0100000);
    LT_OK(fstat(fd, &st));
    LT_CHECK(S_ISREG(st.st_mode));
    LT_EQUAL(st.st_nlink, 0);
    LT_EQUAL(st.st_size, 0);
    LT_EQUAL(write(fd, "abc", 3), 3);
    LT_EQUAL(pread(fd, buffer, 4, 0), 3);
    LT_TEXT(buffer, "abc");
    LT_EQUAL(fcntl(fd, GET_SEALS), SEAL_SEAL);
    LT_ERRNO(fcntl(fd, ADD_SEALS, SEAL_WRITE), EPERM);
    LT_ERRNO(make(0x100), EINVAL);
    LT_ERRNO(syscall(SYS_memfd_create, LT_BAD_ADDRESS, 0), EFAULT);
    memset(name, 'n', sizeof name);
    name[250] = 0;
    LT_ERRNO(syscall(SYS_memfd_create, name, 0), EINVAL);
    name[249] = 0;
    LT_OK(syscall(SYS_memfd_create, name, 0));
}

LT_TEST(size_seals) {
    int fd = (int)LT_OK(make(2));
    LT_EQUAL(fcntl(fd, GET_SEALS), 0);
    LT_OK(ftruncate(fd, 100));
    LT_OK(fcntl(fd, ADD_SEALS, SEAL_SHRINK));
    LT_ERRNO(ftruncate(fd, 99), EPERM);
    LT_OK(ftruncate(fd, 200));
    LT_OK(fcntl(fd, ADD_SEALS, SEAL_GROW));
    LT_EQUAL(fcntl(fd, GET_SEALS), SEAL_SHRINK | SEAL_GROW);
    LT_ERRNO(ftruncate(fd, 201), EPERM);
    LT_OK(ftruncate(fd, 200));
    LT_EQUAL(pwrite(fd, "x", 1, 199), 1);
    LT_ERRNO(pwrite(fd, "x", 1, 200), EPERM);
    LT_ERRNO(fallocate(fd, 0, 0, 5000), EPERM);
    LT_OK(fcntl(fd, ADD_SEALS, SEAL_SEAL));
    LT_ERRNO(fcntl(fd, ADD_SEALS, SEAL_WRITE), EPERM);
    LT_ERRNO(fcntl(fd, ADD_SEALS, 0), EPERM);
}

LT_TEST(write_seal) {
    int fd = (int)LT_OK(make(2));
    LT_OK(ftruncate(fd, 8192));
    char *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    LT_CHECK(map != MAP_FAILED);
    map[0] = 'a';
    LT_ERRNO(fcntl(fd, ADD_SEALS, SEAL_WRITE), EBUSY);
    LT_OK(munmap(map, 4096));
    LT_OK(fcntl(fd, ADD_SEALS, SEAL_WRITE));
    LT_ERRNO(pwrite(fd, "x", 1, 0), EPERM);
    LT_ERRNO(fallocate(fd, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, 0, 4096), EPERM);
    LT_ERRNO((long)mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), EPERM);
    map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    LT_CHECK(map != MAP_FAILED);
    LT_EQUAL(map[0], 'a');
    map[0] = 'b';
    LT_OK(ftruncate(fd, 4096));
}

LT_TEST(future_write_seal) {
    int fd = (int)LT_OK(make(2));
    LT_OK(ftruncate(fd, 4096));
    char c, *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    LT_CHECK(map != MAP_FAILED);
    LT_OK(fcntl(fd, ADD_SEALS, SEAL_FUTURE_WRITE));
    map[5] = 'x';
    LT_EQUAL(pread(fd, &c, 1, 5), 1);
    LT_EQUAL(c, 'x');
    LT_ERRNO(pwrite(fd, "x", 1, 0), EPERM);
    LT_ERRNO((long)mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), EPERM);
}

LT_TEST(only_there) {
    lt_make("file", "");
    int fd = (int)LT_OK(open("file", O_RDWR)), r = (int)LT_OK(open("file", O_RDONLY));
    LT_ERRNO(fcntl(r, ADD_SEALS, SEAL_WRITE), EPERM);
    LT_ERRNO(fcntl(99, GET_SEALS), EBADF);
    LT_CHECK(fcntl(fd, ADD_SEALS, SEAL_WRITE) == -1);
    LT_ERRNO(fcntl((int)LT_OK(make(2)), ADD_SEALS, 0x400), EINVAL);
}
