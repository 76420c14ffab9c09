// Process groups, sessions, stops and orphans.
#include "tests/linux/lt.h"

#include <signal.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/wait.h>

static pid_t sleeper(void) {
    pid_t child = (pid_t)LT_OK(fork());
    if (child == 0)
        while (pause() != 0) continue;
    return child;
}

static void end(pid_t child) {
    int status;
    LT_OK(kill(child, SIGKILL));
    LT_EQUAL(waitpid(child, &status, 0), child);
    LT_EQUAL(status, SIGKILL);
}

static int result_of(pid_t child) {
    int status;
    LT_EQUAL(waitpid(child, &status, 0), child);
    LT_CHECK(WIFEXITED(status));
    return WEXITSTATUS(status);
}

LT_TEST(groups_are_inherited) {
    pid_t child = (pid_t)LT_OK(fork());
    if (child == 0) _exit(getpgrp() == getpgid(getppid()) && getsid(0) == getsid(getppid()) ? 0 : 1);
    LT_EQUAL(result_of(child), 0);
}

LT_TEST(setpgid_of_a_child) {
    pid_t child = sleeper();
    LT_OK(setpgid(child, 0));
    LT_EQUAL(getpgid(child), child);
    pid_t other = sleeper();
    LT_OK(setpgid(other, child));
    LT_EQUAL(getpgid(other), child);
    LT_OK(setpgid(other, getpgrp()));
    LT_EQUAL(getpgid(other), getpgrp());
    end(child);
    end(other);
}

LT_TEST(setpgid_errors) {
    LT_ERRNO(setpgid(0, -1), EINVAL);
    LT_ERRNO(setpgid(0x3fffffff, 0), ESRCH);
    LT_ERRNO(getpgid(0x3fffffff), ESRCH);
    LT_ERRNO(getsid(0x3fffffff), ESRCH);
    pid_t child = (pid_t)LT_OK(fork());
    if (child == 0) {
        if (setpgid(0, 0x3ffffffe) != -1 || errno != EPERM) _exit(1);
        if (setpgid(getppid(), 0) != -1 || errno != ESRCH) _exit(2);
        if (setsid() != getpid()) _exit(3);
        if (setpgid(0, 0) != -1 || errno != EPERM) _exit(4);
        _exit(0);
    }
    LT_EQUAL(result_of(child), 0);
}

LT_TEST(setpgid_of_a_child_in_another_session) {
    pid_t child = (pid_t)LT_OK(fork());
    if (child == 0) {
        setsid();
        while (pause() != 0) continue;
    }
    while (getsid(child) != child) usleep(1000);
    LT_ERRNO(setpgid(child, 0), EPERM);
    end(child);
}

LT_TEST(setsid) {
    pid_t child = (pid_t)LT_OK(fork());
    if (child == 0) {
        if (setsid() != getpid() || getpgrp() != getpid() || getsid(0) != getpid()) _exit(1);
        _exit(setsid() == -1 && errno == EPERM ? 0 : 2);
    }
    LT_EQUAL(result_of(child), 0);
}

LT_TEST(setsid_of_a_leader) {
    pid_t child = (pid_t)LT_OK(fork());
    if (child == 0) {
        if (setpgid(0, 0) != 0) _exit(1);
        _exit(setsid() == -1 && errno == EPERM ? 0 : 2);
    }
    LT_EQUAL(result_of(child), 0);
}

LT_TEST(kill_a_group) {
    int status;
    pid_t first = sleeper(), second = sleeper();
    LT_OK(setpgid(first, first));
    LT_OK(setpgid(second, first));
    LT_OK(kill(-first, 0));
    LT_OK(kill(-first, SIGTERM));
    LT_EQUAL(waitpid(first, &status, 0), first);
    LT_EQUAL(status, SIGTERM);
    LT_EQUAL(waitpid(second, &status, 0), second);
    LT_EQUAL(status, SIGTERM);
    LT_ERRNO(kill(-first, 0), ESRCH);
}

