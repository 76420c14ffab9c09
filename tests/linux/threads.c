// Threads: how they begin and end, what they know of themselves, and many of them.
#include "tests/linux/lt.h"

#include <fenv.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#define THREAD_FLAGS (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM)

static __thread int own = 5;
static void *use_own(void *value) {
    own += (int)(long)value;
    return (void *)(long)own;
}
LT_TEST(thread_local_variables) {
    pthread_t threads[16];
    for (long i = 0; i < 16; i++) LT_EQUAL(pthread_create(&threads[i], NULL, use_own, (void *)i), 0);
    for (long i = 0; i < 16; i++) {
        void *result;
        LT_EQUAL(pthread_join(threads[i], &result), 0);
        LT_EQUAL((long)result, 5 + i);
    }
    LT_EQUAL(own, 5);
}

static void *tell_tid(void *to) {
    *(pid_t *)to = (pid_t)syscall(SYS_gettid);
    return (void *)(long)getpid();
}
LT_TEST(ids) {
    pthread_t thread;
    pid_t tid = 0;
    void *pid;
    LT_EQUAL(syscall(SYS_gettid), getpid());
    LT_EQUAL(pthread_create(&thread, NULL, tell_tid, &tid), 0);
    LT_EQUAL(pthread_join(thread, &pid), 0);
    LT_EQUAL((long)pid, getpid());
    LT_CHECK(tid > 0 && tid != getpid());
}

// The CPUs that the test may use, and the first of them alone: it need not be CPU 0. Its number.
static unsigned first_cpu(unsigned long cpus[16], unsigned long first[16]) {
    unsigned word = 0;
    memset(cpus, 0, 16 * sizeof cpus[0]);
    memset(first, 0, 16 * sizeof first[0]);
    LT_OK(syscall(SYS_sched_getaffinity, 0, 16 * sizeof cpus[0], cpus));
    while (word < 15 && cpus[word] == 0) word++;
    LT_CHECK(cpus[word] != 0);
    first[word] = cpus[word] & -cpus[word];
    return word * 64 + (unsigned)__builtin_ctzl(cpus[word]);
}

// One after the other: nothing of a thread stays.
static _Atomic int ran;
static void *run(void *unused) {
    ran++;
    return unused;
}
LT_TEST(thousands_of_threads) {
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 65536);
    // On one CPU: with several, most of the time would go into telling the others which stacks are gone.
    unsigned long cpus[16], one[16];
    (void)first_cpu(cpus, one);
    LT_OK(syscall(SYS_sched_setaffinity, 0, sizeof one, one));
    ran = 0;
    for (int i = 0; i < 500; i++) {
        pthread_t threads[8];
        for (int j = 0; j < 8; j++) LT_EQUAL(pthread_create(&threads[j], &small, run, NULL), 0);
        for (int j = 0; j < 8; j++) LT_EQUAL(pthread_join(threads[j], NULL), 0);
    }
    LT_EQUAL(ran, 4000);
    LT_OK(syscall(SYS_sched_setaffinity, 0, sizeof cpus, cpus));
}

static pthread_barrier_t gate;
static void *meet(void *unused) {
    pthread_barrier_wait(&gate);
    ran++;
    return unused;
}
LT_TEST(hundreds_at_once) {
    enum { MANY = 200 };
    static pthread_t threads[MANY];
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 65536);
    pthread_barrier_init(&gate, NULL, MANY);
    ran = 0;
    for (int i = 0; i < MANY; i++) LT_EQUAL(pthread_create(&threads[i], &small, meet, NULL), 0);
    for (int i = 0; i < MANY; i++) LT_EQUAL(pthread_join(threads[i], NULL), 0);
    LT_EQUAL(ran, MANY);
}

static void *detach_and_end(void *unused) {
    pthread_detach(pthread_self());
    ran++;
    return unused;
}
LT_TEST(detached_threads) {
    ran = 0;
    for (int i = 0; i < 300; i++) {
        pthread_t thread;
        LT_EQUAL(pthread_create(&thread, NULL, detach_and_end, NULL), 0);
        while (ran <= i) sched_yield();
    }
}

// ---- clone itself ---------------------------------------------------------------------------------------------------------

// A thread without the C library's help: runs clone_body on the given stack and ends.
static volatile int clone_ran, clone_seen_tid;
static volatile unsigned long clone_argument;
__attribute__((used)) static void clone_body(unsigned long argument) {
    clone_argument = argument;
    clone_ran = 1;
}
long raw_clone(unsigned long flags, void *stack, int *parent, int *child, unsigned long tls);
__asm__(
    ".text\n.globl raw_clone\nraw_clone:\n\t"
    "mov %rcx, %r10\n\tmov $56, %eax\n\tsyscall\n\ttest %rax, %rax\n\tjz 1f\n\tret\n"
    "1:\txor %ebp, %ebp\n\tmov 8(%rsp), %rdi\n\tand $-16, %rsp\n\tcall clone_body\n\tmov $60, %eax\n\txor %edi, %edi\n\tsyscall\n\thlt\n");

