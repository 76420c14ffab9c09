// links: drivers/fs/virtio_fs/ring.c drivers/virtq.c lib/string.c
#include "drivers/fs/virtio_fs/ring.h"

#include <stdlib.h>

#include "lib/string.h"
#include "tests/unit/unit.h"

#define QUEUE_SIZE 16u

static struct fs_ring ring;
static _Alignas(4096) uint8_t queues[FS_QUEUES][8192];

static void start(void) {
    memset(&ring, 0, sizeof ring);
    memset(queues, 0, sizeof queues);
    for (unsigned i = 0; i < FS_QUEUES; i++) virtq_init(&ring.queue[i], queues[i], QUEUE_SIZE);
    for (unsigned i = 0; i <= FS_SLOTS; i++) {
        struct fs_slot *s = &ring.slot[i];
        s->bytes = i == FS_PROBE ? FS_PROBE_BYTES : FS_SLOT_BYTES;
        s->memory = calloc(1, s->bytes);  // ASan watches its ends
        s->address = (uint64_t)(i + 1) << 32;
    }
}

static void end(void) {
    for (unsigned i = 0; i <= FS_SLOTS; i++) free(ring.slot[i].memory);
}

// A message in a slot: its bytes.
static uint32_t message(uint32_t slot, uint32_t opcode, uint64_t unique, const void *in, uint32_t in_bytes, uint32_t data) {
    const struct fuse_in_header h = {.len = (uint32_t)sizeof h + in_bytes + data, .opcode = opcode, .unique = unique, .nodeid = 1};
    memcpy(ring.slot[slot].memory, &h, sizeof h);
    if (in_bytes != 0) memcpy(ring.slot[slot].memory + sizeof h, in, in_bytes);
    return h.len;
}

static uint32_t add_read(uint32_t slot, uint64_t unique, uint32_t size) {
    const struct fuse_read_in in = {.size = size};
    return message(slot, FUSE_READ, unique, &in, sizeof in, 0);
}

// The descriptors of the chain that was added last.
static unsigned chain(unsigned queue, struct virtq_desc *out) {
    const struct virtq *q = &ring.queue[queue];
    unsigned count = 0;
    for (uint16_t at = q->avail->ring[(uint16_t)(q->avail_next - 1) & q->mask];; at = q->desc[at].next) {
        out[count++] = q->desc[at];
        if ((q->desc[at].flags & 1) == 0) return count;
    }
}

// What an honest device does with the chain that was added last.
static void device_uses(unsigned queue, uint32_t slot, uint64_t unique, uint32_t bytes) {
    struct virtq *q = &ring.queue[queue];
    const struct fuse_out_header h = {bytes, 0, unique};
    if (bytes != 0) memcpy(ring.slot[slot].memory + ring.slot[slot].reply_at, &h, sizeof h);
    uint16_t head = q->avail->ring[(uint16_t)(q->avail_next - 1) & q->mask];
    q->used->ring[q->used->index & q->mask] = (struct virtq_used_entry){head, bytes};
    q->used->index++;
}

TEST(a_request_and_its_reply) {
    struct virtq_desc d[8];
    struct fs_answer answer;
    start();
    CHECK_EQ(fs_ring_add(&ring, 3, add_read(3, 42, 4096)), FS_QUEUE_REQUEST);
    CHECK_EQ(fs_ring_in_flight(&ring), 1);
    CHECK_EQ(chain(FS_QUEUE_REQUEST, d), 2);
    CHECK_EQ(d[0].address, 4ull << 32);
    CHECK_EQ(d[0].length, 80);
    CHECK_EQ(d[1].address, (4ull << 32) + 80);
    CHECK_EQ(d[1].length, 16 + 4096);
    CHECK_EQ(fs_ring_take(&ring, FS_QUEUE_REQUEST, &answer), 0);
    device_uses(FS_QUEUE_REQUEST, 3, 42, 16 + 4096);
    CHECK_EQ(fs_ring_take(&ring, FS_QUEUE_REQUEST, &answer), 1);
    CHECK_EQ(answer.slot, 3);
    CHECK_EQ(answer.unique, 42);
    CHECK(answer.answers);
    CHECK(answer.reply == ring.slot[3].memory + 80);
    CHECK_EQ(answer.bytes, 16 + 4096);
    CHECK_EQ(fs_ring_in_flight(&ring), 0);
    end();
}

TEST(data_of_a_write_are_a_piece_of_their_own) {
    struct virtq_desc d[8];
    const struct fuse_write_in in = {.size = FS_DATA_MAX};
    start();
    CHECK_EQ(fs_ring_add(&ring, 0, message(0, FUSE_WRITE, 2, &in, sizeof in, FS_DATA_MAX)), FS_QUEUE_REQUEST);
    CHECK_EQ(chain(FS_QUEUE_REQUEST, d), 4);
    CHECK_EQ(d[0].length, 40);
    CHECK_EQ(d[1].length, 40);
    CHECK_EQ(d[2].length, FS_DATA_MAX);
    CHECK_EQ(d[2].address, (1ull << 32) + 80);
    CHECK_EQ(d[3].address, (1ull << 32) + 80 + FS_DATA_MAX);
    CHECK(d[3].length >= sizeof(struct fuse_out_header));
    CHECK(d[3].address + d[3].length <= (1ull << 32) + FS_SLOT_BYTES);
    end();
}

