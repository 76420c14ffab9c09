// Memory: mmap and what goes with it.
#include "tests/linux/lt.h"

#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define PAGE 4096ul
#define RW (PROT_READ | PROT_WRITE)
#define OWN (MAP_PRIVATE | MAP_ANONYMOUS)
#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

static char *map(size_t size, int prot, int flags, int fd, long offset) {
    void *at = mmap(NULL, size, prot, flags, fd, offset);
    if (at == MAP_FAILED) LT_FAIL("mmap of 0x%zx: errno %d", size, errno);
    return at;
}
static char *pages(size_t count) { return map(count * PAGE, RW, OWN, -1, 0); }

// ---- faults -------------------------------------------------------------------------------------------------------------

static sigjmp_buf fault_back;
static volatile int fault_number, fault_code;
static void *volatile fault_address;
static void on_fault(int number, siginfo_t *info, void *context) {
    fault_number = number;
    fault_code = info->si_code;
    fault_address = info->si_addr;
    siglongjmp(fault_back, 1);
}
// The signal's number times 100, and its code; 0: none. 'r', 'w', 'x'.
static int touch(volatile char *at, char how) {
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO}, segv, bus;
    sigaction(SIGSEGV, &action, &segv);
    sigaction(SIGBUS, &action, &bus);
    fault_number = 0;
    if (sigsetjmp(fault_back, 1) == 0) {
        if (how == 'r') (void)*at;
        else if (how == 'w') *at = 1;
        else ((void (*)(void))(unsigned long)at)();
    }
    sigaction(SIGSEGV, &segv, NULL);
    sigaction(SIGBUS, &bus, NULL);
    if (fault_number != 0 && fault_address != (void *)(unsigned long)at) LT_FAIL("the fault is told at %p, not %p", fault_address, at);
    return fault_number == 0 ? 0 : fault_number * 100 + fault_code;
}
#define NOT_MAPPED (SIGSEGV * 100 + SEGV_MAPERR)
#define NOT_ALLOWED (SIGSEGV * 100 + SEGV_ACCERR)
#define NO_PAGE (SIGBUS * 100 + BUS_ADRERR)

static int file_of(const char *path, size_t size) {
    int fd = (int)LT_OK(open(path, O_RDWR | O_CREAT | O_TRUNC, 0644));
    LT_OK(ftruncate(fd, (off_t)size));
    return fd;
}

// ---- mmap ---------------------------------------------------------------------------------------------------------------

LT_TEST(anonymous) {
    char *at = pages(3);
    for (size_t i = 0; i < 3 * PAGE; i++) LT_EQUAL(at[i], 0);
    memset(at, 1, 3 * PAGE);
    LT_OK(munmap(at + PAGE, PAGE));
    LT_EQUAL(touch(at + PAGE, 'r'), NOT_MAPPED);
    LT_EQUAL(at[0] + at[2 * PAGE], 2);
    LT_OK(munmap(at, 3 * PAGE));
    LT_OK(munmap(at, 3 * PAGE));
    LT_EQUAL(touch(at, 'w'), NOT_MAPPED);
}

