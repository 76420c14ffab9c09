#include "kernel/mm/test/vm_host.h"

#include <sanitizer/asan_interface.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi/gen/errors.h"
#include "kernel/arch/x86_64/paging.h"
#include "kernel/arch/x86_64/usercopy.h"
#include "kernel/core/cpu.h"
#include "kernel/mm/charge.h"
#include "kernel/mm/memory_wait.h"
#include "kernel/mm/reaper.h"
#include "kernel/mm/slub.h"
#include "kernel/mm/wasm_pool.h"
#include "kernel/sched/sched.h"
#include "tests/unit/unit.h"

#define RAM_PAGES 16384  // 64 MiB
#define TABLE_ENTRIES 512
#define TLB_ENTRIES 64

uint64_t direct_map_base;
struct page *page_array_base;
uint64_t page_array_count = RAM_PAGES;
void (*vm_preempt)(void);

static bool page_taken[RAM_PAGES];
static uint64_t pages_taken, objects_taken, object_bytes, flushes, next_page;
static uint64_t fail_in;
static bool failing;

struct job {
    uint64_t used[JOB_RESOURCES], limit[JOB_RESOURCES];
};
static struct job jobs[2];
struct job *vm_job = &jobs[0], *vm_other_job = &jobs[1];

static bool fails(void) {
    if (failing) return true;
    if (fail_in && --fail_in == 0) failing = true;
    return failing;
}
void vm_fail_after(uint64_t n) {
    fail_in = n;
    failing = false;
}
bool vm_has_failed(void) { return failing; }

// ---- charges -----------------------------------------------------------------------------------------------------------

int job_charge(struct job *job, enum job_resource what, uint64_t n) {
    int error = what == JOB_PAGES ? -ENOMEM : -ENFILE;
    if (fails() || n > job->limit[what] || job->used[what] > job->limit[what] - n) return error;
    job->used[what] += n;
    return 0;
}
void job_uncharge(struct job *job, enum job_resource what, uint64_t n) {
    CHECK(job->used[what] >= n);
    job->used[what] -= n;
}
void vm_limit(struct job *job, int what, uint64_t limit) { job->limit[what] = limit; }
uint64_t vm_used(const struct job *job, int what) { return job->used[what]; }

// ---- RAM ---------------------------------------------------------------------------------------------------------------

static struct page *take(uint64_t first, uint64_t count) {
    for (uint64_t i = first; i < first + count; i++) {
        struct page *page = &page_array_base[i];
        memset(page, 0, sizeof(*page));
        page->type = PAGE_USED;
        page->refs = 1;
        page_taken[i] = true;
        __asan_unpoison_memory_region(page_to_virt(page), PAGE_SIZE);
        memset(page_to_virt(page), 0xa5, PAGE_SIZE);
    }
    pages_taken += count;
    return &page_array_base[first];
}

static bool is_free(uint64_t first, uint64_t count) {
    for (uint64_t i = first; i < first + count; i++)
        if (page_taken[i]) return false;
    return true;
}

static struct page *find(uint64_t count, unsigned flags) {
    if (fails()) return NULL;
    for (uint64_t tries = 0; tries < RAM_PAGES; tries += count, next_page += count) {
        uint64_t first = (next_page + count) % RAM_PAGES / count * count;
        if (first == 0 || first + count > RAM_PAGES || !is_free(first, count)) continue;
        struct page *page = take(first, count);
        if (flags & PAGE_ALLOC_ZERO) memset(page_to_virt(page), 0, count * PAGE_SIZE);
        next_page += count;
        return page;
    }
    return NULL;
}

struct page *page_alloc(unsigned flags) { return find(1, flags); }
struct page *page_alloc_block(unsigned order, unsigned flags) { return find(1ul << order, flags); }
void page_split_block(struct page *page, unsigned order) {}
struct page *page_alloc_contiguous(size_t count, unsigned flags) {
    size_t rounded = 1;
    while (rounded < count) rounded *= 2;
    struct page *page = find(rounded, flags);
    for (size_t i = count; page && i < rounded; i++) page_free(page + i);
    return page;
}
void page_free_contiguous(struct page *page, size_t count) {
    for (size_t i = 0; i < count; i++) page_free(page + i);
}
void page_zero_range(void *virt, size_t count) { memset(virt, 0, count * PAGE_SIZE); }
void page_zero(struct page *page) { memset(page_to_virt(page), 0, PAGE_SIZE); }
void page_free(struct page *page) {
    uint64_t i = page_number(page);
    CHECK(i < RAM_PAGES && page_taken[i] && page->type == PAGE_USED);
    page_taken[i] = false;
    pages_taken--;
    page->type = PAGE_FREE;
    __asan_poison_memory_region(page_to_virt(page), PAGE_SIZE);
}
uint64_t vm_object_bytes(void) { return object_bytes; }
uint64_t vm_free_pages(void) { return RAM_PAGES - pages_taken; }

