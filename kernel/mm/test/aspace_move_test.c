// Advice, residency and moving, case by case; vm_test compares them with a model of every byte.
// links: kernel/mm/test/vm_host.c kernel/mm/page_tree.c kernel/mm/vmo.c kernel/mm/vmo_map.c kernel/mm/vmo_paged.c kernel/mm/vmo_copy.c kernel/mm/vmo_io.c kernel/mm/pte.c kernel/mm/mapping.c kernel/mm/mapping_tree.c kernel/mm/aspace.c kernel/mm/aspace_anonymous.c kernel/mm/aspace_move.c kernel/mm/aspace_advise.c kernel/mm/page_tables.c kernel/mm/aspace_fault.c kernel/mm/aspace_change.c kernel/mm/aspace_clone.c kernel/mm/aspace_replace.c kernel/mm/tlb.c kernel/mm/reaper.c kernel/mm/usercopy.c lib/rbtree.c lib/string.c
#include "abi/gen/errors.h"
#include "abi/types.h"
#include "kernel/mm/charge.h"
#include "kernel/mm/test/vm_host.h"
#include "tests/unit/unit.h"

#define READ_WRITE (PROT_READ | PROT_WRITE)
#define BASE 0x40000000ul
#define MAYMOVE KPIO_MOVE_MAYMOVE
#define FIXED (KPIO_MOVE_MAYMOVE | KPIO_MOVE_FIXED)

static struct aspace *a;

static void start(void) {
    vm_start();
    CHECK_EQ(aspace_create(vm_job, false, &a), 0);
    vm_load(a);
}
static void end(void) {
    aspace_put(a);
    vm_check_empty();
}
static uint64_t page(uint64_t at, unsigned i) { return at + i * PAGE_SIZE; }
static uint64_t map_anonymous(uint64_t at, uint64_t pages, unsigned flags) {
    struct aspace_map r = {.size = pages * PAGE_SIZE, .flags = flags | KPIO_MAP_FIXED, .address = at};
    CHECK_EQ(aspace_map_anonymous(a, &r), at);
    return at;
}
static uint64_t map_vmo(uint64_t at, struct vmo *vmo, uint64_t first, uint64_t pages, unsigned flags) {
    struct aspace_map r = {.vmo = vmo, .first = first, .size = pages * PAGE_SIZE, .flags = flags | KPIO_MAP_FIXED, .address = at};
    r.max_prot = READ_WRITE;
    CHECK_EQ(aspace_map(a, &r), at);
    return at;
}
static void fill(uint64_t at, unsigned pages, uint8_t value) {
    for (unsigned i = 0; i < pages; i++) CHECK_EQ(vm_write(page(at, i), (uint8_t)(value + i)), 0);
}
static void expect(uint64_t at, unsigned pages, uint8_t value) {
    for (unsigned i = 0; i < pages; i++) {
        uint8_t byte;
        CHECK_EQ(vm_read(page(at, i), &byte), 0);
        CHECK_EQ(byte, (uint8_t)(value + i));
    }
}
static void expect_byte(uint64_t at, uint8_t value) { expect(at, 1, value); }
static void expect_error(uint64_t at, int error) {
    uint8_t byte;
    CHECK_EQ(vm_read(at, &byte), error);
}
static uint64_t pages_used(void) { return vm_used(vm_job, JOB_PAGES); }
static int64_t move(uint64_t at, uint64_t pages, uint64_t new_pages, unsigned flags, uint64_t target) {
    return aspace_move(a, at, pages * PAGE_SIZE, new_pages * PAGE_SIZE, flags, target);
}
static int advise(uint64_t at, uint64_t pages, unsigned advice) { return aspace_advise(a, at, pages * PAGE_SIZE, advice); }

// ---- advice ----------------------------------------------------------------------------------------------------------

