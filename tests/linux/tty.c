// Terminals: pseudo-terminals with their line discipline.
#include "tests/linux/lt.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <termios.h>

struct pty {
    int master, slave, number;
};

static struct pty open_pty(void) {
    struct pty p;
    char path[32];
    int unlock = 0;
    p.master = (int)LT_OK(open("/dev/ptmx", O_RDWR | O_NOCTTY));
    LT_OK(ioctl(p.master, TIOCGPTN, &p.number));
    LT_OK(ioctl(p.master, TIOCSPTLCK, &unlock));
    snprintf(path, sizeof path, "/dev/pts/%d", p.number);
    p.slave = (int)LT_OK(open(path, O_RDWR | O_NOCTTY));
    return p;
}

static void close_pty(struct pty *p) {
    LT_OK(close(p->slave));
    LT_OK(close(p->master));
}

static struct termios settings(int fd) {
    struct termios t;
    LT_OK(tcgetattr(fd, &t));
    return t;
}

static void set_local(int fd, tcflag_t clear, tcflag_t set) {
    struct termios t = settings(fd);
    t.c_lflag = (t.c_lflag & ~clear) | set;
    LT_OK(tcsetattr(fd, TCSANOW, &t));
}

static void type(const struct pty *p, const char *text) { LT_EQUAL(write(p->master, text, strlen(text)), strlen(text)); }

// What the slave reads, or the master shows, now.
static void expect(int fd, const char *text) {
    char got[512] = {0};
    size_t wanted = strlen(text);
    ssize_t have = 0;
    while ((size_t)have < wanted || wanted == 0) {
        ssize_t n = LT_OK(read(fd, got + have, sizeof got - 1 - (size_t)have));
        have += n;
        if (n == 0 || wanted == 0) break;
    }
    LT_TEXT(got, text);
}

static int waiting(int fd) {
    int n = -1;
    LT_OK(ioctl(fd, FIONREAD, &n));
    return n;
}

// What the master wrote has arrived: Linux brings it over in its own time.
static void settle(const struct pty *p, int bytes) {
    for (int i = 0; i < LT_HANG_MS && waiting(p->slave) != bytes; i++) usleep(1000);
    LT_EQUAL(waiting(p->slave), bytes);
}

static void expect_nothing(int fd) {
    char byte;
    int flags = (int)LT_OK(fcntl(fd, F_GETFL));
    LT_OK(fcntl(fd, F_SETFL, flags | O_NONBLOCK));
    LT_ERRNO(read(fd, &byte, 1), EAGAIN);
    LT_OK(fcntl(fd, F_SETFL, flags));
}

LT_TEST(defaults) {
    struct pty p = open_pty();
    struct termios t = settings(p.slave);
    LT_EQUAL(t.c_iflag, ICRNL | IXON);
    LT_EQUAL(t.c_oflag, OPOST | ONLCR);
    LT_EQUAL(t.c_lflag, ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN);
    LT_EQUAL(t.c_cc[VINTR], 3);
    LT_EQUAL(t.c_cc[VEOF], 4);
    LT_EQUAL(t.c_cc[VERASE], 127);
    LT_EQUAL(t.c_cc[VMIN], 1);
    LT_EQUAL(isatty(p.master), 1);
    LT_EQUAL(isatty(p.slave), 1);
    close_pty(&p);
}

LT_TEST(numbers) {
    struct stat st;
    struct pty p = open_pty();
    LT_OK(fstat(p.slave, &st));
    LT_EQUAL(st.st_rdev >> 8, 136);
    LT_EQUAL(st.st_rdev & 0xff, p.number);
    LT_CHECK(S_ISCHR(st.st_mode));
    LT_OK(fstat(p.master, &st));
    LT_EQUAL(st.st_rdev, 5 << 8 | 2);
    LT_OK(stat("/dev/tty", &st));
    LT_EQUAL(st.st_rdev, 5 << 8);
    LT_ERRNO(lseek(p.slave, 0, SEEK_CUR), ESPIPE);
    char byte;
    LT_ERRNO(pread(p.slave, &byte, 1, 0), ESPIPE);
    close_pty(&p);
}

