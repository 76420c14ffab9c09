// What came of a request after its caller had gone: killed, or out of patience. A lookup counts at the driver, and what is open there is
// open, though nobody here knows of it: both are given back as if they had been used. Where there is no memory for the message they stay
// with the driver until it ends.
#include "abi/gen/errors.h"
#include "kernel/fs/fuse/fuse.h"
#include "kernel/mm/slub.h"
#include "lib/string.h"

// One lookup of a node. NULL: it counts for nothing, or there is no memory.
static struct fuse_forget *lookup_of(const struct fuse_request *r, uint64_t nodeid) {
    struct fuse_forget *f = nodeid != 0 && nodeid != FUSE_ROOT ? kzalloc(sizeof *f) : NULL;
    if (f != NULL) *f = (struct fuse_forget){.one = {nodeid, 1}, .epoch = r->epoch, .holds = 1};
    return f;
}

static uint64_t node_of(const struct fuse_request *r) { return ((const struct fuse_in_header *)r->body)->nodeid; }

// The node, if it is held, is forgotten when that is over.
static void close_opened(struct fuse_connection *c, const struct fuse_request *r, uint32_t opcode, uint64_t nodeid, const uint8_t *answer,
                         struct fuse_forget *node) {
    struct fuse_open_out opened;
    memcpy(&opened, answer, sizeof opened);
    struct fuse_request *release = fuse_handle_release(opcode, nodeid, opened.fh, node);
    if (release == NULL) {
        if (node != NULL) fuse_forget_put(c, node);
        return;
    }
    release->epoch = r->epoch;
    fuse_send(c, release);
}

static void give_back_entry(struct fuse_connection *c, const struct fuse_request *r) {
    struct fuse_entry_out e;
    memcpy(&e, r->out, sizeof e);
    struct fuse_forget *node = lookup_of(r, e.nodeid);
    if (r->opcode == FUSE_CREATE) close_opened(c, r, FUSE_RELEASE, e.nodeid, r->out + sizeof e, node);
    else fuse_send_forget(c, node);
}

// OPEN holds its node until it is over (fuse_ask).
static void give_back_open(struct fuse_connection *c, const struct fuse_request *r) {
    fuse_forget_hold(r->context);
    close_opened(c, r, r->opcode == FUSE_OPEN ? FUSE_RELEASE : FUSE_RELEASEDIR, node_of(r), r->out, r->context);
}

static void give_back_list(struct fuse_connection *c, const struct fuse_request *r) {
    struct fuse_entries entries = {r->out, r->out_bytes, true};
    struct fuse_listed l;
    while (fuse_entries_next(&entries, &l) == 1)
        if (!fuse_listed_is_dot(&l)) fuse_send_forget(c, lookup_of(r, l.entry.nodeid));
}

void fuse_late(struct fuse_connection *c, const struct fuse_request *r) {
    if (r->epoch != c->epoch && !c->stateless) return;
    switch (r->opcode) {
    case FUSE_LOOKUP:
    case FUSE_MKNOD:
    case FUSE_MKDIR:
    case FUSE_SYMLINK:
    case FUSE_LINK:
    case FUSE_CREATE: give_back_entry(c, r); break;
    case FUSE_OPEN:
    case FUSE_OPENDIR: give_back_open(c, r); break;
    case FUSE_READDIRPLUS: give_back_list(c, r); break;
    default: break;
    }
}
