// Runs Linux programs of the boot archive on the console, one after the other: kpio.program=PATH,PATH,.. kpio.arguments=A,B,C.
// Everything below "rootfs/" in the archive goes to the root directory first (root=tmpfs). The programs print the KTEST lines
// (tests/linux/lt.h); what this prints is "LINUX begin PATH" and "LINUX end PATH STATUS" around each.
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

int main(int argc, char **argv) {
    static char text[512], programs[1024];
    struct archive archive;
    struct run r = {.archive = &archive};
    bool good = true;
    const char *arguments[ARGUMENTS_MAX + 2], *paths = startup_setting("program"), *list = startup_setting("arguments"), *what = "";
    if (paths == NULL) return fail("kpio.program= is missing", -EINVAL);
    if (list != NULL) memcpy(text, list, strnlen(list, sizeof text - 1));
    memcpy(programs, paths, strnlen(paths, sizeof programs - 1));
    split(text, arguments);
    int64_t error = archive_open(&archive);
    if (error != 0) return fail("the boot archive", error);
    error = prepare(&r, &what);
    if (error < 0) return fail(what, error);
    for (char *path = programs, *next; path != NULL; path = next) {
        next = strchr(path, ',');
        if (next != NULL) *next++ = 0;
        good = run(&r, path, arguments) && good;
    }
    return !good;
}
