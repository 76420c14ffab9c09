// /sys: what programs ask about CPUs.
#include "abi/gen/stubs.h"
#include "lib/string.h"
#include "lib/util.h"
#include "user/liblinux/proc.h"

static void cpus(struct lx_thread *t, struct lx_text *text) {
    struct kpio_thread_info info;
    text->error = kpio_thread_info(t->handle, &info);
    if (text->error != 0) return;
    // A process may have been kept to some CPUs; what is online are the first ones, at least up to the last of these.
    const unsigned last = log2_floor(info.online);
    if (last == 0) lx_text_add(text, "0\n");
    else lx_text_add(text, "0-%u\n", last);
}

static void no_node(struct lx_thread *t, struct lx_text *text) { lx_text_add(text, "0\n"); }
static void huge_pages(struct lx_thread *t, struct lx_text *text) { lx_text_add(text, "always madvise [never]\n"); }

static const struct lx_text_node nodes[] = {
    {"", NULL},
    {"devices", NULL},
    {"devices/system", NULL},
    {"devices/system/cpu", NULL},
    {"devices/system/cpu/online", cpus},
    {"devices/system/cpu/possible", cpus},
    {"devices/system/cpu/present", cpus},
    {"devices/system/node", NULL},
    {"devices/system/node/online", no_node},
    {"devices/system/node/possible", no_node},
    {"fs", NULL},
    {"kernel", NULL},
    {"kernel/mm", NULL},
    {"kernel/mm/transparent_hugepage", NULL},
    {"kernel/mm/transparent_hugepage/enabled", huge_pages},
};
const struct lx_text_tree lx_sys_tree = {nodes, ARRAY_SIZE(nodes)};

static int64_t sys_stat(struct lx_thread *t, const char *path, bool follow, struct kpio_stat *out) {
    const struct lx_text_node *node = lx_text_find(&lx_sys_tree, path);
    if (node == NULL) return -ENOENT;
    out->inode = 1 + (uint64_t)(node - nodes);
    out->mode = node->make == NULL ? LX_S_IFDIR | 0555 : LX_S_IFREG | 0444;
    return 0;
}

static int64_t sys_open(struct lx_thread *t, const char *path, uint64_t flags, struct lx_fd *out) {
    return lx_text_open(t, lx_text_find(&lx_sys_tree, path), 0, 0, flags, out);
}

static int64_t sys_list(struct lx_thread *t, const char *path, uint64_t *cursor, char name[256], uint64_t *inode, uint8_t *type) {
    const char *text;
    uint64_t index = (*cursor)++;
    const struct lx_text_node *node = lx_text_child(&lx_sys_tree, path, &index, &text);
    if (node == NULL) return -ENOENT;
    memcpy(name, text, strlen(text) + 1);
    *inode = 1 + (uint64_t)(node - nodes);
    *type = (node->make == NULL ? LX_S_IFDIR : LX_S_IFREG) >> 12;
    return 0;
}

const struct lx_local_mount lx_local_sys = {
    .key = LX_LOCAL_SYS, .point = "/sys", .stat = sys_stat, .open = sys_open, .list = sys_list};
