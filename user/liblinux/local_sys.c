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

#define SIZE 4096u  // that each file of it tells
static void no_node(struct lx_thread *t, struct lx_text *text) { lx_text_add(text, "0\n"); }
static void nothing(struct lx_thread *t, struct lx_text *text) { lx_text_add(text, "\n"); }
static void kernel_max(struct lx_thread *t, struct lx_text *text) { lx_text_add(text, "63\n"); }
static void huge_pages(struct lx_thread *t, struct lx_text *text) { lx_text_add(text, "always madvise [never]\n"); }

static const struct lx_text_node nodes[] = {
    {"", NULL, 0},
    {"devices", NULL, 0},
    {"devices/system", NULL, 0},
    {"devices/system/cpu", NULL, 0},
    {"devices/system/cpu/isolated", nothing, 0},
    {"devices/system/cpu/kernel_max", kernel_max, 0},
    {"devices/system/cpu/offline", nothing, 0},
    {"devices/system/cpu/online", cpus, 0},
    {"devices/system/cpu/possible", cpus, 0},
    {"devices/system/cpu/present", cpus, 0},
    {"devices/system/node", NULL, 0},
    {"devices/system/node/online", no_node, 0},
    {"devices/system/node/possible", no_node, 0},
    {"fs", NULL, 0},
    {"kernel", NULL, 0},
    {"kernel/mm", NULL, 0},
    {"kernel/mm/transparent_hugepage", NULL, 0},
    {"kernel/mm/transparent_hugepage/enabled", huge_pages, 0},
};
const struct lx_text_tree lx_sys_tree = {nodes, ARRAY_SIZE(nodes)};

static int64_t sys_stat(struct lx_thread *t, const char *path, bool follow, struct kpio_stat *out) {
    const struct lx_text_node *node = lx_text_find(&lx_sys_tree, path);
    if (node == NULL) return -ENOENT;
    out->inode = 1 + (uint64_t)(node - nodes);
    out->mode = node->make == NULL ? LX_S_IFDIR | 0755 : LX_S_IFREG | 0444;
    out->size = node->make == NULL ? 0 : SIZE;
    return 0;
}

static int64_t sys_open(struct lx_thread *t, const char *path, uint64_t flags, struct lx_fd *out) {
    return lx_text_open(t, lx_text_find(&lx_sys_tree, path), (struct lx_about){0}, flags, out);
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
