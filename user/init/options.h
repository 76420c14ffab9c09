// What the kernel's command line asks of init: words "kpio.KEY=VALUE" or "kpio.KEY". Other words are the kernel's.
#pragma once
#include <stdbool.h>
#include <stddef.h>

#define OPTION_TEXT_MAX 64u
#define OPTION_SETTINGS_MAX 16u

#define OPTION_MOUNTS_MAX 4u

enum option_mode { MODE_DEMO, MODE_SHELL, MODE_IDLE, MODE_LINUX, MODE_RUN, MODE_TEST, MODE_BENCH };

// kpio.mount=TAG:PATH or TAG:PATH:ro. In PATH, %XX stands for a byte.
struct option_mount {
    const char *tag, *path;
    bool read_only;
};

struct options {
    enum option_mode mode;
    char suite[OPTION_TEXT_MAX];                  // of MODE_TEST and MODE_BENCH
    // Every other kpio.KEY=VALUE, handed to the program as it stands: key, value, key, value, ..., NULL.
    const char *settings[2 * OPTION_SETTINGS_MAX + 1];
    struct option_mount mounts[OPTION_MOUNTS_MAX];
    char text[2048];                              // what settings and mounts point into
    size_t text_used, setting_count, mount_count;
};

// Parses a command line. A word that is wrong is skipped and reported through complain(context, word, what).
void options_parse(struct options *options, const char *line,
                   void (*complain)(void *context, const char *word, const char *what), void *context);
