// also: glibc
// Restartable sequences: registration, what the area tells, and sections that are begun again when something came in between.
static void say_registered(int argc, char **argv);
#define LT_BEGIN(argc, argv) say_registered(argc, argv)
#include "tests/linux/lt.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <ucontext.h>

#ifdef __GLIBC__
extern const ptrdiff_t __rseq_offset;
extern const unsigned int __rseq_size;
#endif

#define SIGNATURE 0x53053053u
#define SIZE 32u
#define UNREGISTER 1

struct area {
    uint32_t cpu_start, cpu;
    uint64_t section;
    uint32_t flags, node, concurrency, reserved;
} __attribute__((aligned(32)));
struct section {
    uint32_t version, flags;
    uint64_t start, length, abort;
} __attribute__((aligned(32)));

static long rseq(void *area, uint32_t size, int flags, uint32_t signature) {
    return syscall(SYS_rseq, area, size, flags, signature);
}

// The thread's area: glibc's, or one of our own.
static struct area *area_of_thread(void) {
#ifdef __GLIBC__
    if (__rseq_size == 0) LT_FAIL("the C library has not registered one");
    return (struct area *)((char *)__builtin_thread_pointer() + __rseq_offset);
#else
    static __thread struct area own;
    if (rseq(&own, SIZE, 0, SIGNATURE) != 0 && errno != EBUSY) LT_FAIL("rseq: errno %d", errno);
    return &own;
#endif
}

// ---- sections ------------------------------------------------------------------------------------------------------------------
// spin(area, section, word): sets *word to 1 in the section and stays there until the section is aborted; 1 then. The second abort
// address has no signature in front. add(area, section, counter, cpu, delay): adds 1 to *counter with plain instructions, some of
// them slow; 0, or 1 when it was aborted or the thread is not on that CPU.
int spin(struct area *area, struct section *section, _Atomic int *word);
int add(struct area *area, struct section *section, uint64_t *counter, uint32_t cpu, uint32_t delay);
extern const char spin_start[], spin_end[], spin_abort[], spin_unsigned[], add_start[], add_end[], add_abort[];
__asm__(".text\n"
        "spin:\n"
        "  mov %rsi, 8(%rdi)\n"
        "spin_start:\n"
        "  movl $1, (%rdx)\n"
        "1: pause\n"
        "  jmp 1b\n"
        "spin_end:\n"
        "  .byte 0x0f, 0xb9, 0x3d\n"
        "  .long 0x53053053\n"
        "spin_abort:\n"
        "  mov $1, %eax\n"
        "  ret\n"
        "  nop; nop; nop; nop\n"
        "spin_unsigned:\n"
        "  mov $2, %eax\n"
        "  ret\n"
        "add:\n"
        "  mov %rsi, 8(%rdi)\n"
        "add_start:\n"
        "  cmp %ecx, 4(%rdi)\n"
        "  jne add_abort\n"
        "  mov (%rdx), %rax\n"
        "1: sub $1, %r8d\n"
        "  jae 1b\n"
        "  inc %rax\n"
        "  mov %rax, (%rdx)\n"
        "add_end:\n"
        "  movq $0, 8(%rdi)\n"
        "  xor %eax, %eax\n"
        "  ret\n"
        "  .byte 0x0f, 0xb9, 0x3d\n"
        "  .long 0x53053053\n"
        "add_abort:\n"
        "  movq $0, 8(%rdi)\n"
        "  mov $1, %eax\n"
        "  ret\n");

static struct section section(const char *start, const char *end, const char *abort) {
    return (struct section){.start = (uint64_t)start, .length = (uint64_t)(end - start), .abort = (uint64_t)abort};
}

// ---- registration --------------------------------------------------------------------------------------------------------------

// Without an area of the C library's; it has it back afterwards.
static void alone(void (*run)(void)) {
#ifdef __GLIBC__
    struct area *theirs = area_of_thread();
    LT_EQUAL(rseq(theirs, SIZE, UNREGISTER, SIGNATURE), 0);
    run();
    LT_EQUAL(rseq(theirs, SIZE, 0, SIGNATURE), 0);
#else
    (void)rseq(area_of_thread(), SIZE, UNREGISTER, SIGNATURE);
    run();
#endif
}

