// /proc: only the directory itself.
#include "user/liblinux/local.h"

static int64_t proc_stat(struct lx_thread *t, const char *path, bool follow, struct kpio_stat *out) {
    out->inode = 1;
    out->mode = LX_S_IFDIR | 0555;
    return *path == 0 ? 0 : -ENOENT;
}

static int64_t proc_list(struct lx_thread *t, const char *path, uint64_t index, char name[256], uint64_t *inode, uint8_t *type) {
    return -ENOENT;
}

const struct lx_local_mount lx_local_proc = {.key = LX_LOCAL_PROC, .point = "/proc", .stat = proc_stat, .list = proc_list};
