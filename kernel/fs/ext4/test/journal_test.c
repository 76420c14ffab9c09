// The journal over a disk in memory: what a crash leaves behind, and every way a commit can go wrong.
// links: kernel/block/buffer.c kernel/block/buffer_write.c kernel/fs/ext4/journal.c kernel/fs/ext4/journal_format.c kernel/fs/ext4/journal_revoke.c kernel/fs/ext4/journal_transaction.c kernel/fs/ext4/journal_access.c kernel/fs/ext4/journal_commit.c kernel/fs/ext4/journal_checkpoint.c kernel/fs/ext4/journal_recover.c kernel/fs/ext4/test/journal_disk.c lib/crc32c.c
#include "abi/gen/errors.h"
#include "kernel/fs/ext4/journal_internal.h"
#include "kernel/fs/ext4/test/journal_disk.h"
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

static struct journal_disk d;

// One operation: writes `value` all over some blocks.
static void change(uint64_t block, unsigned count, uint8_t value)
{
    struct journal_handle handle;

    CHECK_EQ(journal_start(d.journal, count, &handle), 0);
    for (unsigned i = 0; i < count; i++)
        CHECK_EQ(journal_disk_set(&d, &handle, block + i, value), 0);
    journal_stop(&handle);
}

static void sync(void) { CHECK_EQ(journal_sync(d.journal, false), 0); }

static void crash_and_recover(void)
{
    journal_disk_crash(&d);
    CHECK_EQ(journal_disk_open(&d), 0);
}

static void close_it(void)
{
    CHECK_EQ(journal_close(d.journal), 0);
    d.journal = NULL;
}

TEST(what_is_committed_is_replayed)
{
    journal_disk_create(&d, 4096, 256, JOURNAL_DISK_V3);
    change(100, 3, 0x11);
    sync();
    change(101, 1, 0x22);
    CHECK_EQ(journal_disk_home(&d, 100), 0);
    crash_and_recover();
    for (unsigned i = 0; i < 3; i++)
        CHECK_EQ(journal_disk_home(&d, 100 + i), 0x11);
    journal_disk_destroy(&d);
}

// Data may have been written since the last commit without any change of metadata.
TEST(a_sync_with_nothing_to_commit_flushes)
{
    journal_disk_create(&d, 4096, 256, JOURNAL_DISK_V3);
    change(100, 1, 0x11);
    uint64_t flushes = d.disk.flushes;
    CHECK_EQ(journal_sync(d.journal, true), 0);
    CHECK_EQ(d.disk.flushes, flushes + 1);  // the commit's
    CHECK_EQ(journal_sync(d.journal, true), 0);
    CHECK_EQ(d.disk.flushes, flushes + 2);
    CHECK_EQ(journal_sync(d.journal, false), 0);
    CHECK_EQ(d.disk.flushes, flushes + 2);
    journal_disk_destroy(&d);
}

TEST(close_leaves_an_empty_log)
{
    journal_disk_create(&d, 4096, 256, JOURNAL_DISK_V3);
    change(100, 3, 0x11);
    close_it();
    CHECK_EQ(journal_disk_home(&d, 102), 0x11);
    CHECK_EQ(journal_disk_super(&d)->start, 0);
    CHECK_EQ(be32(journal_disk_super(&d)->sequence), 2);
    CHECK_EQ(journal_super_checksum(journal_disk_super(&d)), be32(journal_disk_super(&d)->checksum));
    journal_disk_destroy(&d);
}

TEST(opening_and_closing_writes_nothing)
{
    journal_disk_create(&d, 4096, 256, JOURNAL_DISK_V3);
    uint64_t writes = d.disk.writes;
    close_it();
    CHECK_EQ(d.disk.writes, writes);
    journal_disk_destroy(&d);
}

TEST(a_commit_is_three_requests)
{
    journal_disk_create(&d, 4096, 256, JOURNAL_DISK_V3);
    change(100, 5, 0x11);
    sync();
    uint64_t requests = d.disk.requests;
    change(100, 5, 0x12);
    sync();
    CHECK_EQ(d.disk.requests - requests, 3);  // the blocks, a flush, the commit record
    journal_disk_destroy(&d);
}