TEST(advice_arguments) {
    start();
    map_anonymous(BASE, 4, READ_WRITE);
    CHECK_EQ(advise(BASE, 4, 99), -EINVAL);
    CHECK_EQ(advise(BASE + 1, 1, KPIO_ADVISE_DONTNEED), -EINVAL);
    CHECK_EQ(aspace_advise(a, BASE, PAGE_SIZE + 1, KPIO_ADVISE_DONTNEED), -EINVAL);
    CHECK_EQ(aspace_advise(a, BASE, 0, KPIO_ADVISE_DONTNEED), -EINVAL);
    CHECK_EQ(aspace_advise(a, BASE, -PAGE_SIZE, KPIO_ADVISE_SYNC), -EINVAL);
    CHECK_EQ(advise(0, 1, KPIO_ADVISE_DONTNEED), -EINVAL);
    CHECK_EQ(advise(BASE, 5, KPIO_ADVISE_SYNC), -ENOMEM);
    CHECK_EQ(advise(BASE, 4, KPIO_ADVISE_SYNC), 0);
    CHECK_EQ(advise(BASE + 8 * PAGE_SIZE, 1, KPIO_ADVISE_DONTNEED), -ENOMEM);
    CHECK_EQ(advise(BASE, 5, KPIO_ADVISE_POPULATE_READ), -EFAULT);
    end();
}

TEST(discarded_memory_reads_as_zero) {
    start();
    map_anonymous(BASE, 16, READ_WRITE);
    fill(BASE, 16, 1);
    uint64_t used = pages_used();
    CHECK_EQ(advise(page(BASE, 4), 3, KPIO_ADVISE_DONTNEED), 0);
    CHECK_EQ(pages_used(), used - 3);
    expect(BASE, 4, 1);
    for (unsigned i = 4; i < 7; i++) expect_byte(page(BASE, i), 0);
    expect(page(BASE, 7), 9, 8);
    CHECK_EQ(pages_used(), used);
    // Around a hole: the rest is done.
    CHECK_EQ(aspace_unmap(a, page(BASE, 2), PAGE_SIZE), 0);
    CHECK_EQ(advise(BASE, 16, KPIO_ADVISE_DONTNEED), -ENOMEM);
    CHECK_EQ(pages_used(), used - 16);
    end();
}

TEST(discarding_leaves_the_fork_alone) {
    start();
    map_anonymous(BASE, 8, READ_WRITE);
    fill(BASE, 8, 1);
    struct aspace *child;
    CHECK_EQ(aspace_create(vm_other_job, false, &child), 0);
    CHECK_EQ(aspace_clone(a, child), 0);
    // Taking pages out of what is shared needs memory of its own: without it nothing changes.
    vm_limit(vm_job, JOB_KERNEL_BYTES, vm_used(vm_job, JOB_KERNEL_BYTES));
    CHECK_EQ(advise(page(BASE, 2), 2, KPIO_ADVISE_DONTNEED), -ENOMEM);
    expect(BASE, 8, 1);
    vm_limit(vm_job, JOB_KERNEL_BYTES, UINT64_MAX);
    CHECK_EQ(advise(page(BASE, 2), 2, KPIO_ADVISE_DONTNEED), 0);
    expect_byte(page(BASE, 2), 0);
    vm_load(child);
    expect(BASE, 8, 1);
    vm_load(a);
    expect(BASE, 2, 1);
    aspace_put(child);
    end();
}

// The error of a hole is that of want of memory: what is mapped is discarded with the one and kept with the other.
TEST(discarding_around_a_hole_needs_no_memory) {
    start();
    map_anonymous(page(BASE, 2), 200, READ_WRITE);
    fill(page(BASE, 2), 200, 1);
    uint64_t used = pages_used();
    vm_fail_after(1);
    CHECK_EQ(advise(BASE, 150, KPIO_ADVISE_DONTNEED), -ENOMEM);
    CHECK(!vm_has_failed());
    vm_fail_after(0);
    CHECK_EQ(pages_used(), used - 148);
    expect(page(BASE, 150), 52, 149);
    for (unsigned i = 2; i < 150; i++) expect_byte(page(BASE, i), 0);
    end();
}

TEST(discarding_without_memory_changes_nothing) {
    start();
    map_anonymous(BASE, 200, READ_WRITE);
    fill(BASE, 200, 1);
    struct aspace *child;
    CHECK_EQ(aspace_create(vm_job, false, &child), 0);
    CHECK_EQ(aspace_clone(a, child), 0);
    unsigned failures = 0;
    for (bool failed = true; failed; failures += failed) {
        vm_fail_after(failures + 1);
        int error = advise(page(BASE, 10), 180, KPIO_ADVISE_DONTNEED);
        failed = vm_has_failed();
        vm_fail_after(0);
        CHECK_EQ(error, failed ? -ENOMEM : 0);
        if (failed) expect(BASE, 200, 1);
    }
    CHECK(failures >= 4);  // five nodes of the page tree, two steps each; what one try has copied the next one finds
    expect(BASE, 10, 1);
    for (unsigned i = 10; i < 190; i++) expect_byte(page(BASE, i), 0);
    expect(page(BASE, 190), 10, 191);
    vm_load(child);
    expect(BASE, 200, 1);
    vm_load(a);
    aspace_put(child);
    end();
}

