// What a program is granted, and the way into it: `_start` of a WASI command, wasi:cli/run of a component.
#include "user/wasmhost/program.h"
#include "user/wasmhost/fuse.h"
#include "user/wasmhost/report.h"

#include <errno.h>
#include <fcntl.h>
#include <kpio_wasmtime.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define HOST_FILES 8u  // what the engine opens for itself when a program first waits

static wasi_config_t *make_wasi(const struct options *o) {
    wasi_config_t *wasi = wasi_config_new();
    bool ok = wasi_config_set_argv(wasi, o->argument_count, o->arguments);
    if (ok) ok = wasi_config_set_env(wasi, o->variable_count, o->names, o->values);
    if (!ok) report_text(o->file, "arguments or environment are not UTF-8");
    wasi_config_inherit_stdin(wasi);
    wasi_config_inherit_stdout(wasi);
    wasi_config_inherit_stderr(wasi);
    for (size_t i = 0; i < o->preopen_count && ok; i++) {
        const struct preopen *p = &o->preopens[i];
        errno = 0;
        ok = wasi_config_preopen_dir(wasi, p->host, p->guest, !p->read_only);
        if (!ok) report_text(p->host, "%s", errno != 0 ? strerror(errno) : "no directory that can be shown");
    }
    if (ok) return wasi;
    wasi_config_delete(wasi);
    return NULL;
}

// ---- commands ---------------------------------------------------------------------------------------------------------------

// What is wrong with an export as the way into a program; NULL: nothing.
static const char *wrong_start(const wasm_exporttype_t *export) {
    const wasm_functype_t *function = wasm_externtype_as_functype_const(wasm_exporttype_type(export));
    if (function == NULL) return "its export `_start` is no function";
    bool plain = wasm_functype_params(function)->size == 0 && wasm_functype_results(function)->size == 0;
    return plain ? NULL : "its function `_start` takes arguments, or gives results";
}

// Whether the module can be started, else a message.
static bool has_start(const char *file, const wasmtime_module_t *module) {
    wasm_exporttype_vec_t exports;
    const char *wrong = "no program: it exports no function `_start`";
    wasmtime_module_exports(module, &exports);
    for (size_t i = 0; i < exports.size; i++) {
        const wasm_name_t *name = wasm_exporttype_name(exports.data[i]);
        if (name->size == 6 && memcmp(name->data, "_start", 6) == 0) wrong = wrong_start(exports.data[i]);
    }
    wasm_exporttype_vec_delete(&exports);
    if (wrong != NULL) report_text(file, "%s", wrong);
    return wrong == NULL;
}

static int run_start(struct program *p, wasmtime_context_t *context, wasmtime_instance_t *instance) {
    wasmtime_extern_t start;
    wasm_trap_t *trap = NULL;
    if (!wasmtime_instance_export_get(context, instance, "_start", 6, &start)) return STATUS_USAGE;  // it was there: has_start()
    wasmtime_error_t *error = wasmtime_func_call(context, &start.of.func, NULL, 0, NULL, 0, &trap);
    return report_end(p->file, error, trap);
}

static int run_module(struct program *p, wasmtime_context_t *context) {
    wasmtime_linker_t *linker = wasmtime_linker_new(p->engine);
    wasmtime_instance_t instance;
    wasm_trap_t *trap = NULL;
    int status = STATUS_USAGE;
    if (!has_start(p->file, p->module)) {
        wasmtime_linker_delete(linker);
        return status;
    }
    const bool driver = fuse_has_channel();
    wasmtime_error_t *error = kpio_wasmtime_linker_define_wasi(linker, p->module);
    if (error == NULL && driver) error = fuse_define(linker);
    if (error == NULL) error = wasmtime_linker_instantiate(linker, context, p->module, &instance, &trap);
    if (error != NULL) report_error(p->file, error);
    else if (driver && trap == NULL && !fuse_begin(context, &instance)) report_text(p->file, "a driver that exports no `memory`");
    else status = trap != NULL ? report_end(p->file, NULL, trap) : run_start(p, context, &instance);
    wasmtime_linker_delete(linker);
    return status;
}

// ---- components -----------------------------------------------------------------------------------------------------------------

// An interface of WASI 0.2 is found under each version that stays compatible.
#define WASI_PATCHES 20

