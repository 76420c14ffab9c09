// Runs Linux programs of the boot archive on the console, one after the other: kpio.program=PATH, or FOLDER/ for all files of that
// folder, in the archive's order; kpio.arguments=A,B,C. Without kpio.program: what the archive's "linux/commands" says (below).
// With kpio.tty each is the leader of a session, with posixd, on the console's terminal; kpio.tty=crash kills posixd over and over;
// with kpio.crash=N it ends at one of about N of its steps.
// With kpio.balance it counts what the system holds before and after each program, and says "LINUX balance PATH: nothing is lost", or
// what is. kpio.long and kpio.seed=N are LT_LONG=1 and LT_SEED=N in the programs' environment.
// Everything below "rootfs/" in the archive goes to the root directory first. The programs of tests/linux print the KTEST lines
// (tests/linux/lt.h); what this prints is "LINUX begin PATH" and "LINUX end PATH STATUS" around each.
//
// "linux/commands" is a row of terminated strings, each with what it is as its first byte: e an environment entry, a an argument
// (the first is the program's name), g PATH: run it with these; d the working directory of all commands that follow.
#include "lib/cpio.h"
#include "lib/fmt.h"
#include "lib/string.h"
#include "protocols/gen/posix.h"
#include "tests/guest/kt/balance.h"
#include "tests/guest/kt/kt.h"
#include "tests/linux/runner/node.h"
#include "user/libkpio/kpio.h"
#include "user/libkpio/linux_session.h"

#define WORDS_MAX 64u

static int fail(const char *what, int64_t error) {
    print("KTEST fail linux: %s: %s\n", what, error_name(error));
    return 1;
}

static void split(char *text, const char *arguments[WORDS_MAX + 1]) {
    unsigned count = 1;
    for (char *at = text; at != NULL && *at != 0 && count < WORDS_MAX;) {
        arguments[count++] = at;
        at = strchr(at, ',');
        if (at != NULL) *at++ = 0;
    }
    arguments[count] = NULL;
}

struct run {
    const struct archive *archive;
    kpio_handle root, memory_fs, cwd, job;
    struct linux_session *session;       // kpio.tty
    const char *arguments[WORDS_MAX + 1], *environment[WORDS_MAX + 1];
    struct lx_launch_fd nodes[SERVED_COUNT];
};

static int64_t prepare(struct run *r, const char **what) {
    *what = "root= on the command line";
    r->root = startup_handle("root");
    if (r->root == KPIO_HANDLE_NONE) return -EINVAL;
    *what = "unpacking rootfs/";
    int64_t result = linux_unpack(r->archive, "rootfs", r->root);
    if (result == 0) result = kpio_path_make(r->root, "tmp", 0041777, 0, 0);
    if (result < 0 && result != -EEXIST) return result;
    *what = "a file system in memory";
    result = kpio_fs_mount("tmpfs", 0, 0, NULL);
    if (result < 0) return result;
    r->memory_fs = (kpio_handle)result;
    return 0;
}

#define CRASH_MS 60u                     // longer than a posixd that is given up lives

static struct thread crashing;
static uint32_t crashes_end;             // atomic

// posixd has answered when this returns: what it makes at its start is there.
static void await_posixd(const struct linux_session *session) {
    struct client client = {.endpoint = linux_session_endpoint(session), .timeout_ns = 60000000000ull};
    const struct posix_ids_request request = {.target = UINT32_MAX};
    struct posix_ids_reply reply;
    while (posix_ids(&client, &request, &reply) == -EPIPE) continue;
}

// Three of four have served for a while, whatever time it took them to start; the fourth may be killed while it starts.
static int64_t crash(void *arg) {
    const struct linux_session *session = arg;
    unsigned crashes = 0;
    for (uint64_t random = time_now(); !__atomic_load_n(&crashes_end, __ATOMIC_ACQUIRE); crashes++) {
        random = random * 6364136223846793005ull + 1442695040888963407ull;
        if (crashes % 4 != 0) await_posixd(session);
        time_sleep_ms((crashes % 4 != 0 ? CRASH_MS : 0) + (random >> 33) % CRASH_MS);
        (void)kpio_process_kill(linux_session_posixd(session), 0);
    }
    return crashes;
}

