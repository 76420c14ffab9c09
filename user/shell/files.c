// ls, cat, cp, mv, write, mkdir, rm, mount, umount, df, sync: on the root directory that the monitor was given.
#include "lib/string.h"
#include "user/shell/shell.h"

#define RW (KPIO_RIGHT_READ | KPIO_RIGHT_WRITE)

static kpio_handle root(void) { return startup_handle("root"); }

static void put(int64_t handle) {
    if (handle > 0) (void)kpio_handle_close((uint64_t)handle);
}

static void show_entry(kpio_handle dir, const char *name) {
    struct kpio_stat s;
    char target[128];
    static const char letters[] = "?pc?d?b?-?l?s???";
    int64_t error = kpio_path_stat(dir, name, KPIO_PATH_NO_FOLLOW, &s);
    if (error) {
        print("%s: %s\n", name, error_name(error));
        return;
    }
    int64_t bytes = (s.mode & 0170000) == 0120000 ? kpio_path_readlink(dir, name, (uint8_t *)target, sizeof target) : 0;
    print("%c%04o %3u %5u %5u %10lu  %s%s%.*s\n", letters[s.mode >> 12 & 15], s.mode & 07777, s.links, s.uid, s.gid, (unsigned long)s.size,
          name, bytes > 0 ? " -> " : "", bytes > 0 ? (int)bytes : 0, target);
}

int64_t run_ls(unsigned count, char **words) {
    const char *path = count > 1 ? words[1] : "/";
    struct directory_reader r;
    const struct kpio_directory_entry *entry;
    int64_t dir = directory_open(root(), path), error;
    if (dir == -ENOTDIR) {
        show_entry(root(), path);
        return 0;
    }
    if (dir < 0) return dir;
    directory_rewind(&r, (kpio_handle)dir);
    while ((error = directory_next(&r, &entry)) > 0)
        if (strcmp(entry->name, ".") != 0 && strcmp(entry->name, "..") != 0) show_entry((kpio_handle)dir, entry->name);
    put(dir);
    return error;
}

typedef int64_t sink(void *context, const uint8_t *data, size_t size);

static int64_t pour(const char *path, sink *take, void *context) {
    static uint8_t buffer[65536];
    int64_t file = file_open(root(), path, 0, KPIO_RIGHT_READ), bytes;
    if (file < 0) return file;
    while ((bytes = kpio_file_read((kpio_handle)file, buffer, sizeof buffer, KPIO_OFFSET_CURRENT)) > 0) {
        int64_t error = take(context, buffer, (size_t)bytes);
        if (error < 0) bytes = error;
        if (error < 0) break;
    }
    put(file);
    return bytes;
}

static int64_t to_console(void *context, const uint8_t *data, size_t size) {
    print_text((const char *)data, size);
    return 0;
}
static int64_t to_file(void *context, const uint8_t *data, size_t size) {
    return kpio_file_write(*(kpio_handle *)context, data, size, KPIO_OFFSET_CURRENT, 0);
}

int64_t run_cat(unsigned count, char **words) { return pour(words[1], to_console, NULL); }

int64_t run_cp(unsigned count, char **words) {
    int64_t to = file_open(root(), words[2], KPIO_OPEN_CREATE | KPIO_OPEN_TRUNCATE, KPIO_RIGHT_WRITE);
    if (to < 0) return to;
    kpio_handle handle = (kpio_handle)to;
    int64_t error = pour(words[1], to_file, &handle);
    put(to);
    return error;
}

int64_t run_write(unsigned count, char **words) {
    int64_t file = file_open(root(), words[1], KPIO_OPEN_CREATE | KPIO_OPEN_TRUNCATE | KPIO_OPEN_APPEND, KPIO_RIGHT_WRITE), error = 0;
    if (file < 0) return file;
    for (unsigned i = 2; i < count && error >= 0; i++) {
        error = kpio_file_write((kpio_handle)file, (const uint8_t *)words[i], strlen(words[i]), KPIO_OFFSET_CURRENT, 0);
        const char *end = i + 1 < count ? " " : "\n";
        if (error >= 0) error = kpio_file_write((kpio_handle)file, (const uint8_t *)end, 1, KPIO_OFFSET_CURRENT, 0);
    }
    put(file);
    return error < 0 ? error : 0;
}

int64_t run_mkdir(unsigned count, char **words) { return directory_make(root(), words[1]); }
int64_t run_mv(unsigned count, char **words) { return kpio_path_rename(root(), words[1], root(), words[2], 0); }

int64_t run_rm(unsigned count, char **words) {
    int64_t error = kpio_path_unlink(root(), words[1], 0);
    return error == -EISDIR ? kpio_path_unlink(root(), words[1], KPIO_UNLINK_DIRECTORY) : error;
}

int64_t run_mount(unsigned count, char **words) {
    bool memory = strcmp(words[1], "tmpfs") == 0;
    int64_t disk = memory ? 0 : kpio_disk_open(startup_handle("system"), (const uint8_t *)words[1], strlen(words[1]));
    if (disk < 0) return disk;
    int64_t mounted = kpio_fs_mount(memory ? "tmpfs" : "", (kpio_handle)disk, 0, NULL);
    put(disk);
    if (mounted < 0) return mounted;
    int64_t error = kpio_mount_attach(root(), words[2], (kpio_handle)mounted, 0, 0);
    put(mounted);
    return error;
}

int64_t run_umount(unsigned count, char **words) { return kpio_mount_detach(root(), words[1], 0); }

int64_t run_df(unsigned count, char **words) {
    struct kpio_fs_statistics s;
    int64_t dir = directory_open(root(), count > 1 ? words[1] : "/");
    if (dir < 0) return dir;
    int64_t error = kpio_fs_statistics((kpio_handle)dir, &s);
    put(dir);
    if (error) return error;
    print("%s %s: %lu KiB, %lu KiB free; %lu inodes, %lu free%s%s\n", s.type, s.device, (unsigned long)(s.blocks * s.block_size >> 10),
          (unsigned long)(s.blocks_free * s.block_size >> 10), (unsigned long)s.inodes, (unsigned long)s.inodes_free,
          s.flags & KPIO_MOUNT_READ_ONLY ? ", read-only" : "", s.flags & KPIO_MOUNT_DAMAGED ? ", damaged" : "");
    return 0;
}

int64_t run_sync(unsigned count, char **words) { return kpio_fs_sync(0); }
