// Replaying a log that was not closed, in three passes over it:
//
//   scan     where the last complete transaction ends: each descriptor, revoke block and commit record must be the expected
//            one with the right checksum, each logged block must match its tag. Nothing has been written so far.
//   revoke   which blocks are not to be replayed up to which transaction
//   replay   all others are written home, the log is marked empty
//
// A log comes from a disk that anybody may have made: every number in it is checked before it is used, and each pass visits
// each block of the ring at most once.
#include "abi/gen/errors.h"
#include "kernel/core/log.h"
#include "kernel/fs/ext4/journal_internal.h"
#include "kernel/mm/slub.h"
#include "lib/crc32c.h"
#include "lib/string.h"

#define WINDOW_BYTES (128u << 10)
#define SYNC_BLOCKS 1024u       // replayed before they are written out
#define REVOKE_BUCKETS 1024u
#define FAST_COMMIT_HEAD 9u     // tag of a fast-commit area's first record: ext4's fast_commit.h

enum pass { SCAN, REVOKE, REPLAY };

struct revoked {
    uint64_t block;
    uint32_t sequence;  // the last transaction that must not be replayed
    struct revoked *next;
};

struct recovery {
    struct journal *j;
    enum pass pass;
    uint32_t at, left;        // next block of the log; blocks of the ring not visited in this pass
    uint32_t sequence, end;   // expected; first that is not complete (after SCAN)
    uint32_t transaction_blocks, replayed, unwritten, skipped;
    bool damaged;             // SCAN: a logged block of this transaction does not match its tag
    uint8_t *window;          // blocks of the log read at once
    uint32_t window_first, window_count;
    uint8_t *copy;            // of a descriptor, while its blocks move the window
    struct revoked **revoked; // by block
};

struct log_tag {
    uint64_t block;
    uint32_t flags, checksum;
};

// ---- reading the log --------------------------------------------------------------------------------------------------------------

static int read_log(struct recovery *r, uint32_t block, const uint8_t **out) {
    struct journal *j = r->j;
    if (block - r->window_first >= r->window_count) {
        uint32_t most = MAX(WINDOW_BYTES / j->block_size, 1u), count = 1;
        uint64_t start = journal_block(j, block);
        most = MIN(most, j->end - block);
        while (count < most && journal_block(j, block + count) == start + count) count++;
        int error = block_read(j->device, start << j->sectors_log, r->window, (size_t)count * j->block_size);
        if (error) return error;
        r->window_first = block;
        r->window_count = count;
    }
    *out = r->window + (size_t)(block - r->window_first) * j->block_size;
    return 0;
}

// The next block of the log, or -ENODATA when the ring is all visited.
static int next_block(struct recovery *r, const uint8_t **out) {
    if (r->left == 0) return -ENODATA;
    int error = read_log(r, r->at, out);
    r->at = journal_next_block(r->j, r->at);
    r->left--;
    return error;
}

static bool is_expected(const struct recovery *r, const void *block, uint32_t *type) {
    const struct jbd2_header *header = block;
    *type = be32(header->type);
    return be32(header->magic) == JBD2_MAGIC && be32(header->sequence) == r->sequence;
}

// ---- revoked blocks ---------------------------------------------------------------------------------------------------------------

static struct revoked **bucket_of(const struct recovery *r, uint64_t block) {
    return &r->revoked[(block * 0x9e3779b97f4a7c15ull >> 40) % REVOKE_BUCKETS];
}

static struct revoked *find_revoked(const struct recovery *r, uint64_t block) {
    struct revoked *found = *bucket_of(r, block);
    while (found != NULL && found->block != block) found = found->next;
    return found;
}

static int note_revoked(struct recovery *r, uint64_t block) {
    struct revoked *found = find_revoked(r, block);
    if (found == NULL) {
        found = kmalloc(sizeof *found);
        if (found == NULL) return -ENOMEM;
        struct revoked **bucket = bucket_of(r, block);
        *found = (struct revoked){.block = block, .next = *bucket};
        *bucket = found;
    }
    found->sequence = r->sequence;  // transactions come in order
    return 0;
}

static bool is_revoked(const struct recovery *r, uint64_t block) {
    const struct revoked *found = find_revoked(r, block);
    return found != NULL && (int32_t)(r->sequence - found->sequence) <= 0;
}

static int read_revokes(struct recovery *r, const uint8_t *block) {
    const struct jbd2_revoke *head = (const void *)block;
    bool wide = journal_has(r->j, JBD2_HAS_64BIT);
    uint32_t each = wide ? 8 : 4, bytes = be32(head->bytes);
    if (bytes > sizeof *head + r->j->revokes_each * each) {
        log_error("journal: a revoke block of transaction %u says %u bytes", r->sequence, bytes);
        return -EIO;
    }
    for (uint32_t at = sizeof *head; r->pass == REVOKE && at + each <= bytes; at += each) {
        uint64_t number;
        uint32_t low;
        memcpy(&number, block + at, sizeof number);
        memcpy(&low, block + at, sizeof low);
        int error = note_revoked(r, wide ? be64(number) : be32(low));
        if (error) return error;
    }
    return 0;
}

