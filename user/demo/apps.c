// Apps: WebAssembly programs that appd keeps and runs, in the three ways that there are. Only with kpio.apps=1, which says that the boot
// archive has the engine, and system apps `hello` and `js`; the root is a disk with /demo, where the module `primes` and a script are.
#include "lib/fmt.h"
#include "lib/string.h"
#include "lib/text.h"
#include "protocols/gen/appd.h"
#include "user/demo/demo.h"
#include "user/libkpio/appd.h"

#define COMPILE_NS 1800000000000ull  // the first boot of a disk compiles; only against hanging
#define SHOWN_MAX 160u

static struct client appd = {.name = "appd", .timeout_ns = COMPILE_NS};

static kpio_handle root(void) { return startup_handle("root"); }

static void close_if(int64_t handle) {
    if (handle > 0) (void)kpio_handle_close((uint64_t)handle);
}

// ---- what there is --------------------------------------------------------------------------------------------------------------

static void show_root(void) {
    struct kpio_fs_statistics s = {};
    int64_t directory = directory_open(root(), "/");
    int64_t error = directory < 0 ? directory : kpio_fs_statistics((kpio_handle)directory, &s);
    close_if(directory);
    row("the root, from a disk", error == 0 && strcmp(s.type, "ext4") == 0, "%s on %s, %lu of %lu MiB free", s.type, s.device,
        (unsigned long)(s.blocks_free * s.block_size >> 20), (unsigned long)(s.blocks * s.block_size >> 20));
}

// What appd knows once it has looked at all that the disk has of it.
static void show_cache(void) {
    const struct appd_status_request request = {};
    struct appd_status_reply reply = {};
    int64_t error;
    while ((error = appd_status(&appd, &request, &reply)) == 0 && !reply.done) time_sleep_ms(1);
    row("what was compiled before, checked", error == 0 && reply.failed == 0, "%u of %u artifacts valid, %u compiled now",
        reply.valid, reply.checked, reply.compiled);
}

static int64_t grant_directory(const char *name, const char *path) {
    struct appd_grant_request request = {};
    struct appd_grant_reply reply = {};
    int64_t directory = file_open(root(), path, KPIO_OPEN_DIRECTORY, KPIO_RIGHT_READ);
    if (directory < 0) return directory;
    (void)text_copy(request.name, sizeof request.name, text_of(name));
    (void)text_copy(request.guest, sizeof request.guest, text_of(path));
    (void)text_copy(request.path, sizeof request.path, text_of(path));
    request.directory = (kpio_handle)directory;
    int64_t error = appd_grant(&appd, &request, &reply);
    close_if(directory);
    return error == 0 ? reply.result : error;
}

// An app of whoever uses the system, from a module on the disk; unless it is installed already.
static int64_t install(const char *manifest, const char *path) {
    struct appd_install_request request = {.flags = APPD_GRANT_JIT, .manifest_size = (uint32_t)strlen(manifest)};
    struct appd_install_reply reply = {};
    int64_t module = file_open(root(), path, 0, KPIO_RIGHT_READ);
    if (module < 0) return module;
    memcpy(request.manifest, manifest, request.manifest_size);
    request.module = (kpio_handle)module;
    int64_t error = appd_install(&appd, &request, &reply);
    close_if(module);
    if (error == 0) error = reply.result;
    return error == -EEXIST ? 0 : error;
}

// ---- running one ----------------------------------------------------------------------------------------------------------------

struct run {
    kpio_handle process, input, output, error;  // this side's ends
    uint64_t began, first_us, all_us;           // first_us: to its first output; 0: none
    int64_t status;
};

// `word`: its argument.
static int64_t begin(struct run *run, const char *name, const char *word) {
    struct appd_run_request request = {};
    struct appd_run_reply reply = {};
    int64_t input = kpio_pipe_create(KPIO_PIPE_STREAM, 0, &run->input);
    int64_t output = input < 0 ? input : kpio_pipe_create(KPIO_PIPE_STREAM, 0, &request.output);
    int64_t error = output < 0 ? output : kpio_pipe_create(KPIO_PIPE_STREAM, 0, &request.error);
    request.input = (kpio_handle)input;
    run->output = (kpio_handle)output;
    run->error = (kpio_handle)error;
    (void)text_copy(request.name, sizeof request.name, text_of(name));
    request.words_size = (uint32_t)fmt_print((char *)request.words, sizeof request.words, "a%s", word) + 1;
    run->began = time_now();
    int64_t result = error < 0 ? error : appd_run(&appd, &request, &reply);
    run->process = reply.process;
    close_if(run->input);
    close_if(input);
    close_if(request.output);
    close_if(request.error);
    return result;
}

// Its output, each line behind a bar, until it closes it.
static void show(struct run *run, kpio_handle pipe) {
    char line[SHOWN_MAX + 1];
    size_t used = 0;
    while (kpio_pipe_read(pipe, (uint8_t *)line + used, 1, 0, time_now() + COMPILE_NS) == 1) {
        if (run->first_us == 0) run->first_us = microseconds_since(run->began);
        if (line[used] != '\n' && ++used < SHOWN_MAX) continue;
        print("  | %.*s\n", (int)used, line);
        used = 0;
    }
    if (used > 0) print("  | %.*s\n", (int)used, line);
}

static void run_app(const char *what, const char *name, const char *word) {
    struct run run = {};
    print("\n  %s %s\n", name, word);
    int64_t error = begin(&run, name, word);
    if (error == 0) show(&run, run.output);
    if (error == 0) error = wait_terminated(run.process, time_now() + COMPILE_NS, &run.status);
    run.all_us = microseconds_since(run.began);
    const uint64_t first = run.first_us;
    if (run.error > 0) show(&run, run.error);
    close_if(run.process);
    close_if(run.output);
    close_if(run.error);
    if (error < 0) row(what, false, "%s", error_name(error));
    else if (run.status != 0) row(what, false, "exit status %ld", (long)(run.status >> 8));
    else
        row(what, first != 0, "first output after %lu.%lu ms, its end after %lu.%lu ms", (unsigned long)(first / 1000),
            (unsigned long)(first / 100 % 10), (unsigned long)(run.all_us / 1000), (unsigned long)(run.all_us / 100 % 10));
}

void demo_apps(uint64_t began) {
    if (startup_setting("apps") == NULL) return;
    row("boot, up to this program", true, "%lu ms", (unsigned long)(began / 1000000));
    show_root();
    show_cache();
    int64_t error = install("name = primes\nversion = 1\nmode = jit\n", "/demo/primes.wasm");
    if (error == 0) error = grant_directory("js", "/demo");
    if (error < 0) row("installing an app and granting a directory", false, "%s", error_name(error));
    run_app("a system app, compiled at its installation", "hello", "KPIO");
    run_app("an app that is compiled as it starts (jit)", "primes", "2000000");
    run_app("a script in QuickJS, from byte code (interp)", "js", "/demo/script.js");
    error = kpio_fs_sync(0);
    if (error < 0) row("making the disk durable", false, "%s", error_name(error));
    print("\n");
}
