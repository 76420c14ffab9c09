// The file system's driver is a Linux program as Debian has it: fuse2fs, from a root file system on the first disk, where its volume
// is a file. It mounts by itself, through /dev/fuse; what it mounted is taken out of the tree at once, so that the mount ends with
// its last handle as others do.
#include "tests/guest/fs_conformance/fs.h"

#include "user/libkpio/linux.h"

#define POINT "/mnt"

// The root, mounted once.
static int64_t linux_root(void) {
    static int64_t root;
    if (root > 0) return root;
    int64_t disk = kpio_disk_open(kt_system(), (const uint8_t *)"vda", 3);
    if (disk < 0) return disk;
    root = kpio_fs_mount("ext4", (kpio_handle)disk, 0, NULL);
    (void)kpio_handle_close((uint64_t)disk);
    return root;
}

static int64_t spawn(kpio_handle root) {
    static const char *const arguments[] = {"fuse2fs", "-f", "-o", "rw", "/volume", POINT, NULL}, *const environment[] = {NULL};
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
    return kpio_path_stat(root, "/", 0, &above) == 0 && kpio_path_stat(root, POINT, 0, &at) == 0 && at.device != above.device;
}

static int64_t take(kpio_handle root) {
    int64_t opened = kpio_path_open(root, POINT, KPIO_OPEN_ROOT, 0, KPIO_RIGHTS_SAME);
    if (opened < 0) return opened;
    int64_t error = kpio_mount_detach(root, POINT, KPIO_DETACH_LAZY);
    return error < 0 ? error : opened & UINT32_MAX;
}

int64_t fs_mount_linux(kpio_handle *process) {
    const uint64_t until = kt_soon();
    int64_t root = linux_root();
    int64_t driver = root < 0 ? root : spawn((kpio_handle)root);
    if (driver < 0) return driver;
    *process = (kpio_handle)driver;
    while (!is_mounted((kpio_handle)root)) {
        if (wait_terminated((kpio_handle)driver, time_after_ms(2), NULL) == 0) return -EIO;
        if (time_now() > until) return -ETIMEDOUT;
    }
    return take((kpio_handle)root);
}
