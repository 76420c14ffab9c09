// Larger than the others: its data takes room in the module and in the artifact.
#include <stddef.h>

#define WASI(name) __attribute__((import_module("wasi_snapshot_preview1"), import_name(name)))

struct piece {
    const void *at;
    size_t size;
};
WASI("fd_write") int fd_write(int fd, const struct piece *pieces, size_t count, size_t *written);

static const char data[200000] = {'l', 'a', 'r', 'g', 'e', '\n', [199999] = 1};

__attribute__((export_name("_start"))) void start(void) {
    size_t written;
    const struct piece piece = {data, 6};
    fd_write(1, &piece, 1, &written);
}
