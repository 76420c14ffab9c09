// No code from what somebody else wrote: another process, a tracer, KPIO's own calls past liblinux. On KPIO only, as noexec.c.
#include "tests/linux/noexec.h"

#include <sys/auxv.h>
#include <sys/ptrace.h>
#include <sys/socket.h>

static int receive(int from) {
    char control[CMSG_SPACE(sizeof(int))] = "", byte;
    struct iovec data = {&byte, 1};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    int fd;
    LT_EQUAL(recvmsg(from, &message, 0), 1);
    LT_CHECK(CMSG_FIRSTHDR(&message) != NULL);
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
    return fd;
}

static int send_fd(int to, int fd) {
    char control[CMSG_SPACE(sizeof fd)] = "", byte = 'x';
    struct iovec data = {&byte, 1};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(header), &fd, sizeof fd);
    return sendmsg(to, &message, 0) == 1;
}

// The other process: makes memory with code in it that it goes on writing to, and hands it over, until the socket ends.
static pid_t writer(int pair[2], int (*make)(void)) {
    LT_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    pid_t child = (pid_t)LT_OK(fork());
    if (child != 0) {
        LT_OK(close(pair[1]));
        return child;
    }
    char byte;
    int fd = make();
    if (fd < 0 || ftruncate(fd, PAGE) != 0) _exit(1);
    char *at = mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED) _exit(2);
    memcpy(at, code, sizeof code);
    close(pair[0]);
    if (!send_fd(pair[1], fd)) _exit(3);
    _exit(read(pair[1], &byte, 1) != 0);
}

static void gone(pid_t child, int pair) {
    int status;
    LT_OK(close(pair));
    LT_EQUAL(waitpid(child, &status, 0), child);
    LT_EQUAL(status, 0);
}

static int make_memory(void) { return (int)syscall(SYS_memfd_create, "code", 0); }
static int make_file_here(void) { return open("written", O_RDWR | O_CREAT, 0755); }
static int make_shared(void) { return open("/dev/shm/noexec.others", O_RDWR | O_CREAT, 0755); }

LT_TEST(memory_that_another_process_writes) {
    only_here();
    int (*const makers[])(void) = {make_memory, make_file_here, make_shared};
    for (int i = 0; i < 3; i++) {
        int pair[2];
        char path[64];
        pid_t child = writer(pair, makers[i]);
        int fd = receive(pair[0]);
        REFUSED(mmap(NULL, PAGE, RX, MAP_SHARED, fd, 0));
        REFUSED(mmap(NULL, PAGE, RX, MAP_PRIVATE, fd, 0));
        char *shared = map(PAGE, PROT_READ, MAP_SHARED, fd, 0), *own = map(PAGE, PROT_READ, MAP_PRIVATE, fd, 0);
        LT_EQUAL(memcmp(shared, code, sizeof code), 0);
        REFUSED(mprotect(shared, PAGE, RX));
        REFUSED(mprotect(own, PAGE, RX));
        LT_EQUAL(runs(shared), 0);
        LT_EQUAL(runs(own), 0);
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        int again = open(path, O_RDONLY);
        if (again >= 0) REFUSED(mmap(NULL, PAGE, RX, MAP_PRIVATE, again, 0));
        gone(child, pair[0]);
    }
    LT_OK(unlink("/dev/shm/noexec.others"));
}

// What may run came from a file that is closed; nobody gets to write to it while it may, by whatever name.
LT_TEST(a_file_that_may_run) {
    only_here();
    char path[64], byte = 0;
    int status;
    make_file("file");
    int r = (int)LT_OK(open("file", O_RDONLY));
    char *x = map(PAGE, RX, MAP_SHARED, r, 0);
    LT_OK(link("file", "other"));
    snprintf(path, sizeof path, "/proc/self/fd/%d", r);
    pid_t child = (pid_t)LT_OK(fork());
    if (child == 0) {
        const int modes[] = {O_WRONLY, O_RDWR, O_WRONLY | O_TRUNC, O_WRONLY | O_APPEND};
        for (int i = 0; i < 4; i++)
            if (open("other", modes[i]) >= 0 || open(path, modes[i]) >= 0) _exit(1);
        if (truncate("other", 1) == 0 || pwrite(r, &byte, 1, 0) >= 0 || ftruncate(r, 0) == 0) _exit(2);
        if (mmap(NULL, PAGE, RW, MAP_SHARED, r, 0) != MAP_FAILED || mprotect(x, PAGE, RW) == 0) _exit(3);
        if (fallocate(r, 0, 0, PAGE) == 0 || syscall(SYS_copy_file_range, r, NULL, r, NULL, 1ul, 0) > 0) _exit(4);
        _exit(0);
    }
    LT_EQUAL(waitpid(child, &status, 0), child);
    LT_EQUAL(status, 0);
    LT_EQUAL(call(x), 42);
}

