// Runs a Linux program on the console as the leader of a session, waits for it, and ends with its status.
//
// Arguments: the program's path and its arguments. Without any, the settings program=PATH and arguments=A,B,C.
// What the boot archive has below "rootfs/" goes to the root directory first.
//
// Settings: environment=KEY=VALUE,KEY=VALUE  directory=PATH  jit  for programs that make code
//           window=ROWSxCOLUMNS  for who talks to a person's terminal (user/libkpio/terminal.h).
#include "lib/fmt.h"
#include "lib/string.h"
#include "lib/util.h"
#include "user/libkpio/kpio.h"
#include "user/libkpio/linux_session.h"
#include "user/libkpio/terminal.h"

#define WORDS_MAX 64u

struct words {
    char text[2048];
    const char *list[WORDS_MAX + 1];
    uint32_t count;
};

struct launch {
    struct archive archive;
    struct words arguments, environment;
    kpio_handle job, root, cwd, memory_fs;
    struct linux_session *session;
};

static int fail(const char *what, int64_t error) {
    print("linux: %s: %s\n", what, error_name(error));
    return 125;
}

static bool add(struct words *w, const char *word) {
    if (w->count == WORDS_MAX) return false;
    w->list[w->count++] = word;
    return true;
}

// Pieces between commas.
static bool split(struct words *w, const char *text) {
    if (text == NULL || *text == 0) return true;
    if (strlen(text) >= sizeof w->text) return false;
    memcpy(w->text, text, strlen(text) + 1);
    for (char *at = w->text; at != NULL;) {
        if (!add(w, at)) return false;
        at = strchr(at, ',');
        if (at != NULL) *at++ = 0;
    }
    return true;
}

static bool read_words(struct launch *l, int argc, char **argv) {
    static const char *const usual[] = {"PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME=/root", "TERM=linux"};
    bool good = true;
    for (int i = 1; i < argc; i++) good = add(&l->arguments, argv[i]) && good;
    if (argc < 2 && startup_setting("program") != NULL) {
        good = add(&l->arguments, startup_setting("program")) && good;
        good = split(&l->arguments, startup_setting("arguments")) && good;
    }
    if (startup_setting("environment") != NULL) return split(&l->environment, startup_setting("environment")) && good;
    for (unsigned i = 0; i < ARRAY_SIZE(usual); i++) good = add(&l->environment, usual[i]) && good;
    return good;
}

static int64_t prepare(struct launch *l, const char **what) {
    const struct kpio_job_limits none = {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX};
    const char *directory = startup_setting("directory");
    *what = "the boot archive";
    int64_t result = archive_open(&l->archive);
    if (result < 0) return result;
    *what = "its job";
    result = kpio_job_create(startup_handle("job"), &none, "linux", 5);
    if (result < 0) return result;
    l->job = (kpio_handle)result;
    *what = "the root directory";
    l->root = startup_handle("root");
    if (l->root <= 0) return -ENODEV;
    *what = "unpacking rootfs/";
    result = linux_unpack(&l->archive, "rootfs", l->root);
    if (result < 0) return result;
    *what = "its directory";
    if (directory != NULL) result = directory_open(l->root, directory);
    if (result < 0) return result;
    if (directory != NULL) l->cwd = (kpio_handle)result;
    *what = "a file system in memory";
    result = kpio_fs_mount("tmpfs", 0, 0, NULL);
    if (result < 0) return result;
    l->memory_fs = (kpio_handle)result;
    const struct linux_session_spec spec = {
        .archive = &l->archive, .job = l->job, .console = startup_handle("system"), .window = startup_setting("window")};
    l->session = linux_session_start(&spec, &result, what);
    return result;
}

static int64_t start(struct launch *l, const char **what) {
    struct lx_launch_fd fds[3];
    *what = "the console";
    int64_t error = linux_session_console(l->session, &fds[0]);
    if (error < 0) return error;
    for (int i = 1; i < 3; i++) {
        fds[i] = fds[0];
        fds[i].number = i;
    }
    const struct linux_spec spec = {
        .path = l->arguments.list[0],
        .arguments = l->arguments.list,
        .environment = l->environment.list,
        .job = l->job,
        .archive = &l->archive,
        .root = l->root,
        .cwd = l->cwd,
        .memory_fs = l->memory_fs,
        .posixd = linux_session_endpoint(l->session),
        .system = startup_handle("system"),
        .fds = fds,
        .fd_count = 3,
        .options = startup_setting("jit") != NULL,
    };
    int64_t process = linux_spawn(&spec, what);
    (void)kpio_handle_close((uint64_t)fds[0].handle);
    (void)kpio_handle_close((uint64_t)fds[0].second);
    return process;
}

// As a shell tells it.
static int exit_code(int64_t status) {
    if (status < 0 || status > 0xffff) return status <= KPIO_STATUS_FAULT ? 128 + 11 : 128 + 9;
    return (status & 0x7f) != 0 ? 128 + (int)(status & 0x7f) : (int)(status >> 8);
}

// To the other side of the line, which hears nothing else of the end.
static void tell(char what, const char *more) {
    char frame[8];
    if (startup_setting("window") == NULL) return;
    const size_t bytes = fmt_print(frame, sizeof frame, "%c%c%s", TERMINAL_ESCAPE, what, more);
    (void)kpio_console_emit(startup_handle("system"), (const uint8_t *)frame, bytes);
}

static int tell_end(int code) {
    char digits[4];
    (void)fmt_print(digits, sizeof digits, "%02x", (unsigned)code & 0xff);
    tell(TERMINAL_END, digits);
    return code;
}

int main(int argc, char **argv) {
    static struct launch l;
    const char *what = "";
    int64_t status = 0;
    if (!read_words(&l, argc, argv) || l.arguments.count == 0) return fail("a program is missing, or there are too many words", -EINVAL);
    int64_t result = prepare(&l, &what);
    if (result < 0) return fail(what, result);
    tell(TERMINAL_BEGIN, "");
    int64_t process = start(&l, &what);
    result = process < 0 ? process : wait_terminated((kpio_handle)process, KPIO_TIME_NEVER, &status);
    if (result < 0) (void)fail(what, result);
    else if (startup_setting("window") == NULL) print("linux: %s ended with 0x%lx\n", l.arguments.list[0], (unsigned long)status);
    linux_session_end(l.session);
    return tell_end(result < 0 ? 125 : exit_code(status));
}
