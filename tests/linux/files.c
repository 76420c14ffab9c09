// Opening, reading, writing and positions.
#include "tests/linux/lt.h"

#include <sys/syscall.h>

LT_TEST(open_errors) {
    lt_make("file", "text");
    LT_OK(mkdir("folder", 0755));
    LT_ERRNO(open("missing", O_RDONLY), ENOENT);
    LT_ERRNO(open("", O_RDONLY), ENOENT);
    LT_ERRNO(open(LT_BAD_ADDRESS, O_RDONLY), EFAULT);
    LT_ERRNO(open(NULL, O_RDONLY), EFAULT);
    LT_ERRNO(open("file/below", O_RDONLY), ENOTDIR);
    LT_ERRNO(open("file/", O_RDONLY), ENOTDIR);
    LT_ERRNO(open("file", O_RDONLY | O_DIRECTORY), ENOTDIR);
    LT_ERRNO(open("folder", O_WRONLY), EISDIR);
    LT_ERRNO(open("folder", O_RDWR), EISDIR);
    LT_ERRNO(open("folder", O_RDONLY | O_CREAT, 0644), EISDIR);
    LT_ERRNO(open("new/", O_RDWR | O_CREAT, 0644), EISDIR);
    LT_ERRNO(open("file", O_CREAT | O_EXCL | O_RDWR, 0644), EEXIST);
    LT_ERRNO(open("missing/file", O_CREAT | O_RDWR, 0644), ENOENT);
}

// A slash behind the last name: what is made is no directory, whatever is there.
LT_TEST(open_creates_no_directory) {
    static const char *const names[] = {"new/",       "file/",     "file//", "folder/", "link/",
                                        "to_folder/", "dangling/", "ring/",  "slash",   "far/link/"};
    static const int ways[] = {0, O_EXCL, O_NOFOLLOW, O_TRUNC, O_EXCL | O_NOFOLLOW};
    char long_name[302];
    lt_make("file", "text");
    LT_OK(mkdir("folder", 0755));
    LT_OK(symlink("file", "link"));
    LT_OK(symlink("folder", "to_folder"));
    LT_OK(symlink("new", "dangling"));
    LT_OK(symlink("ring", "ring"));
    LT_OK(symlink("made/", "slash"));
    LT_OK(symlink(".", "far"));
    memset(long_name, 'n', 300);
    memcpy(long_name + 300, "/", 2);
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
        for (unsigned k = 0; k < sizeof ways / sizeof ways[0]; k++) {
            // A link of which only the text has a slash is one that is there, where it is not followed.
            const int error = strcmp(names[i], "slash") != 0 ? EISDIR : ways[k] & O_EXCL ? EEXIST : ways[k] & O_NOFOLLOW ? ELOOP : EISDIR;
            LT_ERRNO(open(names[i], O_RDWR | O_CREAT | ways[k], 0644), error);
        }
    }
    LT_ERRNO(open(long_name, O_RDWR | O_CREAT, 0644), EISDIR);
    LT_ERRNO(open("link/", O_RDWR), ENOTDIR);
    LT_ERRNO(open("link/.", O_RDWR | O_CREAT, 0644), ENOTDIR);
    LT_ERRNO(open("link/more/", O_RDWR | O_CREAT, 0644), ENOTDIR);
    LT_ERRNO(open("missing/more/", O_RDWR | O_CREAT, 0644), ENOENT);
    LT_ERRNO(open("folder/.", O_RDWR | O_CREAT, 0644), EISDIR);
    LT_ERRNO(open("/proc/version/", O_RDONLY | O_CREAT, 0644), EISDIR);
    LT_ERRNO(open("/proc/missing/", O_RDONLY | O_CREAT, 0644), EISDIR);
    LT_ERRNO(open("/proc/version/", O_RDONLY), ENOTDIR);
    struct stat st;
    LT_ERRNO(stat("/proc/version/", &st), ENOTDIR);
    LT_OK(stat("/proc/self/", &st));
    LT_ERRNO(lstat("made", &st), ENOENT);
}

LT_TEST(open_links) {
    lt_make("file", "text");
    LT_OK(symlink("file", "link"));
    LT_OK(symlink("new", "dangling"));
    LT_OK(symlink("ring", "ring"));
    int fd = (int)LT_OK(open("link", O_RDONLY));
    LT_OK(close(fd));
    LT_ERRNO(open("link", O_RDONLY | O_NOFOLLOW), ELOOP);
    LT_ERRNO(open("link", O_RDONLY | O_NOFOLLOW | O_DIRECTORY), ENOTDIR);
    LT_ERRNO(open("ring", O_RDONLY), ELOOP);
    LT_ERRNO(open("dangling", O_RDONLY), ENOENT);
    LT_ERRNO(open("dangling", O_CREAT | O_EXCL | O_RDWR, 0644), EEXIST);
    fd = (int)LT_OK(open("dangling", O_CREAT | O_RDWR, 0644));
    LT_OK(close(fd));
    struct stat st;
    LT_OK(lstat("new", &st));
    LT_CHECK(S_ISREG(st.st_mode));
}

