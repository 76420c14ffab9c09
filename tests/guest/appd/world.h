// appd under test: the service is started by the suite, which plays init and whoever installs and runs apps.
#pragma once
#include "protocols/gen/appd.h"
#include "tests/guest/kt/kt.h"
#include "user/libkpio/appd.h"

#define TOP "/var/lib/appd"

// The root directory; the modules of the boot archive are below /m there.
kpio_handle root(void);

// Starts appd, and waits until it has looked at all that was there. What it found is in *status, if not NULL.
void appd_start(struct appd_status_reply *status);
// The same without the wait.
void appd_start_only(void);
// Kills it, as a crash or a power cut would.
void appd_stop(void);
struct appd_status_reply appd_status_now(void);

// What an install, update, grant or removal has said.
struct said {
    int64_t result;
    char text[1025];
};
// `more`: lines of the manifest behind name and version. NULL as module: a handle on no WebAssembly.
struct said app_install(const char *name, const char *version, const char *more, const char *module, uint32_t flags);
struct said app_update(const char *name, const char *version, const char *more, const char *module, uint32_t flags);
struct said app_manifest(const char *manifest, const char *module);
struct said app_grant(const char *name, const char *guest, const char *path, kpio_handle directory, uint32_t flags);
struct said app_remove(const char *name);
// Ends the case where it does not work.
void must(struct said said);
// ... where it does not fail so, or its text has not this in it.
void must_fail(struct said said, int64_t error, const char *text);

struct running {
    kpio_handle process, input, output, error;
};
struct ran {
    int code;                    // its exit status
    char output[512], error[512];
};
// words: arguments behind an 'a', variables behind an 'e', separated by '|'. A negative errno in *result: it was not started.
struct running app_begin(const char *name, const char *words, int64_t *result);
struct ran app_end(struct running *running);
// From beginning to end; must start.
struct ran app_run(const char *name, const char *words);
// The app's only output must be this line, and its exit status 0.
void must_print(const char *name, const char *words, const char *line);

// Reads a line of an app that goes on.
void app_read(const struct running *running, char *line, size_t size);
bool contains(const char *text, const char *piece);
// The name of an app's artifact: 64 digits. From what appd tells.
void artifact_of(const char *name, char hex[65]);
void info_of(const char *name, char *text, size_t size);
// To read and write; what a process that has ended held may take a moment to go.
kpio_handle open_to_write(const char *path);
// Changes a bit of a file while appd is not there.
void flip(const char *path, uint64_t offset);
bool exists(const char *path);
uint64_t size_of(const char *path);
unsigned count_files(const char *folder);
