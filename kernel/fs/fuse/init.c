// The first message to each driver, and what comes of it.
#include "abi/gen/errors.h"
#include "kernel/core/log.h"
#include "kernel/fs/fuse/fuse.h"
#include "lib/string.h"

#define ABLE                                                                                                           \
    (FUSE_ASYNC_READ | FUSE_BIG_WRITES | FUSE_DONT_MASK | FUSE_AUTO_INVAL_DATA | FUSE_DO_READDIRPLUS | FUSE_WRITEBACK_CACHE |     \
     FUSE_NO_OPEN_SUPPORT | FUSE_PARALLEL_DIROPS | FUSE_MAX_PAGES | FUSE_NO_OPENDIR_SUPPORT | FUSE_POSIX_LOCKS | FUSE_FLOCK_LOCKS)
#define PAGES_WITHOUT_MAX 32u  // of a driver that does not know max_pages

static uint32_t most(uint32_t pages) { return MIN(MAX(pages, 1u), FUSE_PAGES_MAX) * (uint32_t)PAGE_SIZE; }

static bool agree(struct fuse_channel *channel, const struct fuse_init_out *out) {
    if (out->major != FUSE_MAJOR || out->minor < FUSE_MINOR_LEAST) return false;
    channel->flags = out->flags & ABLE;
    channel->connection.single_forgets = out->minor < FUSE_MINOR_BATCH_FORGET;
    channel->max_read = most(out->flags & FUSE_MAX_PAGES ? out->max_pages : PAGES_WITHOUT_MAX);
    channel->max_write = MIN(channel->max_read, (uint32_t)align_down(MAX(out->max_write, (uint32_t)PAGE_SIZE), PAGE_SIZE));
    return true;
}

// Names that an earlier driver gave lead nowhere any more.
static void note_driver(struct fuse_channel *channel) {
    struct fuse_connection *c = &channel->connection;
    spin_lock(&c->idle.lock);
    struct fuse_fs *f = channel->fs;
    __atomic_store_n(&c->missing, 0, __ATOMIC_RELAXED);
    if (f != NULL && !c->stateless) f->fs.generation++;
    spin_unlock(&c->idle.lock);
}

static void init_done(struct fuse_connection *c, struct fuse_request *r) {
    struct fuse_channel *channel = fuse_channel_of_connection(c);
    struct fuse_init_out out = {0};
    if (r->error == 0) memcpy(&out, r->out, r->out_bytes);
    if (r->error == 0 && agree(channel, &out)) {
        note_driver(channel);
        fuse_connection_ready(c);
    } else if (r->error != -ENOTCONN) {
        fuse_connection_lose(c, "its driver speaks another protocol");
    }
}

struct fuse_request *fuse_make_init(struct fuse_connection *c) {
    struct fuse_request *r = fuse_request_alloc(FUSE_INIT, 0, sizeof(struct fuse_init_in), sizeof(struct fuse_init_out));
    if (r == NULL) return NULL;
    r->out_least = FUSE_INIT_OUT_LEAST;
    r->done = init_done;
    *(struct fuse_init_in *)fuse_arguments(r) = (struct fuse_init_in){FUSE_MAJOR, FUSE_MINOR, FUSE_PAGES_MAX * PAGE_SIZE, ABLE};
    return r;
}