static void end_session(const struct run *r) {
    int64_t crashes = 0;
    __atomic_store_n(&crashes_end, 1, __ATOMIC_RELEASE);
    if (crashing.handle > 0 && thread_join(&crashing, &crashes) == 0) print("LINUX posixd was killed %lu times\n", (unsigned long)crashes);
    linux_session_end(r->session);
}

static int64_t start_session(struct run *r, const char **what) {
    const struct kpio_job_limits none = {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX};
    *what = "a job";
    r->job = startup_handle("job");
    if (startup_setting("tty") == NULL) return 0;
    int64_t result = kpio_job_create(r->job, &none, "session", 7);
    if (result < 0) return result;
    r->job = (kpio_handle)result;
    const struct linux_session_spec spec = {
        .archive = r->archive, .job = r->job, .console = startup_handle("system"), .crash = startup_setting("crash")};
    r->session = linux_session_start(&spec, &result, what);
    if (result == 0 && strcmp(startup_setting("tty"), "crash") == 0) result = thread_spawn(&crashing, "crash", crash, r->session, NULL, 0);
    return result;
}

// Whether a program is to have the runner's own node.
static bool is_served(const char *path) { return strcmp(path, "/t/served_node") == 0; }

static int64_t spawn(const struct run *r, const char *path, const char **what) {
    const kpio_handle console = startup_handle("system");
    struct lx_launch_fd fds[3 + SERVED_COUNT] = {{.handle = console, .kind = LX_KIND_CONSOLE, .flags = LX_FD_READ | LX_FD_WRITE}};
    *what = "the terminal";
    int64_t error = r->session != NULL ? linux_session_console(r->session, &fds[0]) : 0;
    if (error < 0) return error;
    for (int i = 1; i < 3; i++) {
        fds[i] = fds[0];
        fds[i].number = i;
    }
    if (is_served(path)) memcpy(&fds[3], r->nodes, sizeof r->nodes);
    const struct linux_spec spec = {
        .path = path,
        .arguments = r->arguments,
        .environment = r->environment,
        .job = r->job,
        .archive = r->archive,
        .root = r->root,
        .cwd = r->cwd,
        .memory_fs = r->memory_fs,
        .system = console,
        .posixd = r->session != NULL ? linux_session_endpoint(r->session) : KPIO_HANDLE_NONE,
        .fds = fds,
        .fd_count = is_served(path) ? 3 + SERVED_COUNT : 3,
        .options = startup_setting("jit") != NULL,
    };
    int64_t process = linux_spawn(&spec, what);
    if (r->session != NULL) {
        (void)kpio_handle_close((uint64_t)fds[0].handle);
        (void)kpio_handle_close((uint64_t)fds[0].second);
    }
    return process;
}

// Whether the system holds what it held before, once what has ended is gone.
static bool balanced(const struct kt_balance *before, const char *path) {
    char reason[200];
    struct kt_balance after;
    bool equal = false;
    for (const uint64_t until = time_after_ms(KT_HANG_MS); !equal && time_now() < until;) {
        kt_balance_take(&after);
        equal = kt_balance_equal(before, &after, reason, sizeof reason);
        if (!equal) time_sleep_ms(20);
    }
    print("LINUX balance %s: %s\n", path, equal ? "nothing is lost" : reason);
    return equal;
}

// Whether it ended with status 0, and nothing was lost.
static bool run(struct run *r, const char *path) {
    const char *what = "";
    int64_t status = 0;
    struct kt_balance before;
    const bool counts = startup_setting("balance") != NULL;
    if (is_served(path) && r->nodes[0].kind == LX_KIND_NONE) status = node_start(r->nodes);
    if (status < 0) return fail("its nodes", status), false;
    if (counts) kt_balance_take(&before);
    if (r->arguments[0] == NULL) r->arguments[0] = path;
    print("LINUX begin %s\n", path);
    int64_t process = spawn(r, path, &what);
    if (process < 0) return fail(what, process), false;
    int64_t result = wait_terminated((kpio_handle)process, KPIO_TIME_NEVER, &status);
    (void)kpio_handle_close((uint64_t)process);
    if (result < 0) return fail("waiting for it", result), false;
    print("LINUX end %s 0x%lx\n", path, (unsigned long)status);
    return (!counts || balanced(&before, path)) && status == 0;
}

