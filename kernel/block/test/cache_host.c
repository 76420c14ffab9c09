#include "kernel/block/test/cache_host.h"

#include <string.h>

#include "abi/gen/errors.h"
#include "kernel/block/page_cache_internal.h"
#include "kernel/mm/slub.h"
#include "kernel/mm/test/vm_host.h"
#include "tests/unit/unit.h"

struct cache_host host;

// ---- the machine: one thread; what it waits for is a request that is held back ---------------------------------------------

static struct thread self;
static struct page_reclaimer *reclaimer;

void page_reclaimer_register(struct page_reclaimer *r) { reclaimer = r; }
size_t cache_host_reclaim(size_t wanted) { return reclaimer->reclaim(wanted); }
void page_get_stats(struct page_stats *stats) { *stats = (struct page_stats){.total = 4096}; }
uint64_t page_free_count(void) { return vm_free_pages(); }
struct job *cache_job(void) { return vm_job; }
struct job *cache_writer_job(void) { return vm_other_job; }
void cache_limit_dirty(uint64_t pages) {}
void wait_queue_init(struct wait_queue *q, const char *name) {
    spin_init(&q->lock, name);
    list_init(&q->waiters);
}
uint32_t wait_queue_wake_locked(struct wait_queue *q, uint32_t count, int64_t result) {
    uint32_t woken = 0;
    for (; woken < count && list_pop_front(&q->waiters); woken++) {
    }
    return woken;
}
void sched_schedule(void) {
    disk_host_let_go(&host.disk);
    if (list_node_is_linked(&self.wait.node)) unit_fail(__FILE__, __LINE__, "it would sleep for ever");
}
void wait_queue_unlink(struct thread *t) { list_remove(&t->wait.node); }
int64_t wait_block_killable(nanos_t deadline) {
    unit_fail(__FILE__, __LINE__, "only domains with a limit of their own wait so");
}
void sched_sleep_until(nanos_t deadline) {  // for the write-back thread, when there is nothing that it could do itself; for memory
    CHECK(vm_has_failed() || host.prepare_short || host.complete_short || host.pauses);
    vm_fail_after(0);
    host.pauses++;
}
void sched_yield(void) {}
void sched_thread_begin(void) {}
void ktimer_init(struct ktimer *timer, void (*fire)(struct ktimer *timer)) {}
void ktimer_arm(struct ktimer *timer, nanos_t deadline) {}
bool ktimer_cancel(struct ktimer *timer) { return true; }

// ---- the file system ---------------------------------------------------------------------------------------------------------

static uint32_t blocks(uint64_t bytes) { return (uint32_t)div_round_up(bytes, host.block_size); }
static uint64_t sector_of(uint32_t block) { return (uint64_t)block * host.block_size / SECTOR_SIZE; }

static uint32_t place(uint32_t i) { return host.chosen[i] ? host.chosen[i] : host.map[i]; }

// The extent at block `i`, as far as blocks lie together on the disk.
static void extent_at(uint32_t i, uint32_t end, uint32_t (*where)(uint32_t), struct file_extent *out) {
    uint32_t first = where(i), n = 1;
    if (unit_random() % 4 == 0) end = i + 1;  // a file system may say less than it could
    while (i + n < end && (first ? where(i + n) == first + n : where(i + n) == 0)) n++;
    *out = (struct file_extent){.offset = (uint64_t)i * host.block_size, .bytes = (uint64_t)n * host.block_size,
                                .sector = first ? sector_of(first - 1) : 0, .state = first ? FILE_MAPPED : FILE_HOLE};
}
static uint32_t recorded(uint32_t i) { return host.map[i]; }

static int fs_map(struct file_cache *cache, uint64_t offset, uint64_t bytes, struct file_extent *out) {
    CHECK(offset % host.block_size == 0 && bytes % host.block_size == 0 && bytes > 0);
    if (host.map_error) return host.map_error;
    extent_at(blocks(offset), blocks(offset + bytes), recorded, out);
    return 0;
}

static int fs_reserve(struct file_cache *cache, uint64_t offset, uint64_t bytes) {
    uint32_t wanted = 0;
    for (uint32_t i = blocks(offset); i < blocks(offset + bytes); i++) wanted += !host.map[i] && !host.reserved[i];
    if (wanted > host.free - host.promised) return -ENOSPC;
    for (uint32_t i = blocks(offset); i < blocks(offset + bytes); i++) {
        if (host.map[i] || host.reserved[i]) continue;
        host.reserved[i] = true;
        host.promised++;
    }
    return 0;
}

static void fs_unreserve(struct file_cache *cache, uint64_t offset, uint64_t bytes) {
    for (uint32_t i = blocks(offset); i < blocks(offset + bytes); i++) {
        host.promised -= host.reserved[i];
        host.reserved[i] = false;
    }
}

static uint32_t take_block(void) {
    uint32_t at = (uint32_t)(unit_random() % ARRAY_SIZE(host.used));
    if (unit_random() % 4) at = 0;  // mostly one after the other
    while (host.used[at]) at = (at + 1) % ARRAY_SIZE(host.used);
    CHECK(host.free > 0);
    host.used[at] = true;
    host.free--;
    return at + 1;
}

