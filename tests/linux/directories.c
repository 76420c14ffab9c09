// Reading directories.
#include "tests/linux/lt.h"

#include <dirent.h>
#include <sys/syscall.h>

static int count(const char *path) {
    DIR *d = opendir(path);
    LT_CHECK(d != NULL);
    int entries = 0;
    while (readdir(d) != NULL) entries++;
    closedir(d);
    return entries;
}

LT_TEST(lists_all) {
    char name[32];
    LT_EQUAL(count("."), 2);
    for (int i = 0; i < 300; i++) {
        snprintf(name, sizeof name, "entry-%d", i);
        lt_make(name, "");
    }
    LT_EQUAL(count("."), 302);
}

LT_TEST(types_and_names) {
    lt_make("file", "");
    LT_OK(mkdir("folder", 0755));
    LT_OK(symlink("file", "link"));
    DIR *d = opendir(".");
    int seen = 0;
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        struct stat st;
        LT_OK(lstat(e->d_name, &st));
        LT_EQUAL(e->d_ino, st.st_ino);
        LT_EQUAL(e->d_type, (st.st_mode & S_IFMT) >> 12);
        seen++;
    }
    LT_EQUAL(seen, 5);
    closedir(d);
}

LT_TEST(offsets) {
    char name[32], first[300];
    for (int i = 0; i < 20; i++) {
        snprintf(name, sizeof name, "entry-%d", i);
        lt_make(name, "");
    }
    DIR *d = opendir(".");
    for (int i = 0; i < 10; i++) LT_CHECK(readdir(d) != NULL);
    long at = telldir(d);
    struct dirent *e = readdir(d);
    LT_CHECK(e != NULL);
    strcpy(first, e->d_name);
    while (readdir(d) != NULL) {}
    seekdir(d, at);
    e = readdir(d);
    LT_CHECK(e != NULL);
    LT_TEXT(e->d_name, first);
    rewinddir(d);
    int entries = 0;
    while (readdir(d) != NULL) entries++;
    LT_EQUAL(entries, 22);
    closedir(d);
}

LT_TEST(errors) {
    char buffer[1024];
    lt_make("file", "");
    int fd = (int)LT_OK(open(".", O_RDONLY)), file = (int)LT_OK(open("file", O_RDONLY));
    LT_ERRNO(syscall(SYS_getdents64, fd, buffer, 8), EINVAL);
    LT_ERRNO(syscall(SYS_getdents64, file, buffer, sizeof buffer), ENOTDIR);
    LT_ERRNO(syscall(SYS_getdents64, 99, buffer, sizeof buffer), EBADF);
    LT_ERRNO(syscall(SYS_getdents64, fd, LT_BAD_ADDRESS, sizeof buffer), EFAULT);
    LT_CHECK(syscall(SYS_getdents64, fd, buffer, sizeof buffer) > 0);
    LT_EQUAL(syscall(SYS_getdents64, fd, buffer, sizeof buffer), 0);
    LT_OK(mkdir("gone", 0755));
    int gone = (int)LT_OK(open("gone", O_RDONLY));
    LT_OK(rmdir("gone"));
    LT_ERRNO(syscall(SYS_getdents64, gone, buffer, sizeof buffer), ENOENT);
}
