// What files contain: between the page cache and the driver, or past the cache.
#include "abi/gen/errors.h"
#include "kernel/core/assert.h"
#include "kernel/fs/fuse/fuse.h"
#include "kernel/mm/page.h"
#include "kernel/mm/usercopy.h"
#include "lib/string.h"

#define LINUX_READ_WRITE 2u
#define BOUNCE_PAGES 32u  // in one request

// ---- requests -----------------------------------------------------------------------------------------------------------

// Where data come from or go to: pages, or memory of the running thread.
struct place {
    struct page *const *pages;
    struct user_ptr user;     // without pages
    uint32_t start, bytes;    // start: in the first page
};

static void put_place(struct fuse_request *r, const struct place *p) {
    r->pages = p->pages;
    r->space = p->pages == NULL ? current_thread()->aspace : NULL;
    assert(r->pages != NULL || r->space != NULL);
    r->address = p->user.v;
    r->start = p->start;
    r->bytes = p->bytes;
}

// -EAGAIN: memory of the caller's has to be asked for first.
static int64_t result_of(const struct fuse_request *r, int error, int64_t done) {
    if (unlikely(error != 0)) return r->absent ? -EAGAIN : fuse_error(error);
    return done;
}

// Bytes that came.
static int64_t ask_read(struct fuse_node *node, struct fuse_handle *h, uint64_t offset, const struct place *to) {
    struct fuse_fs *f = fuse_of_node(node);
    struct fuse_request *r = fuse_request_alloc(FUSE_READ, node->nodeid, sizeof(struct fuse_read_in), 0);
    if (r == NULL) return -ENOMEM;
    *(struct fuse_read_in *)fuse_arguments(r) = (struct fuse_read_in){.fh = fuse_handle_number(h), .offset = offset, .size = to->bytes};
    r->epoch = node->epoch;
    fuse_handle_lend(h, r);
    put_place(r, to);
    f->reads[this_cpu()->id].asked++;
    int error = fuse_call(f->c, r);
    int64_t got = result_of(r, error, r->out_bytes);
    fuse_request_free(f->c, r);
    return got;
}

// Bytes that the driver took, at least one.
static int64_t ask_write(struct fuse_node *node, struct fuse_handle *h, uint64_t offset, const struct place *from, bool cached) {
    struct fuse_fs *f = fuse_of_node(node);
    struct fuse_request *r = fuse_request_alloc(FUSE_WRITE, node->nodeid, sizeof(struct fuse_write_in), sizeof(struct fuse_write_out));
    if (r == NULL) return -ENOMEM;
    *(struct fuse_write_in *)fuse_arguments(r) = (struct fuse_write_in){
        .fh = fuse_handle_number(h), .offset = offset, .size = from->bytes, .flags = LINUX_READ_WRITE,
        .write_flags = cached ? FUSE_WRITE_CACHE : 0};
    r->epoch = node->epoch;
    fuse_handle_lend(h, r);
    put_place(r, from);
    int error = fuse_call(f->c, r);
    uint32_t took = error == 0 ? ((const struct fuse_write_out *)r->out)->size : 0;
    int64_t result = result_of(r, error, took == 0 || took > from->bytes ? -EIO : (int64_t)took);
    fuse_request_free(f->c, r);
    return result;
}

// ---- the page cache -----------------------------------------------------------------------------------------------------

static struct inode *inode_of(struct file_cache *cache) { return container_of(cache, struct inode, cache); }

static void zero_rest(struct page **pages, uint32_t from, uint32_t to) {
    while (from < to) {
        uint32_t in = from & PAGE_MASK, n = MIN((uint32_t)PAGE_SIZE - in, to - from);
        memset((uint8_t *)page_to_virt(pages[from >> PAGE_SHIFT]) + in, 0, n);
        from += n;
    }
}

static int read_all(struct fuse_node *node, struct fuse_handle *h, uint64_t first, struct page **pages, uint32_t count) {
    uint32_t most = fuse_of_node(node)->channel->max_read >> PAGE_SHIFT;
    for (uint32_t done = 0, n; done < count; done += n) {
        n = MIN(count - done, MAX(most, 1u));
        const struct place to = {.pages = pages + done, .bytes = n << PAGE_SHIFT};
        int64_t got = ask_read(node, h, (first + done) << PAGE_SHIFT, &to);
        if (got < 0) return (int)got;
        zero_rest(pages + done, (uint32_t)got, to.bytes);
    }
    return 0;
}

