#include "lib/cpio.h"
#include "lib/string.h"
#include "user/libkpio/file.h"
#include "user/libkpio/linux.h"

#define PATH_MAX 512u

static int64_t make_folders(kpio_handle directory, const char *path) {
    char part[PATH_MAX];
    for (const char *slash = strchr(path, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        size_t bytes = (size_t)(slash - path);
        if (bytes == 0) continue;
        memcpy(part, path, bytes);
        part[bytes] = 0;
        int64_t result = kpio_path_make(directory, part, 0040755, 0, 0);
        if (result < 0 && result != -EEXIST) return result;
    }
    return 0;
}

static int64_t unpack_file(kpio_handle directory, const char *path, const struct cpio_entry *entry) {
    int64_t file = kpio_path_open(directory, path, KPIO_OPEN_CREATE | KPIO_OPEN_TRUNCATE, entry->mode & 07777, KPIO_RIGHT_WRITE);
    if (file < 0) return file;
    int64_t result = file_write_all((kpio_handle)(uint32_t)file, entry->data, entry->size, 0);
    (void)kpio_handle_close((uint32_t)file);
    return result < 0 ? result : 0;
}

static int64_t unpack_link(kpio_handle directory, const char *path, const struct cpio_entry *entry) {
    char target[PATH_MAX];
    if (entry->size >= sizeof target) return -ENAMETOOLONG;
    memcpy(target, entry->data, entry->size);
    target[entry->size] = 0;
    return kpio_path_symlink(directory, path, target, 0);
}

int64_t linux_unpack(const struct archive *archive, const char *prefix, kpio_handle directory) {
    size_t position = 0, length = strlen(prefix);
    struct cpio_entry entry;
    int result;
    while ((result = cpio_next(archive->data, archive->size, &position, &entry, NULL)) == 1) {
        if (strncmp(entry.name, prefix, length) != 0 || entry.name[length] != '/') continue;
        const char *path = entry.name + length + 1;
        int64_t error = strlen(path) < PATH_MAX ? make_folders(directory, path) : -ENAMETOOLONG;
        if (error == 0 && cpio_is_file(&entry)) error = unpack_file(directory, path, &entry);
        if (error == 0 && (entry.mode & 0170000) == 0120000) error = unpack_link(directory, path, &entry);
        if (error == 0 && (entry.mode & 0170000) == 0040000) error = kpio_path_make(directory, path, entry.mode, 0, 0);
        if (error < 0 && error != -EEXIST) return error;
    }
    return result;
}
