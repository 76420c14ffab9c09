// Runs random modules, and tells what came of them, so that it can be compared with what other ways to run them tell.
//
//     random make FOLDER FIRST COUNT           compiles FOLDER/SEED.wasm into SEED.aot and SEED.pulley
//     random MODE FOLDER FIRST COUNT [tell]    runs them: aot, jit, winch, pulley, bytes (byte code that was made before)
//
// Each exported function is called once, in an instance of its own, with arguments that are drawn from the seed. A line a module:
//
//     SEED HASH calls N traps N     HASH is of results, traps, and then all that is exported: globals, memories, sizes of tables
//     SEED refused                  the way has not what the module uses
//
// With `tell` there is a line for each of those before it.
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "user/wasmhost/engine.h"
#include "user/wasmhost/file.h"
#include "user/wasmhost/memory.h"

#include <kpio_wasmtime.h>

enum { PARAMS_MAX = 64, STACK = 2 << 20, MEMORY_MAX = 4 << 20, TABLE_MAX = 2000, INSTANCES_MAX = 100 };

static bool telling;
static uint64_t hash;

// ---- what came of it ------------------------------------------------------------------------------------------------------------

// FNV-1a, eight bytes at a time.
static void take(const void *data, size_t size) {
    const uint8_t *at = data;
    for (; size >= 8; at += 8, size -= 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        hash = (hash ^ word) * 0x100000001b3u;
        hash ^= hash >> 29;
    }
    for (; size > 0; at++, size--) hash = (hash ^ *at) * 0x100000001b3u;
}

__attribute__((format(printf, 1, 2))) static void tell(const char *format, ...) {
    char line[256];
    va_list args;
    va_start(args, format);
    int bytes = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    take(line, (size_t)bytes);
    if (telling) puts(line);
}

// Of a reference only whether it is null.
static void tell_value(const char *what, wasmtime_val_t *v) {
    uint64_t low, high;
    memcpy(&low, v->of.v128, 8);
    memcpy(&high, v->of.v128 + 8, 8);
    if (v->kind == WASMTIME_I32 || v->kind == WASMTIME_F32) tell("%s: %d: %#lx", what, v->kind, (unsigned long)low & 0xffffffff);
    else if (v->kind == WASMTIME_I64 || v->kind == WASMTIME_F64) tell("%s: %d: %#lx", what, v->kind, (unsigned long)low);
    else if (v->kind == WASMTIME_V128) tell("%s: vector: %#lx %#lx", what, (unsigned long)low, (unsigned long)high);
    else tell("%s: %s", what, v->of.funcref.store_id == 0 ? "null" : "a reference");
    wasmtime_val_unroot(v);
}

static void tell_memory(wasmtime_context_t *context, const wasmtime_memory_t *memory) {
    const uint64_t before = hash;
    const size_t size = wasmtime_memory_data_size(context, memory);
    hash = 0;
    take(wasmtime_memory_data(context, memory), size);
    const uint64_t content = hash;
    hash = before;
    tell("memory: %zu bytes, %#lx", size, (unsigned long)content);
}

static void tell_exports(wasmtime_context_t *context, const wasmtime_instance_t *instance) {
    wasmtime_extern_t item;
    wasmtime_val_t value;
    char *name;
    size_t bytes;
    for (size_t i = 0; wasmtime_instance_export_nth(context, instance, i, &name, &bytes, &item); i++) {
        if (item.kind == WASMTIME_EXTERN_MEMORY) tell_memory(context, &item.of.memory);
        if (item.kind == WASMTIME_EXTERN_TABLE) tell("table: %lu", (unsigned long)wasmtime_table_size(context, &item.of.table));
        if (item.kind == WASMTIME_EXTERN_GLOBAL) {
            wasmtime_global_get(context, &item.of.global, &value);
            tell_value("global", &value);
        }
        wasmtime_extern_delete(&item);
    }
}

// Takes both over. Errors are told by what they are, not by their words, which may speak of the host.
static void tell_end(wasmtime_error_t *error, wasm_trap_t *trap) {
    wasmtime_trap_code_t code = 255;
    if (error != NULL) {
        wasm_byte_vec_t text;
        wasmtime_error_message(error, &text);
        if (telling) printf("(%.*s)\n", (int)text.size, text.data);
        wasm_byte_vec_delete(&text);
        tell("error");
        wasmtime_error_delete(error);
        return;
    }
    (void)wasmtime_trap_code(trap, &code);
    tell("trap %d", code);
    wasm_trap_delete(trap);
}

