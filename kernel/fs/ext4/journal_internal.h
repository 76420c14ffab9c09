// What the parts of the journal share.
//
// Each buffer in use by the journal has a record. It is in at most one running and one committing transaction, told apart by
// the parity of their ids, and on the checkpoint list of the transaction whose version of it is the last one committed and
// not yet written home:
//
//   record->in[id & 1]    joined to that transaction     state[id & 1]: JOINED, DIRTY, FORGOTTEN (revoked in it)
//   record->checkpoint    its home is older than the log
//
// A transaction: RUNNING -> LOCKED (no new handles; the last one ends) -> COMMITTING (its blocks are being logged) -> LOGGED
// (they are; flush and commit record follow: its buffers may change again) -> DONE.
//
// Locks, in order: journal->mutex (commits, checkpoints), journal->home_mutex (buffers are being written home),
// journal->lock (spin: everything in memory), cache->lock.
#pragma once
#include "kernel/fs/ext4/journal.h"
#include "kernel/fs/ext4/journal_format.h"

#define JOURNAL_SLOTS 4u
#define JOURNAL_SLOT_VECTORS 64u
#define JOURNAL_BATCH 254u       // tags of one descriptor, at most
#define JOURNAL_MIN_BLOCKS 32u
#define JOURNAL_SLACK 8u         // blocks of the log kept beyond what is reserved: revokes

// Seeded bugs, by which the tests of the crash checker know that it sees. Host builds only.
enum journal_bug { JOURNAL_NO_BUG, JOURNAL_BUG_NO_FLUSH, JOURNAL_BUG_COMMIT_FIRST, JOURNAL_BUG_LOST_REVOKE };
#ifdef __KPIO_HOST__
extern enum journal_bug journal_bug;
#else
#define journal_bug JOURNAL_NO_BUG
#endif

enum record_state { RECORD_JOINED, RECORD_DIRTY, RECORD_FORGOTTEN };

struct journal_record {
    struct buffer *buffer;  // held
    struct journal_transaction *in[2], *checkpoint;
    struct list_node node[2], checkpoint_node;
    uint8_t *frozen;        // the committing transaction's version, when the running one changes the buffer meanwhile
    uint8_t state[2];       // enum record_state
    bool was_dirty;         // before it was the journal's
    bool taken;             // the log write reads the buffer's memory
    bool home;              // is being written home: home_mutex
};

struct revoke_set {
    uint64_t *slots;        // open addressing; REVOKE_NONE: free, REVOKE_GONE: removed
    uint32_t count, used, size;
};
#define REVOKE_NONE UINT64_MAX
#define REVOKE_GONE (UINT64_MAX - 1)

enum transaction_state { T_RUNNING, T_LOCKED, T_COMMITTING, T_LOGGED, T_DONE };

struct journal_transaction {
    uint32_t id;
    uint32_t refs;          // atomic
    uint8_t state;          // enum transaction_state; atomic
    bool wanted;            // somebody commits it
    uint32_t waiters;       // for its commit
    uint32_t handles;       // open
    uint32_t reserved;      // blocks that they may still join
    uint32_t buffers;       // joined
    struct list records;
    struct revoke_set revokes;
    struct list callbacks;
    struct list checkpoint; // records
    uint32_t log_start, log_blocks;
    int error;
    nanos_t started;
    struct list_node node;  // in journal->logged or failed
    struct completion idle, switched, logged, committed;
};

struct log_run {
    uint32_t first, count;  // blocks of the journal
    uint64_t block;         // where the first lies
};

struct log_slot {           // one request of log blocks
    struct block_request request;
    struct completion done;
    struct journal *journal;
    uint32_t count;
    bool submitted;
    uint64_t end;           // block after the last
    uint8_t *meta[2];       // for descriptor and revoke blocks
    uint32_t meta_used;
    struct block_vector vectors[JOURNAL_SLOT_VECTORS];
};

struct journal {
    struct journal_config config;
    struct block_device *device;
    uint32_t block_size, sectors_log;
    struct jbd2_superblock *super;   // a block
    bool active;                     // the superblock on disk says where the log begins
    uint32_t seed;                   // of checksums: of the journal's UUID
    uint32_t tag_bytes, tags;        // of a tag; in a descriptor
    uint32_t revokes_each;           // in a revoke block
    uint32_t first, end;             // the ring
    uint32_t max_transaction;        // blocks of log
    struct log_run *runs;
    uint32_t run_count;
    int recorded_error;

