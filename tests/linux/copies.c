// Copies from descriptor to descriptor; names for files that had none.
#include "tests/linux/lt.h"

#include <sys/sendfile.h>
#include <sys/syscall.h>

static long copy(int in, off_t *in_at, int out, off_t *out_at, size_t len, unsigned flags) {
    return syscall(SYS_copy_file_range, in, in_at, out, out_at, len, flags);
}

LT_TEST(copy_ranges) {
    char text[32] = {0};
    lt_make("in", "0123456789");
    int in = (int)LT_OK(open("in", O_RDONLY)), out = (int)LT_OK(open("out", O_RDWR | O_CREAT, 0644));
    off_t from = 2, to = 1;
    LT_EQUAL(copy(in, &from, out, &to, 5, 0), 5);
    LT_EQUAL(from, 7);
    LT_EQUAL(to, 6);
    LT_EQUAL(lseek(in, 0, SEEK_CUR), 0);
    LT_EQUAL(copy(in, NULL, out, NULL, 3, 0), 3);
    LT_EQUAL(lseek(in, 0, SEEK_CUR), 3);
    LT_EQUAL(lseek(out, 0, SEEK_CUR), 3);
    LT_EQUAL(pread(out, text, 32, 0), 6);
    LT_TEXT(text, "012456");
    LT_EQUAL(copy(in, NULL, out, NULL, 100, 0), 7);
    LT_EQUAL(copy(in, NULL, out, NULL, 100, 0), 0);
    LT_ERRNO(copy(in, NULL, out, NULL, 1, 1), EINVAL);
    LT_ERRNO(copy(out, NULL, in, NULL, 1, 0), EBADF);
    LT_ERRNO(copy(99, NULL, out, NULL, 1, 0), EBADF);
    LT_ERRNO(copy((int)LT_OK(open(".", O_RDONLY)), NULL, out, NULL, 1, 0), EISDIR);
    from = 0, to = 2;
    LT_ERRNO(copy(out, &from, out, &to, 4, 0), EINVAL);
    LT_ERRNO(copy(in, NULL, (int)LT_OK(open("out", O_WRONLY | O_APPEND)), NULL, 1, 0), EBADF);
}

LT_TEST(sends) {
    char text[32] = {0};
    lt_make("in", "0123456789");
    int in = (int)LT_OK(open("in", O_RDONLY)), out = (int)LT_OK(open("out", O_RDWR | O_CREAT, 0644));
    int null = (int)LT_OK(open("/dev/null", O_RDWR));
    off_t from = 4;
    LT_EQUAL(sendfile(out, in, &from, 3), 3);
    LT_EQUAL(from, 7);
    LT_EQUAL(lseek(in, 0, SEEK_CUR), 0);
    LT_EQUAL(sendfile(out, in, NULL, 4), 4);
    LT_EQUAL(lseek(in, 0, SEEK_CUR), 4);
    LT_EQUAL(pread(out, text, 32, 0), 7);
    LT_TEXT(text, "4560123");
    LT_EQUAL(sendfile(null, in, NULL, 100), 6);
    LT_EQUAL(lseek(in, 0, SEEK_CUR), 10);
    LT_EQUAL(sendfile(null, in, NULL, 100), 0);
    LT_ERRNO(sendfile(in, in, NULL, 1), EBADF);
    LT_ERRNO(sendfile(out, 99, NULL, 1), EBADF);
    from = -1;
    LT_ERRNO(sendfile(out, in, &from, 1), EINVAL);
}

LT_TEST(large_copies) {
    char *block = malloc(100000);
    for (int i = 0; i < 100000; i++) block[i] = (char)(i * 7);
    int in = (int)LT_OK(open("in", O_RDWR | O_CREAT, 0644)), out = (int)LT_OK(open("out", O_RDWR | O_CREAT, 0644));
    LT_EQUAL(write(in, block, 100000), 100000);
    off_t from = 0;
    for (long left = 100000, n; left > 0; left -= n) LT_CHECK((n = copy(in, &from, out, NULL, (size_t)left, 0)) > 0);
    memset(block, 0, 100000);
    LT_EQUAL(pread(out, block, 100000, 0), 100000);
    for (int i = 0; i < 100000; i++) LT_EQUAL(block[i], (char)(i * 7));
    free(block);
}

LT_TEST(names_for_nameless) {
    struct stat st;
    int fd = (int)LT_OK(open(".", O_TMPFILE | O_RDWR, 0600));
    LT_EQUAL(write(fd, "abc", 3), 3);
    if (linkat(fd, "", AT_FDCWD, "name", AT_EMPTY_PATH) != 0) LT_SKIP("not allowed here: errno %d", errno);
    LT_OK(stat("name", &st));
    LT_EQUAL(st.st_size, 3);
    LT_EQUAL(st.st_nlink, 1);
    LT_OK(unlink("name"));
}
