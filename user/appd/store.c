#include "user/appd/store.h"

#include "lib/fmt.h"
#include "lib/string.h"
#include "user/libkpio/file.h"
#include "user/libkpio/heap.h"
#include "user/libkpio/startup.h"

#define TOP "/var/lib/appd"
#define TEMPORARY ".new-"
#define WRITING (KPIO_RIGHT_READ | KPIO_RIGHT_WRITE)
#define RUNNING (KPIO_RIGHT_READ | KPIO_RIGHT_EXECUTE)

static void close_if(int64_t handle) {
    if (handle > 0) (void)kpio_handle_close((uint64_t)handle);
}

static int64_t sync_directory(kpio_handle directory) { return kpio_file_sync(directory, 0); }

// ---- folders ------------------------------------------------------------------------------------------------------------------

static int64_t make_folders(kpio_handle root) {
    static const char *const folders[] = {"/var", "/var/lib", TOP, TOP "/apps", TOP "/modules", TOP "/cache"};
    for (unsigned i = 0; i < ARRAY_SIZE(folders); i++) {
        int64_t result = directory_make(root, folders[i]);
        if (result < 0 && result != -EEXIST) return result;
    }
    return 0;
}

static int64_t open_as(kpio_handle root, const char *path, uint32_t rights, kpio_handle *out) {
    int64_t result = file_open(root, path, KPIO_OPEN_DIRECTORY | KPIO_OPEN_ROOT, rights);
    if (result > 0) *out = (kpio_handle)result;
    return result < 0 ? result : 0;
}

// Removing while listing would skip: so one at a time.
static int64_t remove_one_left(kpio_handle directory) {
    struct directory_reader reader;
    const struct kpio_directory_entry *entry;
    directory_rewind(&reader, directory);
    int64_t result;
    while ((result = directory_next(&reader, &entry)) > 0)
        if (strncmp(entry->name, TEMPORARY, sizeof TEMPORARY - 1) == 0) {
            result = kpio_path_unlink(directory, entry->name, 0);
            return result < 0 ? result : 1;
        }
    return result;
}

static int64_t clean(kpio_handle directory) {
    int64_t result;
    while ((result = remove_one_left(directory)) > 0) continue;
    return result;
}

int64_t store_open(kpio_handle root, struct store *out) {
    *out = (struct store){0};
    int64_t error = make_folders(root);
    if (error == 0) error = open_as(root, TOP, WRITING, &out->top);
    if (error == 0) error = open_as(root, TOP "/apps", WRITING, &out->apps);
    if (error == 0) error = open_as(root, TOP "/modules", WRITING, &out->modules);
    if (error == 0) error = open_as(root, TOP "/cache", WRITING, &out->cache);
    if (error == 0) error = open_as(root, TOP "/cache", RUNNING, &out->run);
    if (error == 0) error = open_as(root, TOP "/modules", RUNNING, &out->read);
    const kpio_handle all[] = {out->top, out->apps, out->modules, out->cache};
    for (unsigned i = 0; i < ARRAY_SIZE(all) && error == 0; i++) error = clean(all[i]);
    return error;
}

// ---- files --------------------------------------------------------------------------------------------------------------------

int64_t store_begin(kpio_handle directory, uint32_t mode, char temporary[STORE_NAME_MAX]) {
    static uint64_t number;
    (void)fmt_print(temporary, STORE_NAME_MAX, TEMPORARY "%lu", (unsigned long)__atomic_fetch_add(&number, 1, __ATOMIC_RELAXED));
    int64_t file = kpio_path_open(directory, temporary, KPIO_OPEN_CREATE | KPIO_OPEN_EXCLUSIVE, mode, KPIO_RIGHT_WRITE);
    return file < 0 ? file : (int64_t)(uint32_t)file;
}

void store_give_up(kpio_handle directory, const char *temporary) { (void)kpio_path_unlink(directory, temporary, 0); }

int64_t store_keep(kpio_handle directory, kpio_handle file, const char *temporary, const char *name) {
    int64_t result = kpio_file_sync(file, 0);
    close_if(file);  // whoever finds it under its name may seal it
    if (result == 0) result = kpio_path_rename(directory, temporary, directory, name, 0);
    return result == 0 ? sync_directory(directory) : result;
}

