// Files and directories: the system calls with what most callers want of them. Errors are negative errnos.
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "abi/fs.h"
#include "abi/gen/stubs.h"

// The handle alone. A file that is created gets mode 0644.
static inline int64_t file_open(kpio_handle directory, const char *path, uint32_t flags, uint32_t rights) {
    int64_t result = kpio_path_open(directory, path, flags, 0644, rights);
    return result < 0 ? result : (int64_t)(uint32_t)result;
}
static inline int64_t directory_open(kpio_handle directory, const char *path) {
    return file_open(directory, path, KPIO_OPEN_DIRECTORY, KPIO_RIGHTS_SAME);
}
static inline int64_t directory_make(kpio_handle directory, const char *path) {
    return kpio_path_make(directory, path, 0040755, 0, 0);
}
// Moves everything, with as many calls as it takes: bytes moved, fewer only at the end of the file, or the first error.
[[nodiscard]] int64_t file_read_all(kpio_handle file, void *buffer, size_t size, uint64_t offset);
[[nodiscard]] int64_t file_write_all(kpio_handle file, const void *buffer, size_t size, uint64_t offset);
// A whole file by its path; save creates or replaces its content. 0 or bytes read.
[[nodiscard]] int64_t file_load(kpio_handle directory, const char *path, void *buffer, size_t size);
[[nodiscard]] int64_t file_save(kpio_handle directory, const char *path, const void *data, size_t size);

// Entries one by one:  struct directory_reader r; directory_rewind(&r, handle); while (directory_next(&r, &entry) > 0) ...
struct directory_reader {
    kpio_handle directory;
    uint64_t next;
    size_t used, at;
    uint64_t buffer[256];
};
void directory_rewind(struct directory_reader *reader, kpio_handle directory);
// 1, 0 at the end, or an error. The entry is good until the next call.
[[nodiscard]] int64_t directory_next(struct directory_reader *reader, const struct kpio_directory_entry **entry);
