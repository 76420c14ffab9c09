// The host of one WebAssembly program: a Linux program by its calls, over Wasmtime.
#include "user/wasmhost/deadline.h"
#include "user/wasmhost/program.h"
#include "user/wasmhost/report.h"

int main(int argc, char **argv) {
    struct options options;
    struct whole_file file;
    struct program program;
    options_parse(argc, argv, &options);
    if (options.timeout_nanos != 0 && !deadline_start(options.file, options.timeout_nanos)) {
        report_text(options.file, "no thread to watch its time");
        return STATUS_USAGE;
    }
    if (!file_open(options.place, &file)) return STATUS_USAGE;
    bool loaded = program_load(&options, &file, &program);
    file_close(&file);
    if (!loaded) return STATUS_USAGE;
    int status = program_run(&program, &options);
    program_end(&program);
    return status;
}