// ---- objects -------------------------------------------------------------------------------------------------------------

void slub_cache_init(struct kmem_cache *cache, const char *name, size_t size, size_t align) {
    cache->object_size = (uint32_t)size;
}
void *slub_alloc(struct kmem_cache *cache) {
    if (fails()) return NULL;
    objects_taken++;
    object_bytes += cache->object_size;
    void *object = aligned_alloc(CACHE_LINE, (cache->object_size + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE);
    memset(object, 0x5a, cache->object_size);
    return object;
}
void *slub_alloc_zeroed(struct kmem_cache *cache) {
    void *object = slub_alloc(cache);
    return object ? memset(object, 0, cache->object_size) : NULL;
}
void slub_free(struct kmem_cache *cache, void *object) {
    objects_taken--;
    object_bytes -= cache->object_size;
    free(object);
}

// ---- the WASM pool: from the same RAM -------------------------------------------------------------------------------------

bool wasm_pool_reserve(struct wasm_account *account, uint64_t size) {
    if (fails() || account->reserved + size > account->limit) return false;
    account->reserved += size;
    return true;
}
void wasm_pool_unreserve(struct wasm_account *account, uint64_t size) {
    CHECK(account->reserved >= size && account->reserved - size >= account->current);
    account->reserved -= size;
}
static struct page *pool_take(struct wasm_account *account, uint64_t count) {
    if (account->current + count * PAGE_SIZE > account->reserved) return NULL;
    bool was = failing;
    failing = false;
    struct page *page = find(count, PAGE_ALLOC_ZERO);
    failing = was;
    if (!page) return NULL;
    for (uint64_t i = 0; i < count; i++) page[i].type = PAGE_POOL;
    account->current += count * PAGE_SIZE;
    return page;
}
static void pool_give(struct wasm_account *account, struct page *page, uint64_t count) {
    account->current -= count * PAGE_SIZE;
    for (uint64_t i = 0; i < count; i++) {
        page[i].type = PAGE_USED;
        page_free(page + i);
    }
}
struct page *wasm_pool_take_small(struct wasm_account *account) { return pool_take(account, 1); }
// Each time the pool has a large page, it must be zeroed first.
static bool large_is_zeroed;
struct page *wasm_pool_take_large(struct wasm_account *account, bool *dirty) {
    *dirty = !large_is_zeroed && account->current + LARGE_PAGE_SIZE <= account->reserved;
    struct page *page = *dirty ? NULL : pool_take(account, 512);
    large_is_zeroed = false;
    return page;
}
bool wasm_pool_clean_step(struct pool_block **mine) {
    CHECK(!large_is_zeroed || *mine == NULL);
    large_is_zeroed = *mine != NULL;
    *mine = (struct pool_block *)&large_is_zeroed;
    return !large_is_zeroed;
}
void wasm_pool_give_small(struct wasm_account *account, struct page *page) { pool_give(account, page, 1); }

// ---- page tables: plain code with the contract of paging.h -----------------------------------------------------------------

static pte_t *table_of(uint64_t entry) { return phys_to_virt(paddr(entry & PTE_ADDRESS)); }
paddr_t paging_kernel_root(void) { return paddr(0); }
paddr_t paging_root_create(void *context) { return paging_table_alloc(context); }

static size_t prune_table(void *context, pte_t *table, unsigned shift, uint64_t base, uint64_t start, uint64_t end, unsigned *budget) {
    size_t freed = 0;
    for (unsigned i = 0; i < TABLE_ENTRIES; i++) {
        uint64_t at = base + ((uint64_t)i << shift), after = at + (1ull << shift);
        if (shift == PAGE_SHIFT || !(table[i] & PTE_PRESENT) || table[i] & PTE_LARGE || after <= start || at >= end) continue;
        pte_t *below = table_of(table[i]);
        freed += prune_table(context, below, shift - 9, at, start, end, budget);
        if (*budget == 0) break;
        if (shift == LARGE_PAGE_SHIFT) --*budget;
        bool empty = at >= start && after <= end;
        for (unsigned k = 0; k < TABLE_ENTRIES && empty; k++) empty = !(below[k] & PTE_PRESENT);
        if (!empty) continue;
        paging_table_free(context, paddr(table[i] & PTE_ADDRESS));
        table[i] = 0;
        freed++;
    }
    return freed;
}
size_t paging_prune(void *context, paddr_t root, uint64_t start, uint64_t end, unsigned *budget) {
    return prune_table(context, phys_to_virt(root), 39, 0, start, end, budget);
}
pte_t *paging_entry(void *context, paddr_t root, uint64_t address, uint64_t size, bool create) {
    pte_t *table = phys_to_virt(root);
    for (unsigned shift = 39;; shift -= 9) {
        pte_t *entry = &table[(address >> shift) & (TABLE_ENTRIES - 1)];
        if (1ull << shift == size) return entry;
        if (*entry & PTE_LARGE) return NULL;
        if (!(*entry & PTE_PRESENT)) {
            paddr_t fresh = create ? paging_table_alloc(context) : paddr(0);
            if (fresh.v == 0) return NULL;
            *entry = fresh.v | PTE_PRESENT | PTE_WRITE | PTE_USER;
        }
        table = table_of(*entry);
    }
}

// ---- the CPU: a translation buffer that forgets nothing by itself ----------------------------------------------------------

static struct {
    uint64_t page;  // user page, 0: free
    pte_t entry;
    uint64_t size;
} tlb[TLB_ENTRIES];

void tlb_flush_all(void) {
    flushes++;
    memset(tlb, 0, sizeof(tlb));
}
void tlb_flush_page(uint64_t address) {
    flushes++;
    for (unsigned i = 0; i < TLB_ENTRIES; i++)
        if (tlb[i].size && tlb[i].page == (address & ~(tlb[i].size - 1))) tlb[i].size = 0;
}
bool paging_load_checks = true;  // a plain load of CR3 is not for host programs
void paging_load_checked(paddr_t root, uint16_t asid) { memset(tlb, 0, sizeof(tlb)); }
void vm_load(struct aspace *a) { aspace_switch(a); }
uint64_t vm_flushes(void) { return flushes; }

static bool translate(uint64_t address, unsigned prot, uint8_t **at) {
    struct aspace *a = this_cpu()->aspace;
    for (unsigned i = 0; i < TLB_ENTRIES; i++) {
        if (!tlb[i].size || tlb[i].page != (address & ~(tlb[i].size - 1))) continue;
        if (prot & PROT_WRITE && !(tlb[i].entry & PTE_WRITE)) tlb[i].size = 0;
        else if (prot & PROT_EXECUTE && tlb[i].entry & PTE_NX) tlb[i].size = 0;
        else {
            uint64_t physical = (tlb[i].entry & PTE_ADDRESS) + (address & (tlb[i].size - 1));
            CHECK(page_taken[physical >> PAGE_SHIFT]);
            *at = phys_to_virt(paddr(physical));
            return true;
        }
    }
    pte_t *table = phys_to_virt(a->root);
    for (unsigned shift = 39;; shift -= 9) {
        pte_t entry = table[(address >> shift) & (TABLE_ENTRIES - 1)];
        if (!(entry & PTE_PRESENT)) return false;
        if (shift != PAGE_SHIFT && !(entry & PTE_LARGE)) {
            table = table_of(entry);
            continue;
        }
        if ((prot & PROT_WRITE && !(entry & PTE_WRITE)) || (prot & PROT_EXECUTE && entry & PTE_NX)) return false;
        table[(address >> shift) & (TABLE_ENTRIES - 1)] |= PTE_ACCESSED;
        unsigned slot = (unsigned)(unit_random() % TLB_ENTRIES);
        tlb[slot].size = 1ull << shift;
        tlb[slot].page = address & ~(tlb[slot].size - 1);
        tlb[slot].entry = entry & ~(pte_t)PTE_LARGE;
        uint64_t physical = (entry & PTE_ADDRESS) + (address & (tlb[slot].size - 1));
        CHECK(page_taken[physical >> PAGE_SHIFT]);
        *at = phys_to_virt(paddr(physical));
        return true;
    }
}

static int access(uint64_t address, unsigned prot, uint8_t **at) {
    for (unsigned tries = 0; tries < 4; tries++) {
        if (translate(address, prot, at)) return 0;
        int error = aspace_fault(this_cpu()->aspace, address, prot);
        if (error) return error;
    }
    unit_fail(__FILE__, __LINE__, "the fault at %#lx was not resolved", address);
}
int vm_read(uint64_t address, uint8_t *value) {
    uint8_t *at;
    int error = access(address, PROT_READ, &at);
    if (!error) *value = *at;
    return error;
}
int vm_write(uint64_t address, uint8_t value) {
    uint8_t *at;
    int error = access(address, PROT_WRITE, &at);
    if (!error) *at = value;
    return error;
}
int vm_execute(uint64_t address) {
    uint8_t *at;
    return access(address, PROT_EXECUTE, &at);
}

size_t arch_copy_from_user(void *to, uint64_t from, size_t n) {
    for (; n > 0; n--, from++, to = (uint8_t *)to + 1)
        if (vm_read(from, to)) break;
    return n;
}
size_t arch_copy_to_user(uint64_t to, const void *from, size_t n) {
    for (; n > 0; n--, to++, from = (const uint8_t *)from + 1)
        if (vm_write(to, *(const uint8_t *)from)) break;
    return n;
}
size_t arch_clear_user(uint64_t to, size_t n) {
    for (; n > 0; n--, to++)
        if (vm_write(to, 0)) break;
    return n;
}
void arch_call_cpus(uint64_t mask, void (*fn)(void *arg), void *arg) { unit_fail(__FILE__, __LINE__, "one CPU only"); }
bool arch_rdrand(uint64_t *out) {
    *out = unit_random();
    return true;
}
nanos_t arch_now(void) { return 1; }

// ---- what is above and beside ---------------------------------------------------------------------------------------------

bool sched_preempt_point(void) {
    if (vm_preempt) vm_preempt();
    return false;
}
// The reaper's thread never runs here; vm_check_empty does its work.
int64_t wait_block_slowly(nanos_t deadline) { return 0; }
__attribute__((weak)) void sched_schedule(void) {}
void sched_wake(struct thread *t) {}
bool memory_wait(struct memory_wait *wait) { return false; }
void sched_set_schedule(struct thread *t, uint8_t class_, uint8_t priority, uint32_t weight, uint64_t affinity) {}
struct thread *sched_kthread_create(const char *name, void (*entry)(void *arg), void *arg) {
    static struct thread never_runs;
    return &never_runs;
}
// Nobody is there to wait for.
void rw_mutex_init(struct rw_mutex *m, const char *name) { *m = (struct rw_mutex){0}; }
void rw_mutex_lock(struct rw_mutex *m) {
    CHECK(!m->writing && m->readers == 0);
    m->writing = true;
}
void rw_mutex_unlock(struct rw_mutex *m) { m->writing = false; }
void rw_mutex_lock_shared(struct rw_mutex *m) {
    CHECK(!m->writing);
    m->readers++;
}
void rw_mutex_unlock_shared(struct rw_mutex *m) { m->readers--; }
void spin_lock_wait(struct spinlock *lock) { unit_fail(__FILE__, __LINE__, "a lock taken twice"); }
int mapping_tie(struct mapping *m, struct handle *handle) { return 0; }
int mapping_tie_sibling(struct mapping *m, struct mapping *of) { return of->glue[0] ? -EBADF : 0; }
void mapping_untie(struct mapping *m) {}

void vm_start(void) {
    static void *ram;
    if (!ram) {
        ram = aligned_alloc(LARGE_PAGE_SIZE, RAM_PAGES * PAGE_SIZE);
        page_array_base = calloc(RAM_PAGES, sizeof(struct page));
        direct_map_base = (uint64_t)ram;
        vmo_init();
        aspace_init();
    }
    vm_preempt = NULL;
    this_cpu()->aspace = NULL;
    vm_fail_after(0);
    memset(tlb, 0, sizeof(tlb));
    while (reaper_end_next()) {
    }
    memset(page_taken, 0, sizeof(page_taken));
    pages_taken = objects_taken = object_bytes = 0;
    __asan_poison_memory_region((void *)direct_map_base, RAM_PAGES * PAGE_SIZE);
    for (unsigned i = 0; i < 2; i++) {
        memset(&jobs[i].used, 0, sizeof(jobs[i].used));
        memset(&jobs[i].limit, 0xff, sizeof(jobs[i].limit));
    }
}

void vm_check_empty(void) {
    while (reaper_end_next()) {
    }
    CHECK_EQ(pages_taken, 0);
    CHECK_EQ(objects_taken, 0);
    for (unsigned i = 0; i < 2; i++)
        for (unsigned what = 0; what < JOB_RESOURCES; what++) CHECK_EQ(jobs[i].used[what], 0);
}
