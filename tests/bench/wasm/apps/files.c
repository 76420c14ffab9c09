// wasi_read_4k, wasi_write_4k: 4 KiB of a file in memory, read and overwritten where it is.
#include <fcntl.h>
#include <unistd.h>

#include "tests/bench/wasm/apps/measure.h"

enum { PAGE = 4096, PAGES = 64, ROUNDS = 4096 };
static char page[PAGE];

int main(void) {
    int fd = open("/tmp/pages", O_RDWR | O_CREAT | O_TRUNC, 0644);
    if (fd < 0) return 1;
    for (int i = 0; i < PAGES; i++)
        if (write(fd, page, PAGE) != PAGE) return 2;
    uint64_t before = measure_now();
    for (int i = 0; i < ROUNDS; i++)
        if (pread(fd, page, PAGE, (off_t)(i % PAGES) * PAGE) != PAGE) return 3;
    uint64_t read = measure_now();
    for (int i = 0; i < ROUNDS; i++)
        if (pwrite(fd, page, PAGE, (off_t)(i % PAGES) * PAGE) != PAGE) return 4;
    uint64_t written = measure_now();
    measure_report("wasi_read_4k", read - before, ROUNDS);
    measure_report("wasi_write_4k", written - read, ROUNDS);
    close(fd);
    return unlink("/tmp/pages") == 0 ? 0 : 5;
}