TEST(forgets_and_interrupts_are_urgent) {
    struct virtq_desc d[8];
    struct fs_answer answer;
    const struct fuse_interrupt_in in = {8};
    start();
    CHECK_EQ(fs_ring_add(&ring, 0, message(0, FUSE_BATCH_FORGET, 2, NULL, 0, 40)), FS_QUEUE_URGENT);
    CHECK_EQ(chain(FS_QUEUE_URGENT, d), 1);
    device_uses(FS_QUEUE_URGENT, 0, 2, 0);
    CHECK_EQ(fs_ring_take(&ring, FS_QUEUE_URGENT, &answer), 1);
    CHECK(!answer.answers);
    CHECK_EQ(fs_ring_add(&ring, 0, message(0, FUSE_INTERRUPT, 9, &in, sizeof in, 0)), FS_QUEUE_URGENT);
    CHECK_EQ(chain(FS_QUEUE_URGENT, d), 2);
    device_uses(FS_QUEUE_URGENT, 0, 9, 16);
    CHECK_EQ(fs_ring_take(&ring, FS_QUEUE_URGENT, &answer), 1);
    CHECK(!answer.answers);
    CHECK_EQ(fs_ring_add(&ring, FS_PROBE, message(FS_PROBE, FUSE_STATFS, 10, NULL, 0, 0)), FS_QUEUE_URGENT);
    end();
}

TEST(what_is_no_message_is_not_sent) {
    start();
    (void)add_read(0, 2, 4096);
    CHECK_EQ(fs_ring_add(&ring, 0, 39), -EINVAL);
    CHECK_EQ(fs_ring_add(&ring, 0, 79), -EINVAL);
    CHECK_EQ(fs_ring_add(&ring, 0, 81), -EINVAL);
    CHECK_EQ(fs_ring_add(&ring, 0, FS_SLOT_BYTES + 1), -EINVAL);
    CHECK_EQ(fs_ring_add(&ring, 0, add_read(0, 2, FS_SLOT_BYTES - 95)), -EINVAL);  // its reply has no room
    CHECK_EQ(fs_ring_add(&ring, 0, add_read(0, 2, UINT32_MAX)), -EINVAL);
    CHECK_EQ(fs_ring_add(&ring, 0, message(0, FUSE_READ, 2, NULL, 0, 0)), FS_QUEUE_REQUEST);  // the host may say what it lacks
    CHECK_EQ(fs_ring_in_flight(&ring), 1);
    end();
}

TEST(a_full_queue_says_so) {
    start();
    for (uint32_t i = 0; i < QUEUE_SIZE / 2; i++) CHECK_EQ(fs_ring_add(&ring, i, add_read(i, 2 * i, 512)), FS_QUEUE_REQUEST);
    CHECK_EQ(fs_ring_add(&ring, QUEUE_SIZE / 2, add_read(QUEUE_SIZE / 2, 100, 512)), -ENOSPC);
    end();
}

// A reply that is none is told as such, and the device may go on.
TEST(replies_that_are_none) {
    static const struct {
        uint32_t len, written;
        uint64_t unique;
    } lies[] = {{16, 15, 42}, {15, 16, 42}, {17, 16, 42}, {UINT32_MAX, 4112, 42}, {0, 4112, 42}, {16, 16, 43}, {16, 0, 42}};
    struct fs_answer answer;
    start();
    for (unsigned i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        CHECK_EQ(fs_ring_add(&ring, 1, add_read(1, 42, 4096)), FS_QUEUE_REQUEST);
        device_uses(FS_QUEUE_REQUEST, 1, 42, 16);
        const struct fuse_out_header h = {lies[i].len, 0, lies[i].unique};
        struct virtq *q = &ring.queue[FS_QUEUE_REQUEST];
        memcpy(ring.slot[1].memory + ring.slot[1].reply_at, &h, sizeof h);
        q->used->ring[(uint16_t)(q->used->index - 1) & q->mask].length = lies[i].written;
        CHECK_EQ(fs_ring_take(&ring, FS_QUEUE_REQUEST, &answer), 1);
        CHECK(answer.answers);
        CHECK(answer.reply == NULL);
        CHECK_EQ(answer.unique, 42);
    }
    end();
}

TEST(more_than_there_was_room_for_is_a_lie) {
    struct fs_answer answer;
    start();
    CHECK_EQ(fs_ring_add(&ring, 1, add_read(1, 42, 4096)), FS_QUEUE_REQUEST);
    device_uses(FS_QUEUE_REQUEST, 1, 42, 16 + 4097);
    CHECK_EQ(fs_ring_take(&ring, FS_QUEUE_REQUEST, &answer), -EIO);
    CHECK_EQ(fs_ring_take(&ring, FS_QUEUE_REQUEST, &answer), -EIO);
    end();
}
