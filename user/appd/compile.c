#include "user/appd/compile.h"

#include "lib/fmt.h"
#include "lib/string.h"
#include "lib/util.h"
#include "user/appd/engine.h"
#include "user/libkpio/kpio.h"
#include "user/libkpio/linux.h"

#define COMPILE_MS 1800000u   // a module of tens of MB takes minutes; this is for a compiler that never ends
#define ENDED_MS 120000u      // for what is left of its job
#define SAID_MAX 400u

struct compiling {
    kpio_handle job, process, said, say;
    char *text;
    uint64_t deadline;
};

static void close_if(kpio_handle handle) {
    if (handle > 0) (void)kpio_handle_close((uint64_t)handle);
}

static int64_t fail(struct compiling *c, int64_t error, const char *what) {
    (void)fmt_print(c->text, COMPILE_TEXT_MAX, "the compiler: %s: %s", what, error_name(error));
    return error;
}

static int64_t start(struct compiling *c, const char *cpu, kpio_handle program, kpio_handle module, kpio_handle artifact) {
    const struct kpio_job_limits limits = {UINT64_MAX, 1024, 128, UINT64_MAX, 1};
    int64_t result = kpio_job_create(startup_handle("job"), &limits, "wasmc", 5);
    if (result < 0) return fail(c, result, "its job");
    c->job = (kpio_handle)result;
    result = kpio_pipe_create(KPIO_PIPE_STREAM, 0, &c->say);
    if (result < 0) return fail(c, result, "a pipe");
    c->said = (kpio_handle)result;
    const struct lx_launch_fd fds[] = {{.number = 0, .handle = module, .kind = LX_KIND_FILE, .flags = LX_FD_READ},
                                       {.number = 1, .handle = artifact, .kind = LX_KIND_FILE, .flags = LX_FD_WRITE},
                                       {.number = 2, .handle = c->say, .kind = LX_KIND_PIPE, .flags = LX_FD_WRITE}};
    const char *const arguments[] = {"wasmc", "--cpu", cpu, "-", "-", NULL};
    const struct linux_spec spec = {.path = "/wasmc",
                                    .program = program,
                                    .arguments = arguments,
                                    .job = c->job,
                                    .archive = engine_archive(),
                                    .root = engine_empty_root(),
                                    .fds = fds,
                                    .fd_count = ARRAY_SIZE(fds)};
    const char *what = "";
    result = linux_spawn(&spec, &what);
    if (result < 0) return fail(c, result, what);
    c->process = (kpio_handle)result;
    close_if(c->say);
    c->say = KPIO_HANDLE_NONE;
    return 0;
}

// What it says goes into the text until it ends; more than fits is dropped.
static int64_t listen(struct compiling *c) {
    uint8_t bytes[SAID_MAX];
    size_t used = 0;
    int64_t got;
    while ((got = kpio_pipe_read(c->said, bytes, sizeof bytes, 0, c->deadline)) > 0) {
        size_t taken = MIN((size_t)got, SAID_MAX - used);
        memcpy(c->text + used, bytes, taken);
        used += taken;
    }
    while (used > 0 && c->text[used - 1] == '\n') used--;
    c->text[used] = 0;
    return got;
}

static int64_t judge(struct compiling *c) {
    int64_t status = 0, result = listen(c);
    if (result == 0) result = wait_terminated(c->process, c->deadline, &status);
    if (result < 0) (void)kpio_job_kill(c->job);
    // Until all of it is gone it may still hold the artifact.
    int64_t gone = wait_terminated(c->job, time_after_ms(ENDED_MS), NULL);
    if (result < 0) return fail(c, result, "it did not end");
    if (gone < 0) return fail(c, gone, "its job did not end");
    if (status == 0) return 0;
    if (c->text[0] == 0) (void)fmt_print(c->text, COMPILE_TEXT_MAX, "the compiler ended with status %#lx", (unsigned long)status);
    return -EINVAL;
}

int64_t compile_module(const char *cpu, kpio_handle module, kpio_handle artifact, char text[COMPILE_TEXT_MAX]) {
    struct compiling c = {.text = text, .deadline = time_after_ms(COMPILE_MS)};
    text[0] = 0;
    int64_t program = engine_program(ENGINE_COMPILER);
    if (program < 0) return fail(&c, program, "it is not in the boot archive");
    int64_t result = start(&c, cpu, (kpio_handle)program, module, artifact);
    if (result == 0) result = judge(&c);
    close_if(c.process);
    close_if(c.said);
    close_if(c.say);
    close_if(c.job);
    return result;
}
