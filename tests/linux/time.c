// Clocks, sleeping and timers.
#include "tests/linux/lt.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/times.h>
#include <time.h>

#define MS 1000000ll
static long long now(clockid_t clock) {
    struct timespec ts;
    clock_gettime(clock, &ts);
    return ts.tv_sec * 1000000000ll + ts.tv_nsec;
}
static long long by_call(clockid_t clock) {
    struct timespec ts;
    syscall(SYS_clock_gettime, clock, &ts);
    return ts.tv_sec * 1000000000ll + ts.tv_nsec;
}
static struct timespec spec(long long ns) { return (struct timespec){.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000}; }

// ---- clocks -----------------------------------------------------------------------------------------------------------------

LT_TEST(clocks) {
    static const clockid_t clocks[] = {CLOCK_REALTIME,        CLOCK_MONOTONIC,        CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID,
                                       CLOCK_MONOTONIC_RAW,   CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE,   CLOCK_BOOTTIME,
                                       11 /* CLOCK_TAI */};
    for (unsigned i = 0; i < sizeof clocks / sizeof clocks[0]; i++) {
        struct timespec ts = {-1, -1}, resolution;
        LT_OK(syscall(SYS_clock_gettime, clocks[i], &ts));
        LT_CHECK(ts.tv_sec >= 0 && ts.tv_nsec >= 0 && ts.tv_nsec < 1000000000);
        LT_OK(clock_gettime(clocks[i], &ts));
        LT_OK(syscall(SYS_clock_getres, clocks[i], &resolution));
        LT_EQUAL(resolution.tv_sec, 0);
        LT_CHECK(resolution.tv_nsec >= 1);
    }
    struct timespec ts;
    LT_ERRNO(syscall(SYS_clock_gettime, 12, &ts), EINVAL);
    LT_ERRNO(syscall(SYS_clock_gettime, 77, &ts), EINVAL);
    LT_ERRNO(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, LT_BAD_ADDRESS), EFAULT);
    LT_EQUAL(syscall(SYS_clock_getres, CLOCK_MONOTONIC, NULL), 0);
    LT_ERRNO(syscall(SYS_clock_settime, CLOCK_MONOTONIC, &ts), EINVAL);
}

// What the C library reads without a call is what the call tells.
LT_TEST(without_a_call) {
    LT_CHECK(getauxval(AT_SYSINFO_EHDR) != 0);
    LT_CHECK(memcmp((void *)getauxval(AT_SYSINFO_EHDR), "\177ELF", 4) == 0);
    static const clockid_t clocks[] = {CLOCK_MONOTONIC, CLOCK_REALTIME};
    for (int i = 0; i < 2; i++) {
        for (int j = 0; j < 1000; j++) {
            long long before = by_call(clocks[i]), told = now(clocks[i]), after = by_call(clocks[i]);
            if (told < before || told > after) LT_FAIL("clock %d: %lld, %lld, %lld", clocks[i], before, told, after);
        }
    }
    struct timeval tv;
    long long before = now(CLOCK_REALTIME);
    LT_OK(gettimeofday(&tv, NULL));
    long long told = tv.tv_sec * 1000000000ll + tv.tv_usec * 1000ll;
    LT_CHECK(told / 1000 >= before / 1000 && told <= now(CLOCK_REALTIME));
    time_t seconds = time(NULL);
    LT_CHECK(seconds >= before / 1000000000 - 1 && seconds <= now(CLOCK_REALTIME) / 1000000000);
    LT_OK(syscall(SYS_gettimeofday, &tv, NULL));
    LT_CHECK(syscall(SYS_time, NULL) >= seconds);
    LT_ERRNO(syscall(SYS_gettimeofday, LT_BAD_ADDRESS, NULL), EFAULT);
}

