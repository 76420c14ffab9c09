// The file system's driver is a Linux program as Debian has it: fuse2fs, from the root file system (root=), where its volume is a file.
// It mounts by itself, through /dev/fuse; what it mounted is moved to a tree of its own, so that the mount ends with its last handle as
// others do.
#include "tests/guest/fs_conformance/fs.h"

#include "user/libkpio/linux.h"

#define POINT "/mnt"

// With one thread (-s): with several, libfuse loses sight of files that are replaced while they are closed.
static int64_t spawn(kpio_handle root) {
    static const char *const arguments[] = {"fuse2fs", "-f", "-s", "/volume", POINT, NULL}, *const environment[] = {NULL};
    struct lx_launch_fd fds[3];
    const char *what;
    for (int i = 0; i < 3; i++)
        fds[i] = (struct lx_launch_fd){.number = i, .kind = LX_KIND_CONSOLE, .handle = kt_system(), .flags = LX_FD_READ | LX_FD_WRITE};
    const struct linux_spec spec = {.path = "/usr/bin/fuse2fs", .arguments = arguments, .environment = environment, .job = kt_job(),
                                    .archive = kt_archive(), .root = root, .system = kt_system(), .fds = fds, .fd_count = 3};
    return linux_spawn(&spec, &what);
}

// Whether the place is another file system than the root by now.
static bool is_mounted(kpio_handle root) {
    struct kpio_stat above, at;
    return kpio_path_stat(root, "/", 0, &above) == 0 && kpio_path_stat(root, POINT, 0, &at) == 0 && at.fs != above.fs;
}

// A tree is there as long as there are handles of it: the root's lies below a file system in memory that nobody sees.
static int64_t into_a_tree(kpio_handle mounted) {
    int64_t tree = kpio_fs_mount("tmpfs", 0, 0, NULL);
    if (tree < 0) return tree;
    int64_t result = kpio_path_make((kpio_handle)tree, "m", 0040755, 0, 0);
    if (result == 0) result = kpio_mount_attach((kpio_handle)tree, "m", mounted, 0, 0);
    if (result == 0) result = kpio_path_open((kpio_handle)tree, "m", KPIO_OPEN_ROOT, 0, KPIO_RIGHTS_SAME);
    (void)kpio_handle_close((uint64_t)tree);
    return result < 0 ? result : result & UINT32_MAX;
}

static int64_t take(kpio_handle root) {
    int64_t opened = kpio_path_open(root, POINT, KPIO_OPEN_ROOT, 0, KPIO_RIGHTS_SAME);
    if (opened < 0) return opened;
    int64_t taken = into_a_tree((kpio_handle)(uint32_t)opened);
    (void)kpio_handle_close((uint32_t)opened);
    int64_t error = kpio_mount_detach(root, POINT, KPIO_DETACH_LAZY);
    return error < 0 ? error : taken;
}

int64_t fs_mount_linux(kpio_handle *process) {
    const uint64_t until = kt_soon();
    const kpio_handle root = startup_handle("root");
    int64_t driver = root == KPIO_HANDLE_NONE ? -ENODEV : spawn(root);
    if (driver < 0) return driver;
    *process = (kpio_handle)driver;
    while (!is_mounted(root)) {
        if (wait_terminated((kpio_handle)driver, time_after_ms(2), NULL) == 0) return -EIO;
        if (time_now() > until) return -ETIMEDOUT;
    }
    return take(root);
}