// All that the archive has in a folder of the root.
static bool run_all(struct run *r, const char *folder) {
    char prefix[256], path[256];
    size_t position = 0, length = fmt_print(prefix, sizeof prefix, "rootfs%s", folder);
    struct cpio_entry entry;
    bool good = true;
    while (cpio_next(r->archive->data, r->archive->size, &position, &entry, NULL) == 1) {
        if (!cpio_is_file(&entry) || strncmp(entry.name, prefix, length) != 0) continue;
        fmt_print(path, sizeof path, "%s", entry.name + strlen("rootfs"));
        r->arguments[0] = path;
        good = run(r, path) && good;
    }
    return good;
}

// ---- linux/commands ---------------------------------------------------------------------------------------------------------

static int64_t enter(struct run *r, const char *path) {
    int64_t opened = kpio_path_open(r->root, path, KPIO_OPEN_DIRECTORY, 0, KPIO_RIGHTS_SAME);
    if (opened < 0) return opened;
    if (r->cwd > 0) (void)kpio_handle_close((uint64_t)r->cwd);
    r->cwd = (kpio_handle)(uint32_t)opened;
    return 0;
}

static int64_t add(const char **words, const char *word) {
    unsigned count = 0;
    while (words[count] != NULL) count++;
    if (count == WORDS_MAX) return -E2BIG;
    words[count] = word;
    words[count + 1] = NULL;
    return 0;
}

// Whether all that could be run ended with status 0.
static bool run_commands(struct run *r, const char *at, const char *end) {
    bool good = true;
    r->environment[0] = NULL;
    for (; at < end; at += strlen(at) + 1) {
        int64_t error = 0;
        if (*at == 'a') error = add(r->arguments, at + 1);
        else if (*at == 'e') error = add(r->environment, at + 1);
        else if (*at == 'd') error = enter(r, at + 1);
        else if (*at == 'g') {
            good = run(r, at + 1) && good;
            r->arguments[0] = r->environment[0] = NULL;
        } else error = -EINVAL;
        if (error < 0) return fail(at, error), false;
    }
    return good;
}

static bool run_setting(struct run *r, const char *path) {
    static char text[512];
    const char *list = startup_setting("arguments");
    if (list != NULL) memcpy(text, list, strnlen(list, sizeof text - 1));
    split(text, r->arguments);
    return path[strlen(path) - 1] == '/' ? run_all(r, path) : run(r, path);
}

static void set_environment(struct run *r) {
    static char seed[40];
    r->environment[0] = "PATH=/usr/bin:/bin";
    r->environment[1] = "HOME=/root";
    r->environment[2] = "TERM=dumb";
    unsigned count = 3;
    if (startup_setting("long") != NULL) r->environment[count++] = "LT_LONG=1";
    if (startup_setting("seed") == NULL) return;
    fmt_print(seed, sizeof seed, "LT_SEED=%s", startup_setting("seed"));
    r->environment[count] = seed;
}

int main(int argc, char **argv) {
    struct archive archive;
    struct cpio_entry commands;
    struct run r = {.archive = &archive};
    const char *path = startup_setting("program"), *what = "";
    int64_t error = archive_open(&archive);
    if (error != 0) return fail("the boot archive", error);
    bool listed = cpio_find(archive.data, archive.size, "linux/commands", &commands) == 0;
    if (listed && (commands.size == 0 || commands.data[commands.size - 1] != 0)) return fail("linux/commands", -EINVAL);
    if (!listed && (path == NULL || *path == 0)) return fail("neither kpio.program= nor linux/commands", -EINVAL);
    set_environment(&r);
    const bool counts = startup_setting("balance") != NULL;
    if (counts) kt_balance_warm_up();
    error = prepare(&r, &what);
    if (error == 0) error = start_session(&r, &what);
    if (error == 0 && counts && r.session != NULL) await_posixd(r.session);
    if (error < 0) return fail(what, error);
    const char *text = (const char *)commands.data;
    bool good = listed ? run_commands(&r, text, text + commands.size) : run_setting(&r, path);
    if (r.session != NULL) end_session(&r);
    return !good;
}
