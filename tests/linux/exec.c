// execve and execveat: what may run, what it finds, and what stays.
#define LT_BEGIN begin
static void begin(int argc, char **argv);
#include "tests/linux/lt.h"

#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

extern char **environ;
static char self[PATH_MAX];

static void copy_file(const char *from, const char *to, mode_t mode) {
    char buffer[65536];
    ssize_t got;
    int in = (int)LT_OK(open(from, O_RDONLY)), out = (int)LT_OK(open(to, O_WRONLY | O_CREAT | O_TRUNC, mode));
    while ((got = LT_OK(read(in, buffer, sizeof buffer))) > 0) LT_EQUAL(write(out, buffer, (size_t)got), got);
    LT_OK(close(in));
    LT_OK(close(out));
}

// The program itself, as "./prog" of the case's folder. With KPIO_TELL in its environment it tells what it was given (below).
static void make_program(void) { copy_file(self, "prog", 0755); }

// ---- what the executed program tells ------------------------------------------------------------------------------------

static void tell(int argc, char **argv) {
    printf("%d", argc);
    for (int i = 0; i < argc; i++) printf(" [%s]", argv[i]);
    const char *what = getenv("KPIO_TELL");
    if (strchr(what, 'f') != NULL) {
        printf(" fds");
        for (int fd = 3; fd < 64; fd++)
            if (fcntl(fd, F_GETFD) >= 0) printf(" %d", fd);
    }
    if (strchr(what, 'x') != NULL) printf(" execfn %s", (const char *)getauxval(AT_EXECFN));
    if (strchr(what, 's') != NULL) {
        struct sigaction action;
        sigset_t set;
        sigprocmask(SIG_SETMASK, NULL, &set);
        sigaction(SIGUSR1, NULL, &action);
        printf(" usr1 %s", action.sa_handler == SIG_IGN ? "ignored" : action.sa_handler == SIG_DFL ? "default" : "handled");
        sigaction(SIGUSR2, NULL, &action);
        printf(" usr2 %s", action.sa_handler == SIG_IGN ? "ignored" : action.sa_handler == SIG_DFL ? "default" : "handled");
        printf(" blocked %d%d", sigismember(&set, SIGUSR1), sigismember(&set, SIGTERM));
    }
    if (strchr(what, 'e') != NULL)
        for (char **e = environ; *e != NULL; e++) printf(" {%s}", *e);
    if (strchr(what, 'c') != NULL) {
        char cwd[PATH_MAX] = "";
        const char *name = getcwd(cwd, sizeof cwd) == NULL ? "?" : strrchr(cwd, '/') + 1;
        printf(" cwd %s", name);
    }
    if (strchr(what, 'm') != NULL) printf(" umask %03o", (unsigned)umask(0));
    fflush(stdout);
    _exit(7);
}

static void begin(int argc, char **argv) {
    if (getenv("KPIO_TELL") != NULL) tell(argc, argv);
    if (argv[0][0] == '/') snprintf(self, sizeof self, "%s", argv[0]);
    else if (getcwd(self, sizeof self) != NULL)
        snprintf(self + strlen(self), sizeof self - strlen(self), "/%s", argv[0]);
}

// ---- running it ---------------------------------------------------------------------------------------------------------

static char told[16384];
static int status;

struct start {
    int dirfd, flags;
    const char *path;
    char *const *argv, *const *envp;
};

// What it wrote to descriptor 1 is in `told`, unless the call failed: then its errno is returned.
static int start(const struct start *s) {
    int out = (int)LT_OK(open("told", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)), error = 0;
    int *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    LT_CHECK(shared != MAP_FAILED);
    pid_t child = (pid_t)LT_OK(fork());
    if (child == 0) {
        if (dup2(out, 1) < 0) _exit(99);
        if (s->dirfd == AT_FDCWD && s->flags == 0) execve(s->path, s->argv, s->envp);
        else syscall(SYS_execveat, s->dirfd, s->path, s->argv, s->envp, s->flags);
        *shared = errno;
        _exit(98);
    }
    LT_EQUAL(waitpid(child, &status, 0), child);
    error = *shared;
    LT_OK(munmap(shared, 4096));
    ssize_t got = LT_OK(pread(out, told, sizeof told - 1, 0));
    told[got] = 0;
    LT_OK(close(out));
    return error;
}