// ---- logged blocks ----------------------------------------------------------------------------------------------------------------

static int replay_block(struct recovery *r, const struct log_tag *tag, const uint8_t *data) {
    struct journal *j = r->j;
    struct buffer *b;
    int error = buffer_new(j->config.cache, tag->block, &b);
    if (error) return error;
    memcpy(b->data, data, j->block_size);
    if (tag->flags & JBD2_TAG_ESCAPED) *(uint32_t *)b->data = be32(JBD2_MAGIC);
    buffer_mark_dirty(b);
    buffer_put(b);
    r->replayed++;
    if (++r->unwritten < SYNC_BLOCKS) return 0;
    r->unwritten = 0;
    return buffer_sync(j->config.cache);
}

static bool tag_matches(const struct recovery *r, const struct log_tag *tag, const uint8_t *data) {
    if (!journal_has_checksums(r->j)) return true;
    uint32_t checksum = journal_tag_checksum(r->j, r->sequence, data);
    return journal_has(r->j, JBD2_HAS_CSUM_V3) ? checksum == tag->checksum : (checksum & 0xffff) == tag->checksum;
}

static int visit_block(struct recovery *r, const struct log_tag *tag) {
    const uint8_t *data;
    if (r->pass == REVOKE) {
        if (r->left == 0) return -ENODATA;
        r->at = journal_next_block(r->j, r->at);
        r->left--;
        return 0;
    }
    int error = next_block(r, &data);
    if (error) return error;
    if (r->pass == SCAN) {
        if (!tag_matches(r, tag, data)) r->damaged = true;
        return 0;
    }
    if (is_revoked(r, tag->block)) {
        r->skipped++;
        return 0;
    }
    if (tag->block >= r->j->device->sectors >> r->j->sectors_log || journal_owns(r->j, tag->block)) {
        log_error("journal: transaction %u holds block %lu, which is none of the file system's", r->sequence, tag->block);
        return -EIO;
    }
    return replay_block(r, tag, data);
}

static void read_tag(const struct journal *j, const uint8_t *at, struct log_tag *tag) {
    if (journal_has(j, JBD2_HAS_CSUM_V3)) {
        struct jbd2_tag_v3 raw;
        memcpy(&raw, at, sizeof raw);
        tag->block = be32(raw.block);
        tag->flags = be32(raw.flags);
        tag->checksum = be32(raw.checksum);
        if (journal_has(j, JBD2_HAS_64BIT)) tag->block |= (uint64_t)be32(raw.block_high) << 32;
        return;
    }
    struct jbd2_tag raw = {0};
    memcpy(&raw, at, MIN(j->tag_bytes, (uint32_t)sizeof raw));
    tag->block = be32(raw.block);
    tag->flags = be16(raw.flags);
    tag->checksum = be16(raw.checksum);
    if (journal_has(j, JBD2_HAS_64BIT)) tag->block |= (uint64_t)be32(raw.block_high) << 32;
}

static int visit_descriptor(struct recovery *r, const uint8_t *block) {
    const struct journal *j = r->j;
    uint32_t end = j->block_size - (journal_has_checksums(j) ? JBD2_TAIL_BYTES : 0);
    memcpy(r->copy, block, j->block_size);
    for (uint32_t at = sizeof(struct jbd2_header); at + j->tag_bytes <= end;) {
        struct log_tag tag;
        read_tag(j, r->copy + at, &tag);
        at += j->tag_bytes + (tag.flags & JBD2_TAG_SAME_UUID ? 0 : JBD2_UUID_BYTES);
        int error = visit_block(r, &tag);
        if (error) return error;
        r->transaction_blocks++;
        if (tag.flags & JBD2_TAG_LAST) break;
    }
    return 0;
}

// ---- the passes -------------------------------------------------------------------------------------------------------------------

// A block that begins as the log's own, but with a wrong checksum: torn, if its transaction was never committed. Looks for a
// commit record further on, which would mean that a complete transaction was damaged.
static int torn_or_damaged(struct recovery *r) {
    const uint8_t *block;
    uint32_t type;
    for (uint32_t i = 0; i < r->j->max_transaction && r->left > 0; i++) {
        int error = next_block(r, &block);
        if (error) return error;
        if (is_expected(r, block, &type) && type == JBD2_COMMIT && journal_commit_is_right(r->j, block)) {
            log_error("journal: transaction %u is complete, but damaged", r->sequence);
            return -EIO;
        }
    }
    return -ENODATA;
}

