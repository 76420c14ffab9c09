// In place of the host of an app (tests/system/test_appd.py): a Linux program that an app has taken over, and that tries to run code
// which it wrote. Descriptor 3 is the artifact. Says how many ways were refused, or which was not.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/wasm/host/hostile.h"

#define PAGE 4096ul
#define RW (PROT_READ | PROT_WRITE)
#define RX (PROT_READ | PROT_EXEC)
#define RWX (RW | PROT_EXEC)
#define OWN (MAP_PRIVATE | MAP_ANONYMOUS)
#define ARTIFACT 3

const unsigned char code[CODE_BYTES] = {0xb8, 42, 0, 0, 0, 0xc3};  // mov $42, %eax; ret
static unsigned tried, made;
static sigjmp_buf back;

static void caught(int number) { siglongjmp(back, number); }

// Whether the code at that place runs.
static int runs(const void *at) {
    if (at == MAP_FAILED || at == NULL) return 0;
    if (sigsetjmp(back, 1) != 0) return 0;
    return ((int (*)(void))(unsigned long)at)() == 42;
}

void try(const char *way, int succeeded) {
    tried++;
    if (!succeeded) return;
    made++;
    printf("made code by %s\n", way);
}

// Writes the code to a place that may be written, and tries every protection.
static int protect_and_run(char *at) {
    static const int protections[] = {PROT_EXEC, RX, RWX};
    if (at == MAP_FAILED) return 0;
    if (sigsetjmp(back, 1) != 0) return 0;
    memcpy(at, code, sizeof code);
    for (int i = 0; i < 3; i++) {
        (void)mprotect((void *)((unsigned long)at & -PAGE), PAGE, protections[i]);
        if (runs(at)) return 1;
    }
    return 0;
}

static void memory(void) {
    static const int protections[] = {PROT_EXEC, RX, RWX}, kinds[] = {OWN, MAP_SHARED | MAP_ANONYMOUS, OWN | MAP_NORESERVE | MAP_POPULATE};
    static char data[2 * PAGE] __attribute__((aligned(4096)));
    char local[64], *heap = malloc(3 * PAGE);
    for (int k = 0; k < 3; k++) {
        for (int p = 0; p < 3; p++) try("mmap", mmap(NULL, PAGE, protections[p], kinds[k], -1, 0) != MAP_FAILED);
        try("mprotect", protect_and_run(mmap(NULL, PAGE, RW, kinds[k], -1, 0)));
    }
    try("data", protect_and_run(data));
    try("the heap", protect_and_run(heap + PAGE));
    try("the stack", protect_and_run(local));
    try("brk", protect_and_run((char *)syscall(SYS_brk, syscall(SYS_brk, 0) + 4 * PAGE) - PAGE));
    (void)personality(READ_IMPLIES_EXEC);
    try("personality", protect_and_run(mmap(NULL, PAGE, RW, OWN, -1, 0)));
    char *moved = mmap(NULL, PAGE, RW, OWN, -1, 0), *text = mmap(NULL, PAGE, RX, MAP_PRIVATE, ARTIFACT, 0);
    memcpy(moved, code, sizeof code);
    try("mremap", text != MAP_FAILED && mremap(moved, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, text) != MAP_FAILED && runs(text));
}

static void own_text(void) {
    char *text = (char *)((unsigned long)runs & -PAGE);
    try("its own text", mprotect(text, PAGE, RWX) == 0);
    try("its own text, written", protect_and_run(text));
    int fd = open("/proc/self/mem", O_RDWR);
    try("/proc/self/mem", fd >= 0 && pwrite(fd, code, sizeof code, (off_t)(unsigned long)text) == sizeof code);
    struct {
        const void *base;
        size_t size;
    } local = {code, sizeof code}, remote = {text, sizeof code};
    try("process_vm_writev", syscall(SYS_process_vm_writev, getpid(), &local, 1ul, &remote, 1ul, 0ul) > 0);
}

