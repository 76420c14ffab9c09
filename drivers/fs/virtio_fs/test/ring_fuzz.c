// links: drivers/fs/virtio_fs/ring.c drivers/virtq.c lib/string.c
// A device that writes anything anywhere in the memory that it was given, between any two steps of the driver, and a kernel that may
// send any message. What the driver then passes on must be a whole message of a slot that was in flight, and slots are never lost
// to a device that does not lie about its ring.
#include <stdlib.h>

#include "drivers/fs/virtio_fs/ring.h"
#include "lib/string.h"
#include "lib/util.h"

#define QUEUE_SIZE 8u

static struct fs_ring ring;
static _Alignas(4096) uint8_t queues[FS_QUEUES][4096];
static bool flying[FS_SLOTS + 1];
static const uint8_t *input;
static size_t left;

static uint8_t byte(void) {
    if (left == 0) return 0;
    left--;
    return *input++;
}
static uint32_t word(void) {
    uint32_t value = byte();
    return value | (uint32_t)byte() << 8 | (uint32_t)byte() << 16 | (uint32_t)byte() << 24;
}

static void check(bool holds) {
    if (!holds) abort();
}

static void start(void) {
    memset(&ring, 0, sizeof ring);
    memset(queues, 0, sizeof queues);
    memset(flying, 0, sizeof flying);
    for (unsigned i = 0; i < FS_QUEUES; i++) virtq_init(&ring.queue[i], queues[i], QUEUE_SIZE);
    for (unsigned i = 0; i <= FS_SLOTS; i++) {
        struct fs_slot *s = &ring.slot[i];
        s->bytes = FS_PROBE_BYTES;  // small, so that the ends are met
        s->memory = malloc(s->bytes);
        memset(s->memory, 0, s->bytes);
        s->address = (uint64_t)s->memory;
    }
}

static void send(void) {
    static const uint32_t opcodes[] = {FUSE_LOOKUP, FUSE_FORGET, FUSE_READ, FUSE_WRITE, FUSE_INTERRUPT, FUSE_BATCH_FORGET, FUSE_INIT,
                                       FUSE_READDIR};
    uint32_t slot = byte() % (FS_SLOTS + 1);
    if (flying[slot]) return;
    struct fuse_in_header h = {.opcode = opcodes[byte() % ARRAY_SIZE(opcodes)], .unique = byte()};
    struct fuse_read_in in = {.size = word() % 5000};
    h.len = (uint32_t)sizeof h + word() % FS_PROBE_BYTES;
    if (byte() % 4 == 0) h.len = sizeof h + sizeof in;
    memcpy(ring.slot[slot].memory, &h, sizeof h);
    memcpy(ring.slot[slot].memory + sizeof h, &in, sizeof in);
    int queue = fs_ring_add(&ring, slot, h.len);
    check(queue == FS_QUEUE_URGENT || queue == FS_QUEUE_REQUEST || queue == -EINVAL || queue == -ENOSPC);
    if (queue < 0) return;
    flying[slot] = true;
    (void)virtq_publish(&ring.queue[queue]);
}

static void take(void) {
    struct fs_answer a;
    int taken = fs_ring_take(&ring, byte() % FS_QUEUES, &a);
    check(taken == 0 || taken == 1 || taken == -EIO);
    if (taken != 1) return;
    check(a.slot <= FS_SLOTS && flying[a.slot]);
    flying[a.slot] = false;
    const struct fs_slot *s = &ring.slot[a.slot];
    if (a.reply != NULL) {
        check(a.bytes >= sizeof(struct fuse_out_header) && a.reply >= s->memory && a.reply + a.bytes <= s->memory + s->bytes);
        volatile uint8_t last = a.reply[a.bytes - 1];
        (void)last;
    }
}

// An honest answer to what is in flight, or nearly one.
static void answer(void) {
    struct virtq *q = &ring.queue[byte() % FS_QUEUES];
    uint16_t head = q->avail->ring[byte() % QUEUE_SIZE];
    q->used->ring[q->used->index % QUEUE_SIZE] = (struct virtq_used_entry){head, word() % 5000};
    q->used->index++;
    uint32_t slot = byte() % (FS_SLOTS + 1);
    struct fs_slot *s = &ring.slot[slot];
    const struct fuse_out_header h = {word() % 5000, 0, byte()};
    if (s->reply_at + sizeof h <= s->bytes) memcpy(s->memory + s->reply_at, &h, sizeof h);
}

static void scribble(void) {
    unsigned where = byte() % (FS_QUEUES + 1);
    if (where < FS_QUEUES) queues[where][word() % sizeof queues[0]] = byte();
    else ring.slot[byte() % (FS_SLOTS + 1)].memory[word() % FS_PROBE_BYTES] = byte();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    input = data;
    left = size;
    start();
    while (left > 0) {
        switch (byte() % 4) {
        case 0: send(); break;
        case 1: take(); break;
        case 2: answer(); break;
        default: scribble(); break;
        }
        unsigned count = 0;
        for (unsigned i = 0; i <= FS_SLOTS; i++) count += flying[i];
        check(count == fs_ring_in_flight(&ring));
    }
    for (unsigned i = 0; i <= FS_SLOTS; i++) free(ring.slot[i].memory);
    return 0;
}
