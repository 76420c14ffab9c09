#include "kernel/fs/vfs/memory.h"

#include "abi/gen/errors.h"
#include "kernel/mm/usercopy.h"
#include "kernel/sched/sched.h"

#define PREEMPT_PAGES 16
#define BLOCKS_OF_PAGE (PAGE_SIZE / 512)

// Memory that the file system may not have is room that it does not have.
static int64_t as_room(int64_t result) { return result == -ENOMEM || result == -ENFILE ? -ENOSPC : result; }

// The page, with a reference that keeps it while it is read: who writes it through a mapping meanwhile gets a copy.
static struct page *page_for_reading(struct vmo *vmo, uint64_t index) {
    bool exclusive;
    spin_lock(vmo->lock);
    uint64_t entry = page_tree_lookup(&vmo->tree, index, &exclusive);
    struct page *page = entry != 0 ? entry_page(entry) : NULL;
    if (page != NULL) __atomic_fetch_add(&page->refs, 1, __ATOMIC_RELAXED);
    spin_unlock(vmo->lock);
    return page;
}

int64_t memory_read(struct inode *inode, uint64_t offset, struct user_ptr to, uint64_t bytes) {
    uint64_t size = __atomic_load_n(&inode->size, __ATOMIC_ACQUIRE), done = 0;
    if (offset >= size) return 0;
    bytes = MIN(bytes, size - offset);
    for (unsigned pages = 1; done < bytes; pages++) {
        uint64_t at = offset + done, n = MIN(PAGE_SIZE - (at & PAGE_MASK), bytes - done);
        struct page *page = page_for_reading(inode->memory, at >> PAGE_SHIFT);
        int error;
        if (page != NULL) {
            error = copy_to_user(user_add(to, done), (char *)page_to_virt(page) + (at & PAGE_MASK), n);
            page_entry_put((uint64_t)page);
        } else {
            error = zero_user(user_add(to, done), n);
        }
        if (error != 0) return done != 0 ? (int64_t)done : error;
        done += n;
        if (pages % PREEMPT_PAGES == 0 && sched_preempt_point()) break;
    }
    return (int64_t)done;
}

static int set_pages(struct inode *inode, uint64_t size) {
    uint64_t wanted = MAX(align_up(size, PAGE_SIZE), PAGE_SIZE);
    return wanted >> PAGE_SHIFT == inode->memory->pages ? 0 : vmo_resize(inode->memory, wanted);
}

static uint64_t blocks_in(struct inode *inode, uint64_t start, uint64_t end) {
    return vmo_count_pages(inode->memory, start >> PAGE_SHIFT, div_round_up(end, PAGE_SIZE)) * BLOCKS_OF_PAGE;
}
// Pages that a mapping made are found here only.
static void count_blocks(struct inode *inode) { inode->blocks = blocks_in(inode, 0, inode->memory->pages << PAGE_SHIFT); }

// The rest of the last page, which a mapping may have written, is not to come up as content.
static int clear_behind(struct inode *inode, uint64_t size) {
    uint64_t tail = -size & PAGE_MASK;
    return tail != 0 ? vmo_zero(inode->memory, size, tail) : 0;
}

int64_t memory_read_kernel(struct inode *inode, uint64_t offset, void *to, uint64_t bytes) {
    uint64_t size = __atomic_load_n(&inode->size, __ATOMIC_ACQUIRE);
    return offset >= size ? 0 : vmo_read_kernel(inode->memory, offset, to, MIN(bytes, size - offset));
}

// Within the pages that there are: from kernel memory, or with that NULL the user's.
static inline int64_t put(struct inode *inode, uint64_t offset, const void *kernel, struct user_ptr from, uint64_t bytes) {
    const uint64_t end = offset + bytes, all = (div_round_up(end, PAGE_SIZE) - (offset >> PAGE_SHIFT)) * BLOCKS_OF_PAGE;
    uint64_t blocks = blocks_in(inode, offset, end);
    int64_t done = kernel != NULL ? vmo_write_kernel(inode->memory, offset, kernel, bytes) : vmo_write(inode->memory, offset, from, bytes);
    if (done > 0 && unlikely(blocks != all)) inode->blocks += blocks_in(inode, offset, end) - blocks;
    return done;
}

static coldpath int64_t extend(struct inode *inode, uint64_t offset, const void *kernel, struct user_ptr from, uint64_t bytes) {
    uint64_t old = inode->size;
    int error = offset > old ? clear_behind(inode, old) : 0;
    if (error == 0) error = set_pages(inode, offset + bytes);
    int64_t done = error != 0 ? error : put(inode, offset, kernel, from, bytes);
    if (done > 0 && offset + (uint64_t)done > old) __atomic_store_n(&inode->size, offset + (uint64_t)done, __ATOMIC_RELEASE);
    if (offset + bytes > inode->size) (void)set_pages(inode, inode->size);  // shrinking what was never used
    return done;
}

