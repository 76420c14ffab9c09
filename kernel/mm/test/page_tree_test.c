// The page tree against arrays: entries, sharing, removal, failure in the middle of anything.
// links: kernel/mm/test/vm_host.c kernel/mm/page_tree.c kernel/mm/vmo.c kernel/mm/vmo_map.c kernel/mm/vmo_paged.c kernel/mm/vmo_copy.c kernel/mm/vmo_io.c kernel/mm/pte.c kernel/mm/mapping.c kernel/mm/mapping_tree.c kernel/mm/aspace.c kernel/mm/page_tables.c kernel/mm/aspace_fault.c kernel/mm/aspace_change.c kernel/mm/aspace_clone.c kernel/mm/aspace_replace.c kernel/mm/tlb.c kernel/mm/reaper.c kernel/mm/usercopy.c lib/rbtree.c lib/string.c
#include "abi/gen/errors.h"
#include "kernel/mm/charge.h"
#include "kernel/mm/test/vm_host.h"
#include "kernel/mm/vmo_internal.h"
#include "tests/unit/unit.h"

#define TREES 6
#define PAGES 5000  // three levels

static struct page_tree trees[TREES];
static struct page *model[TREES][PAGES];

static void put_tree(unsigned t) {
    struct page_grave grave = {NULL};
    page_tree_bury(&trees[t], &grave);
    while (page_grave_step(&grave, 3)) {
    }
    for (unsigned i = 0; i < PAGES; i++) model[t][i] = NULL;
}

static void check_tree(unsigned t) {
    uint64_t at = 0;
    for (unsigned i = 0; i < PAGES; i++) {
        bool exclusive;
        const uint64_t entry = page_tree_lookup(&trees[t], i, &exclusive), looked = page_tree_look(&trees[t], i);
        CHECK(entry_page(entry) == model[t][i]);
        CHECK_EQ(looked, entry | (entry && !exclusive ? ENTRY_SHARED : 0));
        if (model[t][i] && exclusive && model[t][i]->refs == 1)
            for (unsigned o = 0; o < TREES; o++) CHECK(o == t || model[o][i] != model[t][i]);
        if (!model[t][i]) continue;
        at = page_tree_next(&trees[t], at, PAGES);
        CHECK_EQ(at, i);
        at++;
    }
    CHECK_EQ(page_tree_next(&trees[t], at, PAGES), PAGES);
}

static struct page *new_page(uint64_t index) {
    vm_fail_after(0);
    struct page *page = page_alloc(0);
    CHECK(page && !job_charge(vm_job, JOB_PAGES, 1));
    return vmo_page_adopt(page, vm_job, index);
}

static void store(unsigned t, uint64_t index) {
    uint64_t *slot = page_tree_slot(&trees[t], index, vm_job);
    if (!slot) return;
    CHECK(entry_page(*slot) == model[t][index]);
    if (*slot) page_entry_put(*slot);
    model[t][index] = new_page(index);
    *slot = (uint64_t)model[t][index];
}

static void remove_range(unsigned t, uint64_t first, uint64_t end) {
    struct page_grave grave = {NULL};
    struct page_tree_removal gone;
    for (uint64_t at = first; at < end; at = gone.end) {
        if (page_tree_remove(&trees[t], at, end, vm_job, &gone)) break;
        CHECK(gone.first >= at && gone.end <= end && (gone.end > at || gone.first == end));
        for (uint64_t i = at; i < gone.first; i++) CHECK(!model[t][i]);
        for (uint64_t i = gone.first; i < gone.end; i++) model[t][i] = NULL;
        page_tree_bury_removal(&gone, &grave);
        while (page_grave_step(&grave, 1)) {
        }
    }
}

static void run(unsigned rounds, uint64_t fail_every) {
    vm_start();
    for (unsigned round = 0; round < rounds; round++) {
        unsigned t = unit_random() % TREES, other = unit_random() % TREES;
        uint64_t index = unit_random() % 3 ? unit_random() % 200 : unit_random() % PAGES;
        uint64_t end = index + unit_random() % 300;
        unsigned action = unit_random() % 16;
        if (fail_every) vm_fail_after(1 + unit_random() % fail_every);
        if (action < 10) store(t, index);
        else if (action < 14) remove_range(t, index, end < PAGES ? end : PAGES);
        else if (other != t) {
            put_tree(t);
            page_tree_share(&trees[t], &trees[other]);
            for (unsigned i = 0; i < PAGES; i++) model[t][i] = model[other][i];
        }
        if (round % 64 == 0)
            for (unsigned i = 0; i < TREES; i++) check_tree(i);
    }
    for (unsigned t = 0; t < TREES; t++) put_tree(t);
    vm_check_empty();
}

TEST(page_tree_against_arrays) { run(20000, 0); }
TEST(page_tree_with_failures) { run(20000, 4); }

TEST(page_tree_far_indexes) {
    vm_start();
    struct page_tree tree = {0};
    const uint64_t far[] = {0, 63, 64, 1ull << 30, PAGE_TREE_PAGES_MAX - 1};
    for (unsigned i = 0; i < 5; i++) {
        uint64_t *slot = page_tree_slot(&tree, far[i], vm_job);
        CHECK(slot != NULL);
        *slot = (uint64_t)new_page(far[i]);
    }
    uint64_t at = 0;
    for (unsigned i = 0; i < 5; i++) {
        at = page_tree_next(&tree, at, PAGE_TREE_PAGES_MAX);
        CHECK_EQ(at, far[i]);
        at++;
    }
    struct page_grave grave = {NULL};
    page_tree_bury(&tree, &grave);
    while (page_grave_step(&grave, 1)) {
    }
    vm_check_empty();
}

// A chain of snapshots, each changed a little: the last costs what the first did.
TEST(page_tree_deep_chain) {
    vm_start();
    struct vmo *vmo, *next;
    CHECK_EQ(vmo_create(vm_job, 64 * PAGE_SIZE, 0, &vmo), 0);
    for (unsigned i = 0; i < 64; i++) CHECK_EQ(vmo_frame_locked(vmo, i, true).error, 0);
    static struct vmo *chain[10000];
    uint64_t pages_before = 0, bytes_before = 0;
    for (unsigned i = 0; i < 10000; i++) {
        chain[i] = vmo;
        uint64_t pages = vm_used(vm_job, JOB_PAGES), bytes = vm_used(vm_job, JOB_KERNEL_BYTES);
        CHECK_EQ(vmo_snapshot(vmo, 0, 64, vm_job, &next), 0);
        CHECK_EQ(vmo_frame_locked(next, i % 64, true).error, 0);
        uint64_t pages_now = vm_used(vm_job, JOB_PAGES) - pages, bytes_now = vm_used(vm_job, JOB_KERNEL_BYTES) - bytes;
        if (i > 0) CHECK(pages_now == pages_before && bytes_now == bytes_before);
        pages_before = pages_now;
        bytes_before = bytes_now;
        vmo = next;
    }
    for (unsigned i = 0; i < 10000; i += 2) vmo_put(chain[i]);
    for (unsigned i = 1; i < 10000; i += 2) vmo_put(chain[i]);
    vmo_put(vmo);
    vm_check_empty();
}
