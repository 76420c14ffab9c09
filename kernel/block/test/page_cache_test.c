// One file against a plain array: random reads, writes, mappings, truncations, holes, syncs and reclaim, with requests that
// finish at once or late, for blocks from 512 bytes to a page.
// links: kernel/block/test/cache_host.c kernel/block/page_cache.c kernel/block/page_cache_read.c kernel/block/page_cache_fill.c kernel/block/page_cache_write.c kernel/block/page_cache_dirty.c kernel/block/page_cache_writeback.c kernel/block/page_cache_domain.c kernel/block/page_cache_range.c kernel/block/page_cache_reclaim.c kernel/block/car.c kernel/mm/test/vm_host.c kernel/mm/page_tree.c kernel/mm/vmo.c kernel/mm/vmo_map.c kernel/mm/vmo_paged.c kernel/mm/vmo_copy.c kernel/mm/vmo_io.c kernel/mm/pte.c kernel/mm/mapping.c kernel/mm/mapping_tree.c kernel/mm/aspace.c kernel/mm/page_tables.c kernel/mm/aspace_fault.c kernel/mm/aspace_change.c kernel/mm/aspace_clone.c kernel/mm/aspace_replace.c kernel/mm/tlb.c kernel/mm/reaper.c kernel/mm/usercopy.c lib/rbtree.c lib/string.c
#include <stdio.h>
#include <string.h>

#include "abi/gen/errors.h"
#include "abi/types.h"
#include "kernel/block/car.h"
#include "kernel/block/test/cache_host.h"
#include "kernel/mm/charge.h"
#include "kernel/mm/test/vm_host.h"
#include "tests/unit/unit.h"

static uint8_t model[CACHE_HOST_FILE + PAGE_SIZE], buffer[CACHE_HOST_FILE];
static uint64_t model_size;
static struct aspace *a;
static uint64_t mapped, memory;  // addresses: the file, anonymous pages for user copies

static uint64_t map_at(const struct aspace_map *request) {
    int64_t address = aspace_map(a, request);
    CHECK(address > 0);
    return (uint64_t)address;
}

static uint64_t below(uint64_t bound) { return unit_random() % bound; }

static void pick(uint64_t most, uint64_t *offset, uint64_t *bytes) {
    *offset = below(4) ? below(MIN(model_size + 20000, CACHE_HOST_FILE - 1)) : below(CACHE_HOST_FILE / PAGE_SIZE) * PAGE_SIZE;
    *bytes = below(3) == 0 ? PAGE_SIZE * (1 + below(20)) : 1 + below(most);
    if (*offset + *bytes > CACHE_HOST_FILE) *bytes = CACHE_HOST_FILE - *offset;
}

static void do_write(void) {
    uint64_t offset, bytes;
    pick(40000, &offset, &bytes);
    for (uint64_t i = 0; i < bytes; i++) buffer[i] = (uint8_t)(1 + below(255));
    CHECK_EQ(file_cache_write_kernel(&host.file, offset, buffer, bytes), bytes);
    memcpy(model + offset, buffer, bytes);
    model_size = MAX(model_size, offset + bytes);
}

static void do_write_user(void) {
    uint64_t offset, bytes;
    pick(6000, &offset, &bytes);
    bytes = MIN(bytes, 8000ul);
    for (uint64_t i = 0; i < bytes; i++) {
        buffer[i] = (uint8_t)(1 + below(255));
        CHECK_EQ(vm_write(memory + 100 + i, buffer[i]), 0);
    }
    CHECK_EQ(file_cache_write(&host.file, offset, user_ptr(memory + 100), bytes), bytes);
    memcpy(model + offset, buffer, bytes);
    model_size = MAX(model_size, offset + bytes);
}

static void do_read(void) {
    uint64_t offset, bytes;
    pick(60000, &offset, &bytes);
    uint64_t there = offset < model_size ? MIN(bytes, model_size - offset) : 0;
    CHECK_EQ(file_cache_read_kernel(&host.file, offset, buffer, bytes), there);
    CHECK(memcmp(buffer, model + offset, there) == 0);
}