    struct spinlock lock;
    int aborted;                     // atomic
    uint32_t next_id, committed;     // ids
    struct journal_transaction *running, *committing;
    struct list logged;              // committed, not all home: oldest first
    struct list failed;              // could not be committed: what they hold stays in memory, newer than the disk
    uint32_t head, tail, used;       // of the ring; used: from tail to head
    uint32_t committing_need;        // blocks that the committing one may take
    uint32_t records;                // that exist
    uint32_t record_limit;           // from here on, the thread writes home
    uint64_t flushes, flushed;       // the last flush started before a commit record, and the last one done: numbers

    struct mutex mutex, home_mutex;
    struct log_slot *slots;
    uint32_t slot;                   // the one being filled
    uint8_t *commit_block, *bounce;
    bool bounce_used;
    uint32_t pending;                // requests of this commit at the device, and the builder; atomic
    int io_error;
    struct block_request flush, commit_write;
    struct block_vector commit_vector;
    struct completion commit_done;
    void *batch[JOURNAL_BATCH];
    struct journal_wake *wake;       // the thread's; NULL: there is none
    uint32_t last_waiters;           // for the last commit
    bool stop;
    struct completion stopped;
};

static inline struct journal_record *journal_record_at(struct list_node *node, unsigned parity) {
    return container_of((struct list_node(*)[2])(node - parity), struct journal_record, node);
}
static inline bool journal_is_empty(const struct journal_transaction *t) {
    return t->buffers == 0 && t->revokes.count == 0 && list_is_empty(&t->callbacks) && list_is_empty(&t->records);
}
static inline bool journal_has(const struct journal *j, uint32_t feature) { return (be32(j->super->incompat) & feature) != 0; }
static inline bool journal_has_checksums(const struct journal *j) {
    return journal_has(j, JBD2_HAS_CSUM_V2 | JBD2_HAS_CSUM_V3);
}
static inline int journal_error(const struct journal *j) { return __atomic_load_n(&j->aborted, __ATOMIC_ACQUIRE); }
static inline uint32_t journal_next_block(const struct journal *j, uint32_t block) {
    return block + 1 == j->end ? j->first : block + 1;
}

// journal.c: the superblock. Sets what follows from the features; writes it (start 0: empty).
void journal_set_format(struct journal *j);
[[nodiscard]] int journal_write_super(struct journal *j, uint32_t start, uint32_t sequence);
// The block of the device for one of the journal's; verified when the journal was opened.
uint64_t journal_block(const struct journal *j, uint32_t block);
bool journal_owns(const struct journal *j, uint64_t device_block);

// journal_format.c: headers and checksums.
uint32_t journal_tag_checksum(const struct journal *j, uint32_t sequence, const void *data);
void journal_set_tail(const struct journal *j, void *block);  // of descriptor and revoke blocks
bool journal_tail_is_right(const struct journal *j, const void *block);
uint32_t journal_super_checksum(const struct jbd2_superblock *super);
void journal_fill_commit(const struct journal *j, void *block, uint32_t sequence);
bool journal_commit_is_right(const struct journal *j, const void *block);

// journal_revoke.c
[[nodiscard]] int revoke_set_add(struct journal *j, struct revoke_set *set, uint64_t block);  // takes j->lock
void revoke_set_remove(struct revoke_set *set, uint64_t block);
void revoke_set_free(struct revoke_set *set);

// journal_transaction.c
struct journal_transaction *journal_transaction_create(struct journal *j);
void journal_transaction_put(struct journal_transaction *t);
uint32_t journal_need(const struct journal *j, const struct journal_transaction *t, uint32_t more);  // blocks of log
// The record is in nothing any more. j->lock is held, and released.
void journal_record_drop_unlock(struct journal *j, struct journal_record *r);

// journal_commit.c, journal_checkpoint.c: journal->mutex is held.
[[nodiscard]] int journal_commit_locked(struct journal *j);
// Writes homes until at least `blocks` of the log are free (UINT32_MAX: all).
[[nodiscard]] int journal_checkpoint_locked(struct journal *j, uint32_t blocks);
uint32_t journal_free_locked(const struct journal *j);

// journal_recover.c: replays the log and marks it empty.
[[nodiscard]] int journal_recover(struct journal *j);

// journal_thread.c, a stand-in on the host.
void journal_thread_stop(struct journal *j);
void journal_thread_wake(struct journal *j);
// One round of the thread: commits what is old, writes home what is much.
void journal_tick(struct journal *j, nanos_t now, nanos_t age);
