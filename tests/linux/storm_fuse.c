// Drivers of /dev/fuse that are killed while others use their mounts: who uses one gets errors, the next mount works, and nothing is lost.
#include "tests/linux/lt.h"

#include <dirent.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "tests/linux/fuse.h"

enum { USERS = 4, GOOD_OF_ROUND = 20 };

static struct {
    atomic_uint stop;
    atomic_ulong good;
} *shared;

static int is_expected(int error) {
    return error == ENOTCONN || error == ECONNABORTED || error == ENOENT || error == EIO || error == ESTALE || error == EINTR;
}

// Each ends with errno.
static int read_once(void) {
    char text[64];
    int fd = open("m/f", O_RDONLY);
    if (fd < 0) return errno;
    int error = read(fd, text, sizeof text) < 0 ? errno : 0;
    close(fd);
    return error;
}

static int map_once(void) {
    int fd = open("m/f", O_RDONLY);
    if (fd < 0) return errno;
    void *at = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    if (at == MAP_FAILED) return errno;
    return munmap(at, 4096) == 0 ? 0 : errno;
}

static int list_once(void) {
    DIR *dir = opendir("m");
    if (dir == NULL) return errno;
    errno = 0;
    while (readdir(dir) != NULL) continue;
    int error = errno;
    closedir(dir);
    return error;
}

static int look_once(void) { return stat("m/nothing", &(struct stat){0}) == 0 ? EEXIST : errno == ENOENT ? 0 : errno; }

static void use(unsigned number) {
    static int (*const ways[])(void) = {read_once, list_once, map_once, look_once};
    for (unsigned i = number; !atomic_load(&shared->stop); i++) {
        int error = ways[i % 4]();
        if (error != 0 && !is_expected(error)) _exit(error);
        if (error == 0 && i % 2 == 0) atomic_fetch_add(&shared->good, 1);  // reading and mapping: only with a driver
    }
    _exit(0);
}

// Until so much more was done.
static void await_use(unsigned long more) {
    const unsigned long until = atomic_load(&shared->good) + more;
    for (unsigned ms = 0; atomic_load(&shared->good) < until; ms++) {
        if (ms > LT_HANG_MS) LT_FAIL("nothing is done any more");
        usleep(1000);
    }
}

LT_TEST(drivers_are_killed_under_load) {
    pid_t users[USERS];
    ready_for_fuse();
    shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    LT_CHECK(shared != MAP_FAILED);
    for (unsigned i = 0; i < USERS; i++) {
        users[i] = (pid_t)LT_OK(fork());
        if (users[i] == 0) use(i);
    }
    for (unsigned i = 0; i < lt_times(15, 1000); i++) {
        pid_t driver = start();
        await_use(GOOD_OF_ROUND);
        usleep(lt_random(2000));
        LT_OK(kill(driver, SIGKILL));
        LT_EQUAL(ended(driver), SIGKILL);
        LT_OK(umount2("m", MNT_DETACH));
    }
    atomic_store(&shared->stop, 1);
    for (unsigned i = 0; i < USERS; i++) LT_EQUAL(ended(users[i]), 0);
    LT_OK(munmap(shared, 4096));
}