LT_TEST(map_errors) {
    char *at = pages(1);
    int fd = file_of("file", PAGE), r = (int)LT_OK(open("file", O_RDONLY)), w = (int)LT_OK(open("file", O_WRONLY)), ends[2];
    int path = (int)LT_OK(open("file", O_PATH)), dir = (int)LT_OK(open(".", O_RDONLY));
    LT_OK(pipe(ends));
#define TRY(address, size, prot, flags, fd, offset) syscall(SYS_mmap, address, size, prot, flags, fd, offset)
    LT_ERRNO(TRY(NULL, 0, RW, OWN, -1, 0), EINVAL);
    LT_ERRNO(TRY(NULL, PAGE, RW, MAP_ANONYMOUS, -1, 0), EINVAL);
    LT_ERRNO(TRY(at + 1, PAGE, RW, OWN | MAP_FIXED, -1, 0), EINVAL);
    LT_ERRNO(TRY(NULL, PAGE, RW, MAP_SHARED, fd, 1), EINVAL);
    LT_ERRNO(TRY(NULL, -1ul, RW, OWN, -1, 0), ENOMEM);
    LT_ERRNO(TRY(NULL, 1ul << 47, RW, OWN | MAP_NORESERVE, -1, 0), ENOMEM);
    LT_ERRNO(TRY((1ul << 47) - PAGE, 2 * PAGE, RW, OWN | MAP_FIXED, -1, 0), ENOMEM);
    LT_ERRNO(TRY(1ul << 47, PAGE, RW, OWN | MAP_FIXED, -1, 0), ENOMEM);
    LT_ERRNO(TRY(NULL, PAGE, RW, MAP_SHARED, 99, 0), EBADF);
    LT_ERRNO(TRY(NULL, PAGE, RW, MAP_SHARED, path, 0), EBADF);
    LT_ERRNO(TRY(NULL, PAGE, RW, MAP_SHARED, r, 0), EACCES);
    LT_ERRNO(TRY(NULL, PAGE, PROT_READ, MAP_SHARED, w, 0), EACCES);
    LT_ERRNO(TRY(NULL, PAGE, PROT_WRITE, MAP_SHARED, w, 0), EACCES);
    LT_ERRNO(TRY(NULL, PAGE, PROT_READ, MAP_PRIVATE, w, 0), EACCES);
    LT_ERRNO(TRY(NULL, PAGE, PROT_READ, MAP_PRIVATE, dir, 0), ENODEV);
    LT_ERRNO(TRY(NULL, PAGE, PROT_READ, MAP_PRIVATE, ends[0], 0), ENODEV);
    LT_ERRNO(TRY(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, fd, 0x7ffffffffffff000), EOVERFLOW);
    LT_OK(TRY(NULL, PAGE, RW, MAP_PRIVATE, r, 0));
    LT_OK(TRY(NULL, PAGE, RW, OWN, 99, 0));
}

LT_TEST(hints) {
    char *at = pages(8);
    LT_OK(munmap(at + PAGE, 4 * PAGE));
    LT_CHECK(mmap(at + PAGE, PAGE, RW, OWN, -1, 0) == at + PAGE);
    LT_CHECK(mmap(at + 2 * PAGE + 123, PAGE, RW, OWN, -1, 0) == at + 2 * PAGE);
    char *other = mmap(at + 2 * PAGE, PAGE, RW, OWN, -1, 0);
    LT_CHECK(other != MAP_FAILED && other != at + 2 * PAGE);
    LT_CHECK(mmap((void *)(1ul << 48), PAGE, RW, OWN, -1, 0) != MAP_FAILED);
}

LT_TEST(fixed) {
    char *at = pages(4);
    memset(at, 5, 4 * PAGE);
    LT_CHECK(mmap(at + PAGE, 2 * PAGE, RW, OWN | MAP_FIXED, -1, 0) == at + PAGE);
    LT_EQUAL(at[0] * 1000 + at[PAGE] * 100 + at[2 * PAGE] * 10 + at[3 * PAGE], 5005);
    LT_ERRNO((long)mmap(at, PAGE, RW, OWN | MAP_FIXED_NOREPLACE, -1, 0), EEXIST);
    LT_OK(munmap(at + PAGE, PAGE));
    LT_CHECK(mmap(at + PAGE, PAGE, RW, OWN | MAP_FIXED_NOREPLACE, -1, 0) == at + PAGE);
    LT_OK(munmap(at + PAGE, PAGE));
    LT_ERRNO((long)mmap(at + PAGE, 2 * PAGE, RW, OWN | MAP_FIXED_NOREPLACE, -1, 0), EEXIST);
    LT_EQUAL(at[3 * PAGE], 5);
}