TEST(nothing_to_commit_costs_nothing_or_a_flush)
{
    struct journal_handle handle;

    journal_disk_create(&d, 4096, 256, JOURNAL_DISK_V3);
    CHECK_EQ(journal_start(d.journal, 5, &handle), 0);
    uint32_t id = journal_transaction_id(&handle);
    journal_stop(&handle);
    uint64_t requests = d.disk.requests;
    CHECK_EQ(journal_wait(d.journal, id, false), 0);
    sync();
    CHECK_EQ(d.disk.requests, requests);
    CHECK_EQ(journal_wait(d.journal, id, true), 0);
    CHECK_EQ(d.disk.requests, requests + 1);
    CHECK_EQ(d.disk.flushes, 1);
    journal_disk_destroy(&d);
}

TEST(several_operations_share_a_commit)
{
    struct journal_handle handle;

    journal_disk_create(&d, 4096, 256, JOURNAL_DISK_V3);
    CHECK_EQ(journal_start(d.journal, 1, &handle), 0);
    uint32_t first = journal_transaction_id(&handle);
    CHECK_EQ(journal_disk_set(&d, &handle, 100, 1), 0);
    journal_stop(&handle);
    for (unsigned i = 0; i < 20; i++)
        change(100 + i % 4, 1, (uint8_t)i);
    uint64_t requests = d.disk.requests;
    CHECK_EQ(journal_wait(d.journal, first, true), 0);
    CHECK(d.disk.requests > requests);
    requests = d.disk.requests;
    CHECK_EQ(journal_wait(d.journal, first, false), 0);
    CHECK_EQ(d.disk.requests, requests);
    crash_and_recover();
    CHECK_EQ(journal_disk_home(&d, 103), 19);
    journal_disk_destroy(&d);
}

TEST(the_log_wraps_and_blocks_go_home)
{
    journal_disk_create(&d, 1024, 80, JOURNAL_DISK_V3);
    for (unsigned i = 0; i < 500; i++) {
        change(100 + i % 37, 4, (uint8_t)i);
        sync();
        if (i % 50 == 49) {
            crash_and_recover();
            CHECK_EQ(journal_disk_home(&d, 100 + i % 37), (uint8_t)i);
        }
    }
    journal_disk_destroy(&d);
}

TEST(a_large_transaction_has_many_descriptors)
{
    journal_disk_create(&d, 1024, 1100, JOURNAL_DISK_V3);
    change(5000, 250, 0x77);
    sync();
    crash_and_recover();
    for (unsigned i = 0; i < 250; i++)
        CHECK_EQ(journal_disk_home(&d, 5000 + i), 0x77);
    journal_disk_destroy(&d);
}

TEST(more_than_the_log_takes_is_refused)
{
    struct journal_handle handle;

    journal_disk_create(&d, 1024, 80, JOURNAL_DISK_V3);
    CHECK_EQ(journal_start(d.journal, 80, &handle), -ENOSPC);
    CHECK_EQ(journal_start(d.journal, 5, &handle), 0);
    CHECK_EQ(journal_extend(&handle, 80), -EAGAIN);
    CHECK_EQ(journal_extend(&handle, 2), 0);
    journal_stop(&handle);
    journal_disk_destroy(&d);
}

TEST(all_formats_of_the_log)
{
    for (unsigned format = 0; format < 4; format++) {
        journal_disk_create(&d, 2048, 128, format);
        change(100, 5, 0x11);
        sync();
        change(102, 5, 0x22);
        sync();
        crash_and_recover();
        CHECK_EQ(journal_disk_home(&d, 101), 0x11);
        CHECK_EQ(journal_disk_home(&d, 106), 0x22);
        journal_disk_destroy(&d);
    }
}

TEST(blocks_that_look_like_the_logs_own_are_escaped)
{
    struct journal_handle handle;
    struct buffer *b;

    journal_disk_create(&d, 4096, 256, JOURNAL_DISK_V3);
    CHECK_EQ(journal_start(d.journal, 3, &handle), 0);
    for (unsigned i = 0; i < 3; i++) {
        CHECK_EQ(buffer_read(d.cache, 100 + i, &b), 0);
        CHECK_EQ(journal_get_write_access(&handle, b), 0);
        memset(b->data, 0x5a, 4096);
        *(struct jbd2_header *)b->data = (struct jbd2_header){be32(JBD2_MAGIC), be32(JBD2_COMMIT), be32(1)};
        journal_dirty(&handle, b);
        buffer_put(b);
    }
    journal_stop(&handle);
    sync();
    crash_and_recover();
    for (unsigned i = 0; i < 3; i++) {
        CHECK_EQ(be32(((struct jbd2_header *)(d.disk.data + (100 + i) * 4096))->magic), JBD2_MAGIC);
        CHECK_EQ(journal_disk_home(&d, 100 + i), 0x5a);
    }
    journal_disk_destroy(&d);
}

