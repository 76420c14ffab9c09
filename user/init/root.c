#include "user/init/root.h"

#include "lib/cmdline.h"
#include "lib/string.h"
#include "user/libkpio/file.h"
#include "user/libkpio/print.h"
#include "user/libkpio/startup.h"

#define NAME_MAX 63

static char name[NAME_MAX + 1];

static void read_name(void) {
    static char line[2048];
    int64_t length = kpio_system_boot_info(startup_handle("system"), 0, line, sizeof line - 1);
    if (length <= 0) return;
    struct cmdline_cursor cursor = {.line = text_of(line)};
    for (struct cmdline_word word; cmdline_next(&cursor, &word);)
        if (text_equal(word.key, TEXT("root")) && word.value.data != NULL && !text_copy(name, sizeof name, word.value)) name[0] = 0;
}

bool root_is_named(void) {
    if (name[0] == 0) read_name();
    return name[0] != 0;
}

static int64_t mount_disk(const char *disk) {
    int64_t handle = kpio_disk_open(startup_handle("system"), (const uint8_t *)disk, strlen(disk));
    if (handle < 0) return handle;
    int64_t root = kpio_fs_mount("", (kpio_handle)handle, 0, NULL);
    (void)kpio_handle_close((uint64_t)handle);
    return root;
}

kpio_handle root_directory(void) {
    static kpio_handle root;
    if (root > 0) return root;
    bool disk = root_is_named() && strcmp(name, "tmpfs") != 0;
    const char *device = strncmp(name, "/dev/", 5) == 0 ? name + 5 : name;
    int64_t mounted = disk ? mount_disk(device) : kpio_fs_mount("tmpfs", KPIO_HANDLE_NONE, 0, NULL);
    if (mounted < 0) print("init: root=%s: %s\n", disk ? device : "tmpfs", error_name(mounted));
    else root = (kpio_handle)mounted;
    return root;
}
