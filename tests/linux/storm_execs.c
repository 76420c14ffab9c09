// execve while other threads execute, exit, fork, wait, or the process is killed: one of them wins, and nothing else happens.
#define LT_BEGIN begin
static void begin(int argc, char **argv);
#include "tests/linux/lt.h"

#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <sys/wait.h>

extern char **environ;
static char self[PATH_MAX];

// "PROGRAM then CODE": what is executed. It waits for children that the process had before.
static void begin(int argc, char **argv) {
    if (argc == 3 && strcmp(argv[1], "then") == 0) {
        while (wait(NULL) > 0) continue;
        _exit(atoi(argv[2]));
    }
    if (realpath(argv[0], self) == NULL) _exit(2);
}

static void execute(const char *code) {
    char *const arguments[] = {self, "then", (char *)code, NULL};
    execve(self, arguments, environ);
}

enum { THREADS = 6 };
static pthread_barrier_t barrier;
static int silent[2];

enum { EXECUTES, EXECUTES_NOTHING, EXITS, FORKS, VFORKS, READS, SPINS, MAKES_THREADS };
static void *nothing(void *arg) { return arg; }
static void *run(void *what) {
    char byte;
    pthread_barrier_wait(&barrier);
    switch ((long)what) {
    case EXECUTES: execute("5"); break;
    case EXECUTES_NOTHING:
        for (;;) execve("/none", (char *[]){"none", NULL}, environ);
    case EXITS: _exit(9);
    case FORKS:
        for (int i = 0; i < 20; i++)
            if (fork() == 0) _exit(0);
        break;
    case VFORKS:
        for (int i = 0; i < 20; i++)
            if (vfork() == 0) {
                execute("3");
                _exit(99);
            }
        break;
    case READS: return (void *)read(silent[0], &byte, 1);
    case SPINS:
        for (;;) __asm__ volatile("pause");
    case MAKES_THREADS:
        for (;;) {
            pthread_t thread;
            if (pthread_create(&thread, NULL, nothing, NULL) == 0) pthread_join(thread, NULL);
        }
    }
    pause();
    return NULL;
}

// A child whose threads do this all at once, the first one by the thread that forked.
static pid_t race(const int *what) {
    pid_t child = (pid_t)LT_OK(fork());
    if (child != 0) return child;
    pthread_barrier_init(&barrier, NULL, THREADS);
    for (int i = 1; i < THREADS; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, run, (void *)(long)what[i]) != 0) _exit(1);
    }
    run((void *)(long)what[0]);
    _exit(2);
}

static void race_often(const int *what, int status, int or_status) {
    LT_OK(pipe(silent));
    for (unsigned i = 0; i < lt_times(25, 1000); i++) {
        int found;
        pid_t child = race(what);
        LT_EQUAL(waitpid(child, &found, 0), child);
        if (found != status && found != or_status) LT_FAIL("round %u: its status is %#x", i, (unsigned)found);
    }
}

LT_TEST(all_execute) { race_often((int[]){EXECUTES, EXECUTES, EXECUTES, EXECUTES, EXECUTES, EXECUTES}, 5 << 8, 5 << 8); }
LT_TEST(execute_beside_exit) { race_often((int[]){READS, EXECUTES, EXITS, SPINS, READS, EXECUTES}, 5 << 8, 9 << 8); }
LT_TEST(execute_beside_forks) { race_often((int[]){FORKS, EXECUTES, FORKS, SPINS, READS, FORKS}, 5 << 8, 5 << 8); }
LT_TEST(execute_beside_vforks) { race_often((int[]){VFORKS, EXECUTES, VFORKS, SPINS, READS, VFORKS}, 5 << 8, 5 << 8); }
LT_TEST(execute_beside_threads) { race_often((int[]){MAKES_THREADS, EXECUTES, MAKES_THREADS, SPINS, READS, READS}, 5 << 8, 5 << 8); }
LT_TEST(execute_beside_failures) {
    race_often((int[]){EXECUTES_NOTHING, EXECUTES, EXECUTES_NOTHING, EXECUTES_NOTHING, SPINS, READS}, 5 << 8, 5 << 8);
}

LT_TEST(execute_beside_a_kill) {
    LT_OK(pipe(silent));
    for (unsigned i = 0; i < lt_times(50, 2000); i++) {
        int status;
        pid_t child = race((int[]){SPINS, EXECUTES, READS, EXECUTES, FORKS, EXECUTES});
        usleep(lt_random(3000));
        LT_OK(kill(child, SIGKILL));
        LT_EQUAL(waitpid(child, &status, 0), child);
        if (status != SIGKILL && status != 5 << 8) LT_FAIL("round %u: its status is %#x", i, (unsigned)status);
    }
}

// A caught signal that comes while the process executes is either handled or ends what is executed.
static void ignore(int number) { (void)number; }
LT_TEST(execute_beside_signals) {
    for (unsigned i = 0; i < lt_times(50, 2000); i++) {
        int status;
        pid_t child = (pid_t)LT_OK(fork());
        if (child == 0) {
            signal(SIGUSR1, ignore);
            execute("5");
            _exit(1);
        }
        for (int times = 0; times < 5; times++) kill(child, SIGUSR1);
        LT_EQUAL(waitpid(child, &status, 0), child);
        if (status != SIGUSR1 && status != 5 << 8) LT_FAIL("round %u: its status is %#x", i, (unsigned)status);
    }
}
