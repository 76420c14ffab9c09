#include "apps/fs/tar/tar.h"

#include <stdlib.h>
#include <string.h>

#define BUCKETS 65536u

static struct tar_node **nodes;  // by number - 1
static uint64_t count, room;
static struct tar_node *table[BUCKETS];

static struct tar_node **bucket_of(const struct tar_node *dir, const char *name, size_t bytes) {
    uint32_t hash = 2166136261u ^ (uint32_t)dir->attr.ino * 2654435761u;
    for (size_t i = 0; i < bytes; i++) hash = (hash ^ (uint8_t)name[i]) * 16777619u;
    return &table[(hash ^ hash >> 16) % BUCKETS];
}

bool tree_is_directory(const struct tar_node *n) { return FS_TYPE(n->attr.mode) == FS_DIRECTORY; }
uint64_t tree_count(void) { return count; }

struct tar_node *tree_node(uint64_t number) { return number != 0 && number <= count ? nodes[number - 1] : NULL; }

struct tar_node *tree_find(const struct tar_node *dir, const char *name, size_t bytes) {
    struct tar_node *n = *bucket_of(dir, name, bytes);
    while (n != NULL && (n->parent != dir || strncmp(n->name, name, bytes) != 0 || n->name[bytes] != 0)) n = n->chain;
    return n;
}

static bool number(struct tar_node *n) {
    if (count == room) {
        const uint64_t more = room != 0 ? 2 * room : 1024;
        struct tar_node **grown = realloc(nodes, more * sizeof *nodes);
        if (grown == NULL) return false;
        nodes = grown;
        room = more;
    }
    nodes[count] = n;
    n->attr.ino = ++count;
    return true;
}

static struct tar_node *make_node(struct tar_node *dir, const char *name, size_t bytes) {
    struct tar_node *n = calloc(1, sizeof *n);
    char *copy = strndup(name, bytes);
    if (n == NULL || copy == NULL || !number(n)) {
        free(n);
        free(copy);
        return NULL;
    }
    n->name = copy;
    n->attr.mode = FS_DIRECTORY | 0755;
    n->attr.nlink = 2;
    n->attr.blksize = 4096;
    return n;
}

static void enter(struct tar_node *dir, struct tar_node *n, size_t bytes) {
    struct tar_node **bucket = bucket_of(dir, n->name, bytes);
    n->parent = dir;
    n->chain = *bucket;
    *bucket = n;
    if (dir->last != NULL) dir->last->next = n;
    else dir->first = n;
    dir->last = n;
}

bool tree_begin(void) { return make_node(NULL, "", 0) != NULL; }

struct tar_node *tree_path(const char *path, bool make) {
    struct tar_node *at = nodes[0];
    for (size_t bytes; at != NULL && *path != 0; path += bytes) {
        path += strspn(path, "/");
        bytes = strcspn(path, "/");
        if (bytes == 0 || (bytes == 1 && path[0] == '.')) continue;
        if (!tree_is_directory(at) || bytes > 255 || (bytes == 2 && memcmp(path, "..", 2) == 0)) return NULL;
        struct tar_node *n = tree_find(at, path, bytes);
        if (n == NULL && make) {
            n = make_node(at, path, bytes);
            if (n != NULL) enter(at, n, bytes);
        }
        at = n;
    }
    return at;
}
