// A file system in memory behind a FUSE channel ("fuse" among its handles). It lives as long as this process.
//
// Settings: threads=N (1)      valid_ms=N (1000): how long names and attributes hold
//           direct=1: the kernel caches no content
//           writeback=1: the kernel may keep back what is written      plus=1: directories are listed with attributes
#include "lib/text.h"
#include "user/memfs/memfs.h"

#define THREADS_MAX 16u

static struct memfs memfs;

static uint64_t number(const char *key, uint64_t otherwise) {
    const char *text = startup_setting(key);
    uint64_t value;
    return text != NULL && text_to_u64(text_of(text), &value) ? value : otherwise;
}

static int64_t run(void *driver) { return fuse_run(driver); }

int main(int argc, char **argv) {
    struct fuse_driver driver = {.channel = startup_handle("fuse"), .context = &memfs, .answer = memfs_answer};
    struct thread threads[THREADS_MAX];
    uint64_t more = number("threads", 1) - 1;
    memfs.valid_ns = number("valid_ms", 1000) * 1000000;
    memfs.direct = number("direct", 0) != 0;
    memfs.alone = more == 0;
    if (number("writeback", 0) != 0) driver.flags |= FUSE_WRITEBACK_CACHE;
    if (number("plus", 0) != 0) driver.flags |= FUSE_DO_READDIRPLUS;
    if (driver.channel == 0 || more >= THREADS_MAX || memfs_begin(&memfs) != 0) return 1;
    for (uint64_t i = 0; i < more; i++)
        if (thread_spawn(&threads[i], "memfs", run, &driver, NULL, 0) != 0) return 1;
    (void)run(&driver);
    return 0;
}