LT_TEST(read_and_write) {
    char buffer[16] = {0};
    int fd = (int)LT_OK(open("file", O_RDWR | O_CREAT, 0644));
    LT_EQUAL(write(fd, "0123456789", 10), 10);
    LT_EQUAL(read(fd, buffer, 4), 0);
    LT_EQUAL(lseek(fd, 2, SEEK_SET), 2);
    LT_EQUAL(read(fd, buffer, 4), 4);
    LT_EQUAL(memcmp(buffer, "2345", 4), 0);
    LT_EQUAL(lseek(fd, 0, SEEK_CUR), 6);
    LT_EQUAL(read(fd, buffer, 16), 4);
    LT_EQUAL(read(fd, buffer, 16), 0);
    LT_ERRNO(read(fd, LT_BAD_ADDRESS, lseek(fd, 0, SEEK_SET) + 4), EFAULT);
    LT_ERRNO(write(fd, LT_BAD_ADDRESS, 4), EFAULT);
    LT_EQUAL(read(fd, buffer, 0), 0);
    LT_OK(close(fd));
    LT_ERRNO(close(fd), EBADF);
    LT_ERRNO(read(fd, buffer, 1), EBADF);
    LT_ERRNO(write(fd, buffer, 1), EBADF);
    LT_ERRNO(read(-1, buffer, 1), EBADF);
}

LT_TEST(access_modes) {
    char c;
    lt_make("file", "text");
    int r = (int)LT_OK(open("file", O_RDONLY)), w = (int)LT_OK(open("file", O_WRONLY));
    LT_ERRNO(write(r, "x", 1), EBADF);
    LT_ERRNO(read(w, &c, 1), EBADF);
    LT_ERRNO(read((int)LT_OK(open(".", O_RDONLY)), &c, 1), EISDIR);
    LT_ERRNO(write((int)LT_OK(open(".", O_RDONLY)), "x", 1), EBADF);
}

LT_TEST(seek) {
    int fd = (int)LT_OK(open("file", O_RDWR | O_CREAT, 0644));
    LT_EQUAL(write(fd, "0123456789", 10), 10);
    LT_EQUAL(lseek(fd, -3, SEEK_END), 7);
    LT_EQUAL(lseek(fd, 100, SEEK_CUR), 107);
    LT_ERRNO(lseek(fd, -200, SEEK_CUR), EINVAL);
    LT_ERRNO(lseek(fd, -1, SEEK_SET), EINVAL);
    LT_ERRNO(lseek(fd, 0, 99), EINVAL);
    LT_ERRNO(lseek(fd, 0x7fffffffffffffff, SEEK_CUR), EINVAL);
    LT_EQUAL(lseek(fd, 0, SEEK_CUR), 107);
    LT_EQUAL(lseek(fd, 0, SEEK_DATA), 0);
    LT_EQUAL(lseek(fd, 0, SEEK_HOLE), 10);
    LT_ERRNO(lseek(fd, 10, SEEK_DATA), ENXIO);
    LT_ERRNO(lseek(99, 0, SEEK_SET), EBADF);
    LT_EQUAL(lseek(fd, 20, SEEK_SET), 20);
    LT_EQUAL(write(fd, "x", 1), 1);
    struct stat st;
    LT_OK(fstat(fd, &st));
    LT_EQUAL(st.st_size, 21);
}

LT_TEST(stat_shows) {
    struct stat st;
    lt_make("file", "text");
    LT_OK(symlink("file", "link"));
    LT_OK(stat("link", &st));
    LT_CHECK(S_ISREG(st.st_mode));
    LT_EQUAL(st.st_mode & 07777, 0644);
    LT_EQUAL(st.st_size, 4);
    LT_EQUAL(st.st_nlink, 1);
    LT_OK(lstat("link", &st));
    LT_CHECK(S_ISLNK(st.st_mode));
    LT_EQUAL(st.st_size, 4);
    LT_OK(stat(".", &st));
    LT_CHECK(S_ISDIR(st.st_mode));
    LT_ERRNO(stat("missing", &st), ENOENT);
    LT_ERRNO(stat("file/", &st), ENOTDIR);
    LT_ERRNO(syscall(SYS_stat, "file", LT_BAD_ADDRESS), EFAULT);
    LT_ERRNO(syscall(SYS_stat, NULL, &st), EFAULT);
    LT_ERRNO(syscall(SYS_fstat, 99, &st), EBADF);
    LT_OK(fstatat(AT_FDCWD, "", &st, AT_EMPTY_PATH));
    LT_CHECK(S_ISDIR(st.st_mode));
    LT_ERRNO(fstatat(AT_FDCWD, "file", &st, 0x8000), EINVAL);
}