LT_TEST(many_pieces) {
    enum { COUNT = 512 };
    char *at = pages(COUNT);
    for (int i = 0; i < COUNT; i += 2) LT_OK(munmap(at + i * PAGE, PAGE));
    for (int i = 1; i < COUNT; i += 2) at[i * PAGE] = 1;
    LT_EQUAL(touch(at + 100 * PAGE, 'r'), NOT_MAPPED);
    for (int i = 0; i < COUNT; i += 2) LT_CHECK(mmap(at + i * PAGE, PAGE, RW, OWN | MAP_FIXED_NOREPLACE, -1, 0) == at + i * PAGE);
    for (int i = 0; i < COUNT; i++) LT_EQUAL(at[i * PAGE], i % 2);
    LT_OK(mprotect(at, COUNT * PAGE, PROT_READ));
    LT_OK(munmap(at, COUNT * PAGE));
}

// Terabytes that are only reserved, as garbage collectors do.
LT_TEST(reservations) {
    size_t size = 4ul << 40;
    char *at = map(size, PROT_NONE, OWN | MAP_NORESERVE, -1, 0);
    LT_EQUAL(touch(at, 'r'), NOT_ALLOWED);
    LT_EQUAL(touch(at + size - 1, 'w'), NOT_ALLOWED);
    for (size_t i = 0; i < 16; i++) {
        char *piece = at + i * (size / 16);
        LT_OK(mprotect(piece, 16 * PAGE, RW));
        piece[15 * PAGE] = (char)i;
        LT_EQUAL(touch(piece + 16 * PAGE, 'w'), NOT_ALLOWED);
    }
    LT_CHECK(mmap(at + (1ul << 30), PAGE, RW, OWN | MAP_FIXED, -1, 0) == at + (1ul << 30));
    for (size_t i = 0; i < 16; i++) LT_EQUAL(at[i * (size / 16) + 15 * PAGE], i);
    LT_OK(munmap(at, size));
    LT_EQUAL(touch(at, 'r'), NOT_MAPPED);
}

// ---- mprotect -----------------------------------------------------------------------------------------------------------

LT_TEST(protection) {
    char *at = pages(4);
    at[PAGE] = 3;
    LT_OK(mprotect(at + PAGE, PAGE, PROT_READ));
    LT_EQUAL(touch(at + PAGE, 'r'), 0);
    LT_EQUAL(touch(at + PAGE, 'w'), NOT_ALLOWED);
    LT_EQUAL(touch(at + PAGE, 'x'), NOT_ALLOWED);
    LT_OK(mprotect(at + PAGE, PAGE, PROT_NONE));
    LT_EQUAL(touch(at + PAGE, 'r'), NOT_ALLOWED);
    LT_OK(mprotect(at, 4 * PAGE, RW));
    LT_EQUAL(at[PAGE], 3);
    LT_OK(mprotect(at, 0, PROT_READ));
    LT_EQUAL(touch(at, 'w'), 0);
    LT_OK(mprotect(at, 1, PROT_READ));
    LT_EQUAL(touch(at + 100, 'w'), NOT_ALLOWED);
    LT_EQUAL(touch(at + PAGE, 'w'), 0);
    LT_ERRNO(syscall(SYS_mprotect, at + 1, PAGE, RW), EINVAL);
    LT_ERRNO(mprotect(at, PAGE, 0x100), EINVAL);
    LT_OK(munmap(at + 2 * PAGE, PAGE));
    LT_ERRNO(mprotect(at, 4 * PAGE, RW), ENOMEM);
    LT_ERRNO(mprotect(at + 2 * PAGE, PAGE, RW), ENOMEM);
}

LT_TEST(protection_of_files) {
    file_of("file", PAGE);
    int r = (int)LT_OK(open("file", O_RDONLY)), rw = (int)LT_OK(open("file", O_RDWR));
    char *at = map(PAGE, PROT_READ, MAP_SHARED, r, 0);
    LT_ERRNO(mprotect(at, PAGE, RW), EACCES);
    at = map(PAGE, PROT_READ, MAP_PRIVATE, r, 0);
    LT_OK(mprotect(at, PAGE, RW));
    at[0] = 'x';
    at = map(PAGE, PROT_READ, MAP_SHARED, rw, 0);
    LT_EQUAL(at[0], 0);
    LT_OK(mprotect(at, PAGE, RW));
    at[0] = 'y';
    char c;
    LT_EQUAL(pread(r, &c, 1, 0), 1);
    LT_EQUAL(c, 'y');
}

