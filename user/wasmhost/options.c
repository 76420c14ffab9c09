#define _DEFAULT_SOURCE  // strsep
#include "user/wasmhost/options.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: wasmhost [--mode aot|jit|interp] [--dir HOST[::GUEST][,ro]] [--env KEY=VALUE] [--memory SIZE]\n"
    "                [--timeout SECONDS] [--cpu-time SECONDS] [--files N] [-W NAME=VALUE,...] [--argv0 NAME] [--verbose]\n"
    "                FILE [--] [ARGS]\n"
    "\n"
    "Runs a WebAssembly program: a WASI command, a component, or (--mode aot) what wasmc made of one.\n"
    "\n"
    "  --mode MODE     jit compiles it (default), interp starts sooner and runs slower, aot runs a compiled artifact\n"
    "  --dir DIR       shows a directory to the program, under its own name or GUEST; `,ro`: to be read only\n"
    "  --env KEY=VALUE a variable of the program's environment, which is empty otherwise; KEY alone passes the caller's on\n"
    "  --memory SIZE   most of a linear memory, as 512K, 64M, 2G; memory.grow fails beyond\n"
    "  --timeout S     stops the program after that time, with status 124\n"
    "  --cpu-time S    stops the program when it used so much time of processors, with status 124\n"
    "  --files N       about how many files it may have open at a time\n"
    "  -W NAME=VALUE   as the wasmtime command: timeout=, max-memory-size=, max-wasm-stack=, max-table-elements=, max-tables=,\n"
    "                  max-memories=, max-instances=, trap-on-grow-failure[=y|n]\n"
    "  --argv0 NAME    what the program is called, by itself and in messages, in place of FILE\n"
    "  --verbose       tells which compiler made its code\n"
    "\n"
    "exit status: the program's; 1 a call that cannot be answered, 2 wrong usage or no program, 124 time over, 134 a trap\n";

#define STACK_MAX (256 << 20)
#define TABLE_MAX 10000000

[[gnu::noreturn, gnu::format(printf, 1, 2)]] static void wrong(const char *format, ...) {
    va_list args;
    va_start(args, format);
    fputs("wasmhost: ", stderr);
    vfprintf(stderr, format, args);
    fputs(" (--help)\n", stderr);
    va_end(args);
    exit(STATUS_USAGE);
}

static void *grow(void *array, size_t count, size_t size) {
    void *grown = realloc(array, (count + 1) * size);
    if (grown == NULL) wrong("no memory");
    return grown;
}

static enum mode mode_of(const char *text) {
    static const char *const names[] = {[MODE_AOT] = "aot", [MODE_JIT] = "jit", [MODE_INTERP] = "interp"};
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(text, names[i]) == 0) return (enum mode)i;
    wrong("--mode %s: not aot, jit or interp", text);
}

static void add_preopen(struct options *o, char *text) {
    struct preopen p = {.host = text, .guest = text};
    size_t bytes = strlen(text);
    if (bytes > 3 && strcmp(text + bytes - 3, ",ro") == 0) {
        p.read_only = true;
        text[bytes - 3] = '\0';
    }
    char *colons = strstr(text, "::");
    if (colons != NULL) {
        *colons = '\0';
        p.guest = colons + 2;
    }
    if (*p.host == '\0' || *p.guest == '\0') wrong("--dir: an empty name");
    o->preopens = grow(o->preopens, o->preopen_count, sizeof p);
    o->preopens[o->preopen_count++] = p;
}

static void add_variable(struct options *o, char *text) {
    char *equals = strchr(text, '=');
    const char *value = equals != NULL ? equals + 1 : getenv(text);
    if (equals == text || *text == '\0') wrong("--env %s: no name", text);
    if (value == NULL) return;  // the caller has none to pass on
    if (equals != NULL) *equals = '\0';
    for (size_t i = 0; i < o->variable_count; i++) {
        if (strcmp(o->names[i], text) != 0) continue;
        o->values[i] = value;  // a name has one value, the last
        return;
    }
    o->names = grow(o->names, o->variable_count, sizeof *o->names);
    o->values = grow(o->values, o->variable_count, sizeof *o->values);
    o->names[o->variable_count] = text;
    o->values[o->variable_count++] = value;
}

static int64_t size_of(const char *name, const char *text) {
    static const char units[] = "KMG";
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    const char *unit = *end != '\0' ? strchr(units, *end) : NULL;
    unsigned shift = unit != NULL ? 10 * (unsigned)(unit - units + 1) : 0;
    bool whole = end != text && (*end == '\0' || (unit != NULL && (end[1] == '\0' || strcmp(end + 1, "iB") == 0)));
    if (!whole || errno != 0 || value < 0 || value > INT64_MAX >> shift) wrong("%s %s: not a size such as 64M", name, text);
    return value << shift;
}

static uint64_t nanos_of(const char *name, const char *text) {
    static const struct {
        const char *name;
        double nanos;
    } units[] = {{"", 1e9}, {"s", 1e9}, {"ms", 1e6}, {"us", 1e3}, {"ns", 1}};
    char *end;
    double value = strtod(text, &end), nanos = 0;
    for (unsigned i = 0; i < sizeof units / sizeof units[0] && end != text; i++)
        if (strcmp(end, units[i].name) == 0) nanos = value * units[i].nanos;
    if (!(nanos > 0) || nanos > 1e18) wrong("%s %s: not a time in seconds", name, text);
    return (uint64_t)ceil(nanos);
}

