// The buffer cache over a disk in memory.
// links: kernel/block/buffer.c kernel/block/buffer_write.c
#include "abi/gen/errors.h"
#include "kernel/block/buffer_internal.h"
#include "kernel/mm/slub.h"
#include "tests/unit/disk_host.h"
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

#define BLOCK 1024u
#define BLOCKS 4096u

static struct disk_host disk;
static struct buffer_cache *cache;
static bool no_memory;

void *kmalloc(size_t size) { return no_memory ? NULL : aligned_alloc(64, align_up(size, 64)); }

// A wait lets the device go on, when it holds its requests back.
void completion_wait(struct completion *c)
{
    if (!c->done)
        disk_host_let_go(&disk);
    CHECK(c->done);
}

static void begin(void)
{
    disk_host_create(&disk, BLOCK * BLOCKS);
    for (unsigned i = 0; i < BLOCKS; i++)
        memset(disk.data + i * BLOCK, (int)(i * 7 + 1), BLOCK);
    CHECK_EQ(buffer_cache_create(&disk.device, BLOCK, &cache), 0);
}

static void end(void)
{
    buffer_cache_destroy(cache);
    disk_host_destroy(&disk);
}

static struct buffer *read_one(uint64_t block)
{
    struct buffer *b;

    CHECK_EQ(buffer_read(cache, block, &b), 0);
    return b;
}

TEST(read_comes_from_the_device_once)
{
    begin();
    struct buffer *b = read_one(5);
    CHECK_EQ(b->data[9], 36);
    CHECK_EQ(disk.reads, 1);
    struct buffer *again = read_one(5);
    CHECK(again == b);
    CHECK_EQ(disk.reads, 1);
    buffer_put(b);
    buffer_put(b);
    CHECK(buffer_find(cache, 6) == NULL);
    end();
}

TEST(beyond_the_device_is_refused)
{
    struct buffer *b;

    begin();
    CHECK_EQ(buffer_read(cache, BLOCKS, &b), -EINVAL);
    CHECK_EQ(buffer_new(cache, UINT64_MAX, &b), -EINVAL);
    buffer_read_ahead(cache, BLOCKS - 2, 100);
    CHECK_EQ(buffer_count(cache), 2);
    buffer_read_ahead(cache, UINT64_MAX, 2);
    end();
}

TEST(new_is_zeroed_and_written_by_sync)
{
    struct buffer *b;

    begin();
    CHECK_EQ(buffer_new(cache, 7, &b), 0);
    CHECK_EQ(disk.reads, 0);
    CHECK_EQ(b->data[100], 0);
    b->data[100] = 0xaa;
    buffer_mark_dirty(b);
    CHECK_EQ(disk.data[7 * BLOCK + 100], 50);
    CHECK_EQ(buffer_sync(cache), 0);
    CHECK_EQ(disk.data[7 * BLOCK + 100], 0xaa);
    CHECK_EQ(disk.data[7 * BLOCK + 99], 0);
    CHECK_EQ(disk.writes, 1);
    CHECK_EQ(disk.flushes, 1);
    CHECK_EQ(buffer_sync(cache), 0);
    CHECK_EQ(disk.writes, 1);
    buffer_put(b);
    end();
}

TEST(neighbours_are_written_in_one_request)
{
    begin();
    for (unsigned i = 40; i > 8; i--) {
        struct buffer *b = read_one(i);
        b->data[0] = 0xee;
        buffer_mark_dirty(b);
        buffer_put(b);
    }
    CHECK_EQ(buffer_sync(cache), 0);
    CHECK_EQ(disk.writes, 1);
    for (unsigned i = 9; i <= 40; i++)
        CHECK_EQ(disk.data[i * BLOCK], 0xee);
    end();
}

TEST(read_ahead_reads_what_is_missing)
{
    begin();
    buffer_put(read_one(12));
    buffer_read_ahead(cache, 10, 6);
    CHECK_EQ(disk.reads, 3);
    struct buffer *b = read_one(15);
    CHECK_EQ(b->data[1], 15 * 7 + 1);
    CHECK_EQ(disk.reads, 3);
    buffer_put(b);
    end();
}

TEST(readers_of_one_block_share_a_request)
{
    begin();
    disk.hold = true;
    buffer_read_ahead(cache, 20, 4);
    CHECK(buffer_find(cache, 21) == NULL);
    struct buffer *b = read_one(21);  // waits for the request that is under way
    CHECK_EQ(b->data[0], 21 * 7 + 1);
    CHECK_EQ(disk.reads, 1);
    buffer_put(b);
    buffer_read_ahead(cache, 30, 1);
    disk.fail_at = disk.fail_until = disk.requests + 1;
    CHECK_EQ(buffer_read(cache, 30, &b), -EIO);  // and gets its error
    buffer_put(read_one(30));
    end();
}

TEST(a_block_under_way_is_not_taken_away)
{
    begin();
    disk.hold = true;
    buffer_read_ahead(cache, 20, 4);
    (void)buffer_reclaim(100);
    CHECK_EQ(buffer_count(cache), 4);
    buffer_forget(cache, 20, 2);  // waits
    CHECK_EQ(buffer_count(cache), 2);
    CHECK_EQ(disk.reads, 1);
    end();
}

TEST(want_of_memory_does_not_stop_writing)
{
    begin();
    for (unsigned i = 0; i < 10; i++) {
        struct buffer *b = read_one(50 + i);
        b->data[0] = 0x77;
        buffer_mark_dirty(b);
        buffer_put(b);
    }
    no_memory = true;
    CHECK_EQ(buffer_sync(cache), 0);
    struct buffer *b;
    CHECK_EQ(buffer_read(cache, 99, &b), -ENOMEM);
    no_memory = false;
    for (unsigned i = 0; i < 10; i++)
        CHECK_EQ(disk.data[(50 + i) * BLOCK], 0x77);
    end();
}

