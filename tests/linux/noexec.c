// A process without the right to make code gets none that it wrote: neither by a way nor by a detour. Linux allows what is refused
// here, so this is told on KPIO only. What may run comes from files that nobody has open for writing.
#include "tests/linux/noexec.h"

#include <sys/personality.h>

LT_TEST(anonymous) {
    only_here();
    REFUSED(mmap(NULL, PAGE, RWX, OWN, -1, 0));
    REFUSED(mmap(NULL, PAGE, RX, OWN, -1, 0));
    REFUSED(mmap(NULL, PAGE, PROT_EXEC, OWN, -1, 0));
    REFUSED(mmap(NULL, PAGE, RX, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    REFUSED(mmap(NULL, PAGE, RX, OWN | MAP_NORESERVE | MAP_POPULATE, -1, 0));
    int zero = (int)LT_OK(open("/dev/zero", O_RDWR));
    REFUSED(mmap(NULL, PAGE, RX, MAP_PRIVATE, zero, 0));
    char *at = written();
    REFUSED(mprotect(at, PAGE, RX));
    REFUSED(mprotect(at, PAGE, RWX));
    REFUSED(mprotect(at, PAGE, PROT_EXEC));
    LT_OK(mprotect(at, PAGE, PROT_READ));
    REFUSED(mprotect(at, PAGE, RX));
    LT_EQUAL(runs(at), 0);
    at = map(PAGE, PROT_NONE, OWN, -1, 0);
    REFUSED(mprotect(at, PAGE, PROT_EXEC));
}

static unsigned char data[2 * PAGE] __attribute__((aligned(4096)));
LT_TEST(heap_stack_and_data) {
    only_here();
    unsigned char local[64], *heap = malloc(3 * PAGE), *brk = (unsigned char *)syscall(SYS_brk, 0);
    LT_CHECK((unsigned char *)syscall(SYS_brk, brk + 4 * PAGE) == brk + 4 * PAGE);
    unsigned char *const all[] = {local, heap, data, brk + PAGE};
    for (int i = 0; i < 4; i++) {
        memcpy(all[i], code, sizeof code);
        REFUSED(syscall(SYS_mprotect, (unsigned long)all[i] & -PAGE, PAGE, RX));
        REFUSED(syscall(SYS_mprotect, (unsigned long)all[i] & -PAGE, PAGE, RWX));
        LT_EQUAL(runs(all[i]), 0);
    }
    free(heap);
}

// The program's own code stays as it is.
LT_TEST(own_text) {
    only_here();
    int status;
    char *text = (char *)(unsigned long)runs;
    REFUSED(mprotect((char *)((unsigned long)text & -PAGE), PAGE, RWX));
    pid_t child = (pid_t)LT_OK(fork());
    if (child == 0) {
        *(volatile char *)text = 0;
        _exit(0);
    }
    LT_EQUAL(waitpid(child, &status, 0), child);
    LT_EQUAL(status & 0x7f, SIGSEGV);
}

LT_TEST(private_file_pages) {
    only_here();
    make_file("file");
    int fd = (int)LT_OK(open("file", O_RDONLY));
    char *at = map(PAGE, RW, MAP_PRIVATE, fd, 0);
    at[1] = 43;
    REFUSED(mprotect(at, PAGE, RWX));
    // The file is a program: what was not written of it may run.
    (void)mprotect(at, PAGE, RX);
    LT_EQUAL(runs(at), 0);
    REFUSED(mmap(NULL, PAGE, RWX, MAP_PRIVATE, fd, 0));
    REFUSED(mmap(NULL, PAGE, RWX, MAP_SHARED, fd, 0));
    at = map(PAGE, RX, MAP_PRIVATE, fd, 0);
    LT_EQUAL(call(at), 42);
    REFUSED(mprotect(at, PAGE, RWX));
    // What was written of it is not executed, whatever its protection says; what was not written still is.
    char two[2 * PAGE] = {0};
    memcpy(two, code, sizeof code);
    memcpy(two + PAGE, code, sizeof code);
    fd = (int)LT_OK(open("two", O_WRONLY | O_CREAT, 0755));
    LT_EQUAL(write(fd, two, sizeof two), sizeof two);
    LT_OK(close(fd));
    fd = (int)LT_OK(open("two", O_RDONLY));
    at = map(2 * PAGE, RX, MAP_PRIVATE, fd, 0);
    if (mprotect(at, 2 * PAGE, RW) != 0) return;
    at[1] = 43;
    (void)mprotect(at, 2 * PAGE, RX);
    LT_EQUAL(runs(at), 0);
    LT_EQUAL(call(at + PAGE), 42);
}

LT_TEST(memory_files) {
    only_here();
    int fd = (int)LT_OK(syscall(SYS_memfd_create, "code", 0));
    LT_EQUAL(write(fd, code, sizeof code), sizeof code);
    REFUSED(mmap(NULL, PAGE, RX, MAP_PRIVATE, fd, 0));
    REFUSED(mmap(NULL, PAGE, RX, MAP_SHARED, fd, 0));
    REFUSED(mmap(NULL, PAGE, RWX, MAP_SHARED, fd, 0));
    char *at = map(PAGE, PROT_READ, MAP_SHARED, fd, 0);
    REFUSED(mprotect(at, PAGE, RX));
    LT_EQUAL(runs(at), 0);
    char *const argv[] = {"x", NULL};
    LT_OK(fchmod(fd, 0755));
    REFUSED(syscall(SYS_execveat, fd, "", argv, argv + 1, AT_EMPTY_PATH));
    // Opened once more, to read only.
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int again = open(path, O_RDONLY);
    if (again >= 0) {
        LT_OK(close(fd));
        REFUSED(mmap(NULL, PAGE, RX, MAP_PRIVATE, again, 0));
    }
}

LT_TEST(files_while_written) {
    only_here();
    make_file("file");
    int w = (int)LT_OK(open("file", O_RDWR)), r = (int)LT_OK(open("file", O_RDONLY));
    char *const argv[] = {"x", NULL};
    LT_ERRNO((long)mmap(NULL, PAGE, RX, MAP_PRIVATE, r, 0), ETXTBSY);
    REFUSED(mmap(NULL, PAGE, RX, MAP_PRIVATE, w, 0));
    REFUSED(mmap(NULL, PAGE, RX, MAP_SHARED, w, 0));
    LT_ERRNO(execve("file", argv, argv + 1), ETXTBSY);
    // A mapping that may be written counts as an open file does, in all processes.
    char *at = map(PAGE, RW, MAP_SHARED, w, 0);
    LT_OK(close(w));
    LT_ERRNO((long)mmap(NULL, PAGE, RX, MAP_PRIVATE, r, 0), ETXTBSY);
    int ends[2];
    LT_OK(pipe(ends));
    pid_t child = (pid_t)LT_OK(fork());
    if (child == 0) {
        char byte;
        close(ends[1]);
        _exit(read(ends[0], &byte, 1) != 0);
    }
    LT_OK(munmap(at, PAGE));
    LT_ERRNO((long)mmap(NULL, PAGE, RX, MAP_PRIVATE, r, 0), ETXTBSY);
    LT_OK(close(ends[1]));
    LT_EQUAL(waitpid(child, NULL, 0), child);
    char *x = MAP_FAILED;
    for (int i = 0; i < LT_HANG_MS && x == MAP_FAILED; i++) {  // what a process leaves goes a little later
        x = mmap(NULL, PAGE, RX, MAP_PRIVATE, r, 0);
        if (x == MAP_FAILED) usleep(1000);
    }
    LT_CHECK(x != MAP_FAILED);
    LT_EQUAL(call(x), 42);
}

LT_TEST(files_while_executed) {
    only_here();
    make_file("file");
    int r = (int)LT_OK(open("file", O_RDONLY));
    char *x = map(PAGE, RX, MAP_PRIVATE, r, 0);
    LT_ERRNO(open("file", O_WRONLY), ETXTBSY);
    LT_ERRNO(open("file", O_RDWR | O_TRUNC), ETXTBSY);
    LT_ERRNO(truncate("file", 0), ETXTBSY);
    LT_OK(chmod("file", 0777));
    LT_OK(rename("file", "other"));
    LT_ERRNO(open("other", O_WRONLY), ETXTBSY);
    char *same = map(PAGE, PROT_READ, MAP_SHARED, r, 0);
    LT_ERRNO(mprotect(same, PAGE, RW), EACCES);
    LT_EQUAL(call(x), 42);
    LT_OK(munmap(x, PAGE));
    int w = (int)LT_OK(open("other", O_WRONLY));
    LT_OK(close(w));
}

// Written, closed, then executed: a file like any other, where the root may be executed from.
LT_TEST(files_when_closed) {
    only_here();
    make_file("file");
    int r = (int)LT_OK(open("file", O_RDONLY));
    LT_EQUAL(call(map(PAGE, RX, MAP_PRIVATE, r, 0)), 42);
    LT_EQUAL(call(map(PAGE, RX, MAP_SHARED, r, 0)), 42);
}

LT_TEST(moved_memory) {
    only_here();
    make_file("file");
    int r = (int)LT_OK(open("file", O_RDONLY));
    char *x = map(2 * PAGE, RX, MAP_PRIVATE, r, 0), *at = written();
    // Written pages over the place of executable ones, and the other way round.
    LT_CHECK(mremap(at, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, x) == x);
    LT_EQUAL(runs(x), 0);
    REFUSED(mprotect(x, PAGE, RX));
    x = map(PAGE, RX, MAP_PRIVATE, r, 0);
    at = written();
    LT_CHECK(mremap(x, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, at) == at);
    LT_EQUAL(call(at), 42);
    REFUSED(mprotect(at, PAGE, RWX));
    // Grown behind the file's end: no page to write to.
    at = mremap(at, PAGE, 2 * PAGE, MREMAP_MAYMOVE);
    if (at != MAP_FAILED) REFUSED(mprotect(at, 2 * PAGE, RWX));
    // Anonymous memory at the place, then the old protection.
    at = map(PAGE, RX, MAP_PRIVATE, r, 0);
    LT_CHECK(mmap(at, PAGE, RW, OWN | MAP_FIXED, -1, 0) == at);
    memcpy(at, code, sizeof code);
    LT_EQUAL(runs(at), 0);
    REFUSED(mprotect(at, PAGE, RX));
}

LT_TEST(other_processes) {
    only_here();
    char *shared = map(PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    REFUSED(mprotect(shared, PAGE, RX));
    int status;
    pid_t child = (pid_t)LT_OK(fork());
    if (child == 0) {
        memcpy(shared, code, sizeof code);
        _exit(mprotect(shared, PAGE, RX) == 0);
    }
    LT_EQUAL(waitpid(child, &status, 0), child);
    LT_EQUAL(status, 0);
    REFUSED(mprotect(shared, PAGE, RX));
    LT_EQUAL(runs(shared), 0);
    char *at = map(PAGE, RW, OWN, -1, 0);
    child = vfork();
    if (child == 0) {
        memcpy(at, code, sizeof code);
        _exit(mprotect(at, PAGE, RX) == 0);
    }
    LT_EQUAL(waitpid(child, &status, 0), child);
    LT_EQUAL(status, 0);
    REFUSED(mprotect(at, PAGE, RX));
    child = (pid_t)LT_OK(fork());
    if (child == 0) _exit(mprotect(at, PAGE, RX) == 0 || mmap(NULL, PAGE, RWX, OWN, -1, 0) != MAP_FAILED);
    LT_EQUAL(waitpid(child, &status, 0), child);
    LT_EQUAL(status, 0);
}

LT_TEST(through_proc) {
    only_here();
    char *text = (char *)(unsigned long)runs;
    unsigned char first = *(volatile unsigned char *)text;
    const char *const names[] = {"/proc/self/mem", "/proc/thread-self/mem"};
    for (int i = 0; i < 2; i++) {
        int fd = open(names[i], O_RDWR);
        if (fd < 0) continue;
        char byte = (char)0xc3;
        LT_CHECK(pwrite(fd, &byte, 1, (off_t)(unsigned long)text) == -1);
        LT_EQUAL(*(volatile unsigned char *)text, first);
    }
    struct {
        void *base;
        size_t size;
    } local = {(void *)(unsigned long)code, 1}, remote = {text, 1};
    LT_CHECK(syscall(SYS_process_vm_writev, getpid(), &local, 1ul, &remote, 1ul, 0ul) == -1);
    LT_EQUAL(*(volatile unsigned char *)text, first);
    int fd = open("/proc/self/exe", O_WRONLY);
    LT_CHECK(fd == -1);
}

// READ_IMPLIES_EXEC is a wish.
LT_TEST(read_implies_execute) {
    only_here();
    long old = syscall(SYS_personality, 0x0400000ul);
    char *at = written();
    LT_EQUAL(runs(at), 0);
    if (old >= 0) LT_OK(syscall(SYS_personality, old));
}

// A program that asks for an executable stack, and for a segment that is written and executed.
static int exec_copy(int stack, int segment) {
    static char whole[1 << 20];
    int in = (int)LT_OK(open("/proc/self/exe", O_RDONLY));
    ssize_t size = LT_OK(read(in, whole, sizeof whole));
    LT_CHECK(size > 0 && size < (ssize_t)sizeof whole);
    unsigned long at = *(unsigned long *)(whole + 32);
    for (int i = 0; i < *(unsigned short *)(whole + 56); i++, at += 56) {
        unsigned type = *(unsigned *)(whole + at), *flags = (unsigned *)(whole + at + 4);
        if (type == 0x6474e551 && stack) *flags |= 1;
        if (type == 1 && segment && *flags & 2) *flags |= 1;
    }
    char name[] = {'c', (char)('0' + stack), (char)('0' + segment), 0};
    int out = (int)LT_OK(open(name, O_WRONLY | O_CREAT | O_TRUNC, 0755)), status;
    LT_EQUAL(write(out, whole, (size_t)size), size);
    LT_OK(close(out));
    pid_t child = (pid_t)LT_OK(fork());
    if (child == 0) {
        char *const argv[] = {name, "heap_stack_and_data", NULL}, *const env[] = {NULL};
        dup2(open("/dev/null", O_WRONLY), 1);
        execve(name, argv, env);
        _exit(errno == EACCES ? 98 : 99);
    }
    LT_EQUAL(waitpid(child, &status, 0), child);
    return status;
}
LT_TEST(executable_stack) {
    only_here();
    LT_EQUAL(access("/proc/self/exe", R_OK), 0);
    LT_EQUAL(exec_copy(0, 0), 0);
    LT_EQUAL(exec_copy(1, 0), 0);  // it runs, and its stack is as any other
    LT_EQUAL(exec_copy(0, 1), 98 << 8);  // refused while there is somebody to hear it
}

LT_TEST(shared_memory_by_name) {
    only_here();
    make_file("/dev/shm/noexec");
    int fd = (int)LT_OK(open("/dev/shm/noexec", O_RDONLY));
    REFUSED(mmap(NULL, PAGE, RX, MAP_PRIVATE, fd, 0));
    REFUSED(mmap(NULL, PAGE, RX, MAP_SHARED, fd, 0));
    char *at = map(PAGE, PROT_READ, MAP_PRIVATE, fd, 0);
    REFUSED(mprotect(at, PAGE, RX));
    LT_EQUAL(runs(at), 0);
    LT_OK(unlink("/dev/shm/noexec"));
}
