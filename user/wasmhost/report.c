#define _GNU_SOURCE  // memmem
#include "user/wasmhost/report.h"

#include "user/wasmhost/options.h"

#include <ctype.h>
#include <kpio_wasmtime.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define FRAMES_SHOWN 50u

void report_text(const char *file, const char *format, ...) {
    va_list args;
    va_start(args, format);
    fprintf(stderr, "wasmhost: %s: ", file);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
}

// Whether the line only introduces the next ones.
static bool is_heading(const char *line, size_t bytes) { return bytes == 10 && memcmp(line, "Caused by:", 10) == 0; }

// Of the picture that shows a place in a text: its source line, and the mark below it.
static bool is_picture(const char *line, const char *stop) {
    while (line < stop && (isdigit((unsigned char)*line) || *line == ' ')) line++;
    return line < stop && *line == '|';
}

// Several lines, causes below one another with numbers before them, become one: "what: why: why".
static void print_joined(const char *text, size_t bytes) {
    static const char place[] = "--> <anon>:";  // LINE:COLUMN of a text
    bool first = true;
    for (const char *end = text + bytes; text < end;) {
        const char *newline = memchr(text, '\n', (size_t)(end - text)), *stop = newline != NULL ? newline : end;
        const char *line = text;
        text = newline != NULL ? newline + 1 : end;
        while (line < stop && isspace((unsigned char)*line)) line++;
        const char *number = line;
        while (number < stop && isdigit((unsigned char)*number)) number++;
        if (number != line && number + 1 < stop && number[0] == ':' && number[1] == ' ') line = number + 2;
        if (line == stop || is_heading(line, (size_t)(stop - line)) || is_picture(line, stop)) continue;
        if ((size_t)(stop - line) > sizeof place - 1 && memcmp(line, place, sizeof place - 1) == 0) {
            fprintf(stderr, " at line %.*s", (int)(stop - line - (int)sizeof place + 1), line + sizeof place - 1);
            continue;
        }
        fprintf(stderr, "%s%.*s", first ? "" : ": ", (int)(stop - line), line);
        first = false;
    }
}

// Which option set the limit that the engine speaks of.
static void print_option(const wasm_byte_vec_t *text) {
    static const struct {
        const char *said, *option;
    } limits[] = {{"instance count too high", "-W max-instances"}, {"table count too high", "-W max-tables"},
                  {"memory count too high", "-W max-memories"}, {"exceeds table limits", "-W max-table-elements"},
                  {"exceeds memory limits", "--memory"}, {"forcing trap when growing", "-W trap-on-grow-failure"},
                  {"growth failure to be a trap", "-W trap-on-grow-failure"}};
    for (unsigned i = 0; i < sizeof limits / sizeof limits[0]; i++)
        if (memmem(text->data, text->size, limits[i].said, strlen(limits[i].said)) != NULL) fprintf(stderr, " (%s)", limits[i].option);
}

void report_error(const char *file, wasmtime_error_t *error) {
    wasm_byte_vec_t text;
    wasmtime_error_message(error, &text);
    fprintf(stderr, "wasmhost: %s: ", file);
    print_joined(text.data, text.size);
    print_option(&text);
    fputc('\n', stderr);
    wasm_byte_vec_delete(&text);
    wasmtime_error_delete(error);
}

static void print_frames(const wasm_frame_vec_t *frames) {
    for (size_t i = 0; i < frames->size && i < FRAMES_SHOWN; i++) {
        const wasm_frame_t *frame = frames->data[i];
        const wasm_name_t *name = wasmtime_frame_func_name(frame);
        bool known = wasm_frame_module_offset(frame) != SIZE_MAX;  // not in a function's prologue
        if (known) fprintf(stderr, "  %2zu: 0x%06zx ", i, wasm_frame_module_offset(frame));
        else fprintf(stderr, "  %2zu:          ", i);
        if (name != NULL) fprintf(stderr, "%.*s", (int)name->size, name->data);
        else fprintf(stderr, "function %u", wasm_frame_func_index(frame));
        if (known) fprintf(stderr, " + 0x%zx", wasm_frame_func_offset(frame));
        fputc('\n', stderr);
    }
    if (frames->size > FRAMES_SHOWN) fprintf(stderr, "      and %zu more\n", frames->size - FRAMES_SHOWN);
}

// The engine's message for a trap begins with its own list of frames: the last line says why.
static void print_reason(const wasm_byte_vec_t *text) {
    size_t end = text->size;
    while (end > 0 && (text->data[end - 1] == '\0' || isspace((unsigned char)text->data[end - 1]))) end--;
    size_t start = end;
    while (start > 0 && text->data[start - 1] != '\n') start--;
    while (start < end && (isspace((unsigned char)text->data[start]) || isdigit((unsigned char)text->data[start]) ||
                           text->data[start] == ':'))
        start++;
    fprintf(stderr, "%.*s", (int)(end - start), text->data + start);
    print_option(text);
    fputc('\n', stderr);
}

// Takes text and frames over; the names of frames are the error's or trap's, which must still be there.
static void print_end(const char *file, wasm_byte_vec_t *text, wasm_frame_vec_t *frames) {
    fprintf(stderr, "wasmhost: %s: ", file);
    print_reason(text);
    print_frames(frames);
    wasm_frame_vec_delete(frames);
    wasm_byte_vec_delete(text);
}

static int end_by_error(const char *file, wasmtime_error_t *error) {
    wasm_byte_vec_t text;
    wasm_frame_vec_t frames;
    int status;
    if (wasmtime_error_exit_status(error, &status)) {
        wasmtime_error_delete(error);
        return status;
    }
    wasmtime_error_message(error, &text);
    wasmtime_error_wasm_trace(error, &frames);
    status = kpio_wasmtime_error_is_trap(error) ? STATUS_TRAP : STATUS_REFUSED;
    print_end(file, &text, &frames);
    wasmtime_error_delete(error);
    return status;
}

int report_end(const char *file, wasmtime_error_t *error, wasm_trap_t *trap) {
    wasm_message_t text;
    wasm_frame_vec_t frames;
    if (error != NULL) return end_by_error(file, error);
    if (trap == NULL) return 0;
    wasm_trap_message(trap, &text);
    wasm_trap_trace(trap, &frames);
    print_end(file, &text, &frames);
    wasm_trap_delete(trap);
    return STATUS_TRAP;
}