LT_TEST(kill_the_own_group) {
    pid_t child = (pid_t)LT_OK(fork());
    if (child == 0) {
        setpgid(0, 0);
        pid_t other = fork();
        if (other == 0)
            while (pause() != 0) continue;
        signal(SIGTERM, SIG_IGN);
        int status;
        if (kill(0, SIGTERM) != 0) _exit(1);
        if (waitpid(other, &status, 0) != other || status != SIGTERM) _exit(2);
        _exit(0);
    }
    LT_EQUAL(result_of(child), 0);
}

LT_TEST(kill_errors) {
    LT_ERRNO(kill(0x3fffffff, 0), ESRCH);
    LT_ERRNO(kill(-0x3fffffff, SIGTERM), ESRCH);
    LT_ERRNO(kill(getpid(), 65), EINVAL);
    pid_t child = (pid_t)LT_OK(fork());
    if (child == 0) _exit(0);
    siginfo_t info;
    LT_OK(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT));
    LT_OK(kill(child, 0));  // it has ended, but nobody has waited for it
    LT_OK(kill(child, SIGTERM));
    LT_EQUAL(result_of(child), 0);
    LT_ERRNO(kill(child, 0), ESRCH);
}

static volatile sig_atomic_t handled, from;
static void on_signal(int number, siginfo_t *info, void *context) {
    handled = number;
    from = info->si_pid;
}

LT_TEST(signal_to_the_parent) {
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART}, old;
    LT_OK(sigaction(SIGUSR1, &action, &old));
    handled = 0;
    pid_t child = (pid_t)LT_OK(fork());
    if (child == 0) _exit(kill(getppid(), SIGUSR1) == 0 ? 0 : 1);
    LT_EQUAL(result_of(child), 0);
    for (int i = 0; i < LT_HANG_MS && !handled; i++) usleep(1000);
    LT_EQUAL(handled, SIGUSR1);
    LT_EQUAL(from, child);
    LT_OK(sigaction(SIGUSR1, &old, NULL));
}

LT_TEST(a_busy_process_is_signalled) {
    int status;
    pid_t child = (pid_t)LT_OK(fork());
    if (child == 0)
        for (volatile unsigned n = 0;; n++) continue;
    usleep(20000);
    LT_OK(kill(child, SIGALRM));
    LT_EQUAL(waitpid(child, &status, 0), child);
    LT_EQUAL(status, SIGALRM);
}

LT_TEST(queued_values) {
    union sigval value = {.sival_int = 4711};
    sigset_t set, old;
    siginfo_t info;
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN + 1);
    LT_OK(sigprocmask(SIG_BLOCK, &set, &old));
    pid_t child = (pid_t)LT_OK(fork());
    if (child == 0) {
        for (int i = 0; i < 3; i++) {
            value.sival_int = i;
            if (sigqueue(getppid(), SIGRTMIN + 1, value) != 0) _exit(1);
        }
        _exit(0);
    }
    for (int i = 0; i < 3; i++) {
        LT_EQUAL(sigwaitinfo(&set, &info), SIGRTMIN + 1);
        LT_EQUAL(info.si_value.sival_int, i);
        LT_EQUAL(info.si_code, SI_QUEUE);
        LT_EQUAL(info.si_pid, child);
    }
    LT_EQUAL(result_of(child), 0);
    LT_OK(sigprocmask(SIG_SETMASK, &old, NULL));
}

LT_TEST(stop_and_go_on) {
    int status;
    pid_t child = sleeper();
    LT_OK(kill(child, SIGSTOP));
    LT_EQUAL(waitpid(child, &status, WUNTRACED), child);
    LT_CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
    LT_EQUAL(waitpid(child, &status, WUNTRACED | WNOHANG), 0);
    LT_OK(kill(child, SIGCONT));
    LT_EQUAL(waitpid(child, &status, WCONTINUED), child);
    LT_CHECK(WIFCONTINUED(status));
    LT_EQUAL(waitpid(child, &status, WCONTINUED | WUNTRACED | WNOHANG), 0);
    end(child);
}

