// Names: making, linking, renaming, removing; where paths begin.
#include "tests/linux/lt.h"

#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>

struct how {
    unsigned long long flags, mode, resolve;
};
static long open2(int dir, const char *path, struct how how) { return syscall(SYS_openat2, dir, path, &how, sizeof how); }

LT_TEST(mkdir_and_rmdir) {
    struct stat st;
    LT_OK(mkdir("a", 0777));
    LT_OK(stat("a", &st));
    LT_EQUAL(st.st_mode, S_IFDIR | 0755);
    LT_EQUAL(st.st_nlink, 2);
    LT_OK(mkdir("a/b/", 07777));
    LT_OK(stat("a/b", &st));
    LT_EQUAL(st.st_mode, S_IFDIR | S_ISVTX | 0755);
    LT_ERRNO(mkdir("a", 0777), EEXIST);
    LT_ERRNO(mkdir("missing/b", 0777), ENOENT);
    LT_ERRNO(mkdir(".", 0777), EEXIST);
    LT_ERRNO(mkdir("/", 0777), EEXIST);
    LT_ERRNO(mkdir("", 0777), ENOENT);
    LT_ERRNO(rmdir("a"), ENOTEMPTY);
    LT_ERRNO(rmdir("a/."), EINVAL);
    LT_ERRNO(rmdir("a/b/.."), ENOTEMPTY);
    LT_ERRNO(unlink("a"), EISDIR);
    LT_OK(rmdir("a/b"));
    LT_OK(unlinkat(AT_FDCWD, "a", AT_REMOVEDIR));
    LT_ERRNO(rmdir("a"), ENOENT);
    lt_make("file", "");
    LT_ERRNO(rmdir("file"), ENOTDIR);
    LT_ERRNO(mkdir("file/a", 0777), ENOTDIR);
    LT_ERRNO(unlinkat(AT_FDCWD, "file", 1), EINVAL);
}

LT_TEST(unlink_open) {
    struct stat st;
    lt_make("file", "text");
    int fd = (int)LT_OK(open("file", O_RDWR));
    LT_OK(unlink("file"));
    LT_ERRNO(unlink("file"), ENOENT);
    LT_OK(fstat(fd, &st));
    LT_EQUAL(st.st_nlink, 0);
    LT_EQUAL(write(fd, "more", 4), 4);
    LT_ERRNO(unlink("file/"), ENOENT);
    lt_make("file", "");
    LT_ERRNO(unlink("file/"), ENOTDIR);
}

LT_TEST(links) {
    struct stat st;
    char text[16] = {0};
    lt_make("file", "text");
    LT_OK(link("file", "second"));
    LT_OK(stat("second", &st));
    LT_EQUAL(st.st_nlink, 2);
    LT_ERRNO(link("file", "second"), EEXIST);
    LT_ERRNO(link("missing", "third"), ENOENT);
    LT_ERRNO(link(".", "third"), EPERM);
    LT_OK(symlink("file", "sym"));
    LT_OK(link("sym", "sym2"));
    LT_OK(lstat("sym2", &st));
    LT_CHECK(S_ISLNK(st.st_mode));
    LT_OK(linkat(AT_FDCWD, "sym", AT_FDCWD, "third", AT_SYMLINK_FOLLOW));
    LT_OK(lstat("third", &st));
    LT_CHECK(S_ISREG(st.st_mode));
    LT_ERRNO(linkat(AT_FDCWD, "file", AT_FDCWD, "x", 1), EINVAL);
    LT_EQUAL(readlink("sym", text, sizeof text), 4);
    LT_TEXT(text, "file");
    LT_EQUAL(readlink("sym", text, 2), 2);
    LT_ERRNO(readlink("file", text, sizeof text), EINVAL);
    LT_ERRNO(readlink("missing", text, sizeof text), ENOENT);
    LT_ERRNO(syscall(SYS_readlink, "sym", text, 0), EINVAL);
    LT_ERRNO(syscall(SYS_readlink, "sym", LT_BAD_ADDRESS, 4), EFAULT);
    LT_ERRNO(symlink("", "empty"), ENOENT);
    LT_ERRNO(symlink("x", "file"), EEXIST);
    LT_ERRNO(symlink("x", "missing/y"), ENOENT);
}

