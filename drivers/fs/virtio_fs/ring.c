#include "drivers/fs/virtio_fs/ring.h"

#include "lib/string.h"
#include "lib/util.h"

#define PARTS_MAX 4u

static bool is_urgent(uint32_t slot, uint32_t opcode) {
    return slot == FS_PROBE || opcode == FUSE_FORGET || opcode == FUSE_BATCH_FORGET || opcode == FUSE_INTERRUPT;
}

static bool has_reply(uint32_t opcode) { return opcode != FUSE_FORGET && opcode != FUSE_BATCH_FORGET; }

// How much the device may write, at most `room`: what was asked for is what fits.
static uint32_t reply_room(const uint8_t *message, uint32_t opcode, uint32_t bytes, uint32_t room) {
    const struct fuse_read_in *in = (const struct fuse_read_in *)(message + sizeof(struct fuse_in_header));
    bool reads = opcode == FUSE_READ || opcode == FUSE_READDIR || opcode == FUSE_READDIRPLUS;
    if (opcode == FUSE_INTERRUPT) return sizeof(struct fuse_out_header);
    if (!reads) return MIN(room, FS_ARGUMENTS_MAX);
    uint64_t wanted = sizeof(struct fuse_out_header) + (uint64_t)(bytes < sizeof(struct fuse_in_header) + sizeof *in ? 0 : in->size);
    return wanted > room ? 0 : (uint32_t)wanted;
}

// The data of a WRITE stand in a piece of their own: a host's daemon then writes them from where they lie.
static unsigned split(const struct fs_slot *s, uint32_t bytes, struct virtq_buffer *parts) {
    const uint32_t head = sizeof(struct fuse_in_header), fixed = head + sizeof(struct fuse_write_in);
    if (s->opcode != FUSE_WRITE || bytes <= fixed) {
        parts[0] = (struct virtq_buffer){s->address, bytes, false};
        return 1;
    }
    parts[0] = (struct virtq_buffer){s->address, head, false};
    parts[1] = (struct virtq_buffer){s->address + head, fixed - head, false};
    parts[2] = (struct virtq_buffer){s->address + fixed, bytes - fixed, false};
    return 3;
}

int fs_ring_add(struct fs_ring *ring, uint32_t slot, uint32_t bytes) {
    struct fs_slot *s = &ring->slot[slot];
    struct fuse_in_header h;
    struct virtq_buffer parts[PARTS_MAX];
    if (bytes < sizeof h || bytes > s->bytes) return -EINVAL;
    memcpy(&h, s->memory, sizeof h);
    if (h.len != bytes) return -EINVAL;
    s->opcode = h.opcode;
    s->unique = h.unique;
    s->reply_at = (uint32_t)align_up(bytes, 16);
    unsigned count = split(s, bytes, parts);
    if (has_reply(h.opcode)) {
        uint32_t room = s->reply_at < s->bytes ? reply_room(s->memory, h.opcode, bytes, s->bytes - s->reply_at) : 0;
        if (room < sizeof(struct fuse_out_header)) return -EINVAL;
        parts[count++] = (struct virtq_buffer){s->address + s->reply_at, room, true};
    }
    int queue = is_urgent(slot, h.opcode) ? FS_QUEUE_URGENT : FS_QUEUE_REQUEST;
    int error = virtq_add(&ring->queue[queue], parts, count, slot);
    return error != 0 ? error : queue;
}

// Whether what was written is a reply to that message.
static bool is_reply(const struct fs_slot *s, uint32_t written, uint32_t *bytes) {
    struct fuse_out_header h;
    if (written < sizeof h) return false;
    memcpy(&h, s->memory + s->reply_at, sizeof h);
    *bytes = h.len;
    return h.len >= sizeof h && h.len <= written && h.unique == s->unique;
}

int fs_ring_take(struct fs_ring *ring, unsigned queue, struct fs_answer *out) {
    uint32_t slot, written, bytes = 0;
    int taken = virtq_take(&ring->queue[queue], &slot, &written);
    if (taken <= 0) return taken;
    const struct fs_slot *s = &ring->slot[slot];
    bool good = is_reply(s, written, &bytes);
    *out = (struct fs_answer){
        .slot = slot, .opcode = s->opcode, .unique = s->unique, .answers = has_reply(s->opcode) && s->opcode != FUSE_INTERRUPT,
        .reply = good ? s->memory + s->reply_at : NULL, .bytes = good ? bytes : 0};
    return 1;
}
