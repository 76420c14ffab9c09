#include "lib/cpio.h"
#include "user/libkpio/process.h"

int archive_open(struct archive *archive) {
    struct kpio_vmo_info info;
    kpio_handle vmo = startup_handle("initrd");
    int64_t result = kpio_vmo_info(vmo, &info);
    if (result < 0) return (int)result;
    result = kpio_aspace_map(startup_handle("aspace"), vmo, 0, info.size, KPIO_MAP_READ, 0);
    if (result < 0) return (int)result;
    *archive = (struct archive){.data = (const void *)result, .size = info.size, .vmo = vmo};
    return 0;
}

int archive_program(const struct archive *archive, const char *path, struct program *program) {
    struct cpio_entry entry;
    while (*path == '/') path++;
    int error = cpio_find(archive->data, archive->size, path, &entry);
    if (error) return error;
    *program = (struct program){.file = entry.data, .size = entry.size, .vmo = archive->vmo,
                                .vmo_offset = entry.data_offset};
    return 0;
}
