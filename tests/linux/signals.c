// Signals: masks, queues, actions, waiting, restarting.
#include "tests/linux/lt.h"

#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

static volatile sig_atomic_t hits, last, order[64];
static volatile siginfo_t info_seen;

static void count(int number) {
    last = number;
    if (hits < 64) order[hits] = number;
    hits++;
}
static void count_info(int number, siginfo_t *info, void *context) {
    (void)context;
    memcpy((void *)&info_seen, info, sizeof *info);
    count(number);
}

static void handle(int number, void (*handler)(int), int flags) {
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    LT_OK(sigaction(number, &action, NULL));
}
static void handle_info(int number, int flags) {
    struct sigaction action = {.sa_sigaction = count_info, .sa_flags = flags | SA_SIGINFO};
    LT_OK(sigaction(number, &action, NULL));
    memset((void *)&info_seen, 0, sizeof info_seen);
}
static sigset_t set_of(int a, int b) {
    sigset_t set;
    sigemptyset(&set);
    if (a) sigaddset(&set, a);
    if (b) sigaddset(&set, b);
    return set;
}
static void begin(void) {
    sigset_t none = set_of(0, 0);
    LT_OK(sigprocmask(SIG_SETMASK, &none, NULL));
    hits = last = 0;
}

LT_TEST(action_arguments) {
    struct sigaction action = {.sa_handler = count};
    LT_ERRNO(sigaction(SIGKILL, &action, NULL), EINVAL);
    LT_ERRNO(sigaction(SIGSTOP, &action, NULL), EINVAL);
    LT_ERRNO(sigaction(65, &action, NULL), EINVAL);
    LT_EQUAL(syscall(SYS_rt_sigaction, SIGKILL, NULL, NULL, 8), 0);
    LT_ERRNO(syscall(SYS_rt_sigaction, SIGUSR1, NULL, NULL, 4), EINVAL);
    LT_ERRNO(syscall(SYS_rt_sigaction, SIGUSR1, LT_BAD_ADDRESS, NULL, 8), EFAULT);
    LT_ERRNO(syscall(SYS_rt_sigaction, SIGUSR1, NULL, LT_BAD_ADDRESS, 8), EFAULT);
    handle(SIGUSR1, count, SA_RESTART | SA_NODEFER);
    LT_OK(sigaction(SIGUSR1, NULL, &action));
    LT_CHECK(action.sa_handler == count);
    LT_EQUAL(action.sa_flags & (SA_RESTART | SA_NODEFER), SA_RESTART | SA_NODEFER);
    handle(SIGUSR1, SIG_DFL, 0);
}

LT_TEST(mask_arguments) {
    unsigned long set = ~0ul, old = 0;
    LT_ERRNO(syscall(SYS_rt_sigprocmask, 7, &set, NULL, 8), EINVAL);
    LT_ERRNO(syscall(SYS_rt_sigprocmask, SIG_BLOCK, &set, NULL, 4), EINVAL);
    LT_ERRNO(syscall(SYS_rt_sigprocmask, SIG_BLOCK, LT_BAD_ADDRESS, NULL, 8), EFAULT);
    LT_EQUAL(syscall(SYS_rt_sigprocmask, 7, NULL, &old, 8), 0);
    LT_EQUAL(syscall(SYS_rt_sigprocmask, SIG_SETMASK, &set, NULL, 8), 0);
    LT_EQUAL(syscall(SYS_rt_sigprocmask, SIG_SETMASK, NULL, &old, 8), 0);
    LT_EQUAL(old, ~(1ul << (SIGKILL - 1) | 1ul << (SIGSTOP - 1)));
    begin();
}

