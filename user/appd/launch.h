// Starting an app: one process of its own, with what its manifest asks for and its installer granted.
#pragma once
#include "user/appd/apps.h"

#define LAUNCH_TEXT_MAX 512u
#define LAUNCH_WORDS_MAX 128u

struct launch {
    const struct app_version *version;
    kpio_handle input, output, error;        // pipes, the caller's
    // Terminated: arguments behind an 'a', variables behind an 'e'.
    const char *words;
    size_t words_size;
};
// Where directories that were granted are looked for.
void launch_open(kpio_handle root);
// A handle on the process, or a negative errno and text, terminated, what to tell a person.
[[nodiscard]] int64_t launch_app(const struct launch *launch, char text[LAUNCH_TEXT_MAX]);
