// Recovery of logs that somebody made up. The input lies on the disk from the journal's first block on; its first bytes may
// ask for checksums to be put right, so that what lies behind them is reached. Of the journal's own area nothing may change but
// its superblock.
// links: kernel/block/buffer.c kernel/block/buffer_write.c kernel/fs/ext4/journal.c kernel/fs/ext4/journal_format.c kernel/fs/ext4/journal_revoke.c kernel/fs/ext4/journal_transaction.c kernel/fs/ext4/journal_access.c kernel/fs/ext4/journal_commit.c kernel/fs/ext4/journal_checkpoint.c kernel/fs/ext4/journal_recover.c kernel/fs/ext4/test/journal_disk.c lib/crc32c.c
#include "kernel/fs/ext4/journal_internal.h"
#include "kernel/fs/ext4/test/journal_disk.h"

#include <stdlib.h>
#include <string.h>

#define BLOCK 1024u
#define BLOCKS 64u  // of the journal
#define FIX_SUPER 1
#define FIX_REST 2

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);

static struct journal_disk d;

// Makes blocks of the log that look like its own pass the checks of checksums.
static void fix_log(uint8_t fix)
{
    struct journal model = {.super = journal_disk_super(&d), .block_size = BLOCK};

    if (fix & FIX_SUPER) {
        model.super->checksum_type = JBD2_CRC32C;
        model.super->checksum = be32(journal_super_checksum(model.super));
    }
    journal_set_format(&model);
    for (uint32_t i = 1; i < BLOCKS && (fix & FIX_REST); i++) {
        uint8_t *block = journal_disk_log(&d, i);
        struct jbd2_header *header = (void *)block;

        if (be32(header->magic) != JBD2_MAGIC)
            continue;
        if (be32(header->type) == JBD2_COMMIT && journal_has_checksums(&model)) {
            journal_fill_commit(&model, block, be32(header->sequence));
            continue;
        }
        // The first tag's checksum, for the block behind: enough to get through one.
        if (be32(header->type) == JBD2_DESCRIPTOR && journal_has(&model, JBD2_HAS_CSUM_V3) && i + 1 < BLOCKS) {
            uint32_t checksum = be32(journal_tag_checksum(&model, be32(header->sequence), journal_disk_log(&d, i + 1)));
            memcpy(block + sizeof *header + 12, &checksum, sizeof checksum);
        }
        journal_set_tail(&model, block);
    }
}

// A valid start: two transactions and a revoke, made by the journal itself.
static size_t make_seed(uint8_t *out, size_t most, unsigned format)
{
    struct journal_handle handle;

    journal_disk_create(&d, BLOCK, BLOCKS, format);
    for (unsigned i = 0; i < 3; i++) {
        if (journal_start(d.journal, 3, &handle) != 0)
            abort();
        for (unsigned k = 0; k < 2; k++)
            if (journal_disk_set(&d, &handle, 100 + i + k, (uint8_t)i) != 0)
                abort();
        if (i == 2 && journal_revoke(&handle, 100) != 0)
            abort();
        journal_stop(&handle);
        if (journal_sync(d.journal, false) != 0)
            abort();
    }
    journal_disk_crash(&d);
    size_t size = 1;
    out[0] = FIX_SUPER | FIX_REST;
    for (uint32_t i = 0; i < 20 && size + BLOCK <= most; i++, size += BLOCK)
        memcpy(out + size, journal_disk_log(&d, i), BLOCK);
    journal_disk_destroy(&d);
    return size;
}

// Seeds come from the journal itself; then numbers in headers and tags are changed more often than the rest.
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    if (size < 2 * BLOCK && max_size > 21 * BLOCK)
        return make_seed(data, max_size, seed & 3);
    if (seed % 4 == 0 || size < 2 * BLOCK)
        return LLVMFuzzerMutate(data, size, max_size);
    srand(seed);
    for (unsigned i = 0; i < 1 + seed % 3; i++) {
        size_t block = (size_t)rand() % (size / BLOCK), at = 1 + block * BLOCK + (size_t)rand() % 96;

        if (at < size)
            data[at] = rand() % 3 == 0 ? (uint8_t)rand() : data[at] ^ (uint8_t)(1 << rand() % 8);
    }
    return size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct disk_host kept;
    uint8_t fix;

    if (size < 1)
        return -1;
    fix = data[0];
    data++, size--;
    if (kept.data == NULL) {
        journal_disk_create(&d, BLOCK, BLOCKS, JOURNAL_DISK_V3);
        journal_disk_crash(&d);
        kept = d.disk;
    }
    d.disk = kept;
    d.format = JOURNAL_DISK_V3 | (fix & 4 ? JOURNAL_DISK_WIDE : 0);
    list_init(&d.disk.held);
    for (uint32_t i = 0; i < BLOCKS && (size_t)i * BLOCK < size; i++)
        memcpy(journal_disk_log(&d, i), data + (size_t)i * BLOCK, MIN(size - (size_t)i * BLOCK, (size_t)BLOCK));
    fix_log(fix);
    static uint8_t log[BLOCKS][BLOCK];
    for (uint32_t i = 0; i < BLOCKS; i++)
        memcpy(log[i], journal_disk_log(&d, i), BLOCK);
    int error = journal_disk_open(&d);
    for (uint32_t i = 1; i < BLOCKS; i++)
        if (memcmp(log[i], journal_disk_log(&d, i), BLOCK) != 0)
            abort();  // replayed over its own log
    if (error == 0) {
        struct journal_handle handle;

        // It can be used.
        if (journal_start(d.journal, 2, &handle) == 0) {
            if (journal_disk_set(&d, &handle, 200, 1) != 0)
                abort();
            journal_stop(&handle);
            if (journal_sync(d.journal, false) != 0)
                abort();
        }
    } else {
        d.journal = NULL;
    }
    journal_disk_crash(&d);
    return 0;
}