// Mapped to be read, written by another process while it is: it does not become code by a change of protection.
LT_TEST(a_file_that_is_written_after_it_was_mapped) {
    only_here();
    int pair[2];
    char byte;
    make_file("file");
    int r = (int)LT_OK(open("file", O_RDONLY));
    char *shared = map(PAGE, PROT_READ, MAP_SHARED, r, 0), *own = map(PAGE, PROT_READ, MAP_PRIVATE, r, 0);
    LT_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    pid_t child = (pid_t)LT_OK(fork());
    if (child == 0) {
        close(pair[0]);
        if (munmap(shared, PAGE) != 0 || munmap(own, PAGE) != 0) _exit(1);
        int w = open("file", O_RDWR);
        // Refused: a mapping that may be executed later is as one that is.
        if (w < 0) _exit(errno == ETXTBSY ? 0 : 2);
        if (pwrite(w, code, sizeof code, 0) != sizeof code || write(pair[1], "w", 1) != 1) _exit(3);
        _exit(read(pair[1], &byte, 1) != 0);
    }
    LT_OK(close(pair[1]));
    if (read(pair[0], &byte, 1) == 1) {
        REFUSED(mprotect(shared, PAGE, RX));
        REFUSED(mprotect(own, PAGE, RX));
        REFUSED(mmap(NULL, PAGE, RX, MAP_PRIVATE, r, 0));
        LT_EQUAL(runs(shared), 0);
        LT_EQUAL(runs(own), 0);
    }
    gone(child, pair[0]);
}

// What is called by a process about another one, or about itself.
LT_TEST(as_a_tracer) {
    only_here();
    char *text = (char *)(unsigned long)runs, path[64];
    int ends[2], status;
    const unsigned char first = *(volatile unsigned char *)text;
    LT_OK(pipe(ends));
    pid_t child = (pid_t)LT_OK(fork());
    if (child == 0) {
        char byte;
        (void)ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        close(ends[1]);
        _exit(read(ends[0], &byte, 1) != 0 || *(volatile unsigned char *)text != first);
    }
    LT_CHECK(ptrace(PTRACE_ATTACH, child, NULL, NULL) == -1);
    LT_CHECK(ptrace(PTRACE_SEIZE, child, NULL, NULL) == -1);
    LT_CHECK(ptrace(PTRACE_POKETEXT, child, text, 0xccul) == -1);
    unsigned char trap = 0xcc;
    struct {
        void *base;
        size_t size;
    } local = {&trap, 1}, remote = {text, 1};
    LT_CHECK(syscall(SYS_process_vm_writev, child, &local, 1ul, &remote, 1ul, 0ul) == -1);
    const char *const names[] = {"/proc/%d/mem", "/proc/%d/task/%d/mem", "/proc/%d/map_files/0-1"};
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, names[i], child, child);
        LT_CHECK(open(path, O_RDWR) == -1);
    }
    LT_OK(close(ends[1]));
    LT_EQUAL(waitpid(child, &status, 0), child);
    LT_EQUAL(status, 0);
}

// Calls that on Linux lead to memory by another way.
LT_TEST(by_other_calls) {
    only_here();
    char *at = written();
    REFUSED(syscall(SYS_shmget, 0, PAGE, 0700 | 01000) == -1 ? (errno = EPERM, -1) : 0);
    REFUSED(syscall(SYS_pkey_mprotect, at, PAGE, RX, -1) == -1 ? (errno = EPERM, -1) : 0);
    REFUSED(syscall(SYS_remap_file_pages, at, PAGE, RX, 0, 0) == -1 ? (errno = EPERM, -1) : 0);
    REFUSED(open("/dev/mem", O_RDWR) == -1 ? (errno = EPERM, -1) : 0);
    LT_EQUAL(runs(at), 0);
}

