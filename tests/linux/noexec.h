// For tests that try to run what they wrote: the code, and what is expected of a way to run it.
#pragma once
#include "tests/linux/native.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define PAGE 4096ul
#define RW (PROT_READ | PROT_WRITE)
#define RX (PROT_READ | PROT_EXEC)
#define RWX (RW | PROT_EXEC)
#define OWN (MAP_PRIVATE | MAP_ANONYMOUS)

static const unsigned char code[] = {0xb8, 42, 0, 0, 0, 0xc3};  // mov $42, %eax; ret
static int call(const void *at) { return ((int (*)(void))(unsigned long)at)(); }

// Runs it in a child: 0 if that was stopped by SIGSEGV or, where a page has no right to run, SIGBUS; else its wait status.
static int runs(const void *at) {
    int status;
    pid_t child = (pid_t)LT_OK(fork());
    if (child == 0) {
        signal(SIGSEGV, SIG_DFL);
        _exit(call(at) == 42 ? 42 : 1);
    }
    LT_EQUAL(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && (WTERMSIG(status) == SIGSEGV || WTERMSIG(status) == SIGBUS) ? 0 : status;
}

#define REFUSED(call)                                                                                                              \
    do {                                                                                                                           \
        errno = 0;                                                                                                                 \
        long long lt_a = (long long)(call);                                                                                        \
        if (lt_a != -1 || (errno != EACCES && errno != EPERM && errno != ETXTBSY))                                                 \
            LT_FAIL("%s gave %lld with errno %d: it is to be refused", #call, lt_a, errno);                                        \
    } while (0)

static char *map(size_t size, int prot, int flags, int fd, long offset) {
    void *at = mmap(NULL, size, prot, flags, fd, offset);
    if (at == MAP_FAILED) LT_FAIL("mmap: errno %d", errno);
    return at;
}
static char *written(void) { return memcpy(map(PAGE, RW, OWN, -1, 0), code, sizeof code); }

// A page with the code in a file that is closed.
static void make_file(const char *path) {
    char page[PAGE] = {0};
    memcpy(page, code, sizeof code);
    int fd = (int)LT_OK(open(path, O_WRONLY | O_CREAT | O_TRUNC, 0755));
    LT_EQUAL(write(fd, page, sizeof page), sizeof page);
    LT_OK(close(fd));
}