static void do_read_user(void) {
    uint64_t offset, bytes;
    pick(6000, &offset, &bytes);
    bytes = MIN(bytes, 8000ul);
    if (below(3) == 0) CHECK_EQ(aspace_unmap(a, memory, 4 * PAGE_SIZE), 0);  // pages that are not there yet
    struct vmo *vmo;
    CHECK_EQ(vmo_create(vm_job, 4 * PAGE_SIZE, 0, &vmo), 0);
    struct aspace_map r = {.vmo = vmo, .size = 4 * PAGE_SIZE, .address = memory, .max_prot = 7,
                           .flags = PROT_READ | PROT_WRITE | KPIO_MAP_FIXED};
    CHECK_EQ(map_at(&r), memory);
    vmo_put(vmo);
    uint64_t there = offset < model_size ? MIN(bytes, model_size - offset) : 0;
    CHECK_EQ(file_cache_read(&host.file, offset, user_ptr(memory + 77), bytes), there);
    for (uint64_t i = 0; i < there; i++) {
        uint8_t byte;
        CHECK_EQ(vm_read(memory + 77 + i, &byte), 0);
        CHECK_EQ(byte, model[offset + i]);
    }
}

static void do_mapped(void) {
    uint64_t offset, bytes;
    pick(3000, &offset, &bytes);
    bytes = MIN(bytes, 3000ul);
    bool write = below(2);
    for (uint64_t at = offset; at < offset + bytes; at += 1 + below(300)) {
        uint8_t byte = (uint8_t)(1 + below(255));
        bool there = at >> PAGE_SHIFT < div_round_up(model_size, PAGE_SIZE);
        CHECK_EQ(write ? vm_write(mapped + at, byte) : vm_read(mapped + at, &byte), there ? 0 : -EFAULT);
        if (!there || at >= model_size) continue;  // the rest of the last page is nobody's
        if (write) model[at] = byte;
        else CHECK_EQ(byte, model[at]);
    }
}

static void do_resize(void) {
    uint64_t size = below(3) ? below(CACHE_HOST_FILE) : below(16) * PAGE_SIZE, old = model_size;
    if (below(2)) size = MIN(size, model_size);
    CHECK_EQ(file_cache_resize(&host.file, size), 0);
    if (size < old) {
        memset(model + size, 0, old - size);
        cache_host_free_blocks(size, CACHE_HOST_FILE);
    }
    model_size = size;
}

static void do_discard(void) {
    uint64_t offset, bytes;
    pick(50000, &offset, &bytes);
    CHECK_EQ(file_cache_discard(&host.file, offset, bytes), 0);
    if (offset < model_size) memset(model + offset, 0, MIN(bytes, model_size - offset));
    uint64_t first = align_up(offset, PAGE_SIZE), end = align_down(offset + bytes, PAGE_SIZE);
    if (offset + bytes >= model_size) end = align_up(model_size, PAGE_SIZE);
    if (first < end) cache_host_free_blocks(first, end);
}

static void do_sync(void) {
    uint64_t offset = 0, bytes = UINT64_MAX;
    if (below(2)) pick(100000, &offset, &bytes);
    CHECK_EQ(file_cache_sync(&host.file, offset, bytes), 0);
    uint64_t end = MIN(model_size, offset + bytes < offset ? UINT64_MAX : offset + bytes);
    for (uint64_t i = offset; i < end; i++) CHECK_EQ(cache_host_on_disk(i), model[i]);
    uint64_t next = file_cache_next_dirty(&host.file, offset);
    CHECK(next == UINT64_MAX || next >= MIN(offset + bytes, CACHE_HOST_FILE));
}

static void do_drop(void) {
    uint64_t offset, bytes;
    pick(200000, &offset, &bytes);
    if (below(2)) file_cache_drop(&host.file, offset, bytes);
    else (void)cache_host_reclaim(1 + below(100));
}

static void step(void) {
    static void (*const all[])(void) = {do_write, do_write, do_write_user, do_read,   do_read, do_read_user,
                                        do_mapped, do_mapped, do_sync,     do_drop, do_resize, do_discard};
    host.disk.hold = below(2);
    if (below(100) == 0) {
        CHECK_EQ(cache_domain_sync(host.domain), 0);
        CHECK_EQ(host.file.dirty_pages, 0);
    }
    all[below(ARRAY_SIZE(all))]();
    if (!host.disk.hold || below(3) == 0) disk_host_let_go(&host.disk);
}

