// The file system over a channel: operations of the VFS as messages. How requests wait and what a driver can do to whom:
// docs/fuse.md.
//
// A node is an inode: the driver's number for it, counted lookups that are given back as a FORGET when it leaves memory, what is
// open on it. What a driver named means nothing to the next one (node->epoch), unless the mount is stateless.
//
// Locks, in order: the VFS's; then fuse->lock (handles of all nodes), a leaf; the connection's, a leaf.
#pragma once
#include "kernel/fs/fuse/channel.h"
#include "kernel/fs/fuse/check.h"
#include "kernel/fs/vfs/fs.h"

#define FUSE_POLLED_ROWS 64u

struct fuse_polled;

struct fuse_fs {
    struct filesystem fs;
    struct fuse_channel *channel;   // referenced
    struct fuse_connection *c;      // in it
    struct spinlock lock;
    struct fuse_forget *spare;      // one that was not needed, for the next answer; atomic
    // Of each CPU, changed there only: reads of files, and messages that this took.
    struct fuse_reads {
        uint64_t all, asked, apart[6];
    } *reads;
    // Under lock: open files that POLL asks about, by their numbers.
    struct list polled[FUSE_POLLED_ROWS];
    uint64_t polls;                 // the last number
    uint32_t poll_ends;             // drivers that left
    char source[128], subtype[32];  // for who lists mounts
    bool finishing;                 // under finish.lock
    struct wait_queue finish;       // its thread
    struct rcu_head rcu;
};

// What is open at the driver: an open file's, or a directory being read. Its last messages are made beforehand, and go to the driver
// when nobody uses it any more: nor do requests that it is in, to their very end, as to a driver its number may be an address.
struct fuse_handle {
    struct list_node node;          // in node->handles, under fuse->lock
    struct fuse_connection *c;      // the last to use it may come when the mount has ended
    struct fuse_forget *forget;     // its node's, held
    uint64_t fh, epoch;
    uint32_t refs;                  // atomic
    uint32_t open_flags;            // FOPEN_*
    bool writes, locked;            // locked: the driver was asked for locks through it
    bool closing;                   // nobody has it open; it stays until what is dirty is written
    struct fuse_request *flush, *release;
    struct fuse_polled *polled;     // POLL was asked of it (poll.c)
};

struct fuse_node {
    struct inode inode;
    uint64_t nodeid, epoch;
    struct fuse_forget *forget;     // with the lookups so far, counted atomically
    nanos_t name_until;             // as the last answer that named it said
    struct list handles;            // struct fuse_handle
    struct list lockers;            // struct fuse_locker, under fuse->lock
    struct fuse_handle *created;    // by create, for the open that follows; under fuse->lock
    struct fuse_handle *reading;    // directory: where it was read last; under fuse->lock
    uint32_t changes;               // moves with what is changed here: an answer from before says nothing of the size; atomic
    uint64_t absent;                // directory: key of the name that was not there when asked last; 0: none, or something changed; atomic
    bool wrote;                     // since the times were asked for
    bool stale_data;                // the driver says that cached pages are to be forgotten; atomic
};
static inline struct fuse_fs *fuse_of(struct filesystem *fs) { return container_of(fs, struct fuse_fs, fs); }
static inline struct fuse_node *fuse_node_of(struct inode *inode) { return container_of(inode, struct fuse_node, inode); }
static inline struct fuse_fs *fuse_of_node(const struct fuse_node *node) { return fuse_of(node->inode.fs); }

void fuse_init(void);
// Mounts the channel: -EALREADY, -EINVAL (options), -ENOMEM.
[[nodiscard]] int fuse_mount(struct fuse_channel *channel, unsigned flags, const char *options, struct filesystem **out);

// ---- init.c ---------------------------------------------------------------------------------------------------------------
struct fuse_request *fuse_make_init(struct fuse_connection *c);
// What driver and kernel agreed on; of the last driver.
static inline bool fuse_wants(const struct fuse_fs *f, uint32_t flag) { return f->channel->flags & flag; }

// ---- notify.c: as fuse_reply's notify -----------------------------------------------------------------------------------------
int fuse_notify(struct fuse_connection *c, int code, const uint8_t *body, uint32_t bytes);
// The inode of a node, if the kernel has it, with a reference; the mount is held. NULL: it has not.
struct inode *fuse_node_find(struct fuse_fs *f, uint64_t nodeid);
// The mount of the channel, which stays until fuse_let_go. NULL: there is none, or none any more.
struct fuse_fs *fuse_hold(struct fuse_channel *channel);
void fuse_let_go(struct fuse_channel *channel);

// Name and attributes of the directory are asked for when they are next wanted. Of a good name.
void fuse_forget_name(struct inode *dir, const char *name, size_t bytes);