TEST(discarding_shared_memory_keeps_it) {
    start();
    struct vmo *vmo;
    CHECK_EQ(vmo_create(vm_job, 4 * PAGE_SIZE, 0, &vmo), 0);
    map_vmo(BASE, vmo, 0, 4, READ_WRITE);
    map_anonymous(page(BASE, 4), 4, READ_WRITE | KPIO_MAP_LOCAL_SHARE);
    fill(BASE, 8, 1);
    uint64_t used = pages_used(), shown = aspace_pages(a);
    CHECK_EQ(advise(BASE, 8, KPIO_ADVISE_DONTNEED), 0);
    CHECK_EQ(pages_used(), used);
    CHECK_EQ(aspace_pages(a), shown - 8);
    expect(BASE, 8, 1);
    // A private copy goes back to what it was a copy of.
    map_vmo(page(BASE, 8), vmo, 0, 4, READ_WRITE | KPIO_MAP_PRIVATE);
    fill(page(BASE, 8), 4, 100);
    CHECK_EQ(advise(page(BASE, 9), 1, KPIO_ADVISE_DONTNEED), 0);
    expect_byte(page(BASE, 8), 100);
    expect_byte(page(BASE, 9), 2);
    vmo_put(vmo);
    end();
}

TEST(populating) {
    start();
    map_anonymous(BASE, 40, READ_WRITE);
    uint64_t used = pages_used();
    CHECK_EQ(advise(page(BASE, 1), 20, KPIO_ADVISE_POPULATE_WRITE), 0);
    CHECK_EQ(aspace_pages(a), 20);
    uint64_t full = pages_used();
    CHECK(full - used >= 20 && full - used < 24);  // and page tables
    CHECK_EQ(advise(BASE, 40, KPIO_ADVISE_POPULATE_READ), 0);
    CHECK_EQ(pages_used(), full + 20);
    CHECK_EQ(advise(BASE, 40, KPIO_ADVISE_DONTNEED), 0);
    vm_limit(vm_job, JOB_PAGES, pages_used() + 10);
    CHECK_EQ(advise(BASE, 40, KPIO_ADVISE_POPULATE_WRITE), -ENOMEM);
    vm_limit(vm_job, JOB_PAGES, UINT64_MAX);
    CHECK_EQ(aspace_protect(a, BASE, PAGE_SIZE, PROT_READ), 0);
    CHECK_EQ(advise(BASE, 1, KPIO_ADVISE_POPULATE_WRITE), -EFAULT);
    end();
}

TEST(residency) {
    start();
    uint64_t to = map_anonymous(BASE + LARGE_PAGE_SIZE, 1, READ_WRITE);
    map_anonymous(BASE, 300, READ_WRITE);
    CHECK_EQ(vm_write(page(BASE, 3), 1), 0);
    CHECK_EQ(vm_write(page(BASE, 299), 1), 0);
    CHECK_EQ(aspace_residency(a, BASE, user_ptr(to), 300), 0);
    for (unsigned i = 0; i < 300; i++) expect_byte(to + i, i == 3 || i == 299);
    CHECK_EQ(aspace_residency(a, BASE, user_ptr(to), 301), -ENOMEM);
    CHECK_EQ(aspace_residency(a, BASE + 1, user_ptr(to), 1), -EINVAL);
    CHECK_EQ(aspace_residency(a, BASE, user_ptr(to), 0), -EINVAL);
    CHECK_EQ(aspace_residency(a, BASE, user_ptr(to), UINT64_MAX), -EINVAL);
    CHECK_EQ(aspace_residency(a, BASE, user_ptr(to), 1ull << 52), -EINVAL);
    CHECK_EQ(aspace_residency(a, BASE, user_ptr(page(to, 1)), 1), -EFAULT);
    // What a private copy has not changed is where its source is.
    struct vmo *vmo;
    CHECK_EQ(vmo_create(vm_job, 4 * PAGE_SIZE, 0, &vmo), 0);
    CHECK_EQ(vmo_commit(vmo, PAGE_SIZE, PAGE_SIZE), 0);
    map_vmo(BASE, vmo, 0, 4, READ_WRITE | KPIO_MAP_PRIVATE);
    CHECK_EQ(aspace_residency(a, BASE, user_ptr(to), 4), 0);
    for (unsigned i = 0; i < 4; i++) expect_byte(to + i, i == 1);
    vmo_put(vmo);
    end();
}

