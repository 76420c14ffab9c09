#include "user/liblinux/trace.h"

#include "abi/gen/errors.h"
#include "abi/gen/stubs.h"
#include "lib/fmt.h"
#include "lib/string.h"
#include "lib/util.h"
#include "user/liblinux/call.h"
#include "user/liblinux/entry.h"
#include "user/liblinux/fd.h"
#include "user/liblinux/gen/call_names.h"
#include "user/liblinux/unserved.h"

#define TEXT_MAX 64u // of one argument

typedef int64_t handler_fn(struct lx_thread *, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);
extern const int32_t lx_calls[] __attribute__((visibility("hidden")));
extern const uint64_t lx_call_count __attribute__((visibility("hidden")));

#define ENTRY(number, name, shown) {number, #name, shown},
static const struct call {
    uint16_t number;
    char name[24], shown[7];
} calls[] = {LX_CALLS(ENTRY)};

struct line {
    char text[512];
    size_t used;
};

__attribute__((format(printf, 2, 3))) static void add(struct line *line, const char *format, ...) {
    va_list args;
    va_start(args, format);
    size_t room = sizeof line->text - line->used;
    line->used += MIN(fmt_vprint(line->text + line->used, room, format, args), room - 1);
    va_end(args);
}

static void add_bytes(struct line *line, const char *bytes, uint64_t count, bool more) {
    add(line, "\"");
    for (uint64_t i = 0; i < count; i++) {
        const uint8_t c = (uint8_t)bytes[i];
        if (c == '\n') add(line, "\\n");
        else if (c < ' ' || c > '~' || c == '"' || c == '\\') add(line, "\\x%02x", c);
        else add(line, "%c", c);
    }
    add(line, more ? "\"..." : "\"");
}

static void add_string(struct line *line, uint64_t at) {
    char text[TEXT_MAX];
    int64_t length = at == 0 ? -EFAULT : lx_copy_string(text, at, sizeof text);
    if (length < 0) add(line, "%#lx", (unsigned long)at);
    else add_bytes(line, text, (uint64_t)length, length == TEXT_MAX);
}

static void add_buffer(struct line *line, uint64_t at, uint64_t size) {
    char text[TEXT_MAX];
    uint64_t count = MIN(size, (uint64_t)TEXT_MAX);
    if (lx_copy_in(text, at, count) != 0) add(line, "%#lx", (unsigned long)at);
    else add_bytes(line, text, count, count < size);
}

static void add_argument(struct line *line, char how, const uint64_t *argument) {
    switch (how) {
    case 'd': add(line, "%d", (int)*argument); break;
    case 'u': add(line, "%lu", (unsigned long)*argument); break;
    case 'o': add(line, "%#o", (unsigned)*argument); break;
    case 's': add_string(line, *argument); break;
    case 'w': add_buffer(line, *argument, argument[1]); break;
    default: add(line, "%#lx", (unsigned long)*argument); break;
    }
}

static const struct call *find(uint64_t number) {
    for (unsigned i = 0; i < ARRAY_SIZE(calls); i++)
        if (calls[i].number == number) return &calls[i];
    return NULL;
}

static void begin(struct line *line, const struct lx_thread *t, uint64_t number, const uint64_t arguments[6]) {
    const struct call *call = find(number);
    line->used = 0;
    add(line, "[%u] ", t->tid);
    if (call == NULL) add(line, "call %lu", (unsigned long)number);
    else add(line, "%s", call->name);
    add(line, "(");
    const char *shown = call == NULL ? "xxxxxx" : call->shown;
    for (unsigned i = 0; shown[i] != 0; i++) {
        if (i > 0) add(line, ", ");
        add_argument(line, shown[i], &arguments[i]);
    }
    add(line, ")");
}

#define ERROR_TEXT(name, number, text)                                                                                           \
    case number: return #name;
static const char *error_text(int64_t error) {
    switch (error) {
        KPIO_ERRORS(ERROR_TEXT)
    case ESRCH: return "ESRCH";
    case ECHILD: return "ECHILD";
    case ESPIPE: return "ESPIPE";
    case LX_RESTART:
    case LX_RESTART_ALWAYS:
    case LX_RESTART_NOHAND:
    case LX_RESTART_BLOCK: return "interrupted";
    default: return NULL;
    }
}

size_t lx_trace_result(char *to, size_t room, int64_t result) {
    const char *error = result < 0 ? error_text(-result) : NULL;
    if (error != NULL) return fmt_print(to, room, " = -%s", error);
    return fmt_print(to, room, result >= -4095 && result < 1 << 20 ? " = %ld" : " = %#lx", (long)result);
}

static void end(struct line *line, int64_t result) {
    const size_t room = sizeof line->text - line->used;
    line->used += MIN(lx_trace_result(line->text + line->used, room, result), room - 1);
}

static void tell(struct lx_thread *t, struct line *line) {
    if (line->used == sizeof line->text - 1) line->used--;
    line->text[line->used++] = '\n';
    lx_trace_tell(t, line->text, line->used);
}

static bool returns(uint64_t number) {
    const struct call *call = find(number);
    return call == NULL ||
           (strcmp(call->name, "exit") != 0 && strcmp(call->name, "exit_group") != 0 && strcmp(call->name, "execve") != 0);
}

static int64_t serve(struct lx_thread *t, uint64_t number, const uint64_t a[6]) {
    if (number >= lx_call_count) return lx_unknown(t, number);
    handler_fn *handler = (handler_fn *)((const char *)lx_calls + lx_calls[number]);
    return handler(t, a[0], a[1], a[2], a[3], a[4], a[5]);
}

int64_t lx_trace_call(struct lx_thread *t, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5) {
    const uint64_t arguments[] = {a0, a1, a2, a3, a4, a5}, number = t->call;
    const bool native = lx_process(t)->trace & LX_TRACE_NATIVE && returns(number);
    struct line line;
    if (!returns(number) || (lx_process(t)->trace & LX_TRACE_LEVEL) == LX_TRACE_ALL) {
        begin(&line, t, number, arguments);
        tell(t, &line);
    }
    if (native) lx_trace_native_begin(t);
    int64_t result = serve(t, number, arguments);
    if (native) lx_trace_native_end(t);
    begin(&line, t, number, arguments);
    end(&line, result);
    tell(t, &line);
    return result;
}