// ---- ask.c ----------------------------------------------------------------------------------------------------------------
// One request with fixed arguments, up to two names (each gets its NUL) and a reply without pages.
struct fuse_question {
    uint32_t opcode, in_bytes;
    struct fuse_node *node;         // that it is about; NULL: the root, whoever the driver is
    struct fuse_handle *handle;     // whose number is in it, or NULL
    bool opens;                     // the node, which is to be known to the driver until that is over
    const void *in;
    const char *name[2];
    size_t name_bytes[2];
    const void *data;               // behind the names, without a NUL
    size_t data_bytes;
    void *out;
    uint32_t out_least, out_most;
};
// Bytes of the reply's body, or an error that may be shown: one that means something else inside the kernel is -EIO. Of an
// operation that the driver does not have, -ENOSYS, from then on without asking.
[[nodiscard]] int64_t fuse_ask(struct fuse_fs *f, const struct fuse_question *q);
[[nodiscard]] int fuse_error(int error);  // the same for errors of fuse_call
static inline bool fuse_is_missing(const struct fuse_fs *f, uint32_t opcode) {
    return __atomic_load_n(&f->c->missing, __ATOMIC_RELAXED) >> opcode & 1;
}
// Whether the driver knows the node: 0, -ESTALE, -ENOTCONN (there is none) or -EIO.
[[nodiscard]] int fuse_check_node(struct fuse_node *node);

// ---- node.c -------------------------------------------------------------------------------------------------------------------
struct inode *fuse_alloc_inode(struct filesystem *fs);
void fuse_free_inode(struct inode *inode);
int fuse_read_inode(struct inode *inode);
[[nodiscard]] struct fuse_forget *fuse_forget_take(struct fuse_fs *f);
void fuse_forget_leave(struct fuse_fs *f, struct fuse_forget *forget);  // that was not needed
uint64_t fuse_number_of(uint64_t nodeid, uint64_t epoch);  // of the inode
// The inode of an answer that counts as a lookup, with a reference; `forget` is taken over. -EIO: it cannot be. The caller holds no
// lock of that inode if `resizes`.
[[nodiscard]] int fuse_node_get(struct fuse_node *dir, const struct fuse_entry_out *e, struct fuse_forget *forget, bool resizes,
                                struct inode **out);
// An answer about the node. -EIO: it cannot be.
[[nodiscard]] int fuse_take_attr(struct fuse_node *node, const struct fuse_attr *attr, uint64_t seconds, uint32_t nanoseconds);
int fuse_revalidate(struct inode *inode);
// One name less; excl. How many are left is known while the attributes are fresh, else the driver is asked: with the last one, what
// is dirty is given up.
void fuse_lose_name(struct inode *inode);
// Attributes are to be asked for.
static inline void fuse_expire(struct inode *inode) { __atomic_store_n(&inode->fresh_until, 0, __ATOMIC_RELAXED); }
// What names of the directory lead to may have changed.
static inline void fuse_note_names(struct inode *dir) { __atomic_store_n(&fuse_node_of(dir)->absent, 0, __ATOMIC_RELAXED); }
static inline void fuse_note_change(struct fuse_node *node) { __atomic_fetch_add(&node->changes, 1, __ATOMIC_RELEASE); }

// ---- handle.c -----------------------------------------------------------------------------------------------------------------
// A handle of that driver's number, with a reference. NULL: no memory.
struct fuse_handle *fuse_handle_make(struct fuse_node *node, uint64_t fh, uint32_t open_flags, bool writes);
void fuse_handle_add(struct fuse_node *node, struct fuse_handle *h);
// What lies at node->created or ->reading, which is empty then; or NULL.
static inline struct fuse_handle *fuse_handle_take(struct fuse_node *node, struct fuse_handle **place) {
    struct fuse_fs *f = fuse_of_node(node);
    spin_lock(&f->lock);
    struct fuse_handle *h = *place;
    *place = NULL;
    spin_unlock(&f->lock);
    return h;
}
static inline void fuse_handle_get(struct fuse_handle *h) { __atomic_fetch_add(&h->refs, 1, __ATOMIC_RELAXED); }
void fuse_handle_put(struct fuse_handle *h);  // NULL: nothing; does not block
// Some handle, one that writes if so asked, with a reference: 0 or -EBADF. Of a driver without handles it is NULL.
[[nodiscard]] int fuse_handle_any(struct fuse_node *node, bool writes, struct fuse_handle **out);
static inline uint64_t fuse_handle_number(const struct fuse_handle *h) { return h != NULL ? h->fh : 0; }
// Whether the driver knows node and handle: as fuse_check_node.
[[nodiscard]] int fuse_handle_check(const struct fuse_handle *h, struct fuse_node *node);
// The message that ends what is open under that number (RELEASE, RELEASEDIR); a node, held for it, is let go then. NULL: no memory.
struct fuse_request *fuse_handle_release(uint32_t opcode, uint64_t nodeid, uint64_t fh, struct fuse_forget *node);
// The request has the handle's number in it (h may be NULL).
void fuse_handle_lend(struct fuse_handle *h, struct fuse_request *r);
// Releases those that nobody has open, if nothing is dirty.
void fuse_handles_settle(struct fuse_node *node);
void fuse_handles_drop(struct fuse_node *node);  // the node leaves memory
int fuse_open(struct inode *inode, uint32_t rights, uint32_t flags, void **opened);
void fuse_release(struct inode *inode, void *opened);
// Opens a directory: -ENOSYS: handles are not needed.
[[nodiscard]] int fuse_open_directory(struct fuse_node *dir, struct fuse_handle **out);

