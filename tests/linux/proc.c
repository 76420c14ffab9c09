// Files of /proc, /dev and /sys: that they are there, how they look, what they refuse. Each format is that of Linux 6.1 and later; of
// what grows with its versions the lines are checked that are told, in their order.
#include "tests/linux/lt.h"

#include <ctype.h>
#include <dirent.h>
#include <limits.h>
#include <pthread.h>
#include <regex.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>

static char text[1 << 17];

static size_t take(const char *path) {
    int fd = (int)LT_OK(open(path, O_RDONLY));
    size_t size = 0;
    for (ssize_t n; (n = LT_OK(read(fd, text + size, sizeof text - 1 - size))) > 0;) size += (size_t)n;
    text[size] = 0;
    LT_OK(close(fd));
    return size;
}

static int matches(const char *line, const char *pattern) {
    regex_t compiled;
    LT_EQUAL(regcomp(&compiled, pattern, REG_EXTENDED | REG_NOSUB), 0);
    int result = regexec(&compiled, line, 0, NULL, 0);
    regfree(&compiled);
    return result == 0;
}

// The file is one line that looks so.
static void line_of(const char *path, const char *pattern) {
    size_t size = take(path);
    if (size == 0 || text[size - 1] != '\n') LT_FAIL("%s has no line", path);
    text[size - 1] = 0;
    if (strchr(text, '\n') != NULL || !matches(text, pattern)) LT_FAIL("%s says \"%.200s\"", path, text);
}

// All of its lines look so; returns how many there are.
static int lines_of(const char *path, const char *pattern) {
    int count = 0;
    (void)take(path);
    for (char *line = text, *end; *line != 0; line = end + 1, count++) {
        end = strchr(line, '\n');
        if (end == NULL) LT_FAIL("%s ends without a newline", path);
        *end = 0;
        if (!matches(line, pattern)) LT_FAIL("%s says \"%.200s\"", path, line);
    }
    return count;
}

// Lines that begin so are there, in this order, and look so.
struct line {
    const char *begin, *rest;
};
static void lines_in_order(const char *path, const struct line *lines, size_t count) {
    (void)take(path);
    char *from = text;
    for (size_t i = 0; i < count; i++) {
        const size_t begin = strlen(lines[i].begin);
        while (*from != 0 && strncmp(from, lines[i].begin, begin) != 0) from = strchr(from, '\n') + 1;
        if (*from == 0) LT_FAIL("%s has no line \"%s\" there", path, lines[i].begin);
        char *end = strchr(from, '\n');
        *end = 0;
        if (!matches(from + begin, lines[i].rest)) LT_FAIL("%s says \"%.200s\"", path, from);
        from = end + 1;
    }
}
#define IN_ORDER(path, lines) lines_in_order(path, lines, sizeof(lines) / sizeof *(lines))

#define NUMBER "[0-9]+"
#define KB "^ *[0-9]+ kB$"
#define HEX16 "^[0-9a-f]{16}$"

// ---- the process ---------------------------------------------------------------------------------------------------------------

static const char *thread_paths[3];
static char thread_path[64];
static int pid_paths(void) {
    static char own[32];
    snprintf(own, sizeof own, "/proc/%d", (int)getpid());
    snprintf(thread_path, sizeof thread_path, "/proc/self/task/%d", (int)syscall(SYS_gettid));
    thread_paths[0] = "/proc/self";
    thread_paths[1] = own;
    thread_paths[2] = thread_path;
    return 3;
}
static const char *below(int i, const char *name) {
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", thread_paths[i], name);
    return path;
}

