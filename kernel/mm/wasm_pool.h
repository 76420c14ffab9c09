// The WASM pool: memory set aside at boot for the linear memories of WASM instances, out of reach of everything else, so
// that growing a memory never competes with the rest of the system. It is handed out in 4 KiB and 2 MiB pages, zeroed:
// ahead of need where a CPU was idle, else by who needs it, 2 MiB in steps. An instance reserves before it takes: what is reserved can be
// taken without failing, and a grow that cannot be backed fails at the reservation.
//
// Lock: the pool's, a leaf. No function blocks.
#pragma once
#include "kernel/mm/page.h"

#define WASM_POOL_BLOCK_PAGES (LARGE_PAGE_SIZE / PAGE_SIZE)

// The account of one instance; kept by the object that stands for it. All in bytes.
struct wasm_account {
    uint64_t limit;     // never exceeded by `reserved`; set by the owner, may be lowered below (then it cannot grow)
    uint64_t reserved;  // promised to the instance
    uint64_t current;   // taken
    uint64_t peak;      // most ever taken
};

// Sets about `size` bytes aside (wasm_pool= of the command line; 0: no pool, UINT64_MAX: a quarter of the memory); in
// constant time. During boot, after page_alloc_init.
void wasm_pool_init(uint64_t size);

// Promises `size` bytes (a multiple of 4 KiB) to an instance: false when that is over its limit or the pool has not
// that much left. The promise counts 4 KiB pages; a 2 MiB page is found when one is whole.
[[nodiscard]] bool wasm_pool_reserve(struct wasm_account *account, uint64_t size);
// Takes back a promise of which nothing is taken any more.
void wasm_pool_unreserve(struct wasm_account *account, uint64_t size);

// A zeroed page out of the instance's reservation; type PAGE_POOL. Never NULL while current < reserved.
[[nodiscard]] struct page *wasm_pool_take_small(struct wasm_account *account);
// 512 zeroed pages, the first of them at a multiple of 2 MiB, each to be given back by itself; or NULL when the reservation has
// not 2 MiB left or no block is free as a whole: take small ones then. With *dirty set there is such a block, but first it must
// be zeroed: wasm_pool_clean_step.
[[nodiscard]] struct page *wasm_pool_take_large(struct wasm_account *account, bool *dirty);
// Gives one back; the reservation stays.
void wasm_pool_give_small(struct wasm_account *account, struct page *page);

// Zeroes a bounded piece (128 KiB) of a 2 MiB page for wasm_pool_take_large, which others may take meanwhile: *mine, NULL at first,
// is the one that the caller is at. Returns false once there is one that is zeroed, or none to be zeroed. A preemption point
// belongs between the steps.
struct pool_block;
bool wasm_pool_clean_step(struct pool_block **mine);
// The same ahead of need (32 KiB). Returns whether there is more to do. From idle CPUs.
bool wasm_pool_idle_step(void);

struct wasm_pool_stats {
    uint64_t size, reserved, taken;  // bytes
    uint64_t zeroed_blocks;          // 2 MiB pages ready to be taken
};
void wasm_pool_get_stats(struct wasm_pool_stats *stats);