LT_TEST(locked_slave) {
    char path[32];
    int number, lock = 0;
    int master = (int)LT_OK(open("/dev/ptmx", O_RDWR | O_NOCTTY));
    LT_OK(ioctl(master, TIOCGPTN, &number));
    snprintf(path, sizeof path, "/dev/pts/%d", number);
    LT_ERRNO(open(path, O_RDWR | O_NOCTTY), EIO);
    LT_OK(ioctl(master, TIOCSPTLCK, &lock));
    int slave = (int)LT_OK(open(path, O_RDWR | O_NOCTTY));
    LT_OK(close(slave));
    LT_OK(close(master));
    // Who keeps it may be dead and begin anew just then: it hears a little later that nobody has the master.
    for (int tries = 0; tries < LT_HANG_MS && open(path, O_RDWR | O_NOCTTY) < 0 && errno == EIO; tries++) LT_OK(usleep(1000));
    LT_ERRNO(open(path, O_RDWR | O_NOCTTY), ENOENT);
}

LT_TEST(peer) {
    int master = (int)LT_OK(open("/dev/ptmx", O_RDWR | O_NOCTTY)), lock = 0;
    LT_OK(ioctl(master, TIOCSPTLCK, &lock));
    int slave = (int)LT_OK(ioctl(master, 0x5441, O_RDWR | O_NOCTTY));
    LT_EQUAL(write(slave, "x", 1), 1);
    expect(master, "x");
    LT_OK(close(slave));
    LT_OK(close(master));
}

LT_TEST(lines) {
    struct pty p = open_pty();
    type(&p, "one\ntw");
    expect(p.slave, "one\n");
    expect_nothing(p.slave);
    type(&p, "o\n");
    expect(p.slave, "two\n");
    expect(p.master, "one\r\ntwo\r\n");
    close_pty(&p);
}

LT_TEST(line_in_pieces) {
    char piece[3] = {0};
    struct pty p = open_pty();
    type(&p, "abcd\nef\n");
    LT_EQUAL(read(p.slave, piece, 2), 2);
    LT_TEXT(piece, "ab");
    settle(&p, 6);
    expect(p.slave, "cd\n");
    expect(p.slave, "ef\n");
    close_pty(&p);
}

LT_TEST(carriage_return_is_newline) {
    struct pty p = open_pty();
    type(&p, "x\r");
    expect(p.slave, "x\n");
    close_pty(&p);
}

LT_TEST(erase) {
    struct pty p = open_pty();
    type(&p, "abc\177\177x\n");
    expect(p.slave, "ax\n");
    expect(p.master, "abc\b \b\b \bx\r\n");
    close_pty(&p);
}

LT_TEST(erase_stops_at_the_line) {
    struct pty p = open_pty();
    type(&p, "a\n\177\177b\n");
    expect(p.slave, "a\n");
    expect(p.slave, "b\n");
    close_pty(&p);
}

LT_TEST(kill_line) {
    struct pty p = open_pty();
    type(&p, "abc\025x\n");
    expect(p.slave, "x\n");
    expect(p.master, "abc\b \b\b \b\b \bx\r\n");
    close_pty(&p);
}

LT_TEST(word_erase) {
    struct pty p = open_pty();
    set_local(p.slave, ECHO, 0);
    type(&p, "one two  \027x\n");
    expect(p.slave, "one x\n");
    close_pty(&p);
}

LT_TEST(literal_next) {
    struct pty p = open_pty();
    set_local(p.slave, ECHO, 0);
    type(&p, "a\026\003\026\177b\n");
    expect(p.slave, "a\003\177b\n");
    close_pty(&p);
}

