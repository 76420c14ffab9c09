// Limits that a process sets itself: memory, the size of files, the stack of what it executes.
#define LT_BEGIN begin
static void begin(int argc, char **argv);
#include "tests/linux/lt.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <sys/wait.h>

#define MIB (1ul << 20)

__attribute__((noinline)) static int deep(unsigned kib) {
    volatile char page[1024];
    page[0] = (char)kib;
    return kib == 0 ? 0 : deep(kib - 1) + page[0] - page[0];
}

// "PROGRAM deep KIB": uses so much of its stack.
static void begin(int argc, char **argv) {
    if (argc == 3 && strcmp(argv[1], "deep") == 0) _exit(deep((unsigned)atoi(argv[2])));
}

static void limit(int which, rlim_t current) {
    struct rlimit l;
    if (getrlimit(which, &l) != 0) _exit(90);
    l.rlim_cur = current;
    if (setrlimit(which, &l) != 0) _exit(91);
}


static void *map(size_t bytes, int prot) { return mmap(NULL, bytes, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); }

LT_TEST(address_space) {
    LT_EQUAL(LT_IN_A_CHILD({
                 limit(RLIMIT_AS, 256 * MIB);
                 void *at = map(16 * MIB, PROT_READ | PROT_WRITE);
                 LT_DEMAND(at != MAP_FAILED);
                 LT_DEMAND(map(256 * MIB, PROT_READ | PROT_WRITE) == MAP_FAILED && errno == ENOMEM);
                 LT_DEMAND(map(256 * MIB, PROT_NONE) == MAP_FAILED && errno == ENOMEM);
                 LT_DEMAND(mremap(at, 16 * MIB, 256 * MIB, MREMAP_MAYMOVE) == MAP_FAILED && errno == ENOMEM);
                 LT_DEMAND(munmap(at, 16 * MIB) == 0);
                 at = map(200 * MIB, PROT_READ | PROT_WRITE);
                 LT_DEMAND(at != MAP_FAILED);
                 LT_DEMAND(munmap(at, 200 * MIB) == 0);
                 // In pieces it is no more.
                 int pieces = 0;
                 while (pieces < 1000 && map(MIB, PROT_READ | PROT_WRITE) != MAP_FAILED) pieces++;
                 LT_DEMAND(pieces > 100 && pieces < 257);
                 limit(RLIMIT_AS, RLIM_INFINITY);
                 LT_DEMAND(map(1024 * MIB, PROT_READ | PROT_WRITE) != MAP_FAILED);
             }),
             0);
}

LT_TEST(data) {
    LT_EQUAL(LT_IN_A_CHILD({
                 limit(RLIMIT_DATA, 64 * MIB);
                 LT_DEMAND(map(128 * MIB, PROT_READ | PROT_WRITE) == MAP_FAILED && errno == ENOMEM);
                 LT_DEMAND(map(128 * MIB, PROT_READ) != MAP_FAILED);
                 LT_DEMAND(mmap(NULL, 128 * MIB, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
                 LT_DEMAND(sbrk(128 * MIB) == (void *)-1 && errno == ENOMEM);
                 LT_DEMAND(sbrk(0) != (void *)-1);
                 LT_DEMAND(map(16 * MIB, PROT_READ | PROT_WRITE) != MAP_FAILED);
             }),
             0);
}

LT_TEST(size_of_files) {
    char bytes[100] = "";
    LT_EQUAL(LT_IN_A_CHILD({
                 signal(SIGXFSZ, SIG_IGN);
                 int fd = open("file", O_RDWR | O_CREAT, 0600);
                 limit(RLIMIT_FSIZE, 150);
                 LT_DEMAND(write(fd, bytes, 100) == 100);
                 LT_DEMAND(write(fd, bytes, 100) == 50);
                 LT_DEMAND(write(fd, bytes, 100) == -1 && errno == EFBIG);
                 LT_DEMAND(write(fd, bytes, 0) == 0);
                 LT_DEMAND(pwrite(fd, bytes, 100, 120) == 30);
                 LT_DEMAND(pwrite(fd, bytes, 1, 150) == -1 && errno == EFBIG);
                 LT_DEMAND(pwrite(fd, bytes, 100, 0) == 100);
                 const struct iovec parts[] = {{bytes, 40}, {bytes, 40}};
                 LT_DEMAND(pwritev(fd, parts, 2, 100) == 50);
                 LT_DEMAND(lseek(fd, 0, SEEK_END) == 150);
                 LT_DEMAND(writev(fd, parts, 2) == -1 && errno == EFBIG);
                 LT_DEMAND(ftruncate(fd, 151) == -1 && errno == EFBIG);
                 LT_DEMAND(ftruncate(fd, 150) == 0 && ftruncate(fd, 10) == 0);
                 LT_DEMAND(truncate("file", 1000) == -1 && errno == EFBIG);
                 int end = open("file", O_WRONLY | O_APPEND);
                 LT_DEMAND(write(end, bytes, 100) == 100);
                 LT_DEMAND(write(end, bytes, 100) == 40);
                 LT_DEMAND(write(end, bytes, 100) == -1 && errno == EFBIG);
                 // What is no file has no such size.
                 int ends[2];
                 LT_DEMAND(pipe(ends) == 0 && write(ends[1], bytes, 100) == 100 && write(ends[1], bytes, 100) == 100);
             }),
             0);
    LT_EQUAL(LT_IN_A_CHILD({
                 int fd = open("other", O_RDWR | O_CREAT, 0600);
                 limit(RLIMIT_FSIZE, 50);
                 LT_DEMAND(write(fd, bytes, 100) == 50);
                 (void)!write(fd, bytes, 1);
             }) & 0x7f,
             SIGXFSZ);
}

static int execute_deep(rlim_t stack, const char *kib) {
    return LT_IN_A_CHILD({
        limit(RLIMIT_STACK, stack);
        execl("/proc/self/exe", "limits", "deep", kib, NULL);
        _exit(99);
    });
}

LT_TEST(stacks) {
    LT_EQUAL(execute_deep(8 * MIB, "4000"), 0);
    LT_EQUAL(execute_deep(64 * MIB, "40000"), 0);
    LT_EQUAL(execute_deep(RLIM_INFINITY, "100000"), 0);
    LT_EQUAL(execute_deep(MIB, "4000") & 0x7f, SIGSEGV);
}
