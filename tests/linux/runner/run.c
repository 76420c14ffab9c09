// Runs a Linux program of the boot archive on the console: kpio.program=PATH, kpio.arguments=A,B,C. Everything below "rootfs/"
// in the archive goes to the root directory first (root=tmpfs). The program itself prints the KTEST lines (tests/linux/lt.h); what this prints is only
// what went wrong before or after.
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

static int64_t spawn(const struct archive *archive, const char *path, const char *const *arguments, const char **what) {
    static const char *const environment[] = {"PATH=/usr/bin:/bin", "HOME=/root", "TERM=dumb", NULL};
    const kpio_handle console = startup_handle("system");
    const struct lx_launch_fd fds[] = {
        {.number = 0, .handle = console, .kind = LX_KIND_CONSOLE, .flags = LX_FD_READ | LX_FD_WRITE},
        {.number = 1, .handle = console, .kind = LX_KIND_CONSOLE, .flags = LX_FD_READ | LX_FD_WRITE},
        {.number = 2, .handle = console, .kind = LX_KIND_CONSOLE, .flags = LX_FD_READ | LX_FD_WRITE},
    };
    *what = "root= on the command line";
    const kpio_handle root = startup_handle("root");
    if (root == KPIO_HANDLE_NONE) return -EINVAL;
    *what = "unpacking rootfs/";
    int64_t result = linux_unpack(archive, "rootfs", root);
    if (result < 0) return result;
    const struct linux_spec spec = {
        .path = path,
        .arguments = arguments,
        .environment = environment,
        .job = startup_handle("job"),
        .archive = archive,
        .root = root,
        .fds = fds,
        .fd_count = 3,
        .options = startup_setting("jit") != NULL,
    };
    return linux_spawn(&spec, what);
}

int main(int argc, char **argv) {
    static char text[512];
    struct archive archive;
    const char *arguments[ARGUMENTS_MAX + 2], *path = startup_setting("program"), *list = startup_setting("arguments"), *what = "";
    if (path == NULL) return fail("kpio.program= is missing", -EINVAL);
    if (list != NULL) memcpy(text, list, strnlen(list, sizeof text - 1));
    arguments[0] = path;
    split(text, arguments);
    int error = archive_open(&archive);
    if (error != 0) return fail("the boot archive", error);
    int64_t process = spawn(&archive, path, arguments, &what), status = 0;
    if (process < 0) return fail(what, process);
    int64_t result = wait_terminated((kpio_handle)process, KPIO_TIME_NEVER, &status);
    if (result < 0) return fail("waiting for it", result);
    if (status != 0) print("%s ended with status 0x%lx\n", path, (unsigned long)status);
    return status != 0;
}