static void *clone_stack(unsigned long argument) {
    char *stack = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (stack == MAP_FAILED) return NULL;
    unsigned long *top = (unsigned long *)(stack + 65536) - 4;
    top[1] = argument;
    return top;
}

LT_TEST(clone_tids) {
    static int parent, child;
    void *stack = clone_stack(0x1234);
    LT_CHECK(stack != NULL);
    parent = 0, child = -1, clone_ran = 0;
    long tid = raw_clone(THREAD_FLAGS | CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID, stack, &parent, &child, 0);
    LT_CHECK(tid > 0);
    LT_EQUAL(parent, tid);
    for (int seen; (seen = *(volatile int *)&child) != 0;) syscall(SYS_futex, &child, 0, seen, NULL, NULL, 0);
    LT_EQUAL(clone_ran, 1);
    LT_EQUAL(clone_argument, 0x1234);
    LT_OK(munmap((char *)stack - (65536 - 32), 65536));
}

LT_TEST(clone_arguments) {
    int number = 0;
    LT_EQUAL(raw_clone(CLONE_THREAD | CLONE_VM, NULL, &number, &number, 0), -EINVAL);
    LT_EQUAL(raw_clone(CLONE_THREAD | CLONE_SIGHAND, NULL, &number, &number, 0), -EINVAL);
    LT_EQUAL(raw_clone(CLONE_SIGHAND | SIGCHLD, NULL, &number, &number, 0), -EINVAL);
    uint64_t words[11] = {THREAD_FLAGS};
    LT_ERRNO(syscall(435, words, 63), EINVAL);
    LT_ERRNO(syscall(435, words, 5000), E2BIG);
    words[4] = SIGCHLD;
    LT_ERRNO(syscall(435, words, 88), EINVAL);
    words[4] = 0, words[6] = 4096;  // a size without a stack
    LT_ERRNO(syscall(435, words, 88), EINVAL);
    LT_ERRNO(syscall(435, LT_BAD_ADDRESS, 88), EFAULT);
}

LT_TEST(set_tid_address_and_robust_list) {
    void *head;
    size_t size;
    LT_EQUAL(syscall(SYS_set_robust_list, NULL, 23) == -1 && errno == EINVAL, 1);
    LT_OK(syscall(SYS_get_robust_list, 0, &head, &size));
    LT_EQUAL(size, 24);
    LT_ERRNO(syscall(SYS_get_robust_list, 0, LT_BAD_ADDRESS, &size), EFAULT);
}

// ---- what is inherited ------------------------------------------------------------------------------------------------------

static void *tell_state(void *unused) {
    sigset_t mask;
    (void)unused;
    pthread_sigmask(SIG_BLOCK, NULL, &mask);
    return (void *)(long)(fegetround() | (sigismember(&mask, SIGHUP) ? 1 << 20 : 0) | (sigismember(&mask, SIGINT) ? 1 << 21 : 0));
}
LT_TEST(rounding_and_mask_are_inherited) {
    pthread_t thread;
    void *seen;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGHUP);
    pthread_sigmask(SIG_SETMASK, &set, NULL);
    fesetround(FE_UPWARD);
    LT_EQUAL(pthread_create(&thread, NULL, tell_state, NULL), 0);
    LT_EQUAL(pthread_join(thread, &seen), 0);
    fesetround(FE_TONEAREST);
    sigemptyset(&set);
    pthread_sigmask(SIG_SETMASK, &set, NULL);
    LT_EQUAL((long)seen, FE_UPWARD | 1 << 20);
}

static void *name_self(void *unused) {
    char name[16] = "";
    (void)unused;
    prctl(PR_GET_NAME, name);
    prctl(PR_SET_NAME, "a name that is too long");
    char *now = calloc(1, 32);
    snprintf(now, 32, "%s", name);
    prctl(PR_GET_NAME, now + 16);
    return now;
}
LT_TEST(names) {
    pthread_t thread;
    void *seen;
    char name[16];
    LT_OK(prctl(PR_SET_NAME, "main"));
    LT_EQUAL(pthread_create(&thread, NULL, name_self, NULL), 0);
    LT_EQUAL(pthread_join(thread, &seen), 0);
    LT_TEXT(seen, "main");
    LT_TEXT((char *)seen + 16, "a name that is ");
    LT_OK(prctl(PR_GET_NAME, name));
    LT_TEXT(name, "main");
    LT_ERRNO(prctl(PR_SET_NAME, LT_BAD_ADDRESS), EFAULT);
    LT_ERRNO(prctl(0x12345), EINVAL);
    free(seen);
}