// ---- moving ----------------------------------------------------------------------------------------------------------

TEST(move_arguments) {
    start();
    map_anonymous(BASE, 4, READ_WRITE);
    CHECK_EQ(move(BASE, 0, 4, MAYMOVE, 0), -EINVAL);
    CHECK_EQ(move(BASE, 4, 0, MAYMOVE, 0), -EINVAL);
    CHECK_EQ(move(BASE + 1, 4, 4, MAYMOVE, 0), -EINVAL);
    CHECK_EQ(aspace_move(a, BASE, PAGE_SIZE, PAGE_SIZE + 1, 0, 0), -EINVAL);
    CHECK_EQ(aspace_move(a, BASE, PAGE_SIZE, -PAGE_SIZE, MAYMOVE, 0), -EINVAL);
    CHECK_EQ(aspace_move(a, BASE, -PAGE_SIZE, PAGE_SIZE, MAYMOVE, 0), -EINVAL);
    CHECK_EQ(move(BASE, 4, 4, 4, 0), -EINVAL);
    CHECK_EQ(move(BASE, 4, 4, KPIO_MOVE_FIXED, BASE + LARGE_PAGE_SIZE), -EINVAL);
    CHECK_EQ(move(BASE, 4, 4, MAYMOVE, BASE), -EINVAL);
    CHECK_EQ(move(BASE, 4, 4, FIXED, page(BASE, 3)), -EINVAL);
    CHECK_EQ(move(BASE, 1, 4, FIXED, BASE - 3 * PAGE_SIZE), -EINVAL);
    CHECK_EQ(move(BASE, 4, 4, FIXED, USER_MAX - 2 * PAGE_SIZE), -EINVAL);
    CHECK_EQ(move(page(BASE, 4), 1, 2, MAYMOVE, 0), -EFAULT);
    CHECK_EQ(move(page(BASE, 4), 1, 1, 0, 0), -EFAULT);
    CHECK_EQ(move(BASE, 5, 6, MAYMOVE, 0), -EFAULT);
    CHECK_EQ(move(BASE, 4, USER_MAX / PAGE_SIZE - 17, MAYMOVE, 0), -ENOSPC);
    end();
}

TEST(growing_and_shrinking_in_place) {
    start();
    map_anonymous(BASE, 4, READ_WRITE);
    fill(BASE, 4, 1);
    CHECK_EQ(move(BASE, 4, 100, 0, 0), BASE);
    expect(BASE, 4, 1);
    expect_byte(page(BASE, 99), 0);
    expect_error(page(BASE, 100), -EFAULT);
    uint64_t used = pages_used();
    CHECK_EQ(move(BASE, 100, 2, 0, 0), BASE);
    CHECK_EQ(pages_used(), used - 3);
    // What was cut off is not there when it grows again, nor when the part behind has gone another way.
    CHECK_EQ(move(BASE, 2, 4, 0, 0), BASE);
    expect_byte(page(BASE, 2), 0);
    map_anonymous(page(BASE, 6), 1, READ_WRITE);
    CHECK_EQ(move(BASE, 4, 6, 0, 0), BASE);
    CHECK_EQ(move(BASE, 6, 7, 0, 0), -ENOSPC);
    expect(BASE, 2, 1);
    end();
}

