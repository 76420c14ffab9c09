// The rules that every writable file system follows. The cases are in the folder beside this file.
#include "tests/guest/fs_conformance/fs.h"

#include "lib/fmt.h"
#include "tests/guest/kt/driver.h"
#include "user/libkpio/wasm_driver.h"

static kpio_handle root, home, fs_driver;
static char home_name[32];

const char *fs_type(void) {
    const char *type = startup_setting("fs");
    return type != NULL ? type : "tmpfs";
}

static bool driver_is(const char *name) { return startup_setting("driver") != NULL && strcmp(startup_setting("driver"), name) == 0; }
// Whether the driver is Debian's fuse2fs, which lacks some things on Linux too.
static bool is_linux(void) { return driver_is("fuse2fs"); }

bool fs_has_links(void) { return strcmp(fs_type(), "fat32") != 0; }
bool fs_has_modes(void) { return strcmp(fs_type(), "fat32") != 0; }
bool fs_has_holes(void) { return strcmp(fs_type(), "fat32") != 0 && !is_linux(); }
bool fs_is_far(void) { return startup_setting("driver") != NULL && !driver_is("wasm"); }
bool fs_names_deleted(void) { return !fs_is_far(); }
bool fs_hides_deleted(void) { return !is_linux(); }
bool fs_lists_nodes(void) { return !is_linux(); }
bool fs_minds_xattrs(void) { return !is_linux(); }
bool fs_executes(void) { return strcmp(fs_type(), "fat32") != 0 && strcmp(fs_type(), "fuse") != 0; }

// What the driver of a file system of FUSE gets besides its end of the channel.
static int64_t driver_spec(const char **path, struct process_grant grants[2], const char *const **settings) {
    static const char *const through[] = {"threads", "2", NULL}, *const back[] = {"threads", "2", "writeback", "1", "plus", "1", NULL};
    if (!fs_is_far()) {
        *path = "/bin/memfs";
        *settings = startup_setting("writeback") != NULL ? back : through;
        return 0;
    }
    *path = "/drv/virtio_fs";
    *settings = NULL;
    return kt_device_open(0x1af4 | 0x105a << 16, 0, grants);
}

// There is one at a time, which is the last mount's: it ends a little after that.
static void keep_driver(kpio_handle process) {
    if (fs_driver > 0) (void)kpio_handle_close((uint64_t)fs_driver);
    fs_driver = process;
}

// Two that have one volume open would destroy it. One of a case that failed is still used.
static int64_t mount_linux(void) {
    kpio_handle process = KPIO_HANDLE_NONE;
    if (fs_driver > 0 && wait_terminated(fs_driver, kt_soon(), NULL) != 0) (void)kpio_process_kill(fs_driver, 0);
    if (fs_driver > 0) (void)wait_terminated(fs_driver, KPIO_TIME_NEVER, NULL);
    int64_t mounted = fs_mount_linux(&process);
    if (process > 0) keep_driver(process);
    return mounted;
}

static int64_t start_native(kpio_handle end) {
    struct process_grant grants[4];
    struct program program;
    const char *path, *const *settings;
    int64_t parts = driver_spec(&path, grants, &settings);
    if (parts < 0) return parts;
    grants[parts++] = (struct process_grant){"fuse", end, KPIO_RIGHTS_SAME, KPIO_SEND_MOVE};
    grants[parts++] = (struct process_grant){"console", kt_system(), KPIO_RIGHT_LOG, KPIO_SEND_COPY};
    int64_t error = archive_program(kt_archive(), path, &program);
    if (error != 0) return error;
    const struct process_spec spec = {.name = "driver", .job = kt_job(), .program = &program, .grants = grants,
                                      .grant_count = (uint32_t)parts, .settings = settings};
    return process_spawn(&spec, NULL);
}

// The same rules for a driver in WebAssembly (apps/fs/memory), whose artifact the boot archive has.
static int64_t start_wasm(kpio_handle end) {
    static const char *const through[] = {NULL}, *const back[] = {"writeback=1", NULL};
    const struct lx_launch_fd console = {.number = 2, .handle = kt_system(), .kind = LX_KIND_CONSOLE, .flags = LX_FD_WRITE};
    const struct wasm_driver driver = {.archive = kt_archive(), .artifact = "lib/kpio/fs/memory.aot", .name = "memory",
                                       .memory_limit = "256M", .arguments = startup_setting("writeback") != NULL ? back : through,
                                       .memory = startup_handle("root"), .job = kt_job(), .channel = end, .fds = &console, .fd_count = 1};
    const char *what = "";
    int64_t process = wasm_driver_spawn(&driver, &what);
    if (process < 0) kt_fail(__FILE__, __LINE__, "%s: %s", what, error_name(process));
    (void)kpio_handle_close((uint64_t)end);
    return process;
}

