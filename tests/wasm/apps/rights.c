// Tries what an app may have been granted, without a C library: `files` makes, reads and removes a file in the first directory that
// it sees; `say` prints its arguments and variables; `loop` never ends, `grow` asks for memory until it gets none, `open` for files
// likewise, `trap` traps.
#include <stddef.h>
#include <stdint.h>

#define WASI(name) __attribute__((import_module("wasi_snapshot_preview1"), import_name(name)))

struct piece {
    const void *at;
    size_t size;
};
WASI("fd_write") int fd_write(int fd, const struct piece *pieces, size_t count, size_t *written);
WASI("fd_pread") int fd_pread(int fd, const struct piece *pieces, size_t count, uint64_t offset, size_t *got);
WASI("fd_close") int fd_close(int fd);
WASI("args_sizes_get") int args_sizes_get(size_t *count, size_t *bytes);
WASI("args_get") int args_get(char **list, char *text);
WASI("environ_sizes_get") int environ_sizes_get(size_t *count, size_t *bytes);
WASI("environ_get") int environ_get(char **list, char *text);
WASI("path_open")
int path_open(int fd, uint32_t follow, const char *path, size_t size, uint32_t flags, uint64_t rights, uint64_t inherited, uint32_t status,
              int *opened);
WASI("path_unlink_file") int path_unlink_file(int fd, const char *path, size_t size);
WASI("proc_exit") [[noreturn]] void proc_exit(int status);

#define ROOM 1024
static char *words[32], text[ROOM];

static size_t length(const char *at) {
    size_t size = 0;
    while (at[size] != 0) size++;
    return size;
}

static void say(const char *at) {
    size_t written;
    const struct piece piece = {at, length(at)};
    fd_write(1, &piece, 1, &written);
}

static void say_all(int count) {
    for (int i = 0; i < count; i++) {
        say("[");
        say(words[i]);
        say("]");
    }
}

static int is(const char *a, const char *b) {
    while (*a != 0 && *a == *b) a++, b++;
    return *a == *b;
}

// 0, or the number of the step that failed.
static int files(void) {
    static char back[16];
    const struct piece out = {"hello", 5}, in = {back, sizeof back};
    size_t moved;
    int fd;
    if (path_open(3, 0, "made", 4, 1 | 4, 2 | 4 | 64, 0, 0, &fd) != 0) return 1;  // create, exclusive; read, seek, write
    if (fd_write(fd, &out, 1, &moved) != 0 || moved != 5) return 2;
    if (fd_pread(fd, &in, 1, 0, &moved) != 0 || moved != 5 || back[4] != 'o') return 3;
    if (fd_close(fd) != 0 || path_unlink_file(3, "made", 4) != 0) return 4;
    if (path_open(3, 0, "../m/text", 9, 0, 2, 0, 0, &fd) == 0 || path_open(3, 0, "/m/text", 7, 0, 2, 0, 0, &fd) == 0) return 5;
    return path_open(4, 0, "m", 1, 0, 2, 0, 0, &fd) == 0 ? 6 : 0;
}

static void grow(void) {
    size_t pages = 0;
    while (__builtin_wasm_memory_grow(0, 16) != (size_t)-1) pages += 16;
    say(pages >= 64 && pages < 1024 ? "stopped at the limit\n" : "no limit\n");
}

// At most 16 files may be open.
static void open_all(void) {
    int fd, count = 0;
    while (count < 64 && path_open(3, 0, ".", 1, 2, 0, 0, 0, &fd) == 0) count++;
    say(count >= 12 && count <= 24 ? "stopped at the limit\n" : "no limit\n");
}

__attribute__((export_name("_start"))) void start(void) {
    size_t count, bytes, variables;
    args_sizes_get(&count, &bytes);
    environ_sizes_get(&variables, &bytes);
    if (count < 2 || count > 32 || variables > 32) proc_exit(99);
    args_get(words, text);
    const char *what = words[1];
    if (is(what, "files")) {
        int step = files();
        say(step == 0 ? "files work\n" : "refused\n");
        proc_exit(step);
    }
    if (is(what, "say")) {
        say_all((int)count);
        environ_get(words, text);
        say_all((int)variables);
        say("\n");
    }
    if (is(what, "loop"))
        for (volatile int i = 0;; i++) continue;
    if (is(what, "grow")) grow();
    if (is(what, "open")) open_all();
    if (is(what, "trap")) __builtin_trap();
}