static char *const plain_env[] = {"KPIO_TELL=y", NULL};
static int run(const char *path, char *const *argv, const char *what) {
    char text[64];
    snprintf(text, sizeof text, "KPIO_TELL=%s", what);
    char *const env[] = {text, NULL};
    return start(&(struct start){.dirfd = AT_FDCWD, .path = path, .argv = argv, .envp = env});
}
static int run_at(int dirfd, const char *path, int flags, const char *what) {
    char text[64];
    snprintf(text, sizeof text, "KPIO_TELL=%s", what);
    char *const env[] = {text, NULL}, *const argv[] = {"name", NULL};
    return start(&(struct start){.dirfd = dirfd, .flags = flags, .path = path, .argv = argv, .envp = env});
}
static int run_plain(const char *path) {
    char *const argv[] = {"name", NULL};
    return run(path, argv, "y");
}

LT_TEST(arguments) {
    make_program();
    char *const argv[] = {"one", "", "two words", NULL}, *const env[] = {"KPIO_TELL=e", "A=1", "", "no equals", NULL};
    LT_EQUAL(start(&(struct start){.dirfd = AT_FDCWD, .path = "./prog", .argv = argv, .envp = env}), 0);
    LT_TEXT(told, "3 [one] [] [two words] {KPIO_TELL=e} {A=1} {} {no equals}");
    LT_EQUAL(status, 7 << 8);
    LT_EQUAL(run("prog", argv, "x"), 0);
    LT_TEXT(told, "3 [one] [] [two words] execfn prog");
}

LT_TEST(no_arguments) {
    make_program();
    char *const none[] = {NULL};
    LT_EQUAL(run("./prog", none, "y"), 0);
    LT_TEXT(told, "1 []");
    LT_EQUAL(run("./prog", NULL, "y"), 0);
    LT_TEXT(told, "1 []");
    lt_make("script", "#!./prog\n");
    LT_OK(chmod("script", 0755));
    LT_EQUAL(run("./script", none, "y"), 0);
    LT_TEXT(told, "2 [./prog] [./script]");
}

LT_TEST(many_arguments) {
    make_program();
    enum { COUNT = 3000 };
    static char *argv[COUNT + 1];
    for (int i = 0; i < COUNT; i++) argv[i] = "a";
    LT_EQUAL(run("./prog", argv, "y"), 0);
    LT_EQUAL(atoi(told), COUNT);
    LT_EQUAL(strlen(told), 4 + 4 * COUNT);
}

LT_TEST(too_big) {
    make_program();
    static char text[200000];
    memset(text, 'a', sizeof text - 1);
    char *argv[] = {"name", text, NULL};
    LT_EQUAL(run("./prog", argv, "y"), E2BIG);
    text[131072] = 0;
    LT_EQUAL(run("./prog", argv, "y"), E2BIG);
    text[131071] = 0;
    LT_EQUAL(run("./prog", argv, "y"), 0);
    static char *many[64];
    for (int i = 0; i < 63; i++) many[i] = text;
    LT_EQUAL(run("./prog", many, "y"), E2BIG);
    many[12] = NULL;
    LT_EQUAL(run("./prog", many, "y"), 0);
}

LT_TEST(bad_addresses) {
    make_program();
    char *const bad[] = {"name", LT_BAD_ADDRESS, NULL}, *const good[] = {"name", NULL};
    LT_EQUAL(start(&(struct start){.dirfd = AT_FDCWD, .path = "./prog", .argv = bad, .envp = good}), EFAULT);
    LT_EQUAL(start(&(struct start){.dirfd = AT_FDCWD, .path = "./prog", .argv = good, .envp = bad}), EFAULT);
    LT_EQUAL(start(&(struct start){.dirfd = AT_FDCWD, .path = "./prog", .argv = LT_BAD_ADDRESS, .envp = good}), EFAULT);
    LT_EQUAL(start(&(struct start){.dirfd = AT_FDCWD, .path = LT_BAD_ADDRESS, .argv = good, .envp = good}), EFAULT);
    LT_EQUAL(run("./prog", good, "y"), 0);
}