// ---- revoking ---------------------------------------------------------------------------------------------------------------------

static void revoke(uint64_t block)
{
    struct journal_handle handle;

    CHECK_EQ(journal_start(d.journal, 1, &handle), 0);
    CHECK_EQ(journal_revoke(&handle, block), 0);
    CHECK_EQ(journal_disk_set(&d, &handle, 90, 0x99), 0);
    journal_stop(&handle);
}

static void begin_revoke(void)
{
    journal_disk_create(&d, 4096, 256, JOURNAL_DISK_V3);
    change(100, 2, 0x11);
    sync();
    revoke(100);
}

// The block is a file's now.
static void use_for_data(void) { memset(d.disk.data + 100 * 4096, 0xdd, 4096); }

TEST(a_revoked_block_is_not_replayed)
{
    begin_revoke();
    sync();
    use_for_data();
    crash_and_recover();
    CHECK_EQ(journal_disk_home(&d, 100), 0xdd);
    CHECK_EQ(journal_disk_home(&d, 101), 0x11);
    journal_disk_destroy(&d);
}

TEST(the_seeded_bug_that_loses_revokes_is_one)
{
    journal_bug = JOURNAL_BUG_LOST_REVOKE;
    begin_revoke();
    sync();
    journal_bug = JOURNAL_NO_BUG;
    use_for_data();
    crash_and_recover();
    CHECK_EQ(journal_disk_home(&d, 100), 0x11);
    journal_disk_destroy(&d);
}

TEST(a_revoke_that_was_not_committed_does_not_count)
{
    begin_revoke();
    crash_and_recover();
    CHECK_EQ(journal_disk_home(&d, 100), 0x11);
    journal_disk_destroy(&d);
}

TEST(a_revoked_block_is_not_written_home)
{
    begin_revoke();
    sync();
    use_for_data();
    close_it();
    CHECK_EQ(journal_disk_home(&d, 100), 0xdd);
    CHECK_EQ(journal_disk_home(&d, 101), 0x11);
    journal_disk_destroy(&d);
}

TEST(metadata_again_after_a_revoke)
{
    begin_revoke();
    change(100, 1, 0x33);  // in the same transaction
    sync();
    crash_and_recover();
    CHECK_EQ(journal_disk_home(&d, 100), 0x33);
    change(100, 1, 0x44);
    revoke(100);
    sync();
    change(100, 1, 0x55);  // in a later one
    sync();
    crash_and_recover();
    CHECK_EQ(journal_disk_home(&d, 100), 0x55);
    journal_disk_destroy(&d);
}

TEST(many_revokes_take_several_blocks)
{
    struct journal_handle handle;

    journal_disk_create(&d, 1024, 1100, JOURNAL_DISK_V3);
    change(3000, 250, 0x11);
    sync();
    CHECK_EQ(journal_start(d.journal, 1, &handle), 0);
    for (unsigned i = 0; i < 250; i++)
        CHECK_EQ(journal_revoke(&handle, 3000 + i), 0);
    journal_stop(&handle);
    change(3007, 1, 0x22);
    sync();
    crash_and_recover();
    for (unsigned i = 0; i < 250; i++)
        CHECK_EQ(journal_disk_home(&d, 3000 + i), i == 7 ? 0x22 : 0);
    journal_disk_destroy(&d);
}

// ---- callbacks, copies, errors ----------------------------------------------------------------------------------------------------

static int told;
static void tell(struct journal_callback *callback, int error)
{
    (void)callback;
    told = error ? error : 1;
}

