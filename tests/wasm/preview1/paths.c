// WASI preview 1, the functions of paths: what each does, and that no path leaves the directory it begins at. /data (3) may be written,
// /shown (4) may not and has a file "a" and a directory "d".
#include "tests/wasm/preview1/check.h"

#define DATA 3
#define READ_ONLY 4
#define FOLLOW __WASI_LOOKUPFLAGS_SYMLINK_FOLLOW

static __wasi_filestat_t stat;
static uint32_t moved;
static char text[64];
static i32 opened;

static int try_open(int directory, const char *path, size_t size, int how) {
    int error = p1_path_open(directory, FOLLOW, path, (i32)size, how, READ_RIGHTS, READ_RIGHTS, 0, &opened);
    if (error == 0) p1_fd_close(opened);
    return error;
}
#define OPEN(path, error) expect(try_open(DATA, TEXT(path), 0), __WASI_ERRNO_##error, "open " path, __LINE__)

static void make_file(const char *path) {
    int fd = open_path(DATA, path, __WASI_OFLAGS_CREAT, ALL_RIGHTS);
    OK(fd_close(fd));
}

// Every function that takes a path, with one that it must refuse: the same answer from all.
static void everywhere(int fd, const char *path, size_t bytes, int error, int line) {
    const i32 size = (i32)bytes;
    const int found[] = {
        try_open(fd, path, bytes, 0),
        p1_path_filestat_get(fd, 0, path, size, &stat),
        p1_path_filestat_set_times(fd, 0, path, size, 0, 0, __WASI_FSTFLAGS_MTIM_NOW),
        p1_path_readlink(fd, path, size, text, sizeof text, &moved),
        p1_path_unlink_file(fd, path, size),
        p1_path_remove_directory(fd, path, size),
        p1_path_create_directory(fd, path, size),
        p1_path_link(fd, 0, path, size, DATA, TEXT("linked")),
        p1_path_link(DATA, 0, TEXT("file"), fd, path, size),
        p1_path_rename(fd, path, size, DATA, TEXT("renamed")),
        p1_path_rename(DATA, TEXT("file"), fd, path, size),
        p1_path_symlink(TEXT("file"), fd, path, size),
    };
    for (unsigned i = 0; i < sizeof found / sizeof found[0]; i++) {
        if (found[i] == error) continue;
        say("function ");
        say_number((int)i);
        say(" of this list, ");
        expect(found[i], error, path, line);
    }
}
#define EVERYWHERE(fd, path, error) everywhere(fd, path, sizeof path - 1, __WASI_ERRNO_##error, __LINE__)

static void outside(void) {
    EVERYWHERE(DATA, "../outside", PERM);
    EVERYWHERE(DATA, "..", PERM);
    EVERYWHERE(DATA, "d/../../outside", PERM);
    EVERYWHERE(DATA, "./../outside", PERM);
    EVERYWHERE(DATA, "/etc/passwd", PERM);
    EVERYWHERE(DATA, "/data/file", PERM);
    if (!IS_COMPONENT) EVERYWHERE(DATA, "\xff\xfe", ILSEQ);
    if (!IS_COMPONENT) EVERYWHERE(DATA, "file\xc3", ILSEQ);
    EVERYWHERE(BAD_FD, "file", BADF);
    EVERYWHERE(1, "file", BADF);
    OPEN("d/../file", SUCCESS);
    OPEN("./d/./../d/inner", SUCCESS);
    OPEN("file/../file", NOTDIR);
}

static void odd_names(void) {
    static char name[300], path[6000];
    memset(name, 'n', sizeof name);
    for (unsigned i = 0; i < sizeof path; i++) path[i] = i % 2 == 0 ? '.' : '/';
    OPEN("", NOENT);
    OPEN("missing", NOENT);
    OPEN("missing/file", NOENT);
    OPEN("file/", NOTDIR);
    OPEN("file/more", NOTDIR);
    expect(try_open(DATA, name, sizeof name, 0), __WASI_ERRNO_NAMETOOLONG, "a long name", __LINE__);
    expect(try_open(DATA, name, 255, __WASI_OFLAGS_CREAT), 0, "the longest name", __LINE__);
    OK(path_unlink_file(DATA, name, 255));
    CHECK(try_open(DATA, path, sizeof path, 0) != 0);
    expect(try_open(DATA, "fi\0le", 5, 0), __WASI_ERRNO_INVAL, "a name with a zero in it", __LINE__);
    make_file("\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80");
    OK(path_unlink_file(DATA, TEXT("\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80")));
}