LT_TEST(blocked_until_unblocked) {
    begin();
    handle(SIGUSR1, count, 0);
    sigset_t set = set_of(SIGUSR1, 0), pending;
    LT_OK(sigprocmask(SIG_BLOCK, &set, NULL));
    LT_OK(raise(SIGUSR1));
    LT_OK(kill(getpid(), SIGUSR1));
    LT_OK(kill(getpid(), SIGUSR1));
    LT_EQUAL(hits, 0);
    LT_OK(sigpending(&pending));
    LT_EQUAL(sigismember(&pending, SIGUSR1), 1);
    LT_EQUAL(sigismember(&pending, SIGUSR2), 0);
    LT_OK(sigprocmask(SIG_UNBLOCK, &set, NULL));
    LT_EQUAL(hits, 2);  // one of the thread, one of the process
    LT_OK(sigpending(&pending));
    LT_EQUAL(sigismember(&pending, SIGUSR1), 0);
}

LT_TEST(real_time_signals_queue_in_order) {
    begin();
    handle_info(SIGRTMIN + 1, 0);
    handle_info(SIGRTMIN, 0);
    sigset_t set = set_of(SIGRTMIN, SIGRTMIN + 1);
    LT_OK(sigprocmask(SIG_BLOCK, &set, NULL));
    for (int i = 0; i < 5; i++) LT_OK(sigqueue(getpid(), SIGRTMIN + 1, (union sigval){.sival_int = i}));
    LT_OK(sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 77}));
    for (int i = 0; i < 5; i++) {
        siginfo_t info;
        set = set_of(SIGRTMIN + 1, 0);
        LT_EQUAL(sigwaitinfo(&set, &info), SIGRTMIN + 1);
        LT_EQUAL(info.si_value.sival_int, i);
        LT_EQUAL(info.si_code, SI_QUEUE);
        LT_EQUAL(info.si_pid, getpid());
        LT_EQUAL(info.si_uid, getuid());
    }
    LT_EQUAL(hits, 0);
    set = set_of(SIGRTMIN, 0);
    LT_OK(sigprocmask(SIG_UNBLOCK, &set, NULL));
    LT_EQUAL(hits, 1);
    LT_EQUAL(info_seen.si_value.sival_int, 77);
}

// Handlers that come together are entered in ascending order, so that the last runs first.
LT_TEST(several_pending) {
    begin();
    int numbers[] = {SIGUSR1, SIGUSR2, SIGHUP, SIGTERM};
    sigset_t all, none = set_of(0, 0);
    sigfillset(&all);
    LT_OK(sigprocmask(SIG_SETMASK, &all, NULL));
    for (int i = 0; i < 4; i++) {
        struct sigaction action = {.sa_handler = count, .sa_flags = 0};
        LT_OK(sigaction(numbers[i], &action, NULL));
        LT_OK(raise(numbers[i]));
    }
    LT_EQUAL(hits, 0);
    LT_OK(sigprocmask(SIG_SETMASK, &none, NULL));
    LT_EQUAL(hits, 4);
    LT_EQUAL(order[0], SIGTERM);
    LT_EQUAL(order[1], SIGUSR2);
    LT_EQUAL(order[2], SIGUSR1);
    LT_EQUAL(order[3], SIGHUP);
}

LT_TEST(siginfo_of_kill_and_tgkill) {
    begin();
    handle_info(SIGUSR1, 0);
    LT_OK(kill(getpid(), SIGUSR1));
    LT_EQUAL(hits, 1);
    LT_EQUAL(info_seen.si_signo, SIGUSR1);
    LT_EQUAL(info_seen.si_code, SI_USER);
    LT_EQUAL(info_seen.si_pid, getpid());
    LT_OK(syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), SIGUSR1));
    LT_EQUAL(info_seen.si_code, SI_TKILL);
    LT_OK(syscall(SYS_tkill, syscall(SYS_gettid), SIGUSR1));
    LT_EQUAL(hits, 3);
}

