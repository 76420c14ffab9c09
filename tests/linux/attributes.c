// Modes, owners, times, sizes, masks.
#include "tests/linux/lt.h"

#include <sys/syscall.h>
#include <sys/time.h>
#include <utime.h>

static mode_t mode_of(const char *path) {
    struct stat st;
    LT_OK(lstat(path, &st));
    return st.st_mode;
}

LT_TEST(modes) {
    lt_make("file", "");
    LT_OK(chmod("file", 06751));
    LT_EQUAL(mode_of("file"), S_IFREG | 06751);
    LT_OK(symlink("file", "sym"));
    LT_OK(chmod("sym", 0600));
    LT_EQUAL(mode_of("file"), S_IFREG | 0600);
    int fd = (int)LT_OK(open("file", O_RDONLY)), dir = (int)LT_OK(open(".", O_RDONLY));
    LT_OK(fchmod(fd, 0640));
    LT_EQUAL(mode_of("file"), S_IFREG | 0640);
    LT_OK(fchmodat(dir, "file", 0444, 0));
    LT_EQUAL(mode_of("file"), S_IFREG | 0444);
    LT_OK(fchmod(dir, 0700));
    LT_EQUAL(mode_of("."), S_IFDIR | 0700);
    LT_OK(chmod("file", 0177777));
    LT_EQUAL(mode_of("file"), S_IFREG | 07777);
    LT_ERRNO(chmod("missing", 0600), ENOENT);
    LT_ERRNO(fchmod(99, 0600), EBADF);
}

LT_TEST(masks) {
    LT_EQUAL(umask(0077), 022);
    lt_make("file", "");
    LT_OK(close((int)LT_OK(open("open", O_CREAT | O_RDWR, 0666))));
    LT_EQUAL(mode_of("open"), S_IFREG | 0600);
    LT_OK(mkdir("dir", 0777));
    LT_EQUAL(mode_of("dir"), S_IFDIR | 0700);
    LT_EQUAL(umask(07777), 077);
    LT_EQUAL(umask(022), 0777);
}

LT_TEST(owners) {
    struct stat st;
    lt_make("file", "");
    if (geteuid() != 0) LT_SKIP("not as root");
    LT_OK(chmod("file", 06755));
    LT_OK(chown("file", 1000, 2000));
    LT_OK(stat("file", &st));
    LT_EQUAL(st.st_uid, 1000);
    LT_EQUAL(st.st_gid, 2000);
    LT_EQUAL(st.st_mode, S_IFREG | 0755);
    LT_OK(chown("file", -1, 3000));
    LT_OK(stat("file", &st));
    LT_EQUAL(st.st_uid, 1000);
    LT_EQUAL(st.st_gid, 3000);
    LT_OK(symlink("file", "sym"));
    LT_OK(lchown("sym", 5, 6));
    LT_OK(lstat("sym", &st));
    LT_EQUAL(st.st_uid, 5);
    int fd = (int)LT_OK(open("file", O_RDONLY));
    LT_OK(fchown(fd, 7, 8));
    LT_OK(fchownat(fd, "", 9, -1, AT_EMPTY_PATH));
    LT_OK(fstat(fd, &st));
    LT_EQUAL(st.st_uid, 9);
    LT_EQUAL(st.st_gid, 8);
    LT_ERRNO(fchownat(AT_FDCWD, "file", 1, 1, 1), EINVAL);
    LT_OK(mkdir("dir", 0755));
    LT_OK(chmod("dir", 02755));
    LT_OK(chown("dir", 1, 1));
    LT_EQUAL(mode_of("dir"), S_IFDIR | 02755);
    LT_OK(chmod("file", 02644));
    LT_OK(chown("file", 1, 1));
    LT_EQUAL(mode_of("file"), S_IFREG | 02644);
}

