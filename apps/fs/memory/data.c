// Contents: pages by index, in an array that is in order. Files grow at their end mostly, and are read in order.
#include "apps/fs/memory/memory.h"

#include <stdlib.h>
#include <string.h>

#define LEAST(a, b) ((a) < (b) ? (a) : (b))

// The place in the array of the page with that index, or of the first behind it.
static uint32_t page_from(const struct node *n, uint64_t index) {
    if (index < n->page_count && n->pages[index].index == index) return (uint32_t)index;  // a file without holes up to there
    uint32_t low = 0, high = n->page_count;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (n->pages[middle].index < index) low = middle + 1;
        else high = middle;
    }
    return low;
}

static bool is_at(const struct node *n, uint32_t at, uint64_t index) { return at < n->page_count && n->pages[at].index == index; }

static uint8_t *page_make(struct node *n, uint64_t index) {
    const uint32_t at = page_from(n, index);
    if (is_at(n, at, index)) return n->pages[at].data;
    if (n->page_count == n->page_room) {
        const uint32_t room = n->page_room != 0 ? 2 * n->page_room : 4;
        struct page *grown = realloc(n->pages, room * sizeof *grown);
        if (grown == NULL) return NULL;
        n->pages = grown;
        n->page_room = room;
    }
    uint8_t *data = calloc(1, PAGE_BYTES);
    if (data == NULL) return NULL;
    memmove(n->pages + at + 1, n->pages + at, (n->page_count - at) * sizeof *n->pages);
    n->pages[at] = (struct page){index, data};
    n->attr.blocks = ++n->page_count * (PAGE_BYTES / 512);
    return data;
}

// Zeros from offset to end: whole pages go.
static void punch(struct node *n, uint64_t offset, uint64_t end) {
    uint32_t at = page_from(n, offset / PAGE_BYTES), kept = at;
    for (; at < n->page_count; at++) {
        const uint64_t start = n->pages[at].index * PAGE_BYTES;
        const uint64_t from = start > offset ? start : offset, to = LEAST(start + PAGE_BYTES, end);
        if (start >= end) break;
        if (to - from == PAGE_BYTES) {
            free(n->pages[at].data);
            continue;
        }
        memset(n->pages[at].data + (from - start), 0, to - from);
        n->pages[kept++] = n->pages[at];
    }
    if (kept == at) return;
    memmove(n->pages + kept, n->pages + at, (n->page_count - at) * sizeof *n->pages);
    n->page_count -= at - kept;
    n->attr.blocks = n->page_count * (PAGE_BYTES / 512);
}

void data_resize(struct node *n, uint64_t size) {
    if (size < n->attr.size) punch(n, size, UINT64_MAX);
    n->attr.size = size;
}

int32_t memory_read(struct fs *fs, uint64_t node, uint64_t offset, uint32_t bytes, struct fs_reply *reply) {
    const struct node *n = node_find(node);
    if (n == NULL) return -FS_ESTALE;
    if (offset >= n->attr.size) return 0;
    bytes = (uint32_t)LEAST((uint64_t)bytes, n->attr.size - offset);
    uint32_t at = page_from(n, offset / PAGE_BYTES), in = (uint32_t)(offset % PAGE_BYTES);
    for (uint64_t index = offset / PAGE_BYTES; bytes > 0; index++, in = 0) {
        const uint32_t part = LEAST(PAGE_BYTES - in, bytes);
        const bool here = is_at(n, at, index);
        if (!(here ? fs_reply_show(reply, n->pages[at].data + in, part) : fs_reply_zeros(reply, part))) return -FS_EIO;
        at += here;
        bytes -= part;
    }
    return 0;
}

int64_t memory_write(struct fs *fs, uint64_t node, uint64_t offset, const uint8_t *data, uint32_t bytes) {
    struct node *n = node_find(node);
    uint32_t done = 0;
    if (n == NULL) return -FS_ESTALE;
    while (done < bytes) {
        const uint64_t at = offset + done;
        const uint32_t in = (uint32_t)(at % PAGE_BYTES), part = LEAST(PAGE_BYTES - in, bytes - done);
        uint8_t *page = page_make(n, at / PAGE_BYTES);
        if (page == NULL) break;
        memcpy(page + in, data + done, part);
        done += part;
    }
    if (offset + done > n->attr.size) n->attr.size = offset + done;
    node_touch(n, true);
    return done != 0 || bytes == 0 ? (int64_t)done : -FS_ENOSPC;
}

int32_t memory_allocate(struct fs *fs, uint64_t node, uint32_t mode, uint64_t offset, uint64_t bytes) {
    enum { KEEP_SIZE = 1, PUNCH = 2, ZERO = 16 };
    struct node *n = node_find(node);
    const uint64_t end = offset + bytes < offset ? UINT64_MAX : offset + bytes;
    if (n == NULL) return -FS_ESTALE;
    if (mode & ~(uint32_t)(KEEP_SIZE | PUNCH | ZERO)) return -FS_EOPNOTSUPP;
    if (mode & (PUNCH | ZERO)) punch(n, offset, end);
    if (!(mode & KEEP_SIZE) && end > n->attr.size) n->attr.size = end;
    node_touch(n, true);
    return 0;
}

int64_t memory_seek(struct fs *fs, uint64_t node, uint64_t offset, bool data) {
    const struct node *n = node_find(node);
    if (n == NULL) return -FS_ESTALE;
    if (offset >= n->attr.size) return -FS_ENXIO;
    uint64_t index = offset / PAGE_BYTES;
    uint32_t at = page_from(n, index);
    if (data) {
        if (at == n->page_count || n->pages[at].index * PAGE_BYTES >= n->attr.size) return -FS_ENXIO;
        return (int64_t)(n->pages[at].index == index ? offset : n->pages[at].index * PAGE_BYTES);
    }
    if (!is_at(n, at, index)) return (int64_t)offset;
    while (is_at(n, at, index)) at++, index++;
    return (int64_t)LEAST(index * PAGE_BYTES, n->attr.size);
}