LT_TEST(send_arguments) {
    LT_ERRNO(syscall(SYS_tgkill, 0, 1, SIGUSR1), EINVAL);
    LT_ERRNO(syscall(SYS_tgkill, getpid(), -1, SIGUSR1), EINVAL);
    LT_ERRNO(syscall(SYS_tkill, 0, SIGUSR1), EINVAL);
    LT_ERRNO(syscall(SYS_tgkill, getpid(), getpid(), 65), EINVAL);
    LT_ERRNO(syscall(SYS_tgkill, getpid(), 0x3ffffff0, 0), ESRCH);
    LT_ERRNO(kill(getpid(), 65), EINVAL);
    LT_OK(kill(getpid(), 0));
    LT_OK(syscall(SYS_tgkill, getpid(), getpid(), 0));
    siginfo_t info = {.si_code = SI_QUEUE};
    LT_ERRNO(syscall(SYS_rt_sigqueueinfo, getpid(), SIGUSR1, LT_BAD_ADDRESS), EFAULT);
    LT_ERRNO(syscall(SYS_rt_tgsigqueueinfo, getpid(), 0, SIGUSR1, &info), EINVAL);
    LT_EQUAL(syscall(SYS_rt_sigqueueinfo, getpid(), 0, &info), 0);
}

LT_TEST(queueinfo_keeps_all_bytes) {
    begin();
    handle_info(SIGRTMIN + 3, 0);
    siginfo_t info;
    memset(&info, 0, sizeof info);
    memset((char *)&info + 16, 0x5a, 32);
    info.si_signo = 1;
    info.si_code = -77;
    LT_OK(syscall(SYS_rt_tgsigqueueinfo, getpid(), syscall(SYS_gettid), SIGRTMIN + 3, &info));
    LT_EQUAL(hits, 1);
    LT_EQUAL(info_seen.si_signo, SIGRTMIN + 3);
    LT_EQUAL(info_seen.si_code, -77);
    LT_CHECK(memcmp((char *)&info_seen + 16, (char *)&info + 16, 32) == 0);
    ((char *)&info)[100] = 1;  // of a code that nobody knows there must be no more than that
    LT_ERRNO(syscall(SYS_rt_tgsigqueueinfo, getpid(), syscall(SYS_gettid), SIGRTMIN + 3, &info), E2BIG);
}

static void nested(int number) {
    int depth = hits;
    count(number);
    if (number == SIGUSR1 && depth < 3) raise(number);
}
LT_TEST(nodefer_and_defer) {
    begin();
    handle(SIGUSR1, nested, SA_NODEFER);
    LT_OK(raise(SIGUSR1));
    LT_EQUAL(hits, 4);
    begin();
    handle(SIGUSR1, nested, 0);  // each comes when the one before has ended
    LT_OK(raise(SIGUSR1));
    LT_EQUAL(hits, 4);
}

static sigset_t mask_in_handler;
static void look(int number) {
    count(number);
    sigprocmask(SIG_BLOCK, NULL, &mask_in_handler);
}
LT_TEST(mask_in_a_handler) {
    begin();
    struct sigaction action = {.sa_handler = look};
    sigaddset(&action.sa_mask, SIGHUP);
    LT_OK(sigaction(SIGUSR1, &action, NULL));
    sigset_t set = set_of(SIGUSR2, 0), now;
    LT_OK(sigprocmask(SIG_SETMASK, &set, NULL));
    LT_OK(raise(SIGUSR1));
    LT_EQUAL(sigismember(&mask_in_handler, SIGUSR1), 1);
    LT_EQUAL(sigismember(&mask_in_handler, SIGUSR2), 1);
    LT_EQUAL(sigismember(&mask_in_handler, SIGHUP), 1);
    LT_EQUAL(sigismember(&mask_in_handler, SIGTERM), 0);
    LT_OK(sigprocmask(SIG_BLOCK, NULL, &now));
    LT_EQUAL(sigismember(&now, SIGUSR1), 0);
    LT_EQUAL(sigismember(&now, SIGUSR2), 1);
    LT_EQUAL(sigismember(&now, SIGHUP), 0);
    begin();
}

LT_TEST(resethand) {
    begin();
    handle(SIGUSR1, count, SA_RESETHAND);
    LT_OK(raise(SIGUSR1));
    struct sigaction now;
    LT_OK(sigaction(SIGUSR1, NULL, &now));
    LT_CHECK(now.sa_handler == SIG_DFL);
}