LT_TEST(control_echo) {
    struct pty p = open_pty();
    type(&p, "\001\n");
    expect(p.master, "^A\r\n");
    type(&p, "\001\177\n");
    expect(p.master, "^A\b \b\b \b\r\n");
    close_pty(&p);
}

LT_TEST(utf8_erase) {
    struct pty p = open_pty();
    struct termios t = settings(p.slave);
    t.c_iflag |= IUTF8;
    LT_OK(tcsetattr(p.slave, TCSANOW, &t));
    type(&p, "a\xc3\xa9\177\n");
    expect(p.slave, "a\n");
    expect(p.master, "a\xc3\xa9\b \b\r\n");
    close_pty(&p);
}

LT_TEST(no_echo_but_newlines) {
    struct pty p = open_pty();
    set_local(p.slave, ECHO, ECHONL);
    type(&p, "secret\n");
    expect(p.slave, "secret\n");
    expect(p.master, "\r\n");
    close_pty(&p);
}

LT_TEST(end_of_file) {
    struct pty p = open_pty();
    char byte;
    type(&p, "ab\004");
    expect(p.slave, "ab");
    type(&p, "\004");
    LT_EQUAL(read(p.slave, &byte, 1), 0);
    type(&p, "c\n");
    expect(p.slave, "c\n");
    close_pty(&p);
}

LT_TEST(other_ends_of_lines) {
    struct pty p = open_pty();
    struct termios t = settings(p.slave);
    t.c_cc[VEOL] = ';';
    t.c_cc[VEOL2] = '!';
    LT_OK(tcsetattr(p.slave, TCSANOW, &t));
    type(&p, "a;b!");
    expect(p.slave, "a;");
    expect(p.slave, "b!");
    close_pty(&p);
}

LT_TEST(long_line_keeps_its_end) {
    struct pty p = open_pty();
    static char much[5000], got[5000];
    set_local(p.slave, ECHO, 0);
    memset(much, 'x', sizeof much);
    much[sizeof much - 1] = '\n';
    for (size_t done = 0; done < sizeof much; done += 500) LT_EQUAL(write(p.master, much + done, 500), 500);
    LT_EQUAL(read(p.slave, got, sizeof got), 4096);
    LT_EQUAL(got[4095], '\n');
    LT_EQUAL(got[4094], 'x');
    expect_nothing(p.slave);
    close_pty(&p);
}

LT_TEST(output_processing) {
    struct pty p = open_pty();
    LT_EQUAL(write(p.slave, "a\nb\r\n", 5), 5);
    expect(p.master, "a\r\nb\r\r\n");
    struct termios t = settings(p.slave);
    t.c_oflag = OPOST | OCRNL;
    LT_OK(tcsetattr(p.slave, TCSADRAIN, &t));
    LT_EQUAL(write(p.slave, "a\rb\n", 4), 4);
    expect(p.master, "a\nb\n");
    t.c_oflag = OPOST | XTABS;
    LT_OK(tcsetattr(p.slave, TCSADRAIN, &t));
    LT_EQUAL(write(p.slave, "\r\tab\tc", 6), 6);
    expect(p.master, "\r        ab      c");
    t.c_oflag = 0;
    LT_OK(tcsetattr(p.slave, TCSADRAIN, &t));
    LT_EQUAL(write(p.slave, "\n\t", 2), 2);
    expect(p.master, "\n\t");
    close_pty(&p);
}

static void make_raw(int fd, int min, int time) {
    struct termios t = settings(fd);
    cfmakeraw(&t);
    t.c_cc[VMIN] = (cc_t)min;
    t.c_cc[VTIME] = (cc_t)time;
    LT_OK(tcsetattr(fd, TCSANOW, &t));
}

LT_TEST(raw) {
    struct pty p = open_pty();
    make_raw(p.slave, 1, 0);
    type(&p, "\003\004\r");
    expect(p.slave, "\003\004\r");
    LT_EQUAL(write(p.slave, "\n", 1), 1);
    expect(p.master, "\n");
    close_pty(&p);
}