static void run(uint32_t block_size, unsigned rounds) {
    cache_host_start(block_size);
    memset(model, 0, sizeof(model));
    model_size = 0;
    struct vmo *vmo;
    CHECK_EQ(aspace_create(vm_job, false, &a), 0);
    CHECK_EQ(file_cache_vmo(&host.file, &vmo), 0);
    struct aspace_map file = {.vmo = vmo, .size = CACHE_HOST_FILE, .flags = PROT_READ | PROT_WRITE, .max_prot = 7};
    mapped = memory = 0;
    mapped = map_at(&file);
    vmo_put(vmo);
    CHECK_EQ(vmo_create(vm_job, 4 * PAGE_SIZE, 0, &vmo), 0);
    struct aspace_map other = {.vmo = vmo, .size = 4 * PAGE_SIZE, .flags = PROT_READ | PROT_WRITE, .max_prot = 7};
    memory = map_at(&other);
    vmo_put(vmo);
    vm_load(a);
    while (rounds-- > 0) step();
    disk_host_let_go(&host.disk);
    aspace_clear(a, true);
    aspace_put(a);
    while (reaper_end_next()) {
    }
    cache_host_end();
    vm_check_empty();
}

TEST(page_cache_against_model_4096) { run(4096, 3000); }
TEST(page_cache_against_model_2048) { run(2048, 2000); }
TEST(page_cache_against_model_1024) { run(1024, 2000); }
TEST(page_cache_against_model_512) { run(512, 1000); }

// ---- edges ---------------------------------------------------------------------------------------------------------------

static void fill_file(uint64_t bytes) {
    memset(buffer, 7, bytes);
    CHECK_EQ(file_cache_write_kernel(&host.file, 0, buffer, bytes), bytes);
}

TEST(page_cache_read_error_is_told_and_tried_again) {
    cache_host_start(1024);
    fill_file(64 * PAGE_SIZE);
    CHECK_EQ(file_cache_sync(&host.file, 0, UINT64_MAX), 0);
    for (unsigned i = 0; i < 20; i++) {
        file_cache_drop(&host.file, 0, UINT64_MAX);
        host.disk.fail_at = host.disk.requests + 1 + i % 3;
        bool lasting = i % 2;
        host.disk.fail_until = lasting ? UINT64_MAX : host.disk.fail_at;
        int64_t n = file_cache_read_kernel(&host.file, 0, buffer, 64 * PAGE_SIZE);
        CHECK(lasting ? n < 64 * (int64_t)PAGE_SIZE : n == 64 * (int64_t)PAGE_SIZE);
        CHECK(n != 0);
        host.disk.fail_at = 0;
        CHECK_EQ(file_cache_read_kernel(&host.file, 0, buffer, 64 * PAGE_SIZE), 64 * PAGE_SIZE);
        for (unsigned k = 0; k < 64 * PAGE_SIZE; k++) CHECK_EQ(buffer[k], 7);
    }
    file_cache_drop(&host.file, 0, UINT64_MAX);
    host.map_error = -EIO;
    CHECK_EQ(file_cache_read_kernel(&host.file, 5000, buffer, 10), -EIO);
    host.map_error = 0;
    CHECK_EQ(file_cache_read_kernel(&host.file, 5000, buffer, 10), 10);
    cache_host_end();
    vm_check_empty();
}

TEST(page_cache_write_error_reaches_the_next_sync_once) {
    cache_host_start(4096);
    fill_file(64 * PAGE_SIZE);
    uint32_t seen = host.file.error_sequence;
    host.disk.fail_at = host.disk.requests + 2;
    host.disk.fail_until = host.disk.fail_at;
    CHECK_EQ(cache_domain_sync(host.domain), -EIO);
    CHECK(host.file.error_sequence != seen);
    CHECK_EQ(host.file.error, -EIO);
    seen = host.file.error_sequence;
    CHECK_EQ(file_cache_sync(&host.file, 0, UINT64_MAX), 0);
    CHECK_EQ(host.file.error_sequence, seen);
    CHECK_EQ(file_cache_read_kernel(&host.file, 0, buffer, 10), 10);  // still in memory
    CHECK_EQ(buffer[3], 7);
    fill_file(8 * PAGE_SIZE);
    host.prepare_error = -ENOSPC;
    CHECK_EQ(file_cache_sync(&host.file, 0, UINT64_MAX), -ENOSPC);
    host.prepare_error = 0;
    fill_file(8 * PAGE_SIZE);
    host.complete_error = -EROFS;
    CHECK_EQ(file_cache_sync(&host.file, 0, UINT64_MAX), -EROFS);
    host.complete_error = 0;
    cache_host_end();
    vm_check_empty();
}

// The file is used up by its end: a new one takes its place.
static void file_end(void) {
    const struct file_cache_ops *ops = host.file.ops;
    file_cache_destroy(&host.file, false);
    CHECK_EQ(host.file.dirty_pages, 0);
    CHECK_EQ(host.promised, 0);
    file_cache_init(&host.file, ops, host.domain, 0);
}

