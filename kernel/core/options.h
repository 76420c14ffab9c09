// The kernel's own options on the command line. Words that contain a dot before any '=' (kpio.test=...) belong to user
// space; of the rest, unknown ones and bad values are reported by name and ignored.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "lib/text.h"

struct boot_options {
    uint64_t maxcpus;        // CPUs to use at most
    struct text init;        // the first program, in the boot archive
    uint64_t wasm_pool;      // bytes; UINT64_MAX: not given
    uint64_t disk_timeout;   // ns that a disk may take for a request; 0: any time
    struct text log;         // console level: error, warn, info, debug
    struct text kpti;        // on, off; otherwise by processor
    bool nokaslr;            // fixed addresses (used before the options are read)
    struct text seed;        // entropy (the same)
    struct text root;        // what init mounts: read there, known here
};
extern struct boot_options boot_options;

void boot_options_read(const char *cmdline);