static int read_pages(struct file_cache *cache, uint64_t first, struct page **pages, uint32_t count) {
    struct fuse_node *node = fuse_node_of(inode_of(cache));
    struct fuse_handle *h;
    int error = fuse_check_node(node);
    if (error == 0) error = fuse_handle_any(node, false, &h);
    if (error != 0) return error == -EBADF ? -EIO : error;
    error = read_all(node, h, first, pages, count);
    fuse_handle_put(h);
    return error;
}

static int write_all(struct fuse_node *node, struct fuse_handle *h, uint64_t start, struct page **pages, uint64_t end) {
    uint32_t most = fuse_of_node(node)->channel->max_write;
    for (uint64_t at = start; at < end;) {
        uint32_t in = (uint32_t)(at - start), n = (uint32_t)MIN(end - at, (uint64_t)MAX(most, (uint32_t)PAGE_SIZE));
        const struct place from = {.pages = pages + (in >> PAGE_SHIFT), .start = in & PAGE_MASK, .bytes = n};
        int64_t took = ask_write(node, h, at, &from, true);
        if (took < 0) return (int)took;
        at += (uint64_t)took;
    }
    return 0;
}

// What lies beyond the end is not the file's. Memory for requests may be short for a while: the cache then asks again.
static int write_pages(struct file_cache *cache, uint64_t first, struct page **pages, uint32_t count, uint64_t size) {
    struct fuse_node *node = fuse_node_of(inode_of(cache));
    struct fuse_handle *h;
    int error = fuse_check_node(node);
    if (error == 0) error = fuse_handle_any(node, true, &h);
    if (error != 0) return error == -EBADF ? -EIO : error;
    error = write_all(node, h, first << PAGE_SHIFT, pages, MIN((first + count) << PAGE_SHIFT, size));
    fuse_handle_put(h);
    return error;
}

// The end of a visit, perhaps: what is closed, and was kept for what was dirty, goes.
static void mapped(struct file_cache *cache, bool is) {
    if (!is) fuse_handles_settle(fuse_node_of(inode_of(cache)));
    inode_mapped(cache, is);
}

static bool visit(struct file_cache *cache) { return inode_tryhold(inode_of(cache)); }

const struct file_cache_ops fuse_cache_ops = {
    .read_pages = read_pages,
    .write_pages = write_pages,
    .mapped = mapped,
    .visit = visit,
    .sync = inode_sync_mapped,
};

// ---- past the cache -----------------------------------------------------------------------------------------------------
// The driver's memory is copied from and to the caller's as that is mapped then. Where that would have to be waited for, pages of
// the kernel's stand between them: while the driver waits nothing may be asked of a pager, which may be the same driver.

static uint32_t bounce_alloc(struct page **pages, uint32_t wanted) {
    uint32_t n = 0;
    while (n < wanted && (pages[n] = page_alloc(0)) != NULL) n++;
    return n;
}

static void bounce_free(struct page **pages, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) page_free(pages[i]);
}

static int bounce_copy(struct page **pages, struct user_ptr user, uint32_t bytes, bool out) {
    for (uint32_t done = 0, n; done < bytes; done += n) {
        void *kernel = page_to_virt(pages[done >> PAGE_SHIFT]);
        n = MIN(bytes - done, (uint32_t)PAGE_SIZE);
        int error = out ? copy_to_user(user_add(user, done), kernel, n) : copy_from_user(kernel, user_add(user, done), n);
        if (error != 0) return error;
    }
    return 0;
}

static int64_t ask(struct fuse_node *node, struct fuse_handle *h, uint64_t offset, const struct place *place, bool out) {
    return out ? ask_read(node, h, offset, place) : ask_write(node, h, offset, place, false);
}

