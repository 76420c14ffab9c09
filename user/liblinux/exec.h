// execve: what is looked at before the old program goes, and the launch block for the new one.
#pragma once
#include "user/libkpio/linux_launch.h"
#include "user/liblinux/context.h"

#define LX_SCRIPTS_MAX 5u           // "#!" in a row, as on Linux
#define LX_SCRIPT_LINE 256u         // bytes of the first line that count

struct lx_exec_request {
    uint64_t dirfd, path, flags;    // flags: LX_AT_EMPTY_PATH, LX_AT_SYMLINK_NOFOLLOW
    uint64_t arguments, environment;
};
struct lx_exec_paths {
    char given[8192];               // as the program is told: "/dev/fd/3/name" when it was found through a descriptor
    char found[8192];               // of the ELF file, from the root; empty: not known
};
struct lx_exec {
    struct lx_launch *launch;       // in a mapping of LX_LAUNCH_MAX bytes, the paths behind it
    struct lx_exec_paths *paths;
    uint64_t used;                  // bytes of the block
    kpio_handle program;            // to be executed, with READ and EXECUTE
    kpio_handle pins[2];            // while they are there, nobody writes the program and its interpreter
};
struct lx_script {
    char text[LX_SCRIPTS_MAX][2][LX_SCRIPT_LINE];  // interpreter and its argument; the innermost first
    unsigned depth;
};
// Collects path, arguments (with those of "#!" lines) and environment from the program's memory, and opens what is to run.
// 0 or a negative errno; lx_exec_end follows in every case.
[[nodiscard]] int64_t lx_exec_prepare(struct lx_thread *t, struct lx_exec *e, const struct lx_exec_request *r);
// Adds the signals that were not taken; signal_lock is held until the new program has them.
[[nodiscard]] int64_t lx_exec_add_pending_locked(struct lx_thread *t, struct lx_exec *e);
void lx_exec_end(struct lx_thread *t, struct lx_exec *e);
// The part of it that opens: follows "#!" lines to a program that is an ELF file. Sets program, pins and paths.
[[nodiscard]] int64_t lx_exec_find(struct lx_thread *t, struct lx_exec *e, const struct lx_exec_request *r, struct lx_script *script);
