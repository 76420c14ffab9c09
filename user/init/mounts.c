#include "user/init/mounts.h"

#include "lib/fmt.h"
#include "lib/string.h"
#include "user/init/root.h"
#include "user/libkpio/file.h"

#define PATH_MAX 256u

static struct mount {
    kpio_handle channel;        // with MANAGE; 0: none can be served
    bool attached, served;      // served: a driver has had an end of this channel
    const struct supervised *server;
} mounts[OPTION_MOUNTS_MAX];

static const struct option_mount *find(const char *tag, struct mount **m) {
    const struct options *o = supervisor.options;
    for (size_t i = 0; i < o->mount_count; i++) {
        if (strcmp(o->mounts[i].tag, tag) != 0) continue;
        *m = &mounts[i];
        return &o->mounts[i];
    }
    return NULL;
}

// The folders of a path that are not there.
static int64_t make_folders(kpio_handle root, const char *path) {
    char part[PATH_MAX];
    const size_t size = strlen(path);
    if (size >= sizeof part) return -ENAMETOOLONG;
    memcpy(part, path, size + 1);
    for (size_t i = 1; i <= size; i++) {
        if ((part[i] != '/' && part[i] != 0) || part[i - 1] == '/') continue;
        const char after = part[i];
        part[i] = 0;
        struct kpio_stat stat;
        int64_t error = kpio_path_stat(root, part, 0, &stat);
        if (error == -ENOENT) error = directory_make(root, part);
        if (error != 0) return error;
        part[i] = after;
    }
    return 0;
}

static void close_channel(struct mount *m) {
    if (m->channel > 0) (void)kpio_handle_close((uint64_t)m->channel);
    m->channel = KPIO_HANDLE_NONE;
    m->served = false;
}

static int64_t attach(struct mount *m, const struct option_mount *o, kpio_handle source) {
    const kpio_handle root = root_directory();
    if (root == KPIO_HANDLE_NONE) return -ENODEV;
    if (m->attached) (void)kpio_mount_detach(root, o->path, KPIO_DETACH_LAZY);
    m->attached = false;
    int64_t error = make_folders(root, o->path);
    if (error == 0) error = kpio_mount_attach(root, o->path, source, 0, 0);
    m->attached = error == 0;
    return error;
}

static int64_t make(struct mount *m, const struct option_mount *o, const struct mount_driver *driver) {
    char options[48];
    int64_t channel = kpio_fuse_create();
    if (channel < 0) return channel;
    (void)fmt_print(options, sizeof options, "%stimeout=%u", driver->stateless ? "stateless," : "", driver->timeout);
    int64_t root = kpio_fuse_mount((kpio_handle)channel, o->read_only ? KPIO_MOUNT_READ_ONLY : 0, options);
    int64_t error = root < 0 ? root : attach(m, o, (kpio_handle)root);
    if (root > 0) (void)kpio_handle_close((uint64_t)root);
    if (error == 0) m->channel = (kpio_handle)channel;
    else (void)kpio_handle_close((uint64_t)channel);
    return error;
}

int64_t mounts_serve(const struct supervised *s, const struct mount_driver *driver) {
    struct mount *m;
    const struct option_mount *o = find(driver->tag, &m);
    if (o == NULL) return -ENOENT;
    if (!supervisor_may_mount(s, driver->tag)) return -EACCES;
    if (m->served) (void)kpio_handle_revoke(m->channel, 0);
    if (driver->fresh && m->served) close_channel(m);
    int64_t result = m->channel > 0 ? 0 : make(m, o, driver);
    if (result == 0) result = kpio_fuse_serve(m->channel);
    if (result < 0) print("init: %s: cannot be mounted at %s: %s\n", driver->tag, o->path, error_name(result));
    else m->server = s, m->served = true;
    return result;
}

void mounts_lose(const struct supervised *s) {
    for (struct mount *m = mounts; m < mounts + OPTION_MOUNTS_MAX; m++)
        if (m->server == s) close_channel(m);
}
