// A program that goes past liblinux: KPIO's own calls with any handle value, and writing all over the library. It can end itself; the
// process beside it goes on, and the calls of its own that need no library are refused what it has no handle for. On KPIO only.
#include "tests/linux/native.h"

#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/wait.h>

enum {  // abi/syscalls.def: the numbers are fixed
    HANDLE_CLOSE = 0x1001, JOB_KILL = 0x100c, PROCESS_EXIT = 0x1011, PROCESS_KILL = 0x1012, SET_FOREIGN_ENTRY = 0x1015,
    THREAD_EXIT = 0x1018,
    HANDLE_INFO = 0x1006, HANDLE_AUDIT, JOB_CREATE = 0x1009, PROCESS_CREATE = 0x100f, PCI_LIST = 0x1049, MMIO_CREATE = 0x1052,
    IRQ_CREATE, BOOT_INFO = 0x1059, SYSTEM_POWER, AUDIT_READ = 0x105e, SYSTEM_BENCH = 0x1062, COVERAGE_READ,
    DISK_OPEN = 0x1065,
};

// Runs it in a child while another process works: that one, and this, must not notice. The child's wait status.
static int beside(void (*wild)(void)) {
    volatile int *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    LT_CHECK(shared != MAP_FAILED);
    int status, good;
    pid_t neighbour = (pid_t)LT_OK(fork());
    if (neighbour == 0) {
        char text[8] = "";
        for (int i = 0; !shared[0]; i++) {
            int fd = open("neighbour", O_RDWR | O_CREAT | O_TRUNC, 0600);
            if (fd < 0 || write(fd, "working", 8) != 8 || pread(fd, text, 8, 0) != 8 || strcmp(text, "working") != 0) _exit(1);
            close(fd);
            shared[1] = i + 1;
        }
        _exit(0);
    }
    while (shared[1] == 0) usleep(1000);
    pid_t child = (pid_t)LT_OK(fork());
    if (child == 0) {
        wild();
        native(PROCESS_EXIT, 5 << 8, 0, 0, 0, 0, 0);
    }
    LT_EQUAL(waitpid(child, &status, 0), child);
    int before = shared[1];
    for (int i = 0; i < LT_HANG_MS && shared[1] < before + 3; i++) usleep(1000);
    shared[0] = 1;
    int more = shared[1] >= before + 3;
    LT_EQUAL(waitpid(neighbour, &good, 0), neighbour);
    LT_EQUAL(good, 0);
    LT_CHECK(more);
    return status;
}

static void close_all(void) {
    for (long h = -64; h < 64; h++) native(HANDLE_CLOSE, h, 0, 0, 0, 0, 0);
    for (long generation = 1; generation < 16; generation++)
        for (long index = 0; index < 256; index++) native(HANDLE_CLOSE, HANDLE(generation, index), 0, 0, 0, 0, 0);
}
LT_TEST(close_all_handles) {
    only_here();
    (void)beside(close_all);
}

// Without its handles the library still answers; nothing that it says can be relied on, and nothing is reached by it.
static void close_and_go_on(void) {
    char byte;
    close_all();
    (void)!read(0, &byte, 1);
    (void)open("/", O_RDONLY);
    (void)fork();
    (void)mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *const none[] = {NULL};
    execve("/bin/sh", none, none);
}
LT_TEST(go_on_without_handles) {
    only_here();
    (void)beside(close_and_go_on);
}

static uint64_t random_state = 88172645463325252u;
static uint64_t next_random(void) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    return random_state ^= random_state << 17;
}

// Values near those that handles have, and any; ways to end others with each.
static void forge(void) {
    for (int i = 0; i < 20000; i++) {
        long near = (long)HANDLE(1 + next_random() % 16, next_random() % 256);
        long h = i % 2 ? near : (long)(next_random() >> next_random() % 64);
        if (native(JOB_KILL, h, 0, 0, 0, 0, 0) == 0) native(PROCESS_EXIT, 9 << 8, 0, 0, 0, 0, 0);
    }
}
LT_TEST(forged_handles) {
    only_here();
    LT_EQUAL(beside(forge), 5 << 8);
}