TEST(page_cache_ends_a_file_with_dirty_pages_written_or_dropped) {
    uint8_t data[3 * PAGE_SIZE];
    struct page_cache_stats stats;
    cache_host_start(1024);
    memset(data, 5, sizeof(data));
    CHECK_EQ(file_cache_write_kernel(&host.file, 0, data, sizeof(data)), sizeof(data));
    file_end();
    CHECK_EQ(cache_host_on_disk(0), 5);
    CHECK_EQ(cache_host_on_disk(sizeof(data) - 1), 5);
    memset(data, 6, sizeof(data));
    CHECK_EQ(file_cache_write_kernel(&host.file, 0, data, sizeof(data)), sizeof(data));
    host.prepare_error = -EROFS;
    file_end();
    host.prepare_error = 0;
    CHECK_EQ(cache_host_on_disk(0), 5);
    page_cache_stats(&stats);
    CHECK_EQ(stats.dirty, 0);
    cache_host_end();
}

TEST(page_cache_no_space_changes_nothing) {
    cache_host_start(1024);
    fill_file(4 * PAGE_SIZE);
    host.promised += host.free - host.promised - 10;  // others hold the rest
    uint32_t promised = host.promised;
    CHECK_EQ(file_cache_write_kernel(&host.file, 10 * PAGE_SIZE, buffer, 8 * PAGE_SIZE), -ENOSPC);
    CHECK_EQ(host.promised, promised);
    CHECK_EQ(host.file.size, 4 * PAGE_SIZE);
    CHECK_EQ(file_cache_write_kernel(&host.file, 10 * PAGE_SIZE, buffer, 2 * PAGE_SIZE), 2 * PAGE_SIZE);
    CHECK_EQ(file_cache_resize(&host.file, 0), 0);
    CHECK_EQ(host.promised, promised - 16);
    host.promised = 0;
    cache_host_end();
    vm_check_empty();
}

TEST(page_cache_writers_are_held_to_their_jobs_limit) {
    cache_host_start(4096);
    vm_limit(vm_other_job, JOB_DIRTY_PAGES, 40);
    memset(buffer, 9, sizeof(buffer));
    CHECK_EQ(file_cache_write_kernel(&host.file, 0, buffer, CACHE_HOST_FILE), CACHE_HOST_FILE);
    CHECK(host.file.dirty_pages <= 40 && vm_used(vm_other_job, JOB_DIRTY_PAGES) == host.file.dirty_pages);
    CHECK(host.disk.writes > 0);
    CHECK_EQ(vm_used(vm_job, JOB_PAGES), 0);  // cached pages are nobody's
    cache_host_end();
    CHECK_EQ(vm_used(vm_other_job, JOB_DIRTY_PAGES), 0);
    vm_check_empty();
}

TEST(page_cache_without_memory) {
    for (unsigned n = 1; n < 60; n++) {
        cache_host_start(2048);
        memset(buffer, 3, sizeof(buffer));
        vm_fail_after(n);
        int64_t wrote = file_cache_write_kernel(&host.file, 100, buffer, 20 * PAGE_SIZE);
        CHECK(wrote == -ENOMEM || wrote >= 0);
        (void)file_cache_sync(&host.file, 0, UINT64_MAX);
        vm_fail_after(0);
        if (wrote < 0) wrote = 0;
        CHECK_EQ(host.file.size, wrote ? (uint64_t)wrote + 100 : 0);
        CHECK_EQ(file_cache_sync(&host.file, 0, UINT64_MAX), 0);
        file_cache_drop(&host.file, 0, UINT64_MAX);
        vm_fail_after(n);
        int64_t read = file_cache_read_kernel(&host.file, 0, buffer, 20 * PAGE_SIZE);
        CHECK(read == -ENOMEM || read >= 0);
        vm_fail_after(0);
        CHECK_EQ(file_cache_read_kernel(&host.file, 0, buffer, sizeof(buffer)), host.file.size);
        cache_host_end();
        vm_check_empty();
    }
}

