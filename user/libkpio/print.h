// Text for people. Lines go to the boot console through the handle "console" (a system handle with the right LOG), or to
// init through the handle "init", which writes the service's name before them; without either they are dropped.
#pragma once
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

__attribute__((format(printf, 1, 2))) void print(const char *format, ...);
void print_text(const char *text, size_t size);
void print_args(const char *format, va_list args);
// The name of an errno (positive or negative): "ENOENT", or "E?".
const char *error_name(int64_t error);