static int end_transaction(struct recovery *r, const uint8_t *block) {
    if (r->pass == SCAN) {
        if (!journal_commit_is_right(r->j, block)) return -ENODATA;
        if (r->damaged && journal_has(r->j, JBD2_HAS_ASYNC_COMMIT)) return -ENODATA;  // its blocks were not awaited
        if (r->damaged) {
            log_error("journal: a block of transaction %u does not match its checksum", r->sequence);
            return -EIO;
        }
    }
    r->sequence++;
    return 0;
}

// One block of the log's own, and what belongs to it. -ENODATA: here the log ends.
static int step(struct recovery *r) {
    const uint8_t *block;
    uint32_t type;
    int error = next_block(r, &block);
    if (error) return error;
    if (!is_expected(r, block, &type)) return -ENODATA;
    if (type == JBD2_COMMIT) return end_transaction(r, block);
    if (type != JBD2_DESCRIPTOR && type != JBD2_REVOKE) return -ENODATA;
    if (r->pass == SCAN && !journal_tail_is_right(r->j, block)) return torn_or_damaged(r);
    return type == JBD2_REVOKE ? read_revokes(r, block) : visit_descriptor(r, block);
}

static int run_pass(struct recovery *r, enum pass pass) {
    struct journal *j = r->j;
    int error = 0;
    r->pass = pass;
    r->at = be32(j->super->start);
    r->left = j->end - j->first;
    r->sequence = be32(j->super->sequence);
    while (!error && (pass == SCAN || r->sequence != r->end)) error = step(r);
    if (pass != SCAN) return error == -ENODATA ? -EIO : error;  // the scan saw that it is all there
    r->end = r->sequence;
    return error == -ENODATA ? 0 : error;
}

// Fast commits after the last transaction would have to be replayed on top of it.
static int check_fast_commits(struct recovery *r) {
    struct journal *j = r->j;
    if (!journal_has(j, JBD2_HAS_FAST_COMMIT)) return 0;
    int error = block_read(j->device, journal_block(j, j->end) << j->sectors_log, r->copy, j->block_size);
    if (error) return error;
    uint16_t tag = (uint16_t)(r->copy[0] | r->copy[1] << 8);
    uint32_t id = (uint32_t)r->copy[8] | (uint32_t)r->copy[9] << 8 | (uint32_t)r->copy[10] << 16 | (uint32_t)r->copy[11] << 24;
    if (tag != FAST_COMMIT_HEAD || id != r->end) return 0;
    log_error("journal: fast_commit: it holds fast commits, which only Linux and e2fsck replay");
    return -EOPNOTSUPP;
}

// The log is empty; the next id is one that no block of it has, not even one of a transaction that was cut off.
static int mark_empty(struct recovery *r) {
    struct journal *j = r->j;
    int error = buffer_sync(j->config.cache);
    if (error) return error;
    j->next_id = r->end + 1;
    return journal_write_super(j, 0, j->next_id);
}

static void free_revoked(struct recovery *r) {
    for (uint32_t i = 0; i < REVOKE_BUCKETS; i++) {
        while (r->revoked[i] != NULL) {
            struct revoked *next = r->revoked[i]->next;
            kfree(r->revoked[i]);
            r->revoked[i] = next;
        }
    }
}

static int recover(struct recovery *r) {
    uint32_t first = be32(r->j->super->sequence);
    int error = run_pass(r, SCAN);
    if (!error) error = check_fast_commits(r);
    if (!error) error = run_pass(r, REVOKE);
    if (!error) error = run_pass(r, REPLAY);
    if (!error) error = mark_empty(r);
    if (!error)
        log_info("journal of %s: replayed %u blocks of %u transactions, %u were revoked", r->j->device->name, r->replayed,
                 r->end - first, r->skipped);
    return error;
}

int journal_recover(struct journal *j) {
    struct recovery r = {.j = j};
    if (j->device->read_only) return -EROFS;
    r.window = kmalloc(MAX(WINDOW_BYTES, j->block_size));
    r.copy = buffer_memory_alloc(j->block_size);
    r.revoked = kcalloc(REVOKE_BUCKETS, sizeof *r.revoked);
    int error = -ENOMEM;
    if (r.window != NULL && r.copy != NULL && r.revoked != NULL) {
        error = recover(&r);
        free_revoked(&r);
    }
    kfree(r.window);
    if (r.copy != NULL) buffer_memory_free(r.copy, j->block_size);
    kfree(r.revoked);
    if (error) log_error("journal of %s: could not be replayed, error %d", j->device->name, -error);
    return error;
}
