// The journal of ext4: jbd2, format version 3 checksums and before (Linux Documentation/filesystems/ext4/journal.rst). Knows
// buffers and a journal area; knows nothing of ext4's structures. Also built for host tests and fuzzing.
//
//   running ──(commit: age, size, sync)──▶ committing ──▶ checkpointing ──▶ gone
//   takes handles                          descriptor + blocks + revokes,     its buffers are written home,
//                                          flush, commit record (FUA)         then its log space is free
//
// An operation is a handle: all that it changes becomes durable together or not at all. Changes of a buffer that the
// committing transaction still has to write are kept apart by a copy.
#pragma once
#include "kernel/block/buffer.h"

struct journal;
struct journal_transaction;

struct journal_handle {
    struct journal *journal;
    struct journal_transaction *transaction;
    uint32_t credits;   // blocks that it may still change
};

struct journal_config {
    struct buffer_cache *cache;      // of the file system
    // The journal's area: where its block `journal_block` lies in `cache`, and how many follow it there. 0 or -EIO.
    int (*map)(void *context, uint32_t journal_block, uint64_t *block, uint32_t *count);
    void *context;
    uint32_t blocks;                 // of the area
    bool checksums;                  // the file system has metadata_csum: the log gets checksums too (version 3)
    bool wide;                       // the file system has 64bit: so do block numbers in the log
    // The journal has failed or was aborted: the file system goes read-only.
    void (*failed)(void *context, int error);
};

// Reads the journal's superblock; replays what was committed when it was not closed (unless read_only, then -EROFS when
// there is something to replay). 0, -EIO, -EINVAL, -EOPNOTSUPP (feature named in the log), -ENOMEM.
[[nodiscard]] int journal_open(const struct journal_config *config, bool read_only, struct journal **out);
// Starts the commit thread (every 5 s, as ext4). Host tests do without and commit by themselves.
[[nodiscard]] int journal_start_thread(struct journal *journal);
// Commits, checkpoints everything and marks the journal empty. 0 or -EIO.
[[nodiscard]] int journal_close(struct journal *journal);

// Begins an operation that changes at most `credits` metadata blocks (revokes apart); may wait for a commit. 0, -EROFS
// (aborted), -ENOSPC (more than the journal can hold), -ENOMEM. No buffer or group lock may be held.
[[nodiscard]] int journal_start(struct journal *journal, uint32_t credits, struct journal_handle *handle);
// More credits for a long operation, without waiting: 0, or -EAGAIN: stop and start again.
[[nodiscard]] int journal_extend(struct journal_handle *handle, uint32_t credits);
// Before a buffer is changed: joins it to the handle's transaction. 0, -ENOMEM, -EROFS.
[[nodiscard]] int journal_get_write_access(struct journal_handle *handle, struct buffer *buffer);
// After: it is to be committed.
void journal_dirty(struct journal_handle *handle, struct buffer *buffer);
// The block, metadata so far, is freed: earlier copies in the log are not to be replayed over what it becomes.
[[nodiscard]] int journal_revoke(struct journal_handle *handle, uint64_t block);
// What was freed may be used anew only after the commit: called when the transaction has committed (error 0) or failed.
struct journal_callback {
    struct list_node node;
    void (*done)(struct journal_callback *, int error);
};
void journal_on_commit(struct journal_handle *handle, struct journal_callback *callback);
// Ends the operation. sync: the next commit is awaited by somebody; others may join before it starts.
void journal_stop(struct journal_handle *handle);

// The id of the transaction that handle belongs to, for journal_wait: what fsync keeps of an inode's last change.
uint32_t journal_transaction_id(const struct journal_handle *handle);
// Commits transaction `id` if it has not been, and waits: 0 at once when it has; -EIO. Also flushes the device when no commit
// was needed and `flush` asks for it (data written since).
[[nodiscard]] int journal_wait(struct journal *journal, uint32_t id, bool flush);
// Commits what is running and waits; `flush` as in journal_wait.
[[nodiscard]] int journal_sync(struct journal *journal, bool flush);
// After damage: nothing more is committed, and every later call says -EROFS or -EIO.
void journal_abort(struct journal *journal, int error);
// The error that the journal recorded on disk before this mount (it was aborted), else 0.
int journal_recorded_error(const struct journal *journal);
// Whoever mounts for writing has taken note of it. 0 or -EIO.
[[nodiscard]] int journal_forget_error(struct journal *journal);
// Blocks of the log that are free, for statistics and tests.
uint32_t journal_free_blocks(const struct journal *journal);
