// What is not there: it is said as Linux says it, and KPIO counts it in /proc/kpio/unimplemented, for all programs of a session.
#include "tests/linux/native.h"

#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

// How often a line's call was asked for.
static unsigned long counted(const char *line) {
    char text[65536];
    const int fd = (int)LT_OK(open("/proc/kpio/unimplemented", O_RDONLY));
    size_t size = 0;
    for (ssize_t n; (n = read(fd, text + size, sizeof text - 1 - size)) > 0;) size += (size_t)n;
    LT_OK(close(fd));
    text[size] = 0;
    for (const char *at = text; *at != 0; at = strchr(at, '\n') + 1)
        if (strncmp(at, line, strlen(line)) == 0) return strtoul(at + strlen(line), NULL, 10);
    return 0;
}

// How often one more try of `call` makes it.
#define COUNTS(line, call)                                                                                                         \
    ({                                                                                                                             \
        const unsigned long lt_before = counted(line);                                                                             \
        (void)(call);                                                                                                              \
        counted(line) - lt_before;                                                                                                 \
    })

LT_TEST(calls) {
    only_here();
    LT_ERRNO(syscall(SYS_kexec_load, 0, 0, 0, 0), ENOSYS);
    LT_EQUAL(COUNTS("246 kexec_load ", syscall(SYS_kexec_load, 0, 0, 0, 0)), 1);
    LT_EQUAL(COUNTS("246 kexec_load ", 0), 0);
    LT_ERRNO(syscall(500), ENOSYS);
    LT_EQUAL(COUNTS("500 unknown ", syscall(500)), 1);
    LT_ERRNO(syscall(0x7fffffff), ENOSYS);
    LT_EQUAL(COUNTS("511 unknown ", syscall(0x7fffffff)), 1);
    LT_EQUAL(COUNTS("39 getpid ", getpid()), 0);
}

LT_TEST(flags) {
    only_here();
    LT_EQUAL(COUNTS("157 prctl flags ", prctl(4711, 0, 0, 0, 0)), 1);
    LT_EQUAL(COUNTS("157 prctl flags ", prctl(PR_GET_DUMPABLE, 0, 0, 0, 0)), 0);
    LT_EQUAL(COUNTS("28 madvise flags ", madvise(NULL, 0, 4711)), 1);
    LT_EQUAL(COUNTS("72 fcntl flags ", fcntl(0, 4711, 0)), 1);
    LT_EQUAL(COUNTS("202 futex flags ", syscall(SYS_futex, &(int){0}, 99, 0, 0, 0, 0)), 1);
    LT_EQUAL(COUNTS("41 socket flags ", socket(AF_INET, SOCK_STREAM, 0)), 1);
    LT_EQUAL(COUNTS("41 socket flags ", socket(AF_UNIX, SOCK_STREAM, 0)), 0);
    LT_EQUAL(COUNTS("272 unshare flags ", unshare(CLONE_NEWNET)), 1);
    LT_EQUAL(COUNTS("56 clone flags ", syscall(SYS_clone, CLONE_NEWNET | SIGCHLD, 0, 0, 0, 0)), 1);
}

LT_TEST(of_all_programs) {
    only_here();
    int status;
    const unsigned long before = counted("246 kexec_load ");
    pid_t child = (pid_t)LT_OK(fork());
    if (child == 0) _exit(syscall(SYS_kexec_load, 0, 0, 0, 0) == 0);
    LT_EQUAL(waitpid(child, &status, 0), child);
    LT_EQUAL(counted("246 kexec_load ") - before, 1);
}

// What both say of what neither knows.
LT_TEST(what_is_said) {
    LT_ERRNO(syscall(600), ENOSYS);
    LT_ERRNO(syscall(0x7ffffff0), ENOSYS);
    LT_ERRNO(prctl(4711, 0, 0, 0, 0), EINVAL);
    LT_ERRNO(madvise(NULL, 0, 4711), EINVAL);
    LT_ERRNO(fcntl(0, 4711, 0), EINVAL);
    LT_ERRNO(syscall(SYS_futex, &(int){0}, 99, 0, 0, 0, 0), ENOSYS);
    LT_ERRNO(socket(77, SOCK_STREAM, 0), EAFNOSUPPORT);
    LT_ERRNO(unshare(1), EINVAL);
}