// The artifact may be mapped and executed; never written.
static void artifact(void) {
    char *at = mmap(NULL, PAGE, RX, MAP_PRIVATE, ARTIFACT, 0);
    try("no artifact at all", at == MAP_FAILED);  // so that what follows means something
    try("a write to the artifact", write(ARTIFACT, code, sizeof code) > 0);
    try("pwrite to the artifact", pwrite(ARTIFACT, code, sizeof code, 0) > 0);
    try("ftruncate", ftruncate(ARTIFACT, 0) == 0);
    try("fallocate", fallocate(ARTIFACT, 16, 0, PAGE) == 0);
    int fd = open("/proc/self/fd/3", O_RDWR | O_TRUNC);
    try("another open of the artifact", write(fd, code, sizeof code) > 0 || mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0) != MAP_FAILED);
    try("a shared mapping", mmap(NULL, PAGE, RW, MAP_SHARED, ARTIFACT, 0) != MAP_FAILED);
    try("a shared mapping for later", mprotect(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, ARTIFACT, 0), PAGE, RW) == 0);
    try("a private mapping to write and execute", mmap(NULL, PAGE, RWX, MAP_PRIVATE, ARTIFACT, 0) != MAP_FAILED);
    try("a private copy", protect_and_run(mmap(NULL, PAGE, RW, MAP_PRIVATE, ARTIFACT, 0)));
    try("a private copy of code", protect_and_run(at));
    (void)mprotect(at, PAGE, RW);
    try("a private copy of code, protected", protect_and_run(at));
}

static int code_file(int fd) {
    static char page[PAGE];
    memcpy(page, code, sizeof code);
    if (fd < 0 || write(fd, page, sizeof page) != sizeof page) return -1;
    (void)fchmod(fd, 0755);
    return fd;
}

static int runs_from(int fd) {
    return runs(mmap(NULL, PAGE, RX, MAP_PRIVATE, fd, 0)) || runs(mmap(NULL, PAGE, RX, MAP_SHARED, fd, 0)) ||
           runs(mmap(NULL, PAGE, RWX, MAP_SHARED, fd, 0)) || protect_and_run(mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0));
}

static void files(void) {
    static const char *const places[] = {"/", "/tmp", "/dev/shm", "/run/shm", "/run", "/d0", "/proc", "."};
    char *const arguments[] = {"x", NULL}, *const none[] = {NULL};
    for (unsigned i = 0; i < sizeof places / sizeof places[0]; i++) {
        char path[64];
        snprintf(path, sizeof path, "%s/code", places[i]);
        int fd = code_file(open(path, O_RDWR | O_CREAT | O_TRUNC, 0755));
        try(path, fd >= 0 && runs_from(fd));
        close(fd);
        fd = open(path, O_RDONLY);
        try(path, fd >= 0 && runs_from(fd));
        if (fd >= 0) (void)execve(path, arguments, none);  // does not return where it works: no line comes then
        fd = open(places[i], O_RDWR | O_TMPFILE, 0755);
        try("a nameless file", code_file(fd) >= 0 && runs_from(fd));
    }
    int fd = code_file((int)syscall(SYS_memfd_create, "code", 0));
    try("a memfd", fd >= 0 && runs_from(fd));
    if (fd >= 0) (void)syscall(SYS_execveat, fd, "", arguments, none, AT_EMPTY_PATH);
    try("shmget", syscall(SYS_shmget, 0, PAGE, 01700) >= 0);
    try("another process", fork() >= 0);
}

int main(void) {
    const struct sigaction action = {.sa_handler = caught, .sa_flags = SA_NODEFER};
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
    sigaction(SIGILL, &action, NULL);
    memory();
    own_text();
    artifact();
    files();
    try_native_calls();
    printf("%s: %u ways\n", made == 0 ? "refused" : "NOT REFUSED", tried);
    return made != 0;
}