static void ways_to_open(void) {
    expect(try_open(DATA, TEXT("file"), __WASI_OFLAGS_CREAT | __WASI_OFLAGS_EXCL), __WASI_ERRNO_EXIST, "exclusive", __LINE__);
    expect(try_open(DATA, TEXT("file"), __WASI_OFLAGS_DIRECTORY), __WASI_ERRNO_NOTDIR, "a file as a directory", __LINE__);
    CHECK(try_open(DATA, TEXT("d"), __WASI_OFLAGS_CREAT | __WASI_OFLAGS_DIRECTORY) != 0);
    CHECK(p1_path_open(DATA, 0, TEXT("d"), 0, __WASI_RIGHTS_FD_WRITE, 0, 0, &opened) != 0);
    int fd = open_path(DATA, "d", __WASI_OFLAGS_DIRECTORY, __WASI_RIGHTS_FD_READDIR);
    OK(path_filestat_get(fd, 0, TEXT("inner"), &stat));
    EXPECT(path_filestat_get(fd, 0, TEXT("../file"), &stat), PERM);  // it is a beginning of its own
    OK(fd_close(fd));
    fd = open_path(DATA, "file", 0, ALL_RIGHTS);
    const __wasi_ciovec_t from = {(const uint8_t *)"1234", 4};
    OK(fd_write(fd, &from, 1, &moved));
    OK(fd_close(fd));
    fd = open_path(DATA, "file", __WASI_OFLAGS_TRUNC, ALL_RIGHTS);
    OK(fd_filestat_get(fd, &stat));
    CHECK(stat.size == 0);
    OK(path_unlink_file(DATA, TEXT("file")));
    OK(fd_write(fd, &from, 1, &moved));  // it lasts as long as it is open
    OK(fd_filestat_get(fd, &stat));
    CHECK(stat.size == 4 && stat.nlink == 0);
    OK(fd_close(fd));
    make_file("file");
}

static void links(void) {
    OK(path_symlink(TEXT("file"), DATA, TEXT("near")));
    OK(path_symlink(TEXT("../outside"), DATA, TEXT("up")));
    OK(path_symlink(TEXT("d/../../outside"), DATA, TEXT("round")));
    OK(path_symlink(TEXT("loop"), DATA, TEXT("loop")));
    OK(path_symlink(TEXT(".."), DATA, TEXT("d/parent")));
    EXPECT(path_symlink(TEXT("/etc"), DATA, TEXT("absolute")), PERM);
    EXPECT(path_symlink(TEXT("file"), DATA, TEXT("near")), EXIST);
    OPEN("near", SUCCESS);
    OPEN("up", PERM);
    OPEN("round", PERM);
    OPEN("loop", LOOP);
    expect(try_open(DATA, TEXT("near/"), 0), __WASI_ERRNO_NOTDIR, "a link to a file as a directory", __LINE__);
    // What is made is no directory, whatever is there.
    static const char *const slashed[] = {"near/", "file/", "d/", "loop/", "new/"};
    for (unsigned i = 0; i < sizeof slashed / sizeof slashed[0]; i++)
        expect(try_open(DATA, TEXT(slashed[i]), __WASI_OFLAGS_CREAT), __WASI_ERRNO_ISDIR, slashed[i], __LINE__);
    OPEN("d/parent/file", SUCCESS);
    OPEN("d/parent/../file", PERM);
    EXPECT(path_open(DATA, 0, TEXT("near"), 0, READ_RIGHTS, 0, 0, &opened), LOOP);
    OK(path_filestat_get(DATA, 0, TEXT("up"), &stat));
    CHECK(stat.filetype == __WASI_FILETYPE_SYMBOLIC_LINK);
    EXPECT(path_filestat_get(DATA, FOLLOW, TEXT("up"), &stat), PERM);
    OK(path_filestat_get(DATA, FOLLOW, TEXT("near"), &stat));
    CHECK(stat.filetype == __WASI_FILETYPE_REGULAR_FILE);
    OK(path_readlink(DATA, TEXT("up"), text, sizeof text, &moved));
    CHECK(moved == 10 && memcmp(text, "../outside", 10) == 0);
    OK(path_readlink(DATA, TEXT("up"), text, 4, &moved));
    CHECK(moved == 4);
    EXPECT(path_readlink(DATA, TEXT("file"), text, sizeof text, &moved), INVAL);
    OK(path_link(DATA, 0, TEXT("file"), DATA, TEXT("d/second")));
    OK(path_filestat_get(DATA, 0, TEXT("file"), &stat));
    CHECK(stat.nlink == 2);
    EXPECT(path_link(DATA, 0, TEXT("file"), DATA, TEXT("d/second")), EXIST);
    CHECK(p1_path_link(DATA, 0, TEXT("d"), DATA, TEXT("e")) != 0);
    EXPECT(path_link(DATA, FOLLOW, TEXT("near"), DATA, TEXT("e")), INVAL);
    static const char *const made[] = {"near", "up", "round", "loop", "d/parent", "d/second"};
    for (unsigned i = 0; i < sizeof made / sizeof made[0]; i++) OK(path_unlink_file(DATA, TEXT(made[i])));
}

