// What files contain: between the page cache and the driver, or past the cache.
#include "abi/gen/errors.h"
#include "kernel/core/assert.h"
#include "kernel/fs/fuse/fuse.h"
#include "kernel/mm/page.h"
#include "kernel/mm/usercopy.h"
#include "lib/string.h"

#define LINUX_READ_WRITE 2u
#define DIRECT_PAGES 32u  // in one request past the cache

// ---- requests -----------------------------------------------------------------------------------------------------------

// Bytes that came into the pages.
static int64_t ask_read(struct fuse_node *node, uint64_t fh, uint64_t offset, struct page *const *pages, uint32_t bytes) {
    struct fuse_fs *f = fuse_of_node(node);
    struct fuse_request *r = fuse_request_alloc(FUSE_READ, node->nodeid, sizeof(struct fuse_read_in), 0);
    if (r == NULL) return -ENOMEM;
    *(struct fuse_read_in *)fuse_arguments(r) = (struct fuse_read_in){.fh = fh, .offset = offset, .size = bytes};
    r->epoch = node->epoch;
    r->pages = pages;
    r->pages_bytes = bytes;
    int error = fuse_call(f->c, r);
    int64_t got = error != 0 ? fuse_error(error) : (int64_t)r->out_bytes;
    fuse_request_free(f->c, r);
    return got;
}

// Bytes that the driver took, at least one.
static int64_t ask_write(struct fuse_node *node, uint64_t fh, uint64_t offset, struct page *const *pages, uint32_t start, uint32_t bytes,
                         bool cached) {
    struct fuse_fs *f = fuse_of_node(node);
    struct fuse_request *r = fuse_request_alloc(FUSE_WRITE, node->nodeid, sizeof(struct fuse_write_in), sizeof(struct fuse_write_out));
    if (r == NULL) return -ENOMEM;
    *(struct fuse_write_in *)fuse_arguments(r) = (struct fuse_write_in){
        .fh = fh, .offset = offset, .size = bytes, .write_flags = cached ? FUSE_WRITE_CACHE : 0, .flags = LINUX_READ_WRITE};
    r->epoch = node->epoch;
    r->pages = pages;
    r->pages_start = start;
    r->pages_bytes = bytes;
    int error = fuse_call(f->c, r);
    uint32_t took = error == 0 ? ((const struct fuse_write_out *)r->out)->size : 0;
    fuse_request_free(f->c, r);
    if (error != 0) return fuse_error(error);
    return took == 0 || took > bytes ? -EIO : (int64_t)took;
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

static int read_pages(struct file_cache *cache, uint64_t first, struct page **pages, uint32_t count) {
    struct fuse_node *node = fuse_node_of(inode_of(cache));
    uint32_t most = fuse_of_node(node)->channel->max_read >> PAGE_SHIFT;
    uint64_t fh;
    int error = fuse_check_node(node);
    if (error == 0) error = fuse_handle_any(node, false, &fh);
    if (error != 0) return error == -EBADF ? -EIO : error;
    for (uint32_t done = 0, n; done < count; done += n) {
        n = MIN(count - done, MAX(most, 1u));
        uint32_t bytes = n << PAGE_SHIFT;
        int64_t got = ask_read(node, fh, (first + done) << PAGE_SHIFT, pages + done, bytes);
        if (got < 0) return (int)got;
        zero_rest(pages + done, (uint32_t)got, bytes);
    }
    return 0;
}

// What lies beyond the end is not the file's. Memory for requests may be short for a while: the cache then asks again.
static int write_pages(struct file_cache *cache, uint64_t first, struct page **pages, uint32_t count, uint64_t size) {
    struct fuse_node *node = fuse_node_of(inode_of(cache));
    uint32_t most = fuse_of_node(node)->channel->max_write;
    uint64_t fh, start = first << PAGE_SHIFT, end = MIN((first + count) << PAGE_SHIFT, size);
    int error = fuse_check_node(node);
    if (error == 0) error = fuse_handle_any(node, true, &fh);
    if (error != 0) return error == -EBADF ? -EIO : error;
    for (uint64_t at = start; at < end;) {
        uint32_t in = (uint32_t)(at - start), n = (uint32_t)MIN(end - at, (uint64_t)MAX(most, (uint32_t)PAGE_SIZE));
        int64_t took = ask_write(node, fh, at, pages + (in >> PAGE_SHIFT), in & PAGE_MASK, n, true);
        if (took < 0) return (int)took;
        at += (uint64_t)took;
    }
    return 0;
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

// Pages of the kernel's own stand between the caller's memory and the driver: a fault there must not be waited for here.
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

// One request's worth: bytes moved, short at the end.
static int64_t move(struct fuse_node *node, const struct fuse_handle *h, uint64_t offset, struct user_ptr user, uint64_t bytes, bool out) {
    struct page *pages[DIRECT_PAGES];
    const struct fuse_channel *channel = fuse_of_node(node)->channel;
    uint32_t most = MIN(out ? channel->max_read : channel->max_write, DIRECT_PAGES * (uint32_t)PAGE_SIZE);
    uint32_t wanted = (uint32_t)MIN(bytes, (uint64_t)most), count = bounce_alloc(pages, (uint32_t)div_round_up(wanted, PAGE_SIZE));
    wanted = MIN(wanted, count << PAGE_SHIFT);
    int64_t n = wanted == 0 ? -ENOMEM : out ? 0 : bounce_copy(pages, user, wanted, false);
    if (n == 0) n = out ? ask_read(node, h->fh, offset, pages, wanted) : ask_write(node, h->fh, offset, pages, 0, wanted, false);
    if (n > 0 && out) {
        int error = bounce_copy(pages, user, (uint32_t)n, true);
        if (error != 0) n = error;
    }
    bounce_free(pages, count);
    return n;
}

static int64_t move_all(struct fuse_node *node, const struct fuse_handle *h, uint64_t offset, struct user_ptr user, uint64_t bytes,
                        bool out) {
    int error = fuse_check_node(node);
    if (error == 0 && h->epoch != node->epoch && !fuse_of_node(node)->c->stateless) error = -ESTALE;
    uint64_t done = 0;
    while (error == 0 && done < bytes) {
        uint64_t wanted = MIN(bytes - done, (uint64_t)DIRECT_PAGES << PAGE_SHIFT);
        int64_t n = move(node, h, offset + done, user_add(user, done), wanted, out);
        if (n > 0) done += (uint64_t)n;
        error = n < 0 ? (int)n : 0;
        if (n >= 0 && (uint64_t)n < wanted && (out || n == 0)) break;
    }
    return done != 0 ? (int64_t)done : error;
}

int64_t fuse_read(struct inode *inode, void *opened, uint64_t offset, struct user_ptr to, uint64_t bytes) {
    struct fuse_node *node = fuse_node_of(inode);
    const struct fuse_handle *h = opened;
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
    const struct fuse_handle *h = opened;
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
