// Operations. With a journal each is a handle of it; without one, changed blocks are written back when it suits the cache.
#include "abi/gen/errors.h"
#include "kernel/fs/ext4/ext4.h"

int ext4_begin(struct ext4 *v, uint32_t credits, struct ext4_tx *tx) {
    if (unlikely(ext4_read_only(v))) return -EROFS;
    tx->volume = v;
    return v->journal != NULL ? journal_start(v->journal, credits, &tx->handle) : 0;
}

void ext4_end(struct ext4_tx *tx) {
    if (tx->volume->journal != NULL) journal_stop(&tx->handle);
}

int ext4_access(struct ext4_tx *tx, struct buffer *b) {
    return tx->volume->journal != NULL ? journal_get_write_access(&tx->handle, b) : 0;
}

void ext4_dirty(struct ext4_tx *tx, struct buffer *b) {
    if (tx->volume->journal != NULL) journal_dirty(&tx->handle, b);
    else buffer_mark_dirty(b);
}

int ext4_read_access(struct ext4_tx *tx, uint64_t block, struct buffer **out) {
    int error = buffer_read(tx->volume->buffers, block, out);
    if (error != 0) return error;
    error = ext4_access(tx, *out);
    if (error != 0) buffer_put(*out);
    return error;
}

int ext4_new_block(struct ext4_tx *tx, uint64_t block, struct buffer **out) {
    int error = buffer_new(tx->volume->buffers, block, out);
    if (error != 0) return error;
    error = ext4_access(tx, *out);
    if (error != 0) buffer_put(*out);
    return error;
}

int ext4_forget(struct ext4_tx *tx, uint64_t block) {
    struct ext4 *v = tx->volume;
    if (v->journal != NULL) return journal_revoke(&tx->handle, block);
    buffer_forget(v->buffers, block, 1);
    return 0;
}

void ext4_joined(struct ext4_tx *tx, struct ext4_node *node, bool data) {
    if (tx->volume->journal == NULL) return;
    node->change_id = journal_transaction_id(&tx->handle);
    if (data) node->data_id = node->change_id;
}

int ext4_commit(struct ext4 *v) {
    if (v->journal == NULL) return 0;
    int error = journal_sync(v->journal, false);
    ext4_await_discards(v);
    return error;
}