// The pages that the system maps into a process are its own to write, then they are no code.
LT_TEST(pages_of_the_system) {
    only_here();
    char *vdso = (char *)getauxval(AT_SYSINFO_EHDR);
    LT_CHECK(vdso != NULL);
    int status;
    pid_t child = (pid_t)LT_OK(fork());
    if (child == 0) {
        if (mprotect(vdso, PAGE, RWX) == 0) _exit(2);
        if (mprotect(vdso, PAGE, RW) != 0) _exit(0);
        memcpy(vdso, code, sizeof code);
        if (mprotect(vdso, PAGE, RX) != 0) _exit(0);
        _exit(call(vdso) == 42);
    }
    LT_EQUAL(waitpid(child, &status, 0), child);
    LT_CHECK(status == 0 || status == SIGSEGV || status == SIGBUS);
}

// ---- past liblinux ----------------------------------------------------------------------------------------------------------

enum {  // abi/syscalls.def, abi/types.h
    HANDLE_INFO = 0x1006, PROCESS_CREATE = 0x100f, VMO_CREATE = 0x1022, VMO_CLONE, VMO_READ, VMO_WRITE, ASPACE_MAP = 0x1029,
    ASPACE_PROTECT = 0x102b, FILE_VMO = 0x1084, FS_MOUNT, ASPACE_CREATE = 0x108b, PATH_OPEN = 0x106d, HANDLE_DUP = 0x1002,
    KIND_JOB = 1, KIND_PROCESS, KIND_VMO = 4, KIND_ASPACE, KIND_DIRECTORY = 16, KIND_FILE,
    RIGHT_READ = 1, RIGHT_WRITE = 2, RIGHT_EXECUTE = 4, RIGHT_JIT = 1 << 11, RIGHTS_ALL = 0x7ffff,
    MAP_READ_ = 1, MAP_WRITE_ = 2, MAP_EXECUTE = 4, MAP_PRIVATE_ = 64, MAP_ANONYMOUS_ = 512,
    MOST = 512,
};

static struct {
    long handle;
    unsigned kind, rights;
} handles[MOST];
static unsigned handle_count;

static void find_handles(void) {
    struct {
        unsigned kind, rights;
        unsigned long rest[4];
    } info;
    handle_count = 0;
    for (long generation = 1; generation < 8; generation++)
        for (long index = 0; index < 256 && handle_count < MOST; index++)
            if (native(HANDLE_INFO, HANDLE(generation, index), (long)&info, 0, 0, 0, 0) == 0) {
                handles[handle_count].handle = HANDLE(generation, index);
                handles[handle_count].kind = info.kind;
                handles[handle_count++].rights = info.rights;
            }
}

static long of_kind(unsigned kind) {
    for (unsigned i = 0; i < handle_count; i++)
        if (handles[i].kind == kind) return handles[i].handle;
    return 0;
}

LT_TEST(by_native_mappings) {
    only_here();
    find_handles();
    const long aspace = of_kind(KIND_ASPACE);
    LT_CHECK(aspace != 0);
    const long how[] = {MAP_EXECUTE, MAP_READ_ | MAP_EXECUTE, MAP_READ_ | MAP_WRITE_ | MAP_EXECUTE};
    long vmo = native(VMO_CREATE, PAGE, 0, 0, 0, 0, 0);
    LT_CHECK(vmo > 0);
    LT_EQUAL(native(VMO_WRITE, vmo, 0, (long)code, sizeof code, 0, 0), sizeof code);
    for (int i = 0; i < 3; i++) {
        LT_CHECK(native(ASPACE_MAP, aspace, 0, 0, PAGE, how[i] | MAP_ANONYMOUS_, 0) < 0);
        LT_CHECK(native(ASPACE_MAP, aspace, vmo, 0, PAGE, how[i], 0) < 0);
        LT_CHECK(native(ASPACE_MAP, aspace, vmo, 0, PAGE, how[i] | MAP_PRIVATE_, 0) < 0);
    }
    long at = native(ASPACE_MAP, aspace, vmo, 0, PAGE, MAP_READ_ | MAP_WRITE_, 0);
    LT_CHECK(at > 0);
    for (int i = 0; i < 3; i++) LT_CHECK(native(ASPACE_PROTECT, aspace, at, PAGE, how[i], 0, 0) < 0);
    LT_EQUAL(runs((void *)at), 0);
    for (int mode = 0; mode < 4; mode++) {
        long clone = native(VMO_CLONE, vmo, mode, 0, PAGE, 0, 0);
        if (clone > 0) LT_CHECK(native(ASPACE_MAP, aspace, clone, 0, PAGE, MAP_READ_ | MAP_EXECUTE, 0) < 0);
    }
    char *own = written();
    for (int i = 0; i < 3; i++) LT_CHECK(native(ASPACE_PROTECT, aspace, (long)own, PAGE, how[i], 0, 0) < 0);
    LT_EQUAL(runs(own), 0);
}