LT_TEST(raw_without_minimum) {
    char byte;
    struct pty p = open_pty();
    make_raw(p.slave, 0, 0);
    LT_EQUAL(read(p.slave, &byte, 1), 0);
    make_raw(p.slave, 0, 1);
    LT_EQUAL(read(p.slave, &byte, 1), 0);
    type(&p, "x");
    settle(&p, 1);
    LT_EQUAL(read(p.slave, &byte, 1), 1);
    close_pty(&p);
}

LT_TEST(raw_minimum) {
    char bytes[8];
    struct pty p = open_pty();
    make_raw(p.slave, 3, 0);
    type(&p, "ab");
    struct pollfd poll_in = {.fd = p.slave, .events = POLLIN};
    if (poll(&poll_in, 1, 0) >= 0) LT_EQUAL(poll_in.revents, 0);
    type(&p, "c");
    LT_EQUAL(read(p.slave, bytes, sizeof bytes), 3);
    make_raw(p.slave, 5, 1);
    type(&p, "ab");
    LT_EQUAL(read(p.slave, bytes, sizeof bytes), 2);
    close_pty(&p);
}

LT_TEST(to_raw_with_a_line_begun) {
    struct pty p = open_pty();
    type(&p, "ab");
    make_raw(p.slave, 1, 0);
    expect(p.slave, "ab");
    close_pty(&p);
}

LT_TEST(flush) {
    struct pty p = open_pty();
    type(&p, "abc\n");
    settle(&p, 4);
    LT_OK(tcflush(p.slave, TCIFLUSH));
    expect_nothing(p.slave);
    type(&p, "def\n");
    settle(&p, 4);
    struct termios t = settings(p.slave);
    LT_OK(tcsetattr(p.slave, TCSAFLUSH, &t));
    expect_nothing(p.slave);
    LT_ERRNO(ioctl(p.slave, TCFLSH, 7), EINVAL);
    close_pty(&p);
}

LT_TEST(flow_control) {
    struct pty p = open_pty();
    type(&p, "\023");
    int flags = (int)LT_OK(fcntl(p.slave, F_GETFL));
    LT_OK(fcntl(p.slave, F_SETFL, flags | O_NONBLOCK));
    int tries = 0;
    while (write(p.slave, "", 1) == 1 && tries++ < LT_HANG_MS) usleep(1000);
    LT_ERRNO(write(p.slave, "x", 1), EAGAIN);
    type(&p, "\021");
    for (tries = 0; write(p.slave, "y", 1) != 1 && tries < LT_HANG_MS; tries++) usleep(1000);
    LT_CHECK(tries < LT_HANG_MS);
    close_pty(&p);
}

// Linux carries output over to the master in its own time, so a write behind the first short one may still find room. A terminal
// that nobody reads holds a bounded amount all the same.
LT_TEST(full_output_is_taken_in_parts) {
    static char much[100000];
    struct pty p = open_pty();
    make_raw(p.slave, 1, 0);
    int flags = (int)LT_OK(fcntl(p.slave, F_GETFL));
    LT_OK(fcntl(p.slave, F_SETFL, flags | O_NONBLOCK));
    ssize_t n = LT_OK(write(p.slave, much, sizeof much));
    LT_CHECK(n > 0 && n < (ssize_t)sizeof much);
    size_t taken = (size_t)n;
    while ((n = write(p.slave, much, sizeof much)) > 0) {
        taken += (size_t)n;
        LT_CHECK(taken < 1000000);
    }
    LT_EQUAL(n, -1);
    LT_EQUAL(errno, EAGAIN);
    close_pty(&p);
}

