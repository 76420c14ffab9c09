#include "abi/gen/errors.h"
#include "lib/string.h"
#include "lib/util.h"
#include "user/memfs/memfs.h"

static bool by_index(const struct rb_node *a, const struct rb_node *b) {
    return container_of((struct rb_node *)a, struct memfs_page, node)->index <
           container_of((struct rb_node *)b, struct memfs_page, node)->index;
}

// The page at that index, or the first behind it.
static struct memfs_page *page_from(const struct memfs_node *n, uint64_t index) {
    struct memfs_page *found = NULL;
    for (struct rb_node *at = n->pages.root; at != NULL;) {
        struct memfs_page *p = container_of(at, struct memfs_page, node);
        if (p->index >= index) found = p;
        if (p->index == index) break;
        at = index < p->index ? at->left : at->right;
    }
    return found;
}

static const struct memfs_page *page_next(const struct memfs_page *p) {
    const struct rb_node *next = rb_next(&p->node);
    return next != NULL ? container_of(next, const struct memfs_page, node) : NULL;
}

static struct memfs_page *page_at(const struct memfs_node *n, uint64_t index) {
    struct memfs_page *p = page_from(n, index);
    return p != NULL && p->index == index ? p : NULL;
}

static struct memfs_page *page_make(struct memfs_node *n, uint64_t index) {
    struct memfs_page *p = page_at(n, index);
    if (p != NULL) return p;
    p = heap_alloc(sizeof *p);
    if (p == NULL) return NULL;
    p->index = index;
    rb_insert(&n->pages, &p->node, by_index);
    n->pages_used++;
    return p;
}

static void page_drop(struct memfs_node *n, struct memfs_page *p) {
    rb_remove(&n->pages, &p->node);
    n->pages_used--;
    heap_free(p);
}

void memfs_punch(struct memfs_node *n, uint64_t offset, uint64_t bytes) {
    uint64_t end = offset + bytes < offset ? UINT64_MAX : offset + bytes;
    for (struct memfs_page *p = page_from(n, offset / PAGE_BYTES), *next; p != NULL && p->index * PAGE_BYTES < end; p = next) {
        uint64_t start = p->index * PAGE_BYTES, from = MAX(start, offset), to = MIN(start + PAGE_BYTES, end);
        next = page_from(n, p->index + 1);
        if (to - from == PAGE_BYTES) page_drop(n, p);
        else memset(p->data + (from - start), 0, to - from);
    }
}

void memfs_resize(struct memfs_node *n, uint64_t size) {
    if (size < n->size) memfs_punch(n, size, UINT64_MAX);
    n->size = size;
}

uint32_t memfs_read(const struct memfs_node *n, uint64_t offset, uint32_t bytes, uint8_t *to) {
    if (offset >= n->size) return 0;
    bytes = (uint32_t)MIN((uint64_t)bytes, n->size - offset);
    for (uint32_t done = 0, part; done < bytes; done += part) {
        uint64_t at = offset + done, in = at % PAGE_BYTES;
        part = (uint32_t)MIN(PAGE_BYTES - in, (uint64_t)(bytes - done));
        const struct memfs_page *p = page_at(n, at / PAGE_BYTES);
        if (p != NULL) memcpy(to + done, p->data + in, part);
        else memset(to + done, 0, part);
    }
    return bytes;
}

bool memfs_show(const struct memfs_node *n, uint64_t offset, uint32_t bytes, const struct fuse_call *call) {
    static const uint8_t zeros[PAGE_BYTES];
    if (offset >= n->size) return true;
    bytes = (uint32_t)MIN((uint64_t)bytes, n->size - offset);
    if (bytes / PAGE_BYTES + 2 >= FUSE_PARTS_MAX) return false;
    const struct memfs_page *p = page_from(n, offset / PAGE_BYTES);
    uint32_t in = offset % PAGE_BYTES;
    for (uint64_t index = offset / PAGE_BYTES; bytes > 0; index++, in = 0) {
        uint32_t part = MIN(PAGE_BYTES - in, bytes);
        bool here = p != NULL && p->index == index;
        (void)fuse_call_add(call, here ? p->data + in : zeros, part);
        if (here) p = page_next(p);
        bytes -= part;
    }
    return true;
}

int64_t memfs_write(struct memfs_node *n, uint64_t offset, uint32_t bytes, const uint8_t *from) {
    uint32_t done = 0;
    for (uint32_t part; done < bytes; done += part) {
        uint64_t at = offset + done, in = at % PAGE_BYTES;
        part = (uint32_t)MIN(PAGE_BYTES - in, (uint64_t)(bytes - done));
        struct memfs_page *p = page_make(n, at / PAGE_BYTES);
        if (p == NULL) break;
        memcpy(p->data + in, from + done, part);
    }
    if (offset + done > n->size) n->size = offset + done;
    memfs_touch(n, true);
    return done != 0 || bytes == 0 ? (int64_t)done : -ENOSPC;
}

int64_t memfs_seek(const struct memfs_node *n, uint64_t offset, bool data) {
    if (offset >= n->size) return -ENXIO;
    uint64_t index = offset / PAGE_BYTES;
    const struct memfs_page *p = page_from(n, index);
    if (data) return p == NULL || p->index * PAGE_BYTES >= n->size ? -ENXIO : (int64_t)MAX(offset, p->index * PAGE_BYTES);
    while (p != NULL && p->index == index) p = page_from(n, ++index);
    return (int64_t)MIN(MAX(offset, index * PAGE_BYTES), n->size);
}
