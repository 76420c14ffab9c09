// What an app says of itself and asks for, as text: lines of key = value (lib/manifest.h).
//
//     name        = hello                  required: small letters, digits, '-', '_', '.'; a letter first
//     version     = 1.2.0                  required: letters, digits, '.', '-', '+', '_'
//     mode        = aot                    aot (default), jit (asks for executable memory), interp
//     directory   = /data read write       a directory under that name; without "write" to be read only; several lines
//     environment = yes                    the variables that whoever runs it passes on
//     memory      = 64M                    most of a linear memory; default APP_MEMORY_DEFAULT
//     time        = 10s                    wall time of a run; default: none
//     cpu-time    = 2s                     time of processors that a run uses; default: none
//     files       = 16                     most files that are open at a time; default: what its job allows
#pragma once
#include "lib/text.h"

#define APP_NAME_MAX 31u
#define APP_VERSION_MAX 31u
#define APP_PATH_MAX 127u
#define APP_DIRECTORIES_MAX 4u
#define APP_MEMORY_DEFAULT (256ull << 20)
#define APP_FILES_MAX 256u  // of the 512 handles that the job of an app may have

enum app_mode { APP_AOT, APP_JIT, APP_INTERP };

struct app_manifest {
    char name[APP_NAME_MAX + 1], version[APP_VERSION_MAX + 1];
    enum app_mode mode;
    bool environment;
    uint64_t memory, time, cpu_time;   // bytes; ns, 0: none
    uint64_t files;                    // 0: not said
    uint32_t directory_count;
    struct app_directory {
        char guest[APP_PATH_MAX + 1];
        bool writes;
    } directories[APP_DIRECTORIES_MAX];
};

// The first thing that is wrong: where, and which field ("" where there is none).
struct app_flaw {
    unsigned line, column;
    char field[24];
    const char *reason;
};
// False with *flaw. *out is whole only on success.
[[nodiscard]] bool app_manifest_parse(struct text content, struct app_manifest *out, struct app_flaw *flaw);
const char *app_mode_name(enum app_mode mode);
// One of the fields above; what is wrong with the value, or NULL. `seen` has a bit for each field that was set (app_manifest_parse).
const char *app_manifest_set(struct app_manifest *m, struct text key, struct text value, uint32_t *seen);
// What is missing when all was set, or NULL; fills in what has a default.
const char *app_manifest_finish(struct app_manifest *m, uint32_t seen);
// Whether a text is the name of an app.
bool app_name_is_good(struct text name);
// Absolute, at most APP_PATH_MAX bytes, without empty parts, "." and "..", and of characters that need no quoting anywhere.
bool app_path_is_good(struct text path);
