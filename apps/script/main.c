// Runs a script in QuickJS: `script FILE ARGS`. What a script finds beside the language: console, print(), scriptArgs, timers, and the
// modules qjs:std and qjs:os, which are `std` and `os` too.
//
// Exit status: what std.exit() says; 1 for an error that nobody caught, a promise that was rejected unseen, a module that waits for ever.
#include <quickjs-libc.h>
#include <quickjs.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Of the stack in linear memory, which has room for what does not look; the engine's own has room for more (bounded.c).
#define STACK_BYTES (1664u << 10)
void script_bound_stack(JSRuntime *runtime, size_t bytes);

static const char show_source[] = {
#embed "show.js"
    , 0};

static const char timers_source[] =
    "import * as os from 'qjs:os';"
    "const bound = (f, more) => more.length > 0 ? () => f(...more) : f;"
    "globalThis.setTimeout = (f, ms, ...more) => os.setTimeout(bound(f, more), ms);"
    "globalThis.setInterval = (f, ms, ...more) => os.setInterval(bound(f, more), ms);"
    "globalThis.clearTimeout = os.clearTimeout;"
    "globalThis.clearInterval = os.clearInterval;";

// ---- promises that were rejected and that nobody handles ------------------------------------------------------------------------

struct rejection {
    struct rejection *next;
    JSValue promise, reason;
};

static struct rejection *rejections;

static void forget_rejection(JSContext *ctx, JSValue promise) {
    for (struct rejection **at = &rejections, *r; (r = *at) != NULL; at = &r->next) {
        if (JS_VALUE_GET_PTR(r->promise) != JS_VALUE_GET_PTR(promise)) continue;
        *at = r->next;
        JS_FreeValue(ctx, r->promise);
        JS_FreeValue(ctx, r->reason);
        free(r);
        return;
    }
}

static void track_rejection(JSContext *ctx, JSValue promise, JSValue reason, bool is_handled, void *unused) {
    (void)unused;
    if (is_handled) {
        forget_rejection(ctx, promise);
        return;
    }
    struct rejection *r = malloc(sizeof *r), **end = &rejections;
    if (r == NULL) abort();
    *r = (struct rejection){NULL, JS_DupValue(ctx, promise), JS_DupValue(ctx, reason)};
    while (*end != NULL) end = &(*end)->next;
    *end = r;
}

static int fail(JSContext *ctx, const char *what) {
    fflush(stdout);
    fputs(what, stderr);
    js_std_dump_error(ctx);
    fflush(stderr);
    return 1;
}

// 1 if there is any, with a message.
static int report_rejection(JSContext *ctx) {
    if (rejections == NULL) return 0;
    JS_Throw(ctx, JS_DupValue(ctx, rejections->reason));
    return fail(ctx, "Uncaught (in a promise) ");
}

// ---- console ------------------------------------------------------------------------------------------------------------------------

// A value's text as console shows it: text itself, and what an object holds.
static JSValue text_of(JSContext *ctx, JSValue value) {
    static JSValue show = JS_UNDEFINED;
    if (JS_IsString(value) || JS_IsNumber(value) || JS_IsBool(value) || JS_IsNull(value) || JS_IsUndefined(value))
        return JS_ToString(ctx, value);
    if (JS_IsUndefined(show)) show = JS_Eval(ctx, show_source, sizeof show_source - 1, "<console>", JS_EVAL_TYPE_GLOBAL);
    if (JS_IsException(show)) return JS_EXCEPTION;
    return JS_Call(ctx, show, JS_UNDEFINED, 1, &value);
}

static JSValue console_say(JSContext *ctx, JSValue self, int count, JSValue *values, int is_error) {
    FILE *file = is_error ? stderr : stdout;
    (void)self;
    for (int i = 0; i < count; i++) {
        size_t bytes;
        JSValue text = text_of(ctx, values[i]);
        const char *data = JS_IsException(text) ? NULL : JS_ToCStringLen(ctx, &bytes, text);
        JS_FreeValue(ctx, text);
        if (data == NULL) return JS_EXCEPTION;
        if (i > 0) fputc(' ', file);
        fwrite(data, 1, bytes, file);
        JS_FreeCString(ctx, data);
    }
    fputc('\n', file);
    fflush(file);
    return JS_UNDEFINED;
}

static void add_console(JSContext *ctx) {
    static const struct {
        const char *name;
        int is_error;
    } functions[] = {{"log", 0}, {"info", 0}, {"debug", 0}, {"error", 1}, {"warn", 1}};
    JSValue global = JS_GetGlobalObject(ctx), console = JS_NewObject(ctx);
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        JSValue function =
            JS_NewCFunctionMagic(ctx, console_say, functions[i].name, 1, JS_CFUNC_generic_magic, functions[i].is_error);
        JS_SetPropertyStr(ctx, console, functions[i].name, function);
    }
    JS_SetPropertyStr(ctx, global, "console", console);
    JS_FreeValue(ctx, global);
}

