// What the end of a process means to others: the signal that its children asked for, and who has them then.
#include "tests/linux/lt.h"

#include <signal.h>
#include <sys/prctl.h>
#include <stdbool.h>
#include <sys/wait.h>


static void one_byte(int fd) {
    char c;
    if (read(fd, &c, 1) < 0) _exit(99);
}

static volatile sig_atomic_t told;
static void note(int number) { told = number; }

LT_TEST(the_death_of_a_parent) {
    int ready[2], result[2], status;
    char got = 0;
    LT_OK(pipe(ready));
    LT_OK(pipe(result));
    pid_t parent = (pid_t)LT_OK(fork());
    if (parent == 0) {
        sigset_t blocked, none;
        sigemptyset(&none);
        sigfillset(&blocked);
        if (fork() == 0) {
            signal(SIGUSR2, note);
            sigprocmask(SIG_SETMASK, &blocked, NULL);
            int asked = 0;
            LT_DEMAND(prctl(PR_SET_PDEATHSIG, SIGUSR2) == 0);
            LT_DEMAND(prctl(PR_GET_PDEATHSIG, &asked) == 0 && asked == SIGUSR2);
            pid_t child = fork();  // it has asked for nothing
            if (child == 0) _exit(prctl(PR_GET_PDEATHSIG, &asked) != 0 || asked != 0);
            int ended;
            LT_DEMAND(waitpid(child, &ended, 0) == child && ended == 0);
            LT_DEMAND(write(ready[1], "r", 1) == 1);
            while (told == 0) sigsuspend(&none);
            _exit(write(result[1], "s", 1) != 1);
        }
        one_byte(ready[0]);
        _exit(0);
    }
    LT_EQUAL(waitpid(parent, &status, 0), parent);
    LT_EQUAL(status, 0);
    LT_OK(close(result[1]));
    LT_EQUAL(read(result[0], &got, 1), 1);
    LT_EQUAL(got, 's');
    LT_ERRNO(prctl(PR_SET_PDEATHSIG, 65), EINVAL);
}

// A grandchild whose parent has ended is the reaper's, who waits for it as for its own.
static int be_reaper(bool before) {
    int go[2], status, is = 0;
    LT_DEMAND(pipe(go) == 0);
    LT_DEMAND(prctl(PR_GET_CHILD_SUBREAPER, &is) == 0 && is == 0);
    LT_DEMAND(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
    LT_DEMAND(prctl(PR_GET_CHILD_SUBREAPER, &is) == 0 && is == 1);
    const pid_t self = getpid();
    pid_t parent = fork();
    if (parent == 0) {
        LT_DEMAND(prctl(PR_GET_CHILD_SUBREAPER, &is) == 0 && is == 0);
        pid_t grandchild = fork();
        if (grandchild != 0 && before) {  // a zombie when its parent ends
            siginfo_t info;
            LT_DEMAND(waitid(P_PID, (id_t)grandchild, &info, WEXITED | WNOWAIT) == 0);
        }
        if (grandchild != 0) _exit(grandchild < 0);
        if (before) _exit(7);
        close(go[1]);
        one_byte(go[0]);
        _exit(getppid() == self ? 7 : 8);
    }
    LT_DEMAND(waitpid(parent, &status, 0) == parent && status == 0);
    LT_DEMAND(close(go[1]) == 0);
    const pid_t orphan = waitpid(-1, &status, 0);
    LT_DEMAND(orphan > 0 && orphan != parent && status == 7 << 8);
    LT_DEMAND(waitpid(-1, &status, 0) == -1 && errno == ECHILD);
    return 0;
}

LT_TEST(a_reaper) {
    int status;
    pid_t child = (pid_t)LT_OK(fork());
    if (child == 0) _exit(be_reaper(false));
    LT_EQUAL(waitpid(child, &status, 0), child);
    LT_EQUAL(status, 0);
}

LT_TEST(a_reaper_of_one_that_has_ended) {
    int status;
    pid_t child = (pid_t)LT_OK(fork());
    if (child == 0) _exit(be_reaper(true));
    LT_EQUAL(waitpid(child, &status, 0), child);
    LT_EQUAL(status, 0);
}

// It waits already when the orphan comes.
LT_TEST(a_reaper_that_waits) {
    int go[2], status;
    LT_OK(pipe(go));
    pid_t reaper = (pid_t)LT_OK(fork());
    if (reaper == 0) {
        LT_DEMAND(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
        pid_t stays = fork();
        if (stays == 0) {
            close(go[1]);
            one_byte(go[0]);
            _exit(1);
        }
        pid_t parent = fork();
        if (parent == 0) {
            if (fork() == 0) _exit(7);
            _exit(0);
        }
        int seven = 0, zero = 0;
        for (int i = 0; i < 2; i++) {
            pid_t one = waitpid(-1, &status, 0);
            LT_DEMAND(one > 0 && one != stays);
            seven += status == 7 << 8;
            zero += status == 0;
        }
        LT_DEMAND(seven == 1 && zero == 1);
        LT_DEMAND(close(go[1]) == 0);
        LT_DEMAND(waitpid(-1, &status, 0) == stays && status == 1 << 8);
        _exit(0);
    }
    LT_OK(close(go[1]));
    LT_EQUAL(waitpid(reaper, &status, 0), reaper);
    LT_EQUAL(status, 0);
}

LT_TEST(sigchld_of_an_orphan) {
    int status;
    pid_t reaper = (pid_t)LT_OK(fork());
    if (reaper == 0) {
        sigset_t chld, none;
        sigemptyset(&none);
        sigemptyset(&chld);
        sigaddset(&chld, SIGCHLD);
        sigprocmask(SIG_BLOCK, &chld, NULL);
        signal(SIGCHLD, note);
        LT_DEMAND(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
        pid_t parent = fork();
        if (parent == 0) {
            if (fork() == 0) _exit(7);
            _exit(0);
        }
        for (int left = 2; left > 0;) {
            while (told == 0) sigsuspend(&none);
            told = 0;
            while (waitpid(-1, &status, WNOHANG) > 0) left--;
        }
        _exit(0);
    }
    LT_EQUAL(waitpid(reaper, &status, 0), reaper);
    LT_EQUAL(status, 0);
}
