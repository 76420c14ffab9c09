// Formatting of text, the part of printf that a kernel needs.
// %d %i %u %x %X %o %c %s %p %% with the flags - 0 + space #, width and precision (also *), and the lengths
// hh h l ll z t j. No floating point, no %n. An unknown conversion is printed as it stands and takes no argument.
// %s of NULL prints (null); %p prints 0x and hexadecimal digits.
#pragma once

#include <stdarg.h>
#include <stddef.h>

// Takes `size` characters; called once per piece of output.
typedef void fmt_write_fn(void *context, const char *text, size_t size);

// Formats into `write`. Returns the number of characters produced.
__attribute__((format(printf, 3, 4))) size_t fmt_write(fmt_write_fn *write, void *context, const char *format, ...);
size_t fmt_vwrite(fmt_write_fn *write, void *context, const char *format, va_list args);

// Formats into a buffer: never more than `size` bytes, always terminated when size > 0. Returns the length of the
// whole text, which may be more than fits (truncated when >= size).
__attribute__((format(printf, 3, 4))) size_t fmt_print(char *buffer, size_t size, const char *format, ...);
size_t fmt_vprint(char *buffer, size_t size, const char *format, va_list args);
