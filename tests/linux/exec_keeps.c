// What goes on over execve, and what ends: timers and signals that were not taken.
static void as_next(int argc, char **argv);
#define LT_BEGIN(argc, argv) as_next(argc, argv)
#include "tests/linux/lt.h"

#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

#define GOOD 3  // exit status of a program that found what it was to find

// ---- the next program -----------------------------------------------------------------------------------------------------------

static long left(int which, long *interval) {
    struct itimerval now;
    if (getitimer(which, &now) != 0) _exit(4);
    *interval = now.it_interval.tv_sec;
    return now.it_value.tv_sec * 1000000 + now.it_value.tv_usec;
}

// All three were set to 1,000 seconds, and every 7.
static int has_all(void) {
    for (int which = ITIMER_REAL; which <= ITIMER_PROF; which++) {
        long interval, us = left(which, &interval);
        if (us <= 0 || us > 1001000000 || interval != 7) return 5 + which;
    }
    return GOOD;
}

static int has_none(void) {
    for (int which = ITIMER_REAL; which <= ITIMER_PROF; which++) {
        long interval;
        if (left(which, &interval) != 0 || interval != 0) return 5 + which;
    }
    return GOOD;
}

static int has_no_posix_timers(void) {
    struct itimerspec now;
    for (long id = 0; id < 8; id++)
        if (syscall(SYS_timer_gettime, id, &now) != -1 || errno != EINVAL) return 5;
    sigset_t pending;
    return sigpending(&pending) == 0 && !sigismember(&pending, SIGUSR2) && !sigismember(&pending, SIGUSR1) ? GOOD : 6;
}

__attribute__((noreturn)) static int waits(void) {
    for (;;) pause();
}
__attribute__((noreturn)) static int spins(void) {
    for (;;) __asm__ volatile("pause");
}

// SIGUSR1 of the process, SIGUSR2 of the thread, two of SIGRTMIN + 1, in order.
static int has_signals(void) {
    const struct timespec now = {0};
    sigset_t pending, one;
    siginfo_t info;
    if (sigpending(&pending) != 0 || !sigismember(&pending, SIGUSR1) || !sigismember(&pending, SIGUSR2)) return 5;
    sigemptyset(&one);
    sigaddset(&one, SIGUSR1);
    if (sigtimedwait(&one, &info, &now) != SIGUSR1 || info.si_code != SI_USER || info.si_pid != getpid()) return 6;
    sigemptyset(&one);
    sigaddset(&one, SIGUSR2);
    if (sigtimedwait(&one, &info, &now) != SIGUSR2 || info.si_code != SI_TKILL) return 7;
    sigemptyset(&one);
    sigaddset(&one, SIGRTMIN + 1);
    for (int value = 1; value <= 2; value++)
        if (sigtimedwait(&one, &info, &now) != SIGRTMIN + 1 || info.si_code != SI_QUEUE || info.si_value.sival_int != value) return 8;
    if (sigtimedwait(&one, &info, &now) != -1 || errno != EAGAIN) return 9;
    return sigpending(&pending) == 0 && !sigismember(&pending, SIGUSR1) && !sigismember(&pending, SIGUSR2) ? GOOD : 10;
}

static int takes_it(void) {
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    return 5;
}
static int makes_no_call(void) { return GOOD; }

static const struct {
    const char *name;
    int (*run)(void);
} nexts[] = {{"--all", has_all},         {"--none", has_none},       {"--no-posix", has_no_posix_timers}, {"--wait", waits},
             {"--spin", spins},          {"--signals", has_signals}, {"--take", takes_it},                {"--nothing", makes_no_call}};

static void as_next(int argc, char **argv) {
    for (unsigned i = 0; argc == 2 && i < sizeof nexts / sizeof *nexts; i++)
        if (strcmp(argv[1], nexts[i].name) == 0) _exit(nexts[i].run());
}

static void execute(const char *what) {
    execl("/proc/self/exe", "exec_keeps", what, NULL);
    _exit(100);
}

// The wait status of a child that does this and executes that.
static int status_of(void (*before)(void), const char *what) {
    int status = -1;
    pid_t child = (pid_t)LT_OK(fork());
    if (child == 0) {
        before();
        execute(what);
    }
    LT_EQUAL(waitpid(child, &status, 0), child);
    return status;
}

// ---- timers ---------------------------------------------------------------------------------------------------------------------

