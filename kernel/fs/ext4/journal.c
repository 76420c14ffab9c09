// Opening and closing a journal; its superblock.
#include "kernel/fs/ext4/journal.h"

#include "abi/gen/errors.h"
#include "kernel/core/assert.h"
#include "kernel/core/log.h"
#include "kernel/fs/ext4/journal_internal.h"
#include "kernel/mm/slub.h"
#include "lib/crc32c.h"
#include "lib/string.h"

#define MAX_RUNS 4096u
#define RECORD_LIMIT 8192u  // 32 MiB of blocks of 4 KiB
#define KNOWN_INCOMPAT                                                                                                 \
    (JBD2_HAS_REVOKE | JBD2_HAS_64BIT | JBD2_HAS_ASYNC_COMMIT | JBD2_HAS_CSUM_V2 | JBD2_HAS_CSUM_V3 | JBD2_HAS_FAST_COMMIT)

// ---- where the area lies --------------------------------------------------------------------------------------------------------

static const struct log_run *find_run(const struct journal *j, uint32_t block) {
    uint32_t low = 0, high = j->run_count - 1;
    while (low < high) {
        uint32_t middle = (low + high + 1) / 2;
        if (j->runs[middle].first <= block) low = middle;
        else high = middle - 1;
    }
    return &j->runs[low];
}

uint64_t journal_block(const struct journal *j, uint32_t block) {
    const struct log_run *run = find_run(j, block);
    verify(block - run->first < run->count);
    return run->block + (block - run->first);
}

bool journal_owns(const struct journal *j, uint64_t device_block) {
    for (uint32_t i = 0; i < j->run_count; i++)
        if (device_block - j->runs[i].block < j->runs[i].count) return true;
    return false;
}

static int add_run(struct journal *j, struct log_run run) {
    if (is_power_of_two(j->run_count) || j->run_count == 0) {  // full
        struct log_run *larger = kmalloc(MAX(j->run_count * 2, 4u) * sizeof *larger);
        if (larger == NULL) return -ENOMEM;
        if (j->run_count > 0) memcpy(larger, j->runs, j->run_count * sizeof *larger);
        kfree(j->runs);
        j->runs = larger;
    }
    j->runs[j->run_count++] = run;
    return 0;
}

static int find_runs(struct journal *j, uint32_t blocks) {
    uint64_t device_blocks = j->device->sectors >> j->sectors_log;
    for (uint32_t at = 0; at < blocks;) {
        struct log_run run = {.first = at};
        int error = j->config.map(j->config.context, at, &run.block, &run.count);
        if (error) return error;
        run.count = MIN(run.count, blocks - at);
        if (run.count == 0 || !range_fits(run.block, run.count, device_blocks) || j->run_count == MAX_RUNS) {
            log_error("journal: its block %u lies outside the file system, or it is in more than %u pieces", at, MAX_RUNS);
            return -EIO;
        }
        error = add_run(j, run);
        if (error) return error;
        at += run.count;
    }
    return 0;
}

// ---- the superblock -------------------------------------------------------------------------------------------------------------

static int refuse(int error, const char *what) {
    log_error("journal: %s", what);
    return error;
}

static int check_features(const struct journal *j) {
    const struct jbd2_superblock *super = j->super;
    uint32_t unknown = be32(super->incompat) & ~KNOWN_INCOMPAT;
    if (unknown != 0 || super->ro_compat != 0) {
        log_error("journal: unknown features: incompat %#x, ro_compat %#x", unknown, be32(super->ro_compat));
        return -EOPNOTSUPP;
    }
    if (!journal_has_checksums(j)) {
        if (journal_has(j, JBD2_HAS_ASYNC_COMMIT) && super->start != 0)
            return refuse(-EOPNOTSUPP, "async_commit without checksums of version 2 or 3: its log cannot be trusted");
        return 0;
    }
    if (journal_has(j, JBD2_HAS_CSUM_V2) && journal_has(j, JBD2_HAS_CSUM_V3)) return refuse(-EINVAL, "both csum_v2 and csum_v3");
    if (super->checksum_type != JBD2_CRC32C) return refuse(-EOPNOTSUPP, "checksums that are not crc32c");
    if (super->checksum != be32(journal_super_checksum(super))) return refuse(-EIO, "the superblock's checksum is wrong");
    return 0;
}

static int check_super(struct journal *j) {
    const struct jbd2_superblock *super = j->super;
    uint32_t fast = 0;
    if (be32(super->header.magic) != JBD2_MAGIC) return refuse(-EIO, "no superblock");
    if (be32(super->header.type) == JBD2_SUPERBLOCK_V1) return refuse(-EOPNOTSUPP, "version 1, of ext3's first days");
    if (be32(super->header.type) != JBD2_SUPERBLOCK_V2) return refuse(-EIO, "no superblock of version 2");
    int error = check_features(j);
    if (error) return error;
    if (journal_has(j, JBD2_HAS_FAST_COMMIT)) fast = super->fast_commit_blocks == 0 ? 256 : be32(super->fast_commit_blocks);
    j->first = be32(super->first);
    j->end = be32(super->blocks);
    if (be32(super->block_size) != j->block_size) return refuse(-EIO, "its block size is not the file system's");
    if (j->end > j->config.blocks) return refuse(-EIO, "it says that it is longer than its file");
    if (j->first == 0 || fast >= j->end || j->first >= j->end - fast || j->end - fast - j->first < JOURNAL_MIN_BLOCKS)
        return refuse(-EIO, "it is too short");
    j->end -= fast;
    uint32_t start = be32(super->start);
    if (start != 0 && (start < j->first || start >= j->end)) return refuse(-EIO, "the log begins outside it");
    return 0;
}