static void burn(long long ns) {
    long long until = now(CLOCK_THREAD_CPUTIME_ID) + ns;
    while (now(CLOCK_THREAD_CPUTIME_ID) < until) {}
}
LT_TEST(cpu_time) {
    struct rusage before, after;
    struct tms ticks;
    long long process = now(CLOCK_PROCESS_CPUTIME_ID), thread = now(CLOCK_THREAD_CPUTIME_ID);
    LT_OK(getrusage(RUSAGE_SELF, &before));
    burn(50 * MS);
    LT_CHECK(now(CLOCK_PROCESS_CPUTIME_ID) - process >= 50 * MS);
    LT_CHECK(now(CLOCK_THREAD_CPUTIME_ID) - thread >= 50 * MS);
    // Who sleeps uses none; but the time that the machine below takes from who runs looks like it.
    const long long hang = now(CLOCK_MONOTONIC) + LT_HANG_MS * MS;
    do {
        thread = now(CLOCK_THREAD_CPUTIME_ID);
        usleep(50000);
        thread = now(CLOCK_THREAD_CPUTIME_ID) - thread;
    } while (thread >= 45 * MS && now(CLOCK_MONOTONIC) < hang);
    LT_CHECK(thread < 45 * MS);
    LT_OK(getrusage(RUSAGE_SELF, &after));
    LT_CHECK(after.ru_utime.tv_sec * 1000000 + after.ru_utime.tv_usec + after.ru_stime.tv_sec * 1000000 + after.ru_stime.tv_usec >=
             before.ru_utime.tv_sec * 1000000 + before.ru_utime.tv_usec + before.ru_stime.tv_sec * 1000000 +
                 before.ru_stime.tv_usec + 30000);
    LT_CHECK(after.ru_maxrss > 0);
    LT_ERRNO(getrusage(77, &after), EINVAL);
    LT_CHECK(times(&ticks) > 0);
    LT_CHECK(ticks.tms_utime + ticks.tms_stime >= 3);
    clockid_t clock;
    LT_EQUAL(pthread_getcpuclockid(pthread_self(), &clock), 0);
    LT_CHECK(now(clock) >= 50 * MS);
    LT_EQUAL(clock_getcpuclockid(0, &clock), 0);
    LT_CHECK(now(clock) >= 50 * MS);
}

// ---- sleeping ------------------------------------------------------------------------------------------------------------------

LT_TEST(sleeping) {
    struct timespec ts = spec(20 * MS), bad = {.tv_nsec = 1000000000}, negative = {.tv_sec = -1};
    long long before = now(CLOCK_MONOTONIC);
    LT_OK(syscall(SYS_nanosleep, &ts, NULL));
    LT_CHECK(now(CLOCK_MONOTONIC) - before >= 20 * MS);
    before = now(CLOCK_MONOTONIC);
    LT_OK(syscall(SYS_clock_nanosleep, CLOCK_REALTIME, 0, &ts, NULL));
    LT_CHECK(now(CLOCK_MONOTONIC) - before >= 19 * MS);
    ts = spec(now(CLOCK_MONOTONIC) + 20 * MS);
    before = now(CLOCK_MONOTONIC);
    LT_OK(syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL));
    LT_CHECK(now(CLOCK_MONOTONIC) >= ts.tv_sec * 1000000000ll + ts.tv_nsec);
    ts = spec(now(CLOCK_REALTIME) + 20 * MS);
    LT_OK(syscall(SYS_clock_nanosleep, CLOCK_REALTIME, TIMER_ABSTIME, &ts, NULL));
    LT_CHECK(now(CLOCK_REALTIME) >= ts.tv_sec * 1000000000ll + ts.tv_nsec);
    ts = spec(1);
    LT_OK(syscall(SYS_clock_nanosleep, CLOCK_REALTIME, TIMER_ABSTIME, &ts, NULL));
    ts = spec(0);
    LT_OK(syscall(SYS_nanosleep, &ts, NULL));
    LT_ERRNO(syscall(SYS_nanosleep, &bad, NULL), EINVAL);
    LT_ERRNO(syscall(SYS_nanosleep, &negative, NULL), EINVAL);
    LT_ERRNO(syscall(SYS_nanosleep, LT_BAD_ADDRESS, NULL), EFAULT);
    LT_ERRNO(syscall(SYS_clock_nanosleep, 77, 0, &ts, NULL), EINVAL);
    LT_ERRNO(syscall(SYS_clock_nanosleep, CLOCK_THREAD_CPUTIME_ID, 0, &ts, NULL), EOPNOTSUPP);
    LT_ERRNO(syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC_RAW, 0, &ts, NULL), EOPNOTSUPP);
}

// ---- timers -----------------------------------------------------------------------------------------------------------------------