static int64_t count_of(const char *name, const char *text) {
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0 || value < 0) wrong("%s %s: not a number", name, text);
    return value;
}

static int64_t stack_of(const char *text) {
    int64_t bytes = size_of("-W max-wasm-stack", text);
    if (bytes == 0 || bytes > STACK_MAX) wrong("-W max-wasm-stack=%s: not from 1 to %d bytes", text, STACK_MAX);
    return bytes;
}

static bool yes_of(const char *name, const char *text) {
    static const char *const words[] = {"y", "yes", "true", "n", "no", "false"};
    for (unsigned i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(text, words[i]) == 0) return i < 3;
    wrong("%s %s: not y or n", name, text);
}

static bool take_count(struct options *o, const char *name, const char *value) {
    const struct {
        const char *name;
        int64_t *count;
    } counts[] = {{"max-table-elements", &o->table_elements}, {"max-tables", &o->tables}, {"max-memories", &o->memories},
                  {"max-instances", &o->instances}};
    for (unsigned i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        if (strcmp(name, counts[i].name) != 0) continue;
        *counts[i].count = count_of(name, value);
        return true;
    }
    return false;
}

// NAME=VALUE,... where a NAME that is to be or not to be may stand alone
static void take_wasm(struct options *o, char *words) {
    for (char *word; (word = strsep(&words, ",")) != NULL;) {
        char *value = strchr(word, '=');
        if (value != NULL) *value++ = '\0';
        if (strcmp(word, "trap-on-grow-failure") == 0) {
            o->trap_on_grow_failure = value == NULL || yes_of(word, value);
            continue;
        }
        if (value == NULL) wrong("-W %s: no value", word);
        if (strcmp(word, "timeout") == 0) o->timeout_nanos = nanos_of("-W timeout", value);
        else if (strcmp(word, "max-memory-size") == 0) o->memory = size_of("-W max-memory-size", value);
        else if (strcmp(word, "max-wasm-stack") == 0) o->stack = stack_of(value);
        else if (!take_count(o, word, value)) wrong("-W %s: no such option", word);
    }
}

static void take(struct options *o, const char *name, char *value) {
    if (strcmp(name, "mode") == 0) o->mode = mode_of(value);
    else if (strcmp(name, "dir") == 0) add_preopen(o, value);
    else if (strcmp(name, "env") == 0) add_variable(o, value);
    else if (strcmp(name, "argv0") == 0) o->file = value;
    else if (strcmp(name, "memory") == 0) o->memory = size_of("--memory", value);
    else if (strcmp(name, "timeout") == 0) o->timeout_nanos = nanos_of("--timeout", value);
    else if (strcmp(name, "cpu-time") == 0) o->cpu_nanos = nanos_of("--cpu-time", value);
    else if (strcmp(name, "files") == 0) o->files = count_of("--files", value);
    else wrong("--%s: no such option", name);
}

// `--name value` or `--name=value`, or `-W words`. How many words it was.
static int option(struct options *o, char **words) {
    if (strcmp(words[0], "-W") == 0) {
        if (words[1] == NULL) wrong("-W: no value");
        take_wasm(o, words[1]);
        return 2;
    }
    char *name = words[0] + 2, *equals = strchr(name, '=');
    if (strcmp(name, "verbose") == 0) {
        o->verbose = true;
        return 1;
    }
    if (strcmp(name, "help") == 0) {
        fputs(usage, stdout);
        exit(0);
    }
    if (equals != NULL) *equals = '\0';
    else if (words[1] == NULL) wrong("--%s: no value", name);
    take(o, name, equals != NULL ? equals + 1 : words[1]);
    return equals != NULL ? 1 : 2;
}

// Tables lie on the host's heap, which the system may find itself without pages for: a limit of which growing tells, before that. No
// table has more elements in a browser (the JavaScript interface, "Implementation-defined Limits").
static int64_t table_elements(int64_t memory) {
    int64_t elements = memory >= 0 ? memory / (int64_t)sizeof(void *) : TABLE_MAX;
    return elements < TABLE_MAX ? elements : TABLE_MAX;
}

void options_parse(int argc, char **argv, struct options *out) {
    *out = (struct options){.mode = MODE_JIT, .memory = -1, .files = -1, .stack = -1, .table_elements = -1, .tables = -1, .memories = -1,
                            .instances = -1};
    int i = 1;
    while (i < argc && (strcmp(argv[i], "-W") == 0 || (strncmp(argv[i], "--", 2) == 0 && argv[i][2] != '\0'))) i += option(out, argv + i);
    if (out->table_elements < 0) out->table_elements = table_elements(out->memory);
    if (i < argc && strcmp(argv[i], "--") == 0) i++;
    if (i == argc) wrong("no FILE");
    out->place = argv[i];
    if (out->file == NULL) out->file = argv[i];
    argv[i] = (char *)(uintptr_t)out->file;
    // The name stands before the arguments, a `--` in between is ours.
    if (i + 1 < argc && strcmp(argv[i + 1], "--") == 0) {
        argv[i + 1] = argv[i];
        i++;
    }
    out->arguments = (const char **)(argv + i);
    out->argument_count = (size_t)(argc - i);
}
