// Drivers of file systems: what stands between a FUSE channel (docs/fuse.md) and what answers its requests.
//
//     static int64_t answer(struct fuse_driver *d, const struct fuse_call *call) { switch (call->header->opcode) { ... } }
//     struct fuse_driver d = {.channel = startup_handle("fuse"), .answer = answer};
//     return fuse_run(&d);   // also from several threads
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "abi/fuse.h"
#include "abi/gen/stubs.h"

#define FUSE_REPLY_NONE INT64_MAX  // FORGET, INTERRUPT: nothing is sent

#define FUSE_PARTS_MAX 512u
// A reply: its header and body, then what was added.
struct fuse_parts {
    uint32_t count;
    uint32_t bytes;                // of what was added
    struct kpio_io_vector part[FUSE_PARTS_MAX];
};

struct fuse_call {
    const struct fuse_in_header *header;
    const void *body;              // behind the header, followed by a NUL
    uint32_t bytes;                // of it
    uint8_t *reply;                // where the reply's body goes
    uint32_t room;
    struct fuse_parts *parts;      // fuse_call_add
};

struct fuse_driver {
    kpio_handle channel;           // with RECEIVE
    uint32_t flags;                // FUSE_* of INIT that it wants; it gets those that the kernel offers
    uint32_t max_write;            // 0: 1 MiB
    void *context;
    // Bytes of the reply's body, a negative errno, or FUSE_REPLY_NONE. INIT, DESTROY and INTERRUPT do not come here.
    int64_t (*answer)(struct fuse_driver *driver, const struct fuse_call *call);
    // Nobody cares any more for the answer to that request, which is to be sent all the same, soon. May be NULL.
    void (*interrupted)(struct fuse_driver *driver, uint64_t unique);
};

// Memory of the driver's that comes behind what it puts into call->reply, without being copied there: it must not change until this
// thread answers the next call. False: there are too many already.
static inline bool fuse_call_add(const struct fuse_call *call, const void *data, uint32_t bytes) {
    struct fuse_parts *p = call->parts;
    if (p->count == FUSE_PARTS_MAX) return false;
    p->part[p->count++] = (struct kpio_io_vector){(uint64_t)data, bytes};
    p->bytes += bytes;
    return true;
}
// Answers requests until none can come any more: -ENOTCONN (unmounted, or given up), -EBADF, -ECANCELED, or -ENOMEM.
int64_t fuse_run(struct fuse_driver *driver);
// Tells the mount that something cached is out of date: 0, -ENOENT (it has not), -ENOTCONN. Offset < 0: attributes only.
int64_t fuse_tell_inode(struct fuse_driver *driver, uint64_t node, int64_t offset, int64_t bytes);
int64_t fuse_tell_entry(struct fuse_driver *driver, uint64_t parent, const char *name);