// ---- scheduling ---------------------------------------------------------------------------------------------------------------

LT_TEST(affinity) {
    unsigned long mask[16], one[16];
    unsigned first = first_cpu(mask, one), cpu;
    long bytes = LT_OK(syscall(SYS_sched_getaffinity, 0, sizeof mask, mask));
    LT_CHECK(bytes >= 8 && bytes <= (long)sizeof mask);
    LT_ERRNO(syscall(SYS_sched_getaffinity, 0, 4, mask), EINVAL);
    LT_ERRNO(syscall(SYS_sched_getaffinity, 0x3ffffff0, sizeof mask, mask), ESRCH);
    LT_OK(syscall(SYS_sched_setaffinity, 0, sizeof one, one));
    for (int i = 0; i < 50; i++) {
        sched_yield();
        LT_OK(syscall(SYS_getcpu, &cpu, NULL, NULL));
        LT_EQUAL(cpu, first);
    }
    memset(one, 0, sizeof one);
    LT_ERRNO(syscall(SYS_sched_setaffinity, 0, sizeof one, one), EINVAL);
    LT_ERRNO(syscall(SYS_sched_setaffinity, 0, 8, LT_BAD_ADDRESS), EFAULT);
    LT_OK(syscall(SYS_sched_setaffinity, 0, sizeof mask, mask));
}

LT_TEST(policies) {
    struct sched_param param = {.sched_priority = 0};
    LT_EQUAL(syscall(SYS_sched_getscheduler, 0), SCHED_OTHER);
    LT_EQUAL(syscall(SYS_sched_get_priority_max, SCHED_FIFO), 99);
    LT_EQUAL(syscall(SYS_sched_get_priority_min, SCHED_RR), 1);
    LT_EQUAL(syscall(SYS_sched_get_priority_max, SCHED_OTHER), 0);
    LT_ERRNO(syscall(SYS_sched_get_priority_max, 77), EINVAL);
    LT_OK(syscall(SYS_sched_getparam, 0, &param));
    LT_EQUAL(param.sched_priority, 0);
    param.sched_priority = 5;
    LT_ERRNO(syscall(SYS_sched_setscheduler, 0, SCHED_OTHER, &param), EINVAL);
    param.sched_priority = 0;
    LT_ERRNO(syscall(SYS_sched_setscheduler, 0, SCHED_FIFO, &param), EINVAL);
    LT_ERRNO(syscall(SYS_sched_setscheduler, 0, -1, &param), EINVAL);
    LT_OK(syscall(SYS_sched_setscheduler, 0, SCHED_OTHER, &param));
    LT_ERRNO(syscall(SYS_sched_getscheduler, -5), EINVAL);
}

// Two threads that each store, then look at what the other stored: with a barrier on one side that reaches the other, never do
// both see nothing.
static volatile int first, second, go, finished;
static void *quick_side(void *seen) {
    for (int round = 1; round <= 300; round++) {
        while (go != round) __asm__ volatile("pause");
        first = 1;
        __asm__ volatile("" : : : "memory");
        ((volatile char *)seen)[round] = (char)second;
        finished = round;
    }
    return NULL;
}
LT_TEST(membarrier) {
    static char quick_seen[301];
    pthread_t thread;
    long commands = LT_OK(syscall(SYS_membarrier, 0, 0, 0));
    LT_CHECK(commands & 8);
    LT_ERRNO(syscall(SYS_membarrier, 0, 1, 0), EINVAL);
    LT_ERRNO(syscall(SYS_membarrier, 1 << 20, 0, 0), EINVAL);
    LT_ERRNO(syscall(SYS_membarrier, 8, 0, 0), EPERM);
    LT_OK(syscall(SYS_membarrier, 16, 0, 0));
    go = finished = 0;
    LT_EQUAL(pthread_create(&thread, NULL, quick_side, quick_seen), 0);
    for (int round = 1; round <= 300; round++) {
        first = second = 0;
        go = round;
        second = 1;
        syscall(SYS_membarrier, 8, 0, 0);
        int seen = first;
        while (finished != round) __asm__ volatile("pause");
        LT_CHECK(seen || quick_seen[round]);
    }
    pthread_join(thread, NULL);
}

// ---- the end ---------------------------------------------------------------------------------------------------------------------

static void *exit_raw(void *unused) {
    syscall(SYS_exit, 7);
    return unused;
}
LT_TEST(exit_of_one_thread) {
    pthread_t thread;
    LT_EQUAL(pthread_create(&thread, NULL, exit_raw, NULL), 0);
    usleep(20000);
    LT_CHECK(getpid() > 0);
}
