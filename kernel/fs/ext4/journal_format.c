// Checksums of the log (version 2 and 3: CRC-32C from the journal's UUID on) and the commit record.
#include "kernel/fs/ext4/journal_format.h"

#include "kernel/fs/ext4/journal_internal.h"
#include "kernel/fs/vfs/fs.h"
#include "lib/crc32c.h"
#include "lib/string.h"

uint32_t journal_tag_checksum(const struct journal *j, uint32_t sequence, const void *data) {
    uint32_t big = be32(sequence);
    return crc32c(crc32c(j->seed, &big, sizeof big), data, j->block_size);
}

// Of a block whose own checksum, at `at`, counts as zero.
static uint32_t checksum_around(uint32_t crc, const void *block, size_t at, size_t size) {
    static const uint32_t zero;
    const uint8_t *bytes = block;
    crc = crc32c(crc, bytes, at);
    crc = crc32c(crc, &zero, sizeof zero);
    return crc32c(crc, bytes + at + sizeof zero, size - at - sizeof zero);
}

static uint32_t *tail_of(const struct journal *j, const void *block) {
    return (uint32_t *)((uintptr_t)block + j->block_size - JBD2_TAIL_BYTES);
}

void journal_set_tail(const struct journal *j, void *block) {
    if (!journal_has_checksums(j)) return;
    *tail_of(j, block) = be32(checksum_around(j->seed, block, j->block_size - JBD2_TAIL_BYTES, j->block_size));
}

bool journal_tail_is_right(const struct journal *j, const void *block) {
    if (!journal_has_checksums(j)) return true;
    return *tail_of(j, block) == be32(checksum_around(j->seed, block, j->block_size - JBD2_TAIL_BYTES, j->block_size));
}

uint32_t journal_super_checksum(const struct jbd2_superblock *super) {
    return checksum_around(~0u, super, offsetof(struct jbd2_superblock, checksum), sizeof *super);
}

void journal_fill_commit(const struct journal *j, void *block, uint32_t sequence) {
    struct jbd2_commit *commit = block;
    struct fs_time now = fs_now();
    memset(commit, 0, sizeof *commit);  // the rest of the block was zeroed once
    commit->header = (struct jbd2_header){be32(JBD2_MAGIC), be32(JBD2_COMMIT), be32(sequence)};
    commit->seconds = be64((uint64_t)now.seconds);
    commit->nanoseconds = be32(now.nanoseconds);
    if (journal_has_checksums(j)) commit->checksum[0] = be32(crc32c(j->seed, block, j->block_size));
}

bool journal_commit_is_right(const struct journal *j, const void *block) {
    const struct jbd2_commit *commit = block;
    if (!journal_has_checksums(j)) return true;
    return commit->checksum[0] ==
           be32(checksum_around(j->seed, block, offsetof(struct jbd2_commit, checksum), j->block_size));
}