LT_TEST(a_stopped_process_can_be_killed) {
    int status;
    pid_t child = sleeper();
    LT_OK(kill(child, SIGSTOP));
    LT_EQUAL(waitpid(child, &status, WUNTRACED), child);
    LT_OK(kill(child, SIGTERM));
    usleep(20000);
    LT_EQUAL(waitpid(child, &status, WNOHANG), 0);  // it is taken when the process goes on
    LT_OK(kill(child, SIGCONT));
    LT_EQUAL(waitpid(child, &status, 0), child);
    LT_EQUAL(status, SIGTERM);
}

LT_TEST(waitid_of_stops) {
    siginfo_t info;
    pid_t child = sleeper();
    LT_OK(kill(child, SIGSTOP));
    LT_OK(waitid(P_PID, (id_t)child, &info, WSTOPPED | WNOWAIT));
    LT_EQUAL(info.si_code, CLD_STOPPED);
    LT_EQUAL(info.si_status, SIGSTOP);
    LT_OK(waitid(P_PID, (id_t)child, &info, WSTOPPED));
    LT_OK(kill(child, SIGCONT));
    LT_OK(waitid(P_ALL, 0, &info, WCONTINUED));
    LT_EQUAL(info.si_code, CLD_CONTINUED);
    LT_EQUAL(info.si_status, SIGCONT);
    LT_EQUAL(info.si_pid, child);
    end(child);
}

LT_TEST(stop_oneself) {
    int status;
    pid_t child = (pid_t)LT_OK(fork());
    if (child == 0) {
        raise(SIGSTOP);
        _exit(7);
    }
    LT_EQUAL(waitpid(child, &status, WUNTRACED), child);
    LT_CHECK(WIFSTOPPED(status));
    LT_OK(kill(child, SIGCONT));
    LT_EQUAL(result_of(child), 7);
}

static volatile sig_atomic_t child_codes[8], child_count;
static void on_child(int number, siginfo_t *info, void *context) {
    if (child_count < 8) child_codes[child_count++] = info->si_code;
}

static void wait_for_codes(int count) {
    for (int i = 0; i < LT_HANG_MS && child_count < count; i++) usleep(1000);
    LT_EQUAL(child_count, count);
}

LT_TEST(sigchld_of_stops) {
    int status;
    struct sigaction action = {.sa_sigaction = on_child, .sa_flags = SA_SIGINFO | SA_RESTART}, old;
    LT_OK(sigaction(SIGCHLD, &action, &old));
    child_count = 0;
    pid_t child = sleeper();
    LT_OK(kill(child, SIGSTOP));
    wait_for_codes(1);
    LT_EQUAL(child_codes[0], CLD_STOPPED);
    LT_OK(kill(child, SIGCONT));
    wait_for_codes(2);
    LT_EQUAL(child_codes[1], CLD_CONTINUED);
    LT_OK(kill(child, SIGKILL));
    wait_for_codes(3);
    LT_EQUAL(child_codes[2], CLD_KILLED);
    LT_EQUAL(waitpid(child, &status, 0), child);
    action.sa_flags |= SA_NOCLDSTOP;
    LT_OK(sigaction(SIGCHLD, &action, NULL));
    child_count = 0;
    child = sleeper();
    LT_OK(kill(child, SIGSTOP));
    LT_EQUAL(waitpid(child, &status, WUNTRACED), child);
    usleep(20000);
    LT_EQUAL(child_count, 0);
    LT_OK(sigaction(SIGCHLD, &old, NULL));
    end(child);
}

