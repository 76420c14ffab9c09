// Storms of signals: queued ones arrive once each and in order, others at least once, blocking calls lose nothing.
// also: glibc
#include "tests/linux/lt.h"

#include <pthread.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>

enum { SENDERS = 4, MOST = 1 << 20 };

static void handle(int number, void (*handler)(int, siginfo_t *, void *), int flags) {
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags};
    LT_OK(sigaction(number, &action, NULL));
}

static volatile unsigned came[SENDERS], disordered;
static void take_queued(int number, siginfo_t *info, void *context) {
    unsigned sender = (unsigned)info->si_value.sival_int / MOST, serial = (unsigned)info->si_value.sival_int % MOST;
    if (sender >= SENDERS || serial != came[sender]) disordered++;
    else came[sender]++;
}
static void send_queued(pid_t to, unsigned sender, unsigned count) {
    for (unsigned i = 0; i < count; i++)
        while (sigqueue(to, SIGRTMIN + 1, (union sigval){.sival_int = (int)(sender * MOST + i)}) != 0) {
            if (errno != EAGAIN) _exit(1);
            usleep(100);
        }
    _exit(0);
}
LT_TEST(queued_from_processes) {
    unsigned count = lt_times(300, 20000);
    pid_t self = getpid();
    memset((void *)came, 0, sizeof came);
    disordered = 0;
    handle(SIGRTMIN + 1, take_queued, SA_RESTART);
    for (unsigned i = 0; i < SENDERS; i++)
        if (LT_OK(fork()) == 0) send_queued(self, i, count);
    for (unsigned i = 0; i < SENDERS; i++) {
        int status;
        LT_OK(wait(&status));
        LT_EQUAL(status, 0);
    }
    for (unsigned i = 0; i < SENDERS; i++) LT_EQUAL(came[i], count);
    LT_EQUAL(disordered, 0);
}

