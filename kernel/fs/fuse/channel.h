// The object between a mount and its driver. A handle with MANAGE mounts it and gives drivers their ends, handles with RECEIVE;
// when the last of those is gone the driver is lost.
#pragma once
#include "kernel/fs/fuse/connection.h"
#include "kernel/object/handle.h"

struct fuse_fs;

struct fuse_channel {
    struct object object;
    struct fuse_connection connection;
    bool mounted;                    // atomic: it is one mount's for good
    // Under the connection's lock: the mount, and how many at work for the driver hold it.
    struct fuse_fs *fs;
    uint32_t fs_users;
    // What the last driver and the kernel agreed on (init.c).
    uint32_t flags, max_write, max_read;
};
static inline struct fuse_channel *fuse_channel_of(struct object *o) { return container_of(o, struct fuse_channel, object); }
static inline struct fuse_channel *fuse_channel_of_connection(struct fuse_connection *c) {
    return container_of(c, struct fuse_channel, connection);
}

#define FUSE_RIGHTS_OWNER                                                                                             \
    (KPIO_RIGHT_MANAGE | KPIO_RIGHT_DUPLICATE | KPIO_RIGHT_TRANSFER | KPIO_RIGHT_INSPECT | KPIO_RIGHT_WAIT | KPIO_RIGHT_EXPIRE)
#define FUSE_RIGHTS_DRIVER                                                                                            \
    (KPIO_RIGHT_RECEIVE | KPIO_RIGHT_DUPLICATE | KPIO_RIGHT_TRANSFER | KPIO_RIGHT_INSPECT | KPIO_RIGHT_WAIT | KPIO_RIGHT_EXPIRE)

void fuse_channel_init(void);
[[nodiscard]] int fuse_channel_create(struct job *job, struct fuse_channel **out);

void fuse_channel_info(struct fuse_channel *channel, struct kpio_fuse_info *out);

// ---- a driver's calls; the channel is referenced -------------------------------------------------------------------------
// A message from the pieces: as fuse_reply.
[[nodiscard]] int fuse_channel_reply(struct fuse_channel *channel, const struct kpio_io_vector *parts, uint32_t count,
                                     struct thread **next);
// Waits for the next message into user memory, through the handle of that value: its bytes, or as fuse_take; -ETIMEDOUT, -EINTR,
// -ECANCELED. `next`: from fuse_channel_reply just before, or NULL; it is woken in every case.
[[nodiscard]] int64_t fuse_channel_receive(struct fuse_channel *channel, kpio_handle via, struct user_ptr to, uint64_t bytes,
                                           nanos_t deadline, struct thread *next);
