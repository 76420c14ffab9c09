// Children that go by themselves, and processes as descriptors.
// also: glibc
#include "tests/linux/lt.h"

#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

static pid_t child_that_exits(int code) {
    pid_t child = (pid_t)LT_OK(fork());
    if (child == 0) _exit(code);
    return child;
}

static void handle_with(void (*handler)(int), int flags) {
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    LT_OK(sigaction(SIGCHLD, &action, NULL));
}

static volatile sig_atomic_t told;
static void count(int number) { told++; }

LT_TEST(ignored_children_go) {
    int status;
    handle_with(SIG_IGN, 0);
    pid_t first = child_that_exits(3);
    (void)child_that_exits(4);
    LT_ERRNO(waitpid(first, &status, 0), ECHILD);
    LT_ERRNO(wait(&status), ECHILD);
    for (int i = 0; i < 200; i++) (void)child_that_exits(0);
    LT_ERRNO(waitpid(-1, &status, 0), ECHILD);
    LT_ERRNO(waitpid(-1, &status, WNOHANG), ECHILD);
    handle_with(SIG_DFL, 0);
}

LT_TEST(children_without_waiting) {
    int status;
    told = 0;
    handle_with(count, SA_NOCLDWAIT);
    (void)child_that_exits(3);
    LT_ERRNO(wait(&status), ECHILD);
    for (int i = 0; i < LT_HANG_MS && told == 0; i++) usleep(1000);
    LT_EQUAL(told, 1);
    handle_with(SIG_DFL, 0);
    handle_with(SIG_DFL, SA_NOCLDWAIT);
    for (unsigned i = 0; i < lt_times(200, 20000); i++) {  // an end at any point of the wait
        (void)child_that_exits(3);
        LT_ERRNO(wait(&status), ECHILD);
    }
    handle_with(SIG_DFL, 0);
}

// What counts is what was said when the child ended.
LT_TEST(the_end_decides) {
    int status;
    siginfo_t info;
    pid_t child = child_that_exits(5);
    LT_OK(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT));
    handle_with(SIG_IGN, 0);
    LT_EQUAL(waitpid(child, &status, 0), child);
    LT_EQUAL(WEXITSTATUS(status), 5);
    child = child_that_exits(6);
    LT_ERRNO(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), ECHILD);
    handle_with(SIG_DFL, 0);
    LT_ERRNO(waitpid(child, &status, 0), ECHILD);
    child = child_that_exits(7);
    LT_EQUAL(waitpid(child, &status, 0), child);
}

// ---- descriptors ---------------------------------------------------------------------------------------------------------

static int pidfd_of(pid_t pid) { return (int)LT_OK(syscall(SYS_pidfd_open, pid, 0)); }
static long send_signal(int fd, int number, siginfo_t *info, unsigned flags) {
    return syscall(SYS_pidfd_send_signal, fd, number, info, flags);
}

static pid_t child_that_waits(void) {
    pid_t child = (pid_t)LT_OK(fork());
    if (child == 0)
        for (;;) pause();
    return child;
}

LT_TEST(signals_through_a_descriptor) {
    int status;
    pid_t child = child_that_waits();
    int fd = pidfd_of(child);
    siginfo_t info = {.si_signo = SIGTERM, .si_code = SI_USER};
    LT_OK(send_signal(fd, 0, NULL, 0));
    LT_ERRNO(send_signal(fd, SIGTERM, NULL, 77), EINVAL);
    LT_ERRNO(send_signal(fd, SIGUSR1, &info, 0), EINVAL);
    LT_ERRNO(send_signal(fd, SIGTERM, &info, 0), EPERM);
    LT_ERRNO(send_signal(fd, 100, NULL, 0), EINVAL);
    LT_ERRNO(send_signal(0, SIGTERM, NULL, 0), EBADF);
    LT_ERRNO(send_signal(99, SIGTERM, NULL, 0), EBADF);
    struct pollfd p = {.fd = fd, .events = POLLIN};
    LT_EQUAL(poll(&p, 1, 0), 0);
    LT_OK(send_signal(fd, SIGTERM, NULL, 0));
    LT_EQUAL(poll(&p, 1, LT_HANG_MS), 1);
    LT_OK(send_signal(fd, 0, NULL, 0));  // it has ended, and is still somebody
    LT_EQUAL(waitpid(child, &status, 0), child);
    LT_EQUAL(status, SIGTERM);
    LT_ERRNO(send_signal(fd, 0, NULL, 0), ESRCH);
    LT_OK(close(fd));
}

