// Storms of threads: thousands at once, makers of threads side by side, processes that end while theirs wait.
// also: glibc
#define LT_BEGIN(argc, argv) begin(argc, argv)
static void begin(int argc, char **argv);
#include "tests/linux/lt.h"

#include <poll.h>
#include <pthread.h>
#include <spawn.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { MOST = 4000, STACK = 64 << 10 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static unsigned arrived, leave;

static void *wait_at_gate(void *number) {
    pthread_mutex_lock(&lock);
    arrived++;
    pthread_cond_broadcast(&changed);
    while (!leave) pthread_cond_wait(&changed, &lock);
    arrived--;
    pthread_mutex_unlock(&lock);
    return number;
}

static pthread_attr_t small_stack(void) {
    pthread_attr_t attributes;
    LT_EQUAL(pthread_attr_init(&attributes), 0);
    LT_EQUAL(pthread_attr_setstacksize(&attributes, STACK), 0);
    return attributes;
}

LT_TEST(thousands_at_once) {
    static pthread_t threads[MOST];
    pthread_attr_t attributes = small_stack();
    unsigned count = lt_times(200, MOST);
    arrived = leave = 0;
    for (unsigned long i = 0; i < count; i++) LT_EQUAL(pthread_create(&threads[i], &attributes, wait_at_gate, (void *)i), 0);
    pthread_mutex_lock(&lock);
    while (arrived < count) pthread_cond_wait(&changed, &lock);
    leave = 1;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    for (unsigned long i = 0; i < count; i++) {
        void *result;
        LT_EQUAL(pthread_join(threads[i], &result), 0);
        LT_EQUAL((unsigned long)result, i);
    }
    LT_EQUAL(arrived, 0);
}

static void *twice(void *number) { return (void *)(2 * (unsigned long)number); }
static void *make_many(void *times) {
    for (unsigned long i = 0; i < (unsigned long)times; i++) {
        pthread_t thread;
        void *result;
        if (pthread_create(&thread, NULL, twice, (void *)i) != 0 || pthread_join(thread, &result) != 0 || (unsigned long)result != 2 * i)
            return (void *)1;
    }
    return NULL;
}
LT_TEST(makers_side_by_side) {
    pthread_t makers[8];
    for (int i = 0; i < 8; i++) LT_EQUAL(pthread_create(&makers[i], NULL, make_many, (void *)(unsigned long)lt_times(20, 1000)), 0);
    for (int i = 0; i < 8; i++) {
        void *result;
        LT_EQUAL(pthread_join(makers[i], &result), 0);
        LT_EQUAL((long)result, 0);
    }
}

static unsigned detached;
static void *count_down(void *unused) {
    __atomic_sub_fetch(&detached, 1, __ATOMIC_ACQ_REL);
    return unused;
}
LT_TEST(detached) {
    pthread_attr_t attributes = small_stack();
    LT_EQUAL(pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED), 0);
    for (unsigned i = 0; i < lt_times(100, 5000); i++) {
        pthread_t thread;
        __atomic_add_fetch(&detached, 1, __ATOMIC_ACQ_REL);
        LT_EQUAL(pthread_create(&thread, &attributes, count_down, NULL), 0);
    }
    for (int i = 0; i < LT_HANG_MS && __atomic_load_n(&detached, __ATOMIC_ACQUIRE) != 0; i++) usleep(1000);
    LT_EQUAL(detached, 0);
}

// What threads do when their process ends: wait for a lock, read, sleep, run, make threads.
static int silent[2];
static void *be_busy(void *number) {
    char byte;
    switch ((unsigned long)number % 5) {
    case 0: return wait_at_gate(number);
    case 1: return (void *)read(silent[0], &byte, 1);
    case 2: return (void *)(long)usleep(100000000);
    case 3:
        for (;;) __asm__ volatile("pause");
    default: return make_many((void *)1000000);
    }
}
LT_TEST(a_process_ends_while_its_threads_wait) {
    LT_OK(pipe(silent));
    for (unsigned round = 0; round < lt_times(8, 400); round++) {
        int status;
        pid_t child = (pid_t)LT_OK(fork());
        if (child == 0) {
            pthread_t thread;
            arrived = leave = 0;
            for (unsigned long i = 0; i < 20; i++)
                if (pthread_create(&thread, NULL, be_busy, (void *)i) != 0) _exit(1);
            usleep(lt_random(3000));
            if (round % 2 == 0) raise(SIGKILL);
            _exit(3);
        }
        LT_EQUAL(waitpid(child, &status, 0), child);
        LT_EQUAL(status, round % 2 == 0 ? SIGKILL : 3 << 8);
    }
}