// ---- arguments ------------------------------------------------------------------------------------------------------------------

static uint64_t state;

static uint64_t draw(void) {
    uint64_t z = state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static wasmtime_valkind_t kind_of_reference(wasmtime_heaptype_kind_t kind) {
    if (kind <= WASMTIME_HEAPTYPE_KIND_NOEXTERN) return WASMTIME_EXTERNREF;
    if (kind <= WASMTIME_HEAPTYPE_KIND_NOFUNC) return WASMTIME_FUNCREF;
    return kind >= WASMTIME_HEAPTYPE_KIND_EXN ? WASMTIME_EXNREF : WASMTIME_ANYREF;
}

// Small numbers as often as any. False: there is none that could be made here.
static bool choose(const wasm_valtype_t *type, wasmtime_val_t *out) {
    wasmtime_valtype_t t;
    wasmtime_valtype_new(type, &t);
    *out = (wasmtime_val_t){.kind = t.kind};
    bool reference = t.kind == WASMTIME_VALTYPE_KIND_REF, possible = !reference || t.reftype.nullable;
    if (reference) out->kind = kind_of_reference(t.reftype.heaptype.kind);
    wasmtime_valtype_delete(&t);
    const uint64_t low = draw() % 2 == 0 ? draw() % 300 : draw(), high = draw();
    if (reference) return possible;
    memcpy(out->of.v128, &low, 8);
    memcpy(out->of.v128 + 8, &high, 8);
    if (out->kind == WASMTIME_F32) out->of.f32 = (float)(int32_t)low / 16;
    if (out->kind == WASMTIME_F64) out->of.f64 = (double)(int64_t)low / 16;
    return true;
}

// ---- calls ----------------------------------------------------------------------------------------------------------------------

struct counts {
    unsigned calls, traps;
};

static void call(wasmtime_context_t *context, const wasmtime_func_t *function, struct counts *counts) {
    static wasmtime_val_t values[PARAMS_MAX], results[PARAMS_MAX];
    wasm_functype_t *type = wasmtime_func_type(context, function);
    const wasm_valtype_vec_t *params = wasm_functype_params(type);
    const size_t given = params->size, got = wasm_functype_results(type)->size;
    bool possible = given <= PARAMS_MAX && got <= PARAMS_MAX;
    for (size_t i = 0; i < given && possible; i++) possible = choose(params->data[i], &values[i]);
    wasm_functype_delete(type);
    if (!possible) return;
    wasm_trap_t *trap = NULL;
    wasmtime_error_t *error = wasmtime_func_call(context, function, values, given, results, got, &trap);
    counts->calls++;
    counts->traps += error != NULL || trap != NULL;
    if (error != NULL || trap != NULL) {
        tell_end(error, trap);
        return;
    }
    for (size_t i = 0; i < got; i++) tell_value("result", &results[i]);
}

// The export number `index`, in an instance of its own. False: there is none.
static bool try_export(wasm_engine_t *engine, const wasmtime_module_t *module, size_t index, struct counts *counts) {
    wasmtime_store_t *store = wasmtime_store_new(engine, NULL, NULL);
    wasmtime_context_t *context = wasmtime_store_context(store);
    wasmtime_instance_t instance;
    wasmtime_extern_t item;
    wasm_trap_t *trap = NULL;
    char *name;
    size_t bytes;
    wasmtime_store_limiter(store, MEMORY_MAX, TABLE_MAX, -1, -1, -1);
    wasmtime_error_t *error = wasmtime_instance_new(context, module, NULL, 0, &instance, &trap);
    bool there = error == NULL && trap == NULL;
    if (!there) tell_end(error, trap);
    if (there) there = wasmtime_instance_export_nth(context, &instance, index, &name, &bytes, &item);
    if (there) {
        if (item.kind == WASMTIME_EXTERN_FUNC) {
            call(context, &item.of.func, counts);
            tell_exports(context, &instance);
        }
        wasmtime_extern_delete(&item);
    }
    wasmtime_store_delete(store);
    return there;
}

// ---- modules --------------------------------------------------------------------------------------------------------------------

static const struct {
    const char *name, *ending;
    enum compiler compiler;
} ways[] = {{"aot", "aot", COMPILER_CRANELIFT}, {"jit", "wasm", COMPILER_CRANELIFT}, {"winch", "wasm", COMPILER_WINCH},
            {"pulley", "wasm", COMPILER_PULLEY}, {"bytes", "pulley", COMPILER_PULLEY}};
enum { WAYS = sizeof ways / sizeof ways[0] };

static wasmtime_error_t *load(wasm_engine_t *engine, const char *place, bool artifact, wasmtime_module_t **out) {
    struct whole_file file;
    if (artifact) return wasmtime_module_deserialize_file(engine, place, out);
    if (!file_open(place, &file)) exit(2);
    wasmtime_error_t *error = wasmtime_module_new(engine, file.data, file.bytes, out);
    file_close(&file);
    return error;
}

static void run(wasm_engine_t *engine, unsigned way, const char *folder, unsigned long seed) {
    struct counts counts = {0, 0};
    wasmtime_module_t *module;
    char place[256];
    snprintf(place, sizeof place, "%s/%lu.%s", folder, seed, ways[way].ending);
    wasmtime_error_t *error = load(engine, place, strcmp(ways[way].ending, "wasm") != 0, &module);
    if (error != NULL) {
        wasm_byte_vec_t text;
        wasmtime_error_message(error, &text);
        if (telling) printf("(%.*s)\n", (int)text.size, text.data);
        wasm_byte_vec_delete(&text);
        wasmtime_error_delete(error);
        printf("%lu refused\n", seed);
        return;
    }
    hash = 0xcbf29ce484222325u;
    state = seed;
    for (size_t i = 0; i < INSTANCES_MAX && try_export(engine, module, i, &counts); i++) continue;
    wasmtime_module_delete(module);
    printf("%lu %016lx calls %u traps %u\n", seed, (unsigned long)hash, counts.calls, counts.traps);
}

// ---- artifacts ------------------------------------------------------------------------------------------------------------------

static void store(const char *folder, unsigned long seed, const char *ending, const wasm_byte_vec_t *artifact) {
    char place[256];
    snprintf(place, sizeof place, "%s/%lu.%s", folder, seed, ending);
    FILE *file = fopen(place, "wb");
    bool written = file != NULL && fwrite(artifact->data, 1, artifact->size, file) == artifact->size;
    if (file == NULL || fclose(file) != 0 || !written) {
        perror(place);
        exit(2);
    }
}

static void make(wasm_engine_t *const engines[2], const char *folder, unsigned long seed) {
    struct whole_file file;
    char place[256];
    snprintf(place, sizeof place, "%s/%lu.wasm", folder, seed);
    if (!file_open(place, &file)) exit(2);
    for (unsigned i = 0; i < 2; i++) {
        wasm_byte_vec_t artifact;
        wasmtime_error_t *error = kpio_wasmtime_precompile(engines[i], file.data, file.bytes, false, &artifact);
        if (error != NULL) {
            printf("%lu refused\n", seed);
            wasmtime_error_delete(error);
            continue;
        }
        store(folder, seed, i == 0 ? "aot" : "pulley", &artifact);
        wasm_byte_vec_delete(&artifact);
    }
    file_close(&file);
}

int main(int argc, char **argv) {
    if (argc < 5) {
        fputs("usage: random make|aot|jit|winch|pulley|bytes FOLDER FIRST COUNT [tell]\n", stderr);
        return 2;
    }
    const unsigned long first = strtoul(argv[3], NULL, 10), end = first + strtoul(argv[4], NULL, 10);
    telling = argc > 5;
    engine_set_stack(STACK);
    if (strcmp(argv[1], "make") == 0) {
        wasm_engine_t *engines[2] = {engine_make(COMPILER_CRANELIFT, CPU_V3), engine_make(COMPILER_PULLEY, CPU_NATIVE)};
        for (unsigned long seed = first; seed < end; seed++) make(engines, argv[2], seed);
        return 0;
    }
    memory_open("random", UINT64_MAX);
    for (unsigned way = 0; way < WAYS; way++) {
        if (strcmp(argv[1], ways[way].name) != 0) continue;
        wasm_engine_t *engine = engine_make(ways[way].compiler, CPU_NATIVE);
        for (unsigned long seed = first; seed < end; seed++) run(engine, way, argv[2], seed);
        wasm_engine_delete(engine);
        return 0;
    }
    fprintf(stderr, "random: %s: no such way\n", argv[1]);
    return 2;
}