LT_TEST(times) {
    struct stat st;
    lt_make("file", "");
    struct timespec when[2] = {{1000, 5}, {2000, 7}};
    LT_OK(utimensat(AT_FDCWD, "file", when, 0));
    LT_OK(stat("file", &st));
    LT_EQUAL(st.st_atim.tv_sec, 1000);
    LT_EQUAL(st.st_atim.tv_nsec, 5);
    LT_EQUAL(st.st_mtim.tv_sec, 2000);
    when[0].tv_nsec = UTIME_OMIT;
    when[1] = (struct timespec){3000, 0};
    LT_OK(utimensat(AT_FDCWD, "file", when, 0));
    LT_OK(stat("file", &st));
    LT_EQUAL(st.st_atim.tv_sec, 1000);
    LT_EQUAL(st.st_mtim.tv_sec, 3000);
    when[1].tv_nsec = UTIME_OMIT;
    LT_OK(utimensat(AT_FDCWD, "missing", when, 0));
    when[1].tv_nsec = 1000000000;
    LT_ERRNO(utimensat(AT_FDCWD, "file", when, 0), EINVAL);
    LT_ERRNO(utimensat(AT_FDCWD, "missing", NULL, 0), ENOENT);
    LT_ERRNO(utimensat(AT_FDCWD, "file", NULL, 1), EINVAL);
    int fd = (int)LT_OK(open("file", O_RDONLY));
    LT_OK(futimens(fd, NULL));
    LT_OK(stat("file", &st));
    LT_CHECK(st.st_mtim.tv_sec > 1000000);
    struct timeval tv[2] = {{50, 999999}, {60, 0}};
    LT_OK(syscall(SYS_utimes, "file", tv));
    LT_OK(stat("file", &st));
    LT_EQUAL(st.st_atim.tv_nsec, 999999000);
    tv[0].tv_usec = 1000000;
    LT_ERRNO(syscall(SYS_utimes, "file", tv), EINVAL);
    LT_OK(syscall(SYS_utime, "file", &(struct utimbuf){70, 80}));
    LT_OK(stat("file", &st));
    LT_EQUAL(st.st_mtim.tv_sec, 80);
    LT_OK(symlink("file", "sym"));
    LT_OK(utimensat(AT_FDCWD, "sym", (struct timespec[2]){{90, 0}, {91, 0}}, AT_SYMLINK_NOFOLLOW));
    LT_OK(lstat("sym", &st));
    LT_EQUAL(st.st_mtim.tv_sec, 91);
    LT_ERRNO(syscall(SYS_utimensat, 99, NULL, NULL, 0), EBADF);
}

LT_TEST(sizes) {
    struct stat st;
    char c = 1;
    lt_make("file", "0123456789");
    LT_OK(truncate("file", 5));
    LT_OK(stat("file", &st));
    LT_EQUAL(st.st_size, 5);
    LT_OK(truncate("file", 100));
    int fd = (int)LT_OK(open("file", O_RDWR)), r = (int)LT_OK(open("file", O_RDONLY));
    LT_EQUAL(pread(fd, &c, 1, 7), 1);
    LT_EQUAL(c, 0);
    LT_OK(ftruncate(fd, 3));
    LT_OK(fstat(fd, &st));
    LT_EQUAL(st.st_size, 3);
    LT_ERRNO(ftruncate(r, 3), EINVAL);
    LT_ERRNO(ftruncate(fd, -1), EINVAL);
    LT_ERRNO(truncate("file", -1), EINVAL);
    LT_ERRNO(truncate("missing", 1), ENOENT);
    LT_ERRNO(truncate(".", 1), EISDIR);
    LT_ERRNO(ftruncate((int)LT_OK(open(".", O_RDONLY)), 1), EINVAL);
    LT_ERRNO(ftruncate(99, 1), EBADF);
    LT_OK(mknod("fifo", S_IFIFO | 0644, 0));
    LT_ERRNO(truncate("fifo", 1), EINVAL);
}

// As the kernel's header has it; the C library need not.
struct extended {
    unsigned mask, blksize;
    unsigned long long attributes;
    unsigned nlink, uid, gid;
    unsigned short mode, pad;
    unsigned long long ino, size, blocks, attributes_mask;
    long long accessed[2], born[2], changed[2], modified[2];
    unsigned long long rest[16];
};
static long statx_(int dir, const char *path, int flags, unsigned mask, struct extended *x) {
    return syscall(SYS_statx, dir, path, flags, mask, x);
}

LT_TEST(statx_shows) {
    struct extended x;
    struct stat st;
    lt_make("file", "text");
    LT_OK(statx_(AT_FDCWD, "file", 0, 0x7ff, &x));
    LT_OK(stat("file", &st));
    LT_EQUAL(x.mask & 0x7ff, 0x7ff);
    LT_EQUAL(x.ino, st.st_ino);
    LT_EQUAL(x.mode, st.st_mode);
    LT_EQUAL(x.size, 4);
    LT_EQUAL(x.modified[0], st.st_mtim.tv_sec);
    LT_ERRNO(statx_(AT_FDCWD, "file", 1, 0, &x), EINVAL);
    LT_ERRNO(statx_(AT_FDCWD, "file", 0x6000, 0, &x), EINVAL);
    LT_ERRNO(statx_(AT_FDCWD, "file", 0, 0x80000000, &x), EINVAL);
    LT_ERRNO(statx_(AT_FDCWD, "missing", 0, 0, &x), ENOENT);
    LT_OK(statx_((int)LT_OK(open("file", O_RDONLY)), "", AT_EMPTY_PATH, 0, &x));
    LT_EQUAL(x.size, 4);
}
