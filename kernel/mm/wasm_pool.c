// The pool is a few ranges of whole 2 MiB blocks. A block is
//
//   fresh    never used since boot: nothing about it is initialised
//   dirty    free as a whole; its first `clean` pages are zero
//   busy     a dirty one while a CPU zeroes a few pages more: on no list, for as long as a lock might be held
//   clean    free as a whole and zero
//   broken   taken in 4 KiB pages: [0, next) have been taken, those of them that came back are on the `returned` stack. One that
//            is taken as a 2 MiB page is such a block of which all pages are taken at once
//
// Since the pages promised never exceed the pages there are, and a page that is not taken is in a block that is free as a
// whole, busy or broken, a small page is always found for a promise, if need be after a busy block has become dirty again.
#include "kernel/mm/wasm_pool.h"

#include "kernel/core/spinlock.h"

#define MAX_RANGES 8
#define CLEAN_BLOCKS_WANTED 32  // what idle CPUs keep ready: 64 MiB
#define IDLE_STEP_PAGES 8
#define CLEAN_STEP_PAGES 32

enum block_state { BLOCK_DIRTY, BLOCK_BUSY, BLOCK_CLEAN, BLOCK_BROKEN };

struct pool_block {
    struct list_node link;   // on the dirty, clean or broken list; not linked when busy, or broken and full
    struct page *returned;   // broken: small pages that came back, linked by page->owner
    uint16_t state;
    uint16_t used;           // broken: pages taken now
    uint16_t next;           // broken: pages [next, 512) have not been taken
    uint16_t clean;          // pages [0, clean) were zero when the block was last free as a whole
};

static struct {
    struct spinlock lock;
    struct pool_range {
        uint64_t first_page, blocks, first_block;
    } ranges[MAX_RANGES];
    unsigned range_count;
    struct pool_block *blocks;  // of all ranges; [0, fresh) are initialised
    uint64_t block_count, fresh;
    struct list dirty, clean, broken;
    uint64_t clean_count, busy_count;
    uint64_t reserved, taken;  // bytes
} pool = {.lock = SPINLOCK_INIT("wasm pool")};

void wasm_pool_init(uint64_t size) {
    struct mem_range found[MAX_RANGES];
    struct page *table;
    unsigned order;

    list_init(&pool.dirty);
    list_init(&pool.clean);
    list_init(&pool.broken);
    if (size == UINT64_MAX) size = page_free_count() * PAGE_SIZE / 4;
    if (size == 0) return;
    pool.range_count = page_set_aside(size, found, MAX_RANGES);
    for (unsigned i = 0; i < pool.range_count; i++) {
        pool.ranges[i].first_page = found[i].base >> PAGE_SHIFT;
        pool.ranges[i].blocks = found[i].size >> LARGE_PAGE_SHIFT;
        pool.ranges[i].first_block = pool.block_count;
        pool.block_count += pool.ranges[i].blocks;
    }
    if (pool.block_count == 0) return;
    order = log2_ceil(div_round_up(pool.block_count * sizeof(struct pool_block), PAGE_SIZE));
    table = order <= PAGE_MAX_ORDER ? page_alloc_block(order, 0) : NULL;
    if (table == NULL) panic("no memory for the table of a WASM pool of %lu MiB: make wasm_pool= smaller", size >> 20);
    pool.blocks = page_to_virt(table);
}

static struct page *block_page(const struct pool_block *block) {
    uint64_t index = (uint64_t)(block - pool.blocks);
    unsigned i = 0;

    while (index - pool.ranges[i].first_block >= pool.ranges[i].blocks) i++;
    return page_array_base + pool.ranges[i].first_page + (index - pool.ranges[i].first_block) * WASM_POOL_BLOCK_PAGES;
}

static struct pool_block *block_of(const struct page *page) {
    uint64_t number = page_number(page);

    for (unsigned i = 0; i < pool.range_count; i++) {
        uint64_t offset = (number - pool.ranges[i].first_page) / WASM_POOL_BLOCK_PAGES;

        if (number >= pool.ranges[i].first_page && offset < pool.ranges[i].blocks)
            return &pool.blocks[pool.ranges[i].first_block + offset];
    }
    panic("page %#lx is not of the WASM pool", number);
}

static inline void take_header(struct page *page) {
    page->type = PAGE_POOL;
    page->order = 0;
    page->flags = 0;
    page->refs = 1;
}