LT_TEST(status) {
    static const struct line lines[] = {
        {"Name:\t", "^.{1,15}$"}, {"Umask:\t", "^0[0-7]{3}$"}, {"State:\t", "^R \\(running\\)$"}, {"Tgid:\t", NUMBER}, {"Ngid:\t", "^0$"},
        {"Pid:\t", NUMBER}, {"PPid:\t", NUMBER}, {"TracerPid:\t", "^0$"}, {"Uid:\t", "^" NUMBER "\t" NUMBER "\t" NUMBER "\t" NUMBER "$"},
        {"Gid:\t", "^" NUMBER "\t" NUMBER "\t" NUMBER "\t" NUMBER "$"}, {"FDSize:\t", NUMBER},
        {"Groups:\t", "^([0-9]+ )*([0-9]+)? $|^([0-9]+ )+$"},
        {"NStgid:\t", NUMBER}, {"NSpid:\t", NUMBER}, {"NSpgid:\t", NUMBER}, {"NSsid:\t", NUMBER}, {"VmPeak:\t", KB}, {"VmSize:\t", KB},
        {"VmLck:\t", KB}, {"VmPin:\t", KB}, {"VmHWM:\t", KB}, {"VmRSS:\t", KB}, {"VmSwap:\t", KB}, {"CoreDumping:\t", "^0$"},
        {"THP_enabled:\t", "^[01]$"}, {"Threads:\t", "^1$"},
        {"SigQ:\t", "^" NUMBER "/" NUMBER "$"}, {"SigPnd:\t", HEX16}, {"ShdPnd:\t", HEX16},
        {"SigBlk:\t", HEX16}, {"SigIgn:\t", HEX16}, {"SigCgt:\t", HEX16}, {"CapInh:\t", HEX16}, {"CapPrm:\t", HEX16}, {"CapEff:\t", HEX16},
        {"CapBnd:\t", HEX16}, {"CapAmb:\t", HEX16}, {"NoNewPrivs:\t", "^[01]$"}, {"Seccomp:\t", "^[012]$"}, {"Seccomp_filters:\t", NUMBER},
        {"Cpus_allowed:\t", "^[0-9a-f,]+$"}, {"Cpus_allowed_list:\t", "^[0-9,-]+$"}, {"Mems_allowed:\t", "^[0-9a-f,]+$"},
        {"Mems_allowed_list:\t", "^[0-9,-]+$"},
    };
    for (int i = 0, n = pid_paths(); i < n; i++) IN_ORDER(below(i, "status"), lines);
}

LT_TEST(stat_and_statm) {
    char name[16];
    LT_OK(prctl(PR_SET_NAME, "a) b (c"));
    for (int i = 0, n = pid_paths(); i < n; i++) {
        line_of(below(i, "stat"), "^[0-9]+ \\(a\\) b \\(c\\) R( -?[0-9]+){49}$");
        long pid, parent;
        LT_EQUAL(sscanf(text, "%ld", &pid), 1);
        LT_EQUAL(pid, getpid());
        LT_EQUAL(sscanf(strrchr(text, ')') + 3, "%ld", &parent), 1);
        LT_EQUAL(parent, getppid());
        line_of(below(i, "statm"), "^" NUMBER "( " NUMBER "){6}$");
        line_of(below(i, "comm"), "^a\\) b \\(c$");
    }
    LT_OK(prctl(PR_SET_NAME, "proc"));
    LT_OK(prctl(PR_GET_NAME, name));
}

LT_TEST(maps) {
    struct stat exe;
    char wanted[80];
    int local, heap = 0;
    LT_CHECK(malloc(100) != NULL);
    LT_OK(stat("/proc/self/exe", &exe));
    for (int i = 0, n = pid_paths(); i < n; i++) {
        LT_CHECK(lines_of(below(i, "maps"), "^[0-9a-f]{8,16}-[0-9a-f]{8,16} [r-][w-][x-][ps] [0-9a-f]{8,} "
                                            "[0-9a-f]{2,}:[0-9a-f]{2,} [0-9]+ ( *[^ ].*)?$") > 4);
        (void)take(below(i, "maps"));
        char link[PATH_MAX] = "";
        LT_OK(readlink("/proc/self/exe", link, sizeof link - 1));
        int stack = 0, program = 0;
        for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
            unsigned long from, to;
            const char *name = strlen(line) > 73 ? line + 73 : "";
            LT_EQUAL(sscanf(line, "%lx-%lx", &from, &to), 2);
            if (strcmp(name, "[stack]") == 0) stack += (unsigned long)&local >= from && (unsigned long)&local < to;
            if (strcmp(name, "[heap]") == 0) heap++;
            if (strcmp(name, link) != 0) continue;
            snprintf(wanted, sizeof wanted, " %02x:%02x %lu ", major(exe.st_dev), minor(exe.st_dev), (unsigned long)exe.st_ino);
            if (strstr(line, wanted) == NULL) LT_FAIL("\"%s\" has no \"%s\"", line, wanted);
            program++;
        }
        LT_EQUAL(stack, 1);
        LT_CHECK(program >= 1);
    }
}

