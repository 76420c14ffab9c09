// Reads boot archives: cpio in the "new ASCII" form (070701, 070702). Nothing is copied, nothing trusted.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cpio_entry {
    const char *name;       // NUL-terminated, inside the archive; a leading "/" or "./" is skipped
    const uint8_t *data;
    size_t size;
    size_t data_offset;     // of data in the archive; our own writer aligns programs to pages
    uint32_t mode;          // UNIX file type and permissions
};

// The position to start with is 0. On success fills *entry, moves *position behind it and returns 1. Returns 0 at the end
// of the archive (trailer), or -EINVAL when it is damaged: then *position is where the bad header stands, and *what, if
// what is not NULL, says what is wrong.
int cpio_next(const void *archive, size_t size, size_t *position, struct cpio_entry *entry, const char **what);

// Finds a file by its whole path (without leading slash): 0, -ENOENT, or -EINVAL for a damaged archive before it.
int cpio_find(const void *archive, size_t size, const char *path, struct cpio_entry *entry);

static inline bool cpio_is_file(const struct cpio_entry *entry) { return (entry->mode & 0170000) == 0100000; }
