// A file system in WebAssembly (docs/fuse.md): init starts one of these for each mount whose tag begins with "wasmfs". It starts the
// driver, which is the artifact lib/kpio/fs/TAG.aot of the boot archive, in a job of its own with its end of the channel and, if it has
// one, a disk; then it watches it. A driver that ends, or that the kernel has given up because it said nothing, is killed, and this
// process ends: init starts the next. What the driver writes to its streams goes to the log.
//
// TAG is this service's name. Its setting, kpio.TAG=WORD,WORD:
//     disk:NAME  rw           the disk that it gets, to be read, or written too
//     stateless               its nodes mean the same after it was started again: what is open goes on
//     memory:SIZE  timeout:S  of its linear memory (256M); how long a request may take (30)
//     argument:TEXT           for it; may stand more than once
#include "abi/gen/errors.h"
#include "lib/fmt.h"
#include "lib/string.h"
#include "lib/text.h"
#include "lib/util.h"
#include "protocols/gen/init.h"
#include "user/libkpio/kpio.h"
#include "user/libkpio/wasm_driver.h"

#define HOST_PAGES (64u << 8)       // of the host besides linear memory: 64 MiB
#define NEVER_AGAIN 0               // exit status: the mount has ended
#define TO_BE_STARTED_AGAIN 1
#define LINE_MAX 256u
#define SAID_MAX 320u
#define IDS_MAX 128u

static struct {
    const char *name;
    char text[512], artifact[64], memory_text[24];
    const char *disk, *arguments[WASM_DRIVER_ARGUMENTS + 1];
    uint64_t memory, timeout;
    bool writes, stateless;
    struct archive archive;
    kpio_handle job, process, channel, output;  // channel: to look at and to wait for only
} d = {.memory = 256u << 20, .timeout = 30};

// Into init's log: its handle on the system, which is there for its disk, is none to write on.
__attribute__((format(printf, 1, 2))) static void say(const char *format, ...) {
    char text[SAID_MAX];
    va_list args;
    va_start(args, format);
    const size_t bytes = fmt_vprint(text, sizeof text, format, args);
    va_end(args);
    service_log(text, MIN(bytes, sizeof text - 1));
}

_Noreturn static void end(int64_t status, const char *what, int64_t error) {
    if (error < 0) say("%s: %s\n", what, error_name(error));
    else say("%s\n", what);
    if (d.job > 0) (void)kpio_job_kill(d.job);
    process_exit(status);
}

// ---- its setting ------------------------------------------------------------------------------------------------------------------

static bool take_word(char *word, uint32_t *count) {
    char *value = strchr(word, ':');
    if (value != NULL) *value++ = 0;
    if (strcmp(word, "rw") == 0) d.writes = true;
    else if (strcmp(word, "stateless") == 0) d.stateless = true;
    else if (value == NULL) return *word == 0;
    else if (strcmp(word, "disk") == 0) d.disk = value;
    else if (strcmp(word, "memory") == 0) return text_to_size(text_of(value), &d.memory) && d.memory > 0;
    else if (strcmp(word, "timeout") == 0) return text_to_u64(text_of(value), &d.timeout) && d.timeout > 0 && d.timeout <= 86400;
    else if (strcmp(word, "argument") == 0 && *count < WASM_DRIVER_ARGUMENTS) d.arguments[(*count)++] = value;
    else return false;
    return true;
}

static void read_setting(void) {
    const char *setting = startup_setting(d.name);
    uint32_t count = 0;
    if (setting == NULL) return;
    if (strlen(setting) >= sizeof d.text) end(NEVER_AGAIN, "its setting is too long", 0);
    memcpy(d.text, setting, strlen(setting) + 1);
    for (char *at = d.text, *next; at != NULL; at = next) {
        next = strchr(at, ',');
        if (next != NULL) *next++ = 0;
        if (!take_word(at, &count)) end(NEVER_AGAIN, "its setting is wrong", 0);
    }
}