static volatile unsigned turns;
static pthread_t players[2];
static void take_turn(int number, siginfo_t *info, void *context) { turns++; }
static void *play(void *arg) {
    unsigned me = (unsigned)(unsigned long)arg & 1, rounds = (unsigned)((unsigned long)arg >> 1);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    for (unsigned i = 0; i < rounds; i++) {
        int number;
        if (me == 1 && (sigwait(&set, &number) != 0 || number != SIGUSR1)) return (void *)1;
        if (pthread_kill(players[1 - me], SIGUSR1) != 0) return (void *)2;
        if (me == 0 && (sigwait(&set, &number) != 0 || number != SIGUSR1)) return (void *)3;
    }
    return NULL;
}
LT_TEST(between_threads) {
    unsigned long rounds = lt_times(500, 30000);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    LT_EQUAL(pthread_create(&players[1], NULL, play, (void *)(rounds << 1 | 1)), 0);
    players[0] = pthread_self();
    LT_EQUAL((long)play((void *)(rounds << 1)), 0);
    void *result;
    LT_EQUAL(pthread_join(players[1], &result), 0);
    LT_EQUAL((long)result, 0);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

// Bytes through a pipe while a timer of both ends strikes all the time: none lost, none twice, no call fails.
static int echo(int in, int out, unsigned count) {
    unsigned char byte;
    struct itimerval often = {{0, 700}, {0, 700}}, never = {{0, 0}, {0, 0}};
    if (setitimer(ITIMER_REAL, &often, NULL) != 0) return 1;
    for (unsigned i = 0; i < count; i++) {
        if (read(in, &byte, 1) != 1 || byte != (i & 0xff)) return 2;
        if (write(out, &byte, 1) != 1) return 3;
    }
    return setitimer(ITIMER_REAL, &never, NULL);
}
LT_TEST(timers_beside_blocking_calls) {
    int to[2], back[2], status;
    unsigned count = lt_times(3000, 200000);
    turns = 0;
    LT_OK(pipe(to));
    LT_OK(pipe(back));
    handle(SIGALRM, take_turn, SA_RESTART);
    pid_t child = (pid_t)LT_OK(fork());
    if (child == 0) _exit(echo(to[0], back[1], count));
    struct itimerval often = {{0, 500}, {0, 500}}, never = {{0, 0}, {0, 0}};
    LT_OK(setitimer(ITIMER_REAL, &often, NULL));
    for (unsigned i = 0; i < count; i++) {
        unsigned char byte = (unsigned char)i;
        LT_EQUAL(write(to[1], &byte, 1), 1);
        LT_EQUAL(read(back[0], &byte, 1), 1);
        LT_EQUAL(byte, i & 0xff);
    }
    for (int i = 0; i < LT_HANG_MS && turns == 0; i++) usleep(1000);
    LT_OK(setitimer(ITIMER_REAL, &never, NULL));
    LT_EQUAL(waitpid(child, &status, 0), child);
    LT_EQUAL(status, 0);
    LT_CHECK(turns > 0);
}

// Handlers that interrupt each other while their thread is in the middle of anything; as many at once as its stack has room for.
enum { NESTED_MOST = 200 };
static volatile unsigned nested, deepest, *handled;
static void nest(int number, siginfo_t *info, void *context) {
    if (++nested > deepest) deepest = nested;
    getppid();
    __atomic_add_fetch(handled, 1, __ATOMIC_SEQ_CST);
    nested--;
}
static void send_nested(pid_t to, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        while (i - __atomic_load_n(handled, __ATOMIC_SEQ_CST) >= NESTED_MOST) usleep(100);
        while (sigqueue(to, SIGRTMIN + 2 + (int)(i % 4), (union sigval){.sival_int = 0}) != 0) {
            if (errno != EAGAIN) _exit(1);
            usleep(100);
        }
    }
    _exit(0);
}
LT_TEST(nested_handlers) {
    pid_t self = getpid(), child;
    unsigned count = lt_times(1200, 80000);
    nested = deepest = 0;
    handled = mmap(NULL, sizeof *handled, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    LT_CHECK(handled != MAP_FAILED);
    for (int number = SIGRTMIN + 2; number < SIGRTMIN + 6; number++) handle(number, nest, SA_RESTART | SA_NODEFER);
    child = (pid_t)LT_OK(fork());
    if (child == 0) send_nested(self, count);
    int status;
    while (waitpid(child, &status, WNOHANG) == 0) {
        char *text = malloc(100);
        LT_CHECK(text != NULL);
        free(text);
        LT_EQUAL(getpid(), self);
    }
    LT_EQUAL(status, 0);
    LT_EQUAL(nested, 0);
    LT_EQUAL(*handled, count);
    LT_CHECK(deepest > 0);
    LT_OK(munmap((void *)handled, sizeof *handled));
}

LT_TEST(stopped_and_continued) {
    int status;
    pid_t child = (pid_t)LT_OK(fork());
    if (child == 0)
        for (;;) getppid();
    for (unsigned i = 0; i < lt_times(100, 5000); i++) {
        LT_OK(kill(child, SIGSTOP));
        LT_EQUAL(waitpid(child, &status, WUNTRACED), child);
        LT_CHECK(WIFSTOPPED(status));
        LT_OK(kill(child, SIGCONT));
        LT_EQUAL(waitpid(child, &status, WCONTINUED), child);
        LT_CHECK(WIFCONTINUED(status));
    }
    LT_OK(kill(child, SIGKILL));
    LT_EQUAL(waitpid(child, &status, 0), child);
    LT_EQUAL(status, SIGKILL);
}

// Killed anywhere: in a call, in a handler, while it makes a process.
LT_TEST(killed_anywhere) {
    handle(SIGUSR1, take_turn, SA_RESTART);
    for (unsigned i = 0; i < lt_times(60, 3000); i++) {
        int status, pair[2];
        LT_OK(pipe(pair));
        pid_t child = (pid_t)LT_OK(fork());
        if (child == 0) {
            char bytes[100] = "";
            pid_t self = getpid();
            for (;;) {
                kill(self, SIGUSR1);
                if (write(pair[1], bytes, 100) != 100 || read(pair[0], bytes, 100) != 100) _exit(1);
                pid_t grandchild = fork();
                if (grandchild == 0) _exit(0);
                waitpid(grandchild, NULL, 0);
            }
        }
        usleep(lt_random(4000));
        LT_OK(kill(child, SIGKILL));
        LT_EQUAL(waitpid(child, &status, 0), child);
        LT_EQUAL(status, SIGKILL);
        LT_OK(close(pair[0]));
        LT_OK(close(pair[1]));
    }
}
