// Signals that another process queues until nobody has room: what was taken arrives, once and in order, and others get past it.
#include "tests/linux/lt.h"

#include <sys/resource.h>
#include <sys/wait.h>

enum { LIMIT = 2000, MOST = 40000, QUEUED = 1, SENT = 2 };

static volatile unsigned in_order, disordered, sent, ordinary;
static void take_queued(int number, siginfo_t *info, void *context) {
    if (info->si_code == SI_QUEUE && info->si_value.sival_int == (int)in_order) in_order++;
    else disordered++;
}
static void take_sent(int number) { sent++; }
static void take_ordinary(int number) { ordinary++; }

static void handle(int number, void (*handler)(int), int flags) {
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART | flags};
    LT_OK(sigaction(number, &action, NULL));
}

static unsigned queue_all(pid_t to) {
    unsigned count = 0;
    while (count < MOST && sigqueue(to, SIGRTMIN + QUEUED, (union sigval){.sival_int = (int)count}) == 0) count++;
    LT_DEMAND(count < MOST && errno == EAGAIN);
    return count;
}

// Queues until it is told that there is no room, and tells how many were taken. On Linux all processes of a user share that room:
// somebody else's may have it for a while.
static void fill(pid_t to, int out) {
    unsigned count = 0;
    for (int i = 0; i < LT_HANG_MS && (count = queue_all(to)) == 0; i++) usleep(1000);
    for (unsigned i = 0; i < 3; i++) LT_DEMAND(kill(to, SIGRTMIN + SENT) == 0);  // without a value it is never refused
    LT_DEMAND(kill(to, SIGUSR1) == 0);
    LT_DEMAND(write(out, &count, sizeof count) == sizeof count);
}

// Another process does so while both numbers are blocked here; how many were taken.
static unsigned filled(void) {
    struct rlimit limit;
    sigset_t queued;
    int fds[2];
    unsigned count;
    pid_t self = getpid();
    in_order = disordered = sent = ordinary = 0;
    LT_OK(getrlimit(RLIMIT_SIGPENDING, &limit));
    limit.rlim_cur = LIMIT;
    LT_OK(setrlimit(RLIMIT_SIGPENDING, &limit));
    handle(SIGRTMIN + QUEUED, (void (*)(int))(void *)take_queued, SA_SIGINFO);
    handle(SIGRTMIN + SENT, take_sent, 0);
    handle(SIGUSR1, take_ordinary, 0);
    sigemptyset(&queued);
    sigaddset(&queued, SIGRTMIN + QUEUED);
    sigaddset(&queued, SIGRTMIN + SENT);
    LT_OK(sigprocmask(SIG_BLOCK, &queued, NULL));
    LT_OK(pipe(fds));
    LT_EQUAL(LT_IN_A_CHILD(fill(self, fds[1]);), 0);
    LT_EQUAL(read(fds[0], &count, sizeof count), sizeof count);
    LT_CHECK(count > 0);
    for (int i = 0; i < LT_HANG_MS && ordinary == 0; i++) usleep(1000);
    LT_EQUAL(ordinary, 1);
    LT_EQUAL(in_order + disordered + sent, 0);
    return count;
}

static void unblock_all(void) {
    sigset_t none;
    sigemptyset(&none);
    LT_OK(sigprocmask(SIG_SETMASK, &none, NULL));
    LT_EQUAL(disordered, 0);
    LT_CHECK(sent >= 1 && sent <= 3);
}

LT_TEST(what_was_taken_arrives) {
    unsigned count = filled();
    unblock_all();
    LT_EQUAL(in_order, count);
}

LT_TEST(what_was_taken_is_waited_for) {
    const struct timespec now = {0, 0};
    siginfo_t info;
    sigset_t queued;
    unsigned count = filled();
    sigemptyset(&queued);
    sigaddset(&queued, SIGRTMIN + QUEUED);
    for (unsigned i = 0; i < count; i++) {
        LT_EQUAL(sigtimedwait(&queued, &info, &now), SIGRTMIN + QUEUED);
        LT_EQUAL(info.si_value.sival_int, i);
    }
    LT_ERRNO(sigtimedwait(&queued, &info, &now), EAGAIN);
    unblock_all();
    LT_EQUAL(in_order, 0);
}

// A limit that is raised lets in what had no room.
LT_TEST(a_limit_is_raised) {
    struct rlimit limit;
    unsigned count = filled();
    LT_OK(getrlimit(RLIMIT_SIGPENDING, &limit));
    limit.rlim_cur = limit.rlim_max;
    LT_OK(setrlimit(RLIMIT_SIGPENDING, &limit));
    unblock_all();
    LT_EQUAL(in_order, count);
}