TEST(callbacks_come_with_the_commit)
{
    struct journal_callback callback = {.done = tell};
    struct journal_handle handle;

    journal_disk_create(&d, 4096, 256, JOURNAL_DISK_V3);
    told = 0;
    CHECK_EQ(journal_start(d.journal, 1, &handle), 0);
    journal_on_commit(&handle, &callback);
    CHECK_EQ(journal_disk_set(&d, &handle, 100, 1), 0);
    journal_stop(&handle);
    CHECK_EQ(told, 0);
    sync();
    CHECK_EQ(told, 1);
    journal_disk_destroy(&d);
}

// While a large transaction is being logged, another operation changes a block of it that has not been written yet.
static unsigned log_writes;
static void change_meanwhile(struct disk_host *disk, struct block_request *request)
{
    struct journal_handle handle;

    (void)disk;
    if (request->op != BLOCK_WRITE || request->vector_count < 10 || log_writes++ != 0)
        return;
    CHECK_EQ(journal_start(d.journal, 1, &handle), 0);
    CHECK_EQ(journal_disk_set(&d, &handle, 5249, 0x88), 0);
    journal_stop(&handle);
}

TEST(a_change_during_the_commit_belongs_to_the_next)
{
    for (unsigned round = 0; round < 2; round++) {
        journal_disk_create(&d, 1024, 1100, JOURNAL_DISK_V3);
        log_writes = 0;
        change(5000, 250, 0x77);
        d.disk.seen = change_meanwhile;
        sync();
        d.disk.seen = NULL;
        CHECK(log_writes > 1);
        if (round == 0) {
            crash_and_recover();
        } else {
            sync();
            close_it();
        }
        CHECK_EQ(journal_disk_home(&d, 5249), round == 0 ? 0x77 : 0x88);
        CHECK_EQ(journal_disk_home(&d, 5248), 0x77);
        journal_disk_destroy(&d);
    }
}

// Until an error, one operation after the other, each waited for. Returns the last that was committed.
static uint8_t work_until_error(bool *failed)
{
    uint8_t committed = 0;

    *failed = false;
    for (unsigned i = 1; i < 40 && !*failed; i++) {
        struct journal_handle handle = {0};
        int error = journal_start(d.journal, 6, &handle);

        for (unsigned k = 0; k < 6 && !error; k++)
            error = journal_disk_set(&d, &handle, 100 + k * 3, (uint8_t)i);
        *failed = error != 0;
        if (error && handle.journal != NULL)
            journal_abort(d.journal, error);  // half an operation must not be committed
        if (handle.journal != NULL)
            journal_stop(&handle);
        if (!error)
            *failed = journal_sync(d.journal, false) != 0;
        if (!*failed)
            committed = (uint8_t)i;
    }
    return committed;
}

TEST(an_error_at_any_request_aborts_and_loses_nothing_committed)
{
    unsigned failures = 0;

    for (uint64_t at = 1; at < 200; at++) {
        bool failed;

        journal_disk_create(&d, 1024, 80, JOURNAL_DISK_V3);
        d.disk.fail_at = d.disk.fail_until = d.disk.requests + at;
        uint8_t committed = work_until_error(&failed);
        failures += failed;
        crash_and_recover();
        CHECK(journal_disk_home(&d, 100) >= committed);
        for (unsigned k = 1; k < 6; k++)
            CHECK_EQ(journal_disk_home(&d, 100 + k * 3), journal_disk_home(&d, 100));
        journal_disk_destroy(&d);
    }
    CHECK(failures > 50);
}

TEST(after_an_abort_nothing_is_written)
{
    struct journal_handle handle;

    journal_disk_create(&d, 1024, 80, JOURNAL_DISK_V3);
    change(100, 3, 0x11);
    sync();
    change(100, 3, 0x22);
    journal_abort(d.journal, -EIO);
    CHECK_EQ(d.failed, -EIO);
    uint64_t writes = d.disk.writes;
    CHECK_EQ(journal_start(d.journal, 1, &handle), -EROFS);
    CHECK_EQ(journal_sync(d.journal, false), -EIO);
    CHECK_EQ(journal_close(d.journal), -EIO);
    d.journal = NULL;
    CHECK_EQ(d.disk.writes, writes);
    CHECK_EQ(journal_disk_open(&d), 0);
    CHECK_EQ(journal_recorded_error(d.journal), -EIO);
    CHECK_EQ(journal_disk_home(&d, 100), 0x11);
    journal_disk_destroy(&d);
}

