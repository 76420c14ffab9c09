#include "kernel/fs/ext4/test/journal_disk.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_PIECE 1000u
#define SECOND_PIECE 7000u
#define PIECE 50u  // blocks in the first

static uint64_t place(uint32_t block) { return block < PIECE ? FIRST_PIECE + block : SECOND_PIECE + block - PIECE; }

static int map(void *context, uint32_t block, uint64_t *out, uint32_t *count)
{
    const struct journal_disk *d = context;

    *out = place(block);
    *count = block < PIECE ? PIECE - block : d->blocks - block;
    return 0;
}

static void failed(void *context, int error) { ((struct journal_disk *)context)->failed = error; }

int journal_disk_open_as(struct journal_disk *d, bool read_only)
{
    struct journal_config config = {.map = map,
                                    .context = d,
                                    .blocks = d->blocks,
                                    .checksums = d->format & JOURNAL_DISK_V3,
                                    .wide = d->format & JOURNAL_DISK_WIDE,
                                    .failed = failed};

    if (d->cache == NULL && buffer_cache_create(&d->disk.device, d->block_size, &d->cache) != 0)
        abort();
    config.cache = d->cache;
    return journal_open(&config, read_only, &d->journal);
}

int journal_disk_open(struct journal_disk *d) { return journal_disk_open_as(d, false); }

void journal_disk_create(struct journal_disk *d, uint32_t block_size, uint32_t journal_blocks, unsigned format)
{
    struct jbd2_superblock *super;

    memset(d, 0, sizeof *d);
    d->block_size = block_size;
    d->blocks = journal_blocks;
    d->format = format;
    disk_host_create(&d->disk, (uint64_t)block_size * JOURNAL_DISK_BLOCKS);
    super = journal_disk_super(d);
    super->header = (struct jbd2_header){be32(JBD2_MAGIC), be32(JBD2_SUPERBLOCK_V2), 0};
    super->block_size = be32(block_size);
    super->blocks = be32(journal_blocks);
    super->first = be32(1);
    super->sequence = be32(1);
    super->users = be32(1);
    memset(super->uuid, 0x42, sizeof super->uuid);
    if (journal_disk_open(d) != 0)
        abort();
}

void journal_disk_crash(struct journal_disk *d)
{
    // Closing finds a disk that takes nothing any more.
    d->disk.fail_at = 1;
    d->disk.fail_until = UINT64_MAX;
    if (d->journal != NULL) {
        journal_abort(d->journal, -5);
        (void)journal_close(d->journal);
        d->journal = NULL;
    }
    if (d->cache != NULL)
        buffer_cache_destroy(d->cache);
    d->cache = NULL;
    d->disk.fail_at = 0;
}

void journal_disk_destroy(struct journal_disk *d)
{
    journal_disk_crash(d);
    disk_host_destroy(&d->disk);
}

int journal_disk_set(struct journal_disk *d, struct journal_handle *handle, uint64_t block, uint8_t value)
{
    struct buffer *b;
    int error = buffer_read(d->cache, block, &b);

    if (error)
        return error;
    error = journal_get_write_access(handle, b);
    if (!error) {
        memset(b->data, value, d->block_size);
        journal_dirty(handle, b);
    }
    buffer_put(b);
    return error;
}

uint8_t journal_disk_home(const struct journal_disk *d, uint64_t block)
{
    return d->disk.data[(block + 1) * d->block_size - 1];
}

uint8_t *journal_disk_log(struct journal_disk *d, uint32_t journal_block)
{
    return d->disk.data + place(journal_block) * d->block_size;
}

struct jbd2_superblock *journal_disk_super(struct journal_disk *d)
{
    return (struct jbd2_superblock *)journal_disk_log(d, 0);
}
