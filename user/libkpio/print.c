#include "user/libkpio/print.h"

#include "abi/gen/errors.h"
#include "lib/fmt.h"
#include "lib/string.h"
#include "user/libkpio/service.h"
#include "user/libkpio/startup.h"

#define LINE_MAX 512u

// One print is one write, so that lines of several processes do not mix.
struct line {
    char text[LINE_MAX];
    size_t used;
};

// init itself holds the whole system.
static kpio_handle console_handle(void) {
    kpio_handle console = startup_handle("console");
    return console != 0 ? console : startup_handle("system");
}

static void line_flush(struct line *line) {
    kpio_handle console = console_handle();
    if (line->used > 0 && console > 0) (void)kpio_console_write(console, line->text, line->used);
    if (line->used > 0 && console == 0) service_log(line->text, line->used);
    line->used = 0;
}

static void line_append(void *context, const char *text, size_t size) {
    struct line *line = context;
    for (size_t i = 0; i < size; i++) {
        line->text[line->used++] = text[i];
        if (line->used == LINE_MAX) line_flush(line);
    }
}

void print_text(const char *text, size_t size) {
    struct line line = {.used = 0};
    line_append(&line, text, size);
    line_flush(&line);
}

void print_args(const char *format, va_list args) {
    struct line line = {.used = 0};
    (void)fmt_vwrite(line_append, &line, format, args);
    line_flush(&line);
}

void print(const char *format, ...) {
    va_list args;
    va_start(args, format);
    print_args(format, args);
    va_end(args);
}

const char *error_name(int64_t error) {
    int64_t number = error < 0 ? -error : error;
    switch (number) {
#define ERROR_CASE(name, value, text) case value: return #name;
        KPIO_ERRORS(ERROR_CASE)
#undef ERROR_CASE
    case 0: return "0";
    default: return "E?";
    }
}
