// Reading from the cache. The hot path takes no lock and writes no shared memory: it finds the page in the tree, holds it
// against being freed (vmo_hold), copies, and goes on in the same leaf.
#include "abi/gen/errors.h"
#include "kernel/block/page_cache_internal.h"
#include "kernel/mm/usercopy.h"
#include "lib/string.h"

#define PREEMPT_PAGES 16

// The page is not simply there. 0: look again.
static coldpath int read_slowly(struct file_cache *cache, uint64_t index, uint64_t end_byte) {
    uint64_t needed = div_round_up(end_byte, PAGE_SIZE) - index;
    return cache_get_page(cache, index, MIN(needed, (uint64_t)CACHE_BATCH));
}

// Its first use since it was read is no second one; nor are the next pieces of a reader that goes on in it.
static coldpath void touch(struct file_cache *cache, struct page *page, unsigned flags, uint64_t at) {
    if (flags & PAGE_NEW) vmo_page_clear(page, PAGE_NEW);
    else if (at != cache->sequential.byte || (at & PAGE_MASK) == 0) vmo_page_set(page, PAGE_USED_BIT);
}

// User memory that is not there: nothing is held now. Another thread may take it away again and again, so this is a
// preemption point too. -EINTR: killed.
static coldpath int fault_in(struct user_ptr at, size_t bytes) {
    int error = user_fault_in(at, bytes, true);
    return error != 0 ? error : sched_preempt_point() ? -EINTR : 0;
}

static inline __attribute__((always_inline)) int64_t read_pages(struct file_cache *cache, uint64_t offset, struct user_ptr to,
                                                                void *kernel, uint64_t bytes) {
    uint64_t size = __atomic_load_n(&cache->size, __ATOMIC_ACQUIRE), done = 0;
    if (offset >= size) return 0;
    bytes = MIN(bytes, size - offset);
    if (unlikely(!__atomic_load_n(&cache->vmo, __ATOMIC_ACQUIRE))) {
        int error = cache_make_vmo(cache);
        if (error) return error;
    }
    const struct page_tree *tree = &cache->vmo->tree;
    const uint64_t *slot = NULL;
    unsigned pages = 0;
    while (done < bytes) {
        uint64_t at = offset + done, index = at >> PAGE_SHIFT, in = at & PAGE_MASK;
        uint64_t n = MIN(PAGE_SIZE - in, bytes - done);
        if (!slot || index % PAGE_TREE_SLOTS == 0) slot = page_tree_find(tree, index);
        struct page *page = likely(slot) ? vmo_hold(slot) : NULL;
        unsigned flags = likely(page) ? vmo_page_flags(page) : VMO_PAGE_LOADING;
        if (unlikely(flags & (VMO_PAGE_LOADING | VMO_PAGE_ERROR | PAGE_TRIGGER))) {
            vmo_unhold();
            int error = read_slowly(cache, index, offset + bytes);
            if (error) return done || error == -EFAULT ? (int64_t)done : error;  // -EFAULT: it ends here now
            slot = NULL;
            continue;
        }
        if (unlikely(!(flags & PAGE_USED_BIT))) touch(cache, page, flags, at);
        const uint8_t *from = (const uint8_t *)page_to_virt(page) + in;
        size_t left = 0;
        if (kernel) memcpy((uint8_t *)kernel + done, from, n);
        else left = copy_to_user_nowait(user_add(to, done), from, n);
        vmo_unhold();
        done += n - left;
        slot++;
        if (unlikely(left)) {
            int error = fault_in(user_add(to, done), left);
            if (error) return done ? (int64_t)done : error;
            slot = NULL;
        } else if (unlikely(++pages % PREEMPT_PAGES == 0)) {
            if (sched_preempt_point()) break;
            slot = NULL;
        }
    }
    if (unlikely((offset + done) & PAGE_MASK)) cache->sequential.byte = offset + done;
    return (int64_t)done;
}

int64_t file_cache_read(struct file_cache *cache, uint64_t offset, struct user_ptr to, uint64_t bytes) {
    if (unlikely(!user_range_valid(to, bytes))) return -EFAULT;
    return read_pages(cache, offset, to, NULL, bytes);
}

int64_t file_cache_read_kernel(struct file_cache *cache, uint64_t offset, void *to, uint64_t bytes) {
    return read_pages(cache, offset, user_ptr(0), to, bytes);
}