LT_TEST(renames) {
    struct stat st;
    lt_make("a", "a");
    lt_make("b", "bb");
    LT_OK(mkdir("dir", 0755));
    LT_OK(mkdir("full", 0755));
    LT_OK(mkdir("full/x", 0755));
    LT_OK(rename("a", "b"));
    LT_OK(stat("b", &st));
    LT_EQUAL(st.st_size, 1);
    LT_ERRNO(rename("a", "c"), ENOENT);
    LT_ERRNO(rename("b", "dir"), EISDIR);
    LT_ERRNO(rename("dir", "b"), ENOTDIR);
    LT_ERRNO(rename("dir", "full"), ENOTEMPTY);
    LT_ERRNO(rename("full", "full/x/y"), EINVAL);
    LT_ERRNO(rename("full/x", "full"), ENOTEMPTY);
    LT_ERRNO(rename(".", "c"), EBUSY);
    LT_ERRNO(rename("b", "."), EBUSY);
    LT_OK(rename("full", "dir"));
    LT_OK(rename("b", "b"));
    lt_make("c", "ccc");
    LT_ERRNO(syscall(SYS_renameat2, AT_FDCWD, "b", AT_FDCWD, "c", 1), EEXIST);
    LT_OK(syscall(SYS_renameat2, AT_FDCWD, "b", AT_FDCWD, "c", 2));
    LT_OK(stat("b", &st));
    LT_EQUAL(st.st_size, 3);
    LT_ERRNO(syscall(SYS_renameat2, AT_FDCWD, "b", AT_FDCWD, "missing", 2), ENOENT);
    LT_ERRNO(syscall(SYS_renameat2, AT_FDCWD, "b", AT_FDCWD, "c", 3), EINVAL);
    LT_ERRNO(syscall(SYS_renameat2, AT_FDCWD, "b", AT_FDCWD, "c", 8), EINVAL);
}

LT_TEST(where_paths_begin) {
    struct stat st, root, top;
    LT_OK(mkdir("dir", 0755));
    lt_make("dir/file", "x");
    int dir = (int)LT_OK(open("dir", O_RDONLY)), file = (int)LT_OK(open("dir/file", O_RDONLY));
    LT_OK(fstatat(dir, "file", &st, 0));
    LT_OK(fstatat(dir, "../dir/file", &st, 0));
    LT_ERRNO(fstatat(file, "x", &st, 0), ENOTDIR);
    LT_ERRNO(fstatat(99, "x", &st, 0), EBADF);
    LT_OK(fstatat(99, "/", &root, 0));
    LT_OK(fstatat(dir, "/..", &top, 0));
    LT_EQUAL(top.st_ino, root.st_ino);
    LT_ERRNO(fstatat(dir, "", &st, 0), ENOENT);
    LT_OK(fstatat(file, "", &st, AT_EMPTY_PATH));
    LT_CHECK(S_ISREG(st.st_mode));
    LT_OK(mkdirat(dir, "sub", 0755));
    LT_OK(renameat(dir, "file", dir, "sub/file"));
    LT_OK(unlinkat(dir, "sub/file", 0));
    LT_OK(symlinkat("sub", dir, "sym"));
    LT_OK(close((int)LT_OK(openat(dir, "sym", O_RDONLY | O_DIRECTORY))));
}

LT_TEST(working_directory) {
    char before[4096], now[4096];
    LT_CHECK(getcwd(before, sizeof before) != NULL);
    LT_OK(mkdir("dir", 0755));
    lt_make("file", "");
    LT_OK(chdir("dir"));
    LT_CHECK(getcwd(now, sizeof now) != NULL);
    strcat(before, "/dir");
    LT_TEXT(now, before);
    LT_ERRNO(chdir("../file"), ENOTDIR);
    LT_ERRNO(chdir("missing"), ENOENT);
    LT_ERRNO(syscall(SYS_getcwd, now, 2), ERANGE);
    int up = (int)LT_OK(open("..", O_RDONLY)), file = (int)LT_OK(open("../file", O_RDONLY));
    LT_OK(fchdir(up));
    LT_OK(access("dir", F_OK));
    LT_ERRNO(fchdir(file), ENOTDIR);
    LT_ERRNO(fchdir(99), EBADF);
    LT_OK(fchdir((int)LT_OK(open("dir", O_PATH))));
    LT_OK(rmdir("../dir"));
    LT_ERRNO(syscall(SYS_getcwd, now, sizeof now), ENOENT);
    LT_ERRNO(open("new", O_CREAT | O_RDWR, 0644), ENOENT);
}