LT_TEST(what_it_was_given) {
    for (int i = 0, n = pid_paths(); i < n; i++) {
        size_t size = take(below(i, "cmdline"));
        LT_CHECK(size > 1 && text[size - 1] == 0);
        size = take(below(i, "environ"));
        LT_CHECK(size == 0 || text[size - 1] == 0);
        size = take(below(i, "auxv"));
        LT_CHECK(size >= 32 && size % 16 == 0);
        const unsigned long *pair = (const unsigned long *)text;
        int last = -1;
        for (size_t at = 0; at < size / 16; at++) {
            if (last == AT_NULL) continue;
            last = (int)pair[2 * at];
            if (last != AT_NULL && last != AT_SECURE) LT_EQUAL(pair[2 * at + 1], getauxval(pair[2 * at]));
        }
        LT_EQUAL(last, AT_NULL);
    }
}

LT_TEST(limits) {
    for (int i = 0, n = pid_paths(); i < n; i++) {
        LT_EQUAL(lines_of(below(i, "limits"), "^(Limit {21}Soft Limit {11}Hard Limit {11}Units {5}|Max [a-z ]{22}"
                                              "([0-9]+|unlimited) +([0-9]+|unlimited) +([a-z]+)? *)$"), 17);
        (void)take(below(i, "limits"));
        LT_CHECK(strstr(text, "\nMax open files            ") != NULL);
    }
}

LT_TEST(mounts) {
    for (int i = 0, n = pid_paths(); i < n; i++) {
        LT_CHECK(lines_of(below(i, "mountinfo"), "^[0-9]+ [0-9]+ [0-9]+:[0-9]+ [^ ]+ /[^ ]* r[ow][^ ]*( [a-z]+:[0-9]+)* "
                                                 "- [^ ]+ [^ ]+ r[ow][^ ]*$") > 2);
        LT_CHECK(lines_of(below(i, "mounts"), "^[^ ]+ /[^ ]* [^ ]+ r[ow][^ ]* 0 0$") > 2);
    }
    char link[64] = "";
    LT_OK(readlink("/proc/mounts", link, sizeof link - 1));
    LT_TEXT(link, "self/mounts");
}

// ---- descriptors ---------------------------------------------------------------------------------------------------------------

static void check_descriptor(int fd, const char *flags, const char *position, mode_t mode) {
    struct stat link, file;
    char name[40], pattern[160];
    LT_OK(fstat(fd, &file));
    for (int i = 0, n = pid_paths(); i < n; i++) {
        snprintf(name, sizeof name, "fd/%d", fd);
        LT_OK(lstat(below(i, name), &link));
        LT_EQUAL(link.st_mode, S_IFLNK | mode);
        LT_EQUAL(link.st_size, 64);
        LT_OK(stat(below(i, name), &link));
        LT_CHECK(link.st_ino == file.st_ino && link.st_dev == file.st_dev && link.st_mode == file.st_mode);
        snprintf(name, sizeof name, "fdinfo/%d", fd);
        const struct line lines[] = {{"pos:\t", position}, {"flags:\t", flags}, {"mnt_id:\t", "^" NUMBER "$"}, {"ino:\t", pattern}};
        snprintf(pattern, sizeof pattern, "^%lu$", (unsigned long)file.st_ino);
        IN_ORDER(below(i, name), lines);
        LT_OK(stat(below(i, name), &link));
        LT_CHECK(S_ISREG(link.st_mode));
    }
}

LT_TEST(open_descriptors) {
    int p[2];
    char name[40];
    lt_make("file", "0123456789");
    int fd = (int)LT_OK(open("file", O_RDWR | O_APPEND | O_CLOEXEC));
    LT_OK(lseek(fd, 4, SEEK_SET));
    LT_OK(pipe2(p, O_NONBLOCK));
    check_descriptor(fd, "^02102002$", "^4$", 0700);
    check_descriptor(p[0], "^04000$", "^0$", 0500);
    check_descriptor(p[1], "^04001$", "^0$", 0300);
    for (int i = 0, n = pid_paths(); i < n; i++) {
        snprintf(name, sizeof name, "fdinfo/%d", 200);
        LT_ERRNO(open(below(i, name), O_RDONLY), ENOENT);
        LT_ERRNO(open(below(i, "fd/200"), O_RDONLY), ENOENT);
        LT_ERRNO(readlink(below(i, "fd/200"), name, sizeof name), ENOENT);
    }
}