// ---- files --------------------------------------------------------------------------------------------------------------

LT_TEST(shared_files) {
    int fd = file_of("file", 2 * PAGE);
    char c, *a = map(2 * PAGE, RW, MAP_SHARED, fd, 0), *b = map(PAGE, PROT_READ, MAP_SHARED, fd, PAGE);
    a[PAGE + 5] = 'm';
    LT_EQUAL(b[5], 'm');
    LT_EQUAL(pread(fd, &c, 1, PAGE + 5), 1);
    LT_EQUAL(c, 'm');
    LT_EQUAL(pwrite(fd, "w", 1, PAGE + 6), 1);
    LT_EQUAL(a[PAGE + 6], 'w');
    LT_OK(close(fd));
    a[7] = 'z';
    fd = (int)LT_OK(open("file", O_RDONLY));
    LT_EQUAL(pread(fd, &c, 1, 7), 1);
    LT_EQUAL(c, 'z');
    LT_OK(unlink("file"));
    LT_EQUAL(a[7], 'z');
}

LT_TEST(private_files) {
    int fd = file_of("file", 2 * PAGE);
    char c, *a = map(2 * PAGE, RW, MAP_PRIVATE, fd, 0);
    LT_EQUAL(pwrite(fd, "w", 1, 3), 1);
    a[PAGE] = 'p';
    LT_EQUAL(pread(fd, &c, 1, PAGE), 1);
    LT_EQUAL(c, 0);
    LT_EQUAL(pwrite(fd, "wxyz", 4, PAGE), 4);
    LT_EQUAL(a[PAGE], 'p');
    LT_EQUAL(a[PAGE + 1], 0);
    LT_OK(madvise(a + PAGE, PAGE, MADV_DONTNEED));
    LT_EQUAL(a[PAGE], 'w');
}

LT_TEST(behind_the_end) {
    int fd = file_of("file", 100);
    char c, *at = map(3 * PAGE, RW, MAP_SHARED, fd, 0);
    LT_EQUAL(touch(at + 200, 'w'), 0);
    LT_EQUAL(touch(at + PAGE, 'r'), NO_PAGE);
    LT_EQUAL(touch(at + 2 * PAGE, 'w'), NO_PAGE);
    LT_EQUAL(touch(at + 3 * PAGE - 1, 'r'), NO_PAGE);
    LT_OK(ftruncate(fd, 2 * PAGE));
    LT_EQUAL(touch(at + PAGE, 'w'), 0);
    LT_EQUAL(touch(at + 2 * PAGE, 'r'), NO_PAGE);
    LT_OK(ftruncate(fd, 10));
    LT_EQUAL(touch(at + PAGE, 'r'), NO_PAGE);
    LT_OK(ftruncate(fd, 2 * PAGE));
    LT_EQUAL(at[PAGE], 0);
    LT_EQUAL(pread(fd, &c, 1, 200), 1);
    char *own = map(3 * PAGE, RW, MAP_PRIVATE, fd, 0);
    LT_EQUAL(touch(own + 2 * PAGE, 'w'), NO_PAGE);
    LT_ERRNO(read((int)LT_OK(open("/dev/zero", O_RDONLY)), own + 2 * PAGE, 1), EFAULT);
}