static bool find_run(struct program *p, wasmtime_context_t *context, const wasmtime_component_instance_t *instance,
                     wasmtime_component_func_t *out) {
    wasmtime_component_export_index_t *interface = NULL;
    for (unsigned patch = 0; patch < WASI_PATCHES && interface == NULL; patch++) {
        char name[32];
        int bytes = snprintf(name, sizeof name, "wasi:cli/run@0.2.%u", patch);
        interface = wasmtime_component_get_export_index(p->component, NULL, name, (size_t)bytes);
    }
    if (interface == NULL) return false;
    wasmtime_component_export_index_t *run = wasmtime_component_get_export_index(p->component, interface, "run", 3);
    bool found = run != NULL && wasmtime_component_instance_get_func(instance, context, run, out);
    if (run != NULL) wasmtime_component_export_index_delete(run);
    wasmtime_component_export_index_delete(interface);
    return found;
}

static int call_run(struct program *p, wasmtime_context_t *context, const wasmtime_component_instance_t *instance) {
    wasmtime_component_func_t run;
    wasmtime_component_val_t result = {0};
    if (!find_run(p, context, instance, &run)) {
        report_text(p->file, "no program: it exports no wasi:cli/run of version 0.2");
        return STATUS_USAGE;
    }
    wasmtime_error_t *error = wasmtime_component_func_call(&run, context, NULL, 0, &result, 1);
    if (error != NULL) return report_end(p->file, error, NULL);
    bool failed = result.kind == WASMTIME_COMPONENT_RESULT && !result.of.result.is_ok;
    wasmtime_component_val_delete(&result);
    return failed ? 1 : 0;
}

static int run_component(struct program *p, wasmtime_context_t *context) {
    wasmtime_component_linker_t *linker = wasmtime_component_linker_new(p->engine);
    wasmtime_component_instance_t instance;
    int status = STATUS_USAGE;
    wasmtime_error_t *error = kpio_wasmtime_component_linker_define_wasi(linker, p->component);
    if (error == NULL) error = wasmtime_component_linker_instantiate(linker, context, p->component, &instance);
    if (error != NULL) report_error(p->file, error);
    else status = call_run(p, context, &instance);
    wasmtime_component_linker_delete(linker);
    return status;
}

// Beyond the descriptors that the host has and will have.
static void limit_files(int64_t files) {
    struct rlimit limit;
    int free = fcntl(0, F_DUPFD_CLOEXEC, 0);
    if (free < 0 || getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    close(free);
    if ((uint64_t)files < limit.rlim_max - (uint64_t)free - HOST_FILES) limit.rlim_cur = (uint64_t)free + HOST_FILES + (uint64_t)files;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

// A module's functions of WASI are this host's own (engines/wasmtime), a component's the engine's: each finds what it was granted in a
// place of its own. Takes the configuration over. NULL with a message.
static wasmtime_store_t *make_store(struct program *p, wasi_config_t *config) {
    void *wasi = NULL;
    wasmtime_error_t *error = p->component == NULL ? kpio_wasmtime_wasi_new(config, &wasi) : NULL;
    wasmtime_store_t *store = error == NULL ? wasmtime_store_new(p->engine, wasi, wasi != NULL ? kpio_wasmtime_wasi_delete : NULL) : NULL;
    if (error == NULL && p->component != NULL) error = wasmtime_context_set_wasi(wasmtime_store_context(store), config);
    if (error == NULL) return store;
    report_error(p->file, error);
    if (store != NULL) wasmtime_store_delete(store);
    return NULL;
}

int program_run(struct program *p, const struct options *options) {
    wasi_config_t *wasi = make_wasi(options);
    wasmtime_store_t *store = wasi != NULL ? make_store(p, wasi) : NULL;
    if (store == NULL) return STATUS_USAGE;
    wasmtime_context_t *context = wasmtime_store_context(store);
    const struct kpio_wasmtime_limits limits = {options->memory, options->table_elements, options->instances, options->tables,
                                                options->memories, options->trap_on_grow_failure};
    kpio_wasmtime_store_limit(store, &limits);
    if (options->files >= 0) limit_files(options->files);
    int status = p->component != NULL ? run_component(p, context) : run_module(p, context);
    wasmtime_store_delete(store);
    return status;
}