static int read_super(struct journal *j) {
    uint64_t block;
    uint32_t count;
    int error = j->config.map(j->config.context, 0, &block, &count);
    if (error) return error;
    if (count == 0 || block >= j->device->sectors >> j->sectors_log) return refuse(-EIO, "it lies outside the file system");
    error = block_read(j->device, block << j->sectors_log, j->super, j->block_size);
    if (error) return error;
    error = check_super(j);
    return error ? error : find_runs(j, be32(j->super->blocks));
}

void journal_set_format(struct journal *j) {
    bool v3 = journal_has(j, JBD2_HAS_CSUM_V3), v2 = journal_has(j, JBD2_HAS_CSUM_V2), wide = journal_has(j, JBD2_HAS_64BIT);
    uint32_t before_v3 = (uint32_t)sizeof(struct jbd2_tag) + (v2 ? 2 : 0) - (wide ? 0 : 4);
    j->max_transaction = (j->end - j->first) / 4;
    j->tag_bytes = v3 ? sizeof(struct jbd2_tag_v3) : before_v3;
    j->seed = crc32c(~0u, j->super->uuid, JBD2_UUID_BYTES);
    uint32_t room = j->block_size - (v2 || v3 ? JBD2_TAIL_BYTES : 0);
    j->tags = MIN((room - (uint32_t)sizeof(struct jbd2_header) - JBD2_UUID_BYTES) / j->tag_bytes, JOURNAL_BATCH);
    j->revokes_each = (room - (uint32_t)sizeof(struct jbd2_revoke)) / (wide ? 8 : 4);
}

// The features for what will be written into the empty log.
static void choose_features(struct journal *j) {
    struct jbd2_superblock *super = j->super;
    uint32_t incompat = be32(super->incompat);
    incompat &= ~(uint32_t)(JBD2_HAS_CSUM_V2 | JBD2_HAS_CSUM_V3 | JBD2_HAS_ASYNC_COMMIT | JBD2_HAS_FAST_COMMIT);
    incompat |= JBD2_HAS_REVOKE | (j->config.wide ? JBD2_HAS_64BIT : 0) | (j->config.checksums ? JBD2_HAS_CSUM_V3 : 0);
    super->incompat = be32(incompat);
    super->compat &= ~be32(JBD2_COMPAT_CHECKSUM);
    super->error = 0;
    super->checksum_type = j->config.checksums ? JBD2_CRC32C : 0;
    j->end = be32(super->blocks);
    journal_set_format(j);
}

int journal_write_super(struct journal *j, uint32_t start, uint32_t sequence) {
    j->super->start = be32(start);
    j->super->sequence = be32(sequence);
    j->super->checksum = journal_has_checksums(j) ? be32(journal_super_checksum(j->super)) : 0;
    return block_write(j->device, journal_block(j, 0) << j->sectors_log, j->super, j->block_size, BLOCK_FUA);
}

// ---- open and close -------------------------------------------------------------------------------------------------------------

static void free_all(struct journal *j) {
    for (unsigned i = 0; j->slots != NULL && i < JOURNAL_SLOTS; i++)
        for (unsigned k = 0; k < 2; k++)
            if (j->slots[i].meta[k] != NULL) buffer_memory_free(j->slots[i].meta[k], j->block_size);
    if (j->commit_block != NULL) buffer_memory_free(j->commit_block, j->block_size);
    if (j->bounce != NULL) buffer_memory_free(j->bounce, j->block_size);
    if (j->super != NULL) buffer_memory_free(j->super, j->block_size);
    kfree(j->slots);
    kfree(j->runs);
    kfree(j);
}

// What a commit needs is there from the start: it can be written when there is no memory.
static int allocate(struct journal *j) {
    bool all = true;
    j->slots = kcalloc(JOURNAL_SLOTS, sizeof *j->slots);
    if (j->slots == NULL) return -ENOMEM;
    for (unsigned i = 0; i < JOURNAL_SLOTS; i++) {
        j->slots[i].journal = j;
        for (unsigned k = 0; k < 2; k++) all &= (j->slots[i].meta[k] = buffer_memory_alloc(j->block_size)) != NULL;
    }
    j->commit_block = buffer_memory_alloc(j->block_size);
    j->bounce = buffer_memory_alloc(j->block_size);
    j->super = buffer_memory_alloc(j->block_size);
    if (!all || j->commit_block == NULL || j->bounce == NULL || j->super == NULL) return -ENOMEM;
    memset(j->commit_block, 0, j->block_size);
    return 0;
}

