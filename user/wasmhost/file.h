// Files that are taken whole, and what their first bytes say.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum file_kind { FILE_MODULE, FILE_COMPONENT, FILE_TEXT, FILE_MODULE_ARTIFACT, FILE_COMPONENT_ARTIFACT, FILE_UNKNOWN };

struct whole_file {
    const uint8_t *data;  // mapped: it must not change meanwhile
    size_t bytes;
    enum file_kind kind;
};

// Bytes in memory as such a file.
struct whole_file file_of(const uint8_t *data, size_t bytes);
// The message for a file that is none of the kinds which can be taken: what it is instead.
void file_refuse(const char *name, const struct whole_file *file);
// False with a message that says what is wrong. file_map: of an open file, which may be closed then.
bool file_map(const char *name, int fd, struct whole_file *out);
bool file_open(const char *name, struct whole_file *out);
void file_close(struct whole_file *file);