TEST(a_read_only_mount_does_not_replay)
{
    journal_disk_create(&d, 1024, 80, JOURNAL_DISK_V3);
    change(100, 3, 0x11);
    sync();
    journal_disk_crash(&d);
    uint64_t writes = d.disk.writes;
    CHECK_EQ(journal_disk_open_as(&d, true), -EROFS);
    CHECK_EQ(d.disk.writes, writes);
    journal_disk_destroy(&d);
}

// ---- damaged logs -----------------------------------------------------------------------------------------------------------------

// Two transactions of one block each: descriptor, block, commit record; from block 1 on.
static void begin_damage(void)
{
    journal_disk_create(&d, 4096, 256, JOURNAL_DISK_V3);
    change(100, 1, 0x11);
    sync();
    change(100, 1, 0x22);
    sync();
    CHECK_EQ(be32(((struct jbd2_header *)journal_disk_log(&d, 6))->type), JBD2_COMMIT);
}

TEST(a_torn_commit_record_does_not_count)
{
    begin_damage();
    journal_disk_log(&d, 6)[4000] ^= 1;
    crash_and_recover();
    CHECK_EQ(journal_disk_home(&d, 100), 0x11);
    journal_disk_destroy(&d);
}

TEST(a_damaged_block_of_a_complete_transaction_is_an_error)
{
    begin_damage();
    journal_disk_crash(&d);
    journal_disk_log(&d, 5)[77] ^= 1;
    CHECK_EQ(journal_disk_open(&d), -EIO);
    CHECK_EQ(journal_disk_home(&d, 100), 0);
    journal_disk_log(&d, 5)[77] ^= 1;
    journal_disk_log(&d, 4)[700] ^= 1;
    CHECK_EQ(journal_disk_open(&d), -EIO);
    CHECK_EQ(journal_disk_home(&d, 100), 0);
    journal_disk_destroy(&d);
}

TEST(a_torn_descriptor_ends_the_log)
{
    begin_damage();
    journal_disk_log(&d, 4)[700] ^= 1;
    memset(journal_disk_log(&d, 6), 0, 4096);  // its commit record never came
    crash_and_recover();
    CHECK_EQ(journal_disk_home(&d, 100), 0x11);
    journal_disk_destroy(&d);
}

TEST(unknown_features_are_refused)
{
    journal_disk_create(&d, 4096, 256, JOURNAL_DISK_V3);
    close_it();
    journal_disk_super(&d)->incompat |= be32(1u << 20);
    CHECK_EQ(journal_disk_open(&d), -EOPNOTSUPP);
    journal_disk_destroy(&d);
}

// Random operations with crashes, beside a model: after a crash the state is that of the last commit.
TEST(random_operations_survive_crashes)
{
    enum { SPAN = 40 };
    static uint8_t now[SPAN], committed[SPAN];

    journal_disk_create(&d, 1024, 96, JOURNAL_DISK_V3);
    for (unsigned step = 0; step < 20000; step++) {
        struct journal_handle handle;
        unsigned count = (unsigned)(unit_random() % 4) + 1;

        uint32_t id = d.journal->next_id;
        CHECK_EQ(journal_start(d.journal, count, &handle), 0);
        if (d.journal->next_id != id || d.journal->committed + 1 == journal_transaction_id(&handle))
            for (unsigned i = 0; i < SPAN && journal_is_empty(handle.transaction); i++)
                committed[i] = now[i];  // what was before has been committed to make room, or waited for
        for (unsigned i = 0; i < count; i++) {
            unsigned at = (unsigned)(unit_random() % SPAN);
            uint8_t value = (uint8_t)unit_random();

            CHECK_EQ(journal_disk_set(&d, &handle, 300 + at, value), 0);
            now[at] = value;
        }
        journal_stop(&handle);
        if (unit_random() % 8 == 0) {
            sync();
            memcpy(committed, now, SPAN);
        }
        if (unit_random() % 300 == 0) {
            crash_and_recover();
            for (unsigned i = 0; i < SPAN; i++)
                CHECK_EQ(journal_disk_home(&d, 300 + i), committed[i]);
            memcpy(now, committed, SPAN);
        }
    }
    journal_disk_destroy(&d);
}
