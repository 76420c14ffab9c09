// /dev: devices that need no kernel, the terminal, and links to the open descriptors.
#include "abi/gen/stubs.h"
#include "lib/string.h"
#include "lib/util.h"
#include "user/liblinux/fuse.h"
#include "user/liblinux/local.h"
#include "user/liblinux/node.h"

static const struct device {
    const char *name;
    uint64_t number;      // major << 32 | minor
    uint16_t device;
} devices[] = {
    {"null", 1ull << 32 | 3, LX_DEVICE_NULL},       {"zero", 1ull << 32 | 5, LX_DEVICE_ZERO},
    {"full", 1ull << 32 | 7, LX_DEVICE_FULL},       {"random", 1ull << 32 | 8, LX_DEVICE_RANDOM},
    {"urandom", 1ull << 32 | 9, LX_DEVICE_RANDOM},  {"fuse", LX_FUSE_NUMBER, LX_DEVICE_FUSE},
};
static const struct link {
    const char *name, *to;
} links[] = {
    {"fd", "/proc/self/fd"}, {"stdin", "/proc/self/fd/0"}, {"stdout", "/proc/self/fd/1"}, {"stderr", "/proc/self/fd/2"},
};
#define TTY_NUMBER (5ull << 32)

static const struct device *find_device(const char *path) {
    for (unsigned i = 0; i < ARRAY_SIZE(devices); i++)
        if (strcmp(devices[i].name, path) == 0) return &devices[i];
    return NULL;
}

static const struct link *find_link(const char *path, size_t bytes) {
    for (unsigned i = 0; i < ARRAY_SIZE(links); i++)
        if (strlen(links[i].name) == bytes && memcmp(links[i].name, path, bytes) == 0) return &links[i];
    return NULL;
}

// Why there is nothing: below a device, or at all.
static int64_t missing(const char *path) {
    const char *slash = strchr(path, '/');
    if (slash == NULL) return -ENOENT;
    for (unsigned i = 0; i < ARRAY_SIZE(devices); i++) {
        size_t bytes = strlen(devices[i].name);
        if ((size_t)(slash - path) == bytes && memcmp(devices[i].name, path, bytes) == 0) return -ENOTDIR;
    }
    return -ENOENT;
}

#define SHARED "shm"                  // no link: its folder is elsewhere, which nobody is to see
static bool dev_follow(struct lx_thread *t, struct lx_at *at, bool last) {
    const char *slash = strchr(at->text, '/');
    size_t bytes = slash != NULL ? (size_t)(slash - at->text) : strlen(at->text);
    const struct link *link = slash != NULL || last ? find_link(at->text, bytes) : NULL;
    const bool shared = bytes == strlen(SHARED) && memcmp(at->text, SHARED, bytes) == 0;
    const char *leads = shared ? LX_SHARED_POINT : link != NULL ? link->to : NULL;
    if (leads == NULL) return false;
    size_t to = strlen(leads), rest = strlen(at->text + bytes) + 1;
    if (to + rest > sizeof at->text) return false;
    memmove(at->text + to, at->text + bytes, rest);
    memcpy(at->text, leads, to);
    at->handle = lx_process(t)->root;
    at->path = at->text;
    return true;
}

// What posixd serves: terminals.
static bool is_served(const struct lx_thread *t, const char *path) {
    if (lx_process(t)->posixd <= 0) return false;
    return strcmp(path, "tty") == 0 || strcmp(path, "console") == 0 || strcmp(path, "ptmx") == 0 || strcmp(path, "pts") == 0 ||
           strncmp(path, "pts/", 4) == 0;
}