static volatile int fired;
static volatile siginfo_t fired_info;
static void on_timer(int number, siginfo_t *info, void *context) {
    memcpy((void *)&fired_info, info, sizeof *info);
    fired++;
}
static void begin(int number) {
    struct sigaction action = {.sa_sigaction = on_timer, .sa_flags = SA_SIGINFO};
    LT_OK(sigaction(number, &action, NULL));
    fired = 0;
    memset((void *)&fired_info, 0, sizeof fired_info);
}
static void wait_fired(int count) {
    for (int i = 0; i < LT_HANG_MS && fired < count; i++) usleep(1000);
    LT_CHECK(fired >= count);
}

LT_TEST(alarm_clock) {
    sigset_t none, blocked;
    begin(SIGALRM);
    LT_EQUAL(alarm(1000), 0);
    const unsigned left = alarm(0);
    LT_CHECK(left > 0 && left <= 1000);
    sigemptyset(&none);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGALRM);
    LT_OK(sigprocmask(SIG_BLOCK, &blocked, NULL));  // until it is waited for
    long long before = now(CLOCK_MONOTONIC);
    LT_EQUAL(alarm(1), 0);
    LT_ERRNO(sigsuspend(&none), EINTR);
    LT_CHECK(now(CLOCK_MONOTONIC) - before > 800 * MS);
    LT_OK(sigprocmask(SIG_SETMASK, &none, NULL));
    LT_EQUAL(fired, 1);
    LT_EQUAL(fired_info.si_code, SI_KERNEL);
    LT_EQUAL(alarm(0), 0);
}

LT_TEST(interval_timer) {
    struct itimerval set = {.it_interval.tv_usec = 5000, .it_value.tv_usec = 5000}, old, none = {0}, bad = {.it_value.tv_usec = 1000000};
    begin(SIGALRM);
    LT_OK(setitimer(ITIMER_REAL, &set, NULL));
    LT_OK(getitimer(ITIMER_REAL, &old));
    LT_EQUAL(old.it_interval.tv_usec, 5000);
    LT_CHECK(old.it_value.tv_usec > 0 || fired > 0);
    wait_fired(5);
    LT_OK(setitimer(ITIMER_REAL, &none, &old));
    LT_EQUAL(old.it_interval.tv_usec, 5000);
    LT_OK(getitimer(ITIMER_REAL, &old));
    LT_EQUAL(old.it_value.tv_usec + old.it_value.tv_sec, 0);
    LT_ERRNO(setitimer(ITIMER_REAL, &bad, NULL), EINVAL);
    LT_ERRNO(setitimer(7, &set, NULL), EINVAL);
    LT_ERRNO(syscall(SYS_setitimer, ITIMER_REAL, LT_BAD_ADDRESS, NULL), EFAULT);
    LT_ERRNO(syscall(SYS_getitimer, 7, &old), EINVAL);
}

LT_TEST(timer_of_cpu_time) {
    struct itimerval set = {.it_value.tv_usec = 400000};  // more than the calls themselves take, on a busy emulated machine too
    begin(SIGPROF);
    const long long used = now(CLOCK_PROCESS_CPUTIME_ID), hang = now(CLOCK_MONOTONIC) + LT_HANG_MS * MS;
    LT_OK(setitimer(ITIMER_PROF, &set, NULL));
    usleep(60000);
    const int early = fired;
    if (now(CLOCK_PROCESS_CPUTIME_ID) - used < 350 * MS) LT_EQUAL(early, 0);
    while (fired == 0 && now(CLOCK_MONOTONIC) < hang) burn(10 * MS);
    LT_EQUAL(fired, 1);
}

