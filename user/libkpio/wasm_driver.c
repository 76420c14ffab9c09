#include "user/libkpio/wasm_driver.h"

#include "lib/cpio.h"
#include "lib/fmt.h"
#include "lib/string.h"
#include "lib/util.h"
#include "user/libkpio/file.h"
#include "user/libkpio/linux_root.h"

#define HOST "lib/kpio/wasmhost"
#define ARTIFACT_FD 3
#define ARTIFACT_PATH "/proc/self/fd/3"
#define FDS_MAX 4u
#define NAME_MAX 48u

// A file of the archive, by its last name, in the file system in memory; it is copied only once. Opened to be executed.
static int64_t unpack(const struct wasm_driver *d, const char *path) {
    struct cpio_entry entry;
    struct kpio_stat stat;
    const char *name = path;
    for (const char *slash; (slash = strchr(name, '/')) != NULL;) name = slash + 1;
    int64_t result = cpio_find(d->archive->data, d->archive->size, path, &entry);
    if (result != 0) return result;
    if (kpio_path_stat(d->memory, name, 0, &stat) != 0 || stat.size != entry.size) {
        int64_t file = kpio_path_open(d->memory, name, KPIO_OPEN_CREATE | KPIO_OPEN_TRUNCATE, 0755, KPIO_RIGHT_WRITE);
        if (file < 0) return file;
        result = file_write_all((kpio_handle)(uint32_t)file, entry.data, entry.size, 0);
        (void)kpio_handle_close((uint32_t)file);
        if (result < 0) return result;
    }
    return file_open(d->memory, name, 0, KPIO_RIGHT_READ | KPIO_RIGHT_EXECUTE);
}

// Its root is to be read only, and there is nothing in it.
static int64_t make_root(void) {
    int64_t root = linux_root_make();
    if (root < 0) return root;
    int64_t narrow = kpio_handle_dup((kpio_handle)root, KPIO_RIGHT_READ | KPIO_RIGHT_INSPECT | KPIO_RIGHT_DUPLICATE | KPIO_RIGHT_TRANSFER);
    (void)kpio_handle_close((uint64_t)root);
    return narrow;
}

struct starting {
    const struct wasm_driver *driver;
    kpio_handle host, artifact, root, channel, disk;
};

// Narrowed to what a driver needs of it.
static int64_t open_all(struct starting *s, const char **what) {
    const struct wasm_driver *d = s->driver;
    *what = "/lib/kpio/wasmhost of the boot archive";
    int64_t result = unpack(d, HOST);
    if (result < 0) return result;
    s->host = (kpio_handle)result;
    *what = "its artifact in the boot archive";
    result = unpack(d, d->artifact);
    if (result < 0) return result;
    s->artifact = (kpio_handle)result;
    *what = "a root for it";
    result = make_root();
    if (result < 0) return result;
    s->root = (kpio_handle)result;
    *what = "its channel";
    result = kpio_handle_dup(d->channel, KPIO_RIGHT_RECEIVE | KPIO_RIGHT_WAIT | KPIO_RIGHT_DUPLICATE | KPIO_RIGHT_TRANSFER);
    if (result == -EACCES) result = kpio_handle_dup(d->channel, KPIO_RIGHTS_SAME);
    if (result > 0) s->channel = (kpio_handle)result;
    return result;
}

static int64_t spawn(struct starting *s, const char **what) {
    const struct wasm_driver *d = s->driver;
    const char *words[11 + WASM_DRIVER_ARGUMENTS] = {"wasmhost", "--mode", "aot", "--argv0", d->name, "--memory", d->memory_limit,
                                                     ARTIFACT_PATH, "--"};
    struct lx_launch_fd fds[FDS_MAX];
    char path[NAME_MAX];  // which names the process
    uint32_t count = 9, fd_count = 0;
    (void)fmt_print(path, sizeof path, "/%s-driver", d->name);
    for (uint32_t i = 0; d->arguments != NULL && d->arguments[i] != NULL && i < WASM_DRIVER_ARGUMENTS; i++)
        words[count++] = d->arguments[i];
    words[count] = NULL;
    for (; fd_count < d->fd_count && fd_count < FDS_MAX - 1; fd_count++) fds[fd_count] = d->fds[fd_count];
    fds[fd_count++] = (struct lx_launch_fd){.number = ARTIFACT_FD, .handle = s->artifact, .kind = LX_KIND_FILE, .flags = LX_FD_READ};
    const struct linux_spec spec = {.path = path, .program = s->host, .arguments = words, .job = d->job, .archive = d->archive,
                                    .root = s->root, .fuse = s->channel, .disk = d->disk, .fds = fds, .fd_count = fd_count};
    return linux_spawn(&spec, what);
}

int64_t wasm_driver_spawn(const struct wasm_driver *driver, const char **what) {
    struct starting s = {.driver = driver};
    int64_t result = open_all(&s, what);
    if (result >= 0) result = spawn(&s, what);
    const kpio_handle opened[] = {s.host, s.artifact, s.root, s.channel};
    for (unsigned i = 0; i < ARRAY_SIZE(opened); i++)
        if (opened[i] > 0) (void)kpio_handle_close((uint64_t)opened[i]);
    return result;
}