// The next fresh block, as a dirty one on no list, or NULL.
static struct pool_block *open_fresh(void) {
    struct pool_block *block;

    if (pool.fresh == pool.block_count) return NULL;
    block = &pool.blocks[pool.fresh++];
    *block = (struct pool_block){.state = BLOCK_DIRTY};
    return block;
}

// A block that is free as a whole, off its list, or NULL.
static struct pool_block *take_whole(void) {
    struct pool_block *block = list_pop_front_entry(&pool.clean, struct pool_block, link);

    if (block != NULL) {
        pool.clean_count--;
        return block;
    }
    block = list_pop_front_entry(&pool.dirty, struct pool_block, link);
    return block != NULL ? block : open_fresh();
}

static void put_whole(struct pool_block *block) {
    block->state = BLOCK_DIRTY;
    block->clean = 0;
    list_push_front(&pool.dirty, &block->link);
}

// ---- accounts -----------------------------------------------------------------------------------------------------------

bool wasm_pool_reserve(struct wasm_account *account, uint64_t size) {
    uint64_t wanted;
    bool fits;

    assert(is_aligned(size, PAGE_SIZE));
    spin_lock(&pool.lock);
    fits = checked_add(account->reserved, size, &wanted) && wanted <= account->limit &&
           size <= pool.block_count * LARGE_PAGE_SIZE - pool.reserved;
    if (fits) {
        account->reserved = wanted;
        pool.reserved += size;
    }
    spin_unlock(&pool.lock);
    return fits;
}

void wasm_pool_unreserve(struct wasm_account *account, uint64_t size) {
    spin_lock(&pool.lock);
    verify(size <= account->reserved - account->current && size <= pool.reserved);
    account->reserved -= size;
    pool.reserved -= size;
    spin_unlock(&pool.lock);
}

static bool charge(struct wasm_account *account, uint64_t size) {
    if (account->reserved - account->current < size) return false;
    account->current += size;
    account->peak = MAX(account->peak, account->current);
    pool.taken += size;
    return true;
}

static void uncharge(struct wasm_account *account, uint64_t size) {
    verify(account->current >= size && pool.taken >= size);
    account->current -= size;
    pool.taken -= size;
}

// ---- taking and giving ------------------------------------------------------------------------------------------------

// One that is free as a whole; busy ones are waited for, as for a lock. What is promised is there, see the head of this file.
static struct pool_block *take_promised(void) {
    struct pool_block *block;

    while ((block = take_whole()) == NULL) {
        verify(pool.busy_count != 0);
        spin_unlock(&pool.lock);
        cpu_relax();
        spin_lock(&pool.lock);
    }
    return block;
}

// The broken block to take from, broken now if need be. The lock may have been let go.
static struct pool_block *open_broken(void) {
    struct list_node *first = list_first(&pool.broken);
    struct pool_block *block;

    if (first != NULL) return list_entry(first, struct pool_block, link);
    block = take_promised();
    block->state = BLOCK_BROKEN;
    block->used = 0;
    block->next = 0;
    block->returned = NULL;
    list_push_front(&pool.broken, &block->link);
    return block;
}

// A small page of a broken block; *zero says whether it still must be zeroed.
static struct page *take_from_broken(struct pool_block *block, bool *zero) {
    struct page *page;

    if (block->next < WASM_POOL_BLOCK_PAGES) {
        page = block_page(block) + block->next;
        *zero = block->next >= block->clean;
        block->next++;
    } else {
        page = block->returned;
        block->returned = page->owner;
        *zero = true;
    }
    block->used++;
    if (block->used == WASM_POOL_BLOCK_PAGES) list_remove(&block->link);
    return page;
}

struct page *wasm_pool_take_small(struct wasm_account *account) {
    struct page *page;
    bool zero;

    spin_lock(&pool.lock);
    if (!charge(account, PAGE_SIZE)) {
        spin_unlock(&pool.lock);
        return NULL;
    }
    page = take_from_broken(open_broken(), &zero);
    take_header(page);
    spin_unlock(&pool.lock);
    if (zero) page_zero(page);
    return page;
}

struct page *wasm_pool_take_large(struct wasm_account *account, bool *dirty) {
    struct pool_block *block = NULL;
    struct page *page;