LT_TEST(timers) {
    timer_t timer;
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 4, .sigev_value.sival_int = 4711};
    struct itimerspec set = {.it_value = spec(5 * MS)}, now_set;
    begin(SIGRTMIN + 4);
    LT_OK(timer_create(CLOCK_MONOTONIC, &event, &timer));
    LT_OK(timer_gettime(timer, &now_set));
    LT_EQUAL(now_set.it_value.tv_sec + now_set.it_value.tv_nsec, 0);
    LT_OK(timer_settime(timer, 0, &set, NULL));
    wait_fired(1);
    LT_EQUAL(fired_info.si_code, SI_TIMER);
    LT_EQUAL(fired_info.si_value.sival_int, 4711);
    LT_EQUAL(fired_info.si_overrun, 0);
    // Absolute, on the other clock, and one that passed long ago.
    set.it_value = spec(now(CLOCK_MONOTONIC) + 5 * MS);
    LT_OK(timer_settime(timer, TIMER_ABSTIME, &set, NULL));
    wait_fired(2);
    set.it_value = spec(1);
    LT_OK(timer_settime(timer, TIMER_ABSTIME, &set, NULL));
    wait_fired(3);
    set.it_value = spec(1000000 * MS), set.it_interval = spec(7 * MS);
    LT_OK(timer_settime(timer, 0, &set, NULL));
    LT_OK(timer_gettime(timer, &now_set));
    LT_EQUAL(now_set.it_interval.tv_nsec, 7 * MS);
    LT_CHECK(now_set.it_value.tv_sec > 0 && now_set.it_value.tv_sec <= 1000);
    LT_OK(timer_delete(timer));
    LT_ERRNO(syscall(SYS_timer_delete, 12345), EINVAL);
    LT_ERRNO(syscall(SYS_timer_gettime, 12345, &now_set), EINVAL);
    LT_ERRNO(syscall(SYS_timer_create, 77, NULL, &timer), EINVAL);
    event.sigev_signo = 99;
    LT_ERRNO(syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &timer), EINVAL);
    LT_ERRNO(syscall(SYS_timer_create, CLOCK_MONOTONIC, NULL, LT_BAD_ADDRESS), EFAULT);
}

// What fires while its signal waits is counted, and told with the signal.
LT_TEST(overrun) {
    timer_t timer;
    sigset_t mask;
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    struct itimerspec set = {.it_value = spec(2 * MS), .it_interval = spec(2 * MS)}, none = {0};
    siginfo_t info;
    begin(SIGUSR1);
    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR1);
    sigprocmask(SIG_BLOCK, &mask, NULL);
    LT_OK(timer_create(CLOCK_REALTIME, &event, &timer));
    LT_OK(timer_settime(timer, 0, &set, NULL));
    usleep(50000);
    LT_EQUAL(sigwaitinfo(&mask, &info), SIGUSR1);
    LT_CHECK(info.si_overrun >= 10);
    LT_EQUAL(timer_getoverrun(timer), info.si_overrun);
    LT_OK(timer_settime(timer, 0, &none, NULL));
    struct timespec no = {0};
    sigtimedwait(&mask, &info, &no);
    LT_OK(timer_delete(timer));
    sigprocmask(SIG_UNBLOCK, &mask, NULL);
}

static void *threaded(void *unused) {
    for (int i = 0; i < LT_HANG_MS && fired == 0; i++) usleep(1000);
    return unused;
}
static __thread int mine;
static volatile int fired_in_thread;
static void on_thread_timer(int number) {
    fired_in_thread += mine;
    fired++;
}
static volatile pid_t timed_tid;
static void *timed_thread(void *unused) {
    mine = 1;
    timed_tid = (pid_t)syscall(SYS_gettid);
    return threaded(unused);
}
LT_TEST(timer_of_a_thread) {
    pthread_t thread;
    struct sigaction action = {.sa_handler = on_thread_timer};
    LT_OK(sigaction(SIGUSR2, &action, NULL));
    fired = fired_in_thread = 0, timed_tid = 0;
    LT_EQUAL(pthread_create(&thread, NULL, timed_thread, NULL), 0);
    while (timed_tid == 0) sched_yield();
    struct {
        long value;
        int number, notify, tid, pad[11];
    } event = {.number = SIGUSR2, .notify = 4 /* SIGEV_THREAD_ID */, .tid = timed_tid};
    int timer;
    struct itimerspec set = {.it_value = spec(5 * MS)};
    LT_OK(syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &timer));
    LT_OK(syscall(SYS_timer_settime, timer, 0, &set, NULL));
    wait_fired(1);
    LT_EQUAL(fired_in_thread, 1);
    LT_OK(syscall(SYS_timer_delete, timer));
    pthread_join(thread, NULL);
    event.tid = 0x3ffffff0;
    LT_ERRNO(syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &timer), EINVAL);
}
