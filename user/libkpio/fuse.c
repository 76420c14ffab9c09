#include "user/libkpio/fuse.h"

#include "abi/gen/errors.h"
#include "lib/string.h"
#include "lib/util.h"
#include "user/libkpio/startup.h"

#define WRITE_MOST (1u << 20)
#define HEAD_BYTES 4096u                              // headers and arguments of a request, also of a reply
#define BUFFER_BYTES (WRITE_MOST + 65536u + HEAD_BYTES)  // data, or the largest attribute

static int64_t init(const struct fuse_driver *d, const struct fuse_call *call) {
    const struct fuse_init_in *in = call->body;
    uint32_t most = d->max_write != 0 ? MIN(d->max_write, WRITE_MOST) : WRITE_MOST;
    if (call->bytes < sizeof *in || in->major != FUSE_MAJOR) return -EIO;
    *(struct fuse_init_out *)call->reply = (struct fuse_init_out){
        .major = FUSE_MAJOR, .minor = FUSE_MINOR, .max_readahead = in->max_readahead,
        .flags = in->flags & (d->flags | FUSE_MAX_PAGES), .max_write = most, .time_gran = 1, .max_pages = (uint16_t)(most / 4096)};
    return sizeof(struct fuse_init_out);
}

static int64_t answer(struct fuse_driver *d, const struct fuse_call *call) {
    switch (call->header->opcode) {
    case FUSE_INIT: return init(d, call);
    case FUSE_DESTROY: return 0;
    case FUSE_INTERRUPT:
        if (d->interrupted != NULL) d->interrupted(d, ((const struct fuse_interrupt_in *)call->body)->unique);
        return FUSE_REPLY_NONE;
    default: return d->answer(d, call);
    }
}

// The reply's pieces, 0: there is none.
static uint32_t make_reply(struct fuse_driver *d, uint8_t *request, uint64_t bytes, uint8_t *reply, struct fuse_parts *parts) {
    const struct fuse_in_header *h = (const struct fuse_in_header *)request;
    struct fuse_out_header *out = (struct fuse_out_header *)reply;
    request[bytes] = 0;
    const struct fuse_call call = {
        .header = h, .body = h + 1, .bytes = (uint32_t)(bytes - sizeof *h), .reply = reply + sizeof *out,
        .room = BUFFER_BYTES - (uint32_t)sizeof *out, .parts = parts};
    parts->count = 1;
    parts->bytes = 0;
    int64_t result = answer(d, &call);
    if (result == FUSE_REPLY_NONE) return 0;
    uint32_t head = (uint32_t)sizeof *out + (result > 0 ? (uint32_t)result : 0);
    *out = (struct fuse_out_header){head + (result < 0 ? 0 : parts->bytes), result < 0 ? (int32_t)result : 0, h->unique};
    parts->part[0] = (struct kpio_io_vector){(uint64_t)reply, head};
    return result < 0 ? 1 : parts->count;
}

int64_t fuse_run(struct fuse_driver *d) {
    const uint64_t buffer = align_up(BUFFER_BYTES + 1, 4096), all = 2 * buffer + sizeof(struct fuse_parts);
    kpio_handle aspace = startup_handle("aspace");
    int64_t vmo = kpio_vmo_create(all, 0);
    int64_t memory = vmo < 0 ? vmo : kpio_aspace_map(aspace, (kpio_handle)vmo, 0, align_up(all, 4096), KPIO_MAP_READ | KPIO_MAP_WRITE, 0);
    if (vmo > 0) (void)kpio_handle_close((uint64_t)vmo);
    if (memory < 0) return memory;
    uint8_t *request = (uint8_t *)memory, *reply = request + buffer;
    struct fuse_parts *parts = (struct fuse_parts *)(reply + buffer);
    uint32_t count = 0;
    int64_t n;
    for (;;) {
        n = kpio_fuse_receive(d->channel, parts->part, count, request, BUFFER_BYTES, KPIO_TIME_NEVER);
        if (n == -EINTR || (n == -EINVAL && count != 0)) {  // a reply that was none has been told to who waited
            count = 0;
            continue;
        }
        if (n < (int64_t)sizeof(struct fuse_in_header)) break;
        count = make_reply(d, request, (uint64_t)n, reply, parts);
    }
    (void)kpio_aspace_unmap(aspace, (uint64_t)memory, align_up(all, 4096));
    return n < 0 ? n : -EIO;
}

static int64_t tell(struct fuse_driver *d, int32_t what, const void *body, size_t bytes, const char *name, size_t name_bytes) {
    const struct fuse_out_header h = {(uint32_t)(sizeof h + bytes + name_bytes), what, 0};
    const struct kpio_io_vector parts[] = {{(uint64_t)&h, sizeof h}, {(uint64_t)body, bytes}, {(uint64_t)name, name_bytes}};
    return kpio_fuse_reply(d->channel, parts, name_bytes != 0 ? 3 : 2);
}

int64_t fuse_tell_inode(struct fuse_driver *d, uint64_t node, int64_t offset, int64_t bytes) {
    const struct fuse_notify_inval_inode_out out = {node, offset, bytes};
    return tell(d, FUSE_NOTIFY_INVAL_INODE, &out, sizeof out, NULL, 0);
}

int64_t fuse_tell_entry(struct fuse_driver *d, uint64_t parent, const char *name) {
    const struct fuse_notify_inval_entry_out out = {parent, (uint32_t)strlen(name), 0};
    return tell(d, FUSE_NOTIFY_INVAL_ENTRY, &out, sizeof out, name, strlen(name) + 1);
}