static void names(void) {
    OK(path_create_directory(DATA, TEXT("e")));
    EXPECT(path_create_directory(DATA, TEXT("e")), EXIST);
    EXPECT(path_create_directory(DATA, TEXT("missing/e")), NOENT);
    EXPECT(path_remove_directory(DATA, TEXT("d")), NOTEMPTY);
    EXPECT(path_remove_directory(DATA, TEXT("file")), NOTDIR);
    CHECK(p1_path_unlink_file(DATA, TEXT("e")) != 0);
    EXPECT(path_unlink_file(DATA, TEXT("missing")), NOENT);
    EXPECT(path_rename(DATA, TEXT("missing"), DATA, TEXT("x")), NOENT);
    EXPECT(path_rename(DATA, TEXT("e"), DATA, TEXT("d")), NOTEMPTY);
    EXPECT(path_rename(DATA, TEXT("file"), DATA, TEXT("e")), ISDIR);
    EXPECT(path_rename(DATA, TEXT("e"), DATA, TEXT("file")), NOTDIR);
    EXPECT(path_rename(DATA, TEXT("e"), DATA, TEXT("e/below")), INVAL);
    OK(path_rename(DATA, TEXT("e"), DATA, TEXT("d/e")));
    OK(path_rename(DATA, TEXT("file"), DATA, TEXT("d/inner")));  // replaces it
    OPEN("file", NOENT);
    OK(path_rename(DATA, TEXT("d/inner"), DATA, TEXT("file")));
    OK(path_filestat_set_times(DATA, 0, TEXT("file"), 5000000000, 7000000000, __WASI_FSTFLAGS_ATIM | __WASI_FSTFLAGS_MTIM));
    OK(path_filestat_get(DATA, 0, TEXT("file"), &stat));
    CHECK(stat.atim == 5000000000 && stat.mtim == 7000000000);
    OK(path_remove_directory(DATA, TEXT("d/e")));
}

static void read_only(void) {
    CHECK(try_open(READ_ONLY, TEXT("a"), 0) == 0);
    EXPECT(path_open(READ_ONLY, 0, TEXT("a"), 0, __WASI_RIGHTS_FD_WRITE, 0, 0, &opened), PERM);
    EXPECT(path_open(READ_ONLY, 0, TEXT("a"), __WASI_OFLAGS_TRUNC, READ_RIGHTS, 0, 0, &opened), PERM);
    EXPECT(path_open(READ_ONLY, 0, TEXT("new"), __WASI_OFLAGS_CREAT, READ_RIGHTS, 0, 0, &opened), PERM);
    EXPECT(path_create_directory(READ_ONLY, TEXT("new")), PERM);
    EXPECT(path_unlink_file(READ_ONLY, TEXT("a")), PERM);
    EXPECT(path_remove_directory(READ_ONLY, TEXT("d")), PERM);
    EXPECT(path_rename(READ_ONLY, TEXT("a"), READ_ONLY, TEXT("b")), PERM);
    EXPECT(path_rename(READ_ONLY, TEXT("a"), DATA, TEXT("b")), PERM);
    EXPECT(path_rename(DATA, TEXT("file"), READ_ONLY, TEXT("a")), PERM);
    EXPECT(path_link(READ_ONLY, 0, TEXT("a"), DATA, TEXT("b")), PERM);
    EXPECT(path_link(DATA, 0, TEXT("file"), READ_ONLY, TEXT("b")), PERM);
    EXPECT(path_symlink(TEXT("a"), READ_ONLY, TEXT("b")), PERM);
    EXPECT(path_filestat_set_times(READ_ONLY, 0, TEXT("a"), 0, 0, __WASI_FSTFLAGS_MTIM_NOW), PERM);
    // What is opened below it may be written as little.
    int below = open_path(READ_ONLY, "d", __WASI_OFLAGS_DIRECTORY, __WASI_RIGHTS_FD_READDIR),
        file = open_path(READ_ONLY, "a", 0, READ_RIGHTS);
    EXPECT(path_create_directory(below, TEXT("new")), PERM);
    EXPECT(path_open(below, 0, TEXT("new"), __WASI_OFLAGS_CREAT, ALL_RIGHTS, 0, 0, &opened), PERM);
    CHECK(p1_fd_filestat_set_size(file, 0) != 0);
    CHECK(p1_fd_filestat_set_times(file, 0, 0, __WASI_FSTFLAGS_MTIM_NOW) != 0);
    OK(fd_close(below));
    OK(fd_close(file));
}

int main(void) {
    make_file("file");
    OK(path_create_directory(DATA, TEXT("d")));
    make_file("d/inner");
    outside();
    odd_names();
    ways_to_open();
    links();
    names();
    read_only();
    OK(path_unlink_file(DATA, TEXT("file")));
    OK(path_remove_directory(DATA, TEXT("d")));
    return finish("every path function");
}
