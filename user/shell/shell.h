// The monitor: commands on the console.
#pragma once
#include "user/libkpio/kpio.h"

#define WORDS_MAX 128u  // as many as a line has

struct command {
    const char *name, *usage, *help;
    // words[0] is the command; returns 0 or a negative errno, which is shown.
    int64_t (*run)(unsigned count, char **words);
};
extern const struct command commands[];
extern const size_t command_count;

// A number, or -EINVAL said in the result.
int64_t word_number(const char *word, uint64_t *number);

int64_t run_ps(unsigned count, char **words);
int64_t run_jobs(unsigned count, char **words);
int64_t run_handles(unsigned count, char **words);
int64_t run_kill(unsigned count, char **words);
int64_t run_memory(unsigned count, char **words);
int64_t run_wasm(unsigned count, char **words);
int64_t run_disks(unsigned count, char **words);
int64_t run_log(unsigned count, char **words);
int64_t run_caps(unsigned count, char **words);
int64_t run_services(unsigned count, char **words);
int64_t run_control(unsigned count, char **words);
int64_t run_bench(unsigned count, char **words);
// Apps (apps.c).
int64_t run_app(unsigned count, char **words);
// Files (files.c).
int64_t run_ls(unsigned count, char **words);
int64_t run_cat(unsigned count, char **words);
int64_t run_cp(unsigned count, char **words);
int64_t run_write(unsigned count, char **words);
int64_t run_mkdir(unsigned count, char **words);
int64_t run_rm(unsigned count, char **words);
int64_t run_mv(unsigned count, char **words);
int64_t run_mount(unsigned count, char **words);
int64_t run_umount(unsigned count, char **words);
int64_t run_df(unsigned count, char **words);
int64_t run_sync(unsigned count, char **words);

const char *kind_name(uint32_t kind);
// "READ+WRITE" in short letters; returns buffer.
const char *rights_text(uint32_t rights, char *buffer, size_t size);
