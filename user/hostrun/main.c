// Runs one Linux program for the host (./kpio run FILE): the command of the archive's "linux/commands", whose standard streams are
// pipes that end here and go over the boot console, a line each, in hexadecimal:
//
//     KRUN 1 HEX   what it wrote to its output    KRUN r       wants input: the host answers with a line of HEX, an empty one at the end
//     KRUN 2 HEX   ... to its error output        KRUN x HEX   its wait status
//     KRUN e TEXT  it could not be started
//
// The host answers only when it is asked, and with at most INPUT_MAX bytes: what the console has not taken yet waits on the host's side.
#include "lib/cpio.h"
#include "lib/fmt.h"
#include "lib/string.h"
#include "lib/util.h"
#include "user/libkpio/kpio.h"
#include "user/libkpio/linux_session.h"

#define WORDS_MAX 512u
#define OUTPUT_MAX 240u
#define LINE_MAX (16 + 2 * OUTPUT_MAX)
_Static_assert(LINE_MAX <= 512, "the console writes a line as a whole: the system and the other thread write too");
#define INPUT_MAX 2048u

struct command {
    const char *arguments[WORDS_MAX + 1], *environment[WORDS_MAX + 1], *directory, *program;
};

struct streams {
    kpio_handle console, input, output, error;         // this side's ends
    kpio_handle child_input, child_output, child_error;
};

static void say(const struct streams *s, const char *text, size_t size) {
    (void)kpio_console_write(s->console, (const uint8_t *)text, size);
}

static int fail(const struct streams *s, const char *what, int64_t error) {
    char line[256];
    size_t bytes = fmt_print(line, sizeof line, "KRUN e %s: %s\n", what, error_name(error));
    say(s, line, MIN(bytes, sizeof line - 1));
    return 1;
}

// ---- the command --------------------------------------------------------------------------------------------------------------

static bool add(const char **words, const char *word) {
    unsigned count = 0;
    while (words[count] != NULL) count++;
    if (count < WORDS_MAX) words[count] = word;
    return count < WORDS_MAX;
}

static int64_t read_command(const struct archive *archive, struct command *c) {
    struct cpio_entry entry;
    int64_t error = cpio_find(archive->data, archive->size, "linux/commands", &entry);
    if (error != 0) return error;
    if (entry.size == 0 || entry.data[entry.size - 1] != 0) return -EINVAL;
    const char *end = (const char *)entry.data + entry.size;
    for (const char *at = (const char *)entry.data; at < end; at += strlen(at) + 1) {
        bool good = true;
        if (*at == 'a') good = add(c->arguments, at + 1);
        else if (*at == 'e') good = add(c->environment, at + 1);
        else if (*at == 'd') c->directory = at + 1;
        else c->program = at + 1;
        if (!good) return -E2BIG;
    }
    return c->program == NULL ? -EINVAL : 0;
}

static int64_t make_streams(struct streams *s) {
    s->console = startup_handle("system");
    int64_t in = kpio_pipe_create(KPIO_PIPE_STREAM, 0, &s->input);
    int64_t out = in < 0 ? in : kpio_pipe_create(KPIO_PIPE_STREAM, 0, &s->child_output);
    int64_t error = out < 0 ? out : kpio_pipe_create(KPIO_PIPE_STREAM, 0, &s->child_error);
    if (error < 0) return error;
    s->child_input = (kpio_handle)in;
    s->output = (kpio_handle)out;
    s->error = (kpio_handle)error;
    return 0;
}

// A job for the program and all that it starts, and their posixd.
static struct linux_session *start_session(const struct archive *archive, kpio_handle *job, int64_t *error, const char **what) {
    const struct kpio_job_limits none = {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX};
    *what = "a job";
    *error = kpio_job_create(startup_handle("job"), &none, "session", 7);
    if (*error < 0) return NULL;
    *job = (kpio_handle)*error;
    const struct linux_session_spec spec = {.archive = archive, .job = *job};
    return linux_session_start(&spec, error, what);
}

static int64_t spawn(const struct streams *s, const struct archive *archive, const struct command *c, struct linux_session **session,
                     const char **what) {
    const kpio_handle root = startup_handle("root");
    *what = "the root file system";
    int64_t result = root == KPIO_HANDLE_NONE ? -ENODEV : linux_unpack(archive, "rootfs", root);
    if (result == 0) result = kpio_path_make(root, "tmp", 0041777, 0, 0);
    if (result < 0 && result != -EEXIST) return result;
    *what = "a file system in memory";
    int64_t memory = kpio_fs_mount("tmpfs", 0, 0, NULL);
    if (memory < 0) return memory;
    *what = "its working directory";
    int64_t cwd = kpio_path_open(root, c->directory, KPIO_OPEN_DIRECTORY, 0, KPIO_RIGHTS_SAME);
    if (cwd < 0) return cwd;
    kpio_handle job;
    int64_t error;
    *session = start_session(archive, &job, &error, what);
    if (*session == NULL) return error;
    const struct lx_launch_fd fds[] = {
        {.number = 0, .handle = s->child_input, .kind = LX_KIND_PIPE, .flags = LX_FD_READ},
        {.number = 1, .handle = s->child_output, .kind = LX_KIND_PIPE, .flags = LX_FD_WRITE},
        {.number = 2, .handle = s->child_error, .kind = LX_KIND_PIPE, .flags = LX_FD_WRITE},
    };
    const struct linux_spec spec = {
        .path = c->program,
        .arguments = c->arguments,
        .environment = c->environment,
        .job = job,
        .archive = archive,
        .root = root,
        .cwd = (kpio_handle)(uint32_t)cwd,
        .memory_fs = (kpio_handle)memory,
        .system = s->console,
        .posixd = linux_session_endpoint(*session),
        .fds = fds,
        .fd_count = ARRAY_SIZE(fds),
        .options = startup_setting("jit") != NULL,
    };
    return linux_spawn(&spec, what);
}

