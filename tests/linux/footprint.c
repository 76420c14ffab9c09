// What a process pays for liblinux: private memory beside the program's own, shared text apart. At most 256 KiB. On KPIO only.
//
// Counted are all pages in memory of all mappings that the program did not make: heap, contexts, threads' areas. Not counted: the
// program's segments, its break and stack; what cannot be written and comes from somewhere that others map too (the library's image,
// the vDSO); what the kernel maps for each thread of any process, its block and message page, which is told apart.
#define LT_BEGIN begin
static void begin(int argc, char **argv);
#include "tests/linux/native.h"

#include <pthread.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum { LIMIT_KIB = 256, PAGE_KIB = 4 };
enum { HANDLE_INFO = 0x1006, ASPACE_QUERY = 0x102c };
enum { KIND_ASPACE = 5, MAP_WRITE = 2, MAP_ANONYMOUS_ = 0x200 };  // abi/types.h

struct range {
    uint64_t start, size, flags, vmo, offset, committed;
};

extern char __executable_start[], _end[];

static long own_aspace(void) {
    struct {
        uint32_t kind, rights;
        uint64_t rest[4];
    } info;
    for (long generation = 1; generation < 8; generation++)
        for (long index = 0; index < 256; index++)
            if (native(HANDLE_INFO, HANDLE(generation, index), (long)&info, 0, 0, 0, 0) == 0 && info.kind == KIND_ASPACE)
                return HANDLE(generation, index);
    return 0;
}

static int holds(const struct range *r, const void *address) { return (uint64_t)address - r->start < r->size; }

static int is_programs(const struct range *r, const void *stack) {
    const char *const break_end = sbrk(0);
    return (r->start >= (uint64_t)__executable_start && r->start < (uint64_t)_end) || holds(r, stack) || holds(r, break_end - 1);
}

struct footprint {
    unsigned library, kernel;   // KiB
    char what[300];             // each mapping of the library
};

// `stack`: somewhere in the program's.
static struct footprint measure(const void *stack) {
    struct range r;
    struct footprint f = {0};
    size_t used = 0;
    const long aspace = own_aspace();
    for (uint64_t at = 0; native(ASPACE_QUERY, aspace, (long)at, (long)&r, 6, 0, 0) >= 0 && r.start >= at; at = r.start + r.size) {
        if (is_programs(&r, stack) || (r.vmo != 0 && !(r.flags & MAP_WRITE))) continue;
        unsigned kib = (unsigned)r.committed * PAGE_KIB;
        if (r.vmo == 0 && !(r.flags & MAP_ANONYMOUS_)) {
            f.kernel += kib;
            continue;
        }
        f.library += kib;
        int more = snprintf(f.what + used, sizeof f.what - used, " %llx: %u", (unsigned long long)r.start, kib);
        if (more > 0 && used + (size_t)more < sizeof f.what) used += (size_t)more;
    }
    return f;
}

static int is_within(const struct footprint *f) { return f->library > 0 && f->kernel > 0 && f->library <= LIMIT_KIB; }

static void check(const char *when) {
    char local;
    const struct footprint f = measure(&local);
    lt_say("KTEST note %s: %u KiB, and the kernel's %u KiB for its threads\n", when, f.library, f.kernel);
    if (!is_within(&f)) LT_FAIL("%u KiB:%s", f.library, f.what);
}

// "PROGRAM measure": its exit status is 0 when a program that was just executed is within the limit.
static void begin(int argc, char **argv) {
    char local;
    if (argc != 2 || strcmp(argv[1], "measure") != 0) return;
    const struct footprint f = measure(&local);
    _exit(!is_within(&f));
}

LT_TEST(as_started) {
    only_here();
    check("as_started");
}

LT_TEST(as_executed) {
    only_here();
    int status;
    pid_t child = (pid_t)LT_OK(fork());
    if (child == 0) {
        execl("/proc/self/exe", "footprint", "measure", NULL);
        _exit(2);
    }
    LT_EQUAL(waitpid(child, &status, 0), child);
    LT_EQUAL(status, 0);
}

static void open_many(void) {
    int pair[2];
    for (int i = 0; i < 16; i++) {
        LT_OK(open("file", O_RDWR | O_CREAT, 0600));
        LT_OK(pipe(pair));
        LT_OK(eventfd(0, 0));
    }
    LT_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    LT_OK(epoll_create1(0));
}

LT_TEST(with_descriptors) {
    only_here();
    open_many();
    check("with_descriptors");
}

// The threads' own stacks are the program's: in its data, so that what else is mapped is the library's.
enum { THREADS = 8 };
static char stacks[THREADS][1 << 17] __attribute__((aligned(4096)));
static pthread_barrier_t barrier;
static void *work(void *arg) {
    char text[100];
    int fd = open("/proc/self/status", O_RDONLY);
    long got = fd < 0 ? -1 : read(fd, text, sizeof text);
    kill(getpid(), SIGUSR1);
    if (fd >= 0) close(fd);
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    return (void *)got;
}
static void handle(int number) { (void)number; }

// Each has made calls and the process has taken signals, so that all that a thread touches of its area is touched.
LT_TEST(with_descriptors_and_threads) {
    only_here();
    pthread_t threads[THREADS];
    LT_EQUAL(pthread_barrier_init(&barrier, NULL, THREADS + 1), 0);
    signal(SIGUSR1, handle);
    open_many();
    for (int i = 0; i < THREADS; i++) {
        pthread_attr_t attributes;
        LT_EQUAL(pthread_attr_init(&attributes), 0);
        LT_EQUAL(pthread_attr_setstack(&attributes, stacks[i], sizeof stacks[i]), 0);
        LT_EQUAL(pthread_create(&threads[i], &attributes, work, NULL), 0);
    }
    pthread_barrier_wait(&barrier);
    check("with_descriptors_and_threads");
    pthread_barrier_wait(&barrier);
    for (int i = 0; i < THREADS; i++) {
        void *got;
        LT_EQUAL(pthread_join(threads[i], &got), 0);
        LT_CHECK((long)got > 0);
    }
}