// Forks of a process whose other threads come and go.
LT_TEST(forks_beside_threads) {
    pthread_t makers[4];
    for (int i = 0; i < 4; i++) LT_EQUAL(pthread_create(&makers[i], NULL, make_many, (void *)(unsigned long)lt_times(20, 1500)), 0);
    for (unsigned i = 0; i < lt_times(30, 1000); i++) {
        int status;
        pid_t child = (pid_t)LT_OK(fork());
        if (child == 0) _exit((int)(i % 50));
        LT_EQUAL(waitpid(child, &status, 0), child);
        LT_EQUAL(status, (int)(i % 50) << 8);
    }
    for (int i = 0; i < 4; i++) {
        void *result;
        LT_EQUAL(pthread_join(makers[i], &result), 0);
        LT_EQUAL((long)result, 0);
    }
}

// ---- a fork is one moment ------------------------------------------------------------------------------------------------
// What a child sees of another thread's stores: all up to one of them, and none after it, wherever they went.

enum { PLACES = 8, FRESH = 512, PAGE = 4096 };
static volatile unsigned long *place[PLACES], *filled;
static volatile char *fresh;
static volatile bool enough;

static void *count_upwards(void *unused) {
    for (unsigned long n = 1; !enough; n++)
        for (int i = 0; i < PLACES; i++) place[i][0] = n;
    return unused;
}
static void *count_downwards(void *unused) {
    for (unsigned long n = 1; !enough; n++)
        for (int i = PLACES; i-- > 0;) place[i][1] = n;
    return unused;
}
// Pages that were not there before: every second one is read first.
static void *fill_pages(void *unused) {
    while (!enough) {
        for (unsigned long n = 0; n < FRESH && !enough; n++) {
            if (n % 2 == 0 && fresh[n * PAGE] != 0) return (void *)1;
            fresh[n * PAGE] = 1;
            *filled = n + 1;
        }
        *filled = 0;
        if (madvise((void *)fresh, FRESH * PAGE, MADV_DONTNEED) != 0) return (void *)2;
    }
    return unused;
}

static volatile unsigned long *map_place(void) {
    void *at = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    LT_CHECK(at != MAP_FAILED);
    LT_OK(mprotect((char *)at + PAGE, PAGE, PROT_NONE));  // so that no two are one mapping
    return at;
}

// 0, or what is wrong.
static int look(void) {
    for (int i = 1; i < PLACES; i++)
        if (place[i][0] > place[i - 1][0] || place[i][0] + 1 < place[0][0]) return 1;
    for (int i = PLACES - 1; i-- > 0;)
        if (place[i][1] > place[i + 1][1] || place[i][1] + 1 < place[PLACES - 1][1]) return 2;
    for (unsigned long n = 0; n < *filled; n++)
        if (fresh[n * PAGE] != 1) return 3;
    return 0;
}

LT_TEST(a_fork_is_one_moment) {
    void *(*const writers[])(void *) = {count_upwards, count_downwards, fill_pages};
    pthread_t threads[3];
    for (int i = 0; i < PLACES; i++) place[i] = map_place();
    filled = map_place();
    fresh = mmap(NULL, FRESH * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    LT_CHECK(fresh != MAP_FAILED);
    enough = false;
    for (int i = 0; i < 3; i++) LT_EQUAL(pthread_create(&threads[i], NULL, writers[i], NULL), 0);
    int flaw = 0;
    for (unsigned i = 0; i < lt_times(30, 1500) && flaw == 0; i++) {
        int status;
        pid_t child = (pid_t)LT_OK(fork());
        if (child == 0) _exit(look());
        LT_EQUAL(waitpid(child, &status, 0), child);
        flaw = status;
    }
    enough = true;
    for (int i = 0; i < 3; i++) {
        void *result;
        LT_EQUAL(pthread_join(threads[i], &result), 0);
        LT_EQUAL((long)result, 0);
    }
    LT_EQUAL(flaw, 0);
    for (int i = 0; i < PLACES; i++) LT_OK(munmap((void *)place[i], 2 * PAGE));
    LT_OK(munmap((void *)filled, 2 * PAGE));
    LT_OK(munmap((void *)fresh, FRESH * PAGE));
}

// ---- ends of pipes that are nobody's -------------------------------------------------------------------------------------
// A thread makes a pipe, closes the end that writes and reads: that ends, however many children were made in the middle, once
// they have closed what they have. Those stay until the last was made.

extern char **environ;
static volatile unsigned long ends_seen;

static void *make_pipes(void *unused) {
    char byte;
    while (!enough) {
        int ends[2];
        if (pipe2(ends, O_CLOEXEC) != 0 || close(ends[1]) != 0) return (void *)1;
        if (read(ends[0], &byte, 1) != 0) return (void *)2;
        if (close(ends[0]) != 0) return (void *)3;
        ends_seen++;
    }
    return unused;
}

// Until nobody has the other end of standard input.
__attribute__((noreturn)) static void stay(void) {
    char byte;
    _exit(read(0, &byte, 1) == 0 ? 0 : 9);
}
static void begin(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "stay") == 0) stay();
}

