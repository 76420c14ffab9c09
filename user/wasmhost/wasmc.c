// Compiles one module or component, or the text of one, into one artifact for wasmhost: machine code for --mode aot, byte code for
// --mode interp. With `-` for either file, that is the standard input (a file) or output: then it needs no name of any file.
#include "user/wasmhost/engine.h"
#include "user/wasmhost/file.h"
#include "user/wasmhost/options.h"
#include "user/wasmhost/report.h"
#include "user/wasmhost/text.h"

#include <errno.h>
#include <fcntl.h>
#include <kpio_wasmtime.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

// What the code is for: a processor, or the engine's interpreter.
struct target {
    enum compiler compiler;
    enum cpu_level level;
};

// False with a message.
static bool compile(const char *name, const struct whole_file *file, struct target target, wasm_byte_vec_t *out) {
    if (file->kind != FILE_MODULE && file->kind != FILE_COMPONENT) {
        if (file->kind == FILE_UNKNOWN) file_refuse(name, file);
        else report_text(name, "neither a WebAssembly module nor a component");
        return false;
    }
    wasm_engine_t *engine = engine_make(target.compiler, target.level);
    wasmtime_error_t *error = kpio_wasmtime_precompile(engine, file->data, file->bytes, file->kind == FILE_COMPONENT, out);
    wasm_engine_delete(engine);
    if (error != NULL) report_error(name, error);
    return error == NULL;
}

static bool compile_text(const char *name, const struct whole_file *text, struct target target, wasm_byte_vec_t *out) {
    wasm_byte_vec_t binary;
    struct whole_file file;
    if (!text_read(name, text, &binary, &file)) return false;
    bool compiled = compile(name, &file, target, out);
    wasm_byte_vec_delete(&binary);
    return compiled;
}

static bool write_all(int fd, const char *data, size_t bytes) {
    while (bytes > 0) {
        ssize_t n = write(fd, data, bytes);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        data += n;
        bytes -= (size_t)n;
    }
    return true;
}

// The artifact appears under its name when it is whole, or not at all. It is code: with the execute bits it may be mapped as such.
static int store(const char *name, const wasm_byte_vec_t *artifact) {
    char part[4096];
    if ((size_t)snprintf(part, sizeof part, "%s.part", name) >= sizeof part) errno = ENAMETOOLONG;
    int fd = strlen(name) + 6 < sizeof part ? open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755) : -1;
    bool ok = fd >= 0 && write_all(fd, artifact->data, artifact->size) && fsync(fd) == 0;
    if (fd >= 0 && close(fd) != 0) ok = false;
    if (ok) ok = rename(part, name) == 0;
    if (ok) return 0;
    report_text(name, "%s", strerror(errno));
    if (fd >= 0) unlink(part);
    return 1;
}

static int pass_on(const wasm_byte_vec_t *artifact) {
    if (write_all(STDOUT_FILENO, artifact->data, artifact->size)) return 0;
    report_text("the artifact", "%s", strerror(errno));
    return 1;
}

static bool target_of(const char *text, struct target *out) {
    static const char *const names[] = {[CPU_NATIVE] = "native", [CPU_V1] = "x86-64", [CPU_V2] = "x86-64-v2", [CPU_V3] = "x86-64-v3"};
    if (strcmp(text, "pulley") == 0) {
        *out = (struct target){COMPILER_PULLEY, CPU_NATIVE};
        return true;
    }
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(text, names[i]) != 0) continue;
        *out = (struct target){COMPILER_CRANELIFT, (enum cpu_level)i};
        return true;
    }
    fprintf(stderr, "wasmc: --cpu %s: not native, x86-64, x86-64-v2, x86-64-v3 or pulley\n", text);
    return false;
}

int main(int argc, char **argv) {
    struct whole_file file;
    wasm_byte_vec_t artifact;
    struct target target = {COMPILER_CRANELIFT, CPU_NATIVE};
    if (argc == 5 && strcmp(argv[1], "--cpu") == 0) {
        if (!target_of(argv[2], &target)) return STATUS_USAGE;
        argv += 2;
        argc -= 2;
    }
    if (argc != 3) {
        fputs("usage: wasmc [--cpu native|x86-64|x86-64-v2|x86-64-v3|pulley] MODULE ARTIFACT\n", stderr);
        return STATUS_USAGE;
    }
    bool input = strcmp(argv[1], "-") == 0, output = strcmp(argv[2], "-") == 0;
    const char *name = input ? "the module" : argv[1];
    if (!(input ? file_map(name, STDIN_FILENO, &file) : file_open(name, &file))) return STATUS_USAGE;
    if (!(file.kind == FILE_TEXT ? compile_text : compile)(name, &file, target, &artifact)) return STATUS_USAGE;
    int status = output ? pass_on(&artifact) : store(argv[2], &artifact);
    wasm_byte_vec_delete(&artifact);
    file_close(&file);
    return status;
}