static int prepare(struct journal *j, bool read_only) {
    int error = allocate(j);
    if (!error) error = read_super(j);
    if (error) return error;
    journal_set_format(j);
    j->recorded_error = j->super->error == 0 ? 0 : -(int)MIN(be32(j->super->error), 4095u);
    j->next_id = be32(j->super->sequence);
    if (j->super->start != 0) {
        if (read_only) return refuse(-EROFS, "it holds changes that are to be replayed, which a read-only mount cannot");
        error = journal_recover(j);
        if (error) return error;
    }
    if (!read_only) choose_features(j);
    j->committed = j->next_id - 1;
    j->head = j->tail = j->first;
    j->record_limit = MIN((j->end - j->first) / 2, RECORD_LIMIT);
    return 0;
}

int journal_open(const struct journal_config *config, bool read_only, struct journal **out) {
    struct journal *j = kzalloc(sizeof *j);
    if (j == NULL) return -ENOMEM;
    j->config = *config;
    j->device = buffer_cache_device(config->cache);
    j->block_size = buffer_cache_block_size(config->cache);
    j->sectors_log = log2_floor(j->block_size >> SECTOR_SHIFT);
    spin_init(&j->lock, "journal");
    mutex_init(&j->mutex, "journal");
    mutex_init(&j->home_mutex, "journal_home");
    list_init(&j->logged);
    list_init(&j->failed);
    if (j->block_size < sizeof(struct jbd2_superblock) || config->blocks == 0) {
        kfree(j);
        return -EINVAL;
    }
    int error = prepare(j, read_only);
    if (error) {
        free_all(j);
        return error;
    }
    *out = j;
    return 0;
}

static void give_up_record(struct journal *j, struct journal_record *r) {
    uint8_t *frozen = r->frozen;
    r->frozen = NULL;
    buffer_drop_content(r->buffer);
    journal_record_drop_unlock(j, r);
    if (frozen != NULL) buffer_memory_free(frozen, j->block_size);
}

// After an abort nothing may be written home: all that the journal still holds is given up.
static void give_up(struct journal *j, struct journal_transaction *t) {
    unsigned p = t->id & 1;
    for (struct list_node *node; (node = list_pop_front(&t->records)) != NULL;) {
        spin_lock(&j->lock);
        journal_record_at(node, p)->in[p] = NULL;
        give_up_record(j, journal_record_at(node, p));
    }
    for (struct list_node *node; (node = list_pop_front(&t->checkpoint)) != NULL;) {
        struct journal_record *r = list_entry(node, struct journal_record, checkpoint_node);
        spin_lock(&j->lock);
        r->checkpoint = NULL;
        give_up_record(j, r);
    }
    revoke_set_free(&t->revokes);
    journal_transaction_put(t);
}

int journal_close(struct journal *j) {
    int error;
    journal_thread_stop(j);
    mutex_lock(&j->mutex);
    error = journal_error(j);
    if (!error) error = journal_commit_locked(j);
    if (!error) error = journal_checkpoint_locked(j, UINT32_MAX);
    if (!error && j->active) error = journal_write_super(j, 0, j->running != NULL ? j->running->id : j->next_id);
    mutex_unlock(&j->mutex);
    verify(j->running == NULL || j->running->handles == 0);
    if (j->running != NULL) give_up(j, j->running);
    list_splice_back(&j->logged, &j->failed);
    for (struct journal_transaction *t; (t = list_pop_front_entry(&j->logged, struct journal_transaction, node)) != NULL;)
        give_up(j, t);
    free_all(j);
    return error ? -EIO : 0;
}

// Tells the next mount, if the device still takes it. The log stays as it is: what is committed will be replayed.
static void record_error(struct journal *j, int error) {
    if (!j->active || j->device->read_only) return;
    j->super->error = be32((uint32_t)-error);
    if (journal_write_super(j, be32(j->super->start), be32(j->super->sequence)) != 0)
        log_error("journal: its failure could not be recorded on the disk");
}

void journal_abort(struct journal *j, int error) {
    spin_lock(&j->lock);
    bool first = j->aborted == 0;
    if (first) __atomic_store_n(&j->aborted, error, __ATOMIC_RELEASE);
    spin_unlock(&j->lock);
    if (!first) return;
    log_error("journal of %s: aborted, error %d: nothing more is committed", j->device->name, -error);
    record_error(j, error);
    if (j->config.failed != NULL) j->config.failed(j->config.context, error);
}

int journal_recorded_error(const struct journal *j) { return j->recorded_error; }

int journal_forget_error(struct journal *j) {
    if (j->recorded_error == 0) return 0;
    j->recorded_error = 0;
    return journal_write_super(j, be32(j->super->start), be32(j->super->sequence));
}
uint32_t journal_free_blocks(const struct journal *j) { return journal_free_locked(j); }