static void check_rules(void) {
    static struct {
        struct area first, other;
        char more[64];
    } a;
    a.first = (struct area){.cpu = 77, .section = 0x1234};
    LT_ERRNO(rseq(&a.first, SIZE, UNREGISTER, SIGNATURE), EINVAL);
    LT_ERRNO(rseq(NULL, SIZE, UNREGISTER, SIGNATURE), EINVAL);
    LT_ERRNO(rseq(&a.first, SIZE, 4, SIGNATURE), EINVAL);
    LT_ERRNO(rseq(&a.first, SIZE - 4, 0, SIGNATURE), EINVAL);
    LT_ERRNO(rseq(&a.first, 0, 0, SIGNATURE), EINVAL);
    LT_ERRNO(rseq((char *)&a.first + 8, SIZE, 0, SIGNATURE), EINVAL);
    LT_ERRNO(rseq((void *)0xffff800000000000ull, SIZE, 0, SIGNATURE), EFAULT);
    LT_EQUAL(a.first.cpu, 77);
    LT_EQUAL(rseq(&a.first, SIZE, 0, SIGNATURE), 0);
    LT_EQUAL(a.first.cpu, a.first.cpu_start);
    LT_CHECK(a.first.cpu < 77);
    LT_EQUAL(a.first.section, 0);
    LT_ERRNO(rseq(&a.first, SIZE, 0, SIGNATURE), EBUSY);
    LT_ERRNO(rseq(&a.first, SIZE, 0, SIGNATURE + 1), EPERM);
    LT_ERRNO(rseq(&a.other, SIZE, 0, SIGNATURE), EINVAL);
    LT_ERRNO(rseq(&a.first, SIZE * 2, 0, SIGNATURE), EINVAL);
    LT_ERRNO(rseq(&a.other, SIZE, UNREGISTER, SIGNATURE), EINVAL);
    LT_ERRNO(rseq(&a.first, SIZE * 2, UNREGISTER, SIGNATURE), EINVAL);
    LT_ERRNO(rseq(&a.first, SIZE, UNREGISTER, SIGNATURE + 1), EPERM);
    LT_ERRNO(rseq(&a.first, SIZE, UNREGISTER | 2, SIGNATURE), EINVAL);
    LT_EQUAL(rseq(&a.first, SIZE, UNREGISTER, SIGNATURE), 0);
    LT_EQUAL((int32_t)a.first.cpu, -1);
    LT_EQUAL(a.first.cpu_start, 0);
    LT_ERRNO(rseq(&a.first, SIZE, UNREGISTER, SIGNATURE), EINVAL);
}
LT_TEST(who_may_register_what) { alone(check_rules); }

static void *register_another(void *result) {
#ifdef __GLIBC__
    *(int *)result = rseq(area_of_thread(), SIZE, 0, SIGNATURE) == -1 && errno == EBUSY;
#else
    struct area own = {0};
    *(int *)result =
        rseq(&own, SIZE, 0, SIGNATURE) == 0 && own.cpu == own.cpu_start && rseq(&own, SIZE, UNREGISTER, SIGNATURE) == 0;
#endif
    return NULL;
}
LT_TEST(each_thread_has_its_own) {
    pthread_t thread;
    int good = 0;
    (void)area_of_thread();
    LT_EQUAL(pthread_create(&thread, NULL, register_another, &good), 0);
    LT_EQUAL(pthread_join(thread, NULL), 0);
    LT_EQUAL(good, 1);
}

LT_TEST(the_auxiliary_vector) {
    LT_CHECK(getauxval(27) >= offsetof(struct area, reserved));
    LT_CHECK(getauxval(28) >= SIZE);
}

static int ended(pid_t child) {
    int status = -1;
    LT_EQUAL(waitpid(child, &status, 0), child);
    return status;
}

LT_TEST(fork_keeps_it) {
    struct area *area = area_of_thread();
    pid_t child = fork();
    if (child == 0) _exit(rseq(area, SIZE, UNREGISTER, SIGNATURE) == 0 && (int32_t)area->cpu == -1 ? 3 : 4);
    LT_EQUAL(ended(child), 3 << 8);
    LT_CHECK((int32_t)area->cpu >= 0);
}

LT_TEST(shared_memory_does_not) {
    struct area *area = area_of_thread();
    pid_t child = vfork();
    if (child == 0) _exit(rseq(area, SIZE, UNREGISTER, SIGNATURE) == -1 && errno == EINVAL ? 3 : 4);
    LT_EQUAL(ended(child), 3 << 8);
    LT_ERRNO(rseq(area, SIZE, 0, SIGNATURE), EBUSY);
}