LT_TEST(ignored_ones_are_dropped) {
    begin();
    sigset_t set = set_of(SIGUSR1, SIGCHLD), pending;
    LT_OK(sigprocmask(SIG_SETMASK, &set, NULL));
    handle(SIGUSR1, count, 0);
    LT_OK(raise(SIGUSR1));
    handle(SIGUSR1, SIG_IGN, 0);  // what was pending goes
    LT_OK(sigpending(&pending));
    LT_EQUAL(sigismember(&pending, SIGUSR1), 0);
    begin();
    handle(SIGUSR1, SIG_IGN, 0);
    LT_OK(raise(SIGUSR1));
    LT_OK(raise(SIGCHLD));  // by default
    handle(SIGUSR1, count, 0);
    LT_EQUAL(hits, 0);
}

LT_TEST(sigsuspend_takes_its_mask_and_gives_it_back) {
    begin();
    handle(SIGUSR1, look, 0);
    sigset_t set = set_of(SIGUSR1, 0), other = set_of(SIGUSR2, 0), now;
    LT_OK(sigprocmask(SIG_SETMASK, &set, NULL));
    LT_OK(raise(SIGUSR1));
    LT_EQUAL(hits, 0);
    LT_ERRNO(sigsuspend(&other), EINTR);
    LT_EQUAL(hits, 1);
    LT_EQUAL(sigismember(&mask_in_handler, SIGUSR2), 1);
    LT_OK(sigprocmask(SIG_BLOCK, NULL, &now));
    LT_EQUAL(sigismember(&now, SIGUSR1), 1);
    LT_EQUAL(sigismember(&now, SIGUSR2), 0);
    LT_ERRNO(syscall(SYS_rt_sigsuspend, LT_BAD_ADDRESS, 8), EFAULT);
    LT_ERRNO(syscall(SYS_rt_sigsuspend, &set, 7), EINVAL);
    begin();
}

LT_TEST(sigtimedwait) {
    begin();
    handle(SIGUSR2, count, 0);
    sigset_t set = set_of(SIGUSR1, 0);
    siginfo_t info;
    struct timespec none = {0}, little = {.tv_nsec = 20000000}, bad = {.tv_nsec = 1000000000}, before, after;
    LT_OK(sigprocmask(SIG_SETMASK, &set, NULL));
    LT_ERRNO(sigtimedwait(&set, &info, &none), EAGAIN);
    LT_ERRNO(syscall(SYS_rt_sigtimedwait, &set, &info, &bad, 8), EINVAL);
    LT_ERRNO(syscall(SYS_rt_sigtimedwait, &set, &info, &none, 4), EINVAL);
    LT_ERRNO(syscall(SYS_rt_sigtimedwait, LT_BAD_ADDRESS, &info, &none, 8), EFAULT);
    LT_OK(clock_gettime(CLOCK_MONOTONIC, &before));
    LT_ERRNO(sigtimedwait(&set, &info, &little), EAGAIN);
    LT_OK(clock_gettime(CLOCK_MONOTONIC, &after));
    LT_CHECK((after.tv_sec - before.tv_sec) * 1000000000ll + after.tv_nsec - before.tv_nsec >= 20000000);
    LT_OK(raise(SIGUSR1));
    LT_EQUAL(sigtimedwait(&set, &info, &none), SIGUSR1);
    LT_EQUAL(info.si_signo, SIGUSR1);
    LT_EQUAL(info.si_code, SI_TKILL);
    begin();
}

static pthread_t main_thread;
static pid_t main_tid;
static void *send_later(void *number) {
    lt_asleep(main_tid);
    pthread_kill(main_thread, (int)(long)number);
    return NULL;
}
static pthread_t later(int number) {
    pthread_t thread;
    main_thread = pthread_self();
    main_tid = (pid_t)syscall(SYS_gettid);
    LT_EQUAL(pthread_create(&thread, NULL, send_later, (void *)(long)number), 0);
    return thread;
}

