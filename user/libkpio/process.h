// Starting programs, from ELF files in the boot archive.
#pragma once
#include "user/libkpio/startup.h"

// An ELF file: mapped here for reading its headers, and its place in a VMO with EXECUTE for mapping its code.
struct program {
    const void *file;
    uint64_t size;
    kpio_handle vmo;
    uint64_t vmo_offset;  // a multiple of 4,096 when the code is to be mapped
};

struct process_grant {
    const char *name;     // in the startup page
    kpio_handle handle;
    uint32_t rights;      // KPIO_RIGHTS_SAME: all it has
    uint32_t mode;        // KPIO_SEND_*
};

struct process_spec {
    const char *name;
    kpio_handle job;
    const struct program *program;
    const struct process_grant *grants;
    uint32_t grant_count;
    uint32_t options;                // of process_create
    const char *const *arguments;    // NULL-terminated; NULL: the name alone
    const char *const *settings;     // key, value, key, value, ..., NULL; may be NULL
    uint64_t stack_bytes;            // 0: 64 KiB
    uint32_t own_rights;             // rights on its own process, aspace and thread handles; 0: all
};

// Creates the process and starts it: a handle on it, or a negative errno; then nothing is left of it, and *what, if what
// is not NULL, says which step failed. Moved grants are gone once the call succeeds.
int64_t process_spawn(const struct process_spec *spec, const char **what);

// ---- the boot archive -----------------------------------------------------------------------------------------------------
struct archive {
    const void *data;
    uint64_t size;
    kpio_handle vmo;
};
// Maps the VMO "initrd" of the startup page: 0 or a negative errno.
[[nodiscard]] int archive_open(struct archive *archive);
// Finds a program by its path, as "/bin/x" or "bin/x": 0, -ENOENT, -EINVAL (damaged archive).
[[nodiscard]] int archive_program(const struct archive *archive, const char *path, struct program *program);