LT_TEST(open_resolves) {
    LT_OK(mkdir("dir", 0755));
    lt_make("dir/file", "");
    lt_make("outside", "");
    LT_OK(symlink("file", "dir/in"));
    LT_OK(symlink("../outside", "dir/out"));
    LT_OK(symlink("/file", "dir/absolute"));
    int dir = (int)LT_OK(open("dir", O_RDONLY));
    LT_OK(open2(dir, "in", (struct how){.resolve = 8}));
    LT_ERRNO(open2(dir, "out", (struct how){.resolve = 8}), EXDEV);
    LT_ERRNO(open2(dir, "../outside", (struct how){.resolve = 8}), EXDEV);
    LT_ERRNO(open2(dir, "/file", (struct how){.resolve = 8}), EXDEV);
    LT_ERRNO(open2(dir, "in", (struct how){.resolve = 4}), ELOOP);
    LT_OK(open2(dir, "absolute", (struct how){.resolve = 16}));
    LT_OK(open2(dir, "/file", (struct how){.resolve = 16}));
    LT_ERRNO(open2(dir, "out", (struct how){.resolve = 16}), ENOENT);
    LT_ERRNO(open2(dir, "file", (struct how){.resolve = 24}), EINVAL);
    LT_ERRNO(open2(dir, "file", (struct how){.resolve = 1024}), EINVAL);
    LT_ERRNO(open2(dir, "file", (struct how){.mode = 0644}), EINVAL);
    LT_ERRNO(open2(dir, "file", (struct how){.flags = 1ull << 40}), EINVAL);
    LT_ERRNO(syscall(SYS_openat2, dir, "file", &(struct how){0}, 8), EINVAL);
    LT_OK(open2(dir, "new", (struct how){.flags = O_CREAT | O_RDWR, .mode = 0600}));
}

LT_TEST(temporary_files) {
    struct stat st;
    char buffer[4] = {0};
    int fd = (int)LT_OK(open(".", O_TMPFILE | O_RDWR, 0600));
    LT_OK(fstat(fd, &st));
    LT_EQUAL(st.st_nlink, 0);
    LT_EQUAL(st.st_mode, S_IFREG | 0600);
    LT_EQUAL(write(fd, "abc", 3), 3);
    LT_EQUAL(pread(fd, buffer, 4, 0), 3);
    LT_ERRNO(open(".", O_TMPFILE | O_RDONLY, 0600), EINVAL);
    lt_make("file", "");
    LT_ERRNO(open("file", O_TMPFILE | O_RDWR, 0600), ENOTDIR);
    LT_ERRNO(open("new", O_CREAT | O_DIRECTORY | O_RDWR, 0600), EINVAL);
}

LT_TEST(nodes) {
    struct stat st;
    LT_OK(mknod("plain", 0644, 0));
    LT_OK(stat("plain", &st));
    LT_CHECK(S_ISREG(st.st_mode));
    LT_OK(mknod("fifo", S_IFIFO | 0666, 0));
    LT_OK(stat("fifo", &st));
    LT_EQUAL(st.st_mode, S_IFIFO | 0644);
    LT_ERRNO(mknod("fifo", S_IFIFO | 0666, 0), EEXIST);
    LT_ERRNO(mknod("dir", S_IFDIR | 0755, 0), EPERM);
    LT_ERRNO(mknod("missing/x", S_IFIFO, 0), ENOENT);
    LT_ERRNO(mknod("x", 0030000, 0), EINVAL);
}