// ---- the script ---------------------------------------------------------------------------------------------------------------------

static bool has_suffix(const char *text, const char *suffix) {
    size_t bytes = strlen(text), end = strlen(suffix);
    return bytes >= end && strcmp(text + bytes - end, suffix) == 0;
}

// Whether a line begins with an import or export: errors are told of what it was meant to be.
static bool is_meant_as_module(const char *text) {
    for (; text != NULL; text = strchr(text, '\n')) {
        text += strspn(text, "\n");
        if (strncmp(text, "import ", 7) == 0 || strncmp(text, "export ", 7) == 0) return true;
    }
    return false;
}

// What names itself a module, or is none of the sloppy scripts because it imports, exports or awaits, is compiled as a module.
static JSValue compile(JSContext *ctx, const char *file, const char *text, size_t bytes, bool *is_module) {
    *is_module = has_suffix(file, ".mjs");
    if (!*is_module) {
        JSValue function = JS_Eval(ctx, text, bytes, file, JS_EVAL_TYPE_GLOBAL | JS_EVAL_FLAG_COMPILE_ONLY);
        if (!JS_IsException(function) || (!is_meant_as_module(text) && !JS_DetectModule(text, bytes))) return function;
        JS_FreeValue(ctx, JS_GetException(ctx));
        *is_module = true;
    }
    return JS_Eval(ctx, text, bytes, file, JS_EVAL_TYPE_MODULE | JS_EVAL_FLAG_COMPILE_ONLY);
}

// A module's value is a promise. Status of the command, once that has come to its end.
static int end_of(JSContext *ctx, JSValue value, bool is_module) {
    JSPromiseStateEnum state = is_module ? JS_PromiseState(ctx, value) : JS_PROMISE_FULFILLED;
    if (state == JS_PROMISE_FULFILLED) return report_rejection(ctx);
    if (state == JS_PROMISE_PENDING) {
        fputs("the script awaits what never comes\n", stderr);
        return 1;
    }
    JS_Throw(ctx, JS_PromiseResult(ctx, value));
    return fail(ctx, "Uncaught ");
}

static int run(JSContext *ctx, JSValue function, bool is_module) {
    if (is_module && js_module_set_import_meta(ctx, function, true, true) < 0) return fail(ctx, "");
    JSValue value = JS_EvalFunction(ctx, function);
    if (JS_IsException(value)) return fail(ctx, "Uncaught ");
    JSContext *other;
    int status = 0, more;
    if (is_module && JS_PromiseState(ctx, value) == JS_PROMISE_REJECTED) status = end_of(ctx, value, true);
    while (status == 0 && (more = JS_ExecutePendingJob(JS_GetRuntime(ctx), &other)) != 0)
        if (more < 0) status = fail(other, "Uncaught ");
    if (status == 0 && (!is_module || JS_PromiseState(ctx, value) != JS_PROMISE_REJECTED)) status = report_rejection(ctx);
    if (status == 0 && js_std_loop(ctx)) status = fail(ctx, "Uncaught ");
    if (status == 0) status = end_of(ctx, value, is_module);
    JS_FreeValue(ctx, value);
    return status;
}

static void add_modules(JSContext *ctx) {
    (void)js_init_module_std(ctx, "qjs:std");
    (void)js_init_module_std(ctx, "std");
    (void)js_init_module_os(ctx, "qjs:os");
    (void)js_init_module_os(ctx, "os");
    JS_FreeValue(ctx, JS_Eval(ctx, timers_source, sizeof timers_source - 1, "<timers>", JS_EVAL_TYPE_MODULE));
}

int main(int argc, char **argv) {
    if (argc < 2) {
        fprintf(stderr, "usage: %s FILE [ARGS]\n", argv[0]);
        return 2;
    }
    JSRuntime *runtime = JS_NewRuntime();
    if (runtime == NULL) return fputs("no memory for a script\n", stderr), 1;
    script_bound_stack(runtime, STACK_BYTES);
    js_std_init_handlers(runtime);
    JSContext *ctx = JS_NewContext(runtime);
    if (ctx == NULL) return fputs("no memory for a script\n", stderr), 1;
    JS_SetModuleLoaderFunc(runtime, NULL, js_module_loader, NULL);
    JS_SetHostPromiseRejectionTracker(runtime, track_rejection, NULL);
    js_std_add_helpers(ctx, argc - 1, argv + 1);
    add_console(ctx);
    add_modules(ctx);
    size_t bytes;
    uint8_t *text = js_load_file(ctx, &bytes, argv[1]);
    if (text == NULL) {
        perror(argv[1]);
        return 1;
    }
    bool is_module;
    JSValue function = compile(ctx, argv[1], (const char *)text, bytes, &is_module);
    int status = JS_IsException(function) ? fail(ctx, "") : run(ctx, function, is_module);
    fflush(stdout);
    return status;  // the process goes with all that it has
}