static int64_t dev_stat(struct lx_thread *t, const char *path, bool follow, struct kpio_stat *out) {
    const struct device *d = find_device(path);
    if (is_served(t, path)) return lx_node_stat(t, path, out);
    out->inode = 1;
    out->mode = LX_S_IFDIR | 0755;
    if (*path == 0) return 0;
    out->mode = LX_S_IFCHR | 0666;
    if (strcmp(path, "tty") == 0) out->device = TTY_NUMBER;
    else if (d != NULL) out->device = d->number;
    else if (find_link(path, strlen(path)) != NULL) out->mode = LX_S_IFLNK | 0777;
    else return missing(path);
    out->inode = LX_DEV_INODE((uint32_t)out->device);
    return 0;
}

// The terminal: what the first three descriptors have one of.
static int64_t open_tty(struct lx_process *p, struct lx_fd *out) {
    struct lx_fd fd;
    for (unsigned i = 0; i < 3; i++)
        if (lx_fd_get(p, i, &fd) == 0 && (fd.kind == LX_KIND_CONSOLE || fd.kind == LX_KIND_NODE)) {
            int64_t error = lx_fd_duplicate(&fd, out);
            out->flags = 0;
            return error;
        }
    return -ENXIO;
}

static int64_t dev_open(struct lx_thread *t, const char *path, uint64_t flags, struct lx_fd *out) {
    const struct device *d = find_device(path);
    if (is_served(t, path)) return lx_node_open(t, path, flags, out);
    if (strcmp(path, "tty") == 0) return open_tty(lx_process(t), out);
    return d == NULL ? -ENOENT : lx_device_open(d->number, flags, out);
}

static int64_t dev_readlink(struct lx_thread *t, const char *path, char *out, uint64_t size) {
    const struct link *link = find_link(path, strlen(path));
    if (link == NULL) return -EINVAL;
    size_t bytes = MIN(strlen(link->to), size);
    memcpy(out, link->to, bytes);
    return (int64_t)bytes;
}

static int64_t dev_list(struct lx_thread *t, const char *path, uint64_t *cursor, char name[256], uint64_t *inode, uint8_t *type) {
    uint64_t index = (*cursor)++;
    if (*path == 0 && index == 0 && lx_process(t)->memory_fs > 0) {
        *inode = 1;
        *type = LX_S_IFDIR >> 12;
        memcpy(name, SHARED, sizeof SHARED);
        return 0;
    }
    if (*path == 0 && lx_process(t)->memory_fs > 0) index--;
    const unsigned own = ARRAY_SIZE(devices) + ARRAY_SIZE(links) + (lx_process(t)->posixd <= 0);  // posixd has a tty of its own
    if (strcmp(path, "pts") == 0 && is_served(t, path)) return lx_node_list(t, path, index, name, inode, type);
    if (*path != 0) return -ENOTDIR;
    if (index >= own) return lx_node_list(t, path, index - own, name, inode, type);
    bool device = index < ARRAY_SIZE(devices), tty = own > ARRAY_SIZE(devices) + ARRAY_SIZE(links) && index == ARRAY_SIZE(devices);
    const char *text = device ? devices[index].name : tty ? "tty" : links[index - (own - ARRAY_SIZE(links))].name;
    *inode = 2 + (device ? (uint32_t)devices[index].number : 0);
    *type = (device || tty ? LX_S_IFCHR : LX_S_IFLNK) >> 12;
    memcpy(name, text, strlen(text) + 1);
    return 0;
}

const struct lx_local_mount lx_local_dev = {
    .key = LX_LOCAL_DEV,
    .point = "/dev",
    .follow = dev_follow,
    .stat = dev_stat,
    .open = dev_open,
    .readlink = dev_readlink,
    .list = dev_list,
};

int64_t lx_device_open(uint64_t device, uint64_t flags, struct lx_fd *out) {
    if (device == LX_FUSE_NUMBER) return lx_fuse_open(flags, out);
    for (unsigned i = 0; i < ARRAY_SIZE(devices); i++)
        if (devices[i].number == device) {
            *out = (struct lx_fd){.kind = LX_KIND_DEVICE, .device = devices[i].device, .extra = (uint32_t)device};
            return 0;
        }
    return -ENXIO;
}