// A program that begins has none, unless its C library made one.
static void say_registered(int argc, char **argv) {
    static struct area own;
    if (argc != 2 || strcmp(argv[1], "--registered") != 0) return;
#ifdef __GLIBC__
    _exit(rseq(&own, SIZE, 0, SIGNATURE) == -1 && errno == EINVAL && rseq(area_of_thread(), SIZE, UNREGISTER, SIGNATURE) == 0 ? 3
                                                                                                                              : 4);
#else
    _exit(rseq(&own, SIZE, 0, SIGNATURE) == 0 ? 3 : 4);
#endif
}
LT_TEST(exec_ends_it) {
    (void)area_of_thread();
    pid_t child = fork();
    if (child == 0) {
        execl("/proc/self/exe", "rseq", "--registered", NULL);
        _exit(5);
    }
    LT_EQUAL(ended(child), 3 << 8);
}

// ---- what it tells -------------------------------------------------------------------------------------------------------------

static int allowed(int cpus[64]) {
    cpu_set_t set;
    int count = 0;
    LT_OK(sched_getaffinity(0, sizeof set, &set));
    for (int cpu = 0; cpu < CPU_SETSIZE && count < 64; cpu++)
        if (CPU_ISSET(cpu, &set)) cpus[count++] = cpu;
    return count;
}

static void pin(pid_t tid, int cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    LT_OK(sched_setaffinity(tid, sizeof set, &set));
}

static void unpin(const int *cpus, int count) {
    cpu_set_t set;
    CPU_ZERO(&set);
    for (int i = 0; i < count; i++) CPU_SET(cpus[i], &set);
    LT_OK(sched_setaffinity(0, sizeof set, &set));
}

LT_TEST(the_area_tells_the_cpu) {
    volatile struct area *area = area_of_thread();
    int cpus[64], count = allowed(cpus);
    for (int i = 0; i < 3 * count; i++) {
        unsigned cpu = 0, node = 0;
        pin(0, cpus[i % count]);
        LT_EQUAL(area->cpu, cpus[i % count]);
        LT_EQUAL(area->cpu_start, cpus[i % count]);
        LT_OK(syscall(SYS_getcpu, &cpu, &node, NULL));
        LT_EQUAL(area->cpu, cpu);
        LT_EQUAL(area->node, node);
        LT_CHECK(area->concurrency <= (unsigned)cpus[count - 1]);
    }
    unpin(cpus, count);
}

struct sleeper {
    int pipe[2];
    _Atomic int tid, looked, wrong;
};
static void *sleep_and_look(void *arg) {
    struct sleeper *s = arg;
    volatile struct area *area = area_of_thread();
    int cpu;
    s->tid = (int)syscall(SYS_gettid);
    while (read(s->pipe[0], &cpu, sizeof cpu) == sizeof cpu) {
        if (area->cpu != (unsigned)cpu || area->cpu_start != (unsigned)cpu) s->wrong++;
        s->looked++;
    }
    return NULL;
}
LT_TEST(moved_while_it_slept) {
    struct sleeper s = {.wrong = 0};
    pthread_t thread;
    int cpus[64], count = allowed(cpus);
    LT_OK(pipe(s.pipe));
    LT_EQUAL(pthread_create(&thread, NULL, sleep_and_look, &s), 0);
    while (s.tid == 0) sched_yield();
    for (int i = 0; i < 50; i++) {
        pin(s.tid, cpus[i % count]);
        LT_EQUAL(write(s.pipe[1], &cpus[i % count], sizeof(int)), sizeof(int));
        while (s.looked <= i) sched_yield();
    }
    LT_OK(close(s.pipe[1]));
    LT_EQUAL(pthread_join(thread, NULL), 0);
    LT_EQUAL(s.wrong, 0);
}

// ---- sections that end ---------------------------------------------------------------------------------------------------------