LT_TEST(wait_by_group) {
    int status;
    pid_t first = sleeper(), second = sleeper();
    LT_OK(setpgid(second, second));
    LT_OK(kill(first, SIGKILL));
    LT_OK(kill(second, SIGKILL));
    LT_EQUAL(waitpid(-second, &status, 0), second);
    LT_ERRNO(waitpid(-second, &status, 0), ECHILD);
    LT_EQUAL(waitpid(0, &status, 0), first);
    LT_ERRNO(waitpid(0, &status, WNOHANG), ECHILD);
}

struct shared {
    volatile pid_t pid, parent;
    volatile int hung;
};

static struct shared *share(void) {
    struct shared *s = mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    LT_CHECK(s != MAP_FAILED);
    return s;
}

LT_TEST(orphans_get_another_parent) {
    struct shared *s = share();
    pid_t child = (pid_t)LT_OK(fork());
    if (child == 0) {
        const pid_t parent = getpid();
        if (fork() == 0) {
            while (getppid() == parent) usleep(1000);
            s->parent = getppid();
            s->pid = getpid();
            _exit(0);
        }
        _exit(0);
    }
    LT_EQUAL(result_of(child), 0);
    for (int i = 0; i < LT_HANG_MS && s->pid == 0; i++) usleep(1000);
    LT_CHECK(s->pid != 0);
    LT_CHECK(s->parent != child && s->parent > 0);
    for (int i = 0; i < LT_HANG_MS && kill(s->pid, 0) == 0; i++) usleep(1000);
    LT_ERRNO(kill(s->pid, 0), ESRCH);  // somebody has waited for it
    LT_OK(munmap(s, sizeof *s));
}

static struct shared *told;
static void on_hang_up(int number) { told->hung = 1; }

// A stopped group whose last link to the rest of the session goes gets SIGHUP and SIGCONT.
LT_TEST(orphaned_groups_do_not_stay_stopped) {
    told = share();
    pid_t child = (pid_t)LT_OK(fork());
    if (child == 0) {
        pid_t grandchild = fork();
        if (grandchild == 0) {
            setpgid(0, 0);
            signal(SIGHUP, on_hang_up);
            told->pid = getpid();
            raise(SIGSTOP);
            while (!told->hung) usleep(1000);
            told->hung = 2;
            _exit(0);
        }
        int status;
        _exit(waitpid(grandchild, &status, WUNTRACED) == grandchild && WIFSTOPPED(status) ? 0 : 1);
    }
    LT_EQUAL(result_of(child), 0);
    for (int i = 0; i < LT_HANG_MS && told->hung != 2; i++) usleep(1000);
    LT_EQUAL(told->hung, 2);
    LT_OK(munmap(told, sizeof *told));
}

LT_TEST(an_orphaned_group_does_not_stop) {
    pid_t child = (pid_t)LT_OK(fork());
    if (child == 0) {
        setsid();  // its only member: nobody could continue it
        signal(SIGTSTP, SIG_DFL);
        raise(SIGTSTP);
        _exit(3);
    }
    LT_EQUAL(result_of(child), 3);
}

LT_TEST(exec_keeps_group_and_ends_setpgid) {
    char *const arguments[] = {"jobs", NULL}, *const environment[] = {"LT_WAIT=1", NULL};
    struct shared *s = share();
    pid_t child = (pid_t)LT_OK(fork());
    if (child == 0) {
        setpgid(0, 0);
        execve((const char *)getauxval(AT_EXECFN), arguments, environment);
        s->pid = 1;
        _exit(9);
    }
    int tries = 0;
    while (getpgid(child) != child && tries++ < LT_HANG_MS) usleep(1000);
    LT_EQUAL(getpgid(child), child);
    for (tries = 0; setpgid(child, child) == 0 && tries < LT_HANG_MS; tries++) usleep(1000);
    LT_EQUAL(s->pid, 0);
    LT_ERRNO(setpgid(child, child), EACCES);
    end(child);
    LT_OK(munmap(s, sizeof *s));
}

__attribute__((constructor)) static void wait_if_asked(void) {
    if (getenv("LT_WAIT") != NULL)
        while (pause() != 0) continue;
}