// A file that is open for writing gives no executable memory, whatever rights are asked for and whichever handle is asked.
LT_TEST(by_native_files) {
    only_here();
    int fds[] = {(int)LT_OK(open("file", O_RDWR | O_CREAT, 0755)), make_memory(), make_shared()};
    for (int i = 0; i < 3; i++) LT_EQUAL(write(fds[i], code, sizeof code), sizeof code);
    find_handles();
    const long aspace = of_kind(KIND_ASPACE);
    for (unsigned i = 0; i < handle_count; i++) {
        if (handles[i].kind != KIND_FILE || !(handles[i].rights & RIGHT_WRITE)) continue;
        for (long rights = RIGHT_EXECUTE; rights < 8; rights++) {
            long vmo = native(FILE_VMO, handles[i].handle, rights, 0, 0, 0, 0);
            if (vmo > 0) LT_FAIL("a file with the rights %#x gave %#lx", handles[i].rights, rights);
        }
        long vmo = native(FILE_VMO, handles[i].handle, RIGHT_READ | RIGHT_WRITE, 0, 0, 0, 0);
        if (vmo <= 0) continue;
        LT_CHECK(native(ASPACE_MAP, aspace, vmo, 0, PAGE, MAP_READ_ | MAP_EXECUTE, 0) < 0);
        LT_CHECK(native(ASPACE_MAP, aspace, vmo, 0, PAGE, MAP_READ_ | MAP_EXECUTE | MAP_PRIVATE_, 0) < 0);
    }
    LT_OK(unlink("/dev/shm/noexec.others"));
}

// No handle has the JIT right, none gets it, and neither a file system of the program's own nor another process has it.
LT_TEST(by_native_rights) {
    only_here();
    int aspace_handle;
    find_handles();
    for (unsigned i = 0; i < handle_count; i++) {
        if (handles[i].rights & RIGHT_JIT && handles[i].kind != KIND_VMO) LT_FAIL("kind %u has %#x", handles[i].kind, handles[i].rights);
        long more = native(HANDLE_DUP, handles[i].handle, (long)(handles[i].rights | RIGHT_JIT), 0, 0, 0, 0);
        if (more > 0) LT_FAIL("kind %u was duplicated with the right", handles[i].kind);
    }
    const long job = of_kind(KIND_JOB);
    if (job != 0) LT_CHECK(native(PROCESS_CREATE, job, 1, (long)"p", 1, (long)&aspace_handle, 0) < 0);
    long other = native(ASPACE_CREATE, 0, 0, 0, 0, 0, 0);
    if (other > 0) LT_CHECK(native(ASPACE_MAP, other, 0, 0, PAGE, MAP_READ_ | MAP_EXECUTE | MAP_ANONYMOUS_, 0) < 0);
    long root = native(FS_MOUNT, (long)"tmpfs", 0, 0, 0, 0, 0);
    if (root <= 0) return;
    struct {
        unsigned kind, rights;
        unsigned long rest[4];
    } info;
    LT_EQUAL(native(HANDLE_INFO, root, (long)&info, 0, 0, 0, 0), 0);
    LT_EQUAL(info.rights & RIGHT_EXECUTE, 0);
}