LT_TEST(sigtimedwait_and_another_signal) {
    begin();
    handle(SIGUSR2, count, SA_RESTART);
    sigset_t set = set_of(SIGUSR1, 0);
    LT_OK(sigprocmask(SIG_SETMASK, &set, NULL));
    struct timespec second = {.tv_sec = LT_HANG_MS / 1000};
    pthread_t thread = later(SIGUSR2);
    LT_ERRNO(syscall(SYS_rt_sigtimedwait, &set, NULL, &second, 8), EINTR);
    LT_EQUAL(hits, 1);
    pthread_join(thread, NULL);
    thread = later(SIGUSR1);
    LT_EQUAL(sigtimedwait(&set, NULL, &second), SIGUSR1);
    pthread_join(thread, NULL);
    begin();
}

LT_TEST(pause_ends_with_a_handler) {
    begin();
    handle(SIGUSR1, count, SA_RESTART);
    pthread_t thread = later(SIGUSR1);
    LT_ERRNO(pause(), EINTR);
    LT_EQUAL(hits, 1);
    pthread_join(thread, NULL);
}

// A futex wait stands for any call that begins again with SA_RESTART.
static int restart_word;
static void *signal_then_wake(void *unused) {
    const int before = hits;
    send_later((void *)(long)SIGUSR1);
    while (hits == before) usleep(1000);
    while (syscall(SYS_futex, &restart_word, 1 | 128, 1, NULL, NULL, 0) == 0) usleep(1000);  // until it waits again
    return unused;
}
LT_TEST(restart) {
    begin();
    restart_word = 1;
    handle(SIGUSR1, count, 0);
    pthread_t thread = later(SIGUSR1);
    LT_ERRNO(syscall(SYS_futex, &restart_word, 128, 1, NULL, NULL, 0), EINTR);
    LT_EQUAL(hits, 1);
    pthread_join(thread, NULL);
    handle(SIGUSR1, count, SA_RESTART);
    LT_EQUAL(pthread_create(&thread, NULL, signal_then_wake, NULL), 0);
    LT_EQUAL(syscall(SYS_futex, &restart_word, 128, 1, NULL, NULL, 0), 0);
    LT_EQUAL(hits, 2);
    pthread_join(thread, NULL);
    // One with a time-out does not.
    struct timespec second = {.tv_sec = LT_HANG_MS / 1000};
    thread = later(SIGUSR1);
    LT_ERRNO(syscall(SYS_futex, &restart_word, 128, 1, &second, NULL, 0), EINTR);
    LT_EQUAL(hits, 3);
    pthread_join(thread, NULL);
}

static long long ns_between(struct timespec from, struct timespec to) {
    return (to.tv_sec - from.tv_sec) * 1000000000ll + to.tv_nsec - from.tv_nsec;
}

LT_TEST(sleep_tells_what_is_left) {
    begin();
    handle(SIGUSR1, count, SA_RESTART);
    struct timespec asked = {.tv_sec = 2 * LT_HANG_MS / 1000}, left = {0};
    struct timespec before, after;
    pthread_t thread = later(SIGUSR1);
    clock_gettime(CLOCK_MONOTONIC, &before);
    LT_ERRNO(nanosleep(&asked, &left), EINTR);
    clock_gettime(CLOCK_MONOTONIC, &after);
    const long long slept = ns_between(before, after), rest = ns_between(left, asked);
    LT_CHECK(rest <= slept && rest >= -1000000);  // Linux tells its slack, too
    pthread_join(thread, NULL);
    // Without a handler it goes on with what is left.
    handle(SIGUSR1, SIG_IGN, 0);
    struct timespec shorter = {.tv_nsec = 100000000};
    thread = later(SIGUSR1);
    clock_gettime(CLOCK_MONOTONIC, &before);
    LT_OK(nanosleep(&shorter, NULL));
    clock_gettime(CLOCK_MONOTONIC, &after);
    LT_CHECK(ns_between(before, after) >= 100000000);
    pthread_join(thread, NULL);
}

