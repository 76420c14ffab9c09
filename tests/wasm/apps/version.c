// A program of a few hundred bytes: says which version it is; with an argument, again when a line came or the input ended. Made
// several times, with other VERSIONs.
#include <stddef.h>

#define WASI(name) __attribute__((import_module("wasi_snapshot_preview1"), import_name(name)))

struct piece {
    const void *at;
    size_t size;
};
WASI("fd_write") int fd_write(int fd, const struct piece *pieces, size_t count, size_t *written);
WASI("fd_read") int fd_read(int fd, const struct piece *pieces, size_t count, size_t *got);
WASI("args_sizes_get") int args_sizes_get(size_t *count, size_t *bytes);

static const char text[] = "version " VERSION "\n";

static void say(void) {
    size_t written;
    const struct piece piece = {text, sizeof text - 1};
    fd_write(1, &piece, 1, &written);
}

__attribute__((export_name("_start"))) void start(void) {
    static char line[64];
    size_t count, bytes;
    say();
    args_sizes_get(&count, &bytes);
    if (count < 2) return;
    const struct piece piece = {line, sizeof line};
    fd_read(0, &piece, 1, &bytes);
    say();
}