static int lists(const char *path, const char *name) {
    int found = 0;
    DIR *dir = opendir(path);
    LT_CHECK(dir != NULL);
    for (struct dirent *e; (e = readdir(dir)) != NULL;) found += strcmp(e->d_name, name) == 0;
    closedir(dir);
    return found;
}

LT_TEST(what_is_listed) {
    static const char *const names[] = {"auxv", "cgroup", "cmdline", "comm", "cwd", "environ", "exe", "fd", "fdinfo", "limits", "maps",
                                        "mem", "mountinfo", "mounts", "oom_score", "oom_score_adj", "root", "stat", "statm", "status"};
    struct stat s;
    for (int i = 0, n = pid_paths(); i < n; i++) {
        for (unsigned name = 0; name < sizeof names / sizeof *names; name++) {
            if (lists(thread_paths[i], names[name]) != 1) LT_FAIL("%s is not in %s once", names[name], thread_paths[i]);
            LT_OK(lstat(below(i, names[name]), &s));
        }
        LT_EQUAL(lists(thread_paths[i], "task"), i < 2);
        LT_EQUAL(lists(below(i, "fd"), "0"), 1);
        LT_EQUAL(lists(below(i, "fdinfo"), "0"), 1);
    }
    LT_ERRNO(stat(below(2, "task"), &s), ENOENT);
}

LT_TEST(who_may_read) {
    static const struct {
        const char *name;
        mode_t mode;
    } files[] = {{"auxv", S_IFREG | 0400}, {"cmdline", S_IFREG | 0444}, {"comm", S_IFREG | 0644}, {"cwd", S_IFLNK | 0777},
                 {"environ", S_IFREG | 0400}, {"exe", S_IFLNK | 0777}, {"fd", S_IFDIR | 0500}, {"fdinfo", S_IFDIR | 0555},
                 {"limits", S_IFREG | 0444}, {"maps", S_IFREG | 0444}, {"mem", S_IFREG | 0600}, {"mountinfo", S_IFREG | 0444},
                 {"mounts", S_IFREG | 0444}, {"oom_score", S_IFREG | 0444}, {"oom_score_adj", S_IFREG | 0644}, {"root", S_IFLNK | 0777},
                 {"stat", S_IFREG | 0444}, {"statm", S_IFREG | 0444}, {"status", S_IFREG | 0444}, {"", S_IFDIR | 0555}};
    struct stat s;
    for (int i = 0, n = pid_paths(); i < n; i++)
        for (unsigned f = 0; f < sizeof files / sizeof *files; f++) {
            LT_OK(lstat(below(i, files[f].name), &s));
            if (s.st_mode != files[f].mode) LT_FAIL("%s has mode %o", below(i, files[f].name), s.st_mode);
            LT_CHECK(s.st_uid == geteuid() && s.st_gid == getegid());
            if (S_ISREG(s.st_mode)) LT_EQUAL(s.st_size, 0);
        }
}

// ---- threads --------------------------------------------------------------------------------------------------------------------

static int thread_pipe[2];
static volatile pid_t other_tid;
static void *other_thread(void *unused) {
    char byte;
    prctl(PR_SET_NAME, "another");
    __atomic_store_n(&other_tid, (pid_t)syscall(SYS_gettid), __ATOMIC_RELEASE);
    (void)!read(thread_pipe[0], &byte, 1);
    return unused;
}
LT_TEST(another_thread) {
    pthread_t thread;
    char path[80], name[16];
    LT_OK(pipe(thread_pipe));
    other_tid = 0;
    LT_EQUAL(pthread_create(&thread, NULL, other_thread, NULL), 0);
    while (__atomic_load_n(&other_tid, __ATOMIC_ACQUIRE) == 0) usleep(1000);
    lt_asleep(other_tid);
    snprintf(path, sizeof path, "/proc/self/task/%d/comm", other_tid);
    line_of(path, "^another$");
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", other_tid);
    line_of(path, "^[0-9]+ \\(another\\) S( -?[0-9]+){49}$");
    LT_EQUAL(atoi(text), other_tid);
    snprintf(path, sizeof path, "/proc/self/task/%d/status", other_tid);
    const struct line lines[] = {{"Name:\t", "^another$"}, {"State:\t", "^S \\(sleeping\\)$"}, {"Tgid:\t", NUMBER}, {"Pid:\t", NUMBER},
                                 {"Threads:\t", "^2$"}};
    IN_ORDER(path, lines);
    snprintf(name, sizeof name, "%d", other_tid);
    LT_EQUAL(lists("/proc/self/task", name), 1);
    LT_OK(close(thread_pipe[1]));
    LT_EQUAL(pthread_join(thread, NULL), 0);
    snprintf(path, sizeof path, "/proc/self/task/%d/comm", 0x3fffffff);
    LT_ERRNO(open(path, O_RDONLY), ENOENT);
}

