// Calls of which programs want little: to be told something, or that they may not.
#include "tests/linux/lt.h"

#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/timex.h>
#include <sys/wait.h>
#include <time.h>

#define NOBODY 65534
#define DENIED(call, error) LT_DEMAND((call) == -1 && errno == (error))
static void become_nobody(void) {
    if (geteuid() == 0) LT_DEMAND(setresuid(NOBODY, NOBODY, NOBODY) == 0);
}

// ---- priorities of input and output ----------------------------------------------------------------------------------------------

enum { PROCESS = 1, GROUP, USER };
#define PRIORITY(class, level) ((class) << 13 | (level))

LT_TEST(priorities_of_input_and_output) {
    LT_OK(syscall(SYS_ioprio_set, PROCESS, 0, PRIORITY(2, 7)));
    LT_EQUAL(syscall(SYS_ioprio_get, PROCESS, 0), PRIORITY(2, 7));
    LT_EQUAL(syscall(SYS_ioprio_get, PROCESS, getpid()), PRIORITY(2, 7));
    LT_EQUAL(LT_IN_A_CHILD(LT_DEMAND(syscall(SYS_ioprio_get, PROCESS, 0) == PRIORITY(2, 7));), 0);
    LT_OK(syscall(SYS_ioprio_set, PROCESS, getpid(), PRIORITY(3, 0)));
    LT_EQUAL(syscall(SYS_ioprio_get, PROCESS, 0) >> 13, 3);
    LT_OK(syscall(SYS_ioprio_set, PROCESS, 0, 0));
    LT_ERRNO(syscall(SYS_ioprio_set, PROCESS, 0, PRIORITY(0, 1)), EINVAL);
    LT_ERRNO(syscall(SYS_ioprio_set, PROCESS, 0, PRIORITY(4, 0)), EINVAL);
    LT_ERRNO(syscall(SYS_ioprio_set, 9, 0, 0), EINVAL);
    LT_ERRNO(syscall(SYS_ioprio_get, 9, 0), EINVAL);
    LT_ERRNO(syscall(SYS_ioprio_get, PROCESS, 0x7ffffff0), ESRCH);
    LT_ERRNO(syscall(SYS_ioprio_set, GROUP, 0x7ffffff0, 0), ESRCH);
    LT_EQUAL(LT_IN_A_CHILD({
                 become_nobody();
                 DENIED(syscall(SYS_ioprio_set, PROCESS, 0, PRIORITY(1, 0)), EPERM);
             }),
             0);
}

// ---- unshare ---------------------------------------------------------------------------------------------------------------------

LT_TEST(nothing_of_ones_own) {
    LT_EQUAL(LT_IN_A_CHILD({
                 become_nobody();
                 LT_DEMAND(unshare(0) == 0);
                 LT_DEMAND(unshare(CLONE_FILES | CLONE_FS | CLONE_SYSVSEM) == 0);
                 DENIED(unshare(CLONE_NEWNS), EPERM);
                 DENIED(unshare(CLONE_NEWUTS), EPERM);
                 DENIED(unshare(CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC), EPERM);
                 DENIED(unshare(CLONE_VFORK), EINVAL);
                 DENIED(unshare(1), EINVAL);
             }),
             0);
}

// ---- the clock -------------------------------------------------------------------------------------------------------------------

LT_TEST(the_clock_can_be_looked_at) {
    struct timespec before, after;
    struct timex x = {.modes = 0};
    LT_OK(clock_gettime(CLOCK_REALTIME, &before));
    const int state = (int)LT_OK(adjtimex(&x));
    LT_OK(clock_gettime(CLOCK_REALTIME, &after));
    LT_CHECK(state >= TIME_OK && state <= TIME_ERROR);
    LT_CHECK(x.time.tv_sec >= before.tv_sec && x.time.tv_sec <= after.tv_sec);
    LT_CHECK(x.tick >= 9000 && x.tick <= 11000);
    LT_EQUAL(x.tolerance, 32768000);
    x.modes = 0;
    LT_OK(clock_adjtime(CLOCK_REALTIME, &x));
    LT_ERRNO(clock_adjtime(CLOCK_MONOTONIC, &x), EOPNOTSUPP);
    LT_ERRNO(clock_adjtime(99, &x), EINVAL);
    LT_ERRNO(syscall(SYS_adjtimex, LT_BAD_ADDRESS), EFAULT);
    LT_EQUAL(LT_IN_A_CHILD({
                 struct timex tick = {.modes = ADJ_TICK, .tick = 10001};
                 become_nobody();
                 DENIED(adjtimex(&tick), EPERM);
             }),
             0);
}

// ---- sched_setattr -----------------------------------------------------------------------------------------------------------------

struct attributes {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
    uint32_t least, most, beyond[2];
};

static int get(struct attributes *a, unsigned size) { return (int)syscall(SYS_sched_getattr, 0, a, size, 0); }
static int set(struct attributes *a) { return (int)syscall(SYS_sched_setattr, 0, a, 0); }