static pid_t child_by_fork(void) {
    pid_t child = (pid_t)LT_OK(fork());
    if (child != 0) return child;
    (void)syscall(SYS_close_range, 3, ~0u, 0);
    stay();
}
static pid_t child_by_spawn(void) {
    char *const arguments[] = {"stay", "stay", NULL};
    pid_t child;
    LT_EQUAL(posix_spawn(&child, "/proc/self/exe", NULL, NULL, arguments, environ), 0);
    return child;
}

static void children_beside_pipes(pid_t (*make)(void)) {
    static pid_t children[400];
    unsigned count = lt_times(40, 400);
    int hold[2], status;
    pthread_t thread;
    LT_OK(pipe2(hold, O_CLOEXEC));
    LT_OK(dup2(hold[0], 0));
    enough = false;
    LT_EQUAL(pthread_create(&thread, NULL, make_pipes, NULL), 0);
    for (unsigned i = 0; i < count; i++) children[i] = make();
    const unsigned long before = ends_seen;
    for (int i = 0; i < LT_HANG_MS && ends_seen == before; i++) usleep(1000);
    const bool went_on = ends_seen != before;
    LT_OK(close(hold[1]));
    for (unsigned i = 0; i < count; i++) {
        LT_EQUAL(waitpid(children[i], &status, 0), children[i]);
        LT_EQUAL(status, 0);
    }
    enough = true;
    void *result;
    LT_EQUAL(pthread_join(thread, &result), 0);
    LT_EQUAL((long)result, 0);
    LT_CHECK(went_on);
}
LT_TEST(forks_take_no_ends) { children_beside_pipes(child_by_fork); }
LT_TEST(spawns_take_no_ends) { children_beside_pipes(child_by_spawn); }

static void *duplicate(void *end) {
    for (;;) {
        int other = fcntl((int)(long)end, F_DUPFD_CLOEXEC, 0);
        if (other < 0 || close(other) != 0) _exit(1);
    }
}
// A program whose threads were duplicating an end of a pipe leaves none of them to the program that follows it.
LT_TEST(execs_take_no_ends) {
    for (unsigned round = 0; round < lt_times(20, 400); round++) {
        int hold[2], ends[2], status;
        char byte;
        LT_OK(pipe2(hold, O_CLOEXEC));
        LT_OK(pipe2(ends, O_CLOEXEC));
        pid_t child = (pid_t)LT_OK(fork());
        if (child == 0) {
            pthread_t thread;
            if (dup2(hold[0], 0) != 0) _exit(1);
            for (int i = 0; i < 3; i++)
                if (pthread_create(&thread, NULL, duplicate, (void *)(long)ends[1]) != 0) _exit(1);
            usleep(lt_random(3000));
            (void)execl("/proc/self/exe", "stay", "stay", (char *)NULL);
            _exit(1);
        }
        LT_OK(close(ends[1]));
        struct pollfd reader = {.fd = ends[0], .events = POLLIN};
        const int ended = poll(&reader, 1, LT_HANG_MS);
        LT_OK(close(hold[1]));
        LT_OK(close(hold[0]));
        LT_EQUAL(waitpid(child, &status, 0), child);
        LT_EQUAL(status, 0);
        LT_EQUAL(ended, 1);
        LT_EQUAL(read(ends[0], &byte, 1), 0);
        LT_OK(close(ends[0]));
    }
}