LT_TEST(window_size) {
    struct winsize size;
    struct pty p = open_pty();
    LT_OK(ioctl(p.slave, TIOCGWINSZ, &size));
    LT_EQUAL(size.ws_row, 0);
    size = (struct winsize){.ws_row = 50, .ws_col = 132};
    LT_OK(ioctl(p.master, TIOCSWINSZ, &size));
    size.ws_row = 0;
    LT_OK(ioctl(p.slave, TIOCGWINSZ, &size));
    LT_EQUAL(size.ws_row, 50);
    LT_EQUAL(size.ws_col, 132);
    LT_ERRNO(ioctl(p.slave, TIOCGWINSZ, LT_BAD_ADDRESS), EFAULT);
    close_pty(&p);
}

LT_TEST(hang_up) {
    char byte;
    struct pty p = open_pty();
    LT_OK(close(p.master));
    LT_EQUAL(read(p.slave, &byte, 1), 0);
    LT_ERRNO(write(p.slave, "x", 1), EIO);
    struct termios t;
    LT_ERRNO(tcgetattr(p.slave, &t), EIO);
    LT_OK(close(p.slave));
    p = open_pty();
    LT_EQUAL(write(p.slave, "bye", 3), 3);
    LT_OK(close(p.slave));
    expect(p.master, "bye");
    LT_ERRNO(read(p.master, &byte, 1), EIO);
    LT_OK(close(p.master));
}

LT_TEST(duplicates_keep_it_open) {
    struct pty p = open_pty();
    int copy = (int)LT_OK(dup(p.slave));
    LT_OK(close(p.slave));
    LT_EQUAL(write(copy, "x", 1), 1);
    expect(p.master, "x");
    pid_t child = (pid_t)LT_OK(fork());
    if (child == 0) {
        ssize_t n = write(copy, "y", 1);
        _exit(n == 1 ? 0 : 1);
    }
    LT_OK(close(copy));
    int status;
    LT_EQUAL(waitpid(child, &status, 0), child);
    LT_EQUAL(status, 0);
    expect(p.master, "y");
    char byte;
    LT_ERRNO(read(p.master, &byte, 1), EIO);
    LT_OK(close(p.master));
}

static void *type_later(void *arg) {
    usleep(50000);
    if (write(*(int *)arg, "late\n", 5) != 5) _exit(4);
    return NULL;
}

LT_TEST(read_waits) {
    pthread_t thread;
    struct pty p = open_pty();
    LT_EQUAL(pthread_create(&thread, NULL, type_later, &p.master), 0);
    expect(p.slave, "late\n");
    pthread_join(thread, NULL);
    close_pty(&p);
}

static volatile int handled;
static void on_signal(int number) { handled = number; }

LT_TEST(a_signal_ends_a_read) {
    char byte;
    struct pty p = open_pty();
    struct sigaction action = {.sa_handler = on_signal}, old;
    LT_OK(sigaction(SIGALRM, &action, &old));
    handled = 0;
    ualarm(20000, 20000);  // again and again: the first may come before the call does
    LT_ERRNO(read(p.slave, &byte, 1), EINTR);
    ualarm(0, 0);
    LT_EQUAL(handled, SIGALRM);
    LT_OK(sigaction(SIGALRM, &old, NULL));
    close_pty(&p);
}

// ---- with a session of its own --------------------------------------------------------------------------------------------

struct told {                      // in shared memory: what a child tells its parent
    volatile char said[64];
    volatile int count, heard;
};

static void tell(struct told *t, char what) {
    t->said[t->count] = what;
    __atomic_store_n(&t->count, t->count + 1, __ATOMIC_SEQ_CST);
}