int64_t store_save(kpio_handle directory, const char *name, const void *data, uint64_t size) {
    char temporary[STORE_NAME_MAX];
    int64_t file = store_begin(directory, 0644, temporary);
    if (file < 0) return file;
    int64_t result = file_write_all((kpio_handle)file, data, size, 0);
    if (result >= 0) result = store_keep(directory, (kpio_handle)file, temporary, name);
    else close_if(file);
    if (result < 0) store_give_up(directory, temporary);
    return result;
}

int64_t store_load(kpio_handle directory, const char *name, uint64_t most, void **data) {
    struct kpio_stat stat;
    int64_t file = file_open(directory, name, KPIO_PATH_NO_FOLLOW, KPIO_RIGHT_READ);
    if (file < 0) return file;
    int64_t result = kpio_path_stat((kpio_handle)file, NULL, 0, &stat);
    if (result == 0 && stat.size > most) result = -EFBIG;
    *data = result == 0 ? heap_alloc(stat.size + 1) : NULL;
    if (result == 0) result = *data == NULL ? -ENOMEM : file_read_all((kpio_handle)file, *data, stat.size, 0);
    close_if(file);
    if (result < 0) {
        heap_free(*data);
        return result;
    }
    ((char *)*data)[result] = 0;
    return result;
}

int64_t store_remove(kpio_handle directory, const char *name) {
    int64_t result = kpio_path_unlink(directory, name, 0);
    if (result == -ENOENT) return 0;
    return result < 0 ? result : sync_directory(directory);
}

// ---- the key ------------------------------------------------------------------------------------------------------------------

struct key_file {
    struct digest key, check;
};

static bool has_entries(kpio_handle directory) {
    struct directory_reader reader;
    const struct kpio_directory_entry *entry;
    directory_rewind(&reader, directory);
    while (directory_next(&reader, &entry) > 0)
        if (strcmp(entry->name, ".") != 0 && strcmp(entry->name, "..") != 0) return true;
    return false;
}

static bool read_key(const struct store *store, struct digest *key) {
    struct key_file *file;
    int64_t bytes = store_load(store->top, "key", sizeof *file, (void **)&file);
    if (bytes < 0) return false;
    struct digest check = digest_of(&file->key, sizeof file->key);
    bool good = bytes == sizeof *file && digest_equal(&check, &file->check);
    if (good) *key = file->key;
    memset(file, 0, sizeof *file);
    heap_free(file);
    return good;
}

int64_t store_key(const struct store *store, struct digest *key, bool *lost) {
    struct key_file file;
    *lost = false;
    if (read_key(store, key)) return 0;
    *lost = has_entries(store->apps);
    int64_t error = kpio_random_get(file.key.bytes, sizeof file.key.bytes);
    if (error < 0) return error;
    file.check = digest_of(&file.key, sizeof file.key);
    *key = file.key;
    error = store_save(store->top, "key", &file, sizeof file);
    memset(&file, 0, sizeof file);
    return error;
}

// ---- sealed files ---------------------------------------------------------------------------------------------------------------

int64_t sealed_open(kpio_handle directory, const char *name, struct sealed *out) {
    struct kpio_stat stat;
    int64_t file = file_open(directory, name, KPIO_PATH_NO_FOLLOW, RUNNING), memory = file;
    if (file < 0) return file;
    // Executable memory of a file excludes who writes it, and while it is there nobody comes who would (docs/storage.md).
    memory = kpio_file_vmo((kpio_handle)file, KPIO_RIGHT_READ | KPIO_RIGHT_EXECUTE);
    int64_t error = memory < 0 ? memory : kpio_path_stat((kpio_handle)file, NULL, 0, &stat);
    if (error < 0) {
        close_if(memory);
        close_if(file);
        return error;
    }
    *out = (struct sealed){(kpio_handle)file, (kpio_handle)memory, stat.size};
    return 0;
}

void sealed_close(struct sealed *sealed) {
    close_if(sealed->memory);
    close_if(sealed->file);
    *sealed = (struct sealed){0};
}

static uint64_t pages_of(const struct sealed *sealed) { return align_up(sealed->size, 4096); }

const void *sealed_map(const struct sealed *sealed) {
    if (sealed->size == 0) return NULL;
    int64_t at = kpio_aspace_map(startup_handle("aspace"), sealed->memory, 0, pages_of(sealed), KPIO_MAP_READ, 0);
    return at < 0 ? NULL : (const void *)at;
}

void sealed_unmap(const struct sealed *sealed, const void *data) {
    if (data != NULL) (void)kpio_aspace_unmap(startup_handle("aspace"), (uint64_t)data, pages_of(sealed));
}
