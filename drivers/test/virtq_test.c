// links: drivers/virtq.c lib/string.c
#include "drivers/virtq.h"

#include "lib/string.h"
#include "tests/unit/unit.h"

static _Alignas(4096) uint8_t memory[16384];
static struct virtq q;

static void start(uint16_t size) {
    memset(memory, 0, sizeof memory);
    virtq_init(&q, memory, size);
}

// What an honest device does with the next chain: writes `length` bytes of it.
static void device_uses(uint32_t id, uint32_t length) {
    q.used->ring[q.used->index & q.mask] = (struct virtq_used_entry){id, length};
    q.used->index++;
}

static int add_one(uint64_t address, uint32_t length, bool writes, uint32_t cookie) {
    struct virtq_buffer buffer = {address, length, writes};
    return virtq_add(&q, &buffer, 1, cookie);
}

TEST(virtq_layout) {
    CHECK_EQ(virtq_avail_offset(256), 4096);
    CHECK_EQ(virtq_used_offset(256) % 4, 0);
    CHECK(virtq_bytes(256) <= sizeof memory);
    CHECK_EQ(virtq_bytes(8) % 4096, 0);
}

TEST(virtq_one_round) {
    uint32_t cookie, written;
    start(8);
    CHECK_EQ(virtq_take(&q, &cookie, &written), 0);
    CHECK_EQ(add_one(0x1000, 64, true, 7), 0);
    CHECK_EQ(q.avail->index, 0);  // not shown yet
    CHECK(virtq_publish(&q));
    CHECK_EQ(q.avail->index, 1);
    CHECK_EQ(q.desc[q.avail->ring[0]].address, 0x1000);
    device_uses(q.avail->ring[0], 64);
    CHECK_EQ(virtq_take(&q, &cookie, &written), 1);
    CHECK_EQ(cookie, 7);
    CHECK_EQ(written, 64);
    CHECK_EQ(q.free_count, 8);
}

TEST(virtq_full_and_empty_again) {
    uint32_t cookie, written;
    start(8);
    for (int round = 0; round < 100; round++) {
        struct virtq_buffer pair[2] = {{1, 12, false}, {2, 60, false}};
        for (uint32_t i = 0; i < 4; i++) CHECK_EQ(virtq_add(&q, pair, 2, i), 0);
        CHECK_EQ(virtq_add(&q, pair, 1, 9), -ENOSPC);
        (void)virtq_publish(&q);
        for (uint32_t i = 0; i < 4; i++) {  // out of order
            uint16_t position = (uint16_t)(q.avail->index - 1 - i);
            device_uses(q.avail->ring[position & q.mask], 0);
        }
        for (uint32_t i = 0; i < 4; i++) {
            CHECK_EQ(virtq_take(&q, &cookie, &written), 1);
            CHECK_EQ(cookie, 3 - i);
        }
        CHECK_EQ(q.free_count, 8);
        CHECK_EQ(q.in_flight, 0);
    }
}

static void broken_after(uint32_t id, uint32_t length) {
    uint32_t cookie, written;
    device_uses(id, length);
    CHECK_EQ(virtq_take(&q, &cookie, &written), -EIO);
    CHECK_EQ(virtq_take(&q, &cookie, &written), -EIO);  // for good
    CHECK(q.broken);
}

TEST(virtq_device_says_what_cannot_be) {
    start(8);
    (void)add_one(0, 64, true, 0);
    broken_after(8, 0);         // no such descriptor
    start(8);
    (void)add_one(0, 64, true, 0);
    broken_after(5, 0);         // one that is not in flight
    start(8);
    (void)add_one(0, 64, true, 0);
    broken_after(0, 65);        // more than there was room for
    start(8);
    (void)add_one(0, 64, false, 0);
    broken_after(0, 1);         // it was not to write at all
    start(8);
    struct virtq_buffer pair[2] = {{1, 12, false}, {2, 60, true}};
    (void)virtq_add(&q, pair, 2, 0);
    broken_after(1, 0);         // the middle of a chain
    start(8);
    broken_after(0, 0);         // nothing was asked of it
}

TEST(virtq_device_uses_a_chain_twice) {
    uint32_t cookie, written;
    start(8);
    (void)add_one(0, 64, true, 1);
    (void)add_one(0, 64, true, 2);
    device_uses(0, 0);
    CHECK_EQ(virtq_take(&q, &cookie, &written), 1);
    broken_after(0, 0);
}

// The device writes anything into everything that it can reach; nothing outside may be touched, and the queue's own
// account must stay right.
TEST(virtq_device_writes_at_random) {
    for (int round = 0; round < 300; round++) {
        uint32_t cookie, written;
        start((uint16_t)(8 << unit_random() % 4));
        for (int step = 0; step < 200; step++) {
            struct virtq_buffer pair[2] = {{1, 12, false}, {2, 60, true}};
            (void)virtq_add(&q, pair, 1 + unit_random() % 2, (uint32_t)step);
            (void)virtq_publish(&q);
            for (unsigned i = 0; i < 8; i++) memory[unit_random() % virtq_bytes(q.size)] = (uint8_t)unit_random();
            if (unit_random() % 2) q.used->index = (uint16_t)(q.used_next + unit_random() % 3);
            for (int i = 0; i < 4 && virtq_take(&q, &cookie, &written) == 1; i++) CHECK(written <= 60);
            CHECK(q.free_count <= q.size && q.in_flight <= q.size);
        }
    }
}
