#include "user/libkpio/file.h"

int64_t file_read_all(kpio_handle file, void *buffer, size_t size, uint64_t offset) {
    size_t done = 0;
    while (done < size) {
        int64_t n = kpio_file_read(file, (uint8_t *)buffer + done, size - done, (int64_t)(offset + done));
        if (n < 0) return n;
        if (n == 0) break;
        done += (size_t)n;
    }
    return (int64_t)done;
}

int64_t file_write_all(kpio_handle file, const void *buffer, size_t size, uint64_t offset) {
    size_t done = 0;
    while (done < size) {
        int64_t n = kpio_file_write(file, (const uint8_t *)buffer + done, size - done, (int64_t)(offset + done), 0);
        if (n < 0) return n;
        done += (size_t)n;
    }
    return (int64_t)done;
}

int64_t file_load(kpio_handle directory, const char *path, void *buffer, size_t size) {
    int64_t file = file_open(directory, path, 0, KPIO_RIGHT_READ);
    if (file < 0) return file;
    int64_t bytes = file_read_all((kpio_handle)file, buffer, size, 0);
    (void)kpio_handle_close((uint64_t)file);
    return bytes;
}

int64_t file_save(kpio_handle directory, const char *path, const void *data, size_t size) {
    int64_t file = file_open(directory, path, KPIO_OPEN_CREATE | KPIO_OPEN_TRUNCATE, KPIO_RIGHT_WRITE);
    if (file < 0) return file;
    int64_t bytes = file_write_all((kpio_handle)file, data, size, 0);
    (void)kpio_handle_close((uint64_t)file);
    return bytes < 0 ? bytes : 0;
}

void directory_rewind(struct directory_reader *r, kpio_handle directory) {
    r->directory = directory;
    r->next = 0;
    r->used = r->at = 0;
}

int64_t directory_next(struct directory_reader *r, const struct kpio_directory_entry **entry) {
    if (r->at == r->used) {
        int64_t bytes = kpio_directory_read(r->directory, r->buffer, sizeof r->buffer, (int64_t)r->next);
        if (bytes <= 0) return bytes;
        r->at = 0;
        r->used = (size_t)bytes;
    }
    const struct kpio_directory_entry *e = (const void *)((const char *)r->buffer + r->at);
    r->at += e->bytes;
    r->next = e->next;
    *entry = e;
    return 1;
}
