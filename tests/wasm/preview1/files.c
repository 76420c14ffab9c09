// WASI preview 1, the functions of open files: what each does, and what it says of arguments that it must not take. The directory /data
// may be written.
#include "tests/wasm/preview1/check.h"

#define DATA 3

static char text[64];
static uint32_t moved;
static uint64_t where;

static __wasi_ciovec_t out(const char *from, size_t size) { return (__wasi_ciovec_t){(const uint8_t *)from, size}; }
static __wasi_iovec_t in(void *to, size_t size) { return (__wasi_iovec_t){to, size}; }

static void bad_descriptors(int fd) {
    __wasi_fdstat_t status;
    __wasi_filestat_t stat;
    __wasi_prestat_t prestat;
    const __wasi_ciovec_t from = out("x", 1);
    const __wasi_iovec_t to = in(text, 1);
    EXPECT(fd_advise(fd, 0, 0, 0), BADF);
    EXPECT(fd_allocate(fd, 0, 1), BADF);
    EXPECT(fd_close(fd), BADF);
    EXPECT(fd_datasync(fd), BADF);
    EXPECT(fd_fdstat_get(fd, &status), BADF);
    EXPECT(fd_fdstat_set_flags(fd, 0), BADF);
    EXPECT(fd_fdstat_set_rights(fd, 0, 0), BADF);
    EXPECT(fd_filestat_get(fd, &stat), BADF);
    EXPECT(fd_filestat_set_size(fd, 0), BADF);
    EXPECT(fd_filestat_set_times(fd, 0, 0, 0), BADF);
    EXPECT(fd_pread(fd, &to, 1, 0, &moved), BADF);
    EXPECT(fd_prestat_get(fd, &prestat), BADF);
    EXPECT(fd_prestat_dir_name(fd, text, sizeof text), BADF);
    EXPECT(fd_pwrite(fd, &from, 1, 0, &moved), BADF);
    EXPECT(fd_read(fd, &to, 1, &moved), BADF);
    EXPECT(fd_readdir(fd, text, sizeof text, 0, &moved), BADF);
    EXPECT(fd_renumber(fd, DATA), BADF);
    EXPECT(fd_renumber(DATA, fd), BADF);
    EXPECT(fd_seek(fd, 0, 0, &where), BADF);
    EXPECT(fd_sync(fd), BADF);
    EXPECT(fd_tell(fd, &where), BADF);
    EXPECT(fd_write(fd, &from, 1, &moved), BADF);
}

static void reading_and_writing(int fd) {
    const __wasi_ciovec_t both[] = {out("hello ", 6), out("", 0), out("world", 5)};
    const __wasi_iovec_t parts[] = {in(text, 3), in(text + 3, 0), in(text + 3, sizeof text - 3)}, one = in(text, sizeof text);
    OK(fd_write(fd, both, 3, &moved));
    CHECK(moved == 6 || moved == 11);  // it may take the first piece only
    if (moved == 6) OK(fd_write(fd, both + 2, 1, &moved));
    OK(fd_seek(fd, 0, __WASI_WHENCE_SET, &where));
    for (uint32_t got = 0; got < 11; got += moved) {
        memset(text, 0, sizeof text);
        OK(fd_read(fd, parts, 3, &moved));
        CHECK(moved > 0 && memcmp(text, &"hello world"[got], moved) == 0);
        if (moved == 0) break;
    }
    OK(fd_read(fd, parts, 3, &moved));
    CHECK(moved == 0);
    OK(fd_read(fd, parts, 0, &moved));
    CHECK(moved == 0);
    OK(fd_write(fd, both, 0, &moved));
    CHECK(moved == 0);
    OK(fd_pread(fd, &one, 1, 6, &moved));
    CHECK(moved == 5 && memcmp(text, "world", 5) == 0);
    OK(fd_pread(fd, &one, 1, 1000, &moved));
    CHECK(moved == 0);
    const __wasi_ciovec_t end = out("!", 1);
    OK(fd_pwrite(fd, &end, 1, 20, &moved));  // leaves a hole
    OK(fd_pread(fd, &one, 1, 11, &moved));
    CHECK(moved == 10 && memcmp(text, "\0\0\0\0\0\0\0\0\0!", 10) == 0);
    OK(fd_tell(fd, &where));
    CHECK(where == 11);  // pread and pwrite do not move it
}

