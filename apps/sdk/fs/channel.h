// What wasmhost gives a driver: the imports of the module `kpio_fuse` (user/wasmhost/fuse.h). Inside the SDK.
#pragma once
#include <stdint.h>

#define FS_IMPORT(name) __attribute__((import_module("kpio_fuse"), import_name(name)))

struct fs_part {
    const void *data;
    uint32_t bytes;
};
_Static_assert(sizeof(struct fs_part) == 8, "as the host reads it");

FS_IMPORT("receive") int32_t fs_receive(const struct fs_part *parts, uint32_t count, uint8_t *buffer, uint32_t bytes);
