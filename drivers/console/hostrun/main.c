// Runs one Linux program for the host (./kpio run FILE): the command of the archive's "linux/commands". Its standard streams are pipes
// that end here and go through a port of the host's (streams.h).
#include "drivers/console/hostrun/streams.h"
#include "lib/cpio.h"
#include "lib/fmt.h"
#include "lib/string.h"
#include "lib/util.h"
#include "user/libkpio/heap.h"
#include "user/libkpio/kpio.h"
#include "user/libkpio/linux_session.h"

struct command {  // words of the archive's
    const char **arguments, **environment, *directory, *program;
    bool one_output;      // what it writes to its error output goes with the rest, in the order in which it is written
};

struct far_ends {  // of the streams: the program's
    kpio_handle input, output, error;
};

// Where the host cannot be told, the log is.
static int fail(struct streams *s, const char *what, int64_t error) {
    char line[256];
    size_t bytes = fmt_print(line, sizeof line, "%s: %s", what, error_name(error));
    if (!s->port.is_open || streams_tell(s, FRAME_FAILED, line, (uint32_t)MIN(bytes, sizeof line - 1)) != 0) print("hostrun: %s\n", line);
    return 1;
}

// ---- the command --------------------------------------------------------------------------------------------------------------

// A list of the words of one kind.
static const char **list(const char *words, const char *end, char kind) {
    size_t count = 1;
    for (const char *at = words; at < end; at += strlen(at) + 1) count += *at == kind;
    const char **made = heap_alloc(count * sizeof *made);
    if (made == NULL) return NULL;
    const char **next = made;
    for (const char *at = words; at < end; at += strlen(at) + 1)
        if (*at == kind) *next++ = at + 1;
    *next = NULL;
    return made;
}

static int64_t read_command(const struct archive *archive, struct command *c) {
    struct cpio_entry entry;
    int64_t error = cpio_find(archive->data, archive->size, "linux/commands", &entry);
    if (error != 0) return error;
    if (entry.size == 0 || entry.data[entry.size - 1] != 0) return -EINVAL;
    const char *words = (const char *)entry.data, *end = words + entry.size;
    for (const char *at = words; at < end; at += strlen(at) + 1) {
        if (*at == 'd') c->directory = at + 1;
        if (*at == 'g') c->program = at + 1;
        if (*at == 'o') c->one_output = true;
    }
    c->arguments = list(words, end, 'a');
    c->environment = list(words, end, 'e');
    if (c->arguments == NULL || c->environment == NULL) return -ENOMEM;
    return c->program == NULL || c->directory == NULL ? -EINVAL : 0;
}

static int64_t make_pipes(struct streams *s, struct far_ends *far, bool one_output) {
    int64_t in = kpio_pipe_create(KPIO_PIPE_STREAM, 0, &s->input);
    int64_t out = in < 0 ? in : kpio_pipe_create(KPIO_PIPE_STREAM, 0, &far->output);
    int64_t error = out < 0 || one_output ? out : kpio_pipe_create(KPIO_PIPE_STREAM, 0, &far->error);
    if (error < 0) return error;
    far->input = (kpio_handle)in;
    s->output = (kpio_handle)out;
    s->error = one_output ? KPIO_HANDLE_NONE : (kpio_handle)error;
    if (one_output) far->error = far->output;
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

static int64_t spawn(const struct far_ends *far, const struct archive *archive, const struct command *c, struct linux_session **session,
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
        {.number = 0, .handle = far->input, .kind = LX_KIND_PIPE, .flags = LX_FD_READ},
        {.number = 1, .handle = far->output, .kind = LX_KIND_PIPE, .flags = LX_FD_WRITE},
        {.number = 2, .handle = far->error, .kind = LX_KIND_PIPE, .flags = LX_FD_WRITE},
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
        .system = startup_handle("system"),
        .posixd = linux_session_endpoint(*session),
        .fds = fds,
        .fd_count = ARRAY_SIZE(fds),
        .options = startup_setting("jit") != NULL,
    };
    return linux_spawn(&spec, what);
}

static int64_t start(struct streams *s, struct linux_session **session, const char **what) {
    static struct command command;
    struct archive archive;
    struct far_ends far;
    *what = "the boot archive";
    int64_t result = archive_open(&archive);
    if (result == 0) result = read_command(&archive, &command);
    if (result != 0) return result;
    *what = "its streams";
    result = make_pipes(s, &far, command.one_output);
    if (result != 0) return result;
    result = spawn(&far, &archive, &command, session, what);
    (void)kpio_handle_close((uint64_t)far.input);
    (void)kpio_handle_close((uint64_t)far.output);
    if (!command.one_output) (void)kpio_handle_close((uint64_t)far.error);
    return result;
}

int main(int argc, char **argv) {
    static struct streams streams;
    struct linux_session *session;
    const char *what = "the host's console";
    int64_t result = port_open(&streams.port);
    if (result == 0) result = start(&streams, &session, &what);
    if (result < 0) return fail(&streams, what, result);
    what = "its streams";
    result = streams_follow(&streams, (kpio_handle)result);
    const uint32_t status = (uint32_t)result;
    if (result >= 0) result = streams_tell(&streams, FRAME_STATUS, &status, sizeof status);
    return result < 0 ? fail(&streams, what, result) : 0;
}
