#include "apps/sdk/fs/reply.h"

#include <string.h>

static const uint8_t zeros[65536];

// Whether the last part ends where the buffer's next byte is.
static bool grows(const struct fs_reply *r) {
    const struct fs_part *last = &r->parts[r->count - 1];
    return (const uint8_t *)last->data + last->bytes == r->buffer + r->used;
}

bool fs_reply_show(struct fs_reply *r, const void *data, uint32_t bytes) {
    if (r->count == FS_PARTS_MAX || bytes > r->most - r->bytes) return false;
    r->parts[r->count++] = (struct fs_part){data, bytes};
    r->bytes += bytes;
    return true;
}

bool fs_reply_zeros(struct fs_reply *r, uint32_t bytes) {
    while (bytes > 0) {
        const uint32_t n = bytes < sizeof zeros ? bytes : sizeof zeros;
        if (!fs_reply_show(r, zeros, n)) return false;
        bytes -= n;
    }
    return true;
}

uint8_t *fs_reply_room(struct fs_reply *r, uint32_t bytes) {
    const bool fits = bytes <= FS_ROOM - r->used && bytes <= r->most - r->bytes && (grows(r) || r->count < FS_PARTS_MAX);
    return fits ? r->buffer + r->used : NULL;
}

void fs_reply_filled(struct fs_reply *r, uint32_t bytes) {
    if (grows(r)) r->parts[r->count - 1].bytes += bytes;
    else r->parts[r->count++] = (struct fs_part){r->buffer + r->used, bytes};
    r->used += bytes;
    r->bytes += bytes;
}

bool fs_reply_copy(struct fs_reply *r, const void *data, uint32_t bytes) {
    uint8_t *room = fs_reply_room(r, bytes);
    if (room == NULL) return false;
    memcpy(room, data, bytes);
    fs_reply_filled(r, bytes);
    return true;
}