// ---- starting ---------------------------------------------------------------------------------------------------------------------

// Of one before, which was killed and could not end its driver.
static void end_left_over(const char *job_name) {
    uint64_t ids[IDS_MAX];
    const kpio_handle root = startup_handle("job");
    int64_t count = kpio_job_list(root, 0, ids, IDS_MAX);
    for (int64_t i = 0; i < count && i < (int64_t)IDS_MAX; i++) {
        struct kpio_job_info info;
        int64_t job = kpio_job_open(root, ids[i], KPIO_RIGHTS_SAME);
        if (job < 0) continue;
        if (kpio_job_info((kpio_handle)job, &info) == 0 && strcmp(info.name, job_name) == 0) (void)kpio_job_kill((kpio_handle)job);
        (void)kpio_handle_close((uint64_t)job);
    }
}

static void make_job(void) {
    char name[32];
    const struct kpio_job_limits limits = {d.memory / 4096 + HOST_PAGES, 512, 64, UINT64_MAX, 1};
    (void)fmt_print(name, sizeof name, "driver of %s", d.name);
    end_left_over(name);
    int64_t job = kpio_job_create(startup_handle("job"), &limits, name, strlen(name));
    if (job < 0) end(TO_BE_STARTED_AGAIN, "a job for the driver", job);
    d.job = (kpio_handle)job;
}

// It holds no right to receive for longer than it must: the kernel would not see that the driver is gone.
static kpio_handle ask_for_channel(void) {
    struct client init = {.endpoint = startup_handle("init")};
    struct init_serve_request request = {.fresh = !d.stateless, .stateless = d.stateless, .timeout = (uint32_t)d.timeout};
    struct init_serve_reply reply;
    (void)text_copy(request.tag, sizeof request.tag, text_of(d.name));
    int64_t error = init_serve(&init, &request, &reply);
    if (error == -ENOENT) end(NEVER_AGAIN, "nothing is to be mounted by this name", 0);
    if (error < 0 || reply.fuse <= 0) end(TO_BE_STARTED_AGAIN, "no mount", error < 0 ? error : -EMFILE);
    return reply.fuse;
}

static kpio_handle open_disk(void) {
    const uint32_t rights = KPIO_RIGHT_READ | KPIO_RIGHT_INSPECT | KPIO_RIGHT_DUPLICATE | KPIO_RIGHT_TRANSFER;
    if (d.disk == NULL) return KPIO_HANDLE_NONE;
    int64_t whole = kpio_disk_open(startup_handle("system"), (const uint8_t *)d.disk, strlen(d.disk));
    int64_t disk = whole < 0 ? whole : kpio_handle_dup((kpio_handle)whole, rights | (d.writes ? KPIO_RIGHT_WRITE : 0));
    if (whole > 0) (void)kpio_handle_close((uint64_t)whole);
    if (disk < 0) end(NEVER_AGAIN, d.disk, disk);
    return (kpio_handle)disk;
}

static void start(void) {
    kpio_handle output;
    const char *what = "a pipe";
    make_job();
    int64_t input = kpio_pipe_create(KPIO_PIPE_STREAM, 0, &output);
    if (input < 0) end(TO_BE_STARTED_AGAIN, what, input);
    const kpio_handle disk = open_disk(), channel = ask_for_channel();
    const struct lx_launch_fd fds[] = {{.number = 1, .handle = output, .kind = LX_KIND_PIPE, .flags = LX_FD_WRITE},
                                       {.number = 2, .handle = output, .kind = LX_KIND_PIPE, .flags = LX_FD_WRITE}};
    const struct wasm_driver driver = {.archive = &d.archive, .artifact = d.artifact, .name = d.name, .memory_limit = d.memory_text,
                                       .arguments = d.arguments, .memory = startup_handle("memory"), .job = d.job, .channel = channel,
                                       .disk = disk, .fds = fds, .fd_count = ARRAY_SIZE(fds)};
    int64_t process = wasm_driver_spawn(&driver, &what);
    int64_t seen = kpio_handle_dup(channel, KPIO_RIGHT_INSPECT | KPIO_RIGHT_WAIT);
    const kpio_handle given[] = {channel, output, disk};
    for (unsigned i = 0; i < ARRAY_SIZE(given); i++)
        if (given[i] > 0) (void)kpio_handle_close((uint64_t)given[i]);
    if (process < 0 || seen < 0) end(process == -ENOENT ? NEVER_AGAIN : TO_BE_STARTED_AGAIN, what, process < 0 ? process : seen);
    d.process = (kpio_handle)process;
    d.channel = (kpio_handle)seen;
    d.output = (kpio_handle)input;
}