// What a private mapping has copied goes too, in a child as well, but for the page that the end lies in.
LT_TEST(copies_behind_the_end) {
    int fd = file_of("file", 3 * PAGE), gate[2], status = -1;
    char c, *own = map(4 * PAGE, RW, MAP_PRIVATE, fd, 0);
    for (int i = 0; i < 3; i++) own[i * PAGE + 100] = (char)('a' + i);
    LT_OK(pipe(gate));
    pid_t child = (pid_t)LT_OK(fork());
    if (child == 0) {
        if (read(gate[0], &c, 1) != 1) _exit(1);
        if (own[100] != 'a' || own[PAGE + 100] != 'b') _exit(2);
        _exit(touch(own + 2 * PAGE + 100, 'r') == NO_PAGE && touch(own + 2 * PAGE + 100, 'w') == NO_PAGE ? 3 : 4);
    }
    LT_OK(ftruncate(fd, PAGE + 10));
    LT_EQUAL(own[100], 'a');
    LT_EQUAL(own[PAGE + 100], 'b');
    LT_EQUAL(touch(own + 2 * PAGE + 100, 'r'), NO_PAGE);
    LT_EQUAL(touch(own + 2 * PAGE + 100, 'w'), NO_PAGE);
    LT_EQUAL(write(gate[1], "g", 1), 1);
    LT_EQUAL(waitpid(child, &status, 0), child);
    LT_EQUAL(status, 3 << 8);
    LT_OK(ftruncate(fd, 3 * PAGE));
    LT_EQUAL(own[2 * PAGE + 100], 0);
    own[2 * PAGE] = 'c';
    LT_OK(ftruncate(fd, 0));
    for (int i = 1; i < 3; i++) LT_EQUAL(touch(own + i * PAGE, 'r'), NO_PAGE);
    LT_OK(ftruncate(fd, 4 * PAGE));
    for (int i = 0; i < 4; i++) LT_EQUAL(own[i * PAGE + 100], 0);
}

LT_TEST(devices) {
    int zero = (int)LT_OK(open("/dev/zero", O_RDWR)), null = (int)LT_OK(open("/dev/null", O_RDWR));
    char *at = map(PAGE, RW, MAP_PRIVATE, zero, 0);
    LT_EQUAL(at[0], 0);
    at[0] = 1;
    at = map(PAGE, RW, MAP_SHARED, zero, 0);
    pid_t child = (pid_t)LT_OK(fork());
    if (child == 0) at[0] = 7, _exit(0);
    LT_EQUAL(waitpid(child, NULL, 0), child);
    LT_EQUAL(at[0], 7);
    LT_ERRNO((long)mmap(NULL, PAGE, RW, MAP_SHARED, null, 0), ENODEV);
}

// ---- fork ---------------------------------------------------------------------------------------------------------------

