// The kernel log: a ring of lines, each with time, CPU and level, echoed to the console.
#pragma once
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

// Appends one line (without newline at its end). Any context; bounded; never blocks.
void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));
#define log_error(...) log_write(LOG_ERROR, __VA_ARGS__)
#define log_warn(...) log_write(LOG_WARN, __VA_ARGS__)
#define log_info(...) log_write(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_DEBUG, __VA_ARGS__)

// Copies log text from byte position *pos (a count since boot; too old a position is moved up to the oldest byte kept)
// into buf, advances *pos, returns the bytes copied.
size_t log_read(uint64_t *pos, char *buf, size_t size);

// Lines up to this level are echoed to the console (default LOG_INFO; command line `log=debug|info|warn|error`).
void log_set_console_level(enum log_level level);

// Bytes of log text written since boot.
uint64_t log_end(void);
// Prints the last `lines` lines before byte position `end` on the console again; for panic.
void log_dump_tail(uint64_t end, unsigned lines);

// Provided by arch: nanoseconds since boot for the time stamp; 0 before the clock is known.
uint64_t log_time(void);
// Provided by arch: writes to the boot console. Any context; spins at most for the UART.
void arch_console_write(const char *text, size_t len);
// The same without a carriage return before each newline.
void arch_console_emit(const char *bytes, size_t len);