// ---- the machine ---------------------------------------------------------------------------------------------------------------

LT_TEST(memory_and_time) {
    static const struct line lines[] = {{"MemTotal:", KB}, {"MemFree:", KB}, {"MemAvailable:", KB}, {"Buffers:", KB}, {"Cached:", KB},
                                        {"SwapCached:", KB}, {"Active:", KB}, {"Inactive:", KB}, {"SwapTotal:", KB}, {"SwapFree:", KB},
                                        {"Dirty:", KB}, {"Writeback:", KB}, {"Shmem:", KB}, {"Slab:", KB}, {"SReclaimable:", KB},
                                        {"SUnreclaim:", KB}, {"KernelStack:", KB}, {"PageTables:", KB}};
    IN_ORDER("/proc/meminfo", lines);
    (void)lines_of("/proc/meminfo", "^[A-Za-z0-9_()]+: +[0-9]+( kB)?$");
    line_of("/proc/uptime", "^[0-9]+\\.[0-9]{2} [0-9]+\\.[0-9]{2}$");
    line_of("/proc/loadavg", "^([0-9]+\\.[0-9]{2} ){3}[0-9]+/[0-9]+ [0-9]+$");
}

LT_TEST(processors) {
    static const struct line lines[] = {
        {"processor\t: ", "^0$"}, {"vendor_id\t: ", "."}, {"cpu family\t: ", NUMBER}, {"model\t\t: ", NUMBER}, {"model name\t: ", "."},
        {"stepping\t: ", NUMBER}, {"cpu MHz\t\t: ", "^[0-9]+\\.[0-9]{3}$"}, {"physical id\t: ", NUMBER}, {"siblings\t: ", NUMBER},
        {"core id\t\t: ", NUMBER}, {"cpu cores\t: ", NUMBER}, {"apicid\t\t: ", NUMBER}, {"initial apicid\t: ", NUMBER},
        {"fpu\t\t: ", "^yes$"},
        {"fpu_exception\t: ", "^yes$"}, {"cpuid level\t: ", NUMBER}, {"wp\t\t: ", "^yes$"}, {"flags\t\t: ", "fpu.* tsc .* sse2 "},
        {"bogomips\t: ", "^[0-9]+\\.[0-9]{2}$"}, {"clflush size\t: ", "^64$"}, {"cache_alignment\t: ", "^64$"},
        {"address sizes\t: ", "^[0-9]+ bits physical, [0-9]+ bits virtual$"}, {"power management:", "."}};
    struct line all[sizeof lines / sizeof *lines];
    memcpy(all, lines, sizeof lines);
    all[sizeof lines / sizeof *lines - 1].rest = "^.*$";
    lines_in_order("/proc/cpuinfo", all, sizeof all / sizeof *all);
    (void)lines_of("/proc/cpuinfo", "^([a-zA-Z_ ]+\t*:( .*)?)?$");
}

LT_TEST(system_statistics) {
    static const struct line lines[] = {{"cpu  ", "^[0-9]+( [0-9]+){9}$"}, {"cpu0 ", "^[0-9]+( [0-9]+){9}$"},
                                        {"intr ", "^[0-9]+"}, {"ctxt ", NUMBER},
                                        {"btime ", NUMBER}, {"processes ", NUMBER}, {"procs_running ", NUMBER}, {"procs_blocked ", NUMBER},
                                        {"softirq ", "^[0-9]+( [0-9]+){10}$"}};
    IN_ORDER("/proc/stat", lines);
    (void)lines_of("/proc/filesystems", "^(nodev)?\t[a-z0-9_]+$");
}