static inline int64_t write(struct inode *inode, uint64_t offset, const void *kernel, struct user_ptr from, uint64_t bytes) {
    bool within = offset + bytes <= inode->size;
    return as_room(likely(within) ? put(inode, offset, kernel, from, bytes) : extend(inode, offset, kernel, from, bytes));
}

int64_t memory_write(struct inode *inode, uint64_t offset, struct user_ptr from, uint64_t bytes) {
    return write(inode, offset, NULL, from, bytes);
}
int64_t memory_write_kernel(struct inode *inode, uint64_t offset, const void *from, uint64_t bytes) {
    return write(inode, offset, from, user_ptr(0), bytes);
}

int memory_resize(struct inode *inode, uint64_t size) {
    uint64_t old = inode->size;
    int error = clear_behind(inode, MIN(size, old));
    if (error != 0) return (int)as_room(error);
    if (size < old) __atomic_store_n(&inode->size, size, __ATOMIC_RELEASE);
    error = set_pages(inode, size);
    if (error == 0 && size == 0) {  // it keeps a page
        error = vmo_decommit(inode->memory, 0, PAGE_SIZE);
        vmo_drop_copies(inode->memory, 0);
    }
    if (error == 0) __atomic_store_n(&inode->size, size, __ATOMIC_RELEASE);
    count_blocks(inode);
    return (int)as_room(error);
}

// Whole pages go, the ends are zeroed.
static int punch(struct inode *inode, uint64_t offset, uint64_t bytes) {
    uint64_t limit = inode->memory->pages << PAGE_SHIFT;
    if (offset >= limit) return 0;
    uint64_t end = MIN(offset + bytes, limit), first = align_up(offset, PAGE_SIZE), last = align_down(end, PAGE_SIZE);
    if (first > last) return vmo_zero(inode->memory, offset, end - offset);
    int error = first > offset ? vmo_zero(inode->memory, offset, first - offset) : 0;
    if (error == 0 && end > last) error = vmo_zero(inode->memory, last, end - last);
    return error == 0 && last > first ? vmo_decommit(inode->memory, first, last - first) : error;
}

int memory_allocate(struct inode *inode, uint64_t offset, uint64_t bytes, unsigned flags) {
    uint64_t end = offset + bytes, old = inode->size;
    int error = 0;
    if (flags & (FS_ALLOCATE_PUNCH_HOLE | FS_ALLOCATE_ZERO_RANGE)) error = punch(inode, offset, bytes);
    if (!(flags & (FS_ALLOCATE_PUNCH_HOLE | FS_ALLOCATE_KEEP_SIZE)) && error == 0 && end > old) error = set_pages(inode, end);
    // Memory beyond the end is not kept ready: there is nothing to allocate there.
    uint64_t stop = MIN(align_up(end, PAGE_SIZE), inode->memory->pages << PAGE_SHIFT), start = align_down(offset, PAGE_SIZE);
    if (!(flags & FS_ALLOCATE_PUNCH_HOLE) && error == 0 && stop > start) error = vmo_commit(inode->memory, start, stop - start);
    if (error == 0 && !(flags & (FS_ALLOCATE_PUNCH_HOLE | FS_ALLOCATE_KEEP_SIZE)) && end > old)
        __atomic_store_n(&inode->size, end, __ATOMIC_RELEASE);
    if (error != 0) (void)set_pages(inode, old);
    count_blocks(inode);
    return (int)as_room(error);
}

int64_t memory_seek(struct inode *inode, uint64_t offset, bool data) {
    struct vmo *vmo = inode->memory;
    uint64_t size = inode->size, end = div_round_up(size, PAGE_SIZE), index = offset >> PAGE_SHIFT;
    for (unsigned steps = 1; index < end; index++, steps++) {
        bool exclusive;
        spin_lock(vmo->lock);
        if (data) index = page_tree_next(&vmo->tree, index, end);
        bool there = index < end && page_tree_lookup(&vmo->tree, index, &exclusive) != 0;
        spin_unlock(vmo->lock);
        if (index < end && there == data) return (int64_t)MAX(offset, index << PAGE_SHIFT);
        if (steps % 256 == 0 && sched_preempt_point()) return -EINTR;
    }
    return data ? -ENXIO : (int64_t)size;
}
