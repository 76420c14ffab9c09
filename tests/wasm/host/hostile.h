#pragma once

#define CODE_BYTES 6
extern const unsigned char code[CODE_BYTES];
// Counts a way to make code, and tells one that succeeded.
void try(const char *way, int succeeded);
void try_native_calls(void);