LT_TEST(names_of_the_system) {
    struct utsname u;
    char wanted[300];
    LT_OK(uname(&u));
    snprintf(wanted, sizeof wanted, "Linux version %s ", u.release);
    size_t size = take("/proc/version");
    LT_CHECK(strncmp(text, wanted, strlen(wanted)) == 0 && text[size - 1] == '\n');
    snprintf(wanted, sizeof wanted, " %s\n", u.version);
    LT_TEXT(text + size - strlen(wanted), wanted);
    const struct {
        const char *path, *value;
    } same[] = {{"ostype", u.sysname}, {"osrelease", u.release}, {"version", u.version}, {"hostname", u.nodename}};
    for (unsigned i = 0; i < 4; i++) {
        char path[64];
        snprintf(path, sizeof path, "/proc/sys/kernel/%s", same[i].path);
        snprintf(wanted, sizeof wanted, "%s\n", same[i].value);
        (void)take(path);
        LT_TEXT(text, wanted);
    }
    line_of("/proc/sys/kernel/domainname", ".");
    line_of("/proc/sys/kernel/random/uuid", "^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$");
}

LT_TEST(numbers_of_the_system) {
    static const struct {
        const char *path;
        mode_t mode;
    } files[] = {{"/proc/sys/fs/nr_open", 0644}, {"/proc/sys/fs/pipe-max-size", 0644}, {"/proc/sys/kernel/cap_last_cap", 0444},
                 {"/proc/sys/kernel/ngroups_max", 0444}, {"/proc/sys/kernel/overflowgid", 0644}, {"/proc/sys/kernel/overflowuid", 0644},
                 {"/proc/sys/kernel/pid_max", 0644}, {"/proc/sys/kernel/random/entropy_avail", 0444},
                 {"/proc/sys/kernel/random/poolsize", 0444}, {"/proc/sys/net/core/somaxconn", 0644},
                 {"/proc/sys/vm/max_map_count", 0644}, {"/proc/sys/vm/overcommit_memory", 0644}};
    struct stat s;
    for (unsigned i = 0; i < sizeof files / sizeof *files; i++) {
        line_of(files[i].path, "^[0-9]+$");
        LT_OK(stat(files[i].path, &s));
        if (s.st_mode != (S_IFREG | files[i].mode)) LT_FAIL("%s has mode %o", files[i].path, s.st_mode);
    }
}

LT_TEST(cpus_in_sys) {
    static const char *const files[] = {"online", "possible", "present", "offline", "isolated", "kernel_max"};
    struct stat s;
    char path[64];
    for (unsigned i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(path, sizeof path, "/sys/devices/system/cpu/%s", files[i]);
        line_of(path, i < 3 ? "^[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*$" : i < 5 ? "^[0-9,-]*$" : "^[0-9]+$");
        LT_OK(stat(path, &s));
        LT_EQUAL(s.st_mode, S_IFREG | 0444);
        LT_EQUAL(s.st_size, 4096);
    }
    LT_OK(stat("/sys/devices/system/cpu", &s));
    LT_EQUAL(s.st_mode, S_IFDIR | 0755);
}

// ---- devices --------------------------------------------------------------------------------------------------------------------

LT_TEST(devices) {
    static const struct {
        const char *name;
        unsigned number[2];
    } nodes[] = {{"null", {1, 3}}, {"zero", {1, 5}}, {"full", {1, 7}}, {"random", {1, 8}}, {"urandom", {1, 9}},
                 {"tty", {5, 0}}, {"ptmx", {5, 2}}};
    static const char *const links[][2] = {{"fd", "/proc/self/fd"}, {"stdin", "/proc/self/fd/0"}, {"stdout", "/proc/self/fd/1"},
                                          {"stderr", "/proc/self/fd/2"}};
    struct stat s, open_one;
    char path[32], to[32];
    for (unsigned i = 0; i < sizeof nodes / sizeof *nodes; i++) {
        snprintf(path, sizeof path, "/dev/%s", nodes[i].name);
        LT_OK(stat(path, &s));
        LT_EQUAL(s.st_mode, S_IFCHR | 0666);
        LT_CHECK(major(s.st_rdev) == nodes[i].number[0] && minor(s.st_rdev) == nodes[i].number[1]);
        LT_EQUAL(lists("/dev", nodes[i].name), 1);
        if (nodes[i].number[0] != 1) continue;
        int fd = (int)LT_OK(open(path, O_RDWR));
        LT_OK(fstat(fd, &open_one));
        LT_CHECK(open_one.st_rdev == s.st_rdev && open_one.st_mode == s.st_mode);
        LT_CHECK(open_one.st_ino == s.st_ino && open_one.st_dev == s.st_dev);
        LT_EQUAL(lseek(fd, 0, SEEK_CUR), 0);
        LT_OK(close(fd));
        LT_ERRNO(open(path, O_RDONLY | O_DIRECTORY), ENOTDIR);
    }
    for (unsigned i = 0; i < 4; i++) {
        snprintf(path, sizeof path, "/dev/%s", links[i][0]);
        ssize_t size = LT_OK(readlink(path, to, sizeof to - 1));
        to[size] = 0;
        LT_TEXT(to, links[i][1]);
    }
    LT_OK(stat("/dev/shm", &s));
    LT_EQUAL(s.st_mode, S_IFDIR | S_ISVTX | 0777);
    LT_OK(stat("/dev/pts", &s));
    LT_EQUAL(s.st_mode, S_IFDIR | 0755);
}

