// The host of one WebAssembly program: a Linux program by its calls, over Wasmtime.
#include "user/wasmhost/deadline.h"
#include "user/wasmhost/engine.h"
#include "user/wasmhost/memory.h"
#include "user/wasmhost/program.h"
#include "user/wasmhost/report.h"

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
    int status = program_run(&program, &options);
    program_end(&program);
    return status;
}