TEST(moved_pages_keep_what_they_have) {
    start();
    map_anonymous(BASE, 8, READ_WRITE);
    map_anonymous(page(BASE, 8), 1, READ_WRITE);
    fill(BASE, 8, 1);
    uint64_t used = pages_used(), bytes = vm_used(vm_job, JOB_KERNEL_BYTES), shown = aspace_pages(a);
    uint64_t to = BASE + 8 * LARGE_PAGE_SIZE - 4 * PAGE_SIZE;  // across two page tables
    CHECK_EQ(move(BASE, 8, 16, FIXED, to), to);
    CHECK_EQ(aspace_pages(a), shown);  // no fault is needed
    CHECK(pages_used() - used <= 2);
    CHECK_EQ(vm_used(vm_job, JOB_KERNEL_BYTES), bytes);
    expect(to, 8, 1);
    for (unsigned i = 8; i < 16; i++) expect_byte(page(to, i), 0);
    expect_error(BASE, -EFAULT);
    int64_t chosen = move(to, 16, 16 + (1ul << 30), MAYMOVE, 0);
    CHECK(chosen > 0);
    expect((uint64_t)chosen, 8, 1);
    // Out of the middle, shrinking, over something else.
    map_anonymous(BASE, 8, READ_WRITE);
    fill(BASE, 8, 50);
    CHECK_EQ(move(page(BASE, 2), 4, 2, FIXED, to), to);
    expect(to, 2, 52);
    expect(BASE, 2, 50);
    for (unsigned i = 2; i < 6; i++) expect_error(page(BASE, i), -EFAULT);
    expect(page(BASE, 6), 2, 56);
    end();
}

// The first part cannot grow where it is: what lies behind it in its memory is shown elsewhere.
TEST(split_memory_grows_by_moving) {
    start();
    map_anonymous(BASE, 8, READ_WRITE);
    fill(BASE, 8, 1);
    uint64_t to = BASE + LARGE_PAGE_SIZE;
    CHECK_EQ(move(page(BASE, 4), 4, 4, FIXED, to), to);
    uint64_t used = pages_used();
    CHECK_EQ(move(BASE, 4, 6, 0, 0), -ENOSPC);
    uint64_t at = (uint64_t)move(BASE, 4, 6, MAYMOVE, 0);
    CHECK(at != BASE && at < USER_MAX);
    expect(at, 4, 1);
    expect_byte(page(at, 4), 0);
    expect(to, 4, 5);
    fill(at, 6, 60);
    CHECK(pages_used() <= used + 2 + 3);  // its pages went along: none is copied, page tables may be made
    expect(to, 4, 5);
    end();
}

TEST(several_mappings_do_not_move_as_one) {
    start();
    map_anonymous(BASE, 4, READ_WRITE);
    map_anonymous(page(BASE, 4), 4, READ_WRITE);
    fill(BASE, 8, 1);
    CHECK_EQ(move(BASE, 8, 8, FIXED, BASE + LARGE_PAGE_SIZE), -EFAULT);
    CHECK_EQ(move(BASE, 8, 9, MAYMOVE, 0), -EFAULT);
    expect(BASE, 8, 1);
    CHECK_EQ(move(BASE, 8, 6, 0, 0), BASE);  // shrinking is unmapping
    // But what only protection had split does.
    map_anonymous(BASE, 200, READ_WRITE);
    fill(BASE, 200, 1);
    for (unsigned i = 1; i < 200; i += 2) CHECK_EQ(aspace_protect(a, page(BASE, i), PAGE_SIZE, PROT_READ), 0);
    CHECK_EQ(move(BASE, 200, 200, FIXED, BASE + LARGE_PAGE_SIZE), -EFAULT);
    for (unsigned i = 1; i < 200; i += 2) CHECK_EQ(aspace_protect(a, page(BASE, i), PAGE_SIZE, READ_WRITE), 0);
    CHECK_EQ(move(BASE, 200, 210, FIXED, BASE + LARGE_PAGE_SIZE), BASE + LARGE_PAGE_SIZE);
    expect(BASE + LARGE_PAGE_SIZE, 200, 1);
    end();
}