static volatile uint64_t interrupted_at, section_then;
static struct area *interrupted_area;
static void note(int number, siginfo_t *info, void *context) {
    (void)number, (void)info;
    interrupted_at = (uint64_t)((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
    section_then = ((volatile struct area *)interrupted_area)->section;
}
static void signal_often(long microseconds) {
    struct sigaction action = {.sa_sigaction = note, .sa_flags = SA_SIGINFO};
    const struct itimerval often = {.it_value = {.tv_usec = microseconds}, .it_interval = {.tv_usec = microseconds}};
    interrupted_area = area_of_thread();
    LT_OK(sigaction(SIGALRM, &action, NULL));
    LT_OK(setitimer(ITIMER_REAL, &often, NULL));
}

LT_TEST(a_signal_ends_a_section) {
    struct area *area = area_of_thread();
    struct section s = section(spin_start, spin_end, spin_abort);
    signal_often(10000);
    for (int i = 0; i < 10; i++) {
        _Atomic int inside = 0;
        section_then = 1;
        LT_EQUAL(spin(area, &s, &inside), 1);
        LT_EQUAL(inside, 1);
        LT_EQUAL(((volatile struct area *)area)->section, 0);
        while (section_then == 1) sched_yield();  // preemption may have ended it before a signal came
        LT_EQUAL(section_then, 0);
        LT_CHECK(interrupted_at < (uint64_t)spin_start || interrupted_at >= (uint64_t)spin_end);
    }
    signal_often(0);
}

static pthread_t victim;
static void *send_when_inside(void *word) {
    while (atomic_load((_Atomic int *)word) == 0) sched_yield();
    pthread_kill(victim, SIGUSR1);
    return NULL;
}
// The handler is told the abort address, or, when preemption was first, some place behind the section.
LT_TEST(a_signal_of_another_thread_ends_it) {
    struct sigaction action = {.sa_sigaction = note, .sa_flags = SA_SIGINFO};
    struct area *area = area_of_thread();
    struct section s = section(spin_start, spin_end, spin_abort);
    interrupted_area = area;
    LT_OK(sigaction(SIGUSR1, &action, NULL));
    victim = pthread_self();
    for (int i = 0; i < 20; i++) {
        pthread_t sender;
        _Atomic int inside = 0;
        interrupted_at = 0;
        LT_EQUAL(pthread_create(&sender, NULL, send_when_inside, &inside), 0);
        LT_EQUAL(spin(area, &s, &inside), 1);
        LT_EQUAL(pthread_join(sender, NULL), 0);
        LT_CHECK(interrupted_at < (uint64_t)spin_start || interrupted_at >= (uint64_t)spin_end);
    }
}

// A fault in a section is a signal like any other.
LT_TEST(a_fault_ends_a_section) {
    struct sigaction action = {.sa_sigaction = note, .sa_flags = SA_SIGINFO};
    struct area *area = area_of_thread();
    struct section s = section(spin_start, spin_end, spin_abort);
    interrupted_area = area;
    LT_OK(sigaction(SIGSEGV, &action, NULL));
    interrupted_at = 0;
    while (interrupted_at == 0) {  // again, where preemption was first
        LT_EQUAL(spin(area, &s, LT_BAD_ADDRESS), 1);
        LT_EQUAL(((volatile struct area *)area)->section, 0);
    }
    LT_EQUAL(interrupted_at, (uint64_t)spin_abort);
    LT_CHECK(signal(SIGSEGV, SIG_DFL) != SIG_ERR);
}

// Outside of the section that the area names nothing is changed but that name.
LT_TEST(a_section_that_was_left) {
    volatile struct area *area = area_of_thread();
    struct section s = section(spin_start, spin_end, spin_abort);
    interrupted_at = 0;
    area->section = (uint64_t)&s;
    signal_often(10000);
    while (interrupted_at == 0) __asm__ volatile("pause");
    signal_often(0);
    LT_EQUAL(area->section, 0);
    LT_CHECK(interrupted_at != (uint64_t)spin_abort);
}

static _Atomic int over;
static void *stay(void *arg) {
    pin(0, *(int *)arg);
    while (!over) __asm__ volatile("pause");
    return NULL;
}
LT_TEST(preemption_ends_a_section) {
    struct section s = section(spin_start, spin_end, spin_abort);
    struct area *area = area_of_thread();
    int cpus[64], count = allowed(cpus);
    pthread_t other;
    _Atomic int inside = 0;
    over = 0;
    LT_EQUAL(pthread_create(&other, NULL, stay, &cpus[0]), 0);
    pin(0, cpus[0]);
    for (int i = 0; i < 3; i++) LT_EQUAL(spin(area, &s, &inside), 1);
    over = 1;
    LT_EQUAL(pthread_join(other, NULL), 0);
    unpin(cpus, count);
}

struct mover {
    _Atomic int inside, tid, to;
};
static void *move_when_inside(void *arg) {
    struct mover *m = arg;
    while (m->inside == 0) sched_yield();
    pin(m->tid, m->to);
    return NULL;
}
LT_TEST(a_move_ends_a_section) {
    struct section s = section(spin_start, spin_end, spin_abort);
    volatile struct area *area = area_of_thread();
    int cpus[64], count = allowed(cpus);
    for (int i = 0; i < 6 && count > 1; i++) {
        struct mover m = {.tid = (int)syscall(SYS_gettid), .to = cpus[(i + 1) % count]};
        pthread_t mover;
        pin(0, cpus[i % count]);
        LT_EQUAL(pthread_create(&mover, NULL, move_when_inside, &m), 0);
        LT_EQUAL(spin((struct area *)area, &s, &m.inside), 1);
        LT_EQUAL(pthread_join(mover, NULL), 0);
        LT_EQUAL(area->cpu, m.to);
    }
    unpin(cpus, count);
}

// ---- what they are for ---------------------------------------------------------------------------------------------------------

enum { ADDERS = 6, TIMES = 4000 };
static struct {
    uint64_t value;
    char apart[56];
} counters[1024];
static _Atomic int aborts;
static void *add_often(void *unused) {
    struct area *area = area_of_thread();
    struct section s = section(add_start, add_end, add_abort);
    for (unsigned i = 0; i < TIMES; i++)
        for (;;) {
            uint32_t cpu = ((volatile struct area *)area)->cpu_start;
            if (add(area, &s, &counters[cpu].value, cpu, 2000) == 0) break;
            aborts++;
        }
    return unused;
}
// Threads that share CPUs count without a locked instruction, and nothing is lost.
LT_TEST(counting_per_cpu) {
    pthread_t threads[ADDERS];
    uint64_t sum = 0;
    memset(counters, 0, sizeof counters);
    for (int i = 0; i < ADDERS; i++) LT_EQUAL(pthread_create(&threads[i], NULL, add_often, NULL), 0);
    for (int i = 0; i < ADDERS; i++) LT_EQUAL(pthread_join(threads[i], NULL), 0);
    for (int i = 0; i < 1024; i++) sum += counters[i].value;
    LT_EQUAL(sum, ADDERS * TIMES);
}

// ---- what cannot be ------------------------------------------------------------------------------------------------------------

static void ignore(int number) { (void)number; }
// In a process of its own that has a timer, and a handler for SIGSEGV that is never called.
static int status_of(void (*run)(void)) {
    pid_t child = fork();
    if (child != 0) return ended(child) & 0x7f;
    const struct itimerval often = {.it_value = {.tv_usec = 10000}, .it_interval = {.tv_usec = 10000}};
    signal(SIGALRM, ignore);
    setitimer(ITIMER_REAL, &often, NULL);
    run();
    _exit(9);
}

static void without_signature(void) {
    struct section s = section(spin_start, spin_end, spin_unsigned);
    _Atomic int inside = 0;
    spin(area_of_thread(), &s, &inside);
}
static void abort_inside(void) {
    struct section s = section(spin_start, spin_unsigned, spin_abort);
    _Atomic int inside = 0;
    spin(area_of_thread(), &s, &inside);
}
static void unknown_version(void) {
    struct section s = section(spin_start, spin_end, spin_abort);
    _Atomic int inside = 0;
    s.version = 1;
    spin(area_of_thread(), &s, &inside);
}
static void no_section(void) {
    _Atomic int inside = 0;
    spin(area_of_thread(), (struct section *)16, &inside);
}
static void unmap_area(void) {
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (rseq(area_of_thread(), SIZE, UNREGISTER, SIGNATURE) != 0 || rseq(page, SIZE, 0, SIGNATURE) != 0) _exit(8);
    munmap(page, 4096);
    for (;;) __asm__ volatile("pause");
}
LT_TEST(what_cannot_be_ends_the_process) {
    (void)area_of_thread();
    LT_EQUAL(status_of(without_signature), SIGSEGV);
    LT_EQUAL(status_of(abort_inside), SIGSEGV);
    LT_EQUAL(status_of(unknown_version), SIGSEGV);
    LT_EQUAL(status_of(no_section), SIGSEGV);
    LT_EQUAL(status_of(unmap_area), SIGSEGV);
}

#ifdef __GLIBC__
// glibc reads the area and makes no call: it believes what we write there, unless the thread just moved.
LT_TEST(the_library_uses_it) {
    volatile struct area *area = area_of_thread();
    int believed = 0;
    for (int i = 0; i < 10000 && !believed; i++) {
        uint32_t kept = area->cpu;
        area->cpu = 777;
        believed = sched_getcpu() == 777;
        area->cpu = kept;
    }
    LT_EQUAL(believed, 1);
}
#endif