// ---- watching ---------------------------------------------------------------------------------------------------------------------

// To the log, a line at a time.
static int64_t pass_on(void *context) {
    char line[LINE_MAX];
    size_t used = 0;
    for (int64_t n; (n = kpio_pipe_read(d.output, (uint8_t *)line + used, LINE_MAX - 1 - used, 0, KPIO_TIME_NEVER)) > 0;) {
        used += (size_t)n;
        line[used] = 0;
        char *at = line;
        for (char *newline; (newline = strchr(at, '\n')) != NULL; at = newline + 1) {
            *newline = 0;
            say("%s\n", at);
        }
        used -= (size_t)(at - line);
        memmove(line, at, used);
        if (used == LINE_MAX - 1) {
            say("%s\n", line);
            used = 0;
        }
    }
    return 0;
}

// Until the driver has ended, or the kernel lost it while it still runs.
static int64_t watch(void *context) {
    struct kpio_wait_item items[] = {{.handle = d.process, .signals = KPIO_SIGNAL_TERMINATED},
                                     {.handle = d.channel, .signals = KPIO_SIGNAL_PEER_GONE}};
    struct kpio_fuse_info info = {0};
    int64_t status = 0, error = kpio_handle_wait_many(items, ARRAY_SIZE(items), KPIO_TIME_NEVER);
    if (error < 0) end(TO_BE_STARTED_AGAIN, "the driver cannot be watched", error);
    (void)kpio_fuse_info(d.channel, &info);
    const bool gone = items[0].asserted & KPIO_SIGNAL_TERMINATED;
    if (!gone) (void)kpio_job_kill(d.job);
    (void)wait_terminated(d.process, KPIO_TIME_NEVER, &status);
    if (info.state == KPIO_FUSE_ENDED) end(NEVER_AGAIN, "its mount has ended", 0);
    say("the driver %s (status 0x%lx)\n", gone ? "ended" : "said nothing for too long, or its end was taken away: it was killed",
          (unsigned long)status);
    end(TO_BE_STARTED_AGAIN, "starting again", 0);
}

static uint64_t dispatch(void *context, uint64_t header, uint64_t badge) { return KPIO_MESSAGE(ENOSYS, 0, 0); }

int main(int argc, char **argv) {
    static struct thread watcher, passer;
    const struct service service = {.dispatch = dispatch};
    d.name = argv[0];
    (void)fmt_print(d.artifact, sizeof d.artifact, "lib/kpio/fs/%s.aot", d.name);
    read_setting();
    (void)fmt_print(d.memory_text, sizeof d.memory_text, "%lu", (unsigned long)d.memory);
    int64_t error = archive_open(&d.archive);
    if (error < 0) end(NEVER_AGAIN, "the boot archive", error);
    start();
    error = thread_spawn(&passer, "output", pass_on, NULL, NULL, 0);
    if (error >= 0) error = thread_spawn(&watcher, "watch", watch, NULL, NULL, 0);
    if (error < 0) end(TO_BE_STARTED_AGAIN, "no thread", error);
    return service_run(&service) == 0 ? 0 : 1;
}