static void native_entry(void) {
    native(SET_FOREIGN_ENTRY, 0, 0, 0, 0, 0, 0);
    if (syscall(39) != -1 && errno != ENOSYS) native(PROCESS_EXIT, 9 << 8, 0, 0, 0, 0, 0);
    native(SET_FOREIGN_ENTRY, (long)(1ul << 46), 0, 0, 0, 0, 0);
    syscall(39);
}
LT_TEST(another_entry) {
    only_here();
    int status = beside(native_entry);
    LT_CHECK(status != 9 << 8);
}

// The library's contexts lie at the top of what is mapped; whatever can be written is.
static void scribble(void) {
    static char maps[65536];
    int fd = open("/proc/self/maps", O_RDONLY);
    ssize_t size = 0, got;
    while (fd >= 0 && (got = read(fd, maps + size, sizeof maps - 1 - (size_t)size)) > 0) size += got;
    uintptr_t own = (uintptr_t)__builtin_frame_address(0);
    for (char *line = maps; line != NULL && *line != 0; line = strchr(line, '\n'), line = line ? line + 1 : NULL) {
        unsigned long from, to;
        char how[8];
        if (sscanf(line, "%lx-%lx %7s", &from, &to, how) != 3 || how[0] != 'r' || how[1] != 'w') continue;
        if (how[3] == 's') continue;  // what is shared is everybody's to write
        if (own >= from && own < to) continue;
        if ((uintptr_t)maps >= from && (uintptr_t)maps < to) continue;
        if (to - from > 16u << 20) to = from + (16u << 20);
        for (unsigned long at = from; at < to; at += 64) *(volatile uint64_t *)at = 0x4141414141414141;
    }
    for (int i = 0; i < 400; i++) syscall(i);
}
LT_TEST(scribble_over_the_library) {
    only_here();
    LT_EQUAL(access("/proc/self/maps", R_OK), 0);
    int status = beside(scribble);
    LT_CHECK(status != 0);
}

// What no program needs is not reached with what it was handed, whatever it tries it with: no device, no disk, no job or process
// beside its own, nothing that costs the machine. (Memory of the WASM pool its own job pays for.) What these calls say of wrong
// arguments they say only to who has the right.
static int reached;
static void try_all(void) {
    static char bytes[256], memory[256];
    const struct {
        long number, b, c, d, e;
    } calls[] = {
        {SYSTEM_BENCH, 0, 1, 0, 0}, {COVERAGE_READ, 0, 0, 0, 0}, {BOOT_INFO, 0, (long)bytes, 1, 0},
        {PCI_LIST, 0, 0, 0, 0}, {MMIO_CREATE, 0, 0, 0, 0}, {IRQ_CREATE, 0, 0, 0, 0}, {SYSTEM_POWER, 99, 0, 0, 0},
        {AUDIT_READ, (long)memory, (long)bytes, 1, 0}, {DISK_OPEN, (long)"vda", 3, 0, 0}, {JOB_CREATE, (long)memory, (long)"j", 1, 0},
        {PROCESS_CREATE, 0, (long)"p", 1, (long)bytes}, {HANDLE_AUDIT, 0, 0, 0, 0},
    };
    enum { EBADF_ = -9, EACCES_ = -13, EWRONGTYPE_ = -71 };
    int handles = 0;
    for (long generation = 0; generation < 8; generation++)
        for (long index = 0; index < 512; index++) {
            const long h = HANDLE(generation, index);
            if (native(HANDLE_INFO, h, (long)bytes, 0, 0, 0, 0) != 0) continue;
            handles++;
            for (unsigned i = 0; i < sizeof calls / sizeof calls[0]; i++) {
                long result = native(calls[i].number, h, calls[i].b, calls[i].c, calls[i].d, calls[i].e, 0);
                if (result != EBADF_ && result != EACCES_ && result != EWRONGTYPE_) reached = (int)calls[i].number;
            }
        }
    if (reached == 0 && handles < 5) reached = 1;
    native(PROCESS_EXIT, (reached & 0xff) << 8, 0, 0, 0, 0, 0);
}
LT_TEST(nothing_is_reached_by_handles_that_it_has) {
    only_here();
    LT_EQUAL(beside(try_all), 0);
}
