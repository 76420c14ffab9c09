#include "apps/fs/memory/memory.h"

#include <stdlib.h>
#include <string.h>

#define ALL_MAX 65536u               // bytes of names and values of one node
enum { CREATE = 1, REPLACE = 2 };    // setxattr(2)'s flags

static struct extended **find(struct node *n, const char *name) {
    struct extended **at = &n->extended;
    while (*at != NULL && strcmp((*at)->text, name) != 0) at = &(*at)->next;
    return at;
}

static void drop(struct extended **at) {
    struct extended *x = *at;
    *at = x->next;
    free(x);
}

void extended_clear(struct node *n) {
    while (n->extended != NULL) drop(&n->extended);
}

int32_t memory_get_extended(struct fs *fs, uint64_t node, const char *name, struct fs_reply *reply) {
    struct node *n = node_find(node);
    if (n == NULL) return -FS_ESTALE;
    const struct extended *x = *find(n, name);
    if (x == NULL) return -FS_ENODATA;
    return fs_reply_copy(reply, x->text + x->name_bytes, x->value_bytes) ? 0 : -FS_ERANGE;
}

int32_t memory_list_extended(struct fs *fs, uint64_t node, struct fs_reply *reply) {
    const struct node *n = node_find(node);
    if (n == NULL) return -FS_ESTALE;
    for (const struct extended *x = n->extended; x != NULL; x = x->next)
        if (!fs_reply_copy(reply, x->text, x->name_bytes)) return -FS_ERANGE;
    return 0;
}

static bool is_known(const char *name) {
    static const char *const spaces[] = {"user.", "trusted.", "security.", "system."};
    for (unsigned i = 0; i < sizeof spaces / sizeof spaces[0]; i++)
        if (strncmp(name, spaces[i], strlen(spaces[i])) == 0) return true;
    return false;
}

int32_t memory_set_extended(struct fs *fs, uint64_t node, const char *name, const uint8_t *value, uint32_t bytes, uint32_t flags) {
    struct node *n = node_find(node);
    if (n == NULL) return -FS_ESTALE;
    if (!is_known(name)) return -FS_EOPNOTSUPP;
    struct extended **old = find(n, name);
    const uint32_t name_bytes = (uint32_t)strlen(name) + 1;
    uint32_t all = name_bytes + bytes;
    if (*old != NULL && flags & CREATE) return -FS_EEXIST;
    if (*old == NULL && flags & REPLACE) return -FS_ENODATA;
    for (const struct extended *x = n->extended; x != NULL; x = x->next) all += x == *old ? 0 : x->name_bytes + x->value_bytes;
    struct extended *x = all <= ALL_MAX ? malloc(sizeof *x + name_bytes + bytes) : NULL;
    if (x == NULL) return -FS_ENOSPC;
    if (*old != NULL) drop(old);
    *x = (struct extended){.name_bytes = name_bytes, .value_bytes = bytes};
    memcpy(x->text, name, name_bytes);
    memcpy(x->text + name_bytes, value, bytes);
    struct extended **end = &n->extended;
    while (*end != NULL) end = &(*end)->next;
    *end = x;
    node_touch(n, false);
    return 0;
}

int32_t memory_remove_extended(struct fs *fs, uint64_t node, const char *name) {
    struct node *n = node_find(node);
    if (n == NULL) return -FS_ESTALE;
    struct extended **x = find(n, name);
    if (*x == NULL) return -FS_ENODATA;
    drop(x);
    node_touch(n, false);
    return 0;
}