LT_TEST(what_cannot_run) {
    char name[PATH_MAX + 10];
    make_program();
    LT_EQUAL(run_plain("missing"), ENOENT);
    LT_EQUAL(run_plain(""), ENOENT);
    LT_EQUAL(run_plain("."), EACCES);
    LT_EQUAL(run_plain("prog/name"), ENOTDIR);
    LT_EQUAL(run_plain("/dev/null"), EACCES);
    memset(name, 'n', sizeof name);
    name[PATH_MAX] = 0;
    LT_EQUAL(run_plain(name), ENAMETOOLONG);
    LT_OK(symlink("loop", "loop"));
    LT_EQUAL(run_plain("loop"), ELOOP);
    LT_OK(chmod("prog", 0644));
    LT_EQUAL(run_plain("prog"), EACCES);
    LT_OK(mkfifo("fifo", 0777));
    LT_EQUAL(run_plain("fifo"), EACCES);
}

static void make_executable(const char *path, const char *data, size_t size) {
    int fd = (int)LT_OK(open(path, O_WRONLY | O_CREAT | O_TRUNC, 0755));
    LT_EQUAL(write(fd, data, size), size);
    LT_OK(close(fd));
}

LT_TEST(no_format) {
    make_executable("empty", "", 0);
    LT_EQUAL(run_plain("empty"), ENOEXEC);
    make_executable("one", "\177", 1);
    LT_EQUAL(run_plain("one"), ENOEXEC);
    make_executable("elf", "\177ELF", 4);
    LT_EQUAL(run_plain("elf"), ENOEXEC);
    make_executable("text", "exit 0\n", 7);
    LT_EQUAL(run_plain("text"), ENOEXEC);
    static char zero[8192];
    make_executable("zero", zero, sizeof zero);
    LT_EQUAL(run_plain("zero"), ENOEXEC);
    memcpy(zero, "\177ELF\2\1\1", 7);
    make_executable("hollow", zero, sizeof zero);
    LT_EQUAL(run_plain("hollow"), ENOEXEC);
}

// The start of the program itself, with something else in it.
LT_TEST(broken_headers) {
    char head[4096];
    int fd = (int)LT_OK(open(self, O_RDONLY));
    LT_EQUAL(read(fd, head, sizeof head), sizeof head);
    LT_OK(close(fd));
    make_executable("cut", head, 100);
    LT_CHECK(run_plain("cut") != 0);
    head[18] = 3;  // another machine
    make_executable("machine", head, sizeof head);
    LT_EQUAL(run_plain("machine"), ENOEXEC);
    head[18] = 62;
    head[16] = 1;  // relocatable
    make_executable("object", head, sizeof head);
    LT_EQUAL(run_plain("object"), ENOEXEC);
}

LT_TEST(scripts) {
    make_program();
    char *const argv[] = {"zero", "one", NULL};
    make_executable("a", "#!./prog\n", 9);
    LT_EQUAL(run("./a", argv, "x"), 0);
    LT_TEXT(told, "3 [./prog] [./a] [one] execfn ./a");
    make_executable("b", "#! \t ./prog  -x  -y \t\nrest\n", 27);
    LT_EQUAL(run("./b", argv, "y"), 0);
    LT_TEXT(told, "4 [./prog] [-x  -y] [./b] [one]");
    make_executable("c", "#!./b arg", 9);
    LT_EQUAL(run("./c", argv, "x"), 0);
    LT_TEXT(told, "6 [./prog] [-x  -y] [./b] [arg] [./c] [one] execfn ./c");
    make_executable("d", "#!", 2);
    LT_EQUAL(run_plain("./d"), EACCES);
    make_executable("e", "#! \t\n./prog", 11);
    LT_EQUAL(run_plain("./e"), ENOEXEC);
    make_executable("f", "#!./missing\n", 12);
    LT_EQUAL(run_plain("./f"), ENOENT);
    make_executable("g", "#!.\n", 4);
    LT_EQUAL(run_plain("./g"), EACCES);
    make_executable("h", "#!./h\n", 6);
    LT_EQUAL(run_plain("./h"), ELOOP);
    LT_OK(chmod("a", 0644));
    LT_EQUAL(run_plain("./a"), EACCES);
    lt_make("plain", "no program");
    make_executable("i", "#!./plain\n", 10);
    LT_EQUAL(run_plain("./i"), EACCES);
}