LT_TEST(schedules) {
    struct attributes a;
    memset(&a, 0xff, sizeof a);
    LT_OK(get(&a, 48));
    LT_EQUAL(a.size, 48);
    LT_EQUAL(a.policy, SCHED_OTHER);
    LT_EQUAL(a.priority, 0);
    LT_EQUAL(a.least, UINT32_MAX);
    LT_OK(get(&a, sizeof a));
    LT_EQUAL(a.size, 56);
    LT_ERRNO(get(&a, 47), EINVAL);
    LT_ERRNO(get(&a, 5000), EINVAL);
    LT_ERRNO(syscall(SYS_sched_getattr, 0, NULL, 48, 0), EINVAL);
    LT_ERRNO(syscall(SYS_sched_getattr, 0, &a, 48, 1), EINVAL);
    LT_ERRNO(syscall(SYS_sched_getattr, -1, &a, 48, 0), EINVAL);
    LT_ERRNO(syscall(SYS_sched_getattr, 0x7ffffff0, &a, 48, 0), ESRCH);
    LT_ERRNO(syscall(SYS_sched_getattr, 0, LT_BAD_ADDRESS, 48, 0), EFAULT);
    LT_EQUAL(LT_IN_A_CHILD({
                 struct attributes b = {.size = 48, .policy = SCHED_IDLE};
                 become_nobody();
                 LT_DEMAND(set(&b) == 0 && syscall(SYS_sched_getscheduler, 0) == SCHED_IDLE);
                 LT_DEMAND(get(&b, 48) == 0 && b.policy == SCHED_IDLE);
                 b = (struct attributes){.size = 48, .policy = SCHED_FIFO, .priority = 1};
                 DENIED(set(&b), EPERM);
                 b.priority = 0;
                 DENIED(set(&b), EINVAL);
                 b = (struct attributes){.size = 48, .policy = 77};
                 DENIED(set(&b), EINVAL);
                 b = (struct attributes){.size = 40};
                 DENIED(set(&b), E2BIG);
                 LT_DEMAND(b.size == 56);
                 b = (struct attributes){.size = sizeof b};
                 b.beyond[1] = 1;
                 DENIED(set(&b), E2BIG);
                 b = (struct attributes){.size = 48, .flags = 1ull << 40};
                 DENIED(set(&b), EINVAL);
                 DENIED(syscall(SYS_sched_setattr, 0, &b, 1), EINVAL);
                 DENIED(syscall(SYS_sched_setattr, 0, NULL, 0), EINVAL);
                 DENIED(syscall(SYS_sched_setattr, 0, LT_BAD_ADDRESS, 0), EFAULT);
             }),
             0);
}

// ---- limits ------------------------------------------------------------------------------------------------------------------------

static volatile sig_atomic_t told;
static void count(int number) { told++; }

LT_TEST(time_is_over) {
    LT_EQUAL(LT_IN_A_CHILD({
                 struct rlimit limit = {.rlim_cur = 1, .rlim_max = 1000};
                 signal(SIGXCPU, count);
                 LT_DEMAND(setrlimit(RLIMIT_CPU, &limit) == 0);
                 pid_t child = fork();  // has it too, from now on
                 if (child == 0) {
                     signal(SIGXCPU, SIG_DFL);
                     for (;;) {}
                 }
                 int status;
                 LT_DEMAND(waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU);
                 while (told == 0) {}
                 limit.rlim_max = 2;
                 LT_DEMAND(setrlimit(RLIMIT_CPU, &limit) == 0);
                 for (;;) {}
             }) & 0x7f,
             SIGKILL);
}

LT_TEST(no_more_processes) {
    LT_EQUAL(LT_IN_A_CHILD({
                 const struct rlimit limit = {.rlim_cur = 2, .rlim_max = 100};
                 int p[2], status;
                 char c;
                 LT_DEMAND(pipe(p) == 0);
                 const uid_t own = 20000 + (uid_t)getpid() % 40000;  // the limit counts what others of that user have
                 LT_DEMAND(setresuid(own, own, own) == 0);
                 LT_DEMAND(setrlimit(RLIMIT_NPROC, &limit) == 0);
                 pid_t first = fork();
                 LT_DEMAND(first >= 0);
                 if (first == 0) {
                     close(p[1]);
                     _exit((int)read(p[0], &c, 1));
                 }
                 DENIED(fork(), EAGAIN);
                 LT_DEMAND(close(p[1]) == 0);
                 LT_DEMAND(waitpid(first, &status, 0) == first && status == 0);
                 first = fork();
                 LT_DEMAND(first >= 0);
                 if (first == 0) _exit(0);
                 LT_DEMAND(waitpid(first, &status, 0) == first && status == 0);
             }),
             0);
}

// ---- /proc/self/mem ------------------------------------------------------------------------------------------------------------------

LT_TEST(own_memory) {
    static char here[8192] = "to be read";
    char got[16] = "";
    int fd = (int)LT_OK(open("/proc/self/mem", O_RDWR));
    LT_EQUAL(pread(fd, got, 10, (off_t)here), 10);
    LT_TEXT(got, "to be read");
    LT_EQUAL(lseek(fd, (off_t)here + 6, SEEK_SET), (off_t)here + 6);
    LT_EQUAL(read(fd, got, 4), 4);
    LT_EQUAL(lseek(fd, 0, SEEK_CUR), (off_t)here + 10);
    LT_EQUAL(pwrite(fd, "written", 8, (off_t)here + 4093), 8);
    LT_TEXT(here + 4093, "written");
    LT_ERRNO(lseek(fd, 0, SEEK_END), EINVAL);
    LT_ERRNO(pread(fd, got, 1, 16), EIO);
    LT_ERRNO(pwrite(fd, got, 1, 16), EIO);
    LT_ERRNO(pread(fd, LT_BAD_ADDRESS, 1, (off_t)here), EFAULT);
    char *two = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    LT_CHECK(two != MAP_FAILED);
    LT_OK(munmap(two + 4096, 4096));
    static char large[8192];
    LT_EQUAL(pread(fd, large, 8192, (off_t)two), 4096);
    LT_OK(close(fd));
    fd = (int)LT_OK(open("/proc/self/mem", O_RDONLY));
    LT_ERRNO(pwrite(fd, got, 1, (off_t)here), EBADF);
    struct stat s;
    LT_OK(stat("/proc/self/mem", &s));
    LT_EQUAL(s.st_mode & 07777, 0600);
}
