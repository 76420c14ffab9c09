// The host of one WebAssembly program: a Linux program by its calls, over Wasmtime.
#include "user/wasmhost/deadline.h"
#include "user/wasmhost/engine.h"
#include "user/wasmhost/memory.h"
#include "user/wasmhost/program.h"
#include "user/wasmhost/report.h"

#include <pthread.h>

#define FIRST_STACK (2 << 20)  // as much of the stack that the process begins with, whose size the system chose, is a program's at most
#define FOR_HOST (1 << 20)     // of another one, beside the program's part

struct run {
    struct program *program;
    const struct options *options;
    int status;
};

static void *run_there(void *context) {
    struct run *run = context;
    run->status = program_run(run->program, run->options);
    return NULL;
}

// On a stack that has room for what the program may use of it.
static int run_on_stack(struct program *program, const struct options *options) {
    struct run run = {program, options, STATUS_USAGE};
    pthread_attr_t attributes;
    pthread_t thread;
    if (options->stack <= FIRST_STACK) return program_run(program, options);
    bool ok = pthread_attr_init(&attributes) == 0 && pthread_attr_setstacksize(&attributes, (size_t)options->stack + FOR_HOST) == 0 &&
              pthread_create(&thread, &attributes, run_there, &run) == 0;
    if (ok) (void)pthread_join(thread, NULL);
    else report_text(options->file, "no room for a stack of %lld bytes", (long long)options->stack);
    return run.status;
}

int main(int argc, char **argv) {
    struct options options;
    struct whole_file file;
    struct program program;
    options_parse(argc, argv, &options);
    if ((options.timeout_nanos != 0 || options.cpu_nanos != 0) && !deadline_start(&options)) {
        report_text(options.file, "no thread to watch its time");
        return STATUS_USAGE;
    }
    if (options.stack > 0) engine_set_stack((size_t)options.stack);
    memory_open(options.file, options.memory >= 0 ? (uint64_t)options.memory : UINT64_MAX);
    if (!file_open(options.place, &file)) return STATUS_USAGE;
    bool loaded = program_load(&options, &file, &program);
    file_close(&file);
    if (!loaded) return STATUS_USAGE;
    int status = run_on_stack(&program, &options);
    program_end(&program);
    return status;
}