TEST(a_read_error_is_told_and_tried_again)
{
    struct buffer *b;

    begin();
    disk.fail_at = disk.fail_until = 1;
    CHECK_EQ(buffer_read(cache, 3, &b), -EIO);
    CHECK(buffer_find(cache, 3) == NULL);
    b = read_one(3);
    CHECK_EQ(b->data[0], 22);
    buffer_put(b);
    end();
}

TEST(a_write_error_is_told_once_and_the_content_stays)
{
    begin();
    struct buffer *b = read_one(3);
    b->data[0] = 0x99;
    buffer_mark_dirty(b);
    disk.fail_at = disk.fail_until = 2;
    CHECK_EQ(buffer_sync(cache), -EIO);
    CHECK_EQ(b->error, -EIO);
    CHECK_EQ(disk.data[3 * BLOCK], 22);
    CHECK_EQ(buffer_sync(cache), 0);
    CHECK_EQ(disk.data[3 * BLOCK], 0x99);
    CHECK_EQ(b->error, 0);
    buffer_put(b);
    end();
}

TEST(ageing_writes_what_is_old)
{
    begin();
    struct buffer *b = read_one(3);
    buffer_mark_dirty(b);
    buffer_age_all();
    CHECK_EQ(disk.writes, 0);
    buffer_age_all();
    CHECK_EQ(disk.writes, 1);
    CHECK((b->state & BUFFER_DIRTY) == 0);
    buffer_put(b);
    end();
}

TEST(an_error_of_ageing_reaches_the_next_sync)
{
    begin();
    struct buffer *b = read_one(3);
    buffer_mark_dirty(b);
    buffer_age_all();
    disk.fail_at = disk.fail_until = disk.requests + 1;
    buffer_age_all();
    CHECK_EQ(buffer_sync(cache), -EIO);
    CHECK_EQ(disk.writes, 2);
    CHECK_EQ(buffer_sync(cache), 0);
    buffer_put(b);
    end();
}

TEST(forgotten_blocks_are_not_written)
{
    begin();
    for (unsigned i = 0; i < 20; i++) {
        struct buffer *b = read_one(100 + i);
        buffer_mark_dirty(b);
        buffer_put(b);
    }
    buffer_forget(cache, 100, 10);
    CHECK_EQ(buffer_count(cache), 10);
    buffer_forget(cache, 105, 1ull << 40);
    CHECK_EQ(buffer_count(cache), 0);
    CHECK_EQ(buffer_sync(cache), 0);
    CHECK_EQ(disk.writes, 0);
    end();
}

TEST(memory_comes_back_from_clean_buffers_only)
{
    begin();
    for (unsigned i = 0; i < 1000; i++)
        buffer_put(read_one(i));
    struct buffer *held = read_one(17), *dirty = read_one(18);
    buffer_mark_dirty(dirty);
    buffer_put(dirty);
    (void)buffer_reclaim(1000);
    CHECK_EQ(buffer_count(cache), 2);
    buffer_put(held);
    CHECK_EQ(buffer_sync(cache), 0);
    (void)buffer_reclaim(1000);
    (void)buffer_reclaim(1000);
    CHECK_EQ(buffer_count(cache), 0);
    end();
}

// What is used stays longer than what is not.
TEST(the_coldest_go_first)
{
    begin();
    for (unsigned i = 0; i < 400; i++)
        buffer_put(read_one(i));
    for (unsigned i = 0; i < 50; i++)
        buffer_put(read_one(i));
    (void)buffer_reclaim(25);  // 100 blocks of 1 KiB
    CHECK_EQ(buffer_count(cache), 300);
    for (unsigned i = 0; i < 50; i++) {
        struct buffer *b = buffer_find(cache, i);
        CHECK(b != NULL);
        buffer_put(b);
    }
    end();
}

// Random operations beside a model of what the device holds and what was dirtied.
TEST(random_operations_agree_with_a_model)
{
    enum { SPAN = 300 };
    static uint8_t content[SPAN], stable[SPAN];
    static bool dirty[SPAN];

    begin();
    memset(dirty, 0, sizeof dirty);
    for (unsigned i = 0; i < SPAN; i++)
        content[i] = stable[i] = (uint8_t)(i * 7 + 1);
    for (unsigned step = 0; step < 60000; step++) {
        uint64_t block = unit_random() % SPAN;
        struct buffer *b;

        switch (unit_random() % 12) {
        case 0:
            CHECK_EQ(buffer_new(cache, block, &b), 0);
            b->data[0] = content[block] = (uint8_t)step;
            buffer_mark_dirty(b);
            dirty[block] = true;
            buffer_put(b);
            break;
        case 1:
        case 2:
            b = read_one(block);
            b->data[0] = content[block] = (uint8_t)step;
            buffer_mark_dirty(b);
            dirty[block] = true;
            buffer_put(b);
            break;
        case 3:
            (void)buffer_reclaim(unit_random() % 20);
            break;
        case 4:
            if (unit_random() % 40 == 0) {
                CHECK_EQ(buffer_sync(cache), 0);
                memcpy(stable, content, sizeof stable);
                memset(dirty, 0, sizeof dirty);
            }
            break;
        case 5:
            buffer_forget(cache, block, 1);
            content[block] = disk.data[block * BLOCK];
            dirty[block] = false;
            break;
        case 6:
            buffer_read_ahead(cache, block, 5);
            break;
        default:
            b = read_one(block);
            CHECK_EQ(b->data[0], content[block]);
            buffer_put(b);
        }
        if (!dirty[block])
            CHECK_EQ(disk.data[block * BLOCK], content[block]);
    }
    end();
}