    *dirty = false;
    spin_lock(&pool.lock);
    if (account->reserved - account->current >= LARGE_PAGE_SIZE) {
        block = list_pop_front_entry(&pool.clean, struct pool_block, link);
        *dirty = block == NULL && (!list_is_empty(&pool.dirty) || pool.busy_count != 0 || pool.fresh != pool.block_count);
    }
    if (block == NULL) {
        spin_unlock(&pool.lock);
        return NULL;
    }
    pool.clean_count--;
    (void)charge(account, LARGE_PAGE_SIZE);
    block->state = BLOCK_BROKEN;
    block->used = WASM_POOL_BLOCK_PAGES;
    block->next = WASM_POOL_BLOCK_PAGES;
    block->returned = NULL;
    spin_unlock(&pool.lock);
    page = block_page(block);
    for (unsigned i = 0; i < WASM_POOL_BLOCK_PAGES; i++) take_header(page + i);
    return page;
}

void wasm_pool_give_small(struct wasm_account *account, struct page *page) {
    struct pool_block *block = block_of(page);

    spin_lock(&pool.lock);
    verify(page->type == PAGE_POOL && block->state == BLOCK_BROKEN && block->used != 0);
    page->type = PAGE_FREE;
    uncharge(account, PAGE_SIZE);
    page->owner = block->returned;
    block->returned = page;
    if (block->used == WASM_POOL_BLOCK_PAGES) list_push_back(&pool.broken, &block->link);
    if (--block->used == 0) {
        list_remove(&block->link);
        put_whole(block);
    }
    spin_unlock(&pool.lock);
}

// ---- zeroing ahead ------------------------------------------------------------------------------------------------------

// A dirty block, off its list: *mine, if it still is one, or the first, and then *mine is that.
static struct pool_block *take_dirty(struct pool_block **mine) {
    struct pool_block *block = *mine;

    if (block != NULL && block->state == BLOCK_DIRTY) {
        list_remove(&block->link);
        return block;
    }
    block = list_pop_front_entry(&pool.dirty, struct pool_block, link);
    if (block == NULL) block = open_fresh();
    *mine = block;
    return block;
}

static void end_busy(struct pool_block *block, uint64_t cleaned) {
    block->clean += (uint16_t)cleaned;
    pool.busy_count--;
    if (block->clean == WASM_POOL_BLOCK_PAGES) {
        block->state = BLOCK_CLEAN;
        list_push_back(&pool.clean, &block->link);
        pool.clean_count++;
    } else {
        block->state = BLOCK_DIRTY;
        list_push_front(&pool.dirty, &block->link);
    }
}

// Zeroes `pages` more of a dirty block, unless `wanted` blocks are clean. The lock is held before and after, not meanwhile.
static bool clean_some(struct pool_block **mine, uint64_t pages, uint64_t wanted) {
    struct pool_block *block = pool.clean_count < wanted ? take_dirty(mine) : NULL;

    if (block == NULL) return false;
    pages = MIN(pages, WASM_POOL_BLOCK_PAGES - block->clean);
    block->state = BLOCK_BUSY;
    pool.busy_count++;
    spin_unlock(&pool.lock);
    page_zero_range(page_to_virt(block_page(block) + block->clean), pages);
    spin_lock(&pool.lock);
    end_busy(block, pages);
    return true;
}

bool wasm_pool_idle_step(void) {
    struct pool_block *any = NULL;
    bool more;

    if (pool.block_count == 0 || !spin_trylock(&pool.lock)) return false;
    more = clean_some(&any, IDLE_STEP_PAGES, CLEAN_BLOCKS_WANTED);
    spin_unlock(&pool.lock);
    return more;
}

bool wasm_pool_clean_step(struct pool_block **mine) {
    bool more;

    spin_lock(&pool.lock);
    more = clean_some(mine, CLEAN_STEP_PAGES, 1);
    spin_unlock(&pool.lock);
    return more;
}

void wasm_pool_get_stats(struct wasm_pool_stats *stats) {
    spin_lock(&pool.lock);
    *stats = (struct wasm_pool_stats){
        .size = pool.block_count * LARGE_PAGE_SIZE,
        .reserved = pool.reserved,
        .taken = pool.taken,
        .zeroed_blocks = pool.clean_count,
    };
    spin_unlock(&pool.lock);
}