static void seeking(int fd) {
    OK(fd_seek(fd, 0, __WASI_WHENCE_END, &where));
    CHECK(where == 21);
    OK(fd_seek(fd, -21, __WASI_WHENCE_CUR, &where));
    CHECK(where == 0);
    EXPECT(fd_seek(fd, -1, __WASI_WHENCE_CUR, &where), INVAL);
    EXPECT(fd_seek(fd, -1, __WASI_WHENCE_SET, &where), INVAL);
    EXPECT(fd_seek(fd, -22, __WASI_WHENCE_END, &where), INVAL);
    EXPECT(fd_seek(fd, INT64_MIN, __WASI_WHENCE_CUR, &where), INVAL);
    OK(fd_seek(fd, INT64_MAX, __WASI_WHENCE_SET, &where));
    OK(fd_tell(fd, &where));
    CHECK(where == INT64_MAX);
    const __wasi_iovec_t to = in(text, 1);
    const __wasi_ciovec_t from = out("x", 1);
    int read = p1_fd_read(fd, &to, 1, &moved), wrote = p1_fd_write(fd, &from, 1, &moved);
    CHECK(read == __WASI_ERRNO_INVAL || (read == 0 && moved == 0));
    CHECK(wrote == __WASI_ERRNO_INVAL || wrote == __WASI_ERRNO_FBIG);
    CHECK(p1_fd_pwrite(fd, &from, 1, -1, &moved) != 0);
    OK(fd_seek(fd, 0, __WASI_WHENCE_SET, &where));
}

static void attributes(int fd) {
    __wasi_filestat_t stat;
    __wasi_fdstat_t status;
    OK(fd_filestat_get(fd, &stat));
    CHECK(stat.size == 21 && stat.filetype == __WASI_FILETYPE_REGULAR_FILE && stat.nlink == 1);
    OK(fd_filestat_set_size(fd, 5));
    OK(fd_filestat_get(fd, &stat));
    CHECK(stat.size == 5);
    CHECK(p1_fd_filestat_set_size(fd, -1) != 0);
    OK(fd_filestat_set_times(fd, 1000000007, 2000000009, __WASI_FSTFLAGS_ATIM | __WASI_FSTFLAGS_MTIM));
    OK(fd_filestat_get(fd, &stat));
    CHECK(stat.atim == 1000000007 && stat.mtim == 2000000009 && stat.size == 5);
    OK(fd_filestat_set_times(fd, 0, 0, __WASI_FSTFLAGS_MTIM_NOW));
    OK(fd_filestat_get(fd, &stat));
    CHECK(stat.atim == 1000000007 && stat.mtim > 1700000000000000000);
    EXPECT(fd_filestat_set_times(fd, 0, 0, __WASI_FSTFLAGS_ATIM | __WASI_FSTFLAGS_ATIM_NOW), INVAL);
    OK(fd_fdstat_get(fd, &status));
    CHECK(status.fs_filetype == __WASI_FILETYPE_REGULAR_FILE && status.fs_flags == 0);
    CHECK(status.fs_rights_base & __WASI_RIGHTS_FD_READ && status.fs_rights_base & __WASI_RIGHTS_FD_WRITE);
    OK(fd_fdstat_get(1, &status));
    OK(fd_advise(fd, 0, 100, __WASI_ADVICE_SEQUENTIAL));
    EXPECT(fd_advise(fd, 1000, -1, __WASI_ADVICE_DONTNEED), INVAL);
    EXPECT(fd_allocate(fd, 0, 100), NOTSUP);
    EXPECT(fd_fdstat_set_rights(fd, 0, 0), NOTSUP);
    OK(fd_sync(fd));
    OK(fd_datasync(fd));
}