// A driver behind a channel that only it still has a handle on: it ends when it is unmounted.
static int64_t mount_fuse(void) {
    int64_t channel = kpio_fuse_create();
    if (channel < 0) return channel;
    int64_t handle = kpio_fuse_mount((kpio_handle)channel, 0, "timeout=600"), end = kpio_fuse_serve((kpio_handle)channel);
    (void)kpio_handle_close((uint64_t)channel);
    if (handle < 0 || end < 0) return handle < 0 ? handle : end;
    int64_t process = driver_is("wasm") ? start_wasm((kpio_handle)end) : start_native((kpio_handle)end);
    if (process > 0) keep_driver((kpio_handle)process);
    return process < 0 ? process : handle;
}

void fs_await_end(void) {
    if (fs_driver == KPIO_HANDLE_NONE) return;
    (void)wait_terminated(fs_driver, kt_soon(), NULL);
    kt_close(fs_driver);
    fs_driver = KPIO_HANDLE_NONE;
}

static int64_t mount(void) {
    if (strcmp(fs_type(), "fuse") == 0) return is_linux() ? mount_linux() : mount_fuse();
    if (strcmp(fs_type(), "tmpfs") == 0) return kpio_fs_mount("tmpfs", 0, 0, NULL);
    const char *name = startup_setting("disk");
    if (name == NULL) name = "vda";
    int64_t disk = kpio_disk_open(kt_system(), (const uint8_t *)name, strlen(name));
    if (disk < 0) return disk;
    const char *options = strcmp(fs_type(), "ext4") == 0 ? "discard" : NULL;
    int64_t handle = kpio_fs_mount(fs_type(), (kpio_handle)disk, 0, options);
    (void)kpio_handle_close((uint64_t)disk);
    return handle;
}

// The mount of the case before ends a little after its last handle.
kpio_handle fs_mount_quietly(void) {
    uint64_t until = kt_soon();
    int64_t handle;
    while ((handle = mount()) == -EBUSY && time_now() < until) time_sleep_ms(2);
    return (kpio_handle)handle;
}
kpio_handle fs_mount_again(void) { return KT_HANDLE(fs_mount_quietly()); }

kpio_handle fs_begin(void) {
    static unsigned number;
    root = fs_mount_again();
    (void)fmt_print(home_name, sizeof home_name, "case%u", ++number);
    KT_OK(directory_make(root, home_name));
    home = KT_HANDLE(file_open(root, home_name, KPIO_OPEN_ROOT, KPIO_RIGHTS_SAME));
    return home;
}

void fs_leave(void) {
    kt_close(home);
    kt_close(root);
}

void fs_end(void) {
    fs_leave();
    fs_await_end();
}

kpio_handle fs_open(kpio_handle dir, const char *path, uint32_t flags, uint32_t rights) {
    return KT_HANDLE(file_open(dir, path, flags, rights));
}
kpio_handle fs_create(kpio_handle dir, const char *path) { return fs_open(dir, path, KPIO_OPEN_CREATE | KPIO_OPEN_EXCLUSIVE, RW); }
void fs_write_text(kpio_handle dir, const char *path, const char *text) { KT_OK(file_save(dir, path, text, strlen(text))); }
void fs_expect_text(kpio_handle dir, const char *path, const char *text) {
    char buffer[256];
    KT_EQUAL(file_load(dir, path, buffer, sizeof buffer), strlen(text));
    KT_EQUAL(memcmp(buffer, text, strlen(text)), 0);
}
void fs_mkdir(kpio_handle dir, const char *path) { KT_OK(directory_make(dir, path)); }
kpio_handle fs_opendir(kpio_handle dir, const char *path) { return KT_HANDLE(directory_open(dir, path)); }
struct kpio_stat fs_stat(kpio_handle dir, const char *path) {
    struct kpio_stat stat;
    KT_OK(kpio_path_stat(dir, path, KPIO_PATH_NO_FOLLOW, &stat));
    return stat;
}
bool fs_exists(kpio_handle dir, const char *path) {
    struct kpio_stat stat;
    int64_t error = kpio_path_stat(dir, path, KPIO_PATH_NO_FOLLOW, &stat);
    if (error != -ENOENT) KT_OK(error);
    return error == 0;
}
unsigned fs_count(kpio_handle dir) {
    struct directory_reader r;
    const struct kpio_directory_entry *entry;
    unsigned count = 0;
    directory_rewind(&r, dir);
    while (KT_OK(directory_next(&r, &entry)) > 0) count++;
    return count;
}

// What is made at the first use and kept (the caches' slabs) shows here, and not as a leak of the case that comes first.
KT_TEST_FLAGS(the_first_mount, KT_LEAKY) {
    static const uint8_t data[65536];
    kpio_handle dir = fs_begin();
    KT_OK(file_save(dir, "file", data, sizeof data));
    KT_OK(kpio_fs_sync(dir));
    KT_EQUAL(fs_stat(dir, "file").size, sizeof data);
    fs_end();
}