LT_TEST(signals_through_a_folder_of_proc) {
    char path[64];
    int status, root = (int)LT_OK(open("/proc", O_RDONLY | O_DIRECTORY));
    pid_t child = child_that_waits();
    snprintf(path, sizeof path, "/proc/%d", child);
    int fd = (int)LT_OK(open(path, O_RDONLY | O_DIRECTORY));
    LT_ERRNO(send_signal(root, 0, NULL, 0), EBADF);
    LT_OK(send_signal(fd, SIGTERM, NULL, 0));
    LT_EQUAL(waitpid(child, &status, 0), child);
    LT_EQUAL(status, SIGTERM);
    LT_ERRNO(send_signal(fd, 0, NULL, 0), ESRCH);
    LT_OK(close(fd));
    fd = (int)LT_OK(open("/proc/self", O_RDONLY | O_DIRECTORY));
    LT_OK(send_signal(fd, 0, NULL, 0));
    LT_OK(close(fd));
    LT_OK(close(root));
}

static volatile sig_atomic_t value;
static void on_value(int number, siginfo_t *info, void *context) { value = info->si_value.sival_int; }

LT_TEST(a_descriptor_of_its_own) {
    struct sigaction action = {.sa_sigaction = on_value, .sa_flags = SA_SIGINFO}, old;
    siginfo_t info = {.si_signo = SIGUSR1, .si_code = SI_QUEUE};
    LT_OK(sigaction(SIGUSR1, &action, &old));
    info.si_value.sival_int = 42;
    int fd = pidfd_of(getpid());
    LT_OK(send_signal(fd, SIGUSR1, &info, 0));
    LT_EQUAL(value, 42);
    LT_OK(sigaction(SIGUSR1, &old, NULL));
    LT_OK(close(fd));
}

LT_TEST(waiting_for_a_descriptor) {
    siginfo_t info = {0};
    pid_t child = child_that_waits();
    int fd = pidfd_of(child);
    LT_OK(waitid((idtype_t)P_PIDFD, (id_t)fd, &info, WEXITED | WNOHANG));
    LT_EQUAL(info.si_pid, 0);
    LT_OK(kill(child, SIGKILL));
    LT_OK(waitid((idtype_t)P_PIDFD, (id_t)fd, &info, WEXITED));
    LT_EQUAL(info.si_pid, child);
    LT_EQUAL(info.si_code, CLD_KILLED);
    LT_EQUAL(info.si_status, SIGKILL);
    LT_ERRNO(waitid((idtype_t)P_PIDFD, (id_t)fd, &info, WEXITED), ECHILD);
    LT_ERRNO(waitid((idtype_t)P_PIDFD, 0, &info, WEXITED), EBADF);
    LT_ERRNO(waitid((idtype_t)P_PIDFD, (id_t)-1, &info, WEXITED), EINVAL);
    LT_OK(close(fd));
}

LT_TEST(clone_gives_one) {
    int fd = -1, status;
    pid_t child = (pid_t)LT_OK(syscall(SYS_clone, CLONE_PIDFD | SIGCHLD, 0, &fd, 0, 0));
    if (child == 0) _exit(fcntl(0, F_GETFD) >= 0 ? 9 : 8);
    LT_CHECK(fd >= 0);
    LT_EQUAL(fcntl(fd, F_GETFD), FD_CLOEXEC);
    siginfo_t info;
    LT_OK(waitid((idtype_t)P_PIDFD, (id_t)fd, &info, WEXITED | WNOWAIT));
    LT_EQUAL(info.si_pid, child);
    LT_EQUAL(waitpid(child, &status, 0), child);
    LT_EQUAL(WEXITSTATUS(status), 9);
    LT_OK(close(fd));
    LT_ERRNO(syscall(SYS_clone, CLONE_PIDFD | CLONE_PARENT_SETTID | SIGCHLD, 0, &fd, 0, 0), EINVAL);
    LT_ERRNO(syscall(SYS_clone, CLONE_PIDFD | SIGCHLD, 0, LT_BAD_ADDRESS, 0, 0), EFAULT);
    LT_ERRNO(wait(&status), ECHILD);
    uint64_t arguments[11] = {CLONE_PIDFD, (uint64_t)&fd, 0, 0, SIGCHLD};
    child = (pid_t)LT_OK(syscall(SYS_clone3, arguments, 64));
    if (child == 0) _exit(7);
    LT_OK(waitid((idtype_t)P_PIDFD, (id_t)fd, &info, WEXITED));
    LT_EQUAL(info.si_status, 7);
    LT_OK(close(fd));
}