// ---- threads -----------------------------------------------------------------------------------------------------------

static volatile int spinning, stop_spinning;
static _Atomic int spins_hit;
static __thread int mine;
static void count_mine(int number) {
    (void)number;
    mine++;
    spins_hit++;
}
static void *spin(void *unused) {
    (void)unused;
    spinning = 1;
    while (!stop_spinning) __asm__ volatile("pause");
    return (void *)(long)mine;
}

LT_TEST(a_thread_that_makes_no_calls) {
    pthread_t thread;
    void *seen;
    begin();
    spinning = stop_spinning = 0;
    spins_hit = 0;
    handle(SIGUSR1, count_mine, 0);
    LT_EQUAL(pthread_create(&thread, NULL, spin, NULL), 0);
    while (!spinning) sched_yield();
    for (int i = 0; i < 200; i++) {
        LT_EQUAL(pthread_kill(thread, SIGUSR1), 0);
        while (spins_hit <= i) sched_yield();
    }
    stop_spinning = 1;
    pthread_join(thread, &seen);
    LT_EQUAL((long)seen, 200);  // with the thread's own %fs
}

LT_TEST(process_signals_find_who_takes_them) {
    pthread_t thread;
    begin();
    spinning = stop_spinning = 0;
    spins_hit = 0;
    handle(SIGUSR1, count_mine, 0);
    LT_EQUAL(pthread_create(&thread, NULL, spin, NULL), 0);
    while (!spinning) sched_yield();
    sigset_t set = set_of(SIGUSR1, 0);
    LT_OK(sigprocmask(SIG_BLOCK, &set, NULL));
    for (int i = 0; i < 50; i++) {
        LT_OK(kill(getpid(), SIGUSR1));
        while (spins_hit <= i) sched_yield();
    }
    stop_spinning = 1;
    void *seen;
    pthread_join(thread, &seen);
    LT_EQUAL((long)seen, 50);
    begin();
}

// Every queued signal arrives once: 8 threads send to one another.
#define STORM_THREADS 8
#define STORM_ROUNDS 1000
static pid_t storm_tids[STORM_THREADS];
static pthread_barrier_t gate;
static _Atomic long storm_sum, storm_hits;
static void storm_handler(int number, siginfo_t *info, void *context) {
    (void)number, (void)context;
    storm_sum += info->si_value.sival_int;
    storm_hits++;
}
static void *storm_thread(void *at) {
    long self = (long)at, sent = 0;
    storm_tids[self] = (pid_t)syscall(SYS_gettid);
    pthread_barrier_wait(&gate);
    for (int i = 0; i < STORM_ROUNDS; i++) {
        long other = (self + 1 + i % (STORM_THREADS - 1)) % STORM_THREADS;
        siginfo_t info = {.si_code = SI_QUEUE, .si_value.sival_int = i};
        while (syscall(SYS_rt_tgsigqueueinfo, getpid(), storm_tids[other], SIGRTMIN + 2, &info) != 0) sched_yield();
        sent += i;
    }
    pthread_barrier_wait(&gate);
    return (void *)sent;
}
LT_TEST(storm) {
    struct sigaction action = {.sa_sigaction = storm_handler, .sa_flags = SA_SIGINFO | SA_RESTART};
    pthread_t storm[STORM_THREADS];
    long sum = 0;
    begin();
    storm_sum = storm_hits = 0;
    LT_OK(sigaction(SIGRTMIN + 2, &action, NULL));
    pthread_barrier_init(&gate, NULL, STORM_THREADS);
    for (long i = 0; i < STORM_THREADS; i++) LT_EQUAL(pthread_create(&storm[i], NULL, storm_thread, (void *)i), 0);
    for (int i = 0; i < STORM_THREADS; i++) {
        void *sent;
        pthread_join(storm[i], &sent);
        sum += (long)sent;
    }
    LT_EQUAL(storm_hits, STORM_THREADS * STORM_ROUNDS);
    LT_EQUAL(storm_sum, sum);
}