LT_TEST(long_script_lines) {
    char line[600], *const argv[] = {"zero", NULL};
    make_program();
    memset(line, 'a', sizeof line);
    memcpy(line, "#!./prog ", 9);
    make_executable("argument", line, sizeof line);
    LT_EQUAL(run("./argument", argv, "y"), 0);
    LT_EQUAL(strlen(told), strlen("3 [./prog] [] [./argument]") + 246);
    line[255] = '\n';
    make_executable("ends", line, sizeof line);
    LT_EQUAL(run("./ends", argv, "y"), 0);
    LT_EQUAL(strlen(told), strlen("3 [./prog] [] [./ends]") + 246);
    memset(line + 4, '/', 247);
    memcpy(line, "#!./", 4);
    memcpy(line + 251, "prog ", 5);
    make_executable("name", line, sizeof line);
    LT_EQUAL(run("./name", argv, "y"), 0);
    line[255] = 'a';
    line[256] = '\n';
    make_executable("name", line, sizeof line);
    LT_EQUAL(run_plain("./name"), ENOEXEC);
    memcpy(line, "#!./progaa", 10);
    make_executable("name", line, sizeof line);
    LT_EQUAL(run_plain("./name"), ENOEXEC);
}

LT_TEST(script_depth) {
    make_program();
    char name[8] = "./s0", text[32];
    for (int i = 0; i < 6; i++) {
        snprintf(name, sizeof name, "s%d", i);
        if (i == 0) snprintf(text, sizeof text, "#!./prog\n");
        else snprintf(text, sizeof text, "#!./s%d\n", i - 1);
        make_executable(name, text, strlen(text));
    }
    LT_EQUAL(run_plain("./s4"), 0);
    LT_EQUAL(run_plain("./s5"), ELOOP);
}

LT_TEST(busy) {
    make_program();
    int fd = (int)LT_OK(open("prog", O_WRONLY));
    LT_EQUAL(run_plain("./prog"), ETXTBSY);
    LT_OK(close(fd));
    LT_EQUAL(run_plain("./prog"), 0);
    make_executable("script", "#!./prog\n", 9);
    fd = (int)LT_OK(open("script", O_RDWR));
    LT_EQUAL(run_plain("./script"), ETXTBSY);
    LT_OK(close(fd));
    fd = (int)LT_OK(open("prog", O_WRONLY));
    LT_EQUAL(run_plain("./script"), ETXTBSY);
    LT_OK(close(fd));
    LT_EQUAL(run_plain("./script"), 0);
    LT_ERRNO(open(self, O_WRONLY), ETXTBSY);
    LT_ERRNO(truncate(self, 0), ETXTBSY);
}

LT_TEST(relative_to_descriptors) {
    LT_OK(mkdir("dir", 0755));
    make_program();
    LT_OK(rename("prog", "dir/prog"));
    int dir = (int)LT_OK(open("dir", O_RDONLY | O_DIRECTORY)), path = (int)LT_OK(open("dir", O_PATH));
    char wanted[64];
    LT_EQUAL(run_at(dir, "prog", 0, "x"), 0);
    snprintf(wanted, sizeof wanted, "1 [name] execfn /dev/fd/%d/prog", dir);
    LT_TEXT(told, wanted);
    LT_EQUAL(run_at(path, "prog", 0, "y"), 0);
    LT_EQUAL(run_at(dir, "missing", 0, "y"), ENOENT);
    LT_EQUAL(run_at(dir, "", 0, "y"), ENOENT);
    LT_EQUAL(run_at(dir, "", AT_EMPTY_PATH, "y"), EACCES);
    LT_EQUAL(run_at(77, "prog", 0, "y"), EBADF);
    LT_EQUAL(run_at(77, "", AT_EMPTY_PATH, "y"), EBADF);
    LT_EQUAL(run_at(dir, "prog", 0x20000, "y"), EINVAL);
    LT_EQUAL(run_at(AT_FDCWD, "dir/prog", AT_EMPTY_PATH, "x"), 0);
    LT_TEXT(told, "1 [name] execfn dir/prog");
    LT_OK(symlink("prog", "dir/link"));
    LT_EQUAL(run_at(dir, "link", 0, "y"), 0);
    LT_EQUAL(run_at(dir, "link", AT_SYMLINK_NOFOLLOW, "y"), ELOOP);
    LT_EQUAL(run_at(dir, "prog", AT_SYMLINK_NOFOLLOW, "y"), 0);
    int file = (int)LT_OK(open("dir/prog", O_RDONLY));
    LT_EQUAL(run_at(file, "prog", 0, "y"), ENOTDIR);
}