static void appending(int fd) {
    __wasi_fdstat_t status;
    const __wasi_ciovec_t from = out("+", 1);
    OK(fd_fdstat_set_flags(fd, __WASI_FDFLAGS_APPEND));
    OK(fd_fdstat_get(fd, &status));
    CHECK(status.fs_flags == __WASI_FDFLAGS_APPEND);
    OK(fd_seek(fd, 0, __WASI_WHENCE_SET, &where));
    OK(fd_write(fd, &from, 1, &moved));
    OK(fd_filestat_get(fd, &(__wasi_filestat_t){0}));
    OK(fd_seek(fd, 0, __WASI_WHENCE_END, &where));
    CHECK(where == 6);
    OK(fd_fdstat_set_flags(fd, 0));
}

// What was opened for one thing does not do another.
static void missing_rights(void) {
    const __wasi_ciovec_t from = out("x", 1);
    const __wasi_iovec_t to = in(text, 1);
    int fd = open_path(DATA, "file", 0, READ_RIGHTS), sink = open_path(DATA, "file", 0, __WASI_RIGHTS_FD_WRITE);
    EXPECT(fd_write(fd, &from, 1, &moved), BADF);
    EXPECT(fd_pwrite(fd, &from, 1, 0, &moved), BADF);
    CHECK(p1_fd_filestat_set_size(fd, 1) != 0);
    OK(fd_read(fd, &to, 1, &moved));
    OK(fd_write(sink, &from, 1, &moved));
    CHECK(p1_fd_read(sink, &to, 1, &moved) != 0);
    OK(fd_close(fd));
    OK(fd_close(sink));
}

static void directories(void) {
    const __wasi_ciovec_t from = out("x", 1);
    const __wasi_iovec_t to = in(text, 1);
    __wasi_prestat_t prestat;
    OK(fd_prestat_get(DATA, &prestat));
    CHECK(prestat.tag == __WASI_PREOPENTYPE_DIR && prestat.u.dir.pr_name_len == 5);
    memset(text, 0, sizeof text);
    OK(fd_prestat_dir_name(DATA, text, 5));
    CHECK(strcmp(text, "/data") == 0);
    EXPECT(fd_prestat_dir_name(DATA, text, 4), NAMETOOLONG);
    CHECK(p1_fd_read(DATA, &to, 1, &moved) != 0);
    CHECK(p1_fd_write(DATA, &from, 1, &moved) != 0);
    CHECK(p1_fd_seek(DATA, 0, 0, &where) != 0);
    CHECK(p1_fd_tell(DATA, &where) != 0);
    CHECK(p1_fd_filestat_set_size(DATA, 0) != 0);
    EXPECT(fd_sync(DATA), BADF);  // only of files
    EXPECT(fd_prestat_get(1, &prestat), BADF);
    EXPECT(fd_seek(1, 0, 0, &where), SPIPE);
    expect(p1_fd_pread(0, &to, 1, 0, &moved), IS_COMPONENT ? __WASI_ERRNO_INVAL : __WASI_ERRNO_SPIPE, "fd_pread of a stream", __LINE__);
    CHECK(p1_fd_read(1, &to, 1, &moved) != 0);
    CHECK(p1_fd_write(0, &from, 1, &moved) != 0);
}

static void numbers(int fd) {
    int other = open_path(DATA, ".", __WASI_OFLAGS_DIRECTORY, __WASI_RIGHTS_FD_READDIR);
    __wasi_fdstat_t status;
    OK(fd_renumber(fd, fd));
    OK(fd_renumber(fd, other));
    EXPECT(fd_tell(fd, &where), BADF);
    OK(fd_fdstat_get(other, &status));
    CHECK(status.fs_filetype == __WASI_FILETYPE_REGULAR_FILE);
    OK(fd_close(other));
    EXPECT(fd_close(other), BADF);
    int again = open_path(DATA, "file", 0, READ_RIGHTS);
    CHECK(again == fd || again == other);  // numbers are used again
    OK(fd_close(again));
}

int main(void) {
    int fd = open_path(DATA, "file", __WASI_OFLAGS_CREAT | __WASI_OFLAGS_EXCL, ALL_RIGHTS);
    bad_descriptors(BAD_FD);
    bad_descriptors(-1);
    reading_and_writing(fd);
    seeking(fd);
    attributes(fd);
    appending(fd);
    missing_rights();
    directories();
    numbers(fd);
    OK(path_unlink_file(DATA, TEXT("file")));
    return finish("every file function");
}