static int fs_prepare(struct file_cache *cache, uint64_t offset, uint64_t bytes, uint64_t size, struct file_extent *out) {
    CHECK(offset % host.block_size == 0 && bytes % host.block_size == 0 && bytes > 0);
    if (host.prepare_error) return host.prepare_error;
    if (host.prepare_short) {
        host.prepare_short--;
        return -ENOMEM;
    }
    uint32_t i = blocks(offset), end = blocks(offset + bytes), limit = blocks(size);
    if (i >= limit) {
        fs_unreserve(cache, offset, bytes);
        *out = (struct file_extent){.offset = offset, .bytes = bytes, .state = FILE_HOLE};
        return 0;
    }
    end = MIN(end, limit);
    bool fresh = !host.map[i];
    for (uint32_t k = i; k < end; k++) {
        if (!host.map[k] != fresh) end = k;
        if (k >= end) break;
        CHECK(host.map[k] || host.reserved[k]);
        fs_unreserve(cache, (uint64_t)k * host.block_size, host.block_size);
        if (fresh) host.chosen[k] = take_block();
    }
    extent_at(i, end, place, out);
    out->fresh = fresh;
    // What lies behind the extent is asked for again: its choice is taken back.
    for (uint32_t k = i + blocks(out->bytes); fresh && k < end; k++) {
        host.used[host.chosen[k] - 1] = false;
        host.free++;
        host.chosen[k] = 0;
        host.reserved[k] = true;
        host.promised++;
    }
    return 0;
}

static int fs_complete(struct file_cache *cache, const struct file_extent *e, uint64_t size_written, int error) {
    if (!error && host.complete_short) {
        host.complete_short--;
        return -ENOMEM;
    }
    for (uint32_t i = blocks(e->offset); i < blocks(e->offset + e->bytes); i++) {
        if (!e->fresh) {
            CHECK(host.map[i] != 0);
            continue;
        }
        CHECK(host.chosen[i] != 0);
        if (!error) host.map[i] = host.chosen[i];
        else host.used[host.chosen[i] - 1] = false, host.free++;
        host.chosen[i] = 0;
    }
    if (!error) host.size_on_disk = MAX(host.size_on_disk, MIN(size_written, e->offset + e->bytes));
    return host.complete_error;
}

uint8_t cache_host_on_disk(uint64_t offset) {
    uint32_t block = host.map[offset / host.block_size];
    return block ? host.disk.data[(uint64_t)(block - 1) * host.block_size + offset % host.block_size] : 0;
}

void cache_host_free_blocks(uint64_t offset, uint64_t end) {
    for (uint32_t i = blocks(offset); i < MIN((uint32_t)(end / host.block_size), (uint32_t)CACHE_HOST_BLOCKS_MAX); i++) {
        CHECK(!host.chosen[i]);
        fs_unreserve(&host.file, (uint64_t)i * host.block_size, host.block_size);
        if (host.map[i]) host.used[host.map[i] - 1] = false, host.free++;
        host.map[i] = 0;
    }
    host.size_on_disk = MIN(host.size_on_disk, MAX(offset, host.file.size));
}

// ---- life --------------------------------------------------------------------------------------------------------------------

void cache_host_start(uint32_t block_size) {
    static const struct file_cache_ops ops = {
        .map = fs_map, .reserve = fs_reserve, .unreserve = fs_unreserve, .prepare = fs_prepare, .complete = fs_complete};
    vm_start();
    this_cpu()->current = &self;
    memset(&host, 0, sizeof(host));
    host.block_size = block_size;
    host.free = (uint32_t)(2 * CACHE_HOST_FILE / block_size);
    disk_host_create(&host.disk, 2 * CACHE_HOST_FILE);
    memset(host.disk.data, 0xee, 2 * CACHE_HOST_FILE);  // what nobody wrote must not show
    for (uint32_t i = host.free; i < ARRAY_SIZE(host.used); i++) host.used[i] = true;
    host.disk.device.max_vectors = 8;
    page_cache_init();
    CHECK_EQ(cache_domain_create("test", &host.disk.device, 0, &host.domain), 0);
    file_cache_init(&host.file, &ops, host.domain, 0);
}

void cache_host_end(void) {
    CHECK_EQ(file_cache_sync(&host.file, 0, UINT64_MAX), 0);
    CHECK_EQ(host.promised, 0);
    CHECK_EQ(host.file.dirty_pages, 0);
    file_cache_destroy(&host.file, false);
    struct page_cache_stats stats;
    page_cache_stats(&stats);
    CHECK_EQ(stats.pages, 0);
    CHECK_EQ(stats.dirty, 0);
    CHECK_EQ(stats.writing, 0);
    CHECK(list_is_empty(&host.domain->files));
    for (uint64_t i = 0; i < car.chunk_count; i++) {
        if (!car.chunks[i]) continue;
        page_free(virt_to_page(car.chunks[i]));
    }
    kfree(car.chunks);
    host.domain->stopped = true;  // its thread never ran
    list_remove(&host.domain->node);
    list_init(&host.domain->files);
    kfree(host.domain->spare);
    kfree(host.domain);
    disk_host_destroy(&host.disk);
}
