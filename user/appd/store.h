// appd's files, below /var/lib/appd of the root:
//
//     key                 the key of all seals, and its digest
//     apps/NAME           a record (record.h)
//     modules/HEX         a module, under its digest
//     cache/HEX.entry     what is known of the artifact of the module HEX (verify.h)
//     cache/HEX.aot       the artifact
//
// A file is whole or it is not there: it is written under another name, made durable, and then gets its name. Names that begin
// with ".new-" are what a power cut has left.
#pragma once
#include "abi/gen/stubs.h"
#include "user/appd/digest.h"

#define STORE_NAME_MAX 80u

struct store {
    kpio_handle top, apps, modules, cache;  // directories, to read and write
    kpio_handle run;                        // the cache again, to read and execute: nobody who holds this writes
    kpio_handle read;                       // the modules, likewise
};

// Opens or makes the folders. What was left half done goes.
[[nodiscard]] int64_t store_open(kpio_handle root, struct store *out);

// The whole content under a name, in place of what was there.
[[nodiscard]] int64_t store_save(kpio_handle directory, const char *name, const void *data, uint64_t size);
// A file to be written by somebody else, without a name that counts: a handle to write to it. store_keep takes it, and
// gives it its name.
[[nodiscard]] int64_t store_begin(kpio_handle directory, uint32_t mode, char temporary[STORE_NAME_MAX]);
[[nodiscard]] int64_t store_keep(kpio_handle directory, kpio_handle file, const char *temporary, const char *name);
void store_give_up(kpio_handle directory, const char *temporary);
// All of a file, terminated; *data is the caller's (heap_free). The length, or -EFBIG above `most`.
[[nodiscard]] int64_t store_load(kpio_handle directory, const char *name, uint64_t most, void **data);
// Takes a name away, durably. That it is not there is no error.
[[nodiscard]] int64_t store_remove(kpio_handle directory, const char *name);

// The key: that of the disk, or a new one, which *lost says where there are apps already.
[[nodiscard]] int64_t store_key(const struct store *store, struct digest *key, bool *lost);

// A file that nobody can write or cut as long as this is held, and nobody could when it was made. What is read of it here is what
// others read who get the file.
struct sealed {
    kpio_handle file, memory;
    uint64_t size;
};
[[nodiscard]] int64_t sealed_open(kpio_handle directory, const char *name, struct sealed *out);
void sealed_close(struct sealed *sealed);
// Its bytes, until sealed_unmap; or NULL.
const void *sealed_map(const struct sealed *sealed);
void sealed_unmap(const struct sealed *sealed, const void *data);