// ---- lock.c: locks that the driver serves -----------------------------------------------------------------------------------------
int fuse_lock(struct inode *inode, void *opened, struct fs_lock *lock, kpio_handle via, nanos_t deadline);
void fuse_lock_gone(struct inode *inode, const struct handle *via, uint64_t owner);
// Nobody has it open any more: its own locks end with it, and what processes locked through it does now.
void fuse_locks_leave(struct fuse_node *node, struct fuse_handle *h);

// ---- late.c ------------------------------------------------------------------------------------------------------------------
void fuse_late(struct fuse_connection *c, const struct fuse_request *r);  // as connection->late

// ---- poll.c: events that the driver tells ---------------------------------------------------------------------------------------
int64_t fuse_poll(struct inode *inode, void *opened, struct object *file, uint32_t events);
uint32_t fuse_poll_signals(struct inode *inode, void *opened);
void fuse_poll_leave(struct fuse_fs *f, struct fuse_handle *h);      // it is closed
int fuse_poll_wake(struct fuse_fs *f, uint64_t number);              // NOTIFY_POLL
void fuse_poll_end(struct fuse_fs *f);                               // the driver is lost

// ---- store.c: contents that the driver gives or wants back of itself; as fuse_notify's ------------------------------------------
int fuse_store(struct fuse_fs *f, const uint8_t *body, uint32_t bytes);
int fuse_retrieve(struct fuse_fs *f, const uint8_t *body, uint32_t bytes);

extern const struct inode_ops fuse_inode_ops;
extern const struct file_cache_ops fuse_cache_ops;

// ---- entry.c, list.c, attr.c, data.c, control.c, copy.c: inode_ops --------------------------------------------------------------
int fuse_find(struct inode *dir, const char *name, size_t bytes, struct inode **out, nanos_t *until);
bool fuse_was_free(const struct inode *dir, const char *name, size_t bytes);
int fuse_create(struct inode *dir, const char *name, size_t bytes, const struct inode_new *init, struct inode **out);
int fuse_link(struct inode *dir, const char *name, size_t bytes, struct inode *inode);
int fuse_unlink(struct inode *dir, const char *name, size_t bytes, struct inode *inode);
int fuse_rename(struct inode *from_dir, const char *from_name, size_t from_bytes, struct inode *inode, struct inode *to_dir,
                const char *to_name, size_t to_bytes, struct inode *replaced, unsigned flags);
int64_t fuse_read_link(struct inode *inode, char *buffer, size_t size);
int fuse_read_directory(struct inode *dir, uint64_t cookie, fs_emit *emit, void *context);
int fuse_change(struct inode *inode, const struct inode_change *change);
int fuse_resize(struct inode *inode, uint64_t size);
int fuse_allocate(struct inode *inode, uint64_t offset, uint64_t bytes, unsigned flags);
int64_t fuse_seek(struct inode *inode, uint64_t offset, bool data);
int fuse_sync(struct inode *inode, bool data_only);
int64_t fuse_xattr_get(struct inode *inode, const char *name, void *value, size_t size);
int fuse_xattr_set(struct inode *inode, const char *name, const void *value, size_t size, unsigned flags);
int fuse_xattr_remove(struct inode *inode, const char *name);
int64_t fuse_xattr_list(struct inode *inode, char *list, size_t size);
int64_t fuse_read(struct inode *inode, void *opened, uint64_t offset, struct user_ptr to, uint64_t bytes);
int64_t fuse_write(struct inode *inode, void *opened, uint64_t offset, struct user_ptr from, uint64_t bytes);
int fuse_written(struct inode *inode, void *opened, uint64_t offset, uint64_t bytes);
int64_t fuse_control(struct inode *inode, void *opened, struct fs_control *control);
int64_t fuse_copy(struct inode *from, void *from_opened, uint64_t from_offset, struct inode *to, void *to_opened, uint64_t to_offset,
                  uint64_t bytes);