TEST(moving_what_others_see) {
    start();
    struct vmo *vmo;
    uint64_t to = BASE + LARGE_PAGE_SIZE;
    CHECK_EQ(vmo_create(vm_job, 6 * PAGE_SIZE, 0, &vmo), 0);
    map_vmo(BASE, vmo, 1, 4, READ_WRITE);
    fill(BASE, 4, 1);
    CHECK_EQ(move(BASE, 4, 8, FIXED, to), to);
    expect(to, 4, 1);
    expect_byte(page(to, 4), 0);
    expect_error(page(to, 5), -EFAULT);  // beyond its end
    uint8_t byte;
    CHECK_EQ(vmo_read_kernel(vmo, 2 * PAGE_SIZE, &byte, 1), 1);
    CHECK_EQ(byte, 2);
    map_anonymous(BASE, 2, READ_WRITE | KPIO_MAP_LOCAL_SHARE);
    fill(BASE, 2, 9);
    struct aspace *child;
    CHECK_EQ(aspace_create(vm_other_job, false, &child), 0);
    CHECK_EQ(aspace_clone(a, child), 0);
    CHECK_EQ(move(BASE, 2, 3, FIXED, page(to, 16)), page(to, 16));
    expect_error(page(to, 18), -EFAULT);
    CHECK_EQ(vm_write(page(to, 16), 77), 0);
    vm_load(child);
    expect_byte(BASE, 77);
    aspace_put(child);
    vm_load(a);
    map_vmo(BASE, vmo, 0, 2, PROT_READ | KPIO_MAP_PRIVATE);
    CHECK_EQ(move(BASE, 2, 4, 0, 0), BASE);
    expect_byte(page(BASE, 3), 3);
    CHECK_EQ(vm_write(BASE, 1), -EFAULT);
    vmo_put(vmo);
    end();
}

TEST(a_moved_mapping_stays_the_handles) {
    start();
    struct vmo *vmo;
    uint64_t to = BASE + LARGE_PAGE_SIZE;
    CHECK_EQ(vmo_create(vm_job, 4 * PAGE_SIZE, 0, &vmo), 0);
    map_vmo(BASE, vmo, 0, 4, READ_WRITE);
    struct mapping *m = mapping_tree_from(&a->mappings, BASE);
    m->glue[0] = 0;
    m->flags |= MAPPING_GRANTED;
    CHECK_EQ(move(BASE, 4, 4, FIXED, to), to);
    m = mapping_tree_from(&a->mappings, to);
    CHECK(m->flags & MAPPING_GRANTED);
    fill(to, 4, 1);
    m->glue[0] = 1;  // it is being revoked: the marker moves, the memory does not
    CHECK_EQ(move(to, 4, 4, FIXED, BASE), BASE);
    expect_error(BASE, -ECANCELED);
    expect_error(to, -EFAULT);
    CHECK_EQ(move(BASE, 4, 4, FIXED, to), -EFAULT);
    vmo_put(vmo);
    end();
}

TEST(moving_without_memory_changes_nothing) {
    start();
    uint64_t to = BASE + LARGE_PAGE_SIZE;
    bool moved = false;
    map_anonymous(BASE, 8, READ_WRITE);
    map_anonymous(to, 4, READ_WRITE);
    fill(BASE, 8, 1);
    fill(to, 4, 100);
    for (unsigned n = 1; n < 20 && !moved; n++) {
        vm_fail_after(n);
        int64_t result = move(page(BASE, 2), 4, 6, FIXED, page(to, 1));
        bool had_failed = vm_has_failed();
        vm_fail_after(0);
        moved = result > 0;
        CHECK(moved || (had_failed && (result == -ENOMEM || result == -ENFILE)));
        if (moved) break;
        expect(BASE, 8, 1);
        expect(to, 4, 100);
    }
    CHECK(moved);
    expect(page(to, 1), 4, 3);
    expect_byte(page(to, 5), 0);
    expect_byte(to, 100);
    expect(BASE, 2, 1);
    expect(page(BASE, 6), 2, 7);
    end();
}

TEST(large_pages_move) {
    start();
    struct vmo *vmo;
    uint64_t to = BASE + 8 * LARGE_PAGE_SIZE;
    CHECK_EQ(vmo_create(vm_job, 2 * LARGE_PAGE_SIZE, VMO_LARGE, &vmo), 0);
    map_vmo(BASE, vmo, 0, 1024, READ_WRITE);
    CHECK_EQ(vm_write(BASE + 5, 5), 0);
    CHECK_EQ(vm_write(BASE + LARGE_PAGE_SIZE + 7, 7), 0);
    CHECK_EQ(move(BASE, 1024, 1024, FIXED, to), to);
    expect_byte(to + 5, 5);
    expect_byte(to + LARGE_PAGE_SIZE + 7, 7);
    CHECK_EQ(move(page(to, 1), 600, 600, FIXED, BASE), BASE);  // a piece of one
    expect_byte(BASE + LARGE_PAGE_SIZE - PAGE_SIZE + 7, 7);
    expect_byte(to + 5, 5);
    vmo_put(vmo);
    end();
}