LT_TEST(by_descriptor) {
    make_program();
    char wanted[64];
    int ends[2], file = (int)LT_OK(open("prog", O_RDONLY)), path = (int)LT_OK(open("prog", O_PATH | O_CLOEXEC));
    LT_EQUAL(run_at(file, "", AT_EMPTY_PATH, "x"), 0);
    snprintf(wanted, sizeof wanted, "1 [name] execfn /dev/fd/%d", file);
    LT_TEXT(told, wanted);
    LT_EQUAL(run_at(path, "", AT_EMPTY_PATH, "y"), 0);
    LT_OK(unlink("prog"));
    LT_EQUAL(run_at(file, "", AT_EMPTY_PATH, "y"), 0);
    LT_OK(fchmod(file, 0600));
    LT_EQUAL(run_at(file, "", AT_EMPTY_PATH, "y"), EACCES);
    LT_OK(fchmod(file, 0700));
    LT_EQUAL(run_at(file, "", AT_EMPTY_PATH, "y"), 0);
    LT_OK(pipe(ends));
    LT_EQUAL(run_at(ends[0], "", AT_EMPTY_PATH, "y"), EACCES);
    make_executable("script", "#!./prog\n", 9);
    int script = (int)LT_OK(open("script", O_RDONLY | O_CLOEXEC));
    LT_EQUAL(run_at(script, "", AT_EMPTY_PATH, "y"), ENOENT);
    int write = (int)LT_OK(open("script", O_WRONLY));
    LT_EQUAL(run_at(write, "", AT_EMPTY_PATH, "y"), ETXTBSY);
}

LT_TEST(descriptors) {
    make_program();
    int kept = (int)LT_OK(open("prog", O_RDONLY)), closed = (int)LT_OK(open("prog", O_RDONLY | O_CLOEXEC)), ends[2];
    LT_OK(dup2(kept, 20));
    LT_EQUAL(LT_OK(fcntl(kept, F_DUPFD_CLOEXEC, 30)), 30);
    LT_OK(pipe2(ends, O_CLOEXEC));
    LT_OK(fcntl(ends[1], F_SETFD, 0));
    char *const argv[] = {"name", NULL};
    char wanted[100];
    LT_EQUAL(run("./prog", argv, "f"), 0);
    snprintf(wanted, sizeof wanted, "1 [name] fds %d %d 20", kept, ends[1]);
    LT_TEXT(told, wanted);
    LT_CHECK(closed > kept);
    // What a call that failed would have closed stays.
    LT_EQUAL(run_plain("missing"), ENOENT);
    LT_OK(fcntl(closed, F_GETFD));
}

static void ignore(int number) {}
LT_TEST(signals) {
    make_program();
    sigset_t set, old;
    struct sigaction handled = {.sa_handler = ignore}, ignored = {.sa_handler = SIG_IGN};
    LT_OK(sigaction(SIGUSR1, &handled, NULL));
    LT_OK(sigaction(SIGUSR2, &ignored, NULL));
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    LT_OK(sigprocmask(SIG_BLOCK, &set, &old));
    char *const argv[] = {"name", NULL};
    int result = run("./prog", argv, "s");
    LT_OK(sigprocmask(SIG_SETMASK, &old, NULL));
    LT_EQUAL(result, 0);
    LT_TEXT(told, "1 [name] usr1 default usr2 ignored blocked 01");
}

LT_TEST(places) {
    make_program();
    LT_OK(mkdir("below", 0755));
    LT_OK(chdir("below"));
    mode_t old = umask(027);
    char *const argv[] = {"name", NULL};
    int result = run("../prog", argv, "cm");
    umask(old);
    LT_EQUAL(result, 0);
    LT_TEXT(told, "1 [name] cwd below umask 027");
}