LT_TEST(long_names) {
    char name[300], path[5000];
    memset(name, 'n', sizeof name);
    name[255] = 0;
    lt_make(name, "");
    LT_OK(access(name, F_OK));
    name[255] = 'n', name[256] = 0;
    LT_ERRNO(open(name, O_RDONLY), ENAMETOOLONG);
    for (int i = 0; i < 4096; i += 2) memcpy(path + i, "./", 2);
    path[4095] = 0;
    LT_OK(open(path, O_RDONLY));
    path[4095] = '/', path[4096] = 0;
    LT_ERRNO(open(path, O_RDONLY), ENAMETOOLONG);
}

LT_TEST(accesses) {
    lt_make("file", "");
    LT_OK(chmod("file", 0644));
    LT_OK(access("file", R_OK | W_OK));
    LT_ERRNO(access("file", X_OK), EACCES);
    LT_OK(chmod("file", 0755));
    LT_OK(access("file", X_OK));
    LT_ERRNO(access("missing", F_OK), ENOENT);
    LT_ERRNO(syscall(SYS_access, "file", 8), EINVAL);
    LT_OK(symlink("missing", "sym"));
    LT_ERRNO(access("sym", F_OK), ENOENT);
    LT_OK(syscall(439, AT_FDCWD, "sym", F_OK, AT_SYMLINK_NOFOLLOW));
    LT_ERRNO(syscall(439, AT_FDCWD, "file", F_OK, 1), EINVAL);
}

LT_TEST(file_systems) {
    struct statfs s;
    LT_OK(statfs(".", &s));
    LT_CHECK(s.f_bsize >= 512);
    LT_EQUAL(s.f_namelen, 255);
    LT_CHECK(s.f_blocks >= s.f_bfree);
    LT_OK(fstatfs((int)LT_OK(open(".", O_PATH)), &s));
    LT_ERRNO(statfs("missing", &s), ENOENT);
    LT_ERRNO(fstatfs(99, &s), EBADF);
}

LT_TEST(devices) {
    char buffer[64];
    struct stat st;
    memset(buffer, 1, sizeof buffer);
    int null = (int)LT_OK(open("/dev/null", O_RDWR)), zero = (int)LT_OK(open("/dev/zero", O_RDWR));
    int full = (int)LT_OK(open("/dev/full", O_RDWR));
    LT_EQUAL(read(null, buffer, 64), 0);
    LT_EQUAL(write(null, buffer, 64), 64);
    LT_EQUAL(read(zero, buffer, 64), 64);
    LT_EQUAL(buffer[0] | buffer[63], 0);
    LT_ERRNO(write(full, buffer, 1), ENOSPC);
    LT_EQUAL(lseek(null, 5, SEEK_SET), 0);
    LT_EQUAL(read((int)LT_OK(open("/dev/urandom", O_RDONLY)), buffer, 64), 64);
    LT_OK(stat("/dev/null", &st));
    LT_CHECK(S_ISCHR(st.st_mode));
    LT_EQUAL(st.st_rdev, makedev(1, 3));
    LT_OK(fstat(zero, &st));
    LT_EQUAL(st.st_rdev, makedev(1, 5));
    LT_OK(stat("/dev/", &st));
    LT_CHECK(S_ISDIR(st.st_mode));
    LT_ERRNO(open("/dev/missing", O_RDONLY), ENOENT);
    LT_ERRNO(open("/dev/null/x", O_RDONLY), ENOTDIR);
    LT_OK(close((int)LT_OK(open("/dev/../dev/./null", O_RDONLY))));
    LT_OK(open("/dev/null", O_WRONLY | O_CREAT | O_TRUNC, 0644));
    LT_ERRNO(mkdir("/dev/null", 0755), EEXIST);
    LT_OK(mknod("node", S_IFCHR | 0666, makedev(1, 3)));
    LT_EQUAL(write((int)LT_OK(open("node", O_WRONLY)), "x", 1), 1);
    LT_OK(chdir("/dev"));
    LT_CHECK(getcwd(buffer, sizeof buffer) != NULL);
    LT_TEXT(buffer, "/dev");
    LT_OK(open("null", O_RDONLY));
    LT_OK(stat("../dev/zero", &st));
    int dev = (int)LT_OK(open("/dev", O_RDONLY | O_DIRECTORY));
    LT_OK(openat(dev, "full", O_RDONLY));
    LT_OK(fstat(dev, &st));
    LT_CHECK(S_ISDIR(st.st_mode));
}
