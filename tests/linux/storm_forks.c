// Storms of processes: many of them, many at once, families that are killed. What is left behind is counted around the program.
#include "tests/linux/lt.h"

#include <sched.h>
#include <sys/mman.h>
#include <sys/wait.h>

enum { AT_ONCE = 50 };

// Ends the way that its number says: with a code, or by a signal.
static void end_as(unsigned number) {
    if (number % 5 == 4) raise(SIGKILL);
    _exit((int)(number % 100));
}
static int status_of(unsigned number) { return number % 5 == 4 ? SIGKILL : (int)(number % 100) << 8; }

LT_TEST(one_after_the_other) {
    for (unsigned i = 0; i < lt_times(200, 4000); i++) {
        int status;
        pid_t child = (pid_t)LT_OK(fork());
        if (child == 0) end_as(i);
        LT_EQUAL(waitpid(child, &status, 0), child);
        LT_EQUAL(status, status_of(i));
    }
    LT_ERRNO(waitpid(-1, NULL, 0), ECHILD);
}

LT_TEST(many_at_once) {
    static struct { pid_t pid; unsigned number; } alive[AT_ONCE];
    unsigned count = 0, total = lt_times(300, 6000);
    for (unsigned i = 0; i < total || count > 0;) {
        if (i < total && count < AT_ONCE) {
            pid_t child = (pid_t)LT_OK(fork());
            if (child == 0) end_as(i);
            alive[count].pid = child;
            alive[count++].number = i++;
            continue;
        }
        int status;
        unsigned at = 0;
        pid_t ended = (pid_t)LT_OK(waitpid(-1, &status, 0));
        while (at < count && alive[at].pid != ended) at++;
        LT_CHECK(at < count);
        LT_EQUAL(status, status_of(alive[at].number));
        alive[at] = alive[--count];
    }
    LT_ERRNO(waitpid(-1, NULL, 0), ECHILD);
}

// Each process makes two, down to a depth; all are orphans' parents and orphans in turn.
static void family(unsigned depth) {
    while (depth > 0 && (fork() == 0 || fork() == 0)) depth--;
    if (depth % 2 == 0)
        while (wait(NULL) > 0) continue;
    _exit(0);
}
// The write end of a pipe that all of a family have is how they are waited for, orphans too.
LT_TEST(families) {
    for (unsigned i = 0; i < lt_times(5, 60); i++) {
        int pipe_fds[2], status;
        char byte;
        LT_OK(pipe(pipe_fds));
        pid_t child = (pid_t)LT_OK(fork());
        if (child == 0) family(5);
        LT_OK(close(pipe_fds[1]));
        LT_EQUAL(waitpid(child, &status, 0), child);
        LT_EQUAL(status, 0);
        LT_EQUAL(read(pipe_fds[0], &byte, 1), 0);
        LT_OK(close(pipe_fds[0]));
    }
}

// A group whose members fork all the time is killed until nobody is left.
LT_TEST(a_forking_group_is_killed) {
    for (unsigned i = 0; i < lt_times(5, 100); i++) {
        int pipe_fds[2];
        char byte;
        LT_OK(pipe(pipe_fds));
        pid_t leader = (pid_t)LT_OK(fork());
        if (leader == 0) {
            setpgid(0, 0);
            for (int copies = 0; copies < 2; copies++) (void)!fork();
            for (;;) {
                pid_t child = fork();
                if (child == 0) _exit(0);
                if (child > 0) waitpid(child, NULL, 0);
            }
        }
        setpgid(leader, leader);
        usleep(lt_random(20000));
        LT_OK(kill(-leader, SIGKILL));
        LT_EQUAL(waitpid(leader, NULL, 0), leader);
        LT_OK(close(pipe_fds[1]));
        while (read(pipe_fds[0], &byte, 1) != 0) kill(-leader, SIGKILL);
        LT_OK(close(pipe_fds[0]));
    }
}

// Children of vfork, some of which are killed while their parent waits for them.
LT_TEST(vforks) {
    for (unsigned i = 0; i < lt_times(200, 4000); i++) {
        int status;
        pid_t child = vfork();
        if (child == 0) {
            if (i % 4 == 3) kill(getpid(), SIGKILL);
            _exit((int)(i % 100));
        }
        LT_EQUAL(waitpid(child, &status, 0), child);
        LT_EQUAL(status, i % 4 == 3 ? SIGKILL : (int)(i % 100) << 8);
    }
}

// Pages that parent and children write in turn: each sees its own.
LT_TEST(memory_of_its_own) {
    enum { PAGES = 200 };
    unsigned char *memory = mmap(NULL, PAGES * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    LT_CHECK(memory != MAP_FAILED);
    for (unsigned i = 0; i < lt_times(20, 300); i++) {
        memset(memory, (int)(i & 0xff), PAGES * 4096);
        for (unsigned c = 0; c < 8; c++) {
            pid_t child = (pid_t)LT_OK(fork());
            if (child != 0) continue;
            for (unsigned at = 0; at < PAGES; at++) {
                if (memory[at * 4096] != (i & 0xff)) _exit(1);
                memory[at * 4096 + c] = (unsigned char)~i;
            }
            _exit(0);
        }
        for (unsigned at = 0; at < PAGES; at++) memory[at * 4096 + 99] = 7;
        for (unsigned c = 0; c < 8; c++) {
            int status;
            LT_OK(wait(&status));
            LT_EQUAL(status, 0);
        }
        for (unsigned at = 0; at < PAGES * 4096; at++) LT_EQUAL(memory[at], at % 4096 == 99 ? 7 : i & 0xff);
    }
    LT_OK(munmap(memory, PAGES * 4096));
}