static void set(int which, long seconds, long microseconds, long interval) {
    const struct itimerval value = {.it_value = {seconds, microseconds}, .it_interval = {.tv_sec = interval}};
    if (setitimer(which, &value, NULL) != 0) _exit(101);
}
static void set_all(void) {
    for (int which = ITIMER_REAL; which <= ITIMER_PROF; which++) set(which, 1000, 0, 7);
}
static void nothing(void) {}

LT_TEST(timers_go_on) { LT_EQUAL(status_of(set_all, "--all"), GOOD << 8); }
LT_TEST(there_may_be_none) { LT_EQUAL(status_of(nothing, "--none"), GOOD << 8); }

static void set_alarm(void) { alarm(1); }
static void set_real(void) { set(ITIMER_REAL, 0, 20000, 0); }
static void set_virtual(void) { set(ITIMER_VIRTUAL, 0, 20000, 0); }
static void set_prof(void) { set(ITIMER_PROF, 0, 20000, 0); }
LT_TEST(they_fire) {
    LT_EQUAL(status_of(set_alarm, "--wait") & 0x7f, SIGALRM);
    LT_EQUAL(status_of(set_real, "--wait") & 0x7f, SIGALRM);
    LT_EQUAL(status_of(set_virtual, "--spin") & 0x7f, SIGVTALRM);
    LT_EQUAL(status_of(set_prof, "--spin") & 0x7f, SIGPROF);
}

static void set_and_stop(void) {
    set_all();
    for (int which = ITIMER_REAL; which <= ITIMER_PROF; which++) set(which, 0, 0, 0);
}
LT_TEST(what_was_stopped_stays_so) { LT_EQUAL(status_of(set_and_stop, "--none"), GOOD << 8); }

static void set_posix(void) {
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR2};
    const struct itimerspec soon = {.it_value = {.tv_nsec = 1}, .it_interval = {.tv_nsec = 5000000}}, late = {.it_value = {.tv_sec = 1000}};
    sigset_t set, pending;
    timer_t one, two;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    sigprocmask(SIG_BLOCK, &set, NULL);
    if (timer_create(CLOCK_MONOTONIC, &event, &one) != 0 || timer_settime(one, 0, &soon, NULL) != 0) _exit(101);
    if (timer_create(CLOCK_REALTIME, NULL, &two) != 0 || timer_settime(two, 0, &late, NULL) != 0) _exit(102);
    do {
        if (sigpending(&pending) != 0) _exit(103);
    } while (!sigismember(&pending, SIGUSR2));
}
LT_TEST(posix_timers_end) { LT_EQUAL(status_of(set_posix, "--no-posix"), GOOD << 8); }

LT_TEST(those_of_a_parent_stay_with_it) {
    int status = -1;
    set_all();
    pid_t child = vfork();
    if (child == 0) execute("--none");
    LT_EQUAL(waitpid(child, &status, 0), child);
    LT_EQUAL(status, GOOD << 8);
    LT_EQUAL(has_all(), GOOD);
    LT_EQUAL(status_of(nothing, "--none"), GOOD << 8);
    set_and_stop();
}

static volatile sig_atomic_t fired;
static void note(int number) { fired = number; }
LT_TEST(an_exec_that_fails_changes_nothing) {
    set_all();
    LT_ERRNO(execl("/nowhere", "nowhere", NULL), ENOENT);
    lt_make("text", "no program");
    LT_OK(chmod("text", 0755));
    LT_ERRNO(execl("text", "text", NULL), ENOEXEC);
    LT_EQUAL(has_all(), GOOD);
    set_and_stop();
    fired = 0;
    LT_CHECK(signal(SIGALRM, note) != SIG_ERR);
    set(ITIMER_REAL, 0, 20000, 0);
    LT_ERRNO(execl("/nowhere", "nowhere", NULL), ENOENT);
    while (fired != SIGALRM) nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

// ---- signals --------------------------------------------------------------------------------------------------------------------

static void send_blocked(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGUSR2);
    sigaddset(&set, SIGRTMIN + 1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    if (kill(getpid(), SIGUSR1) != 0 || syscall(SYS_tgkill, getpid(), getpid(), SIGUSR2) != 0) _exit(101);
    for (int value = 1; value <= 2; value++)
        if (sigqueue(getpid(), SIGRTMIN + 1, (union sigval){.sival_int = value}) != 0) _exit(102);
}
LT_TEST(signals_wait_on) {
    LT_EQUAL(status_of(send_blocked, "--signals"), GOOD << 8);
    LT_EQUAL(status_of(send_blocked, "--nothing"), GOOD << 8);
    LT_EQUAL(status_of(send_blocked, "--take") & 0x7f, SIGUSR2);  // the thread's own come first
}