TEST(page_cache_write_back_waits_for_memory) {
    cache_host_start(1024);
    fill_file(64 * PAGE_SIZE);
    host.prepare_short = 3;
    host.complete_short = 5;
    CHECK_EQ(file_cache_sync(&host.file, 0, UINT64_MAX), 0);
    CHECK_EQ(host.pauses, 8);
    for (unsigned i = 0; i < 64 * PAGE_SIZE; i++) CHECK_EQ(cache_host_on_disk(i), 7);
    uint32_t seen = host.file.error_sequence, free = host.free;
    CHECK_EQ(file_cache_write_kernel(&host.file, 80 * PAGE_SIZE, buffer, PAGE_SIZE), PAGE_SIZE);
    host.complete_short = UINT32_MAX;  // it never comes: the data go, their blocks are free again
    CHECK_EQ(file_cache_sync(&host.file, 0, UINT64_MAX), -ENOMEM);
    CHECK(host.file.error_sequence != seen);
    CHECK_EQ(host.free, free);
    CHECK_EQ(file_cache_write_kernel(&host.file, 80 * PAGE_SIZE, buffer, PAGE_SIZE), PAGE_SIZE);
    host.complete_short = 0;
    host.prepare_short = UINT32_MAX;
    CHECK_EQ(file_cache_sync(&host.file, 0, UINT64_MAX), -ENOMEM);
    host.prepare_short = 0;
    CHECK_EQ(file_cache_sync(&host.file, 0, UINT64_MAX), 0);
    cache_host_end();
    vm_check_empty();
}

// Index and ghosts, the page array apart: what a file's pages take in its tree, and what the policy takes at most, when each
// page of memory has a ghost, in a table that is twice as large, with its directory.
TEST(page_cache_costs_little_beside_its_pages) {
    enum { PAGES = CACHE_HOST_FILE / PAGE_SIZE, MOST = 64 };
    cache_host_start(4096);
    uint64_t before = vm_object_bytes();
    memset(buffer, 5, sizeof buffer);
    CHECK_EQ(file_cache_write_kernel(&host.file, 0, buffer, CACHE_HOST_FILE), CACHE_HOST_FILE);
    CHECK_EQ(file_cache_sync(&host.file, 0, UINT64_MAX), 0);
    uint64_t index = vm_object_bytes() - before, ghost = 2 * sizeof(struct car_ghost);
    uint64_t directory = 2 * div_round_up(sizeof(struct car_ghost *), CAR_CHUNK_GHOSTS);
    CHECK(index > 0 && div_round_up(index, PAGES) + ghost + directory <= MOST);
    printf("# %.1f bytes a page in the tree, %lu in the policy at most\n", (double)index / PAGES, ghost + directory);
    cache_host_end();
    vm_check_empty();
}

// Pages that were written one after the other lie together on the clock: the hand goes past them to those that may go.
TEST(page_cache_gives_back_what_lies_behind_many_dirty_pages) {
    enum { DIRTY = 900, CLEAN = CACHE_HOST_FILE / PAGE_SIZE - DIRTY };
    cache_host_start(4096);
    vm_limit(vm_other_job, JOB_DIRTY_PAGES, UINT64_MAX);
    fill_file(DIRTY * PAGE_SIZE);
    CHECK_EQ(file_cache_write_kernel(&host.file, DIRTY * PAGE_SIZE, buffer, CLEAN * PAGE_SIZE), CLEAN * PAGE_SIZE);
    CHECK_EQ(file_cache_sync(&host.file, DIRTY * PAGE_SIZE, CLEAN * PAGE_SIZE), 0);
    CHECK_EQ(host.file.dirty_pages, DIRTY);
    CHECK_EQ(cache_host_reclaim(1), 64);
    CHECK_EQ(cache_host_reclaim(1000), CLEAN - 64);
    CHECK_EQ(cache_host_reclaim(1), 0);
    CHECK_EQ(host.file.dirty_pages, DIRTY);
    cache_host_end();
    vm_check_empty();
}

TEST(page_cache_reads_ahead_of_who_goes_on_and_not_of_who_jumps) {
    cache_host_start(4096);
    fill_file(200 * PAGE_SIZE);
    CHECK_EQ(file_cache_sync(&host.file, 0, UINT64_MAX), 0);
    file_cache_drop(&host.file, 0, UINT64_MAX);
    uint64_t before = host.disk.reads;
    for (unsigned i = 0; i < 200; i++) CHECK_EQ(file_cache_read_kernel(&host.file, i * PAGE_SIZE, buffer, PAGE_SIZE), PAGE_SIZE);
    CHECK(host.disk.reads - before < 60);  // the disk takes 8 pieces at once
    file_cache_drop(&host.file, 0, UINT64_MAX);
    for (unsigned i = 0; i < 20; i++) {
        uint64_t pages = vm_free_pages(), at = (i * 37 + 5) % 200;
        CHECK_EQ(file_cache_read_kernel(&host.file, at * PAGE_SIZE, buffer, PAGE_SIZE), PAGE_SIZE);
        CHECK_EQ(pages - vm_free_pages(), 1);
    }
    cache_host_end();
    vm_check_empty();
}
