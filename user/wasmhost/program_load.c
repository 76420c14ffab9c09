#include "user/wasmhost/engine.h"
#include "user/wasmhost/program.h"
#include "user/wasmhost/report.h"
#include "user/wasmhost/text.h"

#include <stdlib.h>

// ---- artifacts ----------------------------------------------------------------------------------------------------------------

static bool load_artifact(const struct options *options, const struct whole_file *file, struct program *p) {
    wasmtime_error_t *error;
    p->engine = engine_make(options->mode == MODE_AOT ? COMPILER_CRANELIFT : COMPILER_PULLEY, CPU_NATIVE);
    if (file->kind == FILE_MODULE_ARTIFACT) error = wasmtime_module_deserialize_file(p->engine, options->place, &p->module);
    else error = wasmtime_component_deserialize_file(p->engine, options->place, &p->component);
    if (error != NULL) report_error(options->file, error);
    return error == NULL;
}

// ---- what is compiled here --------------------------------------------------------------------------------------------------

#ifdef WASMTIME_FEATURE_COMPILER
static wasmtime_error_t *compile(const struct whole_file *file, enum compiler compiler, struct program *p) {
    wasmtime_error_t *error;
    p->engine = engine_make(compiler, CPU_NATIVE);
    if (file->kind == FILE_COMPONENT) error = wasmtime_component_new(p->engine, file->data, file->bytes, &p->component);
    else error = wasmtime_module_new(p->engine, file->data, file->bytes, &p->module);
    if (error != NULL) wasm_engine_delete(p->engine);
    return error;
}

static void tell(const struct options *options, const char *compiler) {
    if (options->verbose) report_text(options->file, "runs by %s", compiler);
}

// The one-pass compiler first. What it lacks, and a process that must not make executable memory, get the interpreter; if that
// refuses too, its reason is the one that counts.
static wasmtime_error_t *interpret(const struct options *options, const struct whole_file *file, struct program *p) {
    if (engine_may_compile()) {
        wasmtime_error_t *error = compile(file, COMPILER_WINCH, p);
        if (error == NULL) {
            tell(options, "winch");
            return NULL;
        }
        wasmtime_error_delete(error);
    }
    tell(options, "pulley");
    return compile(file, COMPILER_PULLEY, p);
}

static bool load_source(const struct options *options, const struct whole_file *file, struct program *p) {
    bool jit = options->mode == MODE_JIT;
    if (jit && !engine_may_compile()) {
        report_text(options->file, "no right to make executable memory, which --mode jit needs; --mode interp does not");
        return false;
    }
    if (jit) tell(options, "cranelift");
    wasmtime_error_t *error = jit ? compile(file, COMPILER_CRANELIFT, p) : interpret(options, file, p);
    if (error != NULL) report_error(options->file, error);
    return error == NULL;
}
#else
static bool load_source(const struct options *options, const struct whole_file *file, struct program *p) {
    report_text(options->file, "this host has no compiler: only --mode aot");
    return false;
}
#endif

static bool load_text(const struct options *options, const struct whole_file *file, struct program *p) {
    wasm_byte_vec_t binary;
    struct whole_file whole;
    if (!text_read(options->file, file, &binary, &whole)) return false;
    bool loaded = load_source(options, &whole, p);
    wasm_byte_vec_delete(&binary);
    return loaded;
}

bool program_load(const struct options *options, const struct whole_file *file, struct program *out) {
    *out = (struct program){.file = options->file};
    bool artifact = file->kind == FILE_MODULE_ARTIFACT || file->kind == FILE_COMPONENT_ARTIFACT;
    if (file->kind == FILE_UNKNOWN) file_refuse(options->file, file);
    else if (artifact && options->mode == MODE_JIT) report_text(options->file, "a compiled artifact, which --mode jit does not take");
    else if (!artifact && options->mode == MODE_AOT) report_text(options->file, "no compiled artifact: wasmc makes one");
    else if (artifact) return load_artifact(options, file, out);
    else return file->kind == FILE_TEXT ? load_text(options, file, out) : load_source(options, file, out);
    return false;
}

void program_end(struct program *p) {
    if (p->module != NULL) wasmtime_module_delete(p->module);
    if (p->component != NULL) wasmtime_component_delete(p->component);
    wasm_engine_delete(p->engine);
}