LT_TEST(fork_shares_and_copies) {
    char *own = pages(2), *shared = map(2 * PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int fd = file_of("file", PAGE), status;
    char *file = map(PAGE, RW, MAP_SHARED, fd, 0), *copy = map(PAGE, RW, MAP_PRIVATE, fd, 0);
    own[0] = shared[0] = file[0] = 'a';
    copy[1] = 'a';
    pid_t child = (pid_t)LT_OK(fork());
    if (child == 0) {
        int good = own[0] == 'a' && shared[0] == 'a' && file[0] == 'a' && copy[1] == 'a' && shared[PAGE] == 0;
        own[0] = shared[0] = shared[PAGE] = file[0] = copy[1] = 'b';
        _exit(good ? 0 : 1);
    }
    LT_EQUAL(waitpid(child, &status, 0), child);
    LT_EQUAL(status, 0);
    LT_EQUAL(own[0], 'a');
    LT_EQUAL(copy[1], 'a');
    LT_EQUAL(shared[0], 'b');
    LT_EQUAL(shared[PAGE], 'b');
    LT_EQUAL(file[0], 'b');
}

// ---- mremap -------------------------------------------------------------------------------------------------------------

LT_TEST(remap) {
    char *area = map(32 * PAGE, PROT_NONE, OWN, -1, 0), *at = area;
    LT_CHECK(mmap(at, 4 * PAGE, RW, OWN | MAP_FIXED, -1, 0) == at);
    for (int i = 0; i < 4; i++) at[i * PAGE] = (char)(i + 1);
    LT_CHECK(mremap(at, 4 * PAGE, 2 * PAGE, 0) == at);
    LT_EQUAL(touch(at + 2 * PAGE, 'r'), NOT_MAPPED);
    LT_CHECK(mremap(at, 2 * PAGE, 4 * PAGE, 0) == at);
    LT_EQUAL(at[PAGE], 2);
    LT_EQUAL(at[2 * PAGE], 0);
    LT_ERRNO((long)mremap(at, 4 * PAGE, 8 * PAGE, 0), ENOMEM);
    char *moved = mremap(at, 4 * PAGE, 64 * PAGE, MREMAP_MAYMOVE);
    LT_CHECK(moved != MAP_FAILED && moved != at);
    LT_EQUAL(moved[PAGE], 2);
    LT_EQUAL(moved[63 * PAGE], 0);
    LT_EQUAL(touch(at, 'r'), NOT_MAPPED);
    LT_CHECK(mremap(moved, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, area + 8 * PAGE) == area + 8 * PAGE);
    LT_EQUAL(area[9 * PAGE], 2);
    LT_EQUAL(touch(moved, 'r'), NOT_MAPPED);
    LT_EQUAL(touch(moved + 2 * PAGE, 'r'), 0);
}

LT_TEST(remap_errors) {
    char *at = pages(4);
    LT_ERRNO((long)mremap(at + 1, PAGE, PAGE, 0), EINVAL);
    LT_ERRNO((long)mremap(at, PAGE, 0, 0), EINVAL);
    LT_ERRNO((long)mremap(at, PAGE, PAGE, 0x100), EINVAL);
    LT_ERRNO((long)mremap(at, PAGE, PAGE, MREMAP_FIXED, at + 2 * PAGE), EINVAL);
    LT_ERRNO((long)mremap(at, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, at + 1), EINVAL);
    LT_ERRNO((long)mremap(at, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, at + PAGE), EINVAL);
    LT_OK(munmap(at, 4 * PAGE));
    LT_ERRNO((long)mremap(at, PAGE, 2 * PAGE, MREMAP_MAYMOVE), EFAULT);
}

LT_TEST(remap_files) {
    int fd = file_of("file", 4 * PAGE);
    char *at = map(PAGE, RW, MAP_SHARED, fd, PAGE);
    at[0] = 'q';
    at = mremap(at, PAGE, 3 * PAGE, MREMAP_MAYMOVE);
    LT_CHECK(at != MAP_FAILED);
    LT_EQUAL(at[0], 'q');
    at[2 * PAGE] = 'r';
    char c;
    LT_EQUAL(pread(fd, &c, 1, 3 * PAGE), 1);
    LT_EQUAL(c, 'r');
}

// ---- advice -------------------------------------------------------------------------------------------------------------

LT_TEST(advice) {
    char *at = pages(4);
    memset(at, 1, 4 * PAGE);
    LT_OK(madvise(at + PAGE, 2 * PAGE, MADV_DONTNEED));
    LT_EQUAL(at[0] * 1000 + at[PAGE] * 100 + at[2 * PAGE] * 10 + at[3 * PAGE], 1001);
    LT_OK(madvise(at, PAGE, MADV_WILLNEED));
    LT_OK(madvise(at, PAGE, MADV_NORMAL));
    LT_OK(madvise(at, 0, MADV_DONTNEED));
    LT_ERRNO(madvise(at + 1, PAGE, MADV_DONTNEED), EINVAL);
    LT_ERRNO(madvise(at, PAGE, 99), EINVAL);
    LT_ERRNO(madvise(at, -1ul, MADV_DONTNEED), EINVAL);
    LT_OK(munmap(at + PAGE, PAGE));
    at[0] = at[2 * PAGE] = 9;
    LT_ERRNO(madvise(at, 4 * PAGE, MADV_DONTNEED), ENOMEM);
    LT_EQUAL(at[0] + at[2 * PAGE], 0);  // done where there is something
    char *shared = map(PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    shared[0] = 4;
    LT_OK(madvise(shared, PAGE, MADV_DONTNEED));
    LT_EQUAL(shared[0], 4);
}

LT_TEST(synchronize) {
    int fd = file_of("file", 2 * PAGE);
    char *at = map(2 * PAGE, RW, MAP_SHARED, fd, 0);
    at[0] = 1;
    LT_OK(msync(at, 2 * PAGE, MS_SYNC));
    LT_OK(msync(at, PAGE, MS_ASYNC));
    LT_OK(msync(at, PAGE, MS_INVALIDATE));
    LT_OK(msync(at, 0, MS_SYNC));
    LT_ERRNO(msync(at + 1, PAGE, MS_SYNC), EINVAL);
    LT_ERRNO(msync(at, PAGE, MS_SYNC | MS_ASYNC), EINVAL);
    LT_ERRNO(msync(at, PAGE, 8), EINVAL);
    LT_OK(munmap(at + PAGE, PAGE));
    LT_ERRNO(msync(at, 2 * PAGE, MS_SYNC), ENOMEM);
    LT_ERRNO(msync(at, 2 * PAGE, MS_ASYNC), ENOMEM);
}

LT_TEST(residency) {
    unsigned char bytes[8];
    char *at = pages(4);
    at[PAGE] = at[3 * PAGE] = 1;
    LT_OK(mincore(at, 4 * PAGE, bytes));
    for (int i = 0; i < 4; i++) LT_EQUAL(bytes[i] & 1, i & 1);
    LT_OK(mincore(at, 0, bytes));
    LT_ERRNO(mincore(at + 1, PAGE, bytes), EINVAL);
    LT_ERRNO(mincore(at, PAGE, LT_BAD_ADDRESS), EFAULT);
    LT_OK(munmap(at + PAGE, PAGE));
    LT_ERRNO(mincore(at, 4 * PAGE, bytes), ENOMEM);
}

LT_TEST(locking) {
    unsigned char bytes[4];
    char *at = pages(4);
    LT_OK(mlock(at + 5, PAGE));
    LT_OK(mincore(at, 4 * PAGE, bytes));
    LT_EQUAL(bytes[0] & bytes[1] & 1, 1);
    LT_OK(munlock(at, 2 * PAGE));
    LT_OK(mlock(at, 0));
    LT_OK(munmap(at + 2 * PAGE, PAGE));
    LT_ERRNO(mlock(at, 4 * PAGE), ENOMEM);
    LT_ERRNO(munlock(at, 4 * PAGE), ENOMEM);
    LT_ERRNO(syscall(SYS_mlock2, at, PAGE, 2), EINVAL);
    LT_ERRNO(mlockall(0), EINVAL);
    LT_OK(munlockall());
}

LT_TEST(unmap_errors) {
    char *at = pages(2);
    LT_ERRNO(munmap(at + 1, PAGE), EINVAL);
    LT_ERRNO(munmap(at, 0), EINVAL);
    LT_ERRNO(munmap((void *)(1ul << 47), PAGE), EINVAL);
    LT_ERRNO(munmap(at, -PAGE), EINVAL);
    LT_OK(munmap(at, PAGE + 1));
    LT_EQUAL(touch(at + PAGE, 'r'), NOT_MAPPED);
}

LT_TEST(the_break) {
    char *start = (char *)syscall(SYS_brk, 0);
    LT_CHECK((char *)syscall(SYS_brk, start + 3 * PAGE) == start + 3 * PAGE);
    memset(start, 7, 3 * PAGE);
    LT_CHECK((char *)syscall(SYS_brk, start + 100) == start + 100);
    LT_CHECK((char *)syscall(SYS_brk, start + 3 * PAGE) == start + 3 * PAGE);
    LT_EQUAL(start[2 * PAGE], 0);
    LT_EQUAL(start[50], 7);
    LT_CHECK((char *)syscall(SYS_brk, 4096) == start + 3 * PAGE);
    LT_CHECK((char *)syscall(SYS_brk, 1ul << 47) == start + 3 * PAGE);
    LT_CHECK((char *)syscall(SYS_brk, start) == start);
}