// ---- reading and writing ----------------------------------------------------------------------------------------------------------

static const char *const texts[] = {"/proc/self/status", "/proc/self/limits", "/proc/self/auxv", "/proc/self/cmdline", "/proc/version",
                                    "/proc/sys/kernel/ostype", "/proc/filesystems", "/sys/devices/system/cpu/online"};
#define TEXTS (sizeof texts / sizeof *texts)

// In pieces, from anywhere, it is the same text.
LT_TEST(in_pieces) {
    static char whole[1 << 16];
    for (unsigned i = 2; i < TEXTS; i++) {  // the first two change
        size_t size = take(texts[i]);
        memcpy(whole, text, size);
        int fd = (int)LT_OK(open(texts[i], O_RDONLY));
        for (size_t at = 0; at < size; at++) {
            char byte;
            if (read(fd, &byte, 1) != 1 || byte != whole[at]) LT_FAIL("%s at %zu", texts[i], at);
        }
        char rest[16];
        LT_EQUAL(read(fd, rest, sizeof rest), 0);
        LT_EQUAL(lseek(fd, 2, SEEK_SET), 2);
        ssize_t n = LT_OK(read(fd, rest, 3));
        LT_CHECK(n == (ssize_t)(size - 2 < 3 ? size - 2 : 3) && memcmp(rest, whole + 2, (size_t)n) == 0);
        n = LT_OK(pread(fd, rest, 4, 1));
        LT_CHECK(n == (ssize_t)(size - 1 < 4 ? size - 1 : 4) && memcmp(rest, whole + 1, (size_t)n) == 0);
        LT_EQUAL(pread(fd, rest, 4, (off_t)size + 1000), 0);
        LT_EQUAL(lseek(fd, 0, SEEK_SET), 0);
        LT_EQUAL(read(fd, rest, 1), 1);
        LT_EQUAL(rest[0], whole[0]);
        LT_ERRNO(write(fd, "x", 1), EBADF);
        LT_OK(close(fd));
    }
}

// For whoever is not the super-user.
LT_TEST(what_may_not_be_written) {
    LT_EQUAL(LT_IN_A_CHILD({
                 struct stat s;
                 LT_DEMAND(setresgid(65533, 65533, 65533) == 0 && setresuid(65533, 65533, 65533) == 0);
                 for (unsigned i = 4; i < TEXTS; i++) {
                     LT_DEMAND(stat(texts[i], &s) == 0 && s.st_uid == 0);
                     LT_DEMAND(open(texts[i], O_WRONLY) == -1 && errno == EACCES);
                     LT_DEMAND(open(texts[i], O_RDWR) == -1 && errno == EACCES);
                     LT_DEMAND(open(texts[i], O_RDONLY | O_TRUNC) == -1 && errno == EACCES);
                     LT_DEMAND(open(texts[i], O_RDONLY | O_CREAT | O_EXCL, 0600) == -1 && errno == EEXIST);
                     LT_DEMAND(unlink(texts[i]) == -1);
                 }
                 LT_DEMAND(mkdir("/proc/new", 0700) == -1);
                 LT_DEMAND(open("/proc/new", O_RDWR | O_CREAT, 0600) == -1);
                 LT_DEMAND(open("/proc/nothing", O_RDONLY) == -1 && errno == ENOENT);
                 LT_DEMAND(open("/proc/version/x", O_RDONLY) == -1 && errno == ENOTDIR);
                 LT_DEMAND(open("/proc/self/status", O_RDONLY | O_DIRECTORY) == -1 && errno == ENOTDIR);
                 LT_DEMAND(open("/proc/sys", O_WRONLY) == -1 && errno == EISDIR);
             }),
             0);
}