// place->bytes becomes what was asked for.
static coldpath int64_t ask_bounced(struct fuse_node *node, struct fuse_handle *h, uint64_t offset, struct place *place, bool out) {
    struct page *pages[BOUNCE_PAGES];
    uint32_t wanted = MIN(place->bytes, BOUNCE_PAGES * (uint32_t)PAGE_SIZE);
    uint32_t count = bounce_alloc(pages, (uint32_t)div_round_up(wanted, PAGE_SIZE));
    const struct place between = {.pages = pages, .bytes = MIN(wanted, count << PAGE_SHIFT)};
    int64_t n = between.bytes == 0 ? -ENOMEM : out ? 0 : bounce_copy(pages, place->user, between.bytes, false);
    place->bytes = between.bytes;
    if (n == 0) n = ask(node, h, offset, &between, out);
    if (n > 0 && out) {
        int error = bounce_copy(pages, place->user, (uint32_t)n, true);
        if (error != 0) n = error;
    }
    bounce_free(pages, count);
    return n;
}

static int64_t move_all(struct fuse_node *node, struct fuse_handle *h, uint64_t offset, struct user_ptr user, uint64_t bytes,
                        bool out) {
    const struct fuse_channel *channel = fuse_of_node(node)->channel;
    const uint64_t most = out ? channel->max_read : channel->max_write;
    int64_t error = fuse_handle_check(h, node);
    uint64_t done = 0;
    while (error == 0 && done < bytes) {
        struct place place = {.user = user_add(user, done), .bytes = (uint32_t)MIN(bytes - done, most)};
        int64_t n = ask(node, h, offset + done, &place, out);
        if (unlikely(n == -EAGAIN)) n = ask_bounced(node, h, offset + done, &place, out);
        if (n > 0) done += (uint64_t)n;
        error = n < 0 ? n : 0;
        if (n >= 0 && n < place.bytes && (out || n == 0)) break;
    }
    return done != 0 ? (int64_t)done : error;
}

int64_t fuse_read(struct inode *inode, void *opened, uint64_t offset, struct user_ptr to, uint64_t bytes) {
    struct fuse_node *node = fuse_node_of(inode);
    struct fuse_handle *h = opened;
    fuse_of_node(node)->reads[this_cpu()->id].all++;
    if (unlikely(h->open_flags & FOPEN_DIRECT_IO)) return move_all(node, h, offset, to, bytes, true);
    bool stale = __atomic_load_n(&node->stale_data, __ATOMIC_RELAXED);
    if (unlikely(stale || fuse_wants(fuse_of_node(node), FUSE_AUTO_INVAL_DATA)) &&
        (stale || __atomic_load_n(&inode->fresh_until, __ATOMIC_RELAXED) <= arch_now())) {
        int error = fuse_revalidate(inode);
        if (error != 0) return error;
    }
    return -EAGAIN;
}

int64_t fuse_write(struct inode *inode, void *opened, uint64_t offset, struct user_ptr from, uint64_t bytes) {
    struct fuse_node *node = fuse_node_of(inode);
    struct fuse_handle *h = opened;
    if (!(h->open_flags & FOPEN_DIRECT_IO)) return -EAGAIN;
    int error = file_cache_sync(&inode->cache, offset, bytes);
    if (error != 0) return error;
    int64_t done = move_all(node, h, offset, from, bytes, false);
    if (done <= 0) return done;
    fuse_note_change(node);
    node->wrote = true;
    // What is cached of the range is not what was written.
    (void)file_cache_reset(&inode->cache, offset, MAX(inode->cache.size, offset + (uint64_t)done));
    return done;
}

int fuse_written(struct inode *inode, void *opened, uint64_t offset, uint64_t bytes) {
    struct fuse_node *node = fuse_node_of(inode);
    const struct fuse_handle *h = opened;
    fuse_note_change(node);
    inode->blocks = MAX(inode->blocks, div_round_up(inode->cache.size, 512));
    if (fuse_wants(fuse_of_node(node), FUSE_WRITEBACK_CACHE) && !(h->open_flags & FOPEN_DIRECT_IO)) return 0;
    // The driver knows when it was written.
    __atomic_fetch_and(&inode->flags, ~(uint32_t)INODE_DIRTY, __ATOMIC_ACQ_REL);
    node->wrote = true;
    return h->open_flags & FOPEN_DIRECT_IO ? 0 : file_cache_sync(&inode->cache, offset, bytes);
}