// ---- streams ------------------------------------------------------------------------------------------------------------------

static const char digits[] = "0123456789abcdef";

// What a pipe has now, as one line: bytes, 0 at its end, -EAGAIN.
static int64_t forward(const struct streams *s, kpio_handle pipe, char number) {
    uint8_t bytes[OUTPUT_MAX];
    char line[LINE_MAX];
    int64_t got = kpio_pipe_read(pipe, bytes, sizeof bytes, KPIO_PIPE_NOWAIT, 0);
    if (got <= 0) return got;
    size_t used = fmt_print(line, sizeof line, "KRUN %c ", number);
    for (int64_t i = 0; i < got; i++) {
        line[used++] = digits[bytes[i] >> 4];
        line[used++] = digits[bytes[i] & 15];
    }
    line[used++] = '\n';
    say(s, line, used);
    return got;
}

static int value_of(char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1; }

// The host's answer, decoded: how many bytes; 0 is the end. Of one thread only.
static size_t read_answer(const struct streams *s, uint8_t bytes[INPUT_MAX]) {
    static char line[2 * INPUT_MAX + 2];
    size_t used = 0, count = 0;
    while (used == 0 || line[used - 1] != '\n') {
        if (used == sizeof line) return 0;
        int64_t got = kpio_console_read(s->console, (uint8_t *)line + used, sizeof line - used, KPIO_TIME_NEVER);
        if (got <= 0) return 0;
        used += (size_t)got;
    }
    for (; 2 * count + 1 < used && count < INPUT_MAX; count++) {
        int high = value_of(line[2 * count]), low = value_of(line[2 * count + 1]);
        if (high < 0 || low < 0) break;
        bytes[count] = (uint8_t)(high << 4 | low);
    }
    return count;
}

static int64_t feed(void *context) {
    const struct streams *s = context;
    static uint8_t bytes[INPUT_MAX];
    size_t count;
    do {
        say(s, "KRUN r\n", 7);
        count = read_answer(s, bytes);
    } while (count > 0 && kpio_pipe_write(s->input, bytes, count, 0, KPIO_TIME_NEVER) >= 0);
    (void)kpio_handle_close((uint64_t)s->input);
    return 0;
}

static void drain(const struct streams *s) {
    while (forward(s, s->output, '1') > 0) {}
    while (forward(s, s->error, '2') > 0) {}
}

// Until the process has ended: what it leaves behind it is not waited for.
static int64_t follow(const struct streams *s, kpio_handle process, int64_t *status) {
    const uint32_t readable = KPIO_SIGNAL_READABLE | KPIO_SIGNAL_PEER_GONE;
    bool open[2] = {true, true};
    for (;;) {
        struct kpio_wait_item items[3] = {{.handle = process, .signals = KPIO_SIGNAL_TERMINATED}};
        uint64_t count = 1;
        if (open[0]) items[count++] = (struct kpio_wait_item){.handle = s->output, .signals = readable};
        if (open[1]) items[count++] = (struct kpio_wait_item){.handle = s->error, .signals = readable};
        int64_t result = kpio_handle_wait_many(items, count, KPIO_TIME_NEVER);
        if (result < 0) return result;
        if (open[0] && forward(s, s->output, '1') == 0) open[0] = false;
        if (open[1] && forward(s, s->error, '2') == 0) open[1] = false;
        if (items[0].asserted & KPIO_SIGNAL_TERMINATED) break;
    }
    drain(s);
    return wait_terminated(process, KPIO_TIME_NEVER, status);
}

int main(int argc, char **argv) {
    static struct command command;
    static struct streams streams;
    static struct thread feeder;
    struct archive archive;
    const char *what = "the boot archive";
    int64_t status = 0, error = make_streams(&streams);
    if (error == 0) error = archive_open(&archive);
    if (error == 0) error = read_command(&archive, &command);
    if (error != 0) return fail(&streams, what, error);
    struct linux_session *session;
    int64_t process = spawn(&streams, &archive, &command, &session, &what);
    if (process < 0) return fail(&streams, what, process);
    (void)kpio_handle_close((uint64_t)streams.child_input);
    (void)kpio_handle_close((uint64_t)streams.child_output);
    (void)kpio_handle_close((uint64_t)streams.child_error);
    error = thread_spawn(&feeder, "feeder", feed, &streams, NULL, 0);
    if (error >= 0) error = follow(&streams, (kpio_handle)process, &status);
    if (error < 0) return fail(&streams, "its streams", error);
    char line[32];
    size_t bytes = fmt_print(line, sizeof line, "KRUN x %lx\n", (unsigned long)status & 0xffff);
    say(&streams, line, bytes);
    return 0;
}
