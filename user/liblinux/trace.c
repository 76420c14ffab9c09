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
#define VARIABLE "KPIO_TRACE="

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
    case ENOTTY: return "ENOTTY";
    case ESPIPE: return "ESPIPE";
    case LX_RESTART:
    case LX_RESTART_ALWAYS:
    case LX_RESTART_NOHAND:
    case LX_RESTART_BLOCK: return "interrupted";
    default: return NULL;
    }
}

static void end(struct line *line, int64_t result) {
    const char *error = result < 0 ? error_text(-result) : NULL;
    if (error != NULL) add(line, " = -%s", error);
    else if (result >= -4095 && result < 1 << 20) add(line, " = %ld", (long)result);
    else add(line, " = %#lx", (unsigned long)result);
}

static bool can_log(const struct lx_process *p) {
    struct kpio_handle_info info;
    return p->system > 0 && kpio_handle_info(p->system, &info) == 0 && info.rights & KPIO_RIGHT_LOG;
}

static void tell(struct lx_thread *t, struct line *line) {
    struct lx_fd fd;
    struct lx_process *p = lx_process(t);
    if (line->used == sizeof line->text - 1) line->used--;
    line->text[line->used++] = '\n';
    if (can_log(p)) (void)kpio_console_write(p->system, (const uint8_t *)line->text, line->used);
    else if (lx_fd_get(p, 2, &fd) == 0 && lx_fd_ops(fd.kind)->write != NULL)
        (void)lx_fd_ops(fd.kind)->write(t, &fd, (uint64_t)line->text, line->used, KPIO_OFFSET_CURRENT);
}

static bool returns(uint64_t number) {
    const struct call *call = find(number);
    return call == NULL ||
           (strcmp(call->name, "exit") != 0 && strcmp(call->name, "exit_group") != 0 && strcmp(call->name, "execve") != 0);
}

int64_t lx_trace_call(struct lx_thread *t, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5) {
    const uint64_t arguments[] = {a0, a1, a2, a3, a4, a5}, number = t->call;
    struct line line;
    if (!returns(number) || lx_process(t)->trace == LX_TRACE_ALL) {
        begin(&line, t, number, arguments);
        tell(t, &line);
    }
    int64_t result;
    if (number >= lx_call_count) result = lx_unknown(t, number);
    else {
        handler_fn *handler = (handler_fn *)((const char *)lx_calls + lx_calls[number]);
        result = handler(t, a0, a1, a2, a3, a4, a5);
    }
    begin(&line, t, number, arguments);
    end(&line, result);
    tell(t, &line);
    return result;
}

void lx_trace_begin(struct lx_process *p) {
    const char *at = (const char *)p->space->environment, *last = at + p->space->environment_size;
    const size_t bytes = strlen(VARIABLE);
    for (; at < last; at += strlen(at) + 1)
        if (memcmp(at, VARIABLE, MIN(bytes, (size_t)(last - at))) == 0) break;
    if (at >= last || at[bytes] < '1' || at[bytes] > '2') return;
    p->trace = (uint32_t)(at[bytes] - '0');
    (void)kpio_process_set_foreign_entry((uint64_t)lx_entry_traced);
}
