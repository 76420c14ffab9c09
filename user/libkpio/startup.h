// What the process was given at its start: handles by name, arguments, settings.
#pragma once
#include <stdbool.h>

#include "abi/gen/stubs.h"
#include "abi/startup.h"

// The handle of that name, or 0. It stays the process's own; closing it is the caller's affair.
kpio_handle startup_handle(const char *name);
// The value of a key=value setting, or NULL.
const char *startup_setting(const char *key);
// The decimal number with which the value begins (0: with none), or `otherwise` where there is no such setting.
uint64_t startup_number(const char *key, uint64_t otherwise);
const struct kpio_startup *startup_page(void);

// For crt: fills argv, NULL at its end, and returns how many there are.
#define STARTUP_ARGUMENTS_MAX 64u
int startup_arguments(char *argv[STARTUP_ARGUMENTS_MAX + 1]);

// Ends the process.
_Noreturn static inline void process_exit(int64_t status) {
    for (;;) (void)kpio_process_exit((uint64_t)status);
}

// ---- building the page for another process ------------------------------------------------------------------------------
void startup_clear(struct kpio_startup *page);
// 0, -ENOSPC when the page is full, -EINVAL for a name that is empty, too long or there already.
[[nodiscard]] int startup_add_handle(struct kpio_startup *page, const char *name, kpio_handle handle);
[[nodiscard]] int startup_add_argument(struct kpio_startup *page, const char *text);  // before any setting
[[nodiscard]] int startup_add_setting(struct kpio_startup *page, const char *key, const char *value);
// Whether a page is well formed: counts within bounds, every text terminated.
bool startup_is_valid(const struct kpio_startup *page);