// Runs a function in a child that leads a session with the terminal; what it returns is its exit code.
static pid_t in_session(struct pty *p, int (*run)(struct pty *, struct told *), struct told **told) {
    *told = mmap(NULL, sizeof **told, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    LT_CHECK(*told != MAP_FAILED);
    pid_t child = (pid_t)LT_OK(fork());
    if (child > 0) {
        LT_OK(close(p->slave));
        return child;
    }
    close(p->master);
    if (setsid() < 0 || ioctl(p->slave, TIOCSCTTY, 0) < 0) _exit(90);
    _exit(run(p, *told));
}

static char heard(struct told *t) {
    for (int i = 0; i < LT_HANG_MS && __atomic_load_n(&t->count, __ATOMIC_SEQ_CST) == t->heard; i++) usleep(2000);
    return t->said[t->heard++];
}

static void finish(struct told *t, pid_t child, int status) {
    int got;
    LT_EQUAL(waitpid(child, &got, 0), child);
    LT_EQUAL(got, status);
    LT_OK(munmap(t, sizeof *t));
}

static int check_terminal(struct pty *p, struct told *told) {
    int tty = open("/dev/tty", O_RDWR);
    if (tty < 0) return 1;
    if (tcgetpgrp(tty) != getpgrp() || tcgetpgrp(p->slave) != getpid()) return 2;
    if (tcgetsid(tty) != getpid()) return 3;
    if (write(tty, "hi", 2) != 2) return 4;
    if (ioctl(p->slave, TIOCNOTTY) != 0) return 5;
    if (open("/dev/tty", O_RDWR) >= 0 || errno != ENXIO) return 6;
    if (tcgetpgrp(p->slave) != -1 || errno != ENOTTY) return 7;
    return 0;
}

LT_TEST(controlling_terminal) {
    struct told *told;
    struct pty p = open_pty();
    pid_t child = in_session(&p, check_terminal, &told);
    expect(p.master, "hi");
    int status, got = waitpid(child, &status, 0);
    LT_EQUAL(got, child);
    if (WIFSIGNALED(status)) LT_EQUAL(WTERMSIG(status), SIGHUP);
    else LT_EQUAL(status, 0);
    LT_OK(munmap(told, sizeof *told));
    LT_OK(close(p.master));
}

static int wait_for_signals(struct pty *p, struct told *told) {
    static const int numbers[] = {SIGINT, SIGQUIT, SIGTSTP, SIGWINCH};
    sigset_t set;
    sigemptyset(&set);
    for (unsigned i = 0; i < 4; i++) sigaddset(&set, numbers[i]);
    sigprocmask(SIG_BLOCK, &set, NULL);
    tell(told, 'r');
    for (;;) {
        int number;
        if (sigwait(&set, &number) != 0) return 1;
        tell(told, number == SIGINT ? 'i' : number == SIGQUIT ? 'q' : number == SIGTSTP ? 't' : 'w');
        if (number == SIGQUIT) return 0;
    }
}

LT_TEST(signals_from_the_keyboard) {
    struct told *told;
    struct pty p = open_pty();
    pid_t child = in_session(&p, wait_for_signals, &told);
    LT_EQUAL(heard(told), 'r');
    type(&p, "abc");
    expect(p.master, "abc");  // first: the signal drops what was not read
    type(&p, "\003");
    LT_EQUAL(heard(told), 'i');
    expect(p.master, "^C");
    type(&p, "\032");
    LT_EQUAL(heard(told), 't');
    struct winsize size = {.ws_row = 3, .ws_col = 4};
    LT_OK(ioctl(p.master, TIOCSWINSZ, &size));
    LT_EQUAL(heard(told), 'w');
    LT_OK(ioctl(p.master, TIOCSWINSZ, &size));  // no change, no signal
    type(&p, "\034");
    LT_EQUAL(heard(told), 'q');
    finish(told, child, 0);
    LT_OK(close(p.master));
}

static int sleep_for_ever(struct pty *p, struct told *told) {
    tell(told, 'r');
    while (pause() != 0) continue;
    return 1;
}

LT_TEST(interrupt_kills) {
    struct told *told;
    struct pty p = open_pty();
    pid_t child = in_session(&p, sleep_for_ever, &told);
    LT_EQUAL(heard(told), 'r');
    type(&p, "\003");
    finish(told, child, SIGINT);
    LT_OK(close(p.master));
}

LT_TEST(hang_up_kills_the_leader) {
    struct told *told;
    struct pty p = open_pty();
    pid_t child = in_session(&p, sleep_for_ever, &told);
    LT_EQUAL(heard(told), 'r');
    LT_OK(close(p.master));
    finish(told, child, SIGHUP);
}

static int read_in_background(struct pty *p, struct told *told) {
    pid_t child = fork();
    if (child == 0) {
        char byte;
        setpgid(0, 0);
        tell(told, 'r');
        _exit(read(p->slave, &byte, 1) == 1 && byte == 'x' ? 0 : 1);
    }
    int status;
    if (waitpid(child, &status, WUNTRACED) != child || !WIFSTOPPED(status) || WSTOPSIG(status) != SIGTTIN) return 2;
    if (tcsetpgrp(p->slave, child) != 0) return 3;
    if (kill(child, SIGCONT) != 0) return 4;
    tell(told, 'c');
    if (waitpid(child, &status, 0) != child) return 5;
    signal(SIGTTOU, SIG_IGN);
    if (tcsetpgrp(p->slave, getpgrp()) != 0) return 6;
    return status == 0 ? 0 : 7;
}

LT_TEST(background_read_stops) {
    struct told *told;
    struct pty p = open_pty();
    pid_t child = in_session(&p, read_in_background, &told);
    LT_EQUAL(heard(told), 'r');
    LT_EQUAL(heard(told), 'c');
    type(&p, "x\n");
    finish(told, child, 0);
    LT_OK(close(p.master));
}

static int use_in_background(struct pty *p, struct told *told) {
    pid_t child = fork();
    if (child == 0) {
        char byte;
        setpgid(0, 0);
        signal(SIGTTIN, SIG_IGN);
        if (read(p->slave, &byte, 1) != -1 || errno != EIO) _exit(1);
        if (write(p->slave, "a", 1) != 1) _exit(2);   // allowed without TOSTOP
        set_local(p->slave, 0, TOSTOP);
        _exit(3);
    }
    int status;
    if (waitpid(child, &status, WUNTRACED) != child || !WIFSTOPPED(status) || WSTOPSIG(status) != SIGTTOU) return 2;
    if (kill(child, SIGKILL) != 0 || waitpid(child, &status, 0) != child || status != SIGKILL) return 3;
    set_local(p->slave, 0, TOSTOP);
    child = fork();
    if (child == 0) {
        setpgid(0, 0);
        _exit(write(p->slave, "b", 1) == 1 ? 0 : 1);
    }
    if (waitpid(child, &status, WUNTRACED) != child || !WIFSTOPPED(status) || WSTOPSIG(status) != SIGTTOU) return 4;
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
    return 0;
}

LT_TEST(background_use) {
    struct told *told;
    struct pty p = open_pty();
    pid_t child = in_session(&p, use_in_background, &told);
    expect(p.master, "a");
    finish(told, child, 0);
    LT_OK(close(p.master));
}

LT_TEST(bad_requests) {
    struct termios t;
    struct pty p = open_pty();
    LT_ERRNO(ioctl(p.slave, 0x54ff, 0), ENOTTY);
    LT_ERRNO(ioctl(p.slave, TCGETS, LT_BAD_ADDRESS), EFAULT);
    LT_ERRNO(ioctl(p.slave, TCSETS, LT_BAD_ADDRESS), EFAULT);
    LT_EQUAL(read(p.slave, LT_BAD_ADDRESS, 0), 0);
    LT_ERRNO(tcgetpgrp(p.slave), ENOTTY);
    int null = (int)LT_OK(open("/dev/null", O_RDWR));
    LT_ERRNO(tcgetattr(null, &t), ENOTTY);
    LT_OK(close(null));
    close_pty(&p);
}