// A working directory in /dev: what is named from there, and that it stays.
LT_TEST(from_dev) {
    make_program();
    char here[PATH_MAX], path[PATH_MAX + 16], *const argv[] = {"name", NULL};
    LT_CHECK(getcwd(here, sizeof here - 8) != NULL);
    snprintf(path, sizeof path, "..%s/prog", here);
    int out = (int)LT_OK(open("out", O_RDWR | O_CREAT, 0600));
    LT_OK(chdir("/dev"));
    pid_t child = (pid_t)LT_OK(fork());
    if (child == 0) {
        dup2(out, 1);
        char *const env[] = {"KPIO_TELL=cx", NULL};
        execve(path, argv, env);
        _exit(errno);
    }
    LT_EQUAL(waitpid(child, &status, 0), child);
    LT_EQUAL(status, 7 << 8);
    char wanted[PATH_MAX + 64];
    snprintf(wanted, sizeof wanted, "1 [name] execfn %s cwd dev", path);
    ssize_t got = LT_OK(pread(out, told, sizeof told - 1, 0));
    told[got] = 0;
    LT_TEXT(told, wanted);
}

LT_TEST(in_another_root) {
    if (geteuid() != 0) LT_SKIP("only root may");
    LT_OK(mkdir("root", 0755));
    LT_OK(mkdir("root/bin", 0755));
    copy_file(self, "root/bin/prog", 0755);
    make_executable("root/script", "#!/bin/prog\n", 12);
    int out = (int)LT_OK(open("out", O_RDWR | O_CREAT, 0600));
    pid_t child = (pid_t)LT_OK(fork());
    if (child == 0) {
        char *const argv[] = {"name", NULL}, *const env[] = {"KPIO_TELL=x", NULL};
        dup2(out, 1);
        if (chroot("root") != 0) _exit(errno == EPERM ? 77 : 78);
        execve("/script", argv, env);
        _exit(errno);
    }
    LT_EQUAL(waitpid(child, &status, 0), child);
    if (status == 77 << 8) LT_SKIP("chroot is not allowed");
    LT_EQUAL(status, 7 << 8);
    ssize_t got = LT_OK(pread(out, told, sizeof told - 1, 0));
    told[got] = 0;
    LT_TEXT(told, "2 [/bin/prog] [/script] execfn /script");
}

// A program is named by a child of vfork, whose memory is its parent's.
LT_TEST(vfork_and_exec) {
    make_program();
    char *const argv[] = {"name", NULL};
    int out = (int)LT_OK(open("out", O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    for (int i = 0; i < 20; i++) {
        pid_t child = vfork();
        if (child == 0) {
            dup2(out, 1);
            execve(i % 2 == 0 ? "./prog" : "./missing", argv, plain_env);
            _exit(errno);
        }
        LT_CHECK(child > 0);
        LT_EQUAL(waitpid(child, &status, 0), child);
        LT_EQUAL(status >> 8, i % 2 == 0 ? 7 : ENOENT);
    }
}

// Text that is to be written, too, takes authority that a program need not have: then execve says so, while there is somebody to
// hear it.
LT_TEST(a_segment_to_write_and_run) {
    static char bytes[1 << 20];
    int status, from = (int)LT_OK(open("/proc/self/exe", O_RDONLY)), to = (int)LT_OK(open("rwx", O_WRONLY | O_CREAT, 0755));
    ssize_t size = LT_OK(read(from, bytes, sizeof bytes)), got;
    Elf64_Phdr *segments = (Elf64_Phdr *)(bytes + ((Elf64_Ehdr *)bytes)->e_phoff);
    for (int i = 0; i < ((Elf64_Ehdr *)bytes)->e_phnum; i++)
        if (segments[i].p_type == PT_LOAD && segments[i].p_flags & PF_X) segments[i].p_flags |= PF_W;
    for (; size > 0; size = got) {
        LT_EQUAL(write(to, bytes, (size_t)size), size);
        got = LT_OK(read(from, bytes, sizeof bytes));
    }
    LT_OK(close(from));
    LT_OK(close(to));
    pid_t child = (pid_t)LT_OK(fork());
    if (child == 0) {
        int null = open("/dev/null", O_RDWR);
        dup2(null, 1);
        execl("./rwx", "rwx", "no such case", (char *)NULL);
        _exit(errno == EACCES ? 100 : 101);
    }
    LT_EQUAL(waitpid(child, &status, 0), child);
    LT_CHECK(WIFEXITED(status));
    LT_CHECK(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 100);
}
