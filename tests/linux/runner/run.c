// Runs Linux programs of the boot archive on the console, one after the other: kpio.program=PATH, or FOLDER/ for all files of that
// folder, in the archive's order; kpio.arguments=A,B,C. Everything below "rootfs/" in the archive goes to the root directory first (root=tmpfs). The programs print the KTEST lines
// (tests/linux/lt.h); what this prints is "LINUX begin PATH" and "LINUX end PATH STATUS" around each.
#include "lib/cpio.h"
#include "lib/fmt.h"
#include "lib/string.h"
#include "user/libkpio/kpio.h"
#include "user/libkpio/linux.h"

#define ARGUMENTS_MAX 32u

static int fail(const char *what, int64_t error) {
    print("KTEST fail linux: %s: %s\n", what, error_name(error));
    return 1;
}

static void split(char *text, const char *arguments[ARGUMENTS_MAX + 2]) {
    unsigned count = 1;
    for (char *at = text; at != NULL && *at != 0 && count <= ARGUMENTS_MAX;) {
        arguments[count++] = at;
        at = strchr(at, ',');
        if (at != NULL) *at++ = 0;
    }
    arguments[count] = NULL;
}

struct run {
    const struct archive *archive;
    kpio_handle root, memory_fs;
};

static int64_t prepare(struct run *r, const char **what) {
    *what = "root= on the command line";
    r->root = startup_handle("root");
    if (r->root == KPIO_HANDLE_NONE) return -EINVAL;
    *what = "unpacking rootfs/";
    int64_t result = linux_unpack(r->archive, "rootfs", r->root);
    if (result == 0) result = kpio_path_make(r->root, "tmp", 0041777, 0, 0);
    if (result < 0 && result != -EEXIST) return result;
    *what = "a file system in memory";
    result = kpio_fs_mount("tmpfs", 0, 0, NULL);
    if (result < 0) return result;
    r->memory_fs = (kpio_handle)result;
    return 0;
}

static int64_t spawn(const struct run *r, const char *path, const char *const *arguments, const char **what) {
    static const char *const environment[] = {"PATH=/usr/bin:/bin", "HOME=/root", "TERM=dumb", NULL};
    const kpio_handle console = startup_handle("system");
    const struct lx_launch_fd fds[] = {
        {.number = 0, .handle = console, .kind = LX_KIND_CONSOLE, .flags = LX_FD_READ | LX_FD_WRITE},
        {.number = 1, .handle = console, .kind = LX_KIND_CONSOLE, .flags = LX_FD_READ | LX_FD_WRITE},
        {.number = 2, .handle = console, .kind = LX_KIND_CONSOLE, .flags = LX_FD_READ | LX_FD_WRITE},
    };
    const struct linux_spec spec = {
        .path = path,
        .arguments = arguments,
        .environment = environment,
        .job = startup_handle("job"),
        .archive = r->archive,
        .root = r->root,
        .memory_fs = r->memory_fs,
        .fds = fds,
        .fd_count = 3,
        .options = startup_setting("jit") != NULL,
    };
    return linux_spawn(&spec, what);
}

// Whether it ended with status 0.
static bool run(const struct run *r, const char *path, const char **arguments) {
    const char *what = "";
    int64_t status = 0;
    arguments[0] = path;
    print("LINUX begin %s\n", path);
    int64_t process = spawn(r, path, arguments, &what);
    if (process < 0) return fail(what, process), false;
    int64_t result = wait_terminated((kpio_handle)process, KPIO_TIME_NEVER, &status);
    (void)kpio_handle_close((uint64_t)process);
    if (result < 0) return fail("waiting for it", result), false;
    print("LINUX end %s 0x%lx\n", path, (unsigned long)status);
    return status == 0;
}

// All that the archive has in a folder of the root.
static bool run_all(const struct run *r, const char *folder, const char **arguments) {
    char prefix[256], path[256];
    size_t position = 0, length = fmt_print(prefix, sizeof prefix, "rootfs%s", folder);
    struct cpio_entry entry;
    bool good = true;
    while (cpio_next(r->archive->data, r->archive->size, &position, &entry, NULL) == 1) {
        if (!cpio_is_file(&entry) || strncmp(entry.name, prefix, length) != 0) continue;
        fmt_print(path, sizeof path, "%s", entry.name + strlen("rootfs"));
        good = run(r, path, arguments) && good;
    }
    return good;
}

int main(int argc, char **argv) {
    static char text[512];
    struct archive archive;
    struct run r = {.archive = &archive};
    const char *arguments[ARGUMENTS_MAX + 2], *path = startup_setting("program"), *list = startup_setting("arguments"), *what = "";
    if (path == NULL || *path == 0) return fail("kpio.program= is missing", -EINVAL);
    if (list != NULL) memcpy(text, list, strnlen(list, sizeof text - 1));
    split(text, arguments);
    int64_t error = archive_open(&archive);
    if (error != 0) return fail("the boot archive", error);
    error = prepare(&r, &what);
    if (error < 0) return fail(what, error);
    bool folder = path[strlen(path) - 1] == '/';
    return !(folder ? run_all(&r, path, arguments) : run(&r, path, arguments));
}
